"""What one sender may ask of the door: sizes (docs/architecture.md, "Limits") and rates (token buckets)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from services.ingest.problems import Problem

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes of one request and rates of one sender. `burst_s`: how many seconds' worth may come at once."""

    body_bytes: int = 5 * MIB
    body_s: float = 30.0  # in which a body must be here
    events: int = 1_000
    requests_s: float = 50.0
    events_s: float = 5_000.0
    burst_s: float = 2.0
    stranger_requests_s: float = 2.0  # of the conformance page without a key, all strangers together
    stranger_burst_s: float = 5.0
    stranger_body_bytes: int = 256 * KIB
    page_body_bytes: int = 1 * MIB
    backfill_factor: float = 10.0  # a key of scope backfill brings months at once: ten times the rates of a live feed


@dataclass(slots=True)
class Bucket:
    """A token bucket that may be overdrawn by one taking, so that a request larger than what is left pays by waiting later."""

    rate_s: float
    size: float
    level: float
    at_s: float

    def take(self, amount: float, now_s: float) -> float:
        """Take `amount`; returns 0, or, with nothing taken, the seconds until the bucket is above zero again."""
        self.level = min(self.size, self.level + (now_s - self.at_s) * self.rate_s)
        self.at_s = now_s
        if self.level <= 0:
            return max(-self.level / self.rate_s, 1 / self.rate_s)
        self.level -= amount
        return 0.0


class Rates:
    """The buckets of all senders; holds at most `senders` of them, the longest unused one goes first."""

    def __init__(self, limits: Limits, senders: int = 10_000) -> None:
        self._limits = limits
        self._senders = senders
        self._buckets: OrderedDict[tuple[str, str], Bucket] = OrderedDict()

    def _bucket(self, key: tuple[str, str], rate_s: float, now_s: float, burst_s: float) -> Bucket:
        bucket = self._buckets.get(key)
        if bucket is None or bucket.rate_s != rate_s:
            size = rate_s * burst_s
            bucket = self._buckets[key] = Bucket(rate_s, size, size, now_s)
        self._buckets.move_to_end(key)
        while len(self._buckets) > 2 * self._senders:
            self._buckets.popitem(last=False)
        return bucket

    def request(self, sender: str, backfill: bool, now_s: float) -> None:
        """Count one request; raises Problem 429."""
        self._take("requests", sender, self._limits.requests_s, 1, backfill, now_s)

    def events(self, sender: str, count: int, backfill: bool, now_s: float) -> None:
        """Count the events of one request; raises Problem 429."""
        self._take("events", sender, self._limits.events_s, count, backfill, now_s)

    def stranger(self, meter: str, now_s: float) -> None:
        """Count one request of nobody whom we know; raises Problem 429."""
        rate_s, burst_s = self._limits.stranger_requests_s, self._limits.stranger_burst_s
        wait_s = self._bucket((meter, "requests"), rate_s, now_s, burst_s).take(1, now_s)
        if wait_s > 0:
            text = f"Without a key all may try {rate_s:g} messages a second together; try again in a moment, or give a key."
            raise Problem("too-many-requests", text, retry_after_s=wait_s)

    def _take(self, what: str, sender: str, rate_s: float, amount: int, backfill: bool, now_s: float) -> None:
        allowed_s = rate_s * (self._limits.backfill_factor if backfill else 1)
        wait_s = self._bucket((sender, what), allowed_s, now_s, self._limits.burst_s).take(amount, now_s)
        if wait_s > 0:
            raise Problem(
                "too-many-requests",
                f"{sender} may send {allowed_s:g} {what} a second; try again after the time in Retry-After.",
                retry_after_s=wait_s,
            )
