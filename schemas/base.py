"""What all contracts share: strict frozen models, aware times, bounded text."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, PlainSerializer, StringConstraints


def rfc3339(moment: datetime) -> str:
    """RFC 3339 text with the moment's own offset, `Z` for UTC; microseconds only where there are any."""
    text = moment.isoformat()
    return text[:-6] + "Z" if text.endswith("+00:00") else text


def to_utc(moment: datetime) -> datetime:
    """The same moment in UTC."""
    return moment.astimezone(UTC)


EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
SURE_YEARS = range(EARLIEST.year + 1, LATEST.year - 1)
"""Of a time between those two, whatever its offset."""


def _sane(moment: datetime) -> datetime:
    # a year asks no zone; at the ends it is compared, not converted: a conversion overflows at those of the calendar
    if moment.year in SURE_YEARS or EARLIEST <= moment < LATEST:
        return moment
    raise ValueError("a time must lie between 1970 and 2200")


Time = Annotated[AwareDatetime, AfterValidator(_sane), PlainSerializer(rfc3339, return_type=str, when_used="json")]
"""An aware time; the source's offset is kept."""

UtcTime = Annotated[
    AwareDatetime,
    AfterValidator(_sane),
    AfterValidator(to_utc),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
]
"""An aware time, stored as UTC."""

_CONTROL = re.compile("[\x00-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def _no_control(text: str) -> str:
    if text.isprintable():  # then there is neither
        return text
    if _CONTROL.search(text):
        raise ValueError("control characters are not allowed")
    if _SURROGATE.search(text):
        raise ValueError("lone surrogates are not allowed")
    return text


Text = Annotated[str, StringConstraints(max_length=500), AfterValidator(_no_control)]
"""Free text of a sender: shown, never interpreted."""

ShortText = Annotated[str, StringConstraints(max_length=128), AfterValidator(_no_control)]

Code = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9_.-]{0,34}$")]
"""A sender's, facility's or buyer's own short code."""

ConsignmentId = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9_.-]{0,34}-[A-Za-z0-9][A-Za-z0-9_./-]{0,59}$")]
"""`<buyer>-<own number>`; the buyer's code stands before the first hyphen that ends it (see `buyer`)."""

ReferenceValue = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\x21-\x7E]+$")]


class Contract(BaseModel):
    """A record as producers must make it: frozen, no unknown field, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="null")
