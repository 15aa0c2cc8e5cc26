"""`lovla.1`: our own JSON, for senders without a standard of their own and for what people record.

The field names are those of the shipment event (schemas/shipment_event_v1.py); what a sender cannot know is left out. Being
our own, it is read strictly: an unknown field or a bad value refuses the event, and every such place is named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce
from typing import Any, Final

import msgspec
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from schemas.base import ShortText, Text
from schemas.shipment_event_v1 import Hold, Pieces, Place, Transport
from schemas.words import Classifier, Milestone, Mode, ReferenceKind, Standard
from services.ingest.places import zone_of
from services.ingest.readers.draft import Bad, Draft, Identities
from services.ingest.readers.json_items import Item, Node
from services.ingest.readers.model import Context, Envelope, Told, Verdict
from services.ingest.readers.strict_json import pointer, too_wide
from services.ingest.readers.times import parse_rfc3339

STANDARD: Final = "lovla.1"
READER_VERSION: Final = 2

_EVENT_ID = re.compile(r"[0-9a-f]{32}")
_WIDEST: Final = 32  # members of an object, items of an array: no contract of an event has more
_MARKS: Final = frozenset({"milestone", "occurred_at", "references", "retracts", "hold"})


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class StatedReference(_Input):
    """A reference as sent; it is normalised later, so any text may come."""

    kind: ReferenceKind = Field(
        description="what kind of number it is; purchase_order, gtin_lot and seal do not find a consignment"
    )
    value: str = Field(min_length=1, max_length=128, description="as you write it; blanks and hyphens do not matter")


class Retracted(_Input):
    """Which event is withdrawn: by our id, or by the sender's own under the standard that it was sent in; one of the two."""

    event_id: str | None = Field(None, pattern=r"^[0-9a-f]{32}$", description="ours, 32 hex digits, as `lovla show` prints it")
    source_id: ShortText | None = Field(None, description="your own `id` of it")
    standard: Standard = Field("lovla.1", description="what it was sent in")


EXAMPLES: Final[tuple[dict[str, Any], ...]] = (
    {
        "id": "maeu-2026-000123",
        "milestone": "arrived",
        "occurred_at": "2026-11-17T08:07:00-08:00",
        "references": [
            {"kind": "container", "value": "MRSU4371639"},
            {"kind": "bill_of_lading", "value": "MAEU203990011"},
        ],
        "place": {"unlocode": "USLAX", "name": "Los Angeles"},
        "mode": "sea",
        "transport": {"imo": "9321483", "voyage": "015E"},
    },
    {
        "id": "maeu-2026-000124",
        "milestone": "discharged",
        "classifier": "estimated",
        "occurred_at": "2026-11-18T20:00:00-08:00",
        "created_at": "2026-11-17T09:00:00-08:00",
        "references": [{"kind": "container", "value": "MRSU4371639"}],
        "place": {"unlocode": "USLAX"},
    },
    {
        "id": "maeu-2026-000125",
        "hold": {"kind": "customs", "state": "placed"},
        "occurred_at": "2026-11-17T10:30:00-08:00",
        "references": [{"kind": "container", "value": "MRSU4371639"}],
        "place": {"unlocode": "USLAX"},
        "reason": "documents are examined",
    },
    {"retracts": "maeu-2026-000124", "references": [{"kind": "container", "value": "MRSU4371639"}]},
)
"""A push of four events: an arrival, an estimate, a hold, and the estimate withdrawn; docs/examples/events.json is the same."""


class StatedEvent(_Input):
    """One event in LoVLA's own JSON (`lovla.1`).

    Give at least one of milestone, hold, retracts, retracted, code; a reference that links; and occurred_at, unless there is
    retracts. A field that does not stand here refuses the event.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLES[0]]})

    id: ShortText | None = Field(
        None,
        validation_alias=AliasChoices("id", "source_id"),
        description="your own id of the event (`source_id` is read too): the same id again replaces what it said",
    )
    sender: str | None = Field(None, description="leave it out: your key says who you are; another code refuses the event")
    code: ShortText | None = Field(
        None,
        description="your own word for it, shown to people; alone, without milestone or hold, it is kept and moves nothing",
    )
    milestone: Milestone | None = Field(None, description="what happened (docs/milestones.md)")
    classifier: Classifier = Field("actual", description="whether it happened, is expected, or was planned")
    occurred_at: str | None = Field(
        None,
        description="when it happened, or will: RFC 3339 with offset; a local time without one is taken in the zone of "
        "`place`, with a warning. At most 400 days back; an actual at most 2 days ahead",
    )
    created_at: str | None = Field(None, description="when you wrote it; of several estimates without `id` it tells them apart")
    updated_at: str | None = Field(None, description="when you last changed it: of two with one `id` the later counts")
    references: tuple[StatedReference, ...] = Field(
        (), max_length=32, description="what it is about; at least one must link: not only purchase_order, gtin_lot or seal"
    )
    place: Place | None = Field(None, description="where it happened, or will")
    origin: Place | None = Field(None, description="where the goods come from, if you know")
    destination: Place | None = Field(None, description="where they go, if you know")
    mode: Mode | None = Field(None, description="how they are carried there")
    transport: Transport | None = Field(None, description="what carries them: vessel, flight, vehicle, carrier")
    empty: bool | None = Field(None, description="whether the container is empty; left out: not said")
    pieces: Pieces | None = Field(None, description="how many pieces of how many")
    hold: Hold | None = Field(None, description="a hold that was placed or released")
    retracts: ShortText | Retracted | None = Field(
        None, description="the event that is withdrawn: our event id (32 hex digits), else your own `id`; or which of the two"
    )
    retracted: bool = Field(False, description="true: this event itself, named by its `id`, is withdrawn")
    reason: Text | None = Field(None, description="in words for people")


def read(items: Sequence[Item], context: Context) -> Told:
    """One verdict an event, in order; a bad event does not refuse the others."""
    identities = Identities(context.sender, STANDARD)
    for item in items:
        yield _verdict(item, context, identities)
    return Envelope(STANDARD)


def looks_like(value: object) -> bool:
    """Whether this object is an event in our own form: at least two of its marks."""
    return isinstance(value, dict) and (len(_MARKS & value.keys()) >= 2 or ("retracts" in value and "eventType" not in value))


def _verdict(item: Item, context: Context, identities: Identities) -> Verdict:
    if item.problem is not None:
        return Verdict(item.position, problem=item.problem)
    try:
        node = Node.of(item.value, item.position)
        stated = _validate(node)
        draft = _draft(stated, node, context)
        if stated.id is not None:
            event_id = identities.own(stated.id)
        else:
            said = {key: value for key, value in node.fields.items() if key not in ("created_at", "updated_at")}
            event_id = identities.of(said, None if stated.classifier == "actual" else stated.created_at)
        return Verdict(item.position, event=draft.finish(event_id))
    except Bad as bad:
        return item.refused(bad)


def _validate(node: Node) -> StatedEvent:
    if (wide := too_wide(node.fields, _WIDEST)) is not None:
        where = reduce(pointer, wide[0], node.where)
        raise Bad("bad_value", where, f"{wide[1]} values; an event holds {_WIDEST} in one place at most")
    try:
        return StatedEvent.model_validate_json(msgspec.json.encode(node.fields))
    except ValidationError as error:
        wrongs = error.errors(include_url=False, include_input=False)
        places = []
        for wrong in wrongs:
            where = node.where
            for part in wrong["loc"]:
                where = pointer(where, part)
            places.append((where, wrong["msg"]))
        where, text = places[0]
        others = "".join(f"; {other}: {what}" for other, what in places[1:])
        code = {"extra_forbidden": "unknown_field", "missing": "missing_field"}.get(wrongs[0]["type"], "bad_value")
        raise Bad(code, where, text + others) from error


def _draft(stated: StatedEvent, node: Node, context: Context) -> Draft:
    if stated.sender not in (None, context.sender):
        raise Bad("not_your_code", node.at("sender"), f"the message was pushed as {context.sender}; leave sender out")
    says_more = stated.milestone is not None or stated.hold is not None
    if not says_more and stated.retracts is None and not stated.retracted and stated.code is None:
        raise Bad("says_nothing", node.where, "give at least one of milestone, hold, retracts, code")
    draft = Draft(context, STANDARD, READER_VERSION, node.where, _code(stated))
    draft.milestone = stated.milestone
    if not says_more and stated.retracts is None and not stated.retracted:
        draft.unmapped(node.at("code"))
    draft.classifier = stated.classifier
    draft.source_id = stated.id
    draft.place, draft.origin, draft.destination = stated.place, stated.origin, stated.destination
    draft.mode, draft.empty, draft.pieces = stated.mode, stated.empty, stated.pieces
    draft.hold, draft.reason, draft.retracted = stated.hold, stated.reason, stated.retracted
    draft.retracts = _retracts(stated, node, context)
    _times(draft, stated, node)
    for index, reference in enumerate(stated.references):
        draft.refer(reference.kind, reference.value, f"{node.at('references')}/{index}")
    if stated.transport is not None:
        draft.transport = stated.transport.model_dump(exclude_none=True, exclude={"imo", "vessel", "voyage"})
        where = node.at("transport")
        draft.vessel(stated.transport.imo, stated.transport.vessel, stated.transport.voyage, where)
    return draft


def _code(stated: StatedEvent) -> str:
    if stated.code is not None:
        return stated.code
    if stated.milestone is not None:
        return stated.milestone
    if stated.hold is not None:
        return f"hold/{stated.hold.kind}/{stated.hold.state}"
    return "retraction"


def _retracts(stated: StatedEvent, node: Node, context: Context) -> str | None:
    """Whose event it is, the tracker judges: others' events are withdrawn by operators only."""
    target = stated.retracts
    if target is None:
        return None
    if isinstance(target, str):
        is_ours = _EVENT_ID.fullmatch(target) is not None
        target = Retracted(event_id=target) if is_ours else Retracted(source_id=target)
    if (target.event_id is None) == (target.source_id is None):
        raise Bad("bad_value", node.at("retracts"), "give either event_id or source_id")
    return target.event_id or Identities(context.sender, target.standard).own(str(target.source_id))


def _times(draft: Draft, stated: StatedEvent, node: Node) -> None:
    draft.created_at = _aware(draft, stated.created_at, node.at("created_at"))
    draft.updated_at = _aware(draft, stated.updated_at, node.at("updated_at"))
    if stated.occurred_at is None:
        if stated.retracts is None:
            raise Bad("missing_field", node.at("occurred_at"), "occurred_at is required")
        draft.occurred_at = draft.updated_at or draft.created_at or draft.context.received_at
        return
    moment = _time(stated.occurred_at, node.at("occurred_at"))
    if moment.tzinfo is None:
        moment = draft.at_local(moment, zone_of(stated.place, draft.context.registers), node.at("occurred_at"))
    draft.occurred_at = moment


def _aware(draft: Draft, text: str | None, where: str) -> datetime | None:
    if text is None:
        return None
    moment = _time(text, where)
    if moment.tzinfo is None:
        draft.warn("zone_assumed", "no offset; UTC assumed", where)
        return moment.replace(tzinfo=UTC)
    return moment


def _time(text: str, where: str) -> datetime:
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise Bad("bad_time", where, str(error)) from error
