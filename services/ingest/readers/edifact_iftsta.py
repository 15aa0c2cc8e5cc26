"""EDIFACT IFTSTA, multimodal status report: each STS is an event, of each container it names; so are the times of its legs.

D.96A to D.10B and EANCOM, which differ in what this reader does not need. Codes: edifact_codes.py, docs/standards/edifact.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec import field

from schemas.shipment_event_v1 import Pieces
from schemas.words import Milestone, Mode
from services.ingest import identifiers
from services.ingest.places import zone_of
from services.ingest.readers import edifact_parts as parts
from services.ingest.readers import own_codes
from services.ingest.readers.draft import KEPT, LINKING_MAX, Bad, Draft, Identities, digest, hold_of
from services.ingest.readers.edifact_codes import (
    ARRIVALS,
    DEPARTURES,
    LISTED,
    OF_THE_LIST,
    STATUSES,
    TIMES,
    Status,
    classifier_of,
    times_of,
)
from services.ingest.readers.edifact_parts import Said
from services.ingest.readers.edifact_segments import Message, Segment, read_time
from services.ingest.readers.model import Context, Verdict

STANDARD: Final = "edifact.iftsta"
READER_VERSION: Final = 3

_DEPARTED_FROM: Final = ("9", "5", "13")  # 3227: where a leg begins, or goes on
_ARRIVED_AT: Final = ("11", "8", "13")
_TIMES: Final = frozenset({*DEPARTURES, *ARRIVALS})
_END_OF: Final[Mapping[Milestone, tuple[str, ...]]] = MappingProxyType(
    {
        "received": ("88", "9"),
        "departed": _DEPARTED_FROM,
        "transship_arrived": ("13", "11"),
        "transship_departed": ("13", "9"),
        "arrived": _ARRIVED_AT,
        "discharged": _ARRIVED_AT,
        "arrived_consignee": ("7", "8"),
        "delivered": ("7", "8"),
    }
)
"""The end of a leg that a milestone is about, by its LOC qualifiers."""
_ACTIVITY: Final = ("175", "165")  # 3227: where it happened, whatever it is
_NOT_OF_A_LEG: Final = ("7", "35", "17", "200")  # 2005: times that no leg's end has
_LEGS_MAX: Final = 99  # of one status, as the directory has it
_PAYLOAD_MAX: Final = 64 * 1024  # shared by all problems of a status


_UNREAD: Final = Said()  # a status that waits has none of its own: it takes as much as the status


class _Leg(msgspec.Struct, eq=False):
    """TDT and what follows it: places, each with its times; `times` before any place are of the leg's ends."""

    tdt: Segment | None
    places: list[tuple[Segment, list[Segment]]] = field(default_factory=list)
    times: list[Segment] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Told:
    """What a status itself tells: of which milestone, where, and by which DTM."""

    milestone: Milestone | None
    where: Segment | None
    time: Segment

    def holds(self, loc: Segment | None, dtm: Segment) -> bool:
        """Whether it is the same departure or arrival, told in the same way."""
        if dtm is self.time:
            return True
        departs = self.milestone == "departed"
        if (not departs and self.milestone != "arrived") or departs != (dtm.get(1) in DEPARTURES):
            return False
        same_place = (self.where and self.where.get(2)) == (loc and loc.get(2))
        return same_place and classifier_of(dtm.get(1)) == classifier_of(self.time.get(1))


class _Status(msgspec.Struct, eq=False):
    """STS and its group."""

    sts: Segment
    others: list[Segment] = field(default_factory=list)
    legs: list[_Leg] = field(default_factory=list)
    equipment: list[list[Segment]] = field(default_factory=list)  # each begins with its EQD
    said: Said = field(default_factory=lambda: _UNREAD)  # what `others` say
    ends: Said = field(default_factory=lambda: _UNREAD)  # the places of its legs
    told: _Told | None = None  # what its own events say, once one is made
    timed: dict[tuple[Milestone, str], Mapping[str, Segment]] = field(default_factory=dict)  # for `_times_at`, once for all

    def read(self) -> None:
        """Fill `said` and `ends`, once for all its events."""
        self.said = Said.of(self.others)
        self.ends = Said.of(loc for leg in self.legs for loc, _ in leg.places)

    @property
    def containers(self) -> frozenset[str]:
        return frozenset(identifiers.normalise("container", group[0].get(2)) for group in self.equipment)

    @property
    def payload(self) -> bytes:
        text = "'\n".join(one.raw for one in (*self.segments, *(group[0] for group in self.equipment[:8])))
        return text.encode("utf-8", "replace")[:_PAYLOAD_MAX]

    @property
    def segments(self) -> Iterator[Segment]:
        """All but the equipment, in no order that matters."""
        yield self.sts
        yield from self.others
        for leg in self.legs:
            if leg.tdt is not None:
                yield leg.tdt
            yield from leg.times
            for loc, times in leg.places:
                yield loc
                yield from times


class _Consignment(msgspec.Struct, eq=False):
    """CNI and its statuses; the header, where it stands for one."""

    cni: Segment | None
    others: list[Segment] = field(default_factory=list)
    statuses: list[_Status] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Around:
    """What stands above a status: read once for all below."""

    message: Message
    context: Context
    begin: Segment | None
    header: Said
    consignment: Said
    identity: str
    stamp: str


def read_message(message: Message, context: Context, identities: Identities) -> Iterator[Verdict]:
    """One verdict a status and container, and one a leg's time; a bad status costs only itself. Raises Bad where none is."""
    header, consignments = _consignments(message)
    if not any(one.statuses for one in consignments):
        raise Bad("no_status", message.start.where, "an IFTSTA without STS says nothing")
    said = Said.of(header)
    begin = next((segment for segment in header if segment.name == "BGM"), None)
    stamp = parts.stamp_of(message, header, begin)
    naming = (one for one in header if one.name in ("RFF", "LOC") and not parts.names_a_message(one))
    about = digest(parts.tokens(naming))  # once for all below
    for one in consignments:
        around = _Around(
            message=message,
            context=context,
            begin=begin,
            header=said,
            consignment=_said_of(one),
            # CNI's first element only counts, as X12's LX does
            identity=digest([about, list(one.cni.elements[2:]) if one.cni else [], parts.tokens(one.others)]),
            stamp=stamp,
        )
        one.statuses.reverse()
        while one.statuses:  # let go once it is told: what it says of places and times takes more than its segments
            yield from _verdicts(one.statuses.pop(), around, identities)


def _consignments(message: Message) -> tuple[list[Segment], Sequence[_Consignment]]:
    header = _Consignment(None)
    found = [header]
    status: _Status | None = None
    leg: _Leg | None = None
    for segment in message.segments:
        name = segment.name
        if name == "CNI":
            found.append(_Consignment(segment))
            status = leg = None
        elif name == "STS":
            status, leg = _Status(segment), None
            found[-1].statuses.append(status)
        elif status is None:
            found[-1].others.append(segment)
        elif name == "TDT" and len(status.legs) < _LEGS_MAX:
            leg = _Leg(segment)
            status.legs.append(leg)
        elif name == "EQD":
            leg = None
            status.equipment.append([segment])
        elif leg is not None and name == "LOC":
            leg.places.append((segment, []))
        elif leg is not None and name == "DTM":
            (leg.places[-1][1] if leg.places else leg.times).append(segment)
        elif status.equipment and name in ("RFF", "SEL", "MEA", "DIM", "TMD", "TPL"):
            status.equipment[-1].append(segment)
        else:
            status.others.append(segment)
    return header.others, found


def _said_of(one: _Consignment) -> Said:
    said = Said.of(one.others) if one.cni is not None else Said()
    if one.cni is None or not (number := one.cni.get(2)):
        return said
    value = identifiers.normalise("air_waybill", number)
    kind = "air_waybill" if identifiers.is_air_waybill(value) else "bill_of_lading"
    said.references.append((kind, number, one.cni))  # type: ignore[arg-type]  # both are reference kinds
    return said


def _verdicts(status: _Status, around: _Around, identities: Identities) -> Iterator[Verdict]:
    status.read()
    every = status.containers
    tokens: list[object] = [around.identity, digest(parts.tokens(status.segments))]
    payload = b""
    for group in status.equipment or [[]]:
        position = group[0].where if len(status.equipment) > 1 else status.sts.where
        try:
            draft = _draft(status, group, every, around, position)
            event_id = identities.of([*tokens, parts.tokens(group)], _stamp(draft, around))
            yield Verdict(position, event=draft.finish(event_id))
        except Bad as bad:
            payload = payload or status.payload
            yield bad.verdict(position, payload)
    about = ""
    for leg, loc, dtm in _other_times(status, around):
        if status.told is not None and status.told.holds(loc, dtm):
            continue
        try:
            draft = _leg_draft(leg, loc, dtm, status, every, around)
            named = [one for one in (leg.tdt if leg is not None else None, loc, dtm) if one is not None]
            about = about or digest(sorted(every))
            tokens = [around.identity, *parts.tokens(named), about]
            yield Verdict(dtm.where, event=draft.finish(identities.of(tokens, _stamp(draft, around), "leg")))
        except Bad as bad:
            payload = payload or status.payload
            yield bad.verdict(dtm.where, payload)


def _stamp(draft: Draft, around: _Around) -> str | None:
    """An estimate that returns to an earlier value is news; what happened is the same however often it is told."""
    return None if draft.classifier == "actual" else around.stamp


def _draft(status: _Status, group: list[Segment], every: frozenset[str], around: _Around, position: str) -> Draft:
    sts, said, own = status.sts, status.said, Said.of(group[1:])
    code, agency = sts.get(2).upper(), sts.get(2, 2).upper()
    name = code if agency in OF_THE_LIST else f"{agency}/{code}"
    draft = Draft(around.context, STANDARD, READER_VERSION, position, name, warnings=list(around.message.warnings))
    if not code:
        draft.fault(Bad("missing_code", sts.where, "STS names no status (9011)", 2))
    levels = [own, around.header, around.consignment, said]
    if group:
        draft.single = frozenset({"container"})
        parts.container(draft, group[0])
    parts.refer(draft, levels, every)
    leg = status.legs[0] if status.legs else None  # each status names its own
    mode = _mode(leg.tdt if leg is not None else None, around.context)
    _carried(draft, leg, mode, around)
    parts.seal(draft, own)
    milestone = _map(draft, sts, code, agency, mode) if code else None
    draft.reason = _reason(sts, said)
    draft.pieces = _pieces(said, around)
    parts.function_of(draft, around.message, around.header, around.begin)
    _ends(draft, status, around)
    where = _place_of_status(draft, status, around, milestone)
    if where is not None:
        draft.place = parts.activity(draft, where, [status.ends, said, around.consignment, around.header], around.header)
    try:
        told = _Told(milestone, where, _when(draft, status, milestone, where))
    except Bad as bad:
        draft.fault(bad)
    else:  # what is refused tells nothing: the times of its legs are told by themselves
        status.told = told if code else status.told
    parts.made_at(draft, around.message, around.header)
    return draft


def _mode(tdt: Segment | None, context: Context) -> Mode | None:
    """The leg's, else what the sender is known to sail or fly."""
    said = parts.mode_of(tdt)
    if said is not None or tdt is not None:
        return said
    sender = context.registers.senders.get(context.sender)
    kinds: dict[str, Mode] = {"ocean_carrier": "sea", "airline": "air"}
    return kinds.get(sender.kind) if sender is not None else None


def _carried(draft: Draft, leg: _Leg | None, mode: Mode | None, around: _Around) -> None:
    draft.mode = mode
    parts.transport(draft, leg.tdt if leg is not None else None)
    draft.carrier(parts.carrier_of(leg.tdt if leg is not None else None) or around.consignment.carrier or around.header.carrier)


def _map(draft: Draft, sts: Segment, code: str, agency: str, mode: Mode | None) -> Milestone | None:
    """Set what the code says; returns the milestone that tells where and when to look, whether or not it stands."""
    listed = Status("")
    if own_codes.apply(draft, code, agency):
        listed = Status("", draft.milestone)
    elif agency in OF_THE_LIST and code in LISTED:
        listed = STATUSES.get(code, listed)
        draft.milestone = listed.milestone if not listed.voyage or mode in ("sea", "air") else None
        if listed.voyage and mode is None:
            text = f"{code} ({listed.means}) names no means of transport; only that of a ship or aircraft moves the milestone"
            draft.warn("mode_unknown", text, sts)
        draft.hold = hold_of(listed.hold)
        draft.classifier = listed.classifier or "actual"
    else:
        draft.mapped = False
        text = sts.get(2, 3)
        said = f"{draft.code} ({text[:80]})" if text else draft.code
        draft.warn("unmapped_code", f"the code {said} is in no map{KEPT}", sts)
    return listed.milestone


def _reason(sts: Segment, said: Said) -> str | None:
    """C556: its text, else its code; else a note that came with the status."""
    return sts.get(3, 3) or sts.get(3) or next((text for text in said.texts if text), None)


def _pieces(said: Said, around: _Around) -> Pieces | None:
    """CNT+8 or +11: pieces of the consignment; under the status, those it is about."""
    total = around.consignment.pieces if around.consignment.pieces is not None else around.header.pieces
    this = said.pieces if said.pieces is not None else total
    return Pieces(this=this, total=total) if this is not None else None


def _ends(draft: Draft, status: _Status, around: _Around) -> None:
    levels = [status.ends, status.said, around.consignment, around.header]
    draft.origin = parts.place(draft, parts.find(levels, "9", "88", "5"), around.header)
    draft.destination = parts.place(draft, parts.find(levels, "11", "7", "8"), around.header)


def _place_of_status(draft: Draft, status: _Status, around: _Around, milestone: Milestone | None) -> Segment | None:
    """The status' own LOC: that of the activity, else of the end that the code is about, else the only one; else the end of its
    leg. Of several that are of something else none is taken for what moves something."""
    own = status.said.places
    ends = _END_OF.get(milestone, ()) if milestone is not None else ()
    for name in (*_ACTIVITY, *ends):
        if name in own:
            return own[name]
    if len(own) == 1 or (own and not _moves(draft, milestone)):
        return next(iter(own.values()))
    found = parts.find([status.ends, around.consignment, around.header], *ends)
    if own:
        taken = f"{found.get(2)[:20]} of the leg counts" if found is not None else "none of them is taken"
        text = f"LOC {' and '.join(name[:3] for name in islice(own, 4))} are no places where this happens (175 is); {taken}"
        draft.warn("places_contradict", text, next(iter(own.values())))
    return found


def _moves(draft: Draft, milestone: Milestone | None) -> bool:
    return milestone is not None or draft.hold is not None


def _when(draft: Draft, status: _Status, milestone: Milestone | None, where: Segment | None) -> Segment:
    """Set the time by the status' own DTM that is of what the code says, else by one of the leg's end that it is about; returns
    that DTM. An estimate or plan makes the event one. Raises Bad (`no_time`)."""
    own = status.said.times
    moves = _moves(draft, milestone)
    order = times_of(milestone, moves, draft.classifier)
    chosen = next((own[name] for name in order if name in own), None)
    if chosen is None and milestone in ("departed", "arrived"):
        there = _times_at(status, milestone, where)
        chosen = next((there[name] for name in order if name in there), None)
    if chosen is None:
        others = [name for name in (*DEPARTURES, *ARRIVALS, *_NOT_OF_A_LEG) if name in own]
        but = f"; {' and '.join(f'DTM {name}' for name in sorted(others))} tells of something else" if others else ""
        raise Bad("no_time", status.sts.where, f"no DTM tells when ({', '.join(order[:3])} would){but}")
    if draft.classifier == "actual":
        draft.classifier = classifier_of(chosen.get(1))
    draft.occurred_at = read_time(draft, chosen, zone_of(draft.place, draft.context.registers))
    for name, other in ((name, own[name]) for name in TIMES if name in own):
        is_same = moves and name in order and classifier_of(name) == classifier_of(chosen.get(1))
        if is_same and _contradicts(other, chosen):
            text = f"DTM {name} says another time than DTM {chosen.get(1)}; the latter counts"
            draft.warn("times_contradict", text, other)
        elif not is_same and other is not chosen and name in _NOT_OF_A_LEG:
            draft.warn("time_not_used", f"DTM {name} is not that of the code {draft.code}; not used", other)
    return chosen


def _times_at(status: _Status, milestone: Milestone, where: Segment | None) -> Mapping[str, Segment]:
    """The times of the legs' ends that the milestone is about, at that place; the first of each qualifier."""
    key = (milestone, where.get(2) if where is not None else "")
    if key in status.timed:
        return status.timed[key]
    fitting = DEPARTURES if milestone == "departed" else ARRIVALS
    found: dict[str, Segment] = {}
    for leg in status.legs:
        for loc, dtm in _timed(leg):
            is_there = loc is None or (loc.get(1) in _END_OF[milestone] and (where is None or loc.get(2) == where.get(2)))
            if is_there and dtm.get(1) in fitting:
                found.setdefault(dtm.get(1), dtm)
    status.timed[key] = found
    return found


def _contradicts(one: Segment, other: Segment) -> bool:
    """Whether two DTMs say different times, as far as both say them."""
    pair = sorted((one.get(1, 1), other.get(1, 1)), key=len)
    return not pair[1].startswith(pair[0])


def _other_times(status: _Status, around: _Around) -> Iterator[tuple[_Leg | None, Segment | None, Segment]]:
    """The departures and arrivals that are told beside the status: by its own DTMs, of which it takes one, and by its legs."""
    for qualifier, dtm in status.said.times.items():
        if qualifier in _TIMES:
            ends = _DEPARTED_FROM if qualifier in DEPARTURES else _ARRIVED_AT
            loc = parts.find([status.ends, status.said, around.consignment, around.header], *ends)
            yield status.legs[0] if status.legs else None, loc, dtm
    for leg in status.legs:
        for loc, dtm in _timed(leg):
            if dtm.get(1) in _TIMES:
                yield leg, loc, dtm


def _timed(leg: _Leg) -> Iterator[tuple[Segment | None, Segment]]:
    """Each time of a leg with its place; one without a place is of the end that it is about."""
    first: dict[str, Segment] = {}
    for loc, _ in leg.places:
        first.setdefault(loc.get(1), loc)
    for dtm in leg.times:
        ends = _DEPARTED_FROM if dtm.get(1) in DEPARTURES else _ARRIVED_AT
        yield next((first[name] for name in ends if name in first), None), dtm
    for loc, times in leg.places:
        for dtm in times:
            yield loc, dtm


def _leg_draft(
    leg: _Leg | None, loc: Segment | None, dtm: Segment, status: _Status, every: frozenset[str], around: _Around
) -> Draft:
    qualifier = dtm.get(1)
    code = f"DTM/{qualifier}"
    draft = Draft(around.context, STANDARD, READER_VERSION, dtm.where, code, warnings=list(around.message.warnings))
    for group in status.equipment[:LINKING_MAX]:
        draft.equipment(group[0].get(2), group[0])
    draft.single = frozenset({"container"}) if status.equipment else frozenset()
    parts.refer(draft, [around.header, around.consignment, status.said], every)
    mode = _mode(leg.tdt if leg is not None else None, around.context)
    _carried(draft, leg, mode, around)
    draft.classifier = classifier_of(qualifier)
    departs = qualifier in DEPARTURES
    if mode in ("sea", "air") and loc is not None and loc.get(1) in (_DEPARTED_FROM if departs else _ARRIVED_AT):
        draft.milestone = "departed" if departs else "arrived"
    parts.function_of(draft, around.message, around.header, around.begin)
    parts.made_at(draft, around.message, around.header)
    _ends(draft, status, around)
    draft.place = parts.place(draft, loc, around.header)
    draft.occurred_at = read_time(draft, dtm, zone_of(draft.place, around.context.registers))
    return draft
