"""What providers tell us: receipts and answers of SMS, and mail that came back. Routers that the alerts' API includes.

Who calls proves who it is: an SMS provider by its signature over address and fields, a bounce by the sealed address that it
came back to. What is told twice does no harm: a receipt is one more record that says the same, and a word obeyed is obeyed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol
from urllib.parse import parse_qsl

from confluent_kafka import KafkaException, Producer
from fastapi import APIRouter, Request, Response

from schemas.alerts_v1 import Delivery, DeliveryState, Subscription, Suppression
from schemas.topics import DELIVERIES, SUPPRESSIONS
from services.alerts.addresses import BadAddress, Hasher, normalise
from services.alerts.bounces import MOST_BYTES, NotABounce, Verp
from services.alerts.bounces import read as read_bounce
from services.alerts.delivery_settings import DeliverySettings
from services.alerts.inbound import Inbound
from services.alerts.providers_sms import SmsProvider, Status, provider
from services.alerts.sending import without_address
from services.alerts.subscriptions import Store, redone
from services.runtime import kafka, logs
from services.runtime.clock import Clock
from services.runtime.register import write
from services.runtime.settings import Settings

FORM_MOST_BYTES = 64 * 1024
_NOTIFICATION, _SUBSCRIPTION = re.compile(r"[0-9a-f]{32}"), re.compile(r"[a-z0-9]{16}")

log = logs.get("alerts_api")


class Words(Protocol):
    """Does what people answer (inbound.py); blocks. Raises KafkaException, TimeoutError."""

    def take(self, number: str, text: str, ref: str = "") -> str | None: ...


class Told(Protocol):
    """Where what we were told is written; blocks. Raises KafkaException, TimeoutError."""

    def delivery(self, record: Delivery) -> None: ...
    def suppress(self, record: Suppression) -> None: ...


class KafkaTold:
    """The real one."""

    def __init__(self, settings: Settings) -> None:
        self._producer: Producer = kafka.producer(settings, "lovla-alerts-callbacks")

    def delivery(self, record: Delivery) -> None:
        write(self._producer, DELIVERIES.name, record.subscription, record)

    def suppress(self, record: Suppression) -> None:
        write(self._producer, SUPPRESSIONS.name, record.address_hash, record)


@dataclass(frozen=True)
class Callbacks:
    """What the addresses stand on. `base_url`: as providers were told it; the signature covers it."""

    provider: SmsProvider | None
    words: Words
    told: Told
    subscription: Callable[[str], Subscription | None]
    hasher: Hasher
    verp: Verp
    clock: Clock
    base_url: str

    def router(self) -> APIRouter:
        """POST /sms/inbound, /sms/status, /mail/bounce."""
        router = APIRouter()
        if self.provider is not None:
            router.add_api_route("/sms/inbound", self._inbound, methods=["POST"], response_model=None)
            router.add_api_route("/sms/status", self._status, methods=["POST"], response_model=None)
        router.add_api_route("/mail/bounce", self._bounce, methods=["POST"], response_model=None)
        return router

    # --- SMS

    async def _inbound(self, request: Request) -> Response:
        fields = await self._genuine(request)
        if isinstance(fields, Response):
            return fields
        assert self.provider is not None
        said = self.provider.incoming(fields)
        if said is None:
            return Response(status_code=400)
        try:
            reply = await asyncio.to_thread(redone, lambda: self.words.take(said.number, said.text, said.provider_ref))
        except (KafkaException, TimeoutError) as error:
            log.warning("alerts_api.inbound_not_written", error=type(error).__name__)
            return Response(status_code=503, headers={"Retry-After": "5"})  # the provider comes again
        if reply is not None and not self.provider.replies_inline:
            await self.provider.send(said.number, reply, f"reply.{said.provider_ref}"[:40], "")
        body, media_type = self.provider.reply(reply)
        return Response(body, media_type=media_type)

    async def _status(self, request: Request) -> Response:
        fields = await self._genuine(request)
        if isinstance(fields, Response):
            return fields
        assert self.provider is not None
        status = self.provider.status(fields)
        if status is None:
            return Response(status_code=204)
        notification, name = request.query_params.get("n", ""), request.query_params.get("s", "")
        if not _NOTIFICATION.fullmatch(notification) or not _SUBSCRIPTION.fullmatch(name):
            return Response(status_code=400)
        if status.reference not in (None, notification):  # where the signature does not cover the address
            return Response(status_code=403)
        receipt = self._receipt(notification, name, status)
        if status.opted_out:  # before the receipt, at which the sender would look for another way
            reply = await self._suppress(
                Suppression(
                    address_hash=receipt.address_hash, channel="sms", reason="opted_out", at=self.clock.now(), source="receipt"
                )
            )
            if reply is not None:
                return reply
        return await self._write(receipt)

    def _receipt(self, notification: str, name: str, status: Status) -> Delivery:
        assert self.provider is not None
        try:
            address_hash = self.hasher.of("sms", normalise("sms", status.number))
        except BadAddress:
            address_hash = "0" * 64
        text = without_address(status.text, status.number) or None
        return self._record(
            notification, name, status.state, "sms", address_hash, self.provider.name, status.provider_ref, text
        )

    async def _genuine(self, request: Request) -> dict[str, str] | Response:
        """The fields of a form that the provider signed; else the refusal."""
        body = await _body(request, FORM_MOST_BYTES)
        if body is None:
            return Response(status_code=413)
        try:
            fields = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100))
        except ValueError:
            return Response(status_code=400)
        query = f"?{request.url.query}" if request.url.query else ""
        url = f"{self.base_url}{request.url.path}{query}"
        assert self.provider is not None
        if not self.provider.genuine(url, fields, request.headers, self.clock.now()):
            log.warning("alerts_api.callback_not_signed", route=request.url.path)
            return Response(status_code=403)
        return fields

    # --- mail

    async def _bounce(self, request: Request) -> Response:
        """The report as it came (message/rfc822). Of what is not ours, or no failure, nothing is kept."""
        raw = await _body(request, MOST_BYTES)
        if raw is None:
            return Response(status_code=413)
        try:
            bounce = await asyncio.to_thread(read_bounce, raw, self.verp, tuple(request.query_params.getlist("to")))
        except NotABounce as error:
            return Response(f"{error}\n", status_code=422, media_type="text/plain")
        one = self.subscription(bounce.subscription)
        if bounce.action != "failed" or one is None:
            return Response(status_code=204)
        if bounce.for_good:
            suppression = Suppression(
                address_hash=one.address_hash, channel="email", reason="bounced", at=self.clock.now(), source="bounce"
            )
            reply = await self._suppress(suppression)
            if reply is not None:
                return reply
        text = without_address(f"{bounce.status} {bounce.text}", one.address)
        record = self._record(
            bounce.notification, bounce.subscription, "bounced", "email", one.address_hash, "smtp", None, text
        )
        return await self._write(record)

    # --- both

    def _record(
        self,
        notification: str,
        subscription: str,
        state: DeliveryState,
        channel: Literal["email", "sms"],
        address_hash: str,
        provider: str,
        provider_ref: str | None,
        text: str | None,
    ) -> Delivery:
        return Delivery(
            notification=notification,
            subscription=subscription,
            attempt=1,
            state=state,
            address_hash=address_hash,
            provider=provider,
            provider_ref=provider_ref,
            at=self.clock.now(),
            text=text,
            channel=channel,
        )

    async def _suppress(self, record: Suppression) -> Response | None:
        """None: it is written."""
        try:
            await asyncio.to_thread(self.told.suppress, record)
        except (KafkaException, TimeoutError):
            return Response(status_code=503, headers={"Retry-After": "5"})
        return None

    async def _write(self, record: Delivery) -> Response:
        try:
            await asyncio.to_thread(self.told.delivery, record)
        except (KafkaException, TimeoutError):
            return Response(status_code=503, headers={"Retry-After": "5"})
        return Response(status_code=204)


async def _body(request: Request, most: int) -> bytes | None:
    """None: there is more of it than `most`."""
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > most:
            return None
    return bytes(read)


def of(settings: DeliverySettings, store: Store, clock: Clock) -> Callbacks:
    """Over the real Kafka, as the settings say."""
    secret = settings.secret_key.get_secret_value().encode()
    return Callbacks(
        provider=provider(settings) if settings.sms_url is not None else None,
        words=Inbound(store, clock),
        told=KafkaTold(settings),
        subscription=lambda name: store.all().get(name),
        hasher=Hasher(secret),
        verp=Verp(secret, settings.mail_bounces),
        clock=clock,
        base_url=settings.links_url,
    )
