"""The ways out, as the sender sees them: each packs a notification, hands it over, and has a rate and a breaker of its own."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.alerts_v1 import Notification, Subscription
from services.alerts import email, sms, webhook
from services.alerts.attempts import Answer, Ask
from services.alerts.bounces import Verp
from services.alerts.breaker import Breaker
from services.alerts.links import Links
from services.alerts.providers_sms import SmsProvider
from services.alerts.providers_smtp import Smtp
from services.alerts.providers_webhook import WebhookClient
from services.alerts.sending import Parcel
from services.runtime.clock import Clock


class Rate:
    """A token bucket: `a_second`, and at once what one second allows."""

    def __init__(self, a_second: float) -> None:
        self._a_second = a_second
        self._tokens = max(1.0, a_second)
        self._most = self._tokens
        self._at_s: float | None = None

    def wait_s(self, now_s: float) -> float:
        """0 takes a turn."""
        if self._at_s is not None:
            self._tokens = min(self._most, self._tokens + (now_s - self._at_s) * self._a_second)
        self._at_s = now_s
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._a_second


@dataclass(frozen=True, slots=True)
class _Mail:
    content: bytes
    envelope_from: str


class EmailChannel:
    """By a mail server."""

    def __init__(self, smtp: Smtp, links: Links, mailer: email.Mailer, verp: Verp) -> None:
        self.name = smtp.name
        self.breaker = Breaker()
        self._smtp, self._links, self._mailer, self._verp = smtp, links, mailer, verp

    def pack(self, notification: Notification, subscription: Subscription) -> Parcel:
        mail = email.write(notification, subscription, self._links, self._mailer)
        sender = self._verp.sender(subscription.subscription, notification.notification)
        return Parcel(subscription.address, _Mail(mail.content, sender), message_id=mail.message_id)

    async def send(self, parcel: Parcel, notification: Notification) -> Answer:
        assert isinstance(parcel.content, _Mail)
        return await self._smtp.send(parcel.content.content, parcel.to, parcel.content.envelope_from)

    async def find(self, parcel: Parcel, notification: Notification, delivery: Ask) -> Answer | None:
        return None  # a mail server cannot be asked

    def wait_s(self, now_s: float) -> float:
        return 0.0  # the pool's connections are the limit

    async def close(self) -> None:
        await self._smtp.close()


class SmsChannel:
    """By a provider of SMS. The reference is the notification's id, whatever the attempt."""

    def __init__(self, provider: SmsProvider, links: Links, a_second: float, callback_url: str) -> None:
        self.name = provider.name
        self.breaker = Breaker()
        self._provider, self._links, self._rate, self._callback_url = provider, links, Rate(a_second), callback_url

    def pack(self, notification: Notification, subscription: Subscription) -> Parcel:
        text = sms.write(notification, subscription, self._links)
        return Parcel(subscription.address, text, segments=sms.count(text).segments)

    async def send(self, parcel: Parcel, notification: Notification) -> Answer:
        callback = f"{self._callback_url}/sms/status?n={notification.notification}&s={notification.subscription}"
        return await self._provider.send(parcel.to, str(parcel.content), notification.notification, callback)

    async def find(self, parcel: Parcel, notification: Notification, delivery: Ask) -> Answer | None:
        return await self._provider.find(parcel.to, str(parcel.content), notification.notification, delivery.since)

    def wait_s(self, now_s: float) -> float:
        return self._rate.wait_s(now_s)

    async def close(self) -> None:
        await self._provider.close()


@dataclass(frozen=True, slots=True)
class _Hook:
    secret: str
    content: bytes


class WebhookChannel:
    """To subscribers' own servers. Each is a provider of its own, so none is taken for the others' outage: the breaker of the
    channel hears of no failure, an address's own pauses do the rest."""

    def __init__(self, client: WebhookClient, links: Links, clock: Clock) -> None:
        self.name = client.name
        self.breaker = Breaker()
        self._client, self._links, self._clock = client, links, clock

    def pack(self, notification: Notification, subscription: Subscription) -> Parcel:
        secret = self._links.webhook_secret(subscription.subscription)
        confirm = self._links.confirm(subscription) if notification.purpose == "confirm" else None
        return Parcel(subscription.address, _Hook(secret, webhook.body(notification, confirm)))

    async def send(self, parcel: Parcel, notification: Notification) -> Answer:
        assert isinstance(parcel.content, _Hook)
        headers = webhook.headers(parcel.content.secret, notification, parcel.content.content, self._clock.now())
        return await self._client.post(parcel.to, headers, parcel.content.content)

    async def find(self, parcel: Parcel, notification: Notification, delivery: Ask) -> Answer | None:
        return None  # a repeat under the same id is what the specification asks for

    def wait_s(self, now_s: float) -> float:
        return 0.0

    async def close(self) -> None:
        await self._client.close()
