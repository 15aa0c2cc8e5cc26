"""How records look on the wire: plain JSON values, utf-8 keys, CloudEvents 1.0 binary-mode headers, W3C traceparent.

raw.messages differs: its value is the very bytes as sent, and the `RawMessage` model travels as headers `lovla-<field>`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime
from functools import cache, lru_cache

from pydantic import BaseModel, ValidationError

from schemas.base import rfc3339, to_utc
from schemas.raw_message_v1 import RawMessage

Headers = list[tuple[str, bytes]]

RAW_PREFIX = "lovla-"
_TRACEPARENT = re.compile(r"^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$")
_VERSION = re.compile(r"_(v\d+)$")
_LISTS = frozenset(name for name, field in RawMessage.model_fields.items() if "tuple" in str(field.annotation))


class WireError(ValueError):
    """A record's headers are not what its contract says."""


def dump(model: BaseModel) -> bytes:
    """A record's value. Absent and null are the same on the wire, so nulls are left out."""
    return model.model_dump_json(exclude_none=True).encode()


@cache  # a record a call, and few models
def type_name(model: type[BaseModel]) -> str:
    """`lovla.shipment_event.v1` for schemas.shipment_event_v1.ShipmentEvent: the class in snake case, the module's version."""
    version = _VERSION.search(model.__module__)
    if version is None:
        raise WireError(f"{model.__module__}.{model.__name__} is no versioned contract")
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", model.__name__).lower()
    return f"lovla.{snake}.{version[1]}"


_SPECVERSION = ("ce_specversion", b"1.0")


@cache  # as above
def _same_headers(model: type[BaseModel], source: str) -> tuple[tuple[str, bytes], ...]:
    """Those that all records of a model from one service share."""
    name = type_name(model)
    return (
        ("ce_source", f"/lovla/{source}".encode()),
        ("ce_type", name.encode()),
        ("ce_dataschema", f"urn:lovla:schema:{name.removeprefix('lovla.')}".encode()),
        ("content-type", b"application/json"),
    )


@lru_cache(1_000)  # what is made of one batch has few times
def _in_utc(moment: datetime) -> bytes:
    return rfc3339(to_utc(moment)).encode()


def headers(
    model: type[BaseModel], *, id: str, source: str, time: datetime | None = None, traceparent: str | None = None
) -> Headers:
    """CloudEvents binary-mode headers. `id` is derived from what the record says, `time` is the record's own (not now), if
    it has one: the same record made twice has the same headers. `source`: the service, e.g. `readers`."""
    made: Headers = [_SPECVERSION, ("ce_id", id.encode()), *_same_headers(model, source)]
    if time is not None:
        made.append(("ce_time", _in_utc(time)))
    if traceparent is not None:
        made.append(("traceparent", traceparent.encode()))
    return made


def header(all_headers: Iterable[tuple[str, bytes | None]] | None, name: str) -> str | None:
    """The last header of that name as text, None where there is none or it is no utf-8."""
    found = None
    for key, value in all_headers or ():
        if key == name and value is not None:
            found = value
    try:
        return None if found is None else found.decode()
    except UnicodeDecodeError:
        return None


def traceparent_of(all_headers: Iterable[tuple[str, bytes | None]] | None) -> str | None:
    """The W3C traceparent, None where it is absent or malformed (a malformed one is ignored, as the W3C text asks)."""
    value = header(all_headers, "traceparent")
    return value if value is not None and _TRACEPARENT.match(value) else None


def child_traceparent(parent: str | None, id: str) -> str | None:
    """The same trace one step on. The span id is derived from `id`, so that a repeat of the work says the same."""
    if parent is None:
        return None
    version, trace, _, flags = parent.split("-")
    span = hashlib.sha256(f"{trace}{id}".encode()).hexdigest()[:16]
    return f"{version}-{trace}-{span}-{flags}"


def raw_headers(meta: RawMessage) -> Headers:
    """The headers of a raw record; lists are comma separated, absent fields have no header."""
    fields = meta.model_dump(mode="json", exclude_none=True)
    return [
        (RAW_PREFIX + name, (",".join(value) if isinstance(value, list) else str(value)).encode())
        for name, value in fields.items()
    ]


def raw_meta(all_headers: Iterable[tuple[str, bytes | None]] | None) -> RawMessage:
    """The RawMessage that the headers of a raw record say. Raises WireError naming the header that is wrong."""
    fields: dict[str, object] = {}
    for key, value in all_headers or ():
        if not key.startswith(RAW_PREFIX) or value is None:
            continue
        name = key.removeprefix(RAW_PREFIX)
        try:
            text = value.decode()
        except UnicodeDecodeError:
            raise WireError(f"header {key} is not utf-8") from None
        fields[name] = tuple(part for part in text.split(",") if part) if name in _LISTS else text
    try:
        return RawMessage.model_validate(fields, extra="ignore")  # a newer door may say more
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise WireError(f"header {RAW_PREFIX}{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
