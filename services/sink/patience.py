"""How long to wait before the next attempt, and whether the trouble lasts long enough to say so on /healthz."""

from __future__ import annotations

import random

from services.runtime.clock import Clock

LEAST_S, MOST_S = 0.2, 10.0
TOLD_AFTER_S = 60.0


class Patience:
    """One for each half of the sink; one thread writes, the health page reads."""

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._trouble: tuple[float, str] | None = None
        self._jitter = random.Random()  # noqa: S311 - spreads retries, guards nothing
        self.attempts = 0

    def failed(self, text: str) -> float:
        """Count one more failed attempt in a row; the seconds to wait: exponential, with jitter, bounded."""
        since = self._trouble[0] if self._trouble else self._clock.monotonic()
        self._trouble = (since, text)
        self.attempts += 1
        return min(MOST_S, LEAST_S * 2.0 ** min(self.attempts, 10)) * self._jitter.uniform(0.5, 1.0)

    def succeeded(self) -> None:
        self._trouble = None
        self.attempts = 0

    def healthy(self) -> str | None:
        """None, or what has been wrong for over a minute."""
        if self._trouble is not None and self._clock.monotonic() - self._trouble[0] > TOLD_AFTER_S:
            return f"{self._name}: {self._trouble[1]}"
        return None
