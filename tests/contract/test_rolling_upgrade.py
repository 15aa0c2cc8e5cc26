"""During an upgrade old and new processes run side by side: a new optional field hurts neither.

*A newer writer and an older reader*: records of a contract with one more optional field, at the top and inside, as that
contract writes them, through the very decoders that our stages read with. *An older writer and a newer reader*: today's records
through a decoder with one more optional field. (With a real sink and table: tests/integration/sink/test_rolling_upgrade.py.)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel, create_model

from schemas import consignment_command_v1, journey_change_v1, journey_v1, registers_v1, shipment_event_v1
from schemas.compatibility import breaks
from schemas.dead_letter_v1 import EXAMPLES as LETTERS
from schemas.raw_message_v1 import EXAMPLES as RAW
from schemas.raw_message_v1 import RawMessage, Tick
from schemas.topics import TOPICS
from services.ingest.outcomes import Outcomes
from services.runtime import wire
from services.runtime.register import RegisterView
from services.runtime.settings import Settings
from services.runtime.sources import Record
from services.sink import contracts
from services.sink.rows import LOG_TABLES, STATE_TOPICS, state_row
from services.tracker import records

EXAMPLES: list[BaseModel] = [
    *shipment_event_v1.EXAMPLES,
    *consignment_command_v1.EXAMPLES,
    *journey_v1.EXAMPLES,
    *journey_change_v1.EXAMPLES,
    *registers_v1.EXAMPLES,
    *LETTERS,
]
TOPIC_OF = {model: topic for topic in TOPICS for model in topic.records}


def newer(example: BaseModel) -> bytes:
    """The record as a writer one release ahead would write it: one more field in it, and one in everything inside."""

    def more(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: more(inner) for name, inner in value.items()} | {"colour": "green"}
        return [more(inner) for inner in value] if isinstance(value, list) else value

    grown = create_model("Grown", __base__=type(example), colour=(str | None, None))
    was, now = (each.model_json_schema(mode="serialization") for each in (type(example), grown))
    assert breaks("grown", was, now) == [], "a new optional field is no breaking change"
    written = json.loads(wire.dump(grown.model_validate(example.model_dump() | {"colour": "blue"})))
    assert written["colour"] == "blue"
    # maps (parties, plans) have no fields of ours: only objects of a contract grow
    return json.dumps(
        {name: value if name in MAPS else more(value) for name, value in written.items()} | {"colour": "blue"}
    ).encode()


MAPS = {"declaration", "ticks", "parked", "unparked", "journey"}
TRACKER: dict[type[BaseModel], Callable[[bytes], Any]] = {
    shipment_event_v1.ShipmentEvent: records.decode_event,
    shipment_event_v1.ControlRecord: records.decode_control,
    journey_v1.Journey: records.decode_journey_record,
    journey_v1.Feed: records.decode_journey_record,
    journey_v1.Clock: records.decode_journey_record,
    **{type(example): records.decode_command for example in consignment_command_v1.EXAMPLES},
}


@pytest.mark.parametrize("example", [e for e in EXAMPLES if type(e) in TRACKER], ids=lambda e: type(e).__name__)
def test_an_older_tracker_reads_what_a_newer_writer_says(example: BaseModel) -> None:
    decode = TRACKER[type(example)]
    assert decode(newer(example)) == decode(wire.dump(example))


@pytest.mark.parametrize("example", [e for e in EXAMPLES if TOPIC_OF[type(e)].sunk], ids=lambda e: type(e).__name__)
def test_an_older_sink_gives_the_same_row_and_keeps_the_new_field_in_the_record(example: BaseModel) -> None:
    topic = TOPIC_OF[type(example)].name
    key = b"~control" if isinstance(example, shipment_event_v1.ControlRecord) else b"k"
    old, new = (Record(topic, 0, 5, 9, key, value, None) for value in (wire.dump(example), newer(example)))
    if topic in STATE_TOPICS:
        was, now = state_row(old), state_row(new)
        assert (was is None) == (now is None)
        if was is not None and now is not None:
            assert was.table == now.table
            assert was.values[:-1] == now.values[:-1]
            assert now.values[-1] == new.value
        return
    table = LOG_TABLES[topic]
    before, after = (dict(zip(table.names, table.row(record), strict=True)) for record in (old, new))
    assert after.pop(table.body) == new.value
    before.pop(table.body)
    assert after == before
    assert after["undecodable"] is False


@pytest.mark.parametrize("example", RAW, ids=lambda e: type(e).__name__)
def test_older_readers_take_the_headers_and_ticks_of_a_newer_door(example: RawMessage | Tick) -> None:
    if isinstance(example, RawMessage):
        headers = [*wire.raw_headers(example), ("lovla-colour", b"blue")]
        assert wire.raw_meta(headers) == example
    else:
        assert Tick.model_validate_json(newer(example), extra="ignore") == example


def test_an_older_view_of_a_register_keeps_the_sender_that_a_newer_command_wrote(settings_of_nowhere: Settings) -> None:
    class Said:
        def __init__(self, value: bytes) -> None:
            self._value = value

        def value(self) -> bytes:
            return self._value

        def offset(self) -> int:
            return 1

    for example in registers_v1.EXAMPLES:
        view = RegisterView(settings_of_nowhere, TOPIC_OF[type(example)].name, type(example))
        assert view._read("k", Said(newer(example))) == example  # type: ignore[arg-type]  # the client's class cannot be made


def test_receipts_of_an_older_api_know_what_a_newer_tracker_judged(settings_of_nowhere: Settings) -> None:
    (judged,) = [e for e in journey_change_v1.EXAMPLES if isinstance(e, journey_change_v1.CommandJudged)][:1]
    outcomes = Outcomes(settings_of_nowhere)
    outcomes.take(newer(judged), datetime(2026, 11, 21, tzinfo=UTC))
    assert outcomes.get(judged.command_id) == judged


@pytest.fixture
def settings_of_nowhere() -> Settings:
    return Settings(kafka="127.0.0.1:1")


STRUCTS: list[tuple[type[msgspec.Struct], type[BaseModel]]] = [
    (records.Event, shipment_event_v1.ShipmentEvent),
    (records.Command, consignment_command_v1.RegisterConsignment),
    (records.Journey, journey_v1.Journey),
    (contracts.Event, shipment_event_v1.ShipmentEvent),
    (contracts.Command, consignment_command_v1.RegisterConsignment),
    (contracts.Change, journey_change_v1.MilestoneReached),
    (contracts.Journey, journey_v1.Journey),
]


@pytest.mark.parametrize(("struct", "model"), STRUCTS, ids=lambda each: f"{each.__module__}.{each.__name__}")
def test_a_newer_reader_takes_what_an_older_writer_left_out(struct: type[msgspec.Struct], model: type[BaseModel]) -> None:
    grown = msgspec.defstruct("Grown", [("colour", str | None, None)], bases=(struct,), frozen=True, kw_only=True)
    example = next(each for each in EXAMPLES if type(each) is model)
    read = msgspec.json.decode(wire.dump(example), type=grown)
    assert read.colour is None  # type: ignore[attr-defined]  # made a line above
    again = msgspec.json.decode(newer(example), type=grown)
    assert again.colour == "blue"  # type: ignore[attr-defined]
