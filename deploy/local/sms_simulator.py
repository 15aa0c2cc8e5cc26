"""An SMS provider on loopback: the two APIs that services/alerts/providers_sms.py speaks, callbacks, and people who answer.

Like a real one it knows who said STOP and takes nothing more for that number, and it repeats callbacks until it is heard.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import httpx
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from deploy.local.mailbox import Fault, Faults, Store

CALLBACK_TRIES = 5
_STOP = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"})
_START = frozenset({"start", "unstop", "yes"})
_REPLY = "reply."
"""How the reference of our answer begins (services/alerts/callbacks.py); then the id of what it answers."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the simulator knows, and where incoming messages go (None: nobody is told)."""

    account: str
    token: str
    number: str
    inbound_url: str | None = None


@dataclass(slots=True)
class _Sent:
    sid: str
    to: str
    body: str
    reference: str
    made: datetime
    status: str = "queued"


@dataclass
class Simulator:
    """What it has taken, and from whom it may take no more."""

    store: Store
    faults: Faults
    account: Account
    sent: list[_Sent] = field(default_factory=list)
    opted_out: set[str] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def app(self) -> FastAPI:
        """The HTTP server."""

        @asynccontextmanager
        async def ending(_app: FastAPI) -> AsyncIterator[None]:
            yield
            for task in list(self._tasks):
                task.cancel()

        app = FastAPI(title="The local SMS provider", lifespan=ending, docs_url=None, redoc_url=None, openapi_url=None)
        path = "/2010-04-01/Accounts/{account}/Messages.json"
        app.add_api_route(path, self._twilio_send, methods=["POST"])
        app.add_api_route(path, self._twilio_list, methods=["GET"])
        app.add_api_route("/sms/json", self._vonage_send, methods=["POST"])
        app.add_api_route("/v2/reports/records", self._vonage_records, methods=["GET"])
        app.add_api_route("/local/reply", self._reply, methods=["POST"])
        app.add_api_route("/local/faults", self._add_fault, methods=["POST"])
        app.add_api_route("/local/faults", self._clear_faults, methods=["DELETE"])
        app.add_api_route("/healthz", self._healthy, methods=["GET"])
        return app

    # --- Twilio's shape

    async def _twilio_send(self, account: str, request: Request) -> Response:
        if not self._known(request) or account != self.account.account:
            return _twilio_error(401, 20003, "Authenticate")
        said = await _form(request)
        to = said.get("To", "")
        fault = self.faults.take("send", to)
        lost = await _misbehave(fault)
        if lost is not None:
            return lost
        if to in self.opted_out:
            return _twilio_error(400, 21610, f"Attempt to send to unsubscribed recipient {to}")
        if not to.startswith("+") or not to[1:].isdigit():
            return _twilio_error(400, 21211, f"Invalid 'To' Phone Number: {to}")
        one = self._take(to, said.get("Body", ""), said.get("StatusCallback", ""), "SM" + secrets.token_hex(16), "")
        if fault is not None and fault.how == "lose":
            await asyncio.sleep(fault.hang_s)
        return JSONResponse(self._twilio(one), 201)

    async def _twilio_list(self, account: str, request: Request) -> Response:
        if not self._known(request):
            return _twilio_error(401, 20003, "Authenticate")
        lost = await _misbehave(self.faults.take("find"))
        if lost is not None:
            return lost
        to = request.query_params.get("To")
        found = [self._twilio(one) for one in reversed(self.sent) if to in (None, one.to)]
        return JSONResponse({"messages": found[: int(request.query_params.get("PageSize", "50"))]})

    def _twilio(self, one: _Sent) -> dict[str, Any]:
        return {
            "sid": one.sid,
            "account_sid": self.account.account,
            "to": one.to,
            "from": self.account.number,
            "body": one.body,
            "status": one.status,
            "date_created": format_datetime(one.made),
            "error_code": None,
        }

    def _known(self, request: Request) -> bool:
        expected = base64.b64encode(f"{self.account.account}:{self.account.token}".encode()).decode()
        return request.headers.get("authorization") == f"Basic {expected}"

    # --- Vonage's shape

    async def _vonage_send(self, request: Request) -> Response:
        said = await _form(request)
        if (said.get("api_key"), said.get("api_secret")) != (self.account.account, self.account.token):
            return _vonage("4", "Bad Credentials")
        to = "+" + said.get("to", "")
        fault = self.faults.take("send", to)
        lost = await _misbehave(fault)
        if lost is not None:
            return _vonage("1", "Throughput Rate Exceeded") if lost.status_code == 429 else lost
        if to in self.opted_out:
            return _vonage("7", "Number barred")
        one = self._take(to, said.get("text", ""), said.get("callback", ""), secrets.token_hex(8), said.get("client-ref", ""))
        if fault is not None and fault.how == "lose":
            await asyncio.sleep(fault.hang_s)
        return _vonage("0", "", {"to": said["to"], "message-id": one.sid, "client-ref": one.reference})

    async def _vonage_records(self, request: Request) -> Response:
        if not self._known(request):
            return JSONResponse({"title": "Unauthorized"}, 401)
        lost = await _misbehave(self.faults.take("find"))
        if lost is not None:
            return lost
        reference = request.query_params.get("client_ref")
        found = [
            {"message_id": one.sid, "client_ref": one.reference, "to": one.to[1:], "status": one.status}
            for one in self.sent
            if reference in (None, one.reference)
        ]
        return JSONResponse({"records": found, "items_count": len(found)})

    # --- taking, and telling how it went

    def _take(self, to: str, body: str, callback: str, sid: str, reference: str) -> _Sent:
        one = _Sent(sid, to, body, reference, datetime.now(UTC))
        self.sent.append(one)
        answers = {"In-Reply-To": reference.removeprefix(_REPLY)} if reference.startswith(_REPLY) else {}
        self.store.keep("sms_out", self.account.number, to, body, ref=sid, headers=answers)
        if callback:
            task = asyncio.get_running_loop().create_task(self._call_back(one, callback))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return one

    async def _call_back(self, one: _Sent, url: str) -> None:
        fault = self.faults.take("callback", one.to)
        words = fault.how.split() if fault is not None else []
        for status in ("sent", "undelivered" if "undelivered" in words else "delivered"):
            one.status = status
            for _ in range(2 if "twice" in words else 1):
                if one.reference:  # Vonage's shape
                    status = "failed" if status == "undelivered" else status
                    fields = {"msisdn": one.to[1:], "messageId": one.sid, "status": status, "client-ref": one.reference}
                    await self._tell(url, self._vonage_signed(fields))
                else:
                    fields = {"MessageSid": one.sid, "MessageStatus": status, "To": one.to, "AccountSid": self.account.account}
                    await self._tell(url, fields, twilio_signature(self.account.token, url, fields))

    async def _tell(self, url: str, fields: Mapping[str, str], signature: str | None = None) -> httpx.Response | None:
        headers = {} if signature is None else {"X-Twilio-Signature": signature}
        async with httpx.AsyncClient(timeout=10, trust_env=False, verify=_trusted()) as client:
            for attempt in range(CALLBACK_TRIES):
                try:
                    answer = await client.post(url, data=dict(fields), headers=headers)
                except httpx.HTTPError:
                    answer = None
                if answer is not None and answer.status_code < 500:
                    return answer
                await asyncio.sleep(0.2 * 2**attempt)
        return None

    def _vonage_signed(self, fields: Mapping[str, str]) -> dict[str, str]:
        said = {**fields, "timestamp": str(int(time.time())), "nonce": secrets.token_hex(8)}
        text = "".join(f"&{name}={said[name].replace('&', '_').replace('=', '_')}" for name in sorted(said))
        return said | {"sig": hmac.new(self.account.token.encode(), text.encode(), hashlib.sha256).hexdigest().upper()}

    # --- what only a local one has

    async def _reply(self, request: Request) -> Response:
        """Somebody writes to our number: {"from": "+1...", "text": "STOP", "shape": "twilio"}. Answers with our reply."""
        said = json.loads(await request.body())
        number, text = f"+{str(said['from']).strip().removeprefix('+')}", str(said["text"])
        word = "".join(letter for letter in text.lower() if letter.isalnum())
        if word in _STOP:
            self.opted_out.add(number)
        elif word in _START:
            self.opted_out.discard(number)
        ref = "SM" + secrets.token_hex(16)
        self.store.keep("sms_in", number, self.account.number, text, ref=ref)
        if self.account.inbound_url is None:
            return JSONResponse({"told": False, "reply": None})
        if said.get("shape") == "vonage":
            fields = self._vonage_signed(
                {"msisdn": number[1:], "to": self.account.number[1:], "messageId": ref, "text": text, "type": "text"}
            )
            answer = await self._tell(self.account.inbound_url, fields)
            return JSONResponse({"told": answer is not None and answer.is_success, "reply": None})
        fields = {"MessageSid": ref, "From": number, "To": self.account.number, "Body": text}
        answer = await self._tell(
            self.account.inbound_url, fields, twilio_signature(self.account.token, self.account.inbound_url, fields)
        )
        if answer is None or not answer.is_success:
            return JSONResponse({"told": False, "reply": None, "status": answer.status_code if answer else None})
        reply = ElementTree.fromstring(answer.text).findtext("Message")  # noqa: S314  our own service's answer
        if reply:
            answer_id = "SM" + secrets.token_hex(16)
            self.store.keep("sms_out", self.account.number, number, reply, ref=answer_id, headers={"In-Reply-To": ref})
        return JSONResponse({"told": True, "reply": reply})

    async def _add_fault(self, request: Request) -> Response:
        self.faults.add(Fault(**json.loads(await request.body())))
        return JSONResponse({"added": True})

    async def _clear_faults(self) -> Response:
        self.faults.clear()
        return JSONResponse({"cleared": True})

    async def _healthy(self) -> Response:
        return Response("ok\n", media_type="text/plain")


@cache
def _trusted() -> ssl.SSLContext:
    """Whom callbacks trust. Made once: each client would read the certificates of the world anew, 75 ms of CPU."""
    return httpx.create_ssl_context(trust_env=False)


def twilio_signature(token: str, url: str, fields: Mapping[str, str]) -> str:
    """As the provider signs; written apart from the reader of it, so that one mistake is not made twice."""
    digest = hmac.new(token.encode(), digestmod=hashlib.sha1)
    digest.update(url.encode())
    for name, value in sorted(fields.items()):
        digest.update(name.encode() + value.encode())
    return base64.b64encode(digest.digest()).decode()


async def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))


async def _misbehave(fault: Fault | None) -> Response | None:
    if fault is None or fault.how in ("lose", "undelivered"):
        return None
    if fault.how == "hang":
        await asyncio.sleep(fault.hang_s)
        return Response(status_code=504)
    status = int(fault.how)
    return JSONResponse({"code": 20429 if status == 429 else 20500, "message": "as told"}, status)


def _twilio_error(status: int, code: int, message: str) -> Response:
    return JSONResponse({"code": code, "message": message, "more_info": "", "status": status}, status)


def _vonage(status: str, text: str, more: Mapping[str, str] | None = None) -> Response:
    said = {"status": status, **(more or {})} | ({"error-text": text} if text else {})
    return JSONResponse({"message-count": "1", "messages": [said]})
