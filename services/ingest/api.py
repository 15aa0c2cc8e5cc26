"""The door's addresses (FastAPI): `python -m services.ingest.api`. Thin: what happens behind them stands in door.py."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypeVar

from confluent_kafka import KafkaException
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from python_multipart.exceptions import MultipartParseError
from starlette.datastructures import Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from schemas.alerts_v1 import Acknowledgement
from schemas.raw_message_v1 import RawKind
from schemas.topics import RAW_MESSAGES
from schemas.words import Scope
from services.ingest import conformance_page, openapi, work_acts
from services.ingest.acknowledgements import Form
from services.ingest.alert_acknowledgements import ALERTS, SUBSCRIBER, KafkaAcknowledgements
from services.ingest.alert_acknowledgements import Said as Acknowledged
from services.ingest.auth import UNKNOWN, Callbacks, Caller, by_key, stranger
from services.ingest.body import Held, content_encoding, media_type
from services.ingest.conformance_page import Asked
from services.ingest.connections import bounded
from services.ingest.door import Accepted, Door, Said
from services.ingest.idempotency import HEADER as IDEMPOTENCY_KEY
from services.ingest.idempotency import REPLAYED_HEADER, Answer, fingerprint, key_in
from services.ingest.legible import legible
from services.ingest.outcomes import Outcomes
from services.ingest.problems import MEDIA_TYPE, Place, Problem, places_of
from services.ingest.raw_log import Away, RawLog
from services.ingest.readers import Unreadable, decode_body
from services.ingest.readers.strict_json import parse_narrow
from services.ingest.records import RawRecords
from services.ingest.registers import Registers
from services.ingest.retrying import RETRIES_MAX
from services.ingest.settings import IngestSettings
from services.ingest.ticker import Ticker
from services.ingest.work_acts import KafkaWorkActs
from services.runtime import garbage, inside, logs, metrics, process, web
from services.runtime.clock import SystemClock
from services.runtime.kafka import TopicMissing
from services.runtime.receipts import Position, Sealer
from services.runtime.settings import SettingsError

RECEIPT_HEADER = "Lovla-Receipt"
SENDER_HEADER = "Lovla-Sender"
T = TypeVar("T")

TRIED = ("/v1/messages", "/v1/events")
_X12, _EDIFACT = "application/edi-x12", "application/edifact"
JSON_TYPES = frozenset({"application/json"})
EVENT_TYPES = JSON_TYPES | {"application/x-ndjson", "application/ndjson", "application/jsonl"}
REGISTRATION_TYPES = JSON_TYPES | {"text/csv"}
MESSAGE_TYPES = EVENT_TYPES | {
    "application/octet-stream",
    _X12,
    _EDIFACT,
    "application/edi-consent",
    "application/xml",
    "application/ld+json",
    "text/plain",
    "text/xml",
    "text/csv",
}
_IF_MATCH = re.compile(r'(?:W/)?"?(\d{1,9})"?')
_TIME: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)
_ACKNOWLEDGED: TypeAdapter[Acknowledged] = TypeAdapter(Acknowledged)
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

log = logs.get("api")


def _asked_in(said: Said, contract: TypeAdapter[T], expected: str) -> T:
    """The body as JSON of that contract; raises Problem 422."""
    try:
        return contract.validate_python(parse_narrow(decode_body(said.content, said.content_encoding), work_acts.ACTS_MOST))
    except Unreadable as error:
        errors = [Place(where=error.where, code=error.code, text=error.text)]
        raise Problem("invalid", "This is no JSON that can be taken.", errors=errors) from error
    except ValidationError as error:
        raise Problem("invalid", expected, errors=places_of(error)) from error


def _header_text(request: Request, name: str) -> str | None:
    """A header as UTF-8 text (names of people are not all ASCII); raises Problem 400 if it is none."""
    value = request.headers.get(name)
    if value is None:
        return None
    try:
        return legible(value.encode("latin-1").decode("utf-8"))
    except UnicodeError as error:
        raise Problem("bad-header", f"{name} is not UTF-8.") from error


def _time_in(name: str, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        return _TIME.validate_python(value)
    except ValidationError as error:
        raise Problem("bad-header", f"{name} must be an RFC 3339 time with an offset.") from error


def _once_of(request: Request, content: bytes) -> str | None:
    """What a dock receipt under an Idempotency-Key is known by for good, also after this process has forgotten the key."""
    key = key_in(request.headers.get(IDEMPOTENCY_KEY))
    return None if key is None else fingerprint(key, request.url.path, content).hex()


def _if_match(request: Request, *, required: bool) -> int | None:
    """The declared_version that the sender saw; None for `*`. Raises Problem 400, or 428 where it must not be missing."""
    value = request.headers.get("if-match")
    if value is None and required:
        raise Problem("if-match-required", 'Send If-Match: "<declared_version>" as `lovla show` tells it, or If-Match: *.')
    if value is None or value.strip() == "*":
        return None
    match = _IF_MATCH.fullmatch(value.strip())
    if match is None:
        raise Problem("bad-header", 'If-Match holds one declared_version, as in If-Match: "3".')
    return int(match[1])


class RetryBody(BaseModel):
    """The raw records to bring back."""

    model_config = ConfigDict(extra="forbid")

    positions: list[tuple[Annotated[int, Field(ge=0, lt=2**31)], Annotated[int, Field(ge=0, lt=2**63)]]] = Field(
        max_length=RETRIES_MAX
    )


_RETRY: TypeAdapter[RetryBody] = TypeAdapter(RetryBody)


@dataclass(frozen=True, slots=True)
class PageForm:
    """What came from the conformance page. `content`: the file's bytes, else what was pasted."""

    content: bytes
    content_type: str
    pasted: str
    key: str
    received_at: str


async def fields_of(content_type: str | None, body: bytes) -> PageForm:
    """The fields of the conformance page's form; raises Problem 415, 422."""
    media_type(content_type, frozenset({"multipart/form-data"}), "")

    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(
        Headers({"content-type": content_type or ""}), whole(), max_files=1, max_fields=4, max_part_size=max(1, len(body))
    )
    try:
        form = await parser.parse()
    except (MultiPartException, MultipartParseError, ValueError) as error:
        raise Problem("invalid", "This is no form of the conformance page.") from error
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(form.close)
        file = form.get("file")
        texts = {name: value for name in ("message", "key", "received_at") if isinstance(value := form.get(name), str)}
        pasted = texts.get("message", "").replace("\r\n", "\n")  # a browser's line ends, not the message's
        uploaded = await file.read() if isinstance(file, UploadFile) else b""
        named_csv = isinstance(file, UploadFile) and (file.filename or "").lower().endswith(".csv")
    return PageForm(
        content=uploaded or pasted.encode("utf-8", "replace"),
        content_type="text/csv" if uploaded and named_csv else "application/octet-stream",
        pasted="" if uploaded else pasted,
        key=texts.get("key", "").strip(),
        received_at=texts.get("received_at", "").strip(),
    )


class Addresses:
    """The routes of one door."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def caller(self, request: Request, *any_of: Scope) -> Caller:
        """Whoever the key says, with one of the scopes and within the rate; in the sandbox for a dry run. Raises Problem 400,
        401, 403, 429, 503."""
        door = self._door
        door.registers.check()
        caller = by_key(request.headers.get("authorization"), door.registers.accounts, door.registers.senders, door.clock.now())
        caller.is_named(request.headers.get(SENDER_HEADER))
        if any_of:
            caller.need(*any_of)
        if tries(request):
            caller = caller.trying()
        door.count_request(caller)
        return caller

    async def _once(self, request: Request, caller: Caller, said: Said, take: Callable[[], Awaitable[Response]]) -> Response:
        """Take what was said; or answer as before, if it was taken before under the same Idempotency-Key."""
        key, kept, now_s = key_in(request.headers.get(IDEMPOTENCY_KEY)), self._door.idempotency, self._door.clock.monotonic()
        if key is None:
            return await take()
        received_at = "" if said.received_at is None else said.received_at.isoformat()
        about = (request.method, request.url.path, said.content_type, said.content_encoding, received_at, said.recorded_by)
        before = kept.begin(caller.meter, key, fingerprint(*about, said.content), now_s)
        if before is not None:
            return Response(before.body, before.status, dict(before.headers) | {REPLAYED_HEADER: "true"})
        try:
            response = await take()
            headers = {name: value for name, value in response.headers.items() if name != "content-length"}
            kept.keep(caller.meter, key, Answer(response.status_code, headers, bytes(response.body)), now_s)
        finally:
            kept.forget(caller.meter, key)  # of what was not taken; what was kept stays
        return response

    async def _said(
        self,
        request: Request,
        held: Held,
        kind: RawKind,
        types: frozenset[str],
        *,
        standard: str | None = None,
        consignment: str | None = None,
        if_match: int | None = None,
        default_type: str = "application/json",
    ) -> Said:
        tries(request)
        encoding = content_encoding(request.headers.get("content-encoding"))
        content_type = media_type(request.headers.get("content-type"), types, default_type)
        received_at, recorded_by = (
            _time_in("Lovla-Received-At", request.headers.get("lovla-received-at")),
            _header_text(request, "lovla-recorded-by"),
        )
        limits, declared = self._door.limits, request.headers.get("content-length")
        content = await held.read(request.stream(), declared, limits.body_bytes, limits.body_s)
        request_id, traceparent = request.headers.get("x-request-id", ""), request.headers.get("traceparent", "")
        return Said(
            kind=kind,
            content=content,
            content_type=content_type,
            content_encoding=encoding,
            standard=standard,
            consignment=consignment,
            if_match=if_match,
            received_at=received_at,
            recorded_by=recorded_by,
            once=_once_of(request, content) if kind == "dock_receipt" else None,
            request_id=request_id if _REQUEST_ID.fullmatch(request_id) else None,
            traceparent=traceparent if _TRACEPARENT.fullmatch(traceparent) else None,
            answer_form=wanted(request.headers.get("accept")).x12,
        )

    async def _message(self, request: Request, caller: Caller, said: Said, *, keep_unreadable: bool) -> Response:
        """Take a message, or only try it."""
        media_types = wanted(request.headers.get("accept")).media_types
        if tries(request):
            report = await self._door.try_message(caller, said)
            if (media_type := media_types.get(report.acknowledgement.form or "")) is not None:
                return Response(report.acknowledgement.text, media_type=media_type)
            return JSONResponse(report.body())

        async def take() -> Response:
            taken = await self._door.take_message(caller, said, keep_unreadable=keep_unreadable)
            plain = accepted(taken, caller)
            if not media_types or taken.acknowledge is None:
                return plain
            written = await taken.acknowledge()
            media_type = media_types.get(written.form or "")
            if media_type is None:  # what was taken is never refused for want of a form to answer in
                return plain
            headers = {name: plain.headers[name] for name in ("location", RECEIPT_HEADER)}
            return Response(written.text, 202, headers, media_type)

        return await self._once(request, caller, said, take)

    async def _commands(self, request: Request, caller: Caller, said: Said) -> Response:
        async def take() -> Response:
            return accepted(await self._door.take_commands(caller, said), caller)

        return await self._once(request, caller, said, take)

    async def events(self, request: Request) -> Response:
        caller = self.caller(request, "push")
        with Held(self._door.budget, caller.meter) as held:
            said = await self._said(request, held, "message", EVENT_TYPES, standard="lovla.1")
            return await self._message(request, caller, said, keep_unreadable=False)

    async def messages(self, request: Request) -> Response:
        caller = self.caller(request, "push")
        with Held(self._door.budget, caller.meter) as held:
            said = await self._said(request, held, "message", MESSAGE_TYPES, default_type="application/octet-stream")
            return await self._message(request, caller, said, keep_unreadable=True)

    async def dcsa(self, request: Request, token: str) -> Response:
        door = self._door
        door.registers.check()
        subscription, signature = request.headers.get("subscription-id"), request.headers.get("notification-signature")
        kept = door.callbacks.addressed(token, subscription, door.registers.secrets.values())
        with Held(door.budget, kept.sender) as held:
            said = await self._said(request, held, "message", JSON_TYPES, standard="dcsa.2.2")
            caller = door.callbacks.caller(kept, signature, said.content, door.registers.senders)
            door.count_request(caller)
            taken = await door.take_message(caller, said, keep_unreadable=True)
        count_events(caller, taken)
        return Response(status_code=204, headers={RECEIPT_HEADER: taken.receipt})

    async def dcsa_head(self, request: Request, token: str) -> Response:
        """A publisher's question whether the callback is there; it has no subscription id yet."""
        door = self._door
        door.registers.check()
        if not door.callbacks.is_callback(token, door.registers.secrets.values()):
            raise Problem("not-found", "There is no such callback.")
        return Response(status_code=204)

    async def register(self, request: Request) -> Response:
        caller = self.caller(request, "register")
        with Held(self._door.budget, caller.meter) as held:
            said = await self._said(request, held, "registration", REGISTRATION_TYPES)
            return await self._commands(request, caller, said)

    async def amend(self, request: Request, consignment: str) -> Response:
        caller = self.caller(request, "register")
        if_match = _if_match(request, required=True)
        with Held(self._door.budget, caller.meter) as held:
            said = await self._said(request, held, "amendment", JSON_TYPES, consignment=consignment, if_match=if_match)
            return await self._commands(request, caller, said)

    async def cancel(self, request: Request, consignment: str) -> Response:
        caller = self.caller(request, "register")
        if_match = _if_match(request, required=False)
        with Held(self._door.budget, caller.meter) as held:
            said = await self._said(request, held, "cancellation", JSON_TYPES, consignment=consignment, if_match=if_match)
            return await self._commands(request, caller, said)

    async def dock_receipt(self, request: Request, consignment: str) -> Response:
        caller = self.caller(request, "register", "push")
        with Held(self._door.budget, caller.meter) as held:
            said = await self._said(request, held, "dock_receipt", JSON_TYPES, consignment=consignment)
            return await self._commands(request, caller, said)

    async def act(self, request: Request, consignment: str) -> Response:
        caller = self.caller(request, "register")
        with Held(self._door.budget, caller.meter) as held:
            said = await self._said(request, held, "action", JSON_TYPES, consignment=consignment)
            return await self._commands(request, caller, said)

    async def receipt(self, request: Request, receipt: str) -> Response:
        caller = self.caller(request)
        return JSONResponse(await self._door.receipt(caller, receipt))

    async def begin_load(self, request: Request) -> Response:
        self.caller(request, "operator").need_for_good()
        return JSONResponse({"loading_since": await self._door.ticker.begin_load()})

    async def end_load(self, request: Request) -> Response:
        self.caller(request, "operator").need_for_good()
        try:
            await self._door.ticker.end_load()
        except Away as error:
            raise self._door.away(error) from error
        return JSONResponse({"loading_since": None})

    async def retry(self, request: Request, sender: str) -> Response:
        caller = self.caller(request, "operator")
        caller.need_for_good()
        with Held(self._door.budget, caller.meter) as held:
            said = await self._said(request, held, "action", JSON_TYPES)
        asked = _asked_in(said, _RETRY, "Positions are expected.")
        positions = [Position(partition, offset) for partition, offset in asked.positions]
        return JSONResponse({"sender": sender, "retried": await self._door.retry(sender, positions, said.recorded_by)})

    async def acknowledge(self, request: Request) -> Response:
        """Somebody takes care of an alert: an operator (the console's people), or the alerts' door for its subscribers."""
        door = self._door
        if inside.is_service(door.secret_key, ALERTS, request.headers.get("authorization")):
            door.registers.check()
            meter, by = ALERTS, SUBSCRIBER
        else:
            caller = self.caller(request, "operator")
            caller.need_for_good()
            meter, by = caller.meter, " ".join([caller.sender.code, _header_text(request, "lovla-recorded-by") or ""]).strip()
        with Held(door.budget, meter) as held:
            said = await self._said(request, held, "action", JSON_TYPES)
        asked = _asked_in(said, _ACKNOWLEDGED, "An acknowledgement is expected.")
        record = Acknowledgement(**asked.model_dump(), at=door.clock.now(), by=by[:128])
        try:
            await door.acknowledgements.write(record)
        except (KafkaException, BufferError, TopicMissing, TimeoutError) as error:
            raise Problem("not-ready", "It could not be written; say it again in a moment.", retry_after_s=2.0) from error
        return JSONResponse(record.model_dump(mode="json", exclude_none=True), 202)

    async def work(self, request: Request) -> Response:
        """A person takes care of consignments, hands them over, lets them wait, notes something, or undoes that."""
        door, caller = self._door, self.caller(request, "operator")
        caller.need_for_good()
        with Held(door.budget, caller.meter) as held:
            said = await self._said(request, held, "action", JSON_TYPES)
        if not said.recorded_by:
            raise Problem("bad-header", "Lovla-Recorded-By says who acts; it is missing.")
        by, now = said.recorded_by[:128], door.clock.now()
        asked = _asked_in(said, work_acts.ASKED, "A list of acts is expected.")
        if not 0 < len(asked) <= work_acts.ACTS_MOST:
            raise Problem("invalid", f"{len(asked)} acts; 1 to {work_acts.ACTS_MOST} a request.")
        if (row := work_acts.beyond(asked, now)) is not None:
            text = f"a time from now on, and at most {work_acts.SNOOZE_MOST.days} days ahead"
            raise Problem("invalid", "Nothing was done.", errors=[Place(where=f"/{row}/until", code="outside_time", text=text)])
        try:
            acts = work_acts.acts_of(asked, by, caller.sender.code, key_in(request.headers.get(IDEMPOTENCY_KEY)), now)
        except ValidationError as error:
            raise Problem("invalid", "Nothing was done.", errors=places_of(error)) from error

        async def take() -> Response:
            try:
                await door.work_acts.write(acts)
            except (KafkaException, BufferError, TopicMissing, TimeoutError) as error:
                raise Problem("not-ready", "It could not be written; say it again in a moment.", retry_after_s=2.0) from error
            body = [act.model_dump(mode="json", exclude_none=True) for act in acts]
            return JSONResponse({"acts": body}, 202)

        return await self._once(request, caller, said, take)

    async def docs(self, request: Request) -> Response:
        return Response(openapi.page(request.app.openapi()), media_type="text/html")

    async def conformance(self, request: Request) -> Response:
        return Response(conformance_page.page(self._door.limits), headers=conformance_page.HEADERS, media_type="text/html")

    async def conformance_style(self, request: Request) -> Response:
        return Response(conformance_page.style_sheet(), media_type="text/css")

    async def conformance_try(self, request: Request) -> Response:
        """What a message becomes, as a page. Whose it is says the key in the form; without one it is a stranger's."""
        door, asked = self._door, Asked()
        try:
            door.registers.check()
            with Held(door.budget, stranger().meter) as held:
                declared, most_bytes = request.headers.get("content-length"), door.limits.page_body_bytes
                body = await held.read(request.stream(), declared, most_bytes, door.limits.body_s)
                form = await fields_of(request.headers.get("content-type"), body)
                asked = Asked(form.pasted, form.received_at)
                if not form.content.strip():
                    raise Problem("no-message", "Paste or choose a message.")
                caller = self._page_caller(form)
                if caller.sender.code == UNKNOWN and len(form.content) > door.limits.stranger_body_bytes:
                    most_bytes = door.limits.stranger_body_bytes
                    raise Problem("too-large", f"Without a key a message may hold at most {most_bytes} bytes.")
                said = Said(
                    kind="message",
                    content=form.content,
                    content_type=form.content_type,
                    content_encoding="gzip" if form.content.startswith(b"\x1f\x8b") else "identity",
                    received_at=_time_in("The time of receipt", form.received_at or None),
                )
                report = await door.try_message(caller, said)
        except Problem as problem:
            web.refused(problem.kind)
            headers = problem.response_headers() | dict(conformance_page.HEADERS)
            content = conformance_page.page(door.limits, asked, problem=problem)
            return Response(content, problem.status, headers, media_type="text/html")
        content = conformance_page.page(door.limits, asked, report)
        return Response(content, headers=conformance_page.HEADERS, media_type="text/html")

    def _page_caller(self, form: PageForm) -> Caller:
        """Whoever the key in the form says, else a stranger; raises Problem 401, 403, 429. To guess is a stranger's."""
        door = self._door
        if not form.key:
            door.count_request(stranger())
            return stranger()
        try:
            caller = by_key(f"Bearer {form.key}", door.registers.accounts, door.registers.senders, door.clock.now())
        except Problem:
            door.count_request(stranger())
            raise
        caller.need("push", "register")
        caller = caller.trying()
        door.count_request(caller)
        return caller


@dataclass(frozen=True, slots=True)
class Wanted:
    """The acknowledgements that `Accept` asks for: each form and the type that it is asked for as. `x12`: which of X12's."""

    media_types: Mapping[str, str]
    x12: Form | None = None


_X12_FORMS: Mapping[str, Form] = {"997": "997", "999": "999"}


def wanted(accept: str | None) -> Wanted:
    """`application/edi-x12` (`; form=999`) and `application/edifact` ask for 997, 999, CONTRL, unless `application/json` is
    liked better; raises Problem 400."""
    weights: dict[str, float] = {}
    x12: Form | None = None
    for one in (accept or "").split(",")[:20]:
        media_type, *parameters = (part.strip().lower() for part in one.split(";"))
        named = dict(part.partition("=")[::2] for part in parameters)
        try:
            weights[media_type] = float(named.get("q", "1"))
        except ValueError:
            weights[media_type] = 0.0
        if media_type == _X12 and "form" in named:
            x12 = _X12_FORMS.get(named["form"])
            if x12 is None:
                raise Problem("bad-header", f"Accept: {_X12}; form= is 997 or 999.")
    liked = {
        name for name in (_X12, _EDIFACT) if weights.get(name, 0) > 0 and weights[name] >= weights.get("application/json", 0)
    }
    media_types = {str(x12 or "997"): _X12} if _X12 in liked else {}
    return Wanted(media_types | ({"contrl": _EDIFACT} if _EDIFACT in liked else {}), x12)


def tries(request: Request) -> bool:
    """Whether the request only tries (`?dry_run=1`); raises Problem 400 for what cannot be meant, so that nothing is sent for
    good which was meant to be tried."""
    value = request.query_params.get("dry_run")
    if value is None or value in ("0", "false"):
        return False
    if value not in ("1", "true"):
        raise Problem("bad-parameter", "dry_run is 1 or 0.")
    if request.url.path not in TRIED:
        raise Problem("bad-parameter", f"dry_run is known at {' and '.join(TRIED)}; nothing was taken.")
    return True


def accepted(taken: Accepted, caller: Caller) -> Response:
    """202, with the receipt also as a header and an address."""
    if not taken.sandbox:
        count_events(caller, taken)
    headers = {"Location": f"/v1/receipts/{taken.receipt}", RECEIPT_HEADER: taken.receipt}
    return JSONResponse(taken.body(), status_code=202, headers=headers)


def count_events(caller: Caller, taken: Accepted) -> None:
    """The metric of what was accepted."""
    metrics.counter("lovla_ingest_events_total", sender=caller.sender.code).inc(max(1, len(taken.verdicts)))


def build(door: Door, lifespan: Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]] | None = None) -> FastAPI:
    """The application over a door; `lifespan` starts and stops what the door stands on."""
    app = FastAPI(
        title="LoVLA",
        version="1",
        description="The way in: shipment events, registrations, receipts.",
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere; ours needs none
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    at = Addresses(door)
    routes: Sequence[tuple[str, str, Callable[..., Awaitable[Response]], str]] = (
        ("POST", "/v1/events", at.events, "events"),
        ("POST", "/v1/messages", at.messages, "messages"),
        ("POST", "/v2/dcsa/{token}/events", at.dcsa, "dcsa"),
        ("HEAD", "/v2/dcsa/{token}/events", at.dcsa_head, "dcsa_head"),
        ("POST", "/v1/consignments", at.register, "register"),
        ("POST", "/v1/consignments/{consignment:path}/dock-receipt", at.dock_receipt, "dock_receipt"),
        ("POST", "/v1/consignments/{consignment:path}/actions", at.act, "act"),
        ("PUT", "/v1/consignments/{consignment:path}", at.amend, "amend"),
        ("DELETE", "/v1/consignments/{consignment:path}", at.cancel, "cancel"),
        ("GET", "/v1/receipts/{receipt}", at.receipt, "receipt"),
        ("POST", "/v1/load/begin", at.begin_load, "load_begin"),
        ("POST", "/v1/load/end", at.end_load, "load_end"),
        ("POST", "/v1/senders/{sender}/retry", at.retry, "retry"),
        ("POST", "/v1/acknowledgements", at.acknowledge, "acknowledge"),
        ("POST", "/v1/work-acts", at.work, "work"),
        ("GET", "/docs", at.docs, "docs"),
        ("GET", "/conformance", at.conformance, "conformance"),
        ("POST", "/conformance", at.conformance_try, "conformance_try"),
        ("GET", "/conformance.css", at.conformance_style, "conformance_style"),
    )
    for method, path, endpoint, name in routes:
        app.add_api_route(path, endpoint, methods=[method], name=name, response_model=None, **openapi.describe(name))
    openapi.completed(app)

    async def on_problem(request: Request, problem: Exception) -> Response:
        assert isinstance(problem, Problem)
        web.refused(problem.kind)
        body = problem.body() | {"instance": request.url.path if "/dcsa/" not in request.url.path else "/v2/dcsa"}
        return JSONResponse(body, problem.status, problem.response_headers(), media_type=MEDIA_TYPE)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "invalid")
        return await on_problem(request, Problem(kind, str(error.detail), headers=dict(error.headers or {})))

    async def on_gone(_: Request, __: Exception) -> Response:
        return Response(status_code=400)  # the sender hung up in the middle of its body: nobody hears this

    async def on_fault(request: Request, error: Exception) -> Response:
        log.error("api.fault", error=repr(error), route=request.scope.get("route") and request.scope["route"].name)
        return await on_problem(request, Problem("internal", "The request was not taken; the log says more."))

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(ClientDisconnect, on_gone)
    app.add_exception_handler(Exception, on_fault)
    web.watched(app, lambda: door.not_ready())  # the description of the addresses is written without a door
    return app


def assemble(settings: IngestSettings) -> FastAPI:
    """The application over the real Kafka. Answers at once; refuses with 503 until the registers are read."""
    secret_key = settings.secret_key.get_secret_value().encode()
    clock, registers, raw_log = SystemClock(), Registers(settings), RawLog(settings, RAW_MESSAGES.name)
    records, outcomes = RawRecords(settings), Outcomes(settings)

    def is_open() -> bool:
        return registers.healthy() is None

    ticker = Ticker(raw_log, RAW_MESSAGES.partitions, settings.tick_s, settings.state_dir / "load.json", clock, is_open)
    door = Door(
        registers=registers,
        log=raw_log,
        records=records,
        outcomes=outcomes,
        sealer=Sealer(secret_key),
        callbacks=Callbacks(secret_key),
        ticker=ticker,
        clock=clock,
        acknowledgements=KafkaAcknowledgements(settings),
        work_acts=KafkaWorkActs(settings),
        secret_key=secret_key,
        limits=settings.limits(),
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        raw_log.start()
        outcomes.start()

        loop, stop, opened = asyncio.get_running_loop(), threading.Event(), asyncio.Event()

        def read_registers() -> None:
            registers.start_patiently(stop)
            with contextlib.suppress(RuntimeError):  # the loop is gone: the door was closed meanwhile
                loop.call_soon_threadsafe(opened.set)

        async def open_up() -> None:
            # a thread that nobody waits for: while Kafka is away it may hang longer than a stop may take
            threading.Thread(target=read_registers, name="registers", daemon=True).start()
            await opened.wait()
            log.info("api.ready", senders=len(registers.senders))
            await ticker.run()

        opening = asyncio.create_task(open_up())
        try:
            yield
        finally:
            stop.set()
            opening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await opening
            parts = (raw_log.stop, outcomes.stop, registers.stop, records.close)
            await asyncio.gather(*(asyncio.to_thread(part) for part in parts))

    return build(door, lifespan)


def main() -> None:
    """Serve until SIGTERM or SIGINT; requests under way get 5 s to finish."""
    settings = process.begin("api", IngestSettings)
    try:
        app = assemble(settings)
    except (SettingsError, OSError) as error:  # a code map that is none
        log.error("api.stopped", error=str(error))
        sys.exit(1)
    garbage.relax()
    web.serve(app, settings.api_host, settings.api_port, bounded(settings.connections, settings.head_s, settings.body_s))


if __name__ == "__main__":
    main()
