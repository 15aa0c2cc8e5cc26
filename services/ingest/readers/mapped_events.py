"""From what a mapping's sources find to an event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from schemas.shipment_event_v1 import Pieces, Place
from schemas.words import Classifier, Mode, Standard
from services.ingest import identifiers
from services.ingest.codemaps.model import Meaning
from services.ingest.mappings_model import EventRule, Fields, MappingFile, PlaceSource, ReferenceSource, Source, TimeSource
from services.ingest.places import facility_by_code, facility_by_smdg, zone_of
from services.ingest.readers.draft import REFERENCES_MAX, Bad, Draft, Identities, by_clock
from services.ingest.readers.mapped_times import NoTime, moment_of
from services.ingest.readers.mapped_views import View
from services.ingest.readers.model import Context
from services.ingest.readers.own_codes import VERSIONS

STANDARDS: Final[Mapping[str, Standard]] = {"csv": "mapped.csv", "json": "mapped.json"}
READER_VERSION: Final = 3

_CLASSIFIERS: Final[Mapping[str, Classifier]] = {"planned": "planned", "estimated": "estimated", "actual": "actual"}
_MODES: Final[Mapping[str, Mode]] = {"sea": "sea", "air": "air", "road": "road", "rail": "rail"}
_TRUTHS: Final = {"true": True, "false": False}
_COUNT_MAX: Final = 10_000_000  # schemas/shipment_event_v1.py, Pieces


@dataclass(frozen=True, slots=True)
class Scope:
    """A table of the mapping, and where its sources look."""

    fields: Fields
    view: View


class Making:
    """One event in the making."""

    def __init__(self, rule: EventRule, scopes: Sequence[Scope], mapping: MappingFile, context: Context) -> None:
        """`scopes`: the tables that say something of it, the innermost, which is the rule itself, first."""
        self._rule = rule
        self._mapping = mapping
        self._view = view = scopes[0].view
        self._scopes = scopes
        version = READER_VERSION * VERSIONS + mapping.stated.version
        self.draft = Draft(context, STANDARDS[mapping.stated.format], version, view.where, rule.name)
        self._tokens: dict[str, Any] = {"event": rule.name}

    def happened(self) -> bool:
        """Fill the draft; False if there is nothing to say yet. Raises Bad."""
        rule, draft = self._rule, self.draft
        when = self._text(rule.occurred_at, self._view)
        code = self._text(rule.code, self._view) if rule.code is not None else None
        if when is None:
            if code is None or (rule.code is not None and not rule.code.names):
                return False
            raise Bad("no_time", self._view.at(rule.occurred_at), f"the code {code[:40]} is given, but not when")
        self._tokens |= {"occurred_at": when, "code": code}
        meaning = self._meaning(code)
        for scope in self._scopes:
            for source in scope.fields.references:
                self._refer(source, scope.view)
        self._places()
        self._other_fields()
        if meaning is not None:
            draft.milestone, draft.hold = meaning.milestone, meaning.hold
            draft.classifier = meaning.classifier or "actual"
            draft.mode = meaning.mode or draft.mode
            draft.empty = draft.empty if meaning.empty is None else meaning.empty
        self._classify()
        draft.occurred_at = self._moment(rule.occurred_at, self._view, when, happened=draft.classifier == "actual")
        self._own_times()
        return True

    def identity(self, identities: Identities) -> str:
        own = self._first("id")
        if own is not None and (text := self._text(own[0], own[1])) is not None:
            self.draft.source_id = text
            return identities.own(f"{self._rule.name}\n{text}")
        stamp = None
        if self.draft.classifier != "actual" and (made := self._first("created_at")) is not None:
            stamp = self._text(made[0], made[1])
        return identities.of(self._tokens, stamp)

    def _first(self, name: str) -> tuple[Any, View] | None:
        """The innermost table that says something of `name`."""
        for scope in self._scopes:
            if (value := getattr(scope.fields, name)) is not None:
                return value, scope.view
        return None

    def _text(self, source: Source | None, view: View) -> str | None:
        """The text that a source gives, by its `values` where it has some; None where there is none. Raises Bad."""
        if source is None:
            return None
        if source.constant is not None:
            return str(source.constant).lower() if isinstance(source.constant, bool) else str(source.constant)
        texts = view.texts(source)
        return self._stands_for(source, texts[0], view) if texts else None

    def _stands_for(self, source: Source, text: str, view: View) -> str | None:
        if source.values is None:
            return text
        known = source.values.get(text.upper())
        if known is None:
            text = f"{text[:60]} is none of the values that the mapping knows; not used"
            self.draft.warn("unmapped_value", text, view.at(source))
            return None
        return str(known).lower() if isinstance(known, bool) else known

    def _meaning(self, code: str | None) -> Meaning | None:
        rule, draft = self._rule, self.draft
        if rule.code is None:
            return self._mapping.fixed[rule.name]
        if code is None:
            raise Bad("no_code", self._view.at(rule.code), "says when, but not what")
        draft.code = code
        meaning = self._mapping.meanings.get(code.upper())
        if meaning is None:
            draft.unmapped(self._view.at(rule.code))
        return meaning

    def _refer(self, source: ReferenceSource, view: View) -> None:
        texts: Sequence[str] = (str(source.constant),) if source.constant is not None else view.texts(source)
        where = view.at(source)
        said = self._tokens.setdefault("references", [])
        if source.split:
            texts = [part for text in texts for part in text.split(source.split, 2 * REFERENCES_MAX)]
        for text in texts:
            said.append([source.kind, text.strip()])
            value = self._stands_for(source, text.strip(), view)
            if source.kind == "equipment":
                self.draft.equipment(value, where)
            else:
                self.draft.refer(source.kind, value, where)

    def _places(self) -> None:
        for name in ("place", "origin", "destination"):
            found = self._first(name)
            if found is not None:
                place = self._place(*found)
                setattr(self.draft, name, place)
                if name == "place" and place is not None:
                    self._tokens["place"] = place.model_dump(exclude_none=True)

    def _place(self, source: PlaceSource, view: View) -> Place | None:
        said: dict[str, str] = {}
        for name in ("unlocode", "iata", "country", "name", "role", "facility"):
            text = self._text(getattr(source, name), view)
            if text is None:
                continue
            where = view.at(getattr(source, name))
            if name in ("name", "role"):
                said[name] = self.draft.short(text, where)
            elif name == "facility":
                known = facility_by_code(text, self.draft.context.registers) or facility_by_smdg(
                    text, said.get("unlocode"), self.draft.context.registers
                )
                if known is None:
                    self.draft.warn("unknown_facility", f"{text[:60]} is in no register of facilities; not used", where)
                else:
                    said[name] = known.code
            elif _is_code(name, text.upper()):
                said[name] = text.upper()
            else:
                what = {"unlocode": "UN/LOCODE", "iata": "IATA airport code", "country": "country code of two letters"}[name]
                self.draft.warn("bad_place", f"{text[:60]} is no {what}; not used", where)
        return Place.model_validate(said) if said else None

    def _other_fields(self) -> None:
        draft = self.draft
        if (found := self._first("mode")) is not None and (text := self._text(*found)) is not None:
            if text in _MODES:
                draft.mode = _MODES[text]
            else:
                draft.warn("bad_value", f"{text[:60]} is none of sea, air, road, rail; not used", found[1].at(found[0]))
        draft.empty = self._flag("empty")
        if (found := self._first("reason")) is not None:
            draft.reason = self._text(*found)
        draft.retracted = self._flag("retracted") or False
        self._pieces()
        self._transport()

    def _flag(self, name: str) -> bool | None:
        found = self._first(name)
        text = self._text(*found) if found is not None else None
        if found is None or text is None:
            return None
        known = _TRUTHS.get(text.lower())
        if known is not None:
            return known
        where, what = found[1].at(found[0]), f"{text[:60]} is neither true nor false; give `values` for it"
        if name == "retracted":  # not to know whether an event stands is not to know the event
            raise Bad("bad_value", where, what)
        self.draft.warn("bad_value", f"{what}; not used", where)
        return None

    def _pieces(self) -> None:
        found = self._first("pieces")
        if found is None:
            return
        counts: dict[str, int] = {}
        for name in ("this", "total"):
            source = getattr(found[0], name)
            text = self._text(source, found[1])
            if text is None:
                continue
            if text.isascii() and text.isdigit() and len(text) <= 8 and int(text) <= _COUNT_MAX:
                counts[name] = int(text)
            else:
                self.draft.warn("bad_value", f"{text[:40]} is no count of pieces; not used", found[1].at(source))
        self.draft.pieces = Pieces.model_validate(counts) if counts else None

    def _transport(self) -> None:
        for scope in reversed(self._scopes):  # the innermost last, so that it counts
            source = scope.fields.transport
            if source is None:
                continue
            said = {name: self._text(one, scope.view) for name, one in source if one is not None}
            self.draft.vessel(said.get("imo"), said.get("vessel"), said.get("voyage"), scope.view.where)
            self.draft.carrier(said.get("scac"))
            for name in ("flight", "vehicle", "next_carrier"):
                if (text := said.get(name)) is not None:
                    self.draft.transport[name] = self.draft.short(text, scope.view.where)

    def _classify(self) -> None:
        stated = self._rule.classifier
        if stated is None:
            return
        if isinstance(stated, str):
            self.draft.classifier = stated
            return
        texts = _as_written(stated, self._view)
        text = self._text(stated, self._view)
        if text is not None and text in _CLASSIFIERS:
            self.draft.classifier = _CLASSIFIERS[text]
        elif texts or text is not None:  # a plan that is taken for a fact would be a wrong milestone
            what = f"{(texts or (text,))[0]} is not known as actual, estimated or planned; give `values` for it"
            raise Bad("bad_value", self._view.at(stated), what)

    def _own_times(self) -> None:
        for name in ("created_at", "updated_at"):
            found = self._first(name)
            if found is None:
                continue
            source, view = found
            if source.received:
                setattr(self.draft, name, self.draft.context.received_at)
            elif (text := self._text(source, view)) is not None:
                setattr(self.draft, name, self._moment(source, view, text, happened=True))

    def _moment(self, source: TimeSource, view: View, text: str, *, happened: bool) -> datetime:
        where = view.at(source)
        names = source.format or self._mapping.stated.time.format
        try:
            formats = [self._mapping.formats[name] for name in names]
            found = moment_of(text, formats, self.draft.context.received_at, happened)
        except NoTime as error:
            raise Bad("bad_time", where, str(error)) from None
        if not found.has_clock:
            self.draft.warn("time_missing", "no time of day is given; 00:00 assumed", where)
        if found.moment.tzinfo is not None:
            return found.moment
        zone_name = source.zone or self._mapping.stated.time.zone
        zone = self._mapping.zones.get(zone_name)
        if zone is None:
            return self.draft.at_local(found.moment, zone_of(self.draft.place, self.draft.context.registers), where)
        return by_clock(self.draft, found.moment, zone, where)


def _as_written(source: Source, view: View) -> Sequence[str]:
    """As the sender wrote it, before `values`."""
    return view.texts(source) if source.names else ()


def _is_code(name: str, text: str) -> bool:
    if name == "unlocode":
        return identifiers.is_locode(text)
    return len(text) == (3 if name == "iata" else 2) and text.isascii() and text.isalpha()
