"""What the alerts' addresses stand on, handed in; and how an act's refusal becomes the door's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from confluent_kafka import KafkaException
from fastapi import Request
from pydantic import ValidationError

from schemas.alerts_v1 import Filters, Subscription
from schemas.registers_v1 import Account, Facility, Sender
from services.alerts.acts import Refused, Why
from services.alerts.addresses import BadAddress
from services.alerts.gate import Budget, Held, Place, Problem, places_of
from services.alerts.rates import Rates
from services.alerts.registered import Unregistered, unregistered
from services.alerts.replay import BadCursor, Page
from services.alerts.subscriptions import Store, redone
from services.runtime import kafka, logs
from services.runtime.clock import Clock

T = TypeVar("T")

BODY_BYTES = 64 * 1024
BODY_S = 10.0
_RETRY_S = 2.0
_KINDS: Mapping[Why, str] = {
    "invalid": "invalid",
    "too_many": "too-many-requests",
    "not_found": "not-found",
    "suppressed": "invalid",
}

log = logs.get("alerts_api")


class Replay(Protocol):
    """What a webhook's receiver missed (replay.py); blocks."""

    def __call__(
        self, subscription: Subscription, secret: str, now: datetime, *, after: str | None, since: datetime | None, limit: int
    ) -> Page: ...


@dataclass
class AlertsDoor:
    """What the addresses stand on."""

    store: Store
    accounts: Callable[[], Mapping[str, Account]]
    senders: Callable[[], Mapping[str, Sender]]
    facilities: Callable[[], Mapping[str, Facility]]
    not_ready: Callable[[], str | None]
    clock: Clock
    rates: Rates = field(default_factory=Rates)
    budget: Budget = field(default_factory=Budget)
    page: bool = True
    replay: Replay | None = None
    catch_up: Callable[[], None] = lambda: None
    """Returns when the registers show all that was written before; blocks."""

    def check(self) -> None:
        """Raise Problem 503 unless everything has been read."""
        if self.not_ready() is not None:
            raise Problem("not-ready", "The subscriptions are not read yet, or not any more.", retry_after_s=_RETRY_S)

    async def do(self, act: Callable[[], T]) -> T:
        """Run an act beside the event loop; its refusals become Problems."""
        try:
            return await asyncio.to_thread(redone, act)
        except Refused as refused:
            raise problem_of(refused) from refused
        except BadCursor as bad:
            raise Problem("bad-parameter", str(bad)) from bad
        except BadAddress as bad:
            raise Problem("invalid", str(bad), errors=[Place(where="/address", code="address", text=str(bad))]) from bad
        except ValidationError as error:
            raise invalid(error) from error
        except (KafkaException, TimeoutError, BufferError, kafka.TopicMissing) as error:
            log.error("alerts_api.not_written", error=repr(error))
            raise Problem("not-ready", "It could not be written; do it again in a moment.", retry_after_s=_RETRY_S) from error

    async def unregistered(self, filters: Filters, before: Filters | None = None) -> tuple[Unregistered, ...]:
        """What a subscription names and no register has, not even one that was written to a moment ago. Raises Problem 503."""

        def judge() -> tuple[Unregistered, ...]:
            return unregistered(filters, self.facilities(), self.senders(), before)

        def again() -> tuple[Unregistered, ...]:
            self.catch_up()
            return judge()

        return await self.do(lambda: judge() and again())

    async def body(self, request: Request, meter: str) -> bytes:
        """The whole body; raises Problem 408, 413, 429."""
        with Held(self.budget, meter) as held:
            return await held.read(request.stream(), request.headers.get("content-length"), BODY_BYTES, BODY_S)


def problem_of(refused: Refused) -> Problem:
    """A refusal as the door says it."""
    text = str(refused)
    errors = [Place(where=refused.where, code=refused.why, text=text)] if refused.where else []
    return Problem(_KINDS[refused.why], text, errors=errors, retry_after_s=refused.retry_after_s)


def invalid(error: ValidationError) -> Problem:
    """What pydantic found, place by place; never what was there (addresses)."""
    return Problem("invalid", "The body does not hold what it should.", errors=places_of(error))
