"""A subscription that expires while something waits for it: neither the worker tells it any more nor the sender sends it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.alerts.attempts import Drop, Send, decide
from tests.integration.alerts.delivering import a_notification, a_subscription
from tests.unit.alerts.build import subscription
from tests.unit.alerts.test_rules import NOON, Desk


def test_what_opened_before_the_end_and_would_be_told_after_it_is_not_told_and_why_is_known() -> None:
    desk = Desk(subscription(expires_at=NOON + timedelta(seconds=1)))
    desk.take()
    assert desk.wait(minutes=1) == []
    assert "the subscription expired at 2026-11-20 20:00 UTC" in [reason.text for reason in desk.why]
    other = Desk(subscription(expires_at=NOON + timedelta(minutes=1)))
    other.take()
    assert len(other.wait(seconds=30)) == 1


def test_what_waits_at_the_sender_is_dropped_from_the_end_of_its_subscription_on() -> None:
    end = datetime(2026, 4, 1, 12, tzinfo=UTC)
    buyer = a_subscription("buyer", "buyer@hospital.example", expires_at=end)
    late = a_notification(buyer, "A-1", due_at=end - timedelta(minutes=1))
    assert decide(late, buyer, None, None, end - timedelta(seconds=1)) == Send(1)
    step = decide(late, buyer, None, None, end)
    assert step == Drop("suppressed", "subscription_expired", "the subscription expired at 2026-04-01 12:00 UTC")
