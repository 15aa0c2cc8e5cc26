"""What a subscriber says: the body of POST and PATCH /v1/subscriptions; what the page and the command line become. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from schemas.alerts_v1 import Channel, Filters, Subscription
from schemas.base import ShortText, Text, UtcTime
from services.alerts.languages import language

VALUES_MOST = 100  # of one filter
_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")
_PUNCTUATION = re.compile(r"[./_-]+")
_CONTAINER = re.compile(r"[A-Z]{3}[UJZ]\d{7}", re.ASCII)
_AIR_WAYBILL = re.compile(r"(\d{3})(\d{8})", re.ASCII)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone(text: str) -> str:
    if text not in _zones():
        raise ValueError("an IANA time zone is expected, like America/Los_Angeles")
    return text


def _clock(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise ValueError("a time of day is expected, HH:MM")
    return text


def _bounded(filters: Filters) -> Filters:
    spelt = tuple(dict.fromkeys(each for one in filters.references for each in _told(one)))
    filters = filters.model_copy(update={"references": spelt})
    for name in Filters.model_fields:
        value = getattr(filters, name)
        if isinstance(value, tuple) and len(value) > VALUES_MOST:
            raise ValueError(f"{name}: at most {VALUES_MOST} values")
    return filters


def _told(reference: str) -> tuple[str, ...]:
    """How changes write a reference that somebody copied from a paper: a container without blanks and dashes, an air waybill
    with its dash, all else in capitals; and as it was given, since 11 digits and a lot's letters may mean something else."""
    text = "".join(reference.split())
    bare = _PUNCTUATION.sub("", text).upper()
    if _CONTAINER.fullmatch(bare):
        return (bare,)
    waybill = _AIR_WAYBILL.fullmatch(bare)
    return (f"{waybill[1]}-{waybill[2]}", text) if waybill else (text, text.upper())


Clock = Annotated[str, AfterValidator(_clock)]
Id = Annotated[str, Field(pattern=r"^[a-z0-9]{16}$")]


class Changed(BaseModel):
    """All of a subscription that its subscriber may change: everything but channel and address."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: str = Field("en", pattern=r"^[a-z]{2}$")
    zone: Annotated[ShortText, AfterValidator(_zone)] = "America/Los_Angeles"
    filters: Annotated[Filters, AfterValidator(_bounded)] = Filters()
    quiet: tuple[Clock, Clock] | None = None
    critical_breaks_quiet: bool = False
    digest: Literal["immediate", "hourly", "daily"] = "immediate"
    digest_at: Clock | None = None
    expires_at: UtcTime | None = None
    label: ShortText | None = None
    most_an_hour: int | None = Field(None, ge=1, le=1_000)
    fallback: Id | None = None
    escalate_to: Id | None = None
    escalate_after_min: int = Field(15, ge=1, le=1_440)

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.quiet is not None and self.quiet[0] == self.quiet[1]:
            raise ValueError("quiet hours begin and end at the same time: leave them out, or pause the subscription")
        if (self.digest == "daily") != (self.digest_at is not None):
            raise ValueError("digest_at says when a daily digest goes out, HH:MM; it belongs to digest daily alone")
        return self


class Wanted(Changed):
    """A new subscription."""

    channel: Channel
    address: Text


def changed(subscription: Subscription, given: dict[str, Any]) -> Changed:
    """The subscription's own words with those given put over them. Raises pydantic's ValidationError."""
    own = {name: getattr(subscription, name) for name in Changed.model_fields}
    return Changed.model_validate(own | given)


def agreement(subscription: Subscription) -> str:
    """What the subscriber agrees to, in a sentence or two; what the consent ledger keeps. Without the address."""
    filters, speech = subscription.filters, language(subscription.language)
    chosen = []
    for name in Filters.model_fields:
        values = getattr(filters, name)
        if isinstance(values, tuple) and values:
            listed = ", ".join(map(str, values[:5]))
            listed = speech.say("agreement.and_more", values=listed) if len(values) > 5 else listed
            chosen.append(speech.say(f"agreement.{name}", values=listed))
    about = "; ".join(chosen) or speech.say("agreement.everything")
    return speech.say(
        "agreement.whole",
        channel=speech.say(f"agreement.{subscription.channel}"),
        when=speech.say(f"agreement.{subscription.digest}", time=subscription.digest_at),
        about=about[:300],  # what was chosen is the only part without a bound of its own
        severity=speech.say(f"severity.{filters.minimum_severity}"),
        how=speech.say("agreement.stop_sms" if subscription.channel == "sms" else "agreement.stop_link"),
    )


def is_over(subscription: Subscription, now: datetime) -> bool:
    """Whether its own time has ended."""
    return subscription.expires_at is not None and now >= subscription.expires_at
