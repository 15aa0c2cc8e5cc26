"""What a replay writes for a raw record: the difference between what stands and what today's readers read."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.shipment_event_v1 import EXAMPLES, ShipmentEvent
from services.ingest.rereading import Found, Outcome, Standing, compare, retraction, revision_key

EVENT = next(event for event in EXAMPLES if isinstance(event, ShipmentEvent))


def read(content: str = "5" * 16, reader: int = 1, **fields: Any) -> ShipmentEvent:
    """The example event, as a reader of this version reads it."""
    revision = EVENT.revision.model_copy(update={"reader": reader, "content": content})
    return EVENT.model_copy(update={"revision": revision, "reader_version": reader} | fields)


def value(event: ShipmentEvent) -> bytes:
    return event.model_dump_json(exclude_none=True).encode()


def standing(*events: ShipmentEvent) -> Standing:
    stands = Standing()
    for event in events:
        stands.add_event(event.event_id, value(event))
    return stands


def kinds(outcome: Outcome) -> list[str]:
    return [difference.kind for difference in outcome.differences]


def test_what_is_read_as_it_stands_is_not_written_again() -> None:
    outcome = compare(standing(read()), Found([read()]))
    assert (outcome.differences, outcome.events, outcome.same) == ([], [], 1)


def test_a_newer_reader_that_says_the_same_says_nothing_new() -> None:
    outcome = compare(standing(read()), Found([read(reader=2, cause="refold")]))
    assert (kinds(outcome), outcome.events) == ([], [])


def test_an_event_that_did_not_stand_is_new() -> None:
    outcome = compare(standing(), Found([read()]))
    assert (kinds(outcome), outcome.events) == (["new"], [read()])


def test_what_a_newer_reader_reads_otherwise_is_a_revision_and_says_which_fields() -> None:
    newer = read(reader=2, milestone="arrived", content="0" * 16)
    outcome = compare(standing(read()), Found([newer]))
    assert outcome.events == [newer]
    assert outcome.differences[0].fields == (("milestone", "discharged", "arrived"),)


def test_of_two_readings_by_one_version_the_present_one_counts_whatever_their_hashes() -> None:
    outcome = compare(standing(read("9" * 16)), Found([read("1" * 16, zone_assumed=True)]))
    (written,) = outcome.events
    assert revision_key(json.loads(value(written))) > revision_key(json.loads(value(read("9" * 16))))
    assert written.zone_assumed


def test_an_older_reader_does_not_overrule_a_newer_ones_reading() -> None:
    outcome = compare(standing(read(reader=3)), Found([read(reader=2, milestone="arrived")]))
    assert (kinds(outcome), outcome.events) == (["outranked"], [])


def test_a_reading_with_an_earlier_time_of_its_own_is_told_and_left_alone() -> None:
    assert EVENT.revision.at is not None
    earlier = EVENT.revision.model_copy(update={"at": EVENT.revision.at - timedelta(hours=1), "reader": 2})
    outcome = compare(standing(read()), Found([read(milestone="arrived").model_copy(update={"revision": earlier})]))
    assert (kinds(outcome), outcome.events) == (["outranked"], [])


def test_what_is_no_longer_found_is_withdrawn_and_stays_so() -> None:
    outcome = compare(standing(read()), Found())
    (gone,) = outcome.vanished
    withdrawn = retraction(gone)
    assert withdrawn is not None and withdrawn.retracted and withdrawn.cause == "refold"
    assert compare(standing(read(), withdrawn), Found()).vanished == []


def test_what_was_withdrawn_by_us_and_is_found_again_counts_again() -> None:
    withdrawn = retraction(value(read()))
    assert withdrawn is not None
    outcome = compare(standing(read(), withdrawn), Found([read()]))
    (back,) = outcome.events
    assert not back.retracted
    assert compare(standing(read(), withdrawn, back), Found([read()])).differences == []


def test_a_command_is_judged_once() -> None:
    stands = Standing(commands={"a" * 32: b'{"command": "cancel", "reason": "x"}'})
    outcome = compare(
        stands, Found(commands={"a" * 32: b'{"command": "cancel", "reason": "y"}', "b" * 32: b'{"command": "link"}'})
    )
    assert (kinds(outcome), outcome.commands) == (["judged", "new command"], {"b" * 32})


def test_dead_letters_come_and_go() -> None:
    outcome = compare(
        Standing(letters={"old": "/0 bad", "stays": "/1 bad"}), Found(letters={"stays": "/1 bad", "new": "/2 bad"})
    )
    assert (kinds(outcome), outcome.letters, outcome.same) == (["dead", "undead"], {"new"}, 1)


readings = st.builds(
    read,
    content=st.sampled_from(["1" * 16, "5" * 16, "9" * 16, "f" * 15 + "0"]),
    reader=st.just(1),
    milestone=st.sampled_from(["discharged", "arrived", "gate_out"]),
)


@given(before=st.lists(readings, max_size=4), now=st.lists(readings, max_size=2))
def test_a_second_replay_finds_nothing_to_write(before: list[ShipmentEvent], now: list[ShipmentEvent]) -> None:
    stands = standing(*before)
    first = compare(stands, Found(now))
    for event in first.events:
        stands.add_event(event.event_id, value(event))
    for gone in first.vanished:
        withdrawn = retraction(gone)
        assert withdrawn is not None
        stands.add_event(withdrawn.event_id, value(withdrawn))
    second = compare(stands, Found(now))
    assert (second.events, second.vanished) == ([], [])
