"""From records to rows, pure: the same record gives the same row for ever, so that a block planned before a crash can be
built again after it (services/sink/logs.py). No clock, no random, no host.

A record that cannot be decoded is a row all the same, its bytes in `record`, `undecodable` true: nothing is dropped.
Times are whole milliseconds since 1970 UTC, as ClickHouse's DateTime64(3) keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from schemas.shipment_event_v1 import CONTROL_KEY
from schemas.topics import (
    ACKNOWLEDGEMENTS,
    CONSENT,
    CONSIGNMENT_COMMANDS,
    DEAD_LETTERS,
    DELIVERIES,
    FACILITIES,
    JOURNEY_CHANGES,
    JOURNEYS,
    NOTIFICATIONS,
    RAW_MESSAGES,
    SENDERS,
    SHIPMENT_EVENTS,
    WORK_ACTS,
)
from services.sink import contracts

if TYPE_CHECKING:
    from services.runtime.sources import Record

Row = tuple[object, ...]
"""Values in the order of a table's columns."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
# What DateTime64 can show: years 1900 to 2299. Beyond it a time is cut to the bound; `record` keeps the very text.
_LEAST_MS = (datetime(1900, 1, 1, tzinfo=UTC) - _EPOCH) // _MS
_MOST_MS = (datetime(2299, 12, 31, tzinfo=UTC) - _EPOCH) // _MS


def ms(moment: datetime) -> int:
    """Whole milliseconds since 1970, rounded down, within what DateTime64 can show."""
    since = moment - _EPOCH  # its parts added up: three times as fast as dividing it, and a row has several
    whole = since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000
    return whole if _LEAST_MS <= whole <= _MOST_MS else min(max(whole, _LEAST_MS), _MOST_MS)


def ms_or_none(moment: datetime | None) -> int | None:
    return None if moment is None else ms(moment)


_EVENT = msgspec.json.Decoder(contracts.Event)
_CONTROL = msgspec.json.Decoder(contracts.Control)
_COMMAND = msgspec.json.Decoder(contracts.Command)
_LETTER = msgspec.json.Decoder(contracts.Letter)
_CHANGE = msgspec.json.Decoder(contracts.Change)
_NOTIFICATION = msgspec.json.Decoder(contracts.Notification)
_DELIVERY = msgspec.json.Decoder(contracts.Delivery)
_ACKNOWLEDGEMENT = msgspec.json.Decoder(contracts.Acknowledgement)
_CONSENT = msgspec.json.Decoder(contracts.Consent)
_WORK_ACT = msgspec.json.Decoder(contracts.WorkAct)
_JOURNEY = msgspec.json.Decoder(contracts.Journey)
_JOURNEY_RECORD = msgspec.json.Decoder(contracts.Journey | contracts.Feed | contracts.Clock | contracts.Closed)
_SENDER = msgspec.json.Decoder(contracts.Sender)
_FACILITY = msgspec.json.Decoder(contracts.Facility)


# -- log tables ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LogTable:
    """One append-only topic's table. `decode` gives the values of `columns`."""

    topic: str
    table: str
    columns: Mapping[str, object]  # name -> the value of an undecodable record's row
    decode: Callable[[Record], Row]
    flush_s: float
    body: str = "record"  # the column that holds the record's own bytes

    @property
    def names(self) -> tuple[str, ...]:
        return ("k_topic", "k_partition", "k_offset", "k_time", *self.columns, self.body, "undecodable")

    def row(self, record: Record) -> Row:
        """The record's row. Never raises: what cannot be decoded gives a row that says so."""
        try:
            values, undecodable = self.decode(record), False
        except (msgspec.MsgspecError, ValueError):
            values, undecodable = tuple(self.columns.values()), True
        where = (record.topic, record.partition, record.offset, max(record.timestamp_ms, 0))
        return (*where, *values, record.value or b"", undecodable)


def _raw_message(record: Record) -> Row:
    headers = [(name, (value or b"").decode("utf-8", "backslashreplace")) for name, value in record.headers or ()]
    said = {name.removeprefix("lovla-"): value for name, value in headers if name.startswith("lovla-")}
    received_at = said.get("received_at")
    return (
        said["kind"] if "kind" in said else _missing("lovla-kind"),
        said["sender"] if "sender" in said else _missing("lovla-sender"),
        said.get("sha256", ""),
        said.get("content_type", ""),
        said.get("content_encoding", "identity"),
        said.get("standard", ""),
        ms(msgspec.convert(received_at, contracts.Moment)) if received_at else max(record.timestamp_ms, 0),
        said.get("cause", "live"),
        said.get("consignment", ""),
        said.get("recorded_by", ""),
        said.get("request_id", ""),
        headers,
        len(record.value or b""),
    )


def _missing(header: str) -> str:
    raise ValueError(f"header {header} is missing")


def _shipment_event(record: Record) -> Row:
    if record.key == CONTROL_KEY:
        return _control(record, _EVENT_DEFAULTS, "received_at")
    event = _EVENT.decode(record.value or b"")
    place, transport = event.place or contracts.Place(), event.transport or contracts.Transport()
    return (
        "event",
        event.sender,
        event.event_id,
        event.source_id or "",
        event.standard,
        event.code,
        event.milestone or "",
        event.mapped,
        event.classifier,
        ms(event.occurred_at),
        ms(event.received_at),
        ms(event.revision.at) if event.revision.at else 0,
        event.revision.reader,
        event.revision.content,
        [(reference.kind, reference.value) for reference in event.references],
        place.unlocode or "",
        place.facility or "",
        event.mode or "",
        transport.vessel or "",
        transport.imo or "",
        transport.voyage or "",
        transport.flight or "",
        event.retracts or "",
        event.retracted,
        [warning.code for warning in event.warnings],
        event.cause,
        event.recorded_by or "",
        event.raw.sha256,
        -1 if event.raw.partition is None else event.raw.partition,
        -1 if event.raw.offset is None else event.raw.offset,
        event.raw.position,
    )


def _control(record: Record, defaults: dict[str, object], time_column: str) -> Row:
    """A tick, or a sender parked or unparked: a row of that kind, all else empty."""
    control = _CONTROL.decode(record.value or b"")
    said: dict[str, object] = {"kind": control.control, "sender": control.sender or "", time_column: ms(control.at)}
    return tuple((defaults | said).values())


def _consignment_command(record: Record) -> Row:
    if record.key == CONTROL_KEY:
        return _control(record, _COMMAND_DEFAULTS, "received_at")
    command = _COMMAND.decode(record.value or b"")
    return (
        "command",
        command.consignment,
        command.command,
        command.command_id,
        command.sender,
        command.operator,
        command.recorded_by or "",
        ms(command.received_at),
        command.cause,
        -1 if command.raw.partition is None else command.raw.partition,
        -1 if command.raw.offset is None else command.raw.offset,
    )


def _dead_letter(record: Record) -> Row:
    letter = _LETTER.decode(record.value or b"")
    return (
        "letter",
        letter.sender,
        letter.letter_id,
        letter.stage,
        letter.reason,
        letter.where,
        letter.text,
        letter.standard or "",
        letter.topic,
        letter.partition,
        letter.offset,
        -1 if letter.raw_partition is None else letter.raw_partition,
        -1 if letter.raw_offset is None else letter.raw_offset,
        ms(letter.received_at),
        letter.retryable,
    )


def _journey_change(record: Record) -> Row:
    change = _CHANGE.decode(record.value or b"")
    wrong = change.exception
    return (
        change.change,
        change.consignment,
        change.version,
        change.ordinal,
        change.change_id,
        change.cause,
        ms(change.at) if change.at else 0,
        change.buyer or "",
        change.facility or "",
        change.tier or 0,
        change.milestone or (wrong.milestone if wrong else None) or "",
        ms_or_none(change.occurred_at),
        change.sender or "",
        wrong.key if wrong else "",
        wrong.kind if wrong else "",
        wrong.severity if wrong else "",
        ms(wrong.start) if wrong else None,
        ms_or_none(wrong.end) if wrong else None,
        wrong.sentence if wrong else "",
        change.command_id or "",
        change.command or "",
        change.reason or "",
    )


def _notification(record: Record) -> Row:
    said = _NOTIFICATION.decode(record.value or b"")
    return (said.subscription, said.notification, said.changes, ms(said.due_at), said.subject)


def _delivery(record: Record) -> Row:
    said = _DELIVERY.decode(record.value or b"")
    return (
        said.subscription,
        said.notification,
        said.attempt,
        said.state,
        said.provider or "",
        said.provider_ref or "",
        ms(said.at),
        said.text or "",
    )


def _acknowledgement(record: Record) -> Row:
    said = _ACKNOWLEDGEMENT.decode(record.value or b"")
    return (said.subscription, said.notification or "", said.code or "", ms(said.at), said.source or "", said.by or "")


def _consent(record: Record) -> Row:
    said = _CONSENT.decode(record.value or b"")
    return (said.subscription, said.act, ms(said.at), said.source or "")


def _work_act(record: Record) -> Row:
    said = _WORK_ACT.decode(record.value or b"")
    return (
        said.consignment,
        said.act,
        said.act_id,
        ms(said.at),
        said.by,
        said.sender,
        said.exceptions,
        said.assignee or "",
        ms_or_none(said.until),
        said.text or "",
        said.undoes or "",
    )


_RAW_DEFAULTS: Mapping[str, object] = {
    "kind": "undecodable",
    "sender": "",
    "sha256": "",
    "content_type": "",
    "content_encoding": "",
    "standard": "",
    "received_at": 0,
    "cause": "",
    "consignment": "",
    "recorded_by": "",
    "request_id": "",
    "headers": [],
    "payload_bytes": 0,
}
_EVENT_DEFAULTS: dict[str, object] = {
    "kind": "undecodable",
    "sender": "",
    "event_id": "",
    "source_id": "",
    "standard": "",
    "code": "",
    "milestone": "",
    "mapped": False,
    "classifier": "",
    "occurred_at": 0,
    "received_at": 0,
    "revision_at": 0,
    "revision_reader": 0,
    "revision_content": "",
    "references": [],
    "place_unlocode": "",
    "place_facility": "",
    "mode": "",
    "vessel": "",
    "imo": "",
    "voyage": "",
    "flight": "",
    "retracts": "",
    "retracted": False,
    "warnings": [],
    "cause": "",
    "recorded_by": "",
    "raw_sha256": "",
    "raw_partition": -1,
    "raw_offset": -1,
    "raw_position": "",
}
_COMMAND_DEFAULTS: dict[str, object] = {
    "kind": "undecodable",
    "consignment": "",
    "command": "",
    "command_id": "",
    "sender": "",
    "operator": False,
    "recorded_by": "",
    "received_at": 0,
    "cause": "",
    "raw_partition": -1,
    "raw_offset": -1,
}
_LETTER_DEFAULTS: dict[str, object] = {
    "kind": "undecodable",
    "sender": "",
    "letter_id": "",
    "stage": "",
    "reason": "",
    "place": "",
    "text": "",
    "standard": "",
    "source_topic": "",
    "source_partition": -1,
    "source_offset": -1,
    "raw_partition": -1,
    "raw_offset": -1,
    "received_at": 0,
    "retryable": False,
}
_CHANGE_DEFAULTS: dict[str, object] = {
    "kind": "undecodable",
    "consignment": "",
    "version": 0,
    "ordinal": 0,
    "change_id": "",
    "cause": "",
    "at": 0,
    "buyer": "",
    "facility": "",
    "tier": 0,
    "milestone": "",
    "occurred_at": None,
    "sender": "",
    "exception_key": "",
    "exception_kind": "",
    "severity": "",
    "exception_start": None,
    "exception_end": None,
    "sentence": "",
    "command_id": "",
    "command": "",
    "reason": "",
}

# Journeys' changes and what people did are what they wait for; the other logs are for looking back, and fewer parts are cheaper
# to merge.
SOON_S = 0.25
LATER_S = 2.0

LOG_TABLES: Mapping[str, LogTable] = {
    table.topic: table
    for table in (
        LogTable(RAW_MESSAGES.name, "raw_messages", _RAW_DEFAULTS, _raw_message, LATER_S, body="payload"),
        LogTable(SHIPMENT_EVENTS.name, "shipment_events", _EVENT_DEFAULTS, _shipment_event, LATER_S),
        LogTable(CONSIGNMENT_COMMANDS.name, "consignment_commands", _COMMAND_DEFAULTS, _consignment_command, LATER_S),
        LogTable(DEAD_LETTERS.name, "dead_letters", _LETTER_DEFAULTS, _dead_letter, LATER_S),
        LogTable(JOURNEY_CHANGES.name, "journey_changes", _CHANGE_DEFAULTS, _journey_change, SOON_S),
        LogTable(
            NOTIFICATIONS.name,
            "notifications",
            {"subscription": "", "notification": "", "changes": [], "due_at": 0, "subject": ""},
            _notification,
            LATER_S,
        ),
        LogTable(
            DELIVERIES.name,
            "deliveries",
            {
                "subscription": "",
                "notification": "",
                "attempt": 0,
                "state": "",
                "provider": "",
                "provider_ref": "",
                "at": 0,
                "text": "",
            },
            _delivery,
            LATER_S,
        ),
        LogTable(
            ACKNOWLEDGEMENTS.name,
            "alert_acknowledgements",
            {"subscription": "", "notification": "", "code": "", "at": 0, "source": "", "by": ""},
            _acknowledgement,
            LATER_S,
        ),
        LogTable(CONSENT.name, "consent", {"subscription": "", "act": "", "at": 0, "source": ""}, _consent, LATER_S),
        LogTable(
            WORK_ACTS.name,
            "work_acts",
            {
                "consignment": "",
                "act": "",
                "act_id": "",
                "at": 0,
                "by": "",
                "sender": "",
                "exceptions": [],
                "assignee": "",
                "until": None,
                "text": "",
                "undoes": "",
            },
            _work_act,
            SOON_S,
        ),
    )
}


# -- state tables -------------------------------------------------------------------------------------------------------


class StateRow(msgspec.Struct, frozen=True, gc=False):
    """A row of a table that keeps the newest of each key: inserting it again changes nothing."""

    table: str
    values: Row


STATE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "journeys": (
        "consignment",
        "version",
        "cause",
        "at",
        "buyer",
        "stage",
        "mode",
        "tier",
        "registered_at",
        "required_by",
        "milestone",
        "milestone_at",
        "place",
        "origin",
        "port",
        "facility",
        "terminal",
        "carrier",
        "vessel",
        "voyage",
        "expected_delivery",
        "expected_basis",
        "parties",
        "items",
        "delivered",
        "milestones",
        "units",
        "moves",
        "references",
        "exceptions",
        "open_kinds",
        "claims",
        "events",
        "last_event_at",
        "record",
    ),
    "feeds": (
        "sender",
        "version",
        "sender_kind",
        "at",
        "last_event_at",
        "silent_after_h",
        "silent_since",
        "sentence",
        "record",
    ),
    "clocks": ("clock", "version", "t", "record"),
    "senders": ("code", "version", "deleted", "kind", "name", "scac", "active", "silent_after_h", "record"),
    "facilities": (
        "code",
        "version",
        "deleted",
        "kind",
        "name",
        "unlocode",
        "iata",
        "zone",
        "city",
        "free_time_h",
        "record",
    ),
    "undecodable_states": ("k_topic", "k_partition", "k_offset", "k_time", "key", "record"),
}


def state_row(record: Record) -> StateRow | None:
    """The row of a compacted topic's record; None where a journey's last state stays to be asked for (tombstone, `closed:`)."""
    try:
        return _STATE_DECODERS[record.topic](record)
    except (msgspec.MsgspecError, ValueError):
        where = (record.topic, record.partition, record.offset, max(record.timestamp_ms, 0))
        return StateRow("undecodable_states", (*where, record.key or b"", record.value or b""))


def closed_journey(record: Record) -> StateRow | None:
    """The journeys row in a `closed` record of journey.changes: a rebuild finds journeys whose tombstone was written."""
    try:
        change = _CHANGE.decode(record.value or b"")
        if change.change != "closed":
            return None
        body = bytes(change.journey)
        return _journey_row(_JOURNEY.decode(body), body)
    except (msgspec.MsgspecError, ValueError):
        return None  # the log table's row says that it is undecodable


def _journeys(record: Record) -> StateRow | None:
    if record.value is None:
        return None
    said = _JOURNEY_RECORD.decode(record.value)
    if isinstance(said, contracts.Closed):
        return None
    if isinstance(said, contracts.Journey):
        return _journey_row(said, record.value)
    if isinstance(said, contracts.Feed):
        silent = next((e for e in said.exceptions if e.status == "open"), None)
        return StateRow(
            "feeds",
            (
                said.sender,
                said.version,
                said.sender_kind,
                ms_or_none(said.at),
                ms(said.last_event_at),
                said.silent_after_h,
                ms(silent.start) if silent else None,
                silent.sentence if silent else "",
                record.value,
            ),
        )
    t = min((ms(moment) for moment in said.ticks.values()), default=None)
    return StateRow("clocks", (said.consignment, said.version, t, record.value))


def _journey_row(journey: contracts.Journey, body: bytes) -> StateRow:
    declared = journey.declaration
    return StateRow(
        "journeys",
        (
            journey.consignment,
            journey.version,
            journey.cause,
            ms_or_none(journey.at),
            journey.buyer,
            journey.stage,
            journey.mode,
            declared.tier,
            ms(journey.registered_at),
            ms_or_none(declared.required_by),
            journey.milestone or "",
            ms_or_none(journey.milestone_at),
            journey.place or "",
            declared.route.origin or "",
            declared.route.port_of_discharge or "",
            declared.route.place_of_delivery or "",
            journey.terminal or declared.route.terminal or "",
            journey.carrier or declared.parties.get("carrier", ""),
            journey.vessel or "",
            journey.voyage or "",
            ms_or_none(journey.expected_delivery),
            journey.expected_basis,
            sorted(declared.parties.items()),
            [(i.line, i.category, i.description or "", i.quantity, i.unit, i.lot or "") for i in declared.items],
            [(d.line, d.good, d.basis) for d in journey.delivered],
            [
                (
                    m.milestone,
                    m.leg,
                    ms_or_none(m.planned),
                    ms_or_none(m.estimated),
                    ms_or_none(m.actual),
                    m.sender or "",
                    m.units_done,
                    m.units_total,
                )
                for m in journey.milestones
            ],
            [(u.unit, u.milestone or "", ms_or_none(u.at), u.place or "") for u in journey.units],
            [
                (s.unit, s.milestone, s.leg, ms(s.occurred_at), s.sender)
                for s in journey.statements
                if s.decides and s.classifier == "actual"
            ],
            _references(journey),
            [
                (
                    e.key,
                    e.kind,
                    e.milestone or "",
                    e.status,
                    e.severity,
                    ms(e.start),
                    ms_or_none(e.end),
                    e.late_h,
                    e.party or "",
                    e.sentence,
                )
                for e in journey.exceptions
            ],
            sorted({e.kind for e in journey.exceptions if e.status == "open"}),
            [(claim.sender, claim.event_id) for claim in journey.claims],
            journey.events,
            ms_or_none(journey.last_event_at),
            body,
        ),
    )


def _references(journey: contracts.Journey) -> list[tuple[str, str, str]]:
    """What the consignment can be found by: the references that link, and those it declares that never link (orders)."""
    linking = [(r.kind, r.value, r.how) for r in journey.references]
    known = {(kind, value) for kind, value, _ in linking}
    return linking + [(r.kind, r.value, "declared") for r in journey.declaration.references if (r.kind, r.value) not in known]


def _senders(record: Record) -> StateRow:
    if record.value is None:
        return StateRow("senders", (record.key or b"", record.offset, 1, "", "", "", False, None, b""))
    said = _SENDER.decode(record.value)
    values = (said.code, record.offset, 0, said.kind, said.name, said.scac or "", said.active, said.silent_after_h)
    return StateRow("senders", (*values, record.value))


def _facilities(record: Record) -> StateRow:
    if record.value is None:
        return StateRow("facilities", (record.key or b"", record.offset, 1, "", "", "", "", "", "", None, b""))
    said = _FACILITY.decode(record.value)
    values = (said.code, record.offset, 0, said.kind, said.name, said.unlocode or "", said.iata or "", said.zone)
    return StateRow("facilities", (*values, said.city or "", said.free_time_h, record.value))


_STATE_DECODERS: Mapping[str, Callable[[Record], StateRow | None]] = {
    JOURNEYS.name: _journeys,
    SENDERS.name: _senders,
    FACILITIES.name: _facilities,
}
STATE_TOPICS: tuple[str, ...] = tuple(_STATE_DECODERS)
