"""The gauge by which operators are woken: what waits for us or for a provider counts, what one address holds up does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from prometheus_client import REGISTRY

from schemas.alerts_v1 import Notification, Subscription
from services.alerts.attempts import Answer
from services.runtime import metrics
from services.runtime.clock import SystemClock
from tests.integration.alerts.delivering import a_notification, a_subscription
from tests.unit.alerts.test_sending import BUYER, Post, a_post

NAME: Final = "lovla_alerts_oldest_due_seconds"
OTHER = a_subscription("other", "other@hospital.example")


def due(to: Subscription, what: str, minutes: int) -> Notification:
    return a_notification(to, what, due_at=datetime.now(UTC) - timedelta(minutes=minutes))


async def measured(post: Post) -> float:
    """The gauge, as it is set from now on."""
    metrics.gauge(NAME).set(-1)
    await post.until(lambda: REGISTRY.get_sample_value(NAME) != -1)
    return REGISTRY.get_sample_value(NAME) or 0.0


async def test_a_full_mailbox_and_what_waits_behind_it_wake_nobody_and_what_we_hold_up_does() -> None:
    async with a_post(BUYER, OTHER) as post:
        full = due(BUYER, "A-1", 10)
        post.email.answers = [Answer("later", "mailbox_busy", "452 4.2.2 mailbox full", pause_s=300)]
        post.take(full, due(BUYER, "A-2", 9))
        await post.until(lambda: post.journal.states(full) == ["intent", "failed"])
        assert await measured(post) == 0 and post.sender.waiting == 2
        post.sender.paused = True
        post.take(due(OTHER, "B-1", 5))
        assert 300 <= await measured(post) < 500


async def test_what_waits_while_its_provider_is_away_counts_from_when_it_was_due() -> None:
    async with a_post(BUYER) as post:
        late, clock = due(BUYER, "A-1", 10), SystemClock()
        post.email.answers = [Answer("away", "not_reached", pause_s=300)]
        post.take(late)
        await post.until(lambda: post.journal.states(late) == ["intent", "failed"])
        while post.email.breaker.state(clock.monotonic()) == "closed":  # by what others of it find
            post.email.breaker.failed(clock.monotonic())
        assert await measured(post) >= 600
