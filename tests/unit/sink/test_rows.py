"""Records to rows: every example of every sunk contract, rubbish, and the same row for the same record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from schemas import (
    alerts_v1,
    consignment_command_v1,
    dead_letter_v1,
    raw_message_v1,
    registers_v1,
    shipment_event_v1,
    work_act_v1,
)
from schemas.journey_change_v1 import JourneyClosed
from schemas.journey_v1 import Clock, Feed, Journey
from schemas.topics import JOURNEY_CHANGES, JOURNEYS, RAW_MESSAGES, SENDERS, TOPICS, Topic
from services.runtime import wire
from services.runtime.sources import Record
from services.sink import contracts, rows
from services.sink.migrate import folder
from services.sink.rows import LOG_TABLES, STATE_COLUMNS, STATE_TOPICS, closed_journey, ms, state_row
from tests.unit.sink.examples import UNIT, journey, milestone_reached

AT = datetime(2020, 4, 12, tzinfo=UTC)
MODULES = (alerts_v1, consignment_command_v1, dead_letter_v1, registers_v1, shipment_event_v1, work_act_v1)


def examples() -> Iterator[tuple[Topic, BaseModel]]:
    """Every example that a sunk topic may hold, and ours of journeys."""
    found: list[BaseModel] = [example for module in MODULES for example in module.EXAMPLES]
    found += [journey(), milestone_reached("LACDHS-1", "ab" * 16), Clock(consignment="clock:0", version=1)]
    for topic in TOPICS:
        if topic.sunk and topic is not RAW_MESSAGES:
            yield from ((topic, example) for example in found if type(example) in topic.records)


def record(topic: Topic, value: bytes | None, **said: object) -> Record:
    base = {
        "topic": topic.name,
        "partition": 2,
        "offset": 7,
        "timestamp_ms": 1_586_700_000_000,
        "key": b"k",
        "value": value,
        "headers": None,
    }
    return Record(**(base | said))  # type: ignore[arg-type]  # the fields above


@pytest.mark.parametrize(("topic", "example"), list(examples()), ids=lambda value: getattr(value, "name", type(value).__name__))
def test_every_example_has_a_row_of_the_right_width(topic: Topic, example: BaseModel) -> None:
    key = shipment_event_v1.CONTROL_KEY if isinstance(example, shipment_event_v1.ControlRecord) else b"k"
    given_record = record(topic, wire.dump(example), key=key)
    if topic.name in STATE_TOPICS:
        state = state_row(given_record)
        assert state is not None
        assert state.table != "undecodable_states"
        assert len(state.values) == len(STATE_COLUMNS[state.table])
    else:
        table = LOG_TABLES[topic.name]
        row = table.row(given_record)
        assert row[-1] is False
        assert len(row) == len(table.names)
        assert row[:4] == (topic.name, 2, 7, 1_586_700_000_000)
        assert row == table.row(given_record)


@pytest.mark.parametrize("table", LOG_TABLES.values(), ids=lambda table: table.table)
@pytest.mark.parametrize("value", [None, b"", b"{", b"null", b"\xff\xfe", b'{"sender": 5}', b"[" * 2000, b"1e999"])
def test_rubbish_is_a_row_with_its_bytes(table: rows.LogTable, value: bytes | None) -> None:
    row = table.row(Record(table.topic, 0, 1, -1, b"~control", value, None))
    assert len(row) == len(table.names)
    assert row[-1] is True
    assert row[-2] == (value or b"")
    assert row[3] == 0


@given(st.binary(max_size=200))
def test_no_bytes_make_a_row_fail(value: bytes) -> None:
    for table in LOG_TABLES.values():
        assert len(table.row(Record(table.topic, 0, 1, 0, b"k", value, [("lovla-kind", b"\xff")]))) == len(table.names)
    for topic in STATE_TOPICS:
        assert state_row(Record(topic, 0, 1, 0, b"k", value, None)) is not None


def test_numbers_too_large_for_a_column_make_the_record_undecodable_not_the_block() -> None:
    change = json.loads(wire.dump(milestone_reached("LACDHS-1", "ab" * 16)))
    for name, value in (("version", 2**64), ("version", -1), ("ordinal", 2**63), ("tier", 300)):
        row = LOG_TABLES[JOURNEY_CHANGES.name].row(record(JOURNEY_CHANGES, json.dumps(change | {name: value}).encode()))
        assert row[-1] is True, name


def test_times_beyond_what_clickhouse_shows_are_cut_to_its_bounds() -> None:
    assert ms(datetime(1, 1, 1, tzinfo=UTC)) == ms(datetime(1900, 1, 1, tzinfo=UTC))
    assert ms(datetime(9999, 1, 1, tzinfo=UTC)) == ms(datetime(2299, 12, 31, tzinfo=UTC))
    assert ms(datetime(2020, 4, 12, 8, 20, 5, 999_999, tzinfo=UTC)) == 1_586_679_605_999


def test_a_raw_message_keeps_its_bytes_and_headers() -> None:
    meta = raw_message_v1.EXAMPLES[1]
    assert isinstance(meta, raw_message_v1.RawMessage)
    table = LOG_TABLES[RAW_MESSAGES.name]
    row = dict(zip(table.names, table.row(record(RAW_MESSAGES, b"\x00\xff", headers=wire.raw_headers(meta))), strict=True))
    assert (row["payload"], row["payload_bytes"], row["kind"], row["sender"]) == (b"\x00\xff", 2, "amendment", "LACDHS")
    assert row["received_at"] == row["k_time"]
    assert row["consignment"] == "LACDHS-0001"
    assert ("lovla-if_match", "1") in row["headers"]  # type: ignore[operator]  # a list


def test_the_newest_state_of_what_left_a_register_is_that_it_is_gone() -> None:
    state = state_row(record(SENDERS, None, key=b"MAEU"))
    assert state is not None
    assert dict(zip(STATE_COLUMNS["senders"], state.values, strict=True))["deleted"] == 1


def test_a_journeys_tombstone_is_not_sunk_so_its_last_state_can_still_be_asked_for() -> None:
    assert state_row(record(JOURNEYS, None)) is None


def test_a_journey_is_found_by_what_it_declares_and_what_links_and_moves_are_what_decides() -> None:
    said = journey(
        declared={"references": [{"kind": "purchase_order", "value": "PO77"}, {"kind": "container", "value": "MRSU4371639"}]}
    )
    state = state_row(record(JOURNEYS, wire.dump(said)))
    assert state is not None
    row = dict(zip(STATE_COLUMNS["journeys"], state.values, strict=True))
    assert row["references"] == [
        ("container", "MRSU4371639", "declared"),
        ("bill_of_lading", "MAEU203990011", "learned"),
        ("purchase_order", "PO77", "declared"),
    ]
    assert row["moves"] == [(UNIT, "discharged", "", ms(datetime(2020, 4, 11, 16, 40, tzinfo=UTC)), "MAEU")]
    assert row["open_kinds"] == ["late"]
    assert Journey.model_validate_json(row["record"]) == said  # type: ignore[arg-type]  # bytes


def test_a_closed_journey_gives_the_row_its_journey_would_have_given() -> None:
    closed = JourneyClosed.model_validate(
        {
            "change_id": "ab" * 16,
            "consignment": "LACDHS-0001",
            "version": 1,
            "ordinal": 0,
            "cause": "live",
            "at": AT,
            "journey": journey(),
        }
    )
    assert closed_journey(record(JOURNEY_CHANGES, wire.dump(closed))) == state_row(record(JOURNEYS, wire.dump(journey())))
    assert closed_journey(record(JOURNEY_CHANGES, wire.dump(milestone_reached("LACDHS-1", "ab" * 16)))) is None


def test_a_silent_feed_says_since_when() -> None:
    silent = journey().exceptions[0].model_copy(update={"key": "silent", "kind": "silent"})
    feed = Feed(
        consignment="feed:MAEU",
        sender="MAEU",
        sender_kind="ocean_carrier",
        version=3,
        cause="live",
        at=AT,
        last_event_at=AT,
        silent_after_h=6,
        exceptions=(silent,),
    )
    state = state_row(record(JOURNEYS, wire.dump(feed)))
    assert state is not None
    assert dict(zip(STATE_COLUMNS["feeds"], state.values, strict=True))["silent_since"] == ms(silent.start)


@pytest.mark.parametrize("name", contracts.READERS)
def test_the_structs_read_names_that_the_contracts_have(name: str) -> None:
    contract = next(model for topic in TOPICS for model in topic.records if model.__name__ == name)
    struct = contracts.READERS[name]
    for field in msgspec.structs.fields(struct):
        assert field.encode_name in contract.model_fields, field.name
        if field.required:
            assert contract.model_fields[field.encode_name].is_required() or name.startswith("Register"), field.name


def test_every_sunk_topic_has_its_tables() -> None:
    sunk = {topic.name for topic in TOPICS if topic.sunk}
    assert sunk == set(LOG_TABLES) | set(STATE_TOPICS)


def test_the_tables_columns_are_the_rows_columns() -> None:
    ddl = "\n".join(path.read_text() for path in sorted(folder().glob("*.sql")))
    for table, names in [(t.table, t.names) for t in LOG_TABLES.values()] + list(STATE_COLUMNS.items()):
        body = ddl.split(f"CREATE TABLE IF NOT EXISTS {table}\n(", 1)[1].split("\n)\nENGINE", 1)[0]
        columns = [
            line.split()[0]
            for line in body.splitlines()
            if line.startswith("    ") and line[4].isalpha() and not line.startswith("    INDEX")
        ]
        assert sorted(columns) == sorted(names), table
