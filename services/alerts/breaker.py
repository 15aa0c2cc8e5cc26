"""A circuit breaker: a provider that is away is not asked again by every waiting message. Pure: time is an argument.

*Closed*: all may try. After `threshold` failures in a row *open*: nobody may, for a pause that doubles with each failed probe.
Then *half open*: one may try; its success closes, its failure opens again.
"""

from __future__ import annotations

from typing import Literal

THRESHOLD = 5
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 30.0
"""The longest bounds how late it is noticed that the provider is back."""

State = Literal["closed", "open", "half_open"]


class Breaker:
    """Of one provider. Times are monotonic seconds."""

    def __init__(self, threshold: int = THRESHOLD) -> None:
        self._threshold = threshold
        self._failures = 0
        self._pause_s = FIRST_PAUSE_S
        self._until: float | None = None
        self._probing = False

    def state(self, now_s: float) -> State:
        if self._until is None:
            return "closed"
        return "open" if now_s < self._until else "half_open"

    def wait_s(self, now_s: float) -> float:
        """0: go; who gets 0 from a half open one is its probe, and must tell how it went."""
        match self.state(now_s):
            case "closed":
                return 0.0
            case "open":
                assert self._until is not None
                return self._until - now_s
            case "half_open":
                if self._probing:
                    return 0.2
                self._probing = True
                return 0.0

    def succeeded(self) -> None:
        """The provider answered, be it that it refused the message."""
        self._failures, self._until, self._probing, self._pause_s = 0, None, False, FIRST_PAUSE_S

    def failed(self, now_s: float, dice: float = 0.0, pause_s: float | None = None) -> None:
        """The provider was away. `pause_s`: what it asked for itself (Retry-After), which opens at once."""
        was = self.state(now_s)
        self._failures += 1
        if was == "open":  # others that were under way
            return
        if was == "half_open":
            self._pause_s = min(LONGEST_PAUSE_S, self._pause_s * 2)
        if was == "half_open" or self._failures >= self._threshold or pause_s:
            self._until = now_s + max(self._pause_s * (0.5 + dice / 2), pause_s or 0.0)
        self._probing = False

    def released(self) -> None:
        """Who was to probe did not try after all."""
        self._probing = False
