"""Attempts: how long to wait, what the ledger remembers, when a breaker lets one through."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alerts_v1 import Delivery
from services.alerts.attempts import (
    FRESH_AT_MOST,
    LONGEST_PAUSE_S,
    MEMORY,
    MOST_ATTEMPTS,
    MOST_LOST,
    SEEN_WITHIN,
    Answer,
    Drop,
    Ledger,
    Send,
    Standing,
    Wait,
    decide,
    pause_s,
    stale_at,
)
from services.alerts.breaker import LONGEST_PAUSE_S as BREAKER_LONGEST_S
from services.alerts.breaker import Breaker
from tests.integration.alerts.delivering import a_notification, a_subscription

NOW = datetime(2026, 4, 1, 12, tzinfo=UTC)
BUYER = a_subscription("buyer", "buyer@hospital.example")


def a_record(state: str, attempt: int, at: datetime = NOW) -> Delivery:
    return Delivery.model_validate(
        {"notification": "ab" * 16, "subscription": "s" * 16, "attempt": attempt, "state": state, "address_hash": "", "at": at}
    )


@settings(deadline=None)  # a busy machine is no fault of the function
@given(st.integers(1, 40), st.floats(0, 1, exclude_max=True))
def test_pauses_grow_to_a_bound(attempt: int, dice: float) -> None:
    pause = pause_s(attempt, Answer("later", "mailbox_busy"), dice)
    assert 2.5 <= pause <= LONGEST_PAUSE_S
    assert pause_s(attempt, Answer("later", "mailbox_busy"), 0.0) <= pause


def test_who_greylists_is_left_alone_for_a_minute_and_who_names_a_time_gets_it() -> None:
    assert pause_s(1, Answer("later", "greylisted"), 0.0) >= 60
    assert pause_s(1, Answer("away", "throttled", pause_s=120.0), 0.5) >= 120


def test_a_late_intent_of_a_fenced_sender_opens_nothing_again() -> None:
    ledger = Ledger()
    for record in (a_record("intent", 1), a_record("accepted", 1), a_record("intent", 1)):
        ledger.take(record)
    known = ledger.get("ab" * 16)
    assert known is not None and known.state == "accepted"


def test_a_dead_one_is_open_again_by_a_further_attempt() -> None:
    ledger = Ledger()
    for record in (a_record("dead", 2), a_record("intent", 3)):
        ledger.take(record)
    assert [name for name, _ in ledger.open()] == ["ab" * 16]


def test_a_receipt_of_the_way_that_was_left_settles_nothing_of_the_other() -> None:
    ledger, texted, mailed = Ledger(), "ab" * 32, "cd" * 32
    for state, attempt, address in (
        ("accepted", 1, texted),
        ("undelivered", 1, texted),
        ("intent", 2, mailed),
        ("undelivered", 1, texted),  # the provider says so twice; who then dies must send the mail again
    ):
        ledger.take(a_record(state, attempt).model_copy(update={"address_hash": address}))
    assert [name for name, _ in ledger.open()] == ["ab" * 16]


def test_the_ledger_forgets_only_what_is_settled_and_old() -> None:
    ledger = Ledger()
    ledger.take(a_record("accepted", 1, NOW - MEMORY - timedelta(hours=1)))
    ledger.forget_before(NOW - MEMORY)
    assert len(ledger) == 0
    ledger.take(a_record("failed", 1, NOW - MEMORY - timedelta(hours=1)))
    ledger.forget_before(NOW - MEMORY)
    assert len(ledger) == 1


def test_nothing_can_be_sent_that_is_older_than_the_ledger_remembers() -> None:
    late = a_notification(BUYER, "A-1", due_at=NOW, stale_at=NOW + timedelta(days=30))
    assert stale_at(late) == NOW + FRESH_AT_MOST
    forgotten = NOW + MEMORY
    assert isinstance(decide(late, BUYER, None, None, forgotten), Drop)


def test_attempts_end() -> None:
    late = a_notification(BUYER, "A-1", due_at=NOW)
    known = Standing("failed", MOST_ATTEMPTS, NOW, put_off=MOST_ATTEMPTS)
    step = decide(late, BUYER, None, known, NOW + timedelta(minutes=5))
    assert isinstance(step, Drop) and step.state == "dead"
    assert isinstance(decide(late, BUYER, None, known, NOW + timedelta(minutes=5), retried=True), Send)


def after(*records: Delivery) -> Standing:
    ledger = Ledger()
    for record in records:
        ledger.take(record)
    known = ledger.get("ab" * 16)
    assert known is not None
    return known


def tried(times: int, reason: str, state: str = "failed", channel: str = "email", **more: str) -> list[Delivery]:
    """Attempts with their results."""
    told = {"channel": channel, "reason": reason} | more
    results = [a_record(state, n).model_copy(update=told) for n in range(1, times + 1)]
    return [record for result in results for record in (a_record("intent", result.attempt), result)]


def test_a_provider_that_stays_away_kills_nothing_however_often_it_was_tried() -> None:
    late, soon = a_notification(BUYER, "A-1", due_at=NOW), NOW + timedelta(hours=3)
    for reason in ("not_reached", "provider_busy", "not_authenticated"):
        assert isinstance(decide(late, BUYER, None, after(*tried(60, reason)), soon), Send)
    assert isinstance(decide(late, BUYER, None, after(*tried(MOST_ATTEMPTS - 1, "mailbox_busy")), soon), Send)
    for channel, reason in (("email", "mailbox_busy"), ("webhook", "not_reached")):
        step = decide(late, BUYER, None, after(*tried(MOST_ATTEMPTS, reason, channel=channel)), soon)
        assert isinstance(step, Drop) and (step.state, step.reason) == ("dead", "attempts_used_up")
    stale = decide(late, BUYER, None, after(*tried(60, "not_reached")), NOW + timedelta(hours=7))
    assert isinstance(stale, Drop) and stale.state == "stale"


def test_what_waits_for_a_provider_looks_again_every_minute() -> None:
    assert pause_s(30, Answer("away", "not_reached"), 0.99) <= 60


def test_a_message_whose_answers_are_lost_is_handed_over_some_times_and_no_more() -> None:
    late, soon = a_notification(BUYER, "A-1", due_at=NOW), NOW + timedelta(hours=1)
    lost = after(*tried(MOST_LOST - 1, "timeout", "unknown"))
    assert decide(late, BUYER, None, lost, soon) == Send(MOST_LOST, again=True)
    for known in (
        after(*tried(MOST_LOST, "timeout", "unknown")),
        after(*(a_record("intent", n) for n in range(1, MOST_LOST + 1))),
    ):
        step = decide(late, BUYER, None, known, soon)
        assert isinstance(step, Drop) and (step.state, step.reason) == ("dead", "perhaps_delivered")
        assert isinstance(decide(late, BUYER, None, known, soon, retried=True), Send)


def test_another_way_begins_with_attempts_of_its_own() -> None:
    used_up = tried(MOST_ATTEMPTS, "mailbox_busy")
    known = after(
        *used_up, a_record("failed", MOST_ATTEMPTS).model_copy(update={"reason": "attempts_used_up", "via": "m" * 16})
    )
    step = decide(a_notification(BUYER, "A-1", due_at=NOW), BUYER, None, known, NOW + timedelta(hours=1))
    assert step == Send(MOST_ATTEMPTS + 1)


def test_a_breaker_opens_after_some_failures_in_a_row_and_lets_one_probe_at_a_time() -> None:
    breaker = Breaker(threshold=3)
    for _ in range(2):
        breaker.failed(0.0)
    assert breaker.wait_s(0.0) == 0.0
    breaker.failed(0.0)
    assert breaker.state(0.0) == "open" and breaker.wait_s(0.0) > 0
    assert breaker.wait_s(5.0) == 0.0, "the probe"
    assert breaker.wait_s(5.0) > 0, "nobody beside it"
    breaker.succeeded()
    assert breaker.wait_s(5.0) == 0.0 and breaker.state(5.0) == "closed"


def test_a_provider_that_stays_away_is_probed_ever_more_rarely_to_a_bound() -> None:
    breaker, now, probes = Breaker(), 0.0, 0
    for _ in range(5):
        breaker.failed(now)
    while now < 600:
        wait = breaker.wait_s(now)
        if wait:
            now += wait
        else:
            probes += 1
            breaker.failed(now, dice=0.99)
    assert 600 / BREAKER_LONGEST_S <= probes <= 30


def test_a_probe_that_was_not_made_leaves_room_for_another() -> None:
    breaker = Breaker(threshold=1)
    breaker.failed(0.0)
    assert breaker.wait_s(10.0) == 0.0
    breaker.released()
    assert breaker.wait_s(10.0) == 0.0


def test_a_request_to_confirm_that_comes_before_its_subscription_waits_and_an_older_one_is_dropped() -> None:
    request = a_notification(BUYER, "confirm", purpose="confirm", due_at=NOW)
    asked = BUYER.model_copy(update={"state": "unconfirmed", "asked_at": NOW})
    before = asked.model_copy(update={"asked_at": NOW - timedelta(minutes=2)})
    anew = asked.model_copy(update={"asked_at": NOW + timedelta(minutes=2)})
    for unseen in (None, before):
        assert isinstance(decide(request, unseen, None, None, NOW), Wait)
    gone = decide(request, None, None, None, NOW + SEEN_WITHIN)
    assert isinstance(gone, Drop) and gone.reason == "no_subscription"
    assert decide(request, asked, None, None, NOW) == Send(1)
    older = decide(request, anew, None, None, NOW + timedelta(minutes=2))
    assert isinstance(older, Drop) and older.reason == "asked_anew"
