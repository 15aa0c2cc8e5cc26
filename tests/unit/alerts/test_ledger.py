"""What may be committed, and when a worker stands still."""

from __future__ import annotations

from typing import Any

from services.alerts.ledger import Ledger
from services.alerts.watchdog import Watchdog


def added(*offsets: int) -> Ledger[str]:
    ledger: Ledger[str] = Ledger()
    for offset in offsets:
        ledger.added("p", offset)
    return ledger


def test_nothing_is_committed_before_anything_is_finished() -> None:
    assert added(5, 6).committable("p") is None
    assert added().committable("p") is None


def test_the_lowest_record_in_flight_is_where_it_goes_on() -> None:
    ledger = added(2585, 2586, 2587)
    ledger.finished("p", 2586)
    ledger.finished("p", 2587)
    assert ledger.committable("p") == 2585
    ledger.finished("p", 2585)
    assert ledger.committable("p") == 2588


def test_offsets_that_hold_no_record_are_passed() -> None:
    ledger = added(1, 3, 5)
    for offset in (1, 3):
        ledger.finished("p", offset)
    assert ledger.committable("p") == 5
    ledger.finished("p", 5)
    assert ledger.committable("p") == 6


def test_what_the_broker_did_not_acknowledge_is_committed_again() -> None:
    ledger = added(1)
    ledger.finished("p", 1)
    assert ledger.committable("p") == 2
    assert ledger.committable("p") == 2
    ledger.committed({"p": 2})
    assert ledger.committable("p") is None


def test_a_record_that_is_delivered_again_is_in_flight_once() -> None:
    ledger = added(1, 2, 1)
    ledger.finished("p", 1)
    assert ledger.committable("p") == 2
    assert ledger.in_flight("p") == 1


def test_a_record_of_a_partition_that_was_taken_away_finishes_nothing() -> None:
    ledger = added(1)
    ledger.clear()
    ledger.finished("p", 1)
    assert ledger.committable("p") is None
    assert ledger.partitions() == []


def some(*_: object) -> bool:
    return True


def test_a_watchdog_bites_when_records_wait_and_the_offset_stands_whether_more_come_or_not() -> None:
    for comes in (0, 1):
        dog: Watchdog[str] = Watchdog(stuck_s=60)
        assert [dog.look({"p": 5}, {"p": 9 + n * comes}, 20.0 * n, some) for n in range(4)] == [None] * 4
        assert dog.look({"p": 5}, {"p": 13}, 90.0, some) is not None


def test_a_watchdog_is_quiet_while_nothing_comes_and_about_markers_at_the_end() -> None:
    dog: Watchdog[str] = Watchdog(stuck_s=60)
    asked: list[tuple[str, int, int]] = []

    def markers(*place: Any) -> bool:
        asked.append(place)
        return False

    assert [dog.look({"p": 5}, {"p": 7}, 100.0 * n, markers) for n in range(5)] == [None] * 5
    assert asked == [("p", 5, 7)]  # once, for nothing has come since
    assert [dog.look({"p": 5}, {"p": 8}, 400.0 + 50 * n, markers) for n in range(3)] == [None] * 3
    assert asked[1:] == [("p", 7, 8)]
    assert dog.look({"p": 5}, {"p": 9}, 580.0, some) is not None
    assert Watchdog[str](60).look({"p": 5}, {"p": 5}, 1_000.0, some) is None


def test_a_watchdog_is_quiet_while_the_offset_moves_and_forgets_what_is_not_owned() -> None:
    dog: Watchdog[str] = Watchdog(stuck_s=60)
    assert [dog.look({"p": n}, {"p": 100 + n}, 50.0 * n, some) for n in range(9)] == [None] * 9
    assert dog.look({}, {}, 500.0, some) is None
    assert dog.look({"p": 8}, {"p": 900}, 5_000.0, some) is None
