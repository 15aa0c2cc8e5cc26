"""The event store on disk and the one in memory keep the same promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.tracker.event_store import DiskEventStore, MemoryEventStore, Overlay, WritableEventStore
from tests.unit.tracker.build import BILL, BOX, HOUR, OTHER_BOX, at, event

Make = Callable[[], WritableEventStore]


@pytest.fixture(params=["memory", "disk"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    opened: list[WritableEventStore] = []
    memory = MemoryEventStore()

    def again() -> WritableEventStore:
        for store in opened:
            store.close()
        opened.clear()
        opened.append(memory if request.param == "memory" else DiskEventStore(tmp_path / "store"))
        return opened[0]

    yield again
    for store in opened:
        store.close()


def test_events_are_found_by_each_of_their_references_and_survive_reopening(make: Make) -> None:
    told = event("departed", at(2), BOX, BILL)
    make().write([told], {0: 7})
    store = make()
    assert list(store.by_reference(BOX)) == [told]
    assert list(store.by_reference(BILL)) == [told]
    assert list(store.by_reference(OTHER_BOX)) == []
    assert store.get(told.event_id) == told
    assert store.positions() == {0: 7}


def test_the_greatest_revision_counts_whatever_the_order(make: Make) -> None:
    store = make()
    old = event("departed", at(2), BOX, key="one", said=at(2))
    new = event("departed", at(3), OTHER_BOX, key="one", said=at(3))
    store.write([new], {0: 1})
    list(store.by_reference(BOX)), list(store.by_reference(OTHER_BOX))  # both cached
    store.write([old], {0: 2})
    assert list(store.by_reference(BOX)) == []
    assert [(e.occurred_at, e.first_received_at) for e in store.by_reference(OTHER_BOX)] == [(at(3), at(2) + HOUR)]


def test_a_revision_that_moves_to_other_references_leaves_the_old_ones(make: Make) -> None:
    store = make()
    store.write([event("departed", at(2), BOX, key="one", said=at(2))], {0: 1})
    assert len(list(store.by_reference(BOX))) == 1
    store.write([event("departed", at(2), OTHER_BOX, key="one", said=at(3))], {0: 2})
    assert list(store.by_reference(BOX)) == []
    assert len(list(store.by_reference(OTHER_BOX))) == 1


def test_of_equal_copies_the_least_time_of_receipt_counts(make: Make) -> None:
    store = make()
    first = event("departed", at(2), BOX, key="one", said=at(2), received=at(2.1))
    again = event("departed", at(2), BOX, key="one", said=at(2), received=at(2.5))
    store.write([again, first, again], {0: 1})
    assert [e.received_at for e in store.by_reference(BOX)] == [at(2.1)]


def test_retractors_are_found(make: Make) -> None:
    told = event("departed", at(2), BOX)
    oops = event(None, at(3), BOX, key="oops", retracts=told.event_id)
    make().write([told, oops], {0: 2})
    assert list(make().retractors(told.event_id)) == [oops]


def test_an_overlay_is_seen_over_the_store_and_leaves_it_alone(make: Make) -> None:
    store = make()
    old = event("departed", at(2), BOX, key="one", said=at(2))
    store.write([old], {0: 1})
    overlay = Overlay(store)
    new = event("departed", at(3), BOX, key="one", said=at(3))
    assert overlay.put(new) == (True, old)
    assert overlay.put(new)[0] is False
    assert [e.occurred_at for e in overlay.by_reference(BOX)] == [at(3)]
    assert list(store.by_reference(BOX)) == [old]
