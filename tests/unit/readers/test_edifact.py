"""EDIFACT: grammar, envelopes and messages, against what the standard says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydifact.control.characters import Characters
from pydifact.tokenizer import Tokenizer

from schemas.registers_v1 import Facility, Sender
from schemas.shipment_event_v1 import Place, ShipmentEvent
from services.ingest.codemaps.model import CodeMap, CodeMaps, Meaning
from services.ingest.readers import Context, Registers
from services.ingest.readers.edifact_codes import OTHERS
from services.ingest.readers.edifact_segments import segments_of, tokens_of
from tests.unit.readers.helpers import FIXTURES, REGISTERS, context_at, expected, read_text, refused, told

MESSAGES = ("edifact_iftsta", "edifact_coarri", "edifact_codeco")


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_gives_exactly_the_events_that_it_says(name: str) -> None:
    hoped = expected(name)
    reading = read_text((FIXTURES / f"{name}.edi").read_bytes(), context_at(hoped["received_at"], hoped["sender"]))

    assert reading.standard == hoped["standard"]
    got = told(reading)
    for one, two in zip(got, hoped["verdicts"], strict=False):
        assert one == two
    assert len(got) == len(hoped["verdicts"])
    assert [warning.model_dump() for warning in reading.warnings] == hoped.get("warnings", [])


@given(
    text=st.text(alphabet="UNHAB+:?' xy7\u00e9", max_size=80),
    signs=st.sampled_from([":+.? '", ";*.! ~", ":+.\x00 '", "\x1f\x1d.\x00 \x1c"]),
    filler=st.sampled_from(["", "x" * 16_380, "?" * 16_383, "'" * 16_384]),
)
@settings(deadline=None)
def test_segments_are_those_of_pydifacts_own_tokens(text: str, signs: str, filler: str) -> None:
    """It takes one character after the other; ours, all that stand before the next sign, 16 KiB at once."""
    marks = dict(zip(":+?'", (signs[0], signs[1], signs[3], signs[5]), strict=True))
    text = "".join(marks.get(letter, letter) for letter in filler + text)
    text = text.rstrip(signs[3]) + signs[5]

    ours = segments_of(tokens_of(text, Characters.from_str(signs)), 0)
    theirs = segments_of(Tokenizer().get_tokens(text, Characters.from_str(signs)), 0)

    assert list(ours) == list(theirs)


def test_an_iftsta_of_a_railway(samples: Path) -> None:
    """Two containers contradict each other; the status is the carrier's own; the legs' times are by rail and move nothing."""
    ends = {
        "origin": {"unlocode": "COCTG", "name": "SOCIEDAD PORTUARIA DE CARTAGEN, , CO", "role": "load"},
        "destination": {"unlocode": "USNYC", "name": "APM TERMINALS ELIZABETH, , US", "role": "discharge"},
    }
    each = {
        "standard": "edifact.iftsta",
        "zone_assumed": True,
        "references": [
            {"kind": "container", "value": "TRHU4561222"},
            {"kind": "booking", "value": "24O4023815"},
            {"kind": "bill_of_lading", "value": "ABCD224O4023815X"},
            {"kind": "purchase_order", "value": "2023521591"},
        ],
        "mode": "rail",
        "transport": {"scac": "ABCD"},
        **ends,
    }
    two_boxes = [
        {
            "code": "bad_check_digit",
            "where": "segment 31 (EQD)",
            "text": "container TRHU4561222 should end in 5; kept as sent",
        },
        {
            "code": "contradiction",
            "where": "segment 10 (RFF)",
            "text": "container TRHU4307252 contradicts TRHU4561222, named before; TRHU4307252 is not used",
        },
    ]
    unmapped = {
        "code": "unmapped_code",
        "where": "segment 14 (STS)",
        "text": "the code HS/P (Rail Departed from In-Transit Locat) is in no map; the event is kept and moves nothing",
    }

    def assumed(number: int, zone: str) -> dict[str, str]:
        code = "zone_unknown" if zone.endswith("(UTC)") else "zone_assumed"
        return {"code": code, "where": f"segment {number} (DTM)", "text": f"local time of {zone} assumed"}

    def leg(number: int, code: str, at: str, classifier: str, place: dict[str, str], zone: str) -> dict[str, Any]:
        said = {"position": f"segment {number} (DTM)", "code": code, "mapped": True, "classifier": classifier}
        if classifier == "estimated":
            said |= {"at": "2022-01-01T00:21:00Z", "created_at": "2022-01-01T00:21:00Z"}  # DTM+137
        return each | said | {"occurred_at": at, "place": place, "warnings": [*two_boxes, assumed(number, zone)]}

    chicago = {"unlocode": "USCHI", "name": "CSX 59TH STREET RAMP, , US"}
    content = (samples / "edifact" / "iftsta_d00b_rail_departed.edi").read_bytes()
    reading = read_text(content, context_at("2022-11-19T20:00:00Z", "ABCD", registers=Registers.empty()))

    assert [(warning.code, warning.where) for warning in reading.warnings] == [("bad_control_number", "segment 33 (UNZ)")]
    assert told(reading) == [
        each
        | {
            "position": "segment 14 (STS)",
            "code": "HS/P",
            "mapped": False,
            "classifier": "actual",
            "occurred_at": "2022-11-19T07:10:00-05:00",
            "place": {"unlocode": "USSYR", "name": "SYRACUSE", "country": "US", "role": "activity"},
            "empty": False,
            "warnings": [*two_boxes, unmapped, assumed(18, "USSYR (America/New_York)")],
        },
        leg(22, "DTM/186", "2022-11-09T14:15:00-05:00", "actual", ends["origin"], "COCTG (America/Bogota)"),
        leg(24, "DTM/178", "2022-11-17T05:05:00-05:00", "actual", ends["destination"], "USNYC (America/New_York)"),
        leg(25, "DTM/133", "2022-11-18T16:30:00-05:00", "estimated", ends["destination"], "USNYC (America/New_York)"),
        leg(27, "DTM/132", "2022-11-21T06:00:00-06:00", "estimated", chicago, "USCHI (America/Chicago)"),
        leg(28, "DTM/133", "2022-11-21T06:00:00-06:00", "estimated", chicago, "USCHI (America/Chicago)"),
        leg(
            30,
            "DTM/132",
            "2022-11-21T07:00:00Z",
            "estimated",
            {"unlocode": "USWOQ", "name": "WOODRIDGE, IL, US", "role": "delivery"},
            "an unknown place (UTC)",
        ),
    ]


def test_a_codeco_wrapped_in_json(samples: Path) -> None:
    content = (samples / "edifact" / "codeco_d95b_gate_in.smartdatamodels.json").read_bytes()
    reading = read_text(content, context_at("2023-08-12T00:00:00Z", "ESHUV", registers=Registers.empty()))

    assert reading.standard == "edifact"
    assert reading.warnings == ()
    assert told(reading) == [
        {
            "position": "/messageRaw segment 8 (EQD)",
            "standard": "edifact.codeco",
            "code": "34",
            "milestone": "received",
            "mapped": True,
            "classifier": "actual",
            "occurred_at": "2023-08-11T14:47:00+02:00",
            "zone_assumed": True,
            "references": [
                {"kind": "container", "value": "TESI1120274"},
                {"kind": "booking", "value": "FUE110823"},
                {"kind": "purchase_order", "value": "110823110823CCHRIB"},
                {"kind": "seal", "value": "88200"},
            ],
            "place": {"unlocode": "ESHUV", "name": "CONCHUV", "role": "load"},
            "origin": {"unlocode": "ESHUV", "role": "load"},
            "destination": {"unlocode": "ESFUE", "role": "discharge"},
            "mode": "road",
            "transport": {"vessel": "CHRISTIAN", "voyage": "110823110823CCHRIB", "vehicle": "993NGR"},
            "empty": False,
            "warnings": [
                {
                    "code": "not_iso_6346",
                    "where": "/messageRaw segment 8 (EQD)",
                    "text": "container TESI1120274 does not follow ISO 6346 (its fourth letter is not U, J or Z); kept as sent",
                },
                {
                    "code": "placeholder",
                    "where": "/messageRaw segment 4 (TDT)",
                    "text": "IMO number 1111111 is a known example value; not used",
                },
                {
                    "code": "zone_assumed",
                    "where": "/messageRaw segment 11 (DTM)",
                    "text": "local time of ES (Europe/Madrid) assumed",
                },
            ],
        }
    ]


def test_a_coprar_is_named_and_read_by_nobody(samples: Path) -> None:
    reading = read_text((samples / "edifact" / "coprar_d95b.edi").read_bytes(), context_at("2012-11-24T00:00:00Z"))

    assert told(reading) == [{"problem": "not_a_status_message", "where": "segment 1 (UNH)"}]
    assert "COPRAR is an order to load or discharge" in reading.problems[0].text
    assert [warning.code for warning in reading.warnings] == ["missing_unb"]


UNB = "UNB+UNOC:3+COSU:ZZZ+LOVLA:ZZZ+200330:0810+4711'"
BOX = "MRSU4371639"
SEA = "TDT+20+015E+1++COSU:172:182+++9321483:146:11:EMMA'"
LATE = context_at("2020-03-31T00:00:00Z", "COSU")


def iftsta(*segments: str, release: str = "D:00B", begin: str = "BGM+23+1+9'", number: int = 4711) -> str:
    """An interchange with one IFTSTA about one container."""
    body = ["UNH+1+IFTSTA:" + release + ":UN'", begin, "CNI+1+COSU6250011'", *segments]
    text = "".join(body)
    count = text.count("'") - text.count("?'") + 1
    return f"{UNB.replace('4711', str(number))}{text}UNT+{count}+1'UNZ+1+{number}'"


def event_of(text: str | bytes, context: Context = LATE) -> ShipmentEvent:
    """The first event of a message all of which is read, with its warnings and those of the envelope."""
    reading = read_text(text, context)
    assert reading.problems == ()
    first = reading.events[0]
    return first.model_copy(update={"warnings": (*reading.warnings, *first.warnings)})


def codes(event: ShipmentEvent) -> list[str]:
    return [warning.code for warning in event.warnings]


PLAIN = iftsta("STS+1+24'", "DTM+334:202003150630UTC:303'", "LOC+9+CNSHA:139:6:SHANG?'HAI ?+ 1?:2'", SEA, f"EQD+CN+{BOX}'")


def separated(text: str, component: str, data: str, release: str, terminator: str) -> str:
    """`text` in other separators."""
    kept = {"?'": "\x01", "?+": "\x02", "?:": "\x03"}
    for was, mark in kept.items():
        text = text.replace(was, mark)
    text = text.replace(":", component).replace("+", data).replace("'", terminator)
    for mark, plain in (("\x01", "'"), ("\x02", "+"), ("\x03", ":")):
        text = text.replace(mark, (release if plain in (component, data, terminator) else "") + plain)
    return text


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        (PLAIN, []),
        ("UNA:+.? '" + PLAIN, []),
        ("UNA:+.? '\r\n" + PLAIN.replace("'", "'\r\n").replace("?'\r\n", "?'"), []),
        ("UNA:+.?'" + PLAIN, ["bad_una"]),
        ("UNA:+.?'\r\n" + PLAIN, ["bad_una"]),
        ("UNA:+.?*'" + PLAIN, []),
        ("UNA|*,! ~" + separated(PLAIN, "|", "*", "!", "~"), []),
        ("UNA|*,! \n" + separated(PLAIN, "|", "*", "!", "\n"), []),
        (separated(PLAIN, "\x1f", "\x1d", "", "\x1c"), []),
        (separated(PLAIN, ":", "*", "?", "~"), []),
        (separated(PLAIN, ":", "+", "?", "\n"), []),
        (separated(PLAIN, ":", "+", "?", "\r\n"), []),
        ("\n".join(PLAIN[at : at + 80] for at in range(0, len(PLAIN), 80)), []),
        (PLAIN.replace("'", "' ").replace("?' ", "?'"), []),
        (PLAIN.removesuffix("'"), []),
        (PLAIN + "'''\r\n\r\n", []),
        ("\ufeff" + PLAIN, []),
        ("QD LAXKKCO\n.SHACOCO 150630\n" + PLAIN, ["junk_before"]),
    ],
    ids=[
        *(
            "plain",
            "UNA",
            "lines",
            "UNA without its blank",
            "and a line",
            "UNA with repetition",
            "other separators",
            "lines by UNA",
        ),
        *("level B", "no UNA", "lines for terminators", "CRLF for terminators", "80 columns", "blanks", "no end", "more ends"),
        *("BOM", "junk"),
    ],
)
def test_the_same_words_in_any_separators_are_the_same_event(text: str, warnings: list[str]) -> None:
    one, two = event_of(PLAIN), event_of(text)

    assert one.place is not None and one.place.name == "SHANG'HAI + 1:2"
    assert codes(two) == warnings
    assert (two.event_id, two.revision) == (one.event_id, one.revision)
    assert two.raw.position == "segment 5 (STS)"


def test_a_release_character_that_una_leaves_blank_releases_nothing() -> None:
    text = "UNA:+.  '" + iftsta("STS+1+21'", "DTM+334:202003150630UTC:303'", "FTX+AAI+++Really?'")

    assert event_of(text).reason == "Really?"


@pytest.mark.parametrize("end", ["?", "??", "???", "??'", "?''", "'"])
def test_a_message_that_ends_within_a_text_is_read_as_far_as_it_goes(end: str) -> None:
    text = iftsta("STS+1+21'", "DTM+334:202003150630UTC:303'", "FTX+AAI+++Well").partition("UNT")[0] + end
    event = event_of(text)

    assert event.reason == "Well" + end.removesuffix("'").replace("??", "\0").replace("?'", "'").replace("\0", "?")
    assert codes(event) == ["missing_unz", "missing_unt"]


@pytest.mark.parametrize("una", ["UNA++.? '", "UNA:+.+ '", "UNA'+.? '", "UNA:+.?  "])
def test_separators_that_separate_nothing_are_refused(una: str) -> None:
    assert refused(una + PLAIN, LATE).code == "bad_delimiters"


@pytest.mark.parametrize(
    ("level", "codec", "name", "warned"),
    [
        ("UNOA", "ascii", "SHANGHAI", []),
        ("UNOC", "latin-1", "Zürich", []),
        ("UNOC", "utf-8", "Zürich", ["not_in_character_set"]),
        ("UNOA", "latin-1", "Zürich", ["not_in_character_set"]),
        ("UNOB", "utf-8", "Zürich", ["not_in_character_set"]),
        ("UNOD", "iso8859-2", "Gdańsk", []),
        ("UNOE", "iso8859-5", "Новороссийск", []),
        ("UNOF", "iso8859-7", "Πειραιάς", []),
        ("UNOK", "iso8859-9", "İzmir", []),
        ("UNOW", "utf-8", "上海", []),
        ("UNOX", "iso2022_jp_2", "横浜", []),
        ("UNOY", "utf-8", "上海", []),
        ("UNOY", "latin-1", "Zürich", ["not_in_character_set"]),
    ],
)
def test_text_is_read_in_the_character_set_that_unb_names(level: str, codec: str, name: str, warned: list[str]) -> None:
    text = iftsta("STS+1+21'", "DTM+334:202003150630UTC:303'", f"LOC+7+CNSHA:139:6:{name}'").replace("UNOC", level)
    event = event_of(text.encode(codec))

    assert event.place is not None and event.place.name == name
    assert codes(event) == warned


GROUPED = "".join(
    [
        UNB,
        "UNG+IFTSTA+A+B+200330:0810+77+UN+D:00B'",
        *(
            "UNH+1+IFTSTA:D:00B:UN'",
            "BGM+23+1+9'",
            "CNI+1+COSU6250011'",
            "STS+1+21'",
            "DTM+334:202003150630UTC:303'",
            "UNT+6+1'",
        ),
        "UNE+1+77'",
        "UNZ+1+4711'",
    ]
)


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        (GROUPED, []),
        (GROUPED.replace("UNZ+1", "UNG+IFTSTA+A+B+200330:0810+78'UNE+0+78'UNZ+2"), []),
        (
            GROUPED.replace("UNE+1+77", "UNE+2+78"),
            [("bad_count", "segment 9 (UNE)"), ("bad_control_number", "segment 9 (UNE)")],
        ),
        (
            GROUPED.replace("UNZ+1+4711", "UNZ+3+1"),
            [("bad_count", "segment 10 (UNZ)"), ("bad_control_number", "segment 10 (UNZ)")],
        ),
        (GROUPED.replace("UNT+6+1", "UNT+7+2"), [("bad_count", "segment 8 (UNT)"), ("bad_control_number", "segment 8 (UNT)")]),
        (GROUPED.replace("UNT+6+1'", ""), [("missing_unt", "segment 3 (UNH)")]),
        (GROUPED.partition("UNZ")[0], [("missing_unz", "segment 9 (UNE)")]),
        (GROUPED.partition("UNT")[0], [("missing_unz", "segment 7 (DTM)"), ("missing_unt", "segment 3 (UNH)")]),
        (GROUPED.replace("UNE+1", "XXX+1'UNE+1"), [("stray_segment", "segment 9 (XXX)")]),
        (GROUPED.partition("UNG")[2].partition("'")[2].partition("UNE")[0], [("missing_unb", "segment 1 (UNH)")]),
        (GROUPED.replace("+4711'UNG", "+4711++++++1'UNG"), [("test_message", "segment 1 (UNB)")]),
        (GROUPED.replace("IFTSTA:D:00B:UN", "IFTSTA:D:22Z:UN"), [("unknown_release", "segment 3 (UNH)")]),
    ],
    ids=[
        *(
            "right",
            "two groups",
            "group",
            "interchange",
            "message",
            "no UNT",
            "no UNZ",
            "cut off",
            "stray",
            "no envelope",
            "test",
            "release",
        ),
    ],
)
def test_a_wrong_envelope_is_told_and_costs_nothing(text: str, warned: list[tuple[str, str]]) -> None:
    event = event_of(text)

    assert event.milestone == "delivered"
    assert [(warning.code, warning.where) for warning in event.warnings] == warned


def test_several_interchanges_in_a_file_each_have_their_own_separators() -> None:
    second = "UNA|*,! ~" + separated(iftsta("STS+1+21'", "DTM+334:202003160630UTC:303'"), "|", "*", "!", "~")
    reading = read_text(PLAIN + "\r\n" + second + "\r\n" + PLAIN.replace("4711", "4712"), LATE)

    assert [(event.code, event.raw.position) for event in reading.events] == [
        ("24", "segment 5 (STS)"),
        ("21", "segment 16 (STS)"),
        ("24", "segment 24 (STS)"),
    ]
    assert reading.warnings == ()


def test_a_text_that_looks_like_an_interchange_is_no_interchange() -> None:
    text = iftsta("STS+1+21'", "DTM+334:202003150630UTC:303'", "FTX+AAI+++FSU/14 ?'UNB?+UNOC and ??? ?'UNA'")
    reading = read_text(text, LATE)

    assert [event.reason for event in reading.events] == ["FSU/14 'UNB+UNOC and ? 'UNA"]
    assert reading.warnings == ()


@pytest.mark.parametrize(
    ("value", "moment", "warned"),
    [
        ("20200315:102", "2020-03-15T00:00:00-07:00", ["time_missing", "zone_assumed"]),
        ("200315:101", "2020-03-15T00:00:00-07:00", ["time_missing", "zone_assumed"]),
        ("202003150630:203", "2020-03-15T06:30:00-07:00", ["zone_assumed"]),
        ("20200315063015:204", "2020-03-15T06:30:15-07:00", ["zone_assumed"]),
        ("2003150630:201", "2020-03-15T06:30:00-07:00", ["zone_assumed"]),
        ("200315063015:202", "2020-03-15T06:30:15-07:00", ["zone_assumed"]),
        ("202003150630?+0100:205", "2020-03-15T06:30:00+01:00", []),
        ("202003150630-0530:205", "2020-03-15T06:30:00-05:30", []),
        ("202003150630EST:303", "2020-03-15T06:30:00-05:00", []),
        ("20200315063015GMT:304", "2020-03-15T06:30:15Z", []),
        ("2003150630UTC:301", "2020-03-15T06:30:00Z", []),
        ("200315063015JST:302", "2020-03-15T06:30:15+09:00", []),
        ("202003150630PDT:303", "2020-03-15T06:30:00-07:00", []),
        ("202003150630XYZ:303", "2020-03-15T06:30:00-07:00", ["unknown_zone", "zone_assumed"]),
        ("202003150630LT:303", "2020-03-15T06:30:00-07:00", ["zone_assumed"]),
        ("202003152400:203", "2020-03-16T00:00:00-07:00", ["zone_assumed"]),
        ("20200315:203", "2020-03-15T00:00:00-07:00", ["bad_time_format", "time_missing", "zone_assumed"]),
        ("202003150630", "2020-03-15T06:30:00-07:00", ["bad_time_format", "zone_assumed"]),
    ],
)
def test_times_of_every_format(value: str, moment: str, warned: list[str]) -> None:
    event = event_of(iftsta("STS+1+21'", f"DTM+334:{value}'", "LOC+7+USLAX:139:6'"))

    assert event.occurred_at.isoformat() == datetime.fromisoformat(moment).isoformat()
    assert codes(event) == warned


def test_a_zones_name_of_two_meanings_counts_if_the_place_keeps_it() -> None:
    def at(place: str) -> tuple[str, list[str]]:
        event = event_of(iftsta("STS+1+21'", "DTM+334:202003150630CST:303'", f"LOC+7+{place}:139:6'"))
        return event.occurred_at.isoformat(), codes(event)

    assert at("CNSHA") == ("2020-03-15T06:30:00+08:00", [])
    assert at("USLAX") == ("2020-03-15T06:30:00-07:00", ["unknown_zone", "zone_assumed"])


@pytest.mark.parametrize(
    "value", ["202013150630:203", "2020-03-15:102", "202003159930:203", "20200315:718", "1:203", ":203", "202011:610"]
)
def test_a_time_that_is_none_costs_its_status(value: str) -> None:
    reading = read_text(iftsta("STS+1+21'", f"DTM+334:{value}'"), LATE)

    assert [problem.code for problem in reading.problems] == ["no_time" if value == ":203" else "bad_time"]


def test_a_status_without_any_time_is_a_problem() -> None:
    assert [problem.code for problem in read_text(iftsta("STS+1+21'", "DTM+137:202003150630:203'"), LATE).problems] == [
        "no_time"
    ]


@pytest.mark.parametrize(
    ("loc", "place", "warned"),
    [
        ("7+USLAX:139:6", Place(unlocode="USLAX", role="delivery"), []),
        ("7+US LAX", Place(unlocode="USLAX", role="delivery"), []),
        ("7+LAX:139:6+US:162:5", Place(unlocode="USLAX", country="US", role="delivery"), []),
        (
            "7+USLAX:139:6:Los Angeles+PIER4:TER:306",
            Place(unlocode="USLAX", name="Los Angeles", facility="LA-APMT", role="delivery"),
            [],
        ),
        ("7+LA-APMT:TER:ZZZ", Place(unlocode="USLAX", facility="LA-APMT", role="delivery"), []),
        ("7+9520000000011::9", Place(facility="WARE", role="delivery"), []),
        ("7+LAX::3", Place(unlocode="USLAX", iata="LAX", role="delivery"), []),
        ("7+USLAX:139:6+YTI:TER:306:Yusen", Place(unlocode="USLAX", name="Yusen", role="delivery"), []),
        ("7+:::SOMEWHERE", Place(name="SOMEWHERE", role="delivery"), []),
        ("7+LOSANGELES:139:6", Place(name="LOSANGELES", role="delivery"), ["bad_unlocode"]),
        ("7+PIER9:TER:ZZZ", Place(name="PIER9", role="delivery"), []),
        ("18+USLAX:139:6", Place(unlocode="USLAX"), []),
    ],
)
def test_places_of_every_form(loc: str, place: Place, warned: list[str]) -> None:
    facilities = [
        *REGISTERS.facilities.values(),
        Facility(code="WARE", kind="warehouse", name="Warehouse", zone="UTC", gln="9520000000011"),
    ]
    context = context_at("2020-03-31T00:00:00Z", registers=Registers.of([], facilities))
    event = event_of(iftsta("STS+1+21'", "DTM+334:202003150630UTC:303'", f"LOC+{loc}'"), context)

    assert event.place == place
    assert codes(event) == warned


@pytest.mark.parametrize(
    ("code", "carried", "milestone", "hold"),
    [
        ("1", SEA, "arrived", None),
        ("1", "TDT+20+LH456+4'", "arrived", None),
        ("1", "TDT+1++3'", None, None),
        ("1", "TDT+1++2'", None, None),
        ("1", "", None, None),
        ("40", SEA, "arrived", None),
        ("24", SEA, "departed", None),
        ("24", "TDT+1++3'", None, None),
        ("127", SEA, "departed", None),
        ("29", SEA, "discharged", None),
        ("29", "TDT+1++3'", None, None),
        ("346", SEA, "discharged", None),
        ("6", "", "booked", None),
        ("12", "", "customs_released", "customs released"),
        ("17", "", None, "customs placed"),
        ("13", "TDT+1++3'", "gate_out", None),
        ("21", "", "delivered", None),
        ("22", "", "delivered", None),
        ("38", "", None, "freight released"),
        ("112", "", "available", None),
        ("130", "", "received", None),
        ("48", SEA, None, None),
        ("113", "", None, None),
        ("209", "", None, None),
    ],
)
def test_codes_of_recommendation_24(code: str, carried: str, milestone: str | None, hold: str | None) -> None:
    event = event_of(iftsta(f"STS+1+{code}'", "DTM+334:202003150630UTC:303'", carried))

    assert event.mapped
    assert (event.milestone, event.hold and f"{event.hold.kind} {event.hold.state}") == (milestone, hold)


@pytest.mark.parametrize("agency", ["", "::6", "::9", ":113:6"])
def test_the_lists_agencies_are_un_ece_and_gs1(agency: str) -> None:
    event = event_of(iftsta(f"STS+1+24{agency}'", "DTM+334:202003150630UTC:303'", SEA, release="D:96A"))

    assert (event.code, event.mapped, event.milestone) == ("24", True, "departed")


def test_who_sails_is_believed_to_speak_of_ships_where_no_tdt_tells() -> None:
    text = iftsta("STS+1+24'", "DTM+334:202003150630UTC:303'")
    ships = Registers.of([Sender(code="COSU", kind="ocean_carrier", name="Carrier")], [])

    assert (event_of(text).milestone, codes(event_of(text))) == (None, ["mode_unknown"])
    assert event_of(text, context_at("2020-03-31T00:00:00Z", "COSU", registers=ships)).milestone == "departed"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("1+42", "42"),
        ("1+VD", "VD"),
        ("1+24::87", "87/24"),
        ("1+VD::ZZZ:Sailed", "ZZZ/VD"),
        ("1+999::6", "999"),
    ],
)
def test_codes_of_no_map_are_kept_and_move_nothing(status: str, code: str) -> None:
    event = event_of(iftsta(f"STS+{status}'", "DTM+334:202003150630UTC:303'", SEA))

    assert (event.code, event.mapped, event.milestone) == (code, False, None)
    assert codes(event) == ["unmapped_code"]


def test_a_status_without_a_code_is_a_problem() -> None:
    (problem,) = read_text(iftsta("STS+1'", "DTM+334:202003150630UTC:303'"), LATE).problems

    assert (problem.code, problem.where, problem.element) == ("missing_code", "segment 5 (STS)", 2)


@pytest.mark.parametrize(
    ("qualifier", "classifier"),
    [("334", "actual"), ("78", "actual"), ("178", "actual"), ("132", "estimated"), ("232", "planned")],
)
def test_what_is_expected_is_no_fact(qualifier: str, classifier: str) -> None:
    event = event_of(iftsta("STS+1+1'", f"DTM+{qualifier}:202004050630UTC:303'".replace("0405", "0329"), SEA))

    assert (event.milestone, event.classifier) == ("arrived", classifier)


def test_an_expected_delivery_is_an_estimate_whatever_its_time_is_called() -> None:
    assert event_of(iftsta("STS+1+361'", "DTM+334:202003290630UTC:303'")).classifier == "estimated"


def test_a_departure_that_names_the_arrival_too_tells_both() -> None:
    text = iftsta(
        "LOC+9+CNSHA:139:6'",
        "LOC+11+USLAX:139:6'",
        "STS+1+24'",
        "DTM+334:202003150630UTC:303'",
        "DTM+132:202003290900UTC:303'",
        SEA,
    )
    events = read_text(text, LATE).events

    assert [(event.code, event.milestone, event.classifier) for event in events] == [
        ("24", "departed", "actual"),
        ("DTM/132", "arrived", "estimated"),
    ]
    assert [event.place and event.place.unlocode for event in events] == ["CNSHA", "USLAX"]


def test_containers_that_have_events_of_their_own_contradict_nothing() -> None:
    boxes = ("MSKU7000013", "MSKU7000029")
    named = [f"RFF+EQ:{box}'" for box in boxes]
    text = iftsta(*named, "STS+1+21'", "DTM+334:202003150630UTC:303'", *(f"EQD+CN+{box}'" for box in boxes))
    events = read_text(text, LATE).events

    assert [[one.value for one in event.references if one.kind == "container"] for event in events] == [[box] for box in boxes]
    assert [codes(event) for event in events] == [[], []]


def test_a_cargo_imp_message_that_is_only_wrapped_is_read_as_such() -> None:
    text = (
        "UNB+IATA:1+A+B+200330:0810+1'\nUNH+1+CIMFSU:14:1:IA'\nFSU/14\n020-12345675FRAJFK/T1K100\nRCF/LH400/30MAR0810/JFK/T1\n"
    )

    assert read_text(text, LATE).standard == "cargo_imp.fsu"


@pytest.mark.parametrize("envelope", [UNB, "", "QD LAXKKCO\n.SHACOCO 150630\n" + UNB], ids=["UNB", "bare", "teletype"])
@pytest.mark.parametrize("text", ["FTX+AAI+++copy of\nFSU/14 sent'", "FTX+AAI+++FSU/14'", "FTX+AAI+++\nFWB/16\n'"])
def test_a_text_that_names_a_cargo_imp_message_is_a_text(envelope: str, text: str) -> None:
    body = f"\nUNH+1+IFTSTA:D:00B:UN'\nBGM+23+1+9'\nRFF+BM:B1'{text}STS+1+21'\nDTM+334:202003150630UTC:303'\nUNT+7+1'"
    reading = read_text(envelope + body, LATE)

    assert [(event.standard, event.milestone) for event in reading.events] == [("edifact.iftsta", "delivered")]


def test_the_time_of_a_leg_is_that_of_a_status_without_its_own() -> None:
    legs = [SEA, "LOC+9+CNSHA:139:6'", "DTM+186:202003150630UTC:303'", "LOC+11+USLAX:139:6'", "DTM+132:202003290900UTC:303'"]
    events = read_text(iftsta("STS+1+24'", *legs), LATE).events

    assert [(event.code, event.occurred_at.isoformat()) for event in events] == [
        ("24", "2020-03-15T06:30:00+00:00"),
        ("DTM/132", "2020-03-29T09:00:00+00:00"),
    ]


SHIP = (SEA, "LOC+9+CNSHA:139:6'", "LOC+11+USLAX:139:6'")


def said(*segments: str) -> list[str]:
    """Each event as code, milestone, classifier, time, place; each problem as its code."""
    found = []
    for verdict in read_text(iftsta(*segments), LATE).verdicts:
        if (event := verdict.event) is None:
            assert verdict.problem is not None
            found.append(verdict.problem.code)
            continue
        where = event.place.unlocode if event.place else None
        found.append(f"{event.code} {event.milestone} {event.classifier} {event.occurred_at.isoformat()[5:16]} {where}")
    return found


@pytest.mark.parametrize(
    ("segments", "hoped"),
    [
        (  # arrived: the arrival, not the departure that is told beside it
            ("STS+1+1'", "DTM+186:202003141000UTC:303'", "DTM+178:202003281000UTC:303'", *SHIP),
            ["1 arrived actual 03-28T10:00 USLAX", "DTM/186 departed actual 03-14T10:00 CNSHA"],
        ),
        (  # delivered: not when the vessel came
            ("STS+1+21'", "DTM+178:202003271000UTC:303'", "DTM+35:202003291000UTC:303'", *SHIP, "LOC+7+USLGB:139:6'"),
            ["21 delivered actual 03-29T10:00 USLGB", "DTM/178 arrived actual 03-27T10:00 USLAX"],
        ),
        (  # discharged: not when the vessel came
            ("STS+1+29'", "DTM+178:202003271000UTC:303'", "DTM+7:202003281000UTC:303'", *SHIP),
            ["29 discharged actual 03-28T10:00 USLAX", "DTM/178 arrived actual 03-27T10:00 USLAX"],
        ),
        (  # departed, when is not told; the arrival is expected
            ("STS+1+24'", "DTM+132:202004051000UTC:303'", *SHIP),
            ["no_time", "DTM/132 arrived estimated 04-05T10:00 USLAX"],
        ),
        (
            ("STS+1+24'", "DTM+136:202003141000UTC:303'", "DTM+132:202004051000UTC:303'", *SHIP),
            ["24 departed actual 03-14T10:00 CNSHA", "DTM/132 arrived estimated 04-05T10:00 USLAX"],
        ),
        (  # discharged, when is not told
            ("STS+1+29'", "DTM+178:202003271000UTC:303'", *SHIP),
            ["no_time", "DTM/178 arrived actual 03-27T10:00 USLAX"],
        ),
        (  # a hold is placed when it is placed
            ("STS+1+17'", "DTM+178:202003271000UTC:303'", *SHIP),
            ["no_time", "DTM/178 arrived actual 03-27T10:00 USLAX"],
        ),
        (("STS+1+13'", "DTM+200:202003291000UTC:303'", SEA), ["13 gate_out actual 03-29T10:00 None"]),
        (("STS+1+130'", "DTM+200:202003111000UTC:303'", SEA), ["130 received actual 03-11T10:00 None"]),
        (  # expected: 334 is when that was said
            ("STS+1+361'", "DTM+334:202003291000UTC:303'", "DTM+17:202004021000UTC:303'"),
            ["361 delivered estimated 04-02T10:00 None"],
        ),
        (  # what was expected before it came is told as that
            ("STS+1+1'", "DTM+178:202003281000UTC:303'", "DTM+132:202003271000UTC:303'", *SHIP),
            ["1 arrived actual 03-28T10:00 USLAX", "DTM/132 arrived estimated 03-27T10:00 USLAX"],
        ),
        (  # news that move nothing take the time that there is
            ("STS+1+48'", "DTM+186:202003141000UTC:303'", SEA),
            ["48 None actual 03-14T10:00 None"],
        ),
        (  # of the legs' ends only the one that it is about
            (
                *("STS+1+1'", SEA, "LOC+9+CNSHA:139:6'", "DTM+178:202003101000UTC:303'"),
                *("LOC+11+USLAX:139:6'", "DTM+178:202003281000UTC:303'"),
            ),
            ["1 arrived actual 03-28T10:00 USLAX", "DTM/178 None actual 03-10T10:00 CNSHA"],
        ),
    ],
)
def test_the_time_is_that_of_what_the_code_says(segments: tuple[str, ...], hoped: list[str]) -> None:
    assert said(*segments) == hoped


@pytest.mark.parametrize(
    ("code", "locs", "place"),
    [
        ("1", "LOC+9+CNSHA:139:6'LOC+11+USLAX:139:6'", "USLAX"),
        ("24", "LOC+11+USLAX:139:6'LOC+9+CNSHA:139:6'", "CNSHA"),
        ("29", "LOC+9+CNSHA:139:6'LOC+11+USLAX:139:6'LOC+7+USLGB:139:6'", "USLAX"),
        ("21", "LOC+9+CNSHA:139:6'LOC+11+USLAX:139:6'LOC+7+USLGB:139:6'", "USLGB"),
        ("130", "LOC+11+USLAX:139:6'LOC+9+CNSHA:139:6'", "CNSHA"),
        ("1", "LOC+9+CNSHA:139:6'LOC+175+USOAK:139:6'LOC+11+USLAX:139:6'", "USOAK"),
        ("1", "LOC+175+USOAK:139:6'LOC+11+USLAX:139:6'", "USOAK"),
        ("1", "LOC+9+CNSHA:139:6'", "CNSHA"),  # the only one: it came to the port of loading
    ],
)
def test_the_place_is_that_of_what_the_code_says(code: str, locs: str, place: str) -> None:
    event = event_of(iftsta(f"STS+1+{code}'", "DTM+334:202003280630:203'", locs, SEA))

    assert event.place is not None and event.place.unlocode == place
    assert event.occurred_at.utcoffset() == timedelta(hours=8 if place == "CNSHA" else -7)


def test_of_places_none_of_which_is_where_it_happened_none_is_taken() -> None:
    event = event_of(iftsta("STS+1+12'", "DTM+334:202003280630UTC:303'", "LOC+9+CNSHA:139:6'", "LOC+11+USLAX:139:6'"))

    assert (event.place, codes(event)) == (None, ["places_contradict"])


@pytest.mark.parametrize(
    ("code", "times", "moment", "warned"),
    [
        ("1", "DTM+334:202003281000UTC:303'DTM+178:202003280900UTC:303'", "2020-03-28T10:00:00+00:00", ["times_contradict"]),
        ("1", "DTM+334:202003281000UTC:303'DTM+178:20200328:102'", "2020-03-28T10:00:00+00:00", []),
        ("21", "DTM+334:202003281000UTC:303'DTM+35:202003280900UTC:303'", "2020-03-28T10:00:00+00:00", ["times_contradict"]),
        ("24", "DTM+334:202003281000UTC:303'DTM+17:202004020900UTC:303'", "2020-03-28T10:00:00+00:00", ["time_not_used"]),
    ],
)
def test_no_time_is_dropped_in_silence(code: str, times: str, moment: str, warned: list[str]) -> None:
    (event,) = read_text(iftsta(f"STS+1+{code}'", times, SEA), LATE).events

    assert (event.occurred_at.isoformat(), codes(event)) == (moment, warned)


def test_references_of_every_kind() -> None:
    rffs = [
        *("RFF+MB:COSU1'", "RFF+BH:HOUSE1'", "RFF+AWB:02012345675'", "RFF+CN:PRO1'", "RFF+ON:PO1'", "RFF+CU:HOSP-2020-7'"),
        *("RFF+CU:plain'", f"RFF+EQ:{BOX}'", "RFF+XYZ:1'", "GIN+BJ+395200000000000017:395200000000000024'"),
    ]
    event = event_of(iftsta("STS+1+21'", *rffs, "DTM+334:202003150630UTC:303'"))

    assert [(reference.kind, reference.value) for reference in event.references] == [
        ("bill_of_lading", "COSU6250011"),
        ("bill_of_lading", "COSU1"),
        ("bill_of_lading", "HOUSE1"),
        ("air_waybill", "020-12345675"),
        ("pro_number", "PRO1"),
        ("purchase_order", "PO1"),
        ("consignment", "HOSP-2020-7"),
        ("container", BOX),
        ("sscc", "395200000000000017"),
        ("sscc", "395200000000000024"),
    ]


def test_a_consignment_by_air_is_found_by_its_waybill_and_counts_its_pieces() -> None:
    text = iftsta("CNT+11:20'", "STS+1+24'", "DTM+334:202003150630UTC:303'", "TDT+20+LH456+4++LH:172:3'", "CNT+8:8'")
    event = event_of(text.replace("COSU6250011", "020-12345675"))

    assert [(reference.kind, reference.value) for reference in event.references] == [("air_waybill", "020-12345675")]
    assert (event.mode, event.transport and event.transport.flight, event.milestone) == ("air", "LH456", "departed")
    assert event.pieces is not None and (event.pieces.this, event.pieces.total) == (8, 20)


def test_the_same_status_sent_again_in_another_message_is_the_same_event() -> None:
    status = ("STS+1+24'", "DTM+334:202003150630UTC:303'", SEA, "LOC+11+USLAX:139:6'", "DTM+132:202003290900UTC:303'")
    one, two = (
        read_text(iftsta(*status, begin=f"BGM+23+{number}+9'DTM+137:2020033{number}0000:203'", number=number), LATE).events
        for number in (0, 1)
    )

    assert (one[0].event_id, one[0].revision) == (two[0].event_id, two[0].revision)
    assert one[1].event_id != two[1].event_id, "an estimate that is told again is news"


@pytest.mark.parametrize("function", ["1", "3"])
def test_a_cancellation_withdraws_what_the_same_words_said(function: str) -> None:
    status = ("STS+1+24'", "DTM+334:202003150630UTC:303'", SEA)
    said = event_of(iftsta(*status))
    withdrawn = event_of(iftsta(*status, begin=f"BGM+23+2+{function}'DTM+137:202003301200:203'"))

    assert withdrawn.event_id == said.event_id
    assert (said.retracted, withdrawn.retracted) == (False, True)
    assert said.revision.at is None
    assert withdrawn.revision.at == datetime(2020, 3, 30, 12, tzinfo=UTC)
    assert codes(withdrawn) == ["zone_assumed"]


ARRIVES = ("STS+1+24'", "DTM+334:202003150630UTC:303'", SEA, "LOC+11+USLAX:139:6'", "DTM+132:202004020900UTC:303'")


def estimate(begin: str, number: int, *status: str) -> ShipmentEvent:
    (found,) = (
        e for e in read_text(iftsta(*(status or ARRIVES), begin=begin, number=number), LATE).events if e.code == "DTM/132"
    )
    return found


@pytest.mark.parametrize("begin", ["BGM+23+M7+1'DTM+137:202003301200:203'", "BGM+23+M9+1'DTM+137:202003301200:203'RFF+ACW:M7'"])
def test_a_cancellation_withdraws_the_estimate_of_the_message_that_it_names(begin: str) -> None:
    said = estimate("BGM+23+M7+9'DTM+137:202003300800:203'", 1)
    again = estimate("BGM+23+M8+9'DTM+137:202003301000:203'", 2)
    withdrawn = estimate(begin, 3)

    assert (withdrawn.event_id, withdrawn.retracted) == (said.event_id, True)
    assert withdrawn.event_id != again.event_id, "what another message said stands"
    assert said.revision.at is not None and withdrawn.revision.at is not None
    assert said.revision.at < withdrawn.revision.at


def test_an_estimate_that_returns_to_an_earlier_value_is_the_newest_even_of_one_number() -> None:
    other = [segment.replace("04020900", "04030900") for segment in ARRIVES]
    first, second, third = (
        estimate(f"BGM+23+7+9'DTM+137:20200330{hour}00:203'", hour, *status)
        for hour, status in ((10, ARRIVES), (11, other), (12, ARRIVES))
    )

    assert first.event_id == third.event_id != second.event_id
    assert [event.revision.at and event.revision.at.hour for event in (first, second, third)] == [10, 11, 12]


def test_a_withdrawn_gate_move_is_told_by_the_time_of_its_interchange_if_need_be() -> None:
    content = (FIXTURES / "edifact_codeco.edi").read_text().replace("BGM*36*G1*9~", "BGM*36*G1*3~")
    event = read_text(content, context_at("2020-03-31T00:00:00Z")).events[0]

    assert event.retracted
    assert event.updated_at == datetime(2020, 3, 30, 9, tzinfo=UTC)


@pytest.mark.parametrize("release", ["D:96A", "D:97B", "D:99B", "D:00B", "D:01C", "D:04A", "D:10B", "2:912", "S:93A"])
def test_releases_that_are_known(release: str) -> None:
    event = event_of(iftsta("STS+1+21'", "DTM+334:202003150630UTC:303'", release=release))

    assert codes(event) == (["unknown_release"] if release == "D:01C" else [])


@pytest.mark.parametrize("kind", [*OTHERS, "XYZABC"])
def test_messages_that_carry_no_status_are_named_and_cost_only_themselves(kind: str) -> None:
    other = f"UNH+2+{kind}:D:00B:UN'BGM+1+1'UNT+3+2'"
    reading = read_text(PLAIN.replace("UNZ+1", other + "UNZ+2"), LATE)

    assert [event.code for event in reading.events] == ["24"]
    (problem,) = reading.problems
    assert (problem.code, problem.where) == ("not_a_status_message", "segment 11 (UNH)")
    assert problem.text.startswith(f"{kind} is {OTHERS.get(kind, 'not a status message')}; read are ")
    assert problem.payload == f"UNH+2+{kind}:D:00B:UN'\nBGM+1+1".encode()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("UNH+2+IFTSTA:D:00B:UN'BGM+23+1'UNT+3+2'", "no_status"),
        ("UNH+2+COARRI:D:00B:UN'BGM+44+1'UNT+3+2'", "no_container"),
        ("UNH+2+CODECO:D:00B:UN'EQD+CN+MRSU4371639'UNT+3+2'", "missing_segment"),
        ("UNH+2'BGM+23+1'UNT+3+2'", "not_a_status_message"),
    ],
)
def test_a_bad_message_costs_one(message: str, code: str) -> None:
    reading = read_text(PLAIN.replace("UNZ+1", message + "UNZ+2"), LATE)

    assert [event.code for event in reading.events] == ["24"]
    assert [problem.code for problem in reading.problems] == [code]


def test_a_container_whose_owner_has_a_code_of_his_own_report_is_read_by_the_map() -> None:
    made = CodeMap("LAAPMT", "edifact.codeco", 1, "", None, {"98": Meaning("gated out", "gate_out")}, "a test", "x")
    context = context_at("2020-03-31T00:00:00Z", "LAAPMT", registers=Registers.of([], [], CodeMaps.of([made])))
    events = read_text((FIXTURES / "edifact_codeco.edi").read_bytes(), context).events

    assert [(event.code, event.milestone, event.mapped) for event in events][-1] == ("98", "gate_out", True)
