"""From what a reader found to a shipment event: identity, revision, references, time fence; the same for every standard."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from hashlib import sha256
from itertools import starmap
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeVar, get_args
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace
from pydantic import BaseModel, ValidationError

from schemas.base import EARLIEST, SURE_YEARS
from schemas.fillers import is_filler
from schemas.shipment_event_v1 import Hold, Pieces, Place, RawPointer, Reference, Revision, ShipmentEvent, Transport, Warning_
from schemas.words import (
    LINKING_KINDS,
    LOGISTIC_KINDS,
    Cause,
    Classifier,
    HoldKind,
    HoldState,
    Milestone,
    Mode,
    ReferenceKind,
    Standard,
)
from services.ingest import identifiers
from services.ingest.legible import legible, shown
from services.ingest.places import Zone, countries
from services.ingest.readers.model import Context, Problem, Verdict

LINKING_MAX: Final = 8
REFERENCES_MAX: Final = 32
KEPT: Final = "; the event is kept and moves nothing"  # of a code in no map, where the rest can be read
WARNINGS_MAX: Final = 64
FAULTS_MAX: Final = 16  # told of one statement that cannot be read

# The time fence (docs/architecture.md, "Ingest"), relative to the time of receipt, never to now.
_PAST: Final = timedelta(days=400)
_AHEAD: Final[dict[Classifier, timedelta]] = {
    "planned": timedelta(days=400),
    "estimated": timedelta(days=400),
    "actual": timedelta(days=2),
}
_SURELY_D: Final = {classifier: (3 - _PAST.days, ahead.days - 2) for classifier, ahead in _AHEAD.items()}
"""Days between two dates, whatever their offsets, whose times are surely within the fence: cheaper than to subtract times."""
_PAYLOAD_MAX: Final = 64 * 1024  # schemas/dead_letter_v1.py
_REMEMBERED: Final = 4_096  # a feed names the same few places, and says the same of them; some 3 MB at most
_REFERENCES_REMEMBERED: Final = 50_000  # as in identifiers.py; some 15 MB at most
_REMEMBERED_LENGTH: Final = 128  # of a text; a longer one is not kept: strangers choose how long they are
_WARNING_REMEMBERED_LENGTH: Final = 2 * _REMEMBERED_LENGTH  # its place and its sentence
SHOWN: Final = 10  # characters of a segment's name; real ones have two or three
_FIRST_SURE_YEAR, _PAST_SURE_YEARS = SURE_YEARS.start, SURE_YEARS.stop  # compared: a third of the price of `in`
YEARS: Final = range(1970, 2200)  # outside of it a time is a typing error, and arithmetic near year 1 or 9999 overflows


class Bad(Exception):
    """This statement cannot be read; the others can. Caught by each reader's loop.

    `more`: what else keeps it from being read, as far as could be read on. `warnings`: what was noted of it before.
    """

    def __init__(
        self,
        code: str,
        where: str,
        text: str,
        element: int | None = None,
        more: Iterable[Bad] = (),
        warnings: Sequence[Warning_] = (),
    ) -> None:
        self.code = code
        self.where = shown(where)
        self.text = text[:500]
        self.element = element  # of the segment at `where`, as in Problem
        self.more = tuple(more)
        self.warnings = tuple(warnings)

    def __str__(self) -> str:
        return f"{self.where}: {self.code}: {self.text}"

    @classmethod
    def of(cls, every: Iterable[Bad], warnings: Sequence[Warning_] = ()) -> Bad:
        """Several in one, the first of them the reason; at least one, each told once, FAULTS_MAX at most."""
        first, *others = every
        if others or first.more:
            told = {(one.code, one.where, one.text): one for bad in (first, *others) for one in (bad, *bad.more)}
            first, *others = list(told.values())[:FAULTS_MAX]
        # always a new one: raised, it holds the frames that hold the draft, which holds those that were noted
        return cls(first.code, first.where, first.text, first.element, others, warnings or first.warnings)

    def verdict(self, position: str, payload: bytes, warnings: Sequence[Warning_] = ()) -> Verdict:
        """The refusal. `warnings`: of the message, where none were noted of the statement."""
        # One byte past the cut of dead letters, so that what is cut is seen to be; a thousand problems stay small.
        problem = Problem(
            self.code,
            self.where or position,
            self.text,
            payload[: _PAYLOAD_MAX + 1],
            self.element,
            more=tuple([Problem(one.code, one.where or position, one.text, b"", one.element) for one in self.more]),
            warnings=tuple(map(_refused, self.warnings or warnings)),
        )
        return Verdict(position, problem=problem)


class Placed(Protocol):
    """What stands at a place of its message: a segment."""

    @property
    def where(self) -> str: ...


Where = str | Placed | None
"""A place in a message, or what stands there, asked only when there is something to say of it; None: the statement's own."""


class Identities(msgspec.Struct, eq=False):
    """Makes the event ids of one message: stable over repeats of the message, and over whatever else stands in it.

    An id is a hash of the sender, the standard and the sender's own id. Where there is none: of the source tokens of the event
    as sent; `stamp` (created_at or the interchange number) for plans and estimates, so that an estimate that returns to an
    earlier value is news; `facet`, where one statement says several things; and the ordinal among equals.
    """

    _sender: str
    _standard: Standard
    _equals: dict[str, int] = msgspec.field(default_factory=dict)

    def own(self, source_id: str) -> str:
        """The id of the event that the sender calls `source_id`."""
        return digest([self._sender, self._standard, "id", source_id])[:32]

    def of(self, tokens: object, stamp: str | None = None, facet: str = "") -> str:
        """The id of an event without the sender's own."""
        base = sha256(_ENCODER.encode([self._sender, self._standard, "tokens", tokens, stamp, facet])).hexdigest()
        ordinal = self._equals.get(base, 0)
        self._equals[base] = ordinal + 1
        return sha256(f'["{base}",{ordinal}]'.encode()).hexdigest()[:32]  # `digest` of both


def digest(value: object) -> str:
    """SHA-256 in hex of a JSON value, whatever the order of its keys; times count as moments, whatever their offset."""
    return sha256(_ENCODER.encode(value)).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):  # a place, pieces, a hold: their values are plain
        return {name: part for name, part in value.__dict__.items() if part is not None}
    raise TypeError(f"{type(value).__name__} is no part of an event")


_ENCODER: Final = msgspec.json.Encoder(order="sorted", enc_hook=_plain)
_CONTENT: Final = msgspec.json.Encoder(order="deterministic", enc_hook=_plain)


_TOLD: Final[Any] = ...  # never a value: what has it for a default is always told


class _Said(msgspec.Struct, omit_defaults=True, gc=False):
    """What a sender said in an event, as its content's hash has it: names in the order of their letters, and none of what was
    not said, so that a new field in the contract changes no hash. Places and holds are JSON already. By position it is made at
    half the price."""

    classifier: Classifier = _TOLD
    code: str = _TOLD
    created_at: datetime | None = None
    destination: msgspec.Raw | None = None
    empty: bool | None = None
    hold: msgspec.Raw | None = None
    mapped: bool = _TOLD
    milestone: Milestone | None = None
    mode: Mode | None = None
    occurred_at: datetime | None = None
    origin: msgspec.Raw | None = None
    parent: Mapping[str, str] | None = None
    pieces: Pieces | None = None
    place: msgspec.Raw | None = None
    reason: str | None = None
    recorded_by: str | None = None
    references: Sequence[tuple[ReferenceKind, str]] = _TOLD
    retracted: bool = _TOLD
    retracts: str | None = None
    sender: str = _TOLD
    source_id: str | None = None
    standard: Standard = _TOLD
    transport: Mapping[str, str] | None = None
    updated_at: datetime | None = None
    zone_assumed: bool = _TOLD


@lru_cache(_REMEMBERED)
def where_of(number: int, name: str) -> str:
    """A segment's place in its message, of X12 and EDIFACT. `name`: its first SHOWN characters."""
    is_usual = len(name) <= SHOWN and name.isalnum() and name.isascii()
    return f"segment {number} ({name if is_usual else shown(name)[:SHOWN]})"


def warning_of(code: str, where: str, text: str) -> Warning_:
    """A warning, with a mark where what it quotes could steer a terminal."""
    if len(where) + len(text) <= _WARNING_REMEMBERED_LENGTH:
        return _warning(code, where, text)
    return _warning(code, shown(where), shown(text))


@lru_cache(_REMEMBERED)
def _warning(code: str, where: str, text: str) -> Warning_:
    return Warning_(code=code, where=shown(where), text=shown(text))


def _refused(warning: Warning_) -> Warning_:
    """The same of a statement that is refused: nothing of it is kept."""
    if warning.code != "unmapped_code":
        return warning
    return warning_of(warning.code, warning.where, warning.text.replace(KEPT, "; were it read, it would move nothing"))


def note(warnings: list[Warning_], code: str, where: str, text: str) -> None:
    """Add a warning that was not told yet, while there is room for it."""
    if len(warnings) >= WARNINGS_MAX:
        return
    found = warning_of(code, where, text)
    if warnings:
        said = found.__dict__  # models compare ten times slower
        for one in warnings:
            if one is found or one.__dict__ == said:
                return
    warnings.append(found)


@lru_cache(_REMEMBERED)
def hold_of(said: tuple[HoldKind, HoldState] | None) -> Hold | None:
    """What a table of codes says of a hold: its kind and state."""
    return Hold(kind=said[0], state=said[1]) if said is not None else None


@lru_cache(_REMEMBERED)
def _said_hold(kind: HoldKind, state: HoldState) -> msgspec.Raw:
    return msgspec.Raw(_ENCODER.encode({"kind": kind, "state": state}))


_NO_PLACE: Final[Mapping[int, tuple[Place | None, msgspec.Raw | None]]] = MappingProxyType({id(None): (None, None)})
_PLACES: Final[dict[int, tuple[Place | None, msgspec.Raw | None]]] = dict(_NO_PLACE)
"""By the identity of a place that is legible and in a country that there is: itself, and its JSON. It is held here, so that no
other takes its identity. Of most that `place_of` gave, and of none."""


@lru_cache(_REMEMBERED)
def place_of(
    unlocode: str | None = None,
    iata: str | None = None,
    name: str | None = None,
    country: str | None = None,
    facility: str | None = None,
    role: str | None = None,
) -> Place:
    """A place; the same one for the same words, of which a feed has few. `name` is one that `Draft.short` gave."""
    place = Place(unlocode=unlocode, iata=iata, name=name, country=country, facility=facility, role=role)
    if is_plain(f"{name or ''}{role or ''}") and _nowhere(place) is None:
        if len(_PLACES) >= _REMEMBERED:
            _PLACES.clear()
            _PLACES.update(_NO_PLACE)
            place_of.cache_clear()
        _PLACES[id(place)] = place, msgspec.Raw(_ENCODER.encode(place))
    return place


def _nowhere(place: Place) -> str | None:
    """Its UN/LOCODE, if that begins with the letters of no country."""
    code = place.unlocode
    return code if code is not None and code[:2] not in countries() else None


@dataclass(frozen=True, slots=True)
class _Judged:
    """A reference as readers write it; what is wrong with it, as a warning's code and sentence; whether it is used."""

    reference: tuple[ReferenceKind, str]
    used: bool = True
    code: str = ""
    text: str = ""


def _judge(kind: ReferenceKind, value: str) -> _Judged:
    text = identifiers.normalise(kind, value)
    of = (kind, text)
    if value.isspace():
        return _Judged(of, used=False)
    if not identifiers.is_reference_value(text):
        return _Judged(of, False, "bad_reference", f"{kind} {value[:40]} is not 1 to 64 printable characters; not used")
    if identifiers.is_placeholder(kind, text):
        known = "a filler, not a number" if is_filler(kind, text) else "a known example value"
        return _Judged(of, False, "placeholder", f"{kind} {text} is {known}; not used")
    wrong = identifiers.doubt(kind, text)
    return _Judged(of) if wrong is None else _Judged(of, True, "bad_check_digit", wrong)


_judged: Final = lru_cache(_REFERENCES_REMEMBERED)(_judge)


@dataclass(frozen=True, slots=True)
class _Ship:
    """What a message says of its ship, where nothing is to be said about that. `voyage`: the reference's value."""

    said: Mapping[str, str]
    voyage: str | None = None


def _ship(imo: str | None, name: str | None, voyage: str | None) -> _Ship | None:
    """None: it has to be looked at closely. The same one for the same words: each box on board has them."""
    if len(imo or "") + len(name or "") + len(voyage or "") > _REMEMBERED_LENGTH:
        return None
    return _known_ship(imo, name, voyage)


@lru_cache(_REMEMBERED)
def _known_ship(imo: str | None, name: str | None, voyage: str | None) -> _Ship | None:
    said = {key: text for key, text in (("vessel", name), ("voyage", voyage)) if text}
    if not is_plain("".join(said.values())):
        return None
    if not imo:
        return _Ship(said)
    imo = identifiers.bare_imo(imo)
    if identifiers.is_placeholder("imo", imo) or not identifiers.imo_check_holds(imo):
        return None
    return _Ship(said | {"imo": imo}, f"{imo}/{voyage}" if voyage else None)


class Draft(msgspec.Struct):
    """An event in the making. `position`: its place in the message; warnings default to it.

    A struct, because it has so many fields: a dataclass costs ten times as much to make.
    """

    context: Context
    standard: Standard
    reader_version: int
    position: str
    code: str
    milestone: Milestone | None = None
    mapped: bool = True
    classifier: Classifier = "actual"
    occurred_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    at_receipt: bool = False  # occurred_at is the time of receipt, for want of any: no part of the content
    zone_assumed: bool = False
    source_id: str | None = None
    place: Place | None = None
    origin: Place | None = None
    destination: Place | None = None
    mode: Mode | None = None
    transport: dict[str, str] = msgspec.field(default_factory=dict)
    empty: bool | None = None
    emptied: bool = False  # the event itself empties the container: `empty` tells how it is since, not how it came
    pieces: Pieces | None = None
    hold: Hold | None = None
    parent: tuple[ReferenceKind, str] | None = None
    retracts: str | None = None
    retracted: bool = False
    reason: str | None = None
    references: dict[tuple[ReferenceKind, str], None] = msgspec.field(default_factory=dict)
    warnings: list[Warning_] = msgspec.field(default_factory=list)
    single: frozenset[ReferenceKind] = frozenset()
    """Kinds of which such an event can be about one alone: another one beside it is a contradiction, told and not used."""
    faults: tuple[Bad, ...] = ()
    """What keeps it from being an event, where reading went on all the same: `finish` tells all of it at once."""

    def fault(self, bad: Bad) -> None:
        """Note what keeps it from being an event, and read on: its sender is told all that is wrong, not the first alone."""
        bad.__traceback__ = bad.__cause__ = bad.__context__ = None  # they hold the frames that hold this draft
        self.faults = (*self.faults, bad)

    def warn(self, code: str, text: str, where: Where = None) -> None:
        """Note what was wrong or assumed."""
        if where is None:
            where = self.position
        elif not isinstance(where, str):
            where = where.where
        note(self.warnings, code, where, text)

    def unmapped(self, where: Where = None) -> None:
        """The code stands in no map: keep the event, move nothing."""
        self.mapped = False
        self.warn("unmapped_code", f"the code {self.code} is in no map{KEPT}", where)

    def gather(self, step: Callable[..., object], *given: object) -> None:
        """Do a step of the reading; what is wrong there is noted, as by `fault`, and the next step can be done."""
        try:
            step(*given)
        except Bad as bad:
            self.fault(bad)

    @property
    def has_enough_references(self) -> bool:
        """Whether there is no use in reading more of them: `finish` cuts at REFERENCES_MAX, with a warning."""
        return len(self.references) > 2 * REFERENCES_MAX

    def names_a(self, kind: ReferenceKind) -> bool:
        """Whether a reference of this kind was named already."""
        return any(of == kind for of, _ in self.references)

    def refer(self, kind: ReferenceKind, value: str | None, where: Where = None) -> None:
        """Add a reference, normalised; what cannot be used is left out with a warning."""
        known = self.references
        if not value or len(known) > 2 * REFERENCES_MAX:
            return
        judged = _judged(kind, value) if len(value) <= _REMEMBERED_LENGTH else _judge(kind, value)
        key = judged.reference
        if key in known:
            return
        if judged.used and not judged.code and not (known and kind in self.single):
            known[key] = None
            return
        text = key[1]
        if not judged.used:
            if judged.code:
                self.warn(judged.code, judged.text, where)
            return
        if known and kind in self.single and (other := self._first(kind)) is not None:
            self.warn("contradiction", f"{kind} {text} contradicts {other}, named before; {text} is not used", where)
            return
        if judged.code:
            self.warn(judged.code, judged.text, where)
        known[key] = None

    def _first(self, kind: ReferenceKind) -> str | None:
        return next((value for of, value in self.references if of == kind), None)

    def split_equipment(self, owner: str, number: str, digit: str, where: Where = None) -> bool:
        """Add a container whose owner code, number and check digit came in fields of their own; False if they are none's."""
        joined = identifiers.join_container(owner, number, digit)
        if joined is None:
            return False
        value, computed = joined
        if computed:
            text = f"container {value[:10]} came without its check digit; {value[10]} computed"
            self.warn("check_digit_computed", text, where)
        self.refer("container", value, where)
        return True

    def equipment(self, value: str | None, where: Where = None) -> None:
        """Add what looks like a container or a rail car."""
        if value is None or not value.strip():
            return
        text = identifiers.normalise("container", value)
        if identifiers.is_container(text):
            self.refer("container", text, where)
        elif identifiers.lacks_check_digit(text):
            self.split_equipment(text[:4], text[4:], "", where)
        elif identifiers.is_rail_car(text):
            self.refer("rail_car", text, where)
        elif identifiers.is_like_container(text):
            text_of = f"container {text} does not follow ISO 6346 (its fourth letter is not U, J or Z); kept as sent"
            self.warn("not_iso_6346", text_of, where)
            self.refer("container", text, where)
        else:
            self.warn("bad_reference", f"equipment {value[:40]} is neither a container nor a rail car; not used", where)

    def vessel(self, imo: str | None, name: str | None, voyage: str | None, where: Where = None) -> None:
        """Set the vessel; IMO number and voyage together are a reference of their own."""
        if (known := _ship(imo, name, voyage)) is not None:
            self.transport.update(known.said)
            if known.voyage is not None:
                self.refer("voyage", known.voyage, where)
            return
        if name:
            self.transport["vessel"] = self.short(name, where)
        if voyage:
            self.transport["voyage"] = self.short(voyage, where)
        if not imo:
            return
        imo = identifiers.bare_imo(imo)
        if identifiers.is_placeholder("imo", imo):
            self.warn("placeholder", f"IMO number {imo} is a known example value; not used", where)
        elif not identifiers.imo_check_holds(imo):
            self.warn("bad_imo", f"{imo[:20]} is not an IMO number (seven digits, the last a check digit); not used", where)
        else:
            self.transport["imo"] = imo
            if voyage:
                self.refer("voyage", f"{imo}/{voyage}", where)

    def carrier(self, scac: str | None) -> None:
        """Set the carrier's SCAC if it is one."""
        if scac and identifiers.is_scac(scac.upper()):
            self.transport["scac"] = scac.upper()

    def short(self, text: str, where: Where = None, most: int = 128) -> str:
        """`text` as it may be shown: composed, no character that steers, not longer than `most`; warns if it was cut."""
        if is_plain(text, most):
            return text
        text = legible(text)
        kept = text[:most] if text.isprintable() else " ".join(shown(text, most).split())
        if len(text) > most:
            self.warn("cut", f"longer than {most} characters; cut", where)
        return kept

    def at_local(self, local: datetime, zone: Zone, where: Where = None) -> datetime:
        """`local` (naive) in an assumed zone; marks the event."""
        self.zone_assumed = True
        return by_assumed_clock(self, local, zone, where)

    def in_utc(self, moment: datetime | None, name: str, where: Where = None) -> datetime | None:
        """A time of the record, not of what happened: UTC is assumed where it has no offset."""
        if moment is None or moment.tzinfo is not None:
            return moment
        self.warn("zone_assumed", f"{name} has no offset; UTC assumed", where)
        return moment.replace(tzinfo=UTC)

    def finish(self, event_id: str) -> ShipmentEvent:
        """The event; raises Bad (`outside_time_fence`, `no_linking_reference`, `too_long`, and what was noted by `fault`).

        What is plainly as the contract wants it is not validated once more (`_is_sound`); anything else is handed over as
        plain values, which the contract validates in one call, several times cheaper than a call a part.
        """
        occurred_at, context = self.occurred_at, self.context
        outside = None
        if occurred_at is None:
            outside = self._outside()
        elif context.fence:
            earliest, past = _SURELY_D[self.classifier]
            if not earliest <= occurred_at.toordinal() - context.received_at.toordinal() < past:
                outside = self._outside()
        if self.empty:
            self._spare_goods()
        references = list(self.references) if len(self.references) <= LINKING_MAX else self._bounded()
        for kind, _ in references:
            if kind in LINKING_KINDS:
                nameless = False
                break
        else:
            nameless = self.retracts is None and not self.retracted
        if occurred_at is None or outside is not None or nameless or self.faults:
            nameless = nameless and not any(one.code == "no_air_waybill" for one in self.faults)  # which says it better
            wrong = [*self.faults, outside, self._nameless() if nameless else None]
            raise Bad.of([bad for bad in wrong if bad is not None], self.warnings)
        code, source_id, reason = self.code, self.source_id, self.reason
        is_legible = code != "" and is_plain(f"{code}{self.position}{source_id or ''}{reason or ''}")
        if not is_legible:
            code = self.short(code) or "?"
            source_id = self.short(source_id) if source_id else source_id
        place, said_place = _PLACES.get(id(self.place)) or self._place(self.place)
        origin, said_origin = _PLACES.get(id(self.origin)) or self._place(self.origin)
        destination, said_destination = _PLACES.get(id(self.destination)) or self._place(self.destination)
        transport = self._transport() if self.transport else None
        reason = (reason if is_legible else self.short(reason, most=500)) if reason else None
        parent = self.parent if self.parent is not None and self.parent in references else None
        created_at = None if self.created_at is None else self.created_at.astimezone(UTC)
        updated_at = None if self.updated_at is None else self.updated_at.astimezone(UTC)
        said = _Said(
            self.classifier,
            code,
            created_at,
            said_destination,
            self.empty,
            None if self.hold is None else _said_hold(self.hold.kind, self.hold.state),
            self.mapped,
            self.milestone,
            self.mode,
            None if self.at_receipt else occurred_at.astimezone(UTC),  # at receipt: of a copy it is another
            said_origin,
            None if parent is None else {"kind": parent[0], "value": parent[1]},
            self.pieces,
            said_place,
            reason,
            context.recorded_by,
            references,
            self.retracted,
            self.retracts,
            context.sender,
            source_id,
            self.standard,
            transport,
            updated_at,
            self.zone_assumed,
        )
        # of two versions of the same moment the one that withdraws counts: no hash is greater
        content = "f" * 16 if self.retracted else sha256(_CONTENT.encode(said)).hexdigest()[:16]
        warnings = tuple(self.warnings)
        if self._is_sound(code, source_id, reason, is_legible):
            try:
                alike = context.frames.get((self.standard, self.reader_version))
                frame, pointer = alike or _frames_of(context, self.standard, self.reader_version)
                carried = _transport_of(tuple(transport.items())) if transport is not None else None
                named = tuple(starmap(_reference, references))
                unit = None if parent is None else _reference(*parent)
            except ValidationError:
                pass  # told of below
            else:
                revision = {"at": updated_at or created_at, "reader": self.reader_version, "content": content}
                raw = pointer.copy()
                raw["position"] = self.position
                fields = frame.copy()  # and so many keys of it set: quicker than a display of as many, which grows
                fields["event_id"] = event_id
                fields["source_id"] = source_id
                fields["revision"] = _made(Revision, revision, _REVISION)
                fields["code"] = code
                fields["milestone"] = self.milestone
                fields["mapped"] = self.mapped
                fields["classifier"] = self.classifier
                fields["occurred_at"] = occurred_at
                fields["created_at"] = self.created_at
                fields["updated_at"] = self.updated_at
                fields["zone_assumed"] = self.zone_assumed
                fields["references"] = named
                fields["parent"] = unit
                fields["place"] = place
                fields["origin"] = origin
                fields["destination"] = destination
                fields["mode"] = self.mode
                fields["transport"] = carried
                fields["empty"] = self.empty
                fields["pieces"] = self.pieces
                fields["hold"] = self.hold
                fields["retracted"] = self.retracted
                fields["reason"] = reason
                fields["warnings"] = warnings
                fields["raw"] = _made(RawPointer, raw, _RAW)
                return _made(ShipmentEvent, fields, _EVENT)
        whole = {
            **{name: part for name, part in msgspec.structs.asdict(said).items() if part is not None},
            "event_id": event_id,
            "revision": {"at": self.updated_at or self.created_at, "reader": self.reader_version, "content": content},
            "reader_version": self.reader_version,
            "occurred_at": occurred_at,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "received_at": context.received_at,
            "cause": context.cause,
            "references": tuple([{"kind": kind, "value": value} for kind, value in references]),
            "warnings": warnings,
            "raw": {
                "sha256": context.raw_sha256,
                "partition": context.raw_partition,
                "offset": context.raw_offset,
                "position": shown(self.position),
            },
            "place": place,
            "origin": origin,
            "destination": destination,
            "hold": self.hold,
        }
        try:
            return ShipmentEvent.model_validate(whole)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field_name = ".".join(str(part) for part in first["loc"])
            raise Bad("bad_value", self.position, f"{field_name}: {first['msg']}", warnings=self.warnings) from error

    def _is_sound(self, code: str, source_id: str | None, reason: str | None, is_legible: bool) -> bool:
        """Whether the contract would make no other event of it, seen without asking: then it is not validated.
        `is_legible`: its texts and its position are known to be plain.

        Words are of the contract's lists, texts plain, times within its bounds; places, pieces, holds and warnings were
        validated when they were made, what comes of the context, references and transport once each. That nothing else comes
        out than the contract gives is shown by tests/unit/readers/test_sound_events.py.
        """
        if self.retracts is not None or len(self.warnings) > WARNINGS_MAX:
            return False
        if not is_legible and not (
            is_plain(code) and is_plain(self.position) and is_plain(source_id or "") and is_plain(reason or "", 500)
        ):
            return False
        if self.classifier not in _AHEAD or self.milestone not in _MILESTONES or self.mode not in _MODES:
            return False
        return (
            _is_sure(self.occurred_at)
            and (self.created_at is None or _is_sure(self.created_at))
            and (self.updated_at is None or _is_sure(self.updated_at))
        )

    def _place(self, place: Place | None) -> tuple[Place | None, msgspec.Raw | None]:
        """A place as it may be shown, and as it counts in the content's hash, where it is not one of `_PLACES`."""
        if place is None:
            return None, None
        if (code := _nowhere(place)) is not None:
            self.warn("unknown_country", f"{code} is of no country that there is ({code[:2]}, ISO 3166); kept as sent")
        shown_place = self._legible(place)
        return shown_place, msgspec.Raw(_ENCODER.encode(shown_place))

    def _legible(self, place: Place) -> Place:
        if is_plain(f"{place.name or ''}{place.role or ''}"):
            return place
        said = {name: self.short(text) for name, text in (("name", place.name), ("role", place.role)) if text}
        same = all(getattr(place, name) == text for name, text in said.items())
        return place if same else place.model_copy(update=said)

    def _transport(self) -> dict[str, str]:
        if is_plain("".join(self.transport.values())):
            return self.transport
        return {name: self.short(text) for name, text in self.transport.items()}

    def _spare_goods(self) -> None:
        """An empty container carries nobody's goods: of its milestones its own return alone counts, whatever the standard."""
        if self.empty and not self.emptied and self.milestone not in (None, "empty_returned"):
            self.warn("empty_container", f"an empty container carries nobody's goods: {self.code} moves nothing")
            self.milestone = None

    def _outside(self) -> Bad | None:
        """What is wrong with its time: there is none, for no reason that was noted, or it lies outside of the fence."""
        occurred_at, received_at = self.occurred_at, self.context.received_at
        if occurred_at is None:
            return None if self.faults else Bad("no_time", self.position, "does not say when")
        if not self.context.fence:
            return None
        text, ahead = "", _AHEAD[self.classifier]
        if occurred_at < received_at - _PAST:
            text = f"{occurred_at.isoformat()} is more than {_PAST.days} days before its receipt"
        elif occurred_at > received_at + ahead:
            text = f"{self.classifier} {occurred_at.isoformat()} is more than {ahead.days} days after its receipt"
        return Bad("outside_time_fence", self.position, text) if text else None

    def _nameless(self) -> Bad:
        text = "names nothing that a consignment is found by (container, bill of lading, booking, air waybill ...)"
        unused = [warning.text for warning in self.warnings if warning.code in ("placeholder", "bad_reference")]
        return Bad("no_linking_reference", self.position, "; ".join([text, *unused[:2]]))

    def _bounded(self) -> list[tuple[ReferenceKind, str]]:
        if len(self.references) <= LINKING_MAX:
            return list(self.references)
        kept: list[tuple[ReferenceKind, str]] = []
        linking = 0
        for kind, value in self.references:
            links = kind in LINKING_KINDS and kind not in LOGISTIC_KINDS  # a pallet list is bounded by the whole
            if (links and linking == LINKING_MAX) or len(kept) == REFERENCES_MAX:
                self.warn("too_many_references", f"more than {LINKING_MAX} linking references; {kind} {value} is left out")
                continue
            linking += links
            kept.append((kind, value))
        return kept


_Record = TypeVar("_Record", bound=BaseModel)


def _made(model: type[_Record], fields: dict[str, Any], names: set[str]) -> _Record:
    """A record of fields that are as its contract makes them."""
    record = _new(model)
    _set_fields(record, fields)
    _set_names(record, names)
    _set_extra(record, None)
    _set_private(record, None)
    return record


# A model has four slots, and frozen ones are written by their descriptors: half the price of object.__setattr__ for each.
_new: Final = object.__new__
_slots: Final[Mapping[str, Any]] = vars(BaseModel)
_set_fields: Final = _slots["__dict__"].__set__
_set_names: Final = _slots["__pydantic_fields_set__"].__set__
_set_extra: Final = _slots["__pydantic_extra__"].__set__
_set_private: Final = _slots["__pydantic_private__"].__set__


@lru_cache(_REMEMBERED)
def _frame(sender: str, standard: Standard, reader_version: int, cause: Cause, recorded_by: str | None) -> dict[str, Any]:
    """The fields of an event in the order of its contract, of which only those tell something that its feed, and the reader,
    give to all. To be copied. Raises ValidationError."""
    return ShipmentEvent(
        event_id="0" * 32,
        revision=Revision(reader=reader_version, content="0" * 16),
        reader_version=reader_version,
        sender=sender,
        standard=standard,
        code="?",
        mapped=False,
        classifier="actual",
        occurred_at=EARLIEST,
        received_at=EARLIEST,
        references=(),
        cause=cause,
        recorded_by=recorded_by,
        raw=RawPointer(sha256="0" * 64, position=""),
    ).__dict__


def _frames_of(context: Context, standard: Standard, reader_version: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """`_frame` with the message's time of receipt; and the fields of its `raw`, but for the position. To be copied, and kept
    for the message. Raises ValidationError."""
    fields = _frame(context.sender, standard, reader_version, context.cause, context.recorded_by).copy()
    fields["received_at"] = _received(context.received_at)
    sha256, partition, offset = context.raw_sha256, context.raw_partition, context.raw_offset
    if not (_SHA256.fullmatch(sha256) and _is_count(partition) and _is_count(offset)):
        RawPointer(sha256=sha256, partition=partition, offset=offset, position="")
    raw = {"sha256": sha256, "partition": partition, "offset": offset, "position": ""}
    context.frames[standard, reader_version] = fields, raw
    return fields, raw


def _received(moment: datetime) -> datetime:
    """A time of receipt as the contract keeps it: in UTC. Raises ValidationError."""
    if moment.tzinfo is UTC and moment.year in SURE_YEARS:
        return moment
    at = Revision(at=moment, reader=0, content="0" * 16).at
    assert at is not None
    return at


def _is_sure(moment: datetime | None) -> bool:
    """Whether a time is within the contract's bounds, seen without asking: aware, and of a year that surely is."""
    return moment is not None and moment.tzinfo is not None and _FIRST_SURE_YEAR <= moment.year < _PAST_SURE_YEARS


def _is_count(number: int | None) -> bool:
    return number is None or (type(number) is int and number >= 0)


@lru_cache(_REMEMBERED)
def _reference(kind: ReferenceKind, value: str) -> Reference:
    """The same one for the same number: a message names it in each of its events. Raises ValidationError."""
    if kind in _KINDS and identifiers.is_reference_value(value):
        return _made(Reference, {"kind": kind, "value": value}, _REFERENCE)
    return Reference(kind=kind, value=value)


@lru_cache(_REMEMBERED)
def _transport_of(said: tuple[tuple[str, str], ...]) -> Transport:
    return Transport.model_validate(dict(said))


_EVENT: Final = set(ShipmentEvent.model_fields)
_REVISION: Final = set(Revision.model_fields)
_RAW: Final = set(RawPointer.model_fields)
_REFERENCE: Final = set(Reference.model_fields)
_KINDS: Final = frozenset(get_args(ReferenceKind))
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MILESTONES: Final = frozenset((*get_args(Milestone), None))
_MODES: Final = frozenset((*get_args(Mode), None))


def again(said: Draft) -> Draft:
    """A draft of its own that says what `said` does."""
    return replace(said, references=said.references.copy(), warnings=said.warnings.copy(), transport=said.transport.copy())


class Warns(Protocol):
    """Where what was assumed is noted: a Draft."""

    def warn(self, code: str, text: str, where: Where = None) -> None: ...


def by_clock(noting: Warns, local: datetime, zone: ZoneInfo, where: Where = None) -> datetime:
    """`local` (naive) by a zone's clocks; warns where they showed it twice or never, as they were changed."""
    if (offset := _offset_all_day(zone, local.date())) is not None:
        return at_offset(local, offset)
    moment = local.replace(tzinfo=zone)
    if moment.utcoffset() != moment.replace(fold=1).utcoffset():
        text = f"{zone.key} had this time twice or never; the offset before the change is taken"
        noting.warn("ambiguous_time", text, where)
    return fixed_offset(moment)


def at_offset(local: datetime, offset: timezone) -> datetime:
    """`local` (naive) at that offset: `datetime.replace` at a third of its price."""
    return datetime.combine(local, local.time(), offset)


@lru_cache(_REMEMBERED)
def _offset_all_day(zone: ZoneInfo, day: date) -> timezone | None:
    """The offset of a zone's clocks from midnight to midnight; None where they were changed in it, or near it."""
    ends = [datetime.combine(day, clock, zone) for clock in (time.min, time.max)]
    offsets = {moment.replace(fold=fold).utcoffset() for moment in ends for fold in (0, 1)}
    only = offsets.pop()
    return _zone_of(only) if only is not None and not offsets else None


def by_assumed_clock(noting: Warns, local: datetime, zone: Zone, where: Where = None) -> datetime:
    """`local` (naive) by the clocks of a zone that nobody named; warns that it was assumed."""
    if zone.known:
        noting.warn("zone_assumed", zone.assumed, where)
    else:  # it may be hours off
        noting.warn("zone_unknown", zone.assumed, where)
    return by_clock(noting, local, zone.info, where)


def fixed_offset(moment: datetime) -> datetime:
    """The same moment with its offset as a fixed one: an event keeps the offset, not the rules of a zone."""
    offset = moment.utcoffset()
    assert offset is not None
    return moment.replace(tzinfo=_zone_of(offset))


@lru_cache(_REMEMBERED)
def _zone_of(offset: timedelta) -> timezone:
    return timezone(offset) if offset else UTC


def is_plain(text: str, most: int = 128) -> bool:
    """Whether a text may be shown as it is."""
    return len(text) <= most and text.isascii() and text.isprintable()


def sensible_year(year: int) -> bool:
    """Whether a year is one that arithmetic with times can work on; the time fence judges the rest."""
    return year in YEARS
