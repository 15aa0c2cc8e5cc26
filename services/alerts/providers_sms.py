"""SMS handed to a provider over HTTP: one port, two shapes. Twilio's (REST, Messages resource) and Vonage's (SMS API).

Both are asked by our own reference after an attempt without a result. Vonage keeps a `client-ref` (its Reports API finds it);
Twilio has no such field: there the reference is the message itself, looked for by number, text and time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal, Protocol

import httpx

from services.alerts import sms
from services.alerts.attempts import Answer
from services.alerts.delivery_settings import DeliverySettings
from services.runtime import inside

SLACK = timedelta(minutes=2)
"""Between our clock and the provider's."""

REPLAY_S = 300
"""A signed callback is good for so long (where the signature says when it was made)."""

State = Literal["delivered", "undelivered"]


@dataclass(frozen=True, slots=True)
class Status:
    """A provider's receipt for a message, or why it could not be brought. `opted_out`: the number told the provider that it
    wants nothing more."""

    provider_ref: str
    state: State
    number: str
    text: str
    reference: str | None = None
    opted_out: bool = False


@dataclass(frozen=True, slots=True)
class Incoming:
    """What somebody sent to our number."""

    provider_ref: str
    number: str
    text: str


class SmsProvider(Protocol):
    """The port. `send` and `find` never raise for what the provider does."""

    name: str

    async def send(self, to: str, text: str, reference: str, callback: str) -> Answer: ...
    async def find(self, to: str, text: str, reference: str, since: datetime) -> Answer | None:
        """Accepted: the provider has it; None: it has not; else it cannot be asked now."""
        ...

    def genuine(self, url: str, fields: Mapping[str, str], headers: Mapping[str, str], now: datetime) -> bool:
        """Whether a callback is the provider's own. `url`: as the provider was told it."""
        ...

    def status(self, fields: Mapping[str, str]) -> Status | None:
        """None: nothing final yet."""
        ...

    def incoming(self, fields: Mapping[str, str]) -> Incoming | None: ...
    def reply(self, text: str | None) -> tuple[str, str]:
        """What to answer to an incoming message: body and content type. A shape that cannot reply so gets it by `send`."""
        ...

    replies_inline: bool

    async def close(self) -> None: ...


class _Http:
    """What both shapes share: a client, and what HTTP itself says."""

    def __init__(self, settings: DeliverySettings, auth: tuple[str, str] | None = None) -> None:
        assert settings.sms_url is not None
        self._base = settings.sms_url.rstrip("/")
        plain = inside.plain() if self._base.startswith("http:") else True
        self._client = httpx.AsyncClient(timeout=settings.sms_timeout_s, trust_env=False, auth=auth, verify=plain)

    async def close(self) -> None:
        await self._client.aclose()

    async def call(self, method: str, path: str, **more: Any) -> httpx.Response | Answer:
        """The response, or what its absence means. A request that may have been taken is `unknown`."""
        try:
            response = await self._client.request(method, self._base + path, **more)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return Answer("away", "not_reached", type(error).__name__)
        except httpx.TimeoutException as error:
            return Answer("unknown", "timeout", type(error).__name__)
        except httpx.HTTPError as error:
            return Answer("unknown", "disconnected", type(error).__name__)
        code = response.status_code
        if code == 429:
            return Answer("away", "throttled", f"{code}", pause_s=retry_after_s(response.headers) or 1.0)
        if code in (401, 403):
            return Answer("away", "not_authenticated", f"{code}")
        if code == 503:
            return Answer("away", "provider_busy", f"{code}", pause_s=retry_after_s(response.headers))
        if code >= 500:
            return Answer("unknown", "server_error", f"{code}")
        return response


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that a Retry-After asks for, at most ten minutes; a date is not used by these providers."""
    text = headers.get("retry-after", "")
    return min(float(text), 600.0) if text.isdigit() else None


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class TwilioShaped:
    """https://www.twilio.com/docs/messaging/api/message-resource and its error codes."""

    name = "twilio"
    replies_inline = True
    _NO_SUCH_NUMBER = frozenset({21211, 21214, 21217, 21614})
    _UNDELIVERED = frozenset({"undelivered", "failed"})
    _OPTED_OUT = 21610

    def __init__(self, settings: DeliverySettings) -> None:
        self._account, self._token = settings.sms_account, settings.sms_token.get_secret_value()
        self._from = settings.sms_from
        self._http = _Http(settings, (self._account, self._token))
        self._path = f"/2010-04-01/Accounts/{self._account}/Messages.json"

    async def send(self, to: str, text: str, reference: str, callback: str) -> Answer:
        sender = "MessagingServiceSid" if self._from.startswith("MG") else "From"
        told = {"To": to, sender: self._from, "Body": text, "StatusCallback": callback}
        response = await self._http.call("POST", self._path, data=told)
        if isinstance(response, Answer):
            return response
        said = _json(response)
        if response.is_success and said.get("sid"):
            return Answer("accepted", "accepted", str(said.get("status", "")), provider_ref=str(said["sid"])[:128])
        code = said.get("code")
        words = f"{code} {said.get('message', '')}"
        if code == self._OPTED_OUT:
            return Answer("refused", "opted_out", words, suppress="opted_out")
        if code in self._NO_SUCH_NUMBER:
            return Answer("refused", "no_such_number", words, suppress="bounced")
        return (
            Answer("refused", "sms_refused", words) if code else Answer("unknown", "not_understood", f"{response.status_code}")
        )

    async def find(self, to: str, text: str, reference: str, since: datetime) -> Answer | None:
        response = await self._http.call("GET", self._path, params={"To": to, "PageSize": "100"})
        if isinstance(response, Answer):
            return response
        messages = _json(response).get("messages")
        if not isinstance(messages, list):
            return Answer("away", "not_understood", f"{response.status_code}")
        for message in messages:
            made = parsedate_to_datetime(message["date_created"])
            if message.get("body") == text and message.get("to") == to and made >= since - SLACK:
                return Answer("accepted", "found", str(message.get("status", "")), provider_ref=str(message["sid"])[:128])
        return None

    def genuine(self, url: str, fields: Mapping[str, str], headers: Mapping[str, str], now: datetime) -> bool:
        return hmac.compare_digest(twilio_signature(self._token, url, fields), headers.get("x-twilio-signature", ""))

    def status(self, fields: Mapping[str, str]) -> Status | None:
        state, ref, number = fields.get("MessageStatus"), fields.get("MessageSid", ""), fields.get("To", "")
        if state == "delivered":
            return Status(ref, "delivered", number, "delivered")
        if state in self._UNDELIVERED:
            code = fields.get("ErrorCode", "")
            return Status(ref, "undelivered", number, f"{state} {code}".strip(), opted_out=code == str(self._OPTED_OUT))
        return None

    def incoming(self, fields: Mapping[str, str]) -> Incoming | None:
        if "From" not in fields or "Body" not in fields:
            return None
        return Incoming(fields.get("MessageSid", ""), fields["From"], fields["Body"])

    def reply(self, text: str | None) -> tuple[str, str]:
        from xml.sax.saxutils import escape  # only written, never read

        message = f"<Message>{escape(text)}</Message>" if text else ""
        return f'<?xml version="1.0" encoding="UTF-8"?><Response>{message}</Response>', "text/xml"

    async def close(self) -> None:
        await self._http.close()


def twilio_signature(token: str, url: str, fields: Mapping[str, str]) -> str:
    """X-Twilio-Signature: HMAC-SHA1 over the URL and each field's name and value, by name; base64."""
    said = url + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), said.encode(), hashlib.sha1).digest()).decode("ascii")


class VonageShaped:
    """https://developer.vonage.com/en/api/sms, its Reports API, and signed callbacks (SHA-256 HMAC)."""

    name = "vonage"
    replies_inline = False
    _REASONS: Mapping[str, Answer] = {
        "1": Answer("away", "throttled", pause_s=1.0),
        "4": Answer("away", "not_authenticated"),
        "5": Answer("unknown", "server_error"),
        "7": Answer("refused", "opted_out", suppress="opted_out"),
        "8": Answer("away", "not_authenticated"),
        "9": Answer("away", "no_credit"),
    }

    def __init__(self, settings: DeliverySettings) -> None:
        self._key, self._secret = settings.sms_account, settings.sms_token.get_secret_value()
        self._from = settings.sms_from.removeprefix("+")
        self._http = _Http(settings)

    async def send(self, to: str, text: str, reference: str, callback: str) -> Answer:
        told = {
            "api_key": self._key,
            "api_secret": self._secret,
            "from": self._from,
            "to": to.removeprefix("+"),
            "text": text,
            "type": "text" if sms.count(text).encoding == "gsm7" else "unicode",
            "client-ref": reference,
            "callback": callback,
        }
        response = await self._http.call("POST", "/sms/json", data=told)
        if isinstance(response, Answer):
            return response
        messages = _json(response).get("messages")
        first = messages[0] if isinstance(messages, list) and messages and isinstance(messages[0], dict) else {}
        status, words = str(first.get("status", "")), str(first.get("error-text", ""))
        if status == "0":
            return Answer("accepted", "accepted", "0", provider_ref=str(first.get("message-id", ""))[:128])
        if not status:
            return Answer("unknown", "not_understood", f"{response.status_code}")
        known = self._REASONS.get(status, Answer("refused", "sms_refused"))
        return Answer(known.kind, known.reason, f"{status} {words}", pause_s=known.pause_s, suppress=known.suppress)

    async def find(self, to: str, text: str, reference: str, since: datetime) -> Answer | None:
        asked = {
            "account_id": self._key,
            "product": "SMS",
            "direction": "outbound",
            "client_ref": reference,
            "date_start": (since - SLACK).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        response = await self._http.call("GET", "/v2/reports/records", params=asked, auth=(self._key, self._secret))
        if isinstance(response, Answer):
            return response
        records = _json(response).get("records")
        if not isinstance(records, list):
            return Answer("away", "not_understood", f"{response.status_code}")
        found = next((record for record in records if record.get("client_ref") == reference), None)
        if found is None:
            return None
        return Answer("accepted", "found", str(found.get("status", "")), provider_ref=str(found.get("message_id", ""))[:128])

    def genuine(self, url: str, fields: Mapping[str, str], headers: Mapping[str, str], now: datetime) -> bool:
        stamp = fields.get("timestamp", "")
        fresh = stamp.isdigit() and abs(now.timestamp() - int(stamp)) <= REPLAY_S
        return fresh and hmac.compare_digest(vonage_signature(self._secret, fields), fields.get("sig", "").upper())

    def status(self, fields: Mapping[str, str]) -> Status | None:
        state, ref, number = fields.get("status"), fields.get("messageId", ""), fields.get("msisdn", "")
        reference = fields.get("client-ref", "")
        if state == "delivered":
            return Status(ref, "delivered", f"+{number}", "delivered", reference)
        if state in ("failed", "rejected", "expired"):
            return Status(ref, "undelivered", f"+{number}", f"{state} {fields.get('err-code', '')}".strip(), reference)
        return None

    def incoming(self, fields: Mapping[str, str]) -> Incoming | None:
        if "msisdn" not in fields or "text" not in fields:
            return None
        return Incoming(fields.get("messageId", ""), f"+{fields['msisdn'].removeprefix('+')}", fields["text"])

    def reply(self, text: str | None) -> tuple[str, str]:
        return "", "text/plain"

    async def close(self) -> None:
        await self._http.close()


def vonage_signature(secret: str, fields: Mapping[str, str]) -> str:
    """`sig`: HMAC-SHA256 over `&name=value` of all other fields by name, & and = in values written as _; hex, upper case."""
    clean = {name: value.replace("&", "_").replace("=", "_") for name, value in fields.items() if name != "sig"}
    said = "".join(f"&{name}={clean[name]}" for name in sorted(clean))
    return hmac.new(secret.encode(), said.encode(), hashlib.sha256).hexdigest().upper()


def provider(settings: DeliverySettings) -> SmsProvider:
    """The one that the settings name; `sms_url` must be set."""
    return VonageShaped(settings) if settings.sms_provider == "vonage" else TwilioShaped(settings)
