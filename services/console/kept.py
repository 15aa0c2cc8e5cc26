"""Answers that take long to count are kept for a while, and shared by all who look (docs/decisions/0047).

*Guarantees*: who asks is never told an answer of more than OLD_S; the first who asks for one waits for it, and whoever asks the
same meanwhile waits for that same answer. One older than FRESH_S is told at once and counted anew beside it, one question at a
time, so that however many look, ClickHouse counts one report. An answer is of the times that were asked for, give or take.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from services.runtime import logs
from services.runtime.clock import Clock

log = logs.get("console")

FRESH_S: Final = 60.0
OLD_S: Final = 180.0
LATE_S: Final = 600.0
"""So long what somebody did may be on its way through the pipeline."""
_SOON_S: Final = 1.0
_MOST: Final = 300


@dataclass
class Answer:
    """`rows` as they were counted at `at`; `times`: what was asked about."""

    times: tuple[datetime, ...]
    at: datetime
    rows: Future[Any]
    anew: bool = False


@dataclass
class Kept:
    """What was asked lately, by its question. Of several threads."""

    clock: Clock
    fresh_s: float = FRESH_S
    old_s: float = OLD_S
    _answers: OrderedDict[Hashable, Answer] = field(default_factory=OrderedDict)
    _late: dict[str, datetime] = field(default_factory=dict)
    """Until when something that was done may yet change the answers of this name."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _beside: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "kept"))

    def rows(
        self,
        key: Hashable,
        times: tuple[datetime, ...],
        ask: Callable[[], Any],
        fresh_s: float | None = None,
        old_s: float | None = None,
    ) -> tuple[Any, datetime]:
        """The answer, and when it was counted. `key`: the question without its times; `fresh_s`, `old_s`: this one's own. What
        `ask` raises is not kept."""
        now, mine = self.clock.now(), None
        fresh_s = self.fresh_s if fresh_s is None else fresh_s
        old_s = self.old_s if old_s is None else old_s
        late = self._late.get(key[0], now) > now  # type: ignore[index]  # its name
        if late:
            fresh_s = old_s = _SOON_S
        # a window of other days is another question
        key = (key, *(round((now - time).total_seconds() / 86_400) for time in times))
        with self._lock:
            known = self._answers.get(key)
            counting = (
                late and known is not None and not known.rows.done()
            )  # since after what was done: `forget` has seen to it
            if known is None or (not counting and self._past(known, times, now, old_s)):
                known = mine = self._answers[key] = Answer(times, now, Future())
                self._drop(now)
            elif known.rows.done() and not known.anew and self._past(known, times, now, fresh_s):
                known.anew = True
                self._beside.submit(self._again, key, known, times, ask)
        if mine is not None:
            self._fill(key, mine, ask)
        return known.rows.result(), known.at

    def _drop(self, now: datetime) -> None:
        """What is too old for anybody: else what was asked once is held for good, thousands of rows of it. Under the lock."""
        for key in [key for key, one in self._answers.items() if (now - one.at).total_seconds() > self.old_s]:
            del self._answers[key]
        while len(self._answers) > _MOST:
            self._answers.popitem(last=False)

    def forget(self, *names: str, late: bool = False) -> None:
        """Count what questions of these names ask anew when it is asked next: somebody did something about it. `late`: it is
        not to be seen yet, so for LATE_S nobody is told what was counted more than a second ago."""
        with self._lock:
            if late:
                self._late |= dict.fromkeys(names, self.clock.now() + timedelta(seconds=LATE_S))
            for key in [key for key in self._answers if key[0][0] in names]:  # type: ignore[index]  # as `rows` makes them
                del self._answers[key]

    @staticmethod
    def _past(known: Answer, times: tuple[datetime, ...], now: datetime, bound_s: float) -> bool:
        apart = [(now - known.at).total_seconds(), *((b - a).total_seconds() for a, b in zip(known.times, times, strict=True))]
        return any(abs(one) > bound_s for one in apart)

    def _again(self, key: Hashable, known: Answer, times: tuple[datetime, ...], ask: Callable[[], Any]) -> None:
        anew = Answer(times, self.clock.now(), Future())
        try:
            anew.rows.set_result(ask())
        except Exception as error:  # the old answer stays until it is too old; then whoever asks is told what is wrong
            log.warning("console.kept", error=str(error)[:200])
            known.anew = False
            return
        with self._lock:
            if self._answers.get(key) is known:  # not forgotten meanwhile: what was counted before that is not told after it
                self._answers[key] = anew

    def _fill(self, key: Hashable, mine: Answer, ask: Callable[[], Any]) -> None:
        try:
            mine.rows.set_result(ask())
        except BaseException as error:
            with self._lock:
                if self._answers.get(key) is mine:
                    del self._answers[key]
            mine.rows.set_exception(error)

    def close(self) -> None:
        """Nothing is counted any more."""
        self._beside.shutdown(wait=False, cancel_futures=True)
