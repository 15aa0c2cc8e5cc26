"""The way in, asked by the console for its people: with the operator's key that the console holds, under their names.

Everything that people do goes through it (docs/decisions/0045), so that one door judges, counts and keeps all that changes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import httpx

from services.console.gate import Place, Problem
from services.console.settings import ConsoleSettings
from services.runtime import inside
from services.runtime.verbs import OPERATOR, key_file

_TIMEOUT_S: Final = 10.0
_RETRY_S: Final = 3.0


@dataclass
class Refused(Exception):
    """The way in did not take it. `places`: what is wrong, as the way in names it."""

    text: str
    places: Sequence[Place] = field(default_factory=tuple)


class WayIn:
    """Requests under the operator's key. Raises Problem 503 where nobody answers, or no key is there."""

    def __init__(self, settings: ConsoleSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._base = f"http://{settings.api_host}:{settings.api_port}"
        self._transport = transport

    def _key(self) -> str:
        """Read anew each time: a key that was changed on this machine counts at once."""
        if self._settings.console_key is not None:
            return self._settings.console_key.get_secret_value()
        try:
            return key_file(self._settings.state_dir, OPERATOR).read_text(encoding="utf-8").strip()
        except OSError:
            text = f"The console has no key to act with: `lovla carriers add {OPERATOR} --kind operator` makes one."
            raise Problem("not-ready", text) from None

    async def _ask(self, method: str, path: str, body: object, by: str, once: str) -> Any:
        headers = {b"Authorization": f"Bearer {self._key()}".encode()}
        if by:
            headers[b"Lovla-Recorded-By"] = by.encode()  # names of people are not all ASCII
        if once:
            headers[b"Idempotency-Key"] = once.encode()
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            headers[b"Content-Type"] = b"application/json"
        # a client a request: acts are rare, and none is left open when the loop ends
        async with httpx.AsyncClient(
            base_url=self._base, transport=self._transport, timeout=_TIMEOUT_S, trust_env=False, verify=inside.plain()
        ) as http:
            try:
                answer = await http.request(method, path, content=content, headers=list(headers.items()))
            except httpx.HTTPError as error:
                text = "The way in did not answer, so this may not have been done; do it again in a moment."
                raise Problem("not-ready", text, retry_after_s=_RETRY_S) from error
        try:
            told = answer.json()
        except ValueError:
            told = {}
        if answer.is_success:
            return told
        raise _refusal(answer.status_code, told if isinstance(told, Mapping) else {})

    async def work(self, acts: Sequence[Mapping[str, Any]], by: str, once: str) -> list[dict[str, Any]]:
        """What was written, in this order. Raises Refused, Problem."""
        done: list[dict[str, Any]] = (await self._ask("POST", "/v1/work-acts", list(acts), by, once))["acts"]
        return done

    async def subscriptions(self, most: int, after: str = "") -> list[dict[str, Any]]:
        """Who asked for what, of the alerts' own door, by id (behind one), without addresses. Raises Problem."""
        base = f"http://{self._settings.alerts_host}:{self._settings.alerts_port}"
        headers = {"Authorization": f"Bearer {self._key()}"}
        async with httpx.AsyncClient(
            base_url=base, transport=self._transport, timeout=_TIMEOUT_S, trust_env=False, verify=inside.plain()
        ) as http:
            try:
                answer = await http.get("/v1/subscriptions", params={"limit": most, "after": after}, headers=headers)
                answer.raise_for_status()
                told = answer.json()["subscriptions"]
            except (httpx.HTTPError, ValueError, KeyError) as error:
                text = "The alerts do not say who asked for what: are they up? See `lovla status`."
                raise Problem("not-ready", text, retry_after_s=_RETRY_S) from error
        return [{name: value for name, value in one.items() if name != "address"} for one in told]

    async def event(self, events: Sequence[Mapping[str, Any]], by: str, once: str) -> dict[str, Any]:
        """A statement, or the withdrawal of one; the answer with its receipt. Raises Refused, Problem."""
        taken: dict[str, Any] = await self._ask("POST", "/v1/events", list(events), by, once)
        return taken

    async def command(self, consignment: str, what: str, body: Mapping[str, Any], by: str, once: str) -> dict[str, Any]:
        """`what`: actions, dock-receipt. Raises Refused, Problem."""
        path = f"/v1/consignments/{quote(consignment)}/{what}"
        taken: dict[str, Any] = await self._ask("POST", path, body, by, once)
        return taken

    async def receipt(self, receipt: str) -> list[dict[str, Any]]:
        """What became of each row of a request. Raises Refused, Problem."""
        verdicts: list[dict[str, Any]] = (await self._ask("GET", f"/v1/receipts/{quote(receipt)}", None, "", ""))["verdicts"]
        return verdicts


def _refusal(status: int, told: Mapping[str, Any]) -> Exception:
    detail = str(told.get("detail") or f"The way in said {status}.")
    if status in (401, 403):
        return Problem("not-ready", f"The console's key may not do this: {detail}")
    if status in (429, 503):
        return Problem("not-ready", f"{detail} Nothing was done.", retry_after_s=_RETRY_S)
    if str(told.get("type", "")).endswith(":idempotency-key-reused"):
        return Refused("This form was sent before, and what it said was done then. Load the page again to go on.")
    places = [place_of(one) for one in told.get("errors", ())]
    return Refused(detail, places)


def place_of(told: Mapping[str, Any]) -> Place:
    """What is wrong, as the way in tells it."""
    return Place(where=str(told.get("where", "")), code=str(told.get("code", "")), text=str(told.get("text", "")))
