"""Event ids and revisions: repeats change nothing, overrides win, unrelated things do not matter."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.shipment_event_v1 import ShipmentEvent
from services.ingest.readers import Registers
from tests.security import fuzz
from tests.unit.readers.helpers import FIXTURES, context_at, expected, read_text, sha

AT = "2020-04-01T00:00:00Z"
DISCHARGED: dict[str, Any] = {
    "eventID": "e-1",
    "eventCreatedDateTime": "2020-03-30T00:00:00Z",
    "eventType": "EQUIPMENT",
    "eventClassifierCode": "ACT",
    "eventDateTime": "2020-03-29T00:00:00Z",
    "equipmentEventTypeCode": "DISC",
    "equipmentReference": "MRSU4371639",
    "emptyIndicatorCode": "LADEN",
}


def one(event: dict[str, Any], sender: str = "MAEU") -> ShipmentEvent:
    """The event of a DCSA message of one."""
    return read_text(json.dumps([event]), context_at(AT, sender)).events[0]


def order(event: ShipmentEvent) -> tuple[Any, ...]:
    """What revisions are compared by."""
    return (event.revision.at is not None, event.revision.at, event.revision.reader, event.revision.content)


def without_id(**changes: Any) -> dict[str, Any]:
    """The DCSA event without its own id."""
    return {key: value for key, value in (DISCHARGED | changes).items() if key != "eventID"}


def test_a_place_in_no_country_is_kept_with_a_warning() -> None:
    sound, strange = (one(DISCHARGED | {"eventLocation": {"UNLocationCode": code}}) for code in ("USLAX", "ZZLAX"))

    assert strange.place is not None
    assert strange.place.unlocode == "ZZLAX"
    assert [warning.code for warning in strange.warnings if warning.code == "unknown_country"] == ["unknown_country"]
    assert "ZZ" in next(warning.text for warning in strange.warnings if warning.code == "unknown_country")
    assert "unknown_country" not in {warning.code for warning in sound.warnings}


@pytest.mark.parametrize("code", ["USLAX", "CNSHA", "KRPUS", "TWKHH", "XZNES", "AQMCM"])
def test_every_country_of_iso_3166_and_the_high_sea_is_one(code: str) -> None:
    event = one(DISCHARGED | {"eventLocation": {"UNLocationCode": code}})

    assert "unknown_country" not in {warning.code for warning in event.warnings}


def test_the_senders_own_id_with_a_later_time_overrides() -> None:
    first = one(DISCHARGED)
    later = one(DISCHARGED | {"eventDateTime": "2020-03-29T02:00:00Z", "eventUpdatedDateTime": "2020-03-30T01:00:00Z"})

    assert later.event_id == first.event_id
    assert order(later) > order(first)


def test_two_senders_with_the_same_own_id_are_two_events() -> None:
    assert one(DISCHARGED).event_id != one(DISCHARGED, "MSCU").event_id


def test_an_event_without_an_own_id_is_known_by_what_it_says_not_by_when_it_was_written() -> None:
    first = one(without_id())

    assert one(without_id(eventCreatedDateTime="2020-03-31T00:00:00Z")).event_id == first.event_id
    assert one(dict(reversed(without_id().items()))).event_id == first.event_id
    assert one(without_id(eventDateTime="2020-03-29T02:00:00Z")).event_id != first.event_id


def test_an_estimate_that_returns_to_an_earlier_value_is_news() -> None:
    estimate = without_id(eventClassifierCode="EST")

    again = estimate | {"eventCreatedDateTime": "2020-03-31T00:00:00Z"}
    assert one(again).event_id != one(estimate).event_id


def test_equals_in_one_message_are_told_apart_by_their_turn() -> None:
    twice = read_text(json.dumps([without_id(), without_id()]), context_at(AT)).events

    assert twice[0].event_id != twice[1].event_id
    assert twice[0].event_id == one(without_id()).event_id


def test_the_order_of_unrelated_events_does_not_change_their_ids() -> None:
    events = [without_id(equipmentReference=container) for container in ("MRSU4371639", "CSQU3054383", "TCLU1234568")]
    ids = {
        tuple(sorted(event.event_id for event in read_text(json.dumps(list(order_)), context_at(AT)).events))
        for order_ in itertools.permutations(events)
    }

    assert len(ids) == 1


@pytest.mark.parametrize("marker", ["ST*315", "AT7*"])
def test_what_stands_beside_a_status_does_not_change_its_id(marker: str) -> None:
    name = "x12_315.edi" if marker == "ST*315" else "x12_214.edi"
    text = (FIXTURES / name).read_text(encoding="ascii")
    context = context_at(AT)
    whole = {event.event_id for event in read_text(text, context).events}
    if marker == "ST*315":
        head, sets, tail = text[: text.index("ST*")], text[text.index("ST*") : text.index("GE*")], text[text.index("GE*") :]
        parts = ["ST*" + part for part in sets.split("ST*")[1:]]
        turned = head + "".join(reversed(parts)) + tail
    else:
        first, second = text.index("AT7*AF"), text.index("AT7*X2")
        third = text.index("AT7***AB")
        turned = text[:first] + text[second:third] + text[first:second] + text[third:]
    again = {event.event_id for event in read_text(turned, context).events}

    assert again == whole


def test_another_interchange_with_the_same_actual_status_is_a_repeat_and_with_the_same_estimate_is_news() -> None:
    text = (FIXTURES / "x12_315.edi").read_text(encoding="ascii")
    other = text.replace("000000077", "000000078")
    one_, two = (read_text(t, context_at(AT)).events for t in (text, other))

    for first, second in zip(one_, two, strict=True):
        assert (first.event_id == second.event_id) == (first.classifier == "actual")


@pytest.mark.parametrize("name", ["x12_214.edi", "x12_315.edi", "x12_322.edi", "edifact_iftsta.edi", "edifact_codeco.edi"])
def test_an_interchange_that_comes_twice_in_a_file_is_a_repeat(name: str) -> None:
    content = (FIXTURES / name).read_bytes().strip() + b"\n"
    once, twice = (read_text(content * times, context_at(AT)).events for times in (1, 2))

    assert [event.event_id for event in twice] == [event.event_id for event in once] * 2


def test_an_fsu_in_another_envelope_is_a_repeat_but_for_its_estimates() -> None:
    text = (FIXTURES / "fsu.txt").read_bytes().decode("ascii")
    bare = text[text.index("FSU/14") :]
    one_, two = (read_text(t, context_at(AT, "LH")).events for t in (text, bare))

    for first, second in zip(one_, two, strict=True):
        assert (first.event_id == second.event_id) == (first.classifier == "actual")


def test_a_facility_that_becomes_known_does_not_change_ids() -> None:
    for name in ("dcsa.json", "x12_315.edi", "x12_214.edi"):
        content = (FIXTURES / name).read_bytes()
        known = read_text(content, context_at(AT)).events
        unknown = read_text(content, context_at(AT, registers=Registers.empty())).events
        assert [event.event_id for event in known] == [event.event_id for event in unknown]


def test_a_retraction_by_the_own_id_meets_the_event_whatever_the_standard_it_was_sent_in() -> None:
    ours = {
        "id": "T-1",
        "milestone": "discharged",
        "occurred_at": AT,
        "references": [{"kind": "container", "value": "MRSU4371639"}],
    }
    event = read_text(json.dumps(ours), context_at(AT)).events[0]
    dcsa = one(DISCHARGED)
    retractions = [
        {"retracts": "T-1"},
        {"retracts": {"standard": "dcsa.2.2", "source_id": "e-1"}},
        {"retracts": dcsa.event_id},
        {"retracts": {"event_id": dcsa.event_id}},
    ]

    found = [e.retracts for e in read_text(json.dumps(retractions), context_at(AT), "lovla.1").events]
    assert found == [event.event_id, dcsa.event_id, dcsa.event_id, dcsa.event_id]


@pytest.mark.parametrize("name", sorted(file.name.partition(".")[0] for file in FIXTURES.glob("*.expected.json")))
def test_a_revisions_content_is_the_hash_of_what_the_event_says_and_of_nothing_else(name: str) -> None:
    """Worked out here from the event itself: who makes events faster must not make another content of the same words."""
    (file,) = (file for file in FIXTURES.glob(f"{name}.*") if ".expected." not in file.name)
    hoped = expected(name)
    context = context_at(hoped["received_at"], fuzz.SENDER, fuzz.KnowsMappings().known(), recorded_by="J. Doe")
    for event in read_text(file.read_bytes(), context).events:
        said = json.loads(event.model_dump_json(exclude_none=True))
        for ours in ("event_id", "revision", "reader_version", "received_at", "warnings", "raw", "cause"):
            del said[ours]
        if any(warning.code == "time_of_receipt" for warning in event.warnings):
            del said["occurred_at"]
        for time in ("occurred_at", "created_at", "updated_at"):
            if time in said:
                said[time] = datetime.fromisoformat(said[time]).astimezone(UTC).isoformat().replace("+00:00", "Z")
        said["references"] = [[reference.kind, reference.value] for reference in event.references]
        written = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        content = sha(written.encode())[:16] if not event.retracted else "f" * 16
        assert event.revision.content == content, written
