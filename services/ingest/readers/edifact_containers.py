"""EDIFACT COARRI (loaded on, discharged from a vessel) and CODECO (in, out through a gate): each container is an event."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from schemas.shipment_event_v1 import Place
from schemas.words import Milestone, Standard
from services.ingest.places import zone_of
from services.ingest.readers import edifact_parts as parts
from services.ingest.readers import own_codes
from services.ingest.readers.draft import Bad, Draft, Identities, digest
from services.ingest.readers.edifact_codes import COARRI, CODECO, IMPORT, TRANSSHIPMENT, Report
from services.ingest.readers.edifact_parts import Said
from services.ingest.readers.edifact_segments import Message, Segment, read_time
from services.ingest.readers.model import Context, Verdict

READER_VERSION: Final = 2

_STANDARDS: Final[Mapping[str, Standard]] = MappingProxyType({"COARRI": "edifact.coarri", "CODECO": "edifact.codeco"})
_REPORTS: Final[Mapping[str, Mapping[str, Report]]] = MappingProxyType({"COARRI": COARRI, "CODECO": CODECO})
_MOVED: Final[Mapping[str, Sequence[str]]] = MappingProxyType({"COARRI": ("203", "7"), "CODECO": ("7", "203")})
_DISCHARGE, _GATE_OUT, _GATE_IN = "44", "36", "34"
_MAIN_CARRIAGE: Final = "20"  # 8051


def standard_of(message: Message) -> Standard:
    """The standard's name of a message of one of these kinds."""
    return _STANDARDS[message.kind]


def read_message(message: Message, context: Context, identities: Identities) -> Iterator[Verdict]:
    """One verdict a container; a bad one costs only itself. Raises Bad where there is none."""
    header, groups = _groups(message)
    begin = next((segment for segment in header if segment.name == "BGM"), None)
    where = message.start.where
    nothing = [] if groups else [Bad("no_container", where, f"a {message.kind} without EQD says nothing")]
    if begin is None or not begin.get(1):
        what = Bad("missing_segment", where, f"a {message.kind} without BGM does not say what it reports")
        raise Bad.of([what, *nothing])
    if nothing:
        raise nothing[0]
    said = Said.of(segment for segment in header if segment.name != "TDT")
    carriers = _carriers(header)
    around = digest(parts.tokens(segment for segment in header if segment.name in ("TDT", "LOC")))
    for group in groups:
        position = group[0].where
        try:
            draft = _draft(message, begin, said, carriers, group, context)
            event_id = identities.of([begin.get(1), around, parts.tokens(group)])
            yield Verdict(position, event=draft.finish(event_id))
        except Bad as bad:
            yield bad.verdict(position, "'\n".join(segment.raw for segment in (begin, *group)).encode("utf-8", "replace"))


def _groups(message: Message) -> tuple[Sequence[Segment], Sequence[list[Segment]]]:
    """The header, and each container's segments; checks CNT+16."""
    header: list[Segment] = []
    groups: list[list[Segment]] = []
    for segment in message.segments:
        if segment.name == "EQD":
            groups.append([segment])
        elif segment.name == "CNT":
            if segment.get(1) == "16" and segment.get(1, 1).lstrip("0") != (str(len(groups)) if groups else ""):
                text = f"CNT says {segment.get(1, 1)[:20]} containers, counted are {len(groups)}"
                message.warn("bad_count", segment, text)
        elif groups:
            groups[-1].append(segment)
        else:
            header.append(segment)
    return header, groups


def _draft(
    message: Message,
    begin: Segment,
    header: Said,
    carriers: tuple[Segment | None, Segment | None],
    group: list[Segment],
    context: Context,
) -> Draft:
    eqd, code = group[0], begin.get(1).upper()
    draft = Draft(context, standard_of(message), READER_VERSION, eqd.where, code, warnings=list(message.warnings))
    draft.single = frozenset({"container"})
    own = Said.of(group[1:])
    parts.container(draft, eqd)
    parts.refer(draft, [own, header])
    of_group = _carriers(group)
    main, inland = of_group[0] or carriers[0], of_group[1] or carriers[1]
    if message.kind == "COARRI":
        main = main or inland
        draft.mode = "sea"
        parts.transport(draft, main)
        draft.carrier(parts.carrier_of(main) or own.carrier or header.carrier)
    else:
        parts.transport(draft, main)
        draft.mode = parts.mode_of(inland)
        if inland is not None:
            if inland.get(8) and draft.mode in ("road", None):
                draft.transport["vehicle"] = draft.short(inland.get(8))
            draft.carrier(parts.carrier_of(inland))
    parts.seal(draft, own)
    draft.reason = next((text for text in own.texts if text), None)
    _map(draft, message, begin, eqd)
    parts.function_of(draft, message, header, begin)
    _places(draft, message.kind, code, eqd.get(5), own, header)
    chosen = next((said.times[name] for said in (own, header) for name in _MOVED[message.kind] if name in said.times), None)
    if chosen is None:
        draft.fault(Bad("no_time", eqd.where, f"no DTM+{_MOVED[message.kind][0]} tells when"))
        return draft
    try:
        draft.occurred_at = read_time(draft, chosen, zone_of(draft.place, context.registers))
    except Bad as bad:
        draft.fault(bad)
    return draft


def _carriers(segments: Sequence[Segment]) -> tuple[Segment | None, Segment | None]:
    """The first TDT of the main carriage, and the first of another stage."""
    legs = [segment for segment in segments if segment.name == "TDT"]
    main = next((leg for leg in legs if leg.get(1) == _MAIN_CARRIAGE), None)
    return main, next((leg for leg in legs if leg.get(1) != _MAIN_CARRIAGE), None)


def _map(draft: Draft, message: Message, begin: Segment, eqd: Segment) -> None:
    if own_codes.apply(draft, draft.code, begin.get(1, 2).upper()):
        return
    report = _REPORTS[message.kind].get(draft.code)
    if report is None:
        draft.unmapped(begin)
        return
    if draft.empty is None and (report.full or report.empty):
        text = "EQD does not say whether the container is full or empty; the event moves nothing"
        draft.warn("full_or_empty_unknown", text, eqd)
        return
    draft.milestone = report.empty if draft.empty else _full(report, draft.code, eqd.get(5))


def _full(report: Report, code: str, status: str) -> Milestone | None:
    """What the move of a full container is, by its status (8249): none where it is on its way back, or between two ships."""
    if status == TRANSSHIPMENT:
        return report.transshipped
    return None if code == _GATE_IN and status == IMPORT else report.full


def _places(draft: Draft, kind: str, code: str, status: str, own: Said, header: Said) -> None:
    discharged, transshipped = kind == "COARRI" and code == _DISCHARGE, status == TRANSSHIPMENT
    if kind == "COARRI":
        here = "11" if discharged else "9"
        found = parts.find([header, own], here, "165")
        draft.place = parts.place(draft, found, header, "transship" if transshipped else None)
        draft.origin = _end(draft, own, header, "9", not discharged and not transshipped)
        draft.destination = _end(draft, own, header, "11", discharged and not transshipped)
        return
    levels = [own, header]
    found = parts.find(levels, "165", "175", *(("11",) if code == _GATE_OUT else ("9",) if code == _GATE_IN else ()))
    draft.place = parts.activity(draft, found, levels, header) if found is not None else None
    draft.origin, draft.destination = _end(draft, own, header, "9", True), _end(draft, own, header, "11", True)


def _end(draft: Draft, own: Said, header: Said, qualifier: str, of_header: bool) -> Place | None:
    """The container's own port; that of the header, where all of them share it."""
    return parts.place(draft, parts.find([own, header] if of_header else [own], qualifier), header)
