"""The tracker's msgspec structs say what the contracts in schemas/ say."""

from __future__ import annotations

import types
import typing

import msgspec
import pytest
from pydantic import BaseModel

from schemas import consignment_command_v1, journey_change_v1, journey_v1, shipment_event_v1
from services.tracker import records
from services.tracker.publishing import registration_of
from tests.unit.tracker import test_exceptions as stories
from tests.unit.tracker.build import BOX, at, event, quietly, receipt, register, tell, tracker

LEFT_OUT: dict[type[msgspec.Struct], set[str]] = {records.Event: {"source_id", "warnings"}}
OWN: dict[type[msgspec.Struct], set[str]] = {records.Event: {"first_received_at"}}
PAIRS: list[tuple[type[msgspec.Struct], type[BaseModel]]] = [
    (records.Ref, shipment_event_v1.Reference),
    (records.Place, shipment_event_v1.Place),
    (records.Transport, shipment_event_v1.Transport),
    (records.Pieces, shipment_event_v1.Pieces),
    (records.Hold, shipment_event_v1.Hold),
    (records.Revision, shipment_event_v1.Revision),
    (records.RawPointer, shipment_event_v1.RawPointer),
    (records.Event, shipment_event_v1.ShipmentEvent),
    (records.Control, shipment_event_v1.ControlRecord),
    (records.Item, consignment_command_v1.Item),
    (records.Packing, consignment_command_v1.Packing),
    (records.Leg, consignment_command_v1.Leg),
    (records.Route, consignment_command_v1.Route),
    (records.Declaration, consignment_command_v1.ConsignmentDeclaration),
    (records.ReceiptLine, consignment_command_v1.ReceiptLine),
    (records.JourneyReference, journey_v1.JourneyReference),
    (records.Statement, journey_v1.Statement),
    (records.MilestoneState, journey_v1.MilestoneState),
    (records.UnitState, journey_v1.UnitState),
    (records.HoldInterval, journey_v1.HoldState_),
    (records.ExceptionState, journey_v1.ExceptionState),
    (records.Claim, journey_v1.Claim),
    (records.DockReceipt, journey_v1.DockReceipt),
    (records.Delivered, journey_v1.Delivered),
    (records.Journey, journey_v1.Journey),
    (records.Feed, journey_v1.Feed),
    (records.Outage, journey_v1.Outage),
    (records.Clock, journey_v1.Clock),
    (records.Closed, journey_v1.Closed),
]


@pytest.mark.parametrize(("struct", "model"), PAIRS, ids=lambda each: each.__name__)
def test_the_struct_has_the_contracts_fields_and_defaults(struct: type[msgspec.Struct], model: type[BaseModel]) -> None:
    fields = {field.name: field for field in msgspec.structs.fields(struct)}
    expected = set(model.model_fields) - LEFT_OUT.get(struct, set()) - {"record"}
    assert set(fields) - OWN.get(struct, set()) == expected
    for name in expected:
        field = fields[name]
        assert field.required == model.model_fields[name].is_required(), name


def members(union: object) -> tuple[type[BaseModel], ...]:
    inner = typing.get_args(union)[0]
    assert isinstance(inner, types.UnionType)
    return typing.get_args(inner)


@pytest.mark.parametrize(
    ("struct", "union"),
    [(records.Command, consignment_command_v1.Command), (records.Change, journey_change_v1.Change)],
)
def test_the_joined_struct_holds_every_field_of_the_union(struct: type[msgspec.Struct], union: object) -> None:
    fields = {field.name for field in msgspec.structs.fields(struct)}
    assert fields == {name for model in members(union) for name in model.model_fields}


@pytest.mark.parametrize("example", shipment_event_v1.EXAMPLES, ids=lambda e: type(e).__name__)
def test_event_examples_survive_the_way_there_and_back(
    example: shipment_event_v1.ShipmentEvent | shipment_event_v1.ControlRecord,
) -> None:
    wire = example.model_dump_json(exclude_none=True).encode()
    if isinstance(example, shipment_event_v1.ControlRecord):
        back: BaseModel = shipment_event_v1.ControlRecord.model_validate_json(records.encode(records.decode_control(wire)))
        assert back == example
        return
    again = shipment_event_v1.ShipmentEvent.model_validate_json(records.encode(records.decode_event(wire)))
    assert again == example.model_copy(update={"warnings": (), "source_id": None})


@pytest.mark.parametrize("example", consignment_command_v1.EXAMPLES, ids=lambda e: e.command)
def test_command_examples_survive_the_way_there_and_back(example: consignment_command_v1.Command) -> None:
    wire = example.model_dump_json(exclude_none=True).encode()
    assert consignment_command_v1.COMMAND.validate_json(records.encode(records.decode_command(wire))) == example


def test_what_the_tracker_writes_is_what_the_contracts_promise() -> None:
    subject = tracker()
    outcomes = [
        tell(subject, register(), *stories.on_time(), receipt(900, at(19, 6), short=100)),
        tell(subject, event("gate_out", at(19), BOX, sender="SPDR")),
        quietly(subject, at(25)),
    ]
    written = 0
    for outcome in outcomes:
        for journey in outcome.journeys:
            journey_v1.JOURNEY_RECORD.validate_json(records.encode(journey))
            written += isinstance(journey, records.Journey)
        for change in outcome.changes:
            journey_change_v1.CHANGE.validate_json(records.encode(change))
            written += 1
    assert written > 10


def test_the_registration_is_the_first_part_of_a_journey() -> None:
    subject = tracker()
    tell(subject, register())
    journey = subject.state.journey("LACDHS-1")
    assert journey is not None
    assert registration_of(journey) == subject.state.declared["LACDHS-1"].registration


@pytest.mark.parametrize("example", journey_v1.EXAMPLES, ids=lambda e: type(e).__name__)
def test_journey_examples_survive_the_way_there_and_back(example: journey_v1.JourneyRecord) -> None:
    wire = example.model_dump_json(exclude_none=True).encode()
    assert journey_v1.JOURNEY_RECORD.validate_json(records.encode(records.decode_journey_record(wire))) == example
