"""What every complaint of ours means, in words, and what its sender can do: the codes of warnings and problems.

The text beside a code says what was found at one place of one message; here stands what such a finding is, for someone who
reads our codes for the first time. tests/unit/ingest/test_explanations.py gathers the codes from the readers' sources: a code
without words here fails it, and so do words for a code that nobody says any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from services.ingest import commands
from services.ingest.readers import draft
from services.ingest.readers.model import LIMITS, MIB


@dataclass(frozen=True, slots=True)
class Explanation:
    """`means`: what was found. `do`: what its sender can do about it."""

    means: str
    do: str


_NOTHING: Final = "Nothing needs to be done; this says only what we made of it."
_COMPLETE: Final = "Check whether the file was cut short on its way, and send the whole of it."

EXPLANATIONS: Final[Mapping[str, Explanation]] = MappingProxyType(
    {
        code: Explanation(means, do)
        for code, means, do in (
            # --- the message as a whole
            ("empty", "There is nothing in the message that could be read.", "Send at least one event."),
            (
                "unknown_format",
                "The message is of no form that we know.",
                "Send one of the standards that are listed in the text. For a table or JSON of your own send us a sample: "
                "a mapping file, which we write, makes it readable.",
            ),
            ("unsupported_standard", "The message is of a form that we know of and do not read.", "Send one of those listed."),
            (
                "not_a_status_message",
                "The message is of a kind that tells no status: a booking, an invoice, an acknowledgement.",
                "Send it to those who asked for it. We need the status messages.",
            ),
            (
                "too_large",
                f"The message is larger than we take (at most {LIMITS.decoded_bytes // MIB} MiB once unpacked).",
                "Send it in several messages.",
            ),
            ("too_many_events", f"More than {LIMITS.events:,} events in one message.", "Send them in several messages."),
            ("too_many_rows", f"More than {LIMITS.events:,} rows in one request.", "Send them in several requests."),
            ("too_many_segments", "More segments than any real interchange has.", "Send several interchanges."),
            ("too_many_lines", "A message has more lines than any real one.", "Send several messages."),
            (
                "too_many_values",
                f"More than {LIMITS.values:,} values in one document, or thousands with next to nothing in them.",
                "Send several documents, without what is empty.",
            ),
            ("too_long", "A list has more values than any real one.", "Send what belongs there, once."),
            ("too_deep", f"The document nests deeper than {LIMITS.depth} levels.", "Send it in the standard's own form."),
            (
                "bad_gzip",
                "The body is not the gzip that Content-Encoding promised, or unpacks to far too much.",
                "Pack it again.",
            ),
            ("bad_encoding", "The encoding that the XML names cannot be read.", "Send UTF-8."),
            (
                "bad_headers",
                "What was kept about the message beside its bytes makes no sense.",
                "Tell us: this is a fault of ours.",
            ),
            (
                "not_json",
                "The body begins like JSON and is none.",
                "Write it with a JSON library. The place names line and column: at the very end, it was cut off on its way.",
            ),
            (
                "not_xml",
                "The body begins like XML and is none.",
                "Write it with an XML library. The place names line and column: at the very end, it was cut off on its way.",
            ),
            ("not_csv", "The table cannot be cut into rows and cells.", "Write it with a CSV library, in UTF-8."),
            ("not_utf8", "The bytes are not UTF-8 text.", "Send UTF-8. Where we read on, letters beyond ASCII may be wrong."),
            (
                "bad_character",
                "The text holds a character that no name or number holds (a NUL, half a surrogate pair).",
                "Leave it out.",
            ),
            (
                "bad_number",
                "A number that JSON does not have (NaN, Infinity), or with more digits than can be kept.",
                "Write a plain number.",
            ),
            (
                "duplicate_key",
                "One JSON object has the same member twice, and which one is meant cannot be told.",
                "Send each member once.",
            ),
            ("forbidden_xml", "The XML declares a document type or entities, which we never follow.", "Leave the DOCTYPE out."),
            ("bad_nesting", "A message wrapped in a message that is wrapped.", "Wrap it once, or not at all."),
            ("bad_syntax", "The text cannot be cut into segments.", "Check separators and release characters at that segment."),
            (
                "bad_delimiters",
                "The separators, which the message's beginning defines, cannot be made out.",
                "Check ISA, or UNA and UNB.",
            ),
            (
                "bad_una",
                "UNA defines separators that cannot be meant; the usual ones were taken.",
                "Mend UNA, or leave it out.",
            ),
            ("junk_before", "Something stands before the message proper; it was skipped.", _NOTHING),
            ("passed_on", "The envelope names somebody else as its sender, for whom you may speak.", _NOTHING),
            ("unknown_release", "A release of the directory that we do not know; read like those that we know.", _NOTHING),
            # --- envelopes: X12 and EDIFACT
            ("no_sets", "The interchange holds no transaction set (ST ... SE).", "Send at least one."),
            ("no_messages", "The interchange holds no message (UNH ... UNT).", "Send at least one."),
            ("missing_se", "A transaction set does not end with SE.", _COMPLETE),
            ("missing_iea", "The interchange does not end with IEA.", _COMPLETE),
            (
                "missing_unb",
                "No UNB stands at the beginning: the message does not say who sent it.",
                "Send the whole interchange.",
            ),
            ("missing_unt", "A message does not end with UNT.", _COMPLETE),
            ("missing_unz", "The interchange does not end with UNZ.", _COMPLETE),
            (
                "bad_count",
                "A count in a trailer is not what was counted.",
                "Check whether anything got lost; count as the standard says.",
            ),
            (
                "bad_control_number",
                "The number in a trailer is not that of its header.",
                "Check whether two messages ran into each other.",
            ),
            (
                "stray_segment",
                "A segment stands outside of any set or message; it was not read.",
                "Put it between header and trailer.",
            ),
            (
                "test_message",
                "The envelope marks the interchange as a test. It was read like any other.",
                "Use a sandbox key for tests.",
            ),
            (
                "foreign_interchange",
                "The envelope names somebody else as its sender, for whom your key may not speak. Nothing of it was read.",
                "Push it with that sender's key, or tell us that you pass messages on for them.",
            ),
            (
                "interchange_seen_before",
                "You used this control number before. Whatever the interchange says again counts once.",
                "Nothing, where you sent it again on purpose. Otherwise give each interchange the next number.",
            ),
            (
                "unknown_interchange_sender",
                "The envelope's sender is nobody whom we know; the key says who sent it.",
                "Tell us the mailbox that you use in ISA05 and ISA06, or UNB S002: lovla carriers set CODE --edi-id keeps it.",
            ),
            (
                "not_in_character_set",
                "A character that the level in UNB (UNOA, UNOB) does not have; read nevertheless.",
                "Name the level that you use.",
            ),
            ("set_too_large", "A transaction set is larger than any real one; it was not read.", "Send it as several sets."),
            (
                "message_too_large",
                "A message has more segments than any real one; it was not read.",
                "Send it as several messages.",
            ),
            (
                "line_too_long",
                "A line is longer than the standard allows by far; it was not read.",
                "Break it as the standard says.",
            ),
            (
                "missing_segment",
                "A segment is missing without which the set says nothing.",
                "Send the segment that the text names.",
            ),
            (
                "bad_hierarchy",
                "A level names a parent (HL02) that does not stand before it.",
                "Number HL as the guide says; parents first.",
            ),
            # --- codes
            (
                "unmapped_code",
                "The status code stands in no map of ours: an event that says it is kept, and moves nothing.",
                "Use a code of the standard. In IFTSTA, COARRI, CODECO, 214, 315, 322, FSU, xFSU and ONE Record a code of your "
                "own goes into your code map; DCSA and EPCIS have none.",
            ),
            ("missing_code", "The statement does not say what happened: its code is missing.", "Send the status code."),
            ("no_status", "The message names a shipment and tells nothing of it.", "Send at least one status."),
            ("unknown_purpose", "A purpose of a ship notice that we do not know.", "Send 00 (original) or 05 (replaces)."),
            (
                "deletion",
                "A ship notice that is withdrawn: it cancels no consignment by itself.",
                "Ask the buyer to cancel the consignment.",
            ),
            (
                "correction",
                "It corrects an earlier message of yours, which stands until it is withdrawn.",
                "Withdraw the wrong one, too.",
            ),
            (
                "status_and_appointment",
                "One segment names a status and an appointment; the status counts.",
                "Send them in segments of their own.",
            ),
            ("one_of_several_stops", "A stop of several, and not the last: it moves nothing for the load.", _NOTHING),
            (
                "unknown_mode",
                "The mode of transport is missing or none of the standard's; the event moves nothing.",
                "Send the mode.",
            ),
            ("unknown_phase", "The phase of transport is missing or not known; the event moves nothing.", "Send the phase."),
            (
                "unknown_disposition",
                "A disposition of no vocabulary that we know; it was not used.",
                "Use a word of GS1's CBV.",
            ),
            (
                "unknown_line",
                "A line of a kind that the standard does not have there; it was not read.",
                "Check the line's first letters.",
            ),
            ("several_values", "Several values where one is expected; the first counts.", "Send one event for each."),
            (
                "laden_assumed",
                "Whether the container is loaded or empty is not said; loaded was assumed.",
                "Send the indicator.",
            ),
            (
                "empty_container",
                "The container is empty: it carries nobody's goods, and only its return counts.",
                "If it was loaded, send that it was.",
            ),
            ("empty_unknown", "Whether the unit is loaded or empty is not said.", "Send the indicator."),
            (
                "full_or_empty_unknown",
                "Whether the container is full or empty is not said (EQD, 8169).",
                "Send 4 (empty) or 5 (full).",
            ),
            (
                "mode_unknown",
                "It departed, arrived or was unloaded: from what is not said; the code is used of ships, trucks and trains.",
                "Send a TDT with the mode (8067) or the vessel.",
            ),
            ("equipment_not_used", "A unit is named that was not used.", _NOTHING),
            ("not_your_code", "The event names another sender than the key's.", "Leave it out, or use that sender's key."),
            (
                "says_nothing",
                "The event says neither what happened nor what is withdrawn.",
                "Give a code, a milestone, a hold or retracts.",
            ),
            # --- times
            ("no_time", "The statement does not say when.", "Send the date and time of what happened."),
            ("bad_time", "A date or time cannot be read.", "Write it in the format that the standard's field asks for."),
            (
                "bad_time_format",
                "The value does not have the form that its format code promises; the form that it has was taken.",
                "Mend the code.",
            ),
            ("time_missing", "A date without a time of day: 00:00 was assumed.", "Send the time of day."),
            ("zone_assumed", "A local time without a zone: that of the place was assumed.", "Send the zone or the offset."),
            (
                "zone_unknown",
                "A local time without a zone, at a place whose zone is not known: UTC was taken, which may be hours off.",
                "Send the zone or the offset, or the place as UN/LOCODE with its state.",
            ),
            (
                "unknown_zone",
                "A code of a time zone that we do not know; that of the place was assumed.",
                "Use a code of the standard.",
            ),
            ("missing_offset", "The offset is missing; that of the time itself counts.", "Send eventTimeZoneOffset."),
            ("bad_offset", "The offset cannot be read; that of the time itself counts.", "Write it like -07:00."),
            (
                "outside_time_fence",
                "The time lies too far back, or too far ahead, of when we received it.",
                "Check year and zone. Old messages: say when they came, by Lovla-Received-At (a key of scope backfill), "
                "or when trying, by `As if received at` or `lovla read --received-at`.",
            ),
            ("outside_time", "The time lies too far back, or too far ahead, of when we received it.", "Check year and zone."),
            ("time_not_used", "A time of a kind that moves nothing here; it was not used.", _NOTHING),
            (
                "times_contradict",
                "Two times of one statement contradict each other; the text says which one counts.",
                "Send one.",
            ),
            (
                "time_of_receipt",
                "The statement does not say when: the time at which we received it stands for that.",
                "Send day, month and time.",
            ),
            (
                "time_of_creation",
                "The event says when it was written and not when it happened; the former was taken.",
                "Send eventDate.",
            ),
            (
                "time_type_assumed",
                "Whether the time is planned, expected or actual is not said; actual was assumed.",
                "Send the time's type.",
            ),
            (
                "text_not_used",
                "What looks like a status stands within another line, perhaps in a text; it was not read.",
                "Write each status on a line of its own.",
            ),
            ("requested_time", "A time that was asked for is no plan of anyone: it moves nothing.", _NOTHING),
            # --- places
            (
                "bad_unlocode",
                "This is no UN/LOCODE: two letters of a country and three letters or digits.",
                "Send the place's UN/LOCODE.",
            ),
            (
                "unknown_country",
                "A UN/LOCODE begins with the letters of a country, and these are no country's. It was kept as sent.",
                "Check the first two letters.",
            ),
            (
                "bad_place",
                "The code of the place is none that we know; it was not used.",
                "Send a UN/LOCODE or an airport's code.",
            ),
            (
                "unknown_place",
                "The code is that of no facility of ours; it was not used.",
                "Send a UN/LOCODE, or tell us the code.",
            ),
            ("place_missing", "The statement does not say where.", "Send the place."),
            (
                "places_contradict",
                "Two places of one statement contradict each other; the text says which one counts.",
                "Send one.",
            ),
            ("place_from_id", "The place was taken from an identifier, for want of its code.", "Send the location's code."),
            ("bad_position", "Longitude and latitude cannot be read; they were not used.", "Write them as DDDMMSS."),
            # --- what it is about
            (
                "no_linking_reference",
                "Nothing is named by which a consignment is found.",
                "Name a container, a bill of lading, a booking, an air waybill, a PRO number, an SSCC.",
            ),
            (
                "no_air_waybill",
                "A line stands before any air waybill, or the air waybill's number is missing.",
                "Begin with 020-12345675.",
            ),
            ("no_container", "The message names no container (EQD).", "Send one EQD for each container."),
            ("bad_reference", "A reference that is none of its kind; it was not used.", "Write it as the standard says."),
            (
                "bad_check_digit",
                "The check digit does not fit to the number: kept as sent, and links only where that very text was declared.",
                "Check the number on the unit or the document.",
            ),
            (
                "not_iso_6346",
                "A container whose number is not of ISO 6346: its fourth letter is not U, J or Z. It is kept as sent.",
                "Check the number on the unit; a shipper's own unit may be like this.",
            ),
            ("check_digit_computed", "The check digit was missing and was computed.", "Send the number with its check digit."),
            (
                "bad_imo",
                "This is no IMO number: seven digits, the last a check digit. It was not used.",
                "Send the ship's IMO number.",
            ),
            ("bad_flight", "This is no flight number; it was not used.", "Write it like LH8402."),
            ("bad_lot", "A lot of other characters than GS1 allows, or too long; it was not used.", "Send 1 to 20 characters."),
            (
                "placeholder",
                "A filler (N/A, TBA, zeros) or a number that manuals use as an example; it was not used.",
                "Send the real one, or leave it out.",
            ),
            (
                "contradiction",
                "Two references of one statement contradict each other; the text says which one counts.",
                "Send one.",
            ),
            (
                "too_many_references",
                f"More than {draft.LINKING_MAX} references by which a consignment is found; the rest is left out.",
                "Send several events.",
            ),
            (
                "reference_from_id",
                "The reference was taken from an identifier, for want of its own field.",
                "Send the number in its field.",
            ),
            ("unused_id", "An identifier of a form that we do not use.", "Send an SSCC, SGTIN, LGTIN or GLN."),
            (
                "unknown_carrier",
                "The code is that of no carrier whom we know; it was not used.",
                "Send a SCAC that is registered here.",
            ),
            (
                "not_embedded",
                "The notification only points to its event, and we fetch nothing.",
                "Send the event inside the notification.",
            ),
            (
                "items_only",
                "Goods are named, and no unit that they travel in.",
                "Name the pallet, the container or the transport document.",
            ),
            # --- how much
            (
                "bad_quantity",
                "A number of pieces or units that cannot be read, or that no consignment has.",
                "Send a whole number.",
            ),
            (
                "unknown_unit",
                "A unit of measure that we do not count in; each was assumed.",
                "Send EA, CA or another that is listed.",
            ),
            (
                "pieces_contradict",
                "The number of pieces does not fit to what is said to be all, or a part, of them.",
                "Check both.",
            ),
            ("line_repeated", "A line number stands twice; a free one was given.", "Number each line once."),
            (
                "category_assumed",
                "What goods they are was taken from their description, or could not be told.",
                "Ask us for our categories.",
            ),
            (
                "niosh_approval",
                "The description names an approval number that is none of a filtering facepiece respirator (TC-84A-1234).",
                "Check the number; people look at what is not of that form.",
            ),
            # --- fields
            ("missing_field", "A field is missing that the standard asks for.", "Send it."),
            ("bad_value", "The field's value is none that the standard allows.", "Send one of its values."),
            (
                "bad_type",
                "The field is of another type than the standard says: text, number, list or object.",
                "Send it in its type.",
            ),
            ("not_an_object", "A JSON object is expected here.", "Send each event as an object."),
            ("unknown_field", "A field that does not exist here.", "Check how it is spelled, or leave it out."),
            ("cut", "A text is longer than we keep; its end was left out.", _NOTHING),
            # --- tables and JSON that a mapping file reads
            (
                "no_mapping",
                "Tables and JSON of your own need a mapping file here, and there is none for you.",
                "Ask us for one.",
            ),
            ("missing_column", "The table lacks a column that the mapping reads.", "Name the columns as agreed."),
            ("bad_row", "A row is not CSV, or has more cells than the header.", "Put cells that hold a separator into quotes."),
            ("bad_items", "Where the mapping looks for the events stands something else.", "Send the form that was agreed."),
            ("no_code", "A row says when, and not what happened.", "Fill in the status."),
            ("left_out", "Rows that the mapping leaves out on purpose.", _NOTHING),
            ("nothing_yet", "Rows in which none of the times is filled in yet: they say nothing so far.", _NOTHING),
            ("unmapped_value", "A word that the mapping does not know; it was not used.", "Tell us what it means."),
            ("unknown_facility", "The code is that of no facility of ours; it was not used.", "Send the code that was agreed."),
            (
                "ambiguous_time",
                "A local time that came twice or never, as the clocks were changed; the offset before was taken.",
                "Send the offset.",
            ),
            # --- registering a consignment
            ("missing", "A field is missing that a registration needs.", "Send it."),
            ("extra_forbidden", "A field that does not exist here.", "Check how it is spelled, or leave it out."),
            (
                "too_many",
                f"More than {commands.LINKING_MAX} references by which a consignment is found.",
                "Register those that carriers use.",
            ),
            (
                "not_yours",
                "The consignment's id begins with another buyer's code.",
                "Only its buyer, or an operator, may do this.",
            ),
            (
                "no_scope",
                "The key may push, and may not register: a ship notice registers a consignment.",
                "Ask us for a key of scope register.",
            ),
            ("other_consignment", "The body names another consignment than the address.", "Name the same one in both."),
            ("unknown_command", "A command that does not exist.", "Send link, unlink or appoint."),
            ("repeated_line", "A line number stands twice.", "Number each line once."),
            ("surplus_cells", "A row has more cells than the table has columns.", "Put cells that hold a comma into quotes."),
            ("bad_header", "The first row is not the columns' names.", "docs/registering.md lists them."),
        )
    }
)
"""By the code of a warning or problem; the most general first."""

_UNKNOWN: Final = Explanation(
    "The value is not one that can be taken here; the text beside says why.", "Mend what the text names."
)


def explain(code: str) -> Explanation:
    """What a code means. The validator of our own JSON has codes of its own, which the text beside them explains."""
    return EXPLANATIONS.get(code, _UNKNOWN)
