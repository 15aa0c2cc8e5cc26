"""What goes into a reader and what comes out of it: values only."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

import msgspec
from msgspec.structs import force_setattr

from schemas.registers_v1 import Facility, Sender
from schemas.shipment_event_v1 import ShipmentEvent, Warning_
from schemas.words import Cause, Standard
from services.ingest.codemaps.model import CodeMaps
from services.ingest.legible import shown
from services.ingest.mappings_model import Mappings

MIB = 1024 * 1024
TEXT_MOST = 500  # characters of a sentence about a message; schemas/dead_letter_v1.py


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a message may be (docs/architecture.md, "Limits"). `ratio`: decompressed to compressed bytes;
    `gzip_members`: compressed parts in a row; `depth`, `values`: of JSON."""

    decoded_bytes: int = 20 * MIB
    ratio: int = 20
    gzip_members: int = 1_000
    events: int = 1_000
    depth: int = 32
    values: int = 500_000


LIMITS = Limits()


class Unreadable(Exception):
    """The message as a whole cannot be read. `code` is stable, `where` a line, segment or JSON pointer, `text` a sentence."""

    def __init__(self, code: str, where: str, text: str) -> None:
        super().__init__(f"{where}: {code}: {text}" if where else f"{code}: {text}")
        self.code = code
        self.where = shown(where)
        self.text = shown(text, TEXT_MOST)


class Problem(msgspec.Struct, frozen=True):
    """One event, set or line that cannot be read; the others of the message are unharmed. `payload`: its own bytes.

    `element`: which element of the segment at `where` is wrong (X12, EDIFACT; from 1), for acknowledgements, where it is known.

    `more`: what else keeps the same event from being read, without bytes of its own; `warnings`: what was noted of it beside.

    `where` and `text` often quote the message: what in them could steer a terminal is marked here, once for all readers.
    """

    code: str
    where: str
    text: str
    payload: bytes
    element: int | None = None
    more: tuple[Problem, ...] = ()
    warnings: tuple[Warning_, ...] = ()

    @property
    def every(self) -> tuple[Problem, ...]:
        """Itself, and what else is wrong."""
        return (self, *self.more)

    def __post_init__(self) -> None:
        if (where := shown(self.where)) is not self.where:  # what needs no mark comes back itself
            force_setattr(self, "where", where)
        if (text := shown(self.text, TEXT_MOST)) is not self.text:
            force_setattr(self, "text", text)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a message asks of one consignment (a ship notice registers it). Whether its sender may is not judged here but in
    services/ingest/commands.py, as for registrations that come as JSON.

    `fields`: as of a registration that comes as JSON, unchecked. `row`: tells the message's askings apart, for ever: the number
    of the segment that it begins at, not its ordinal among those that a reader can read today. `onto`: as in
    schemas/consignment_command_v1.py, RegisterConsignment.
    """

    fields: Mapping[str, Any]
    row: int
    payload: bytes
    onto: Literal["add_lines", "replace_lines"] | None = None
    warnings: tuple[Warning_, ...] = ()


class Verdict(msgspec.Struct, frozen=True):
    """What became of one statement of the message: an event, what it asks of a consignment, or a problem.

    `position`: its place in the message. A struct: a fifth of a frozen dataclass's cost.
    """

    position: str
    event: ShipmentEvent | None = None
    problem: Problem | None = None
    asked: Asked | None = None

    @property
    def warnings(self) -> tuple[Warning_, ...]:
        """What was noted of it, whatever it is."""
        told = self.event or self.problem or self.asked
        return told.warnings if told is not None else ()


class Interchange(msgspec.Struct, frozen=True):
    """An interchange by its control number (ISA13, UNB 0020); `named`: its sender, as it says (ISA06, UNB S002)."""

    where: str
    named: str
    number: str


INTERCHANGES_MOST = 64


class Envelope(msgspec.Struct, frozen=True):
    """What is told of a message itself once its last statement is read. `warnings`: about its envelope, not about one event;
    `interchanges`: that something was read of, the first 64."""

    standard: str
    warnings: tuple[Warning_, ...] = ()
    interchanges: tuple[Interchange, ...] = ()


Told = Generator[Verdict, None, Envelope]
"""What a reader makes of a message: one verdict after the other, each when it is asked for, and the envelope at last.

Raises Unreadable at any of them; then nothing of the message counts, whatever was told before.
"""


class Statements(msgspec.Struct, eq=False):
    """The verdicts of a message in its order, each made when it is asked for: an event takes 5 kB and more, and who needs one
    at a time holds one. To be walked through once; as of `Told`, Unreadable may come last. `envelope` is there after it."""

    _told: Told
    _envelope: Envelope | None = None

    def __iter__(self) -> Iterator[Verdict]:
        self._envelope = yield from self._told

    @property
    def envelope(self) -> Envelope:
        """What is told of the message itself."""
        assert self._envelope is not None, "known when the last verdict is"
        return self._envelope


class Reading(msgspec.Struct, frozen=True):
    """A message read, all of it held. `verdicts` in the order of the message; `warnings`: about its envelope."""

    standard: str
    verdicts: tuple[Verdict, ...]
    warnings: tuple[Warning_, ...] = ()

    @classmethod
    def of(cls, statements: Statements) -> Reading:
        """All that is told. Raises Unreadable."""
        verdicts = tuple(statements)
        return cls(statements.envelope.standard, verdicts, statements.envelope.warnings)

    @property
    def events(self) -> tuple[ShipmentEvent, ...]:
        return tuple(verdict.event for verdict in self.verdicts if verdict.event is not None)

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(verdict.problem for verdict in self.verdicts if verdict.problem is not None)


@dataclass(frozen=True, slots=True)
class Registers:
    """The senders, facilities, code maps and mappings that readers look up; make one by `of` whenever a register changes."""

    senders: Mapping[str, Sender] = field(default_factory=lambda: MappingProxyType({}))
    facilities: Mapping[str, Facility] = field(default_factory=lambda: MappingProxyType({}))
    by_scac: Mapping[str, Sender] = field(default_factory=lambda: MappingProxyType({}))
    by_mailbox: Mapping[str, tuple[Sender, ...]] = field(default_factory=lambda: MappingProxyType({}))
    by_smdg: Mapping[str, tuple[Facility, ...]] = field(default_factory=lambda: MappingProxyType({}))
    by_gln: Mapping[str, Facility] = field(default_factory=lambda: MappingProxyType({}))
    by_unlocode: Mapping[str, Facility] = field(default_factory=lambda: MappingProxyType({}))
    by_iata: Mapping[str, Facility] = field(default_factory=lambda: MappingProxyType({}))
    by_city: Mapping[str, Facility] = field(default_factory=lambda: MappingProxyType({}))
    codes: frozenset[str] = frozenset()
    """All that messages may call a facility by (our code, GLN, SMDG), in capitals: most names that they use are none."""
    codemaps: CodeMaps = field(default_factory=CodeMaps)
    mappings: Mappings = field(default_factory=Mappings)
    remembered: dict[object, Any] = field(init=False, repr=False, compare=False, default_factory=dict)
    """What a reader worked out from these registers and would work out again, by its own keys; it bounds it."""

    @classmethod
    def empty(cls) -> Registers:
        """No register at all: codes of facilities stay unknown, zones come from public tables."""
        return cls()

    @classmethod
    def of(
        cls,
        senders: Iterable[Sender],
        facilities: Iterable[Facility],
        codemaps: CodeMaps | None = None,
        mappings: Mappings | None = None,
    ) -> Registers:
        """Index both registers. Of several that share a key the one with the least code counts, so that order does not.

        `codemaps`: what partners' own codes mean (services/ingest/codemaps); `mappings`: how their own files are read.
        """
        people = sorted(senders, key=lambda sender: sender.code)
        places = sorted(facilities, key=lambda facility: facility.code)
        smdg: dict[str, tuple[Facility, ...]] = {}
        scac: dict[str, Sender] = {}
        mailboxes: dict[str, tuple[Sender, ...]] = {}
        gln: dict[str, Facility] = {}
        locode: dict[str, Facility] = {}
        iata: dict[str, Facility] = {}
        city: dict[str, Facility] = {}
        for sender in people:
            if sender.scac:
                scac.setdefault(sender.scac, sender)
            for mailbox in {edi_id.rpartition(":")[2] for edi_id in sender.edi_ids}:
                mailboxes[mailbox] = (*mailboxes.get(mailbox, ()), sender)
        for place in places:
            if place.smdg:
                smdg[place.smdg.upper()] = (*smdg.get(place.smdg.upper(), ()), place)
            for key, index in ((place.gln, gln), (place.unlocode, locode), (place.iata, iata), (place.city, city)):
                if key:
                    index.setdefault(key.upper(), place)
        return cls(
            senders=MappingProxyType({sender.code: sender for sender in people}),
            facilities=MappingProxyType({place.code: place for place in places}),
            by_scac=MappingProxyType(scac),
            by_mailbox=MappingProxyType(mailboxes),
            by_smdg=MappingProxyType(smdg),
            by_gln=MappingProxyType(gln),
            by_unlocode=MappingProxyType(locode),
            by_iata=MappingProxyType(iata),
            by_city=MappingProxyType(city),
            codes=frozenset({*(place.code for place in places), *gln, *smdg}),
            codemaps=codemaps or CodeMaps(),
            mappings=mappings or Mappings(),
        )


@dataclass(slots=True, eq=False)
class Context:
    """What is known of a message besides its bytes. `received_at` is aware; `operator`: the key had that scope. Not to be
    changed; a frozen one takes six times as long to make, and each message has its own.

    `fence` false lets times pass that lie outside the time fence: only for looking at old files, never for what is stored.
    """

    sender: str
    received_at: datetime
    registers: Registers
    raw_sha256: str
    raw_partition: int | None = None
    raw_offset: int | None = None
    cause: Cause = "live"
    recorded_by: str | None = None
    operator: bool = False
    fence: bool = True
    frames: dict[tuple[Standard, int], tuple[dict[str, Any], dict[str, Any]]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )
    """What all events have alike that a reader's version makes of this message: Draft.finish keeps it here."""
