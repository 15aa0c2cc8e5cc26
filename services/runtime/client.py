"""How `lovla` speaks to a door: one HTTP client; refusals become sentences; it waits where the door asks it to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

import httpx

from services.runtime import inside
from services.runtime.clock import Clock, SystemClock
from services.runtime.verbs import Stop

_TRIES = 6
_MOST_PATIENCE_S = 30.0
_UNSAID_S = 2.0
"""Who sends much is told to wait a moment again and again (429): so short a wait is no news."""


class Refused(Stop):
    """The door said no, or nobody is there; the text says what to do. `status`: of HTTP, None if nobody answered."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


_CLOCK = SystemClock()


class Client:
    """Requests under one key. Waits and tries again on 429 and 503, as Retry-After says; `note`: told what is waited for, and
    until when at most."""

    def __init__(
        self,
        base_url: str,
        key: str | None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        note: Callable[[str], None] = lambda text: None,
        clock: Clock = _CLOCK,
    ) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(
            base_url=base_url, headers=headers, timeout=30.0, transport=transport, trust_env=False, verify=inside.plain()
        )
        self._base_url = base_url
        self._sleep, self._note, self._clock = sleep, note, clock

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.close()

    def send(self, method: str, path: str, content: bytes | None = None, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON answer (None for 204); raises Refused."""
        response = self.ask(method, path, content, headers)
        return response.json() if response.content else None

    def ask(
        self, method: str, path: str, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """The answer, with its headers; raises Refused."""
        said = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]  # names of people are not all ASCII
        for left in reversed(range(_TRIES)):
            began = self._clock.monotonic()
            try:
                response = self._http.request(method, path, content=content, headers=said)
            except httpx.TransportError as error:
                raise Refused(f"No answer from {self._base_url} ({error}); is the stack up? See `lovla status`.") from error
            if response.status_code not in (429, 503) or left == 0:
                break
            wait_s = min(_MOST_PATIENCE_S, float(response.headers.get("Retry-After", "1")))
            if response.status_code == 503 or wait_s > _UNSAID_S:
                took_s = self._clock.monotonic() - began
                until = self._clock.now() + timedelta(seconds=left * (wait_s + took_s))
                self._note(_waits(_sentence(response), wait_s, left, until))
            self._sleep(wait_s)
        if response.is_success:
            return response
        raise Refused(_sentence(response), response.status_code)


def _waits(why: str, wait_s: float, left: int, until: datetime) -> str:
    more = "once more" if left == 1 else f"up to {left} times more"
    return f"{why} Asking again in {wait_s:.0f} s, {more}, until {until.astimezone():%H:%M:%S} or so."


def _sentence(response: httpx.Response) -> str:
    try:
        problem = response.json()
        text = f"{problem['title']}: {problem['detail']}"
        places = [
            f"\n  {error['where'] or 'whole body'}: {error['code']}: {error['text']}" for error in problem.get("errors", [])
        ]
        return text + "".join(places[:20])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {response.status_code} from {response.request.url.path}."
