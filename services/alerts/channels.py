"""The ways out, as the sender sees them: each packs a notification, hands it over, and has a rate and a breaker of its own."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage

from schemas.alerts_v1 import Notification, Subscription
from services.alerts import email
from services.alerts.attempts import Answer, Ask
from services.alerts.bounces import Verp
from services.alerts.breaker import Breaker
from services.alerts.links import Links
from services.alerts.providers_smtp import Smtp
from services.alerts.sending import Parcel


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
    mail: EmailMessage
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
        return Parcel(subscription.address, _Mail(mail, sender), message_id=mail["Message-ID"])

    async def send(self, parcel: Parcel, notification: Notification) -> Answer:
        assert isinstance(parcel.content, _Mail)
        return await self._smtp.send(parcel.content.mail, parcel.to, parcel.content.envelope_from)

    async def find(self, parcel: Parcel, notification: Notification, delivery: Ask) -> Answer | None:
        return None  # a mail server cannot be asked

    def wait_s(self, now_s: float) -> float:
        return 0.0  # the pool's connections are the limit
