"""A form that is sent twice is done once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from services.console.acts import Outcome


class Once:
    """What became of forms, by their key (acts.key_of): one that is sent again, also while the first is under way, gets the
    first one's answer. What was wrong or failed is forgotten: it may be sent again. Of one event loop; the oldest go first."""

    def __init__(self, most: int = 1_000) -> None:
        self._answers: OrderedDict[str, asyncio.Future[Outcome]] = OrderedDict()
        self._most = most

    def __contains__(self, key: str) -> bool:
        return key in self._answers

    async def answer(self, key: str, act: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """Of the form with this key; `act` does it if nobody has. Raises what `act` raises."""
        answer = self._answers.get(key)
        if answer is None:
            answer = self._answers[key] = asyncio.ensure_future(act())
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)
        try:
            outcome = await asyncio.shield(answer)  # who hangs up does not undo half of it
        except Exception:
            self._answers.pop(key, None)
            raise
        if outcome.wrong:
            self._answers.pop(key, None)
        return outcome
