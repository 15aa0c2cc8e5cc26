"""Many open journeys at once: what memory, disk, a restart and a burst of deadlines cost, and how that grows.

The topics are filled with journeys of 12 events on 2 containers (all of a journey side by side, as in a first load), the real
tracker takes them in, and at each size it is stopped, started with its local store, started without it,
and shown a second in which many deadlines are due. Time is data, so T is moved by ticks of our own.

Of a million journeys the tracker itself takes in the first 100,000 and the last 20,000. What lies between is written as it
would have written it: copies of one of its own journeys with other numbers, which are first compared, byte by byte, with others
that it did write. From then on nothing is copied: it reads registrations, events and journeys back as after any crash.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from benchmarks import load
from benchmarks.bench import Bench
from benchmarks.harness import Meter, NotEqual, Result, until
from benchmarks.load import EVENTS_A_JOURNEY, STEPS, UNITS, Raw, Telling
from benchmarks.pipeline import control_records
from benchmarks.servers import Servers, now
from schemas.raw_message_v1 import RawMessage
from schemas.topics import CONSIGNMENT_COMMANDS, JOURNEY_CHANGES, JOURNEYS, SHIPMENT_EVENTS
from services.ingest.commands import read_commands
from services.ingest.readers import Context, Registers
from services.ingest.readers.json_items import json_items
from services.ingest.readers.lovla import read
from services.ingest.readers.model import LIMITS
from services.runtime.wire import dump

GROUP = "tracker-0"
DUE = 10_000
COMPARED = 2_000
GOAL_BYTES = 2_000
GOAL_RESTORE_S = 60
GOAL_DUE_S = 10
GOAL_TOUCHED = 1.05
JOURNEYS_A_VOYAGE = 2_500
QUIET_H = 8_000  # no journey is silent meanwhile: its deadlines would mix with those that are counted
LATER = timedelta(days=90)
SETTLED_S = 2.0
MEMORY_SHARE = 0.6  # of the machine: then it is given up rather than everything else pushed out


@dataclass(frozen=True, slots=True)
class Mark:
    """What one size costs. Times in seconds; memory and disk in bytes."""

    journeys: int
    events_s: float
    rss: int
    disk: int
    with_store_s: float
    without_store_s: float
    due: int
    due_s: float
    touched: int


def measure(bench: Bench) -> Result:
    """Up to a size that takes some minutes."""
    return _measure(bench, bench.sizes.journeys)


def measure_million(bench: Bench) -> Result:
    """The same up to a million, most of them copies."""
    return _measure(bench, bench.sizes.million, copies=True)


def _measure(bench: Bench, sizes: tuple[int, ...], copies: bool = False) -> Result:
    """One run: it is long. Each size continues the one before. `copies`: from the second size on, see above."""
    result = Result(
        "after each restart the tracker holds every journey; exactly the journeys due have opened `overdue`, each once"
    )
    marks: list[Mark] = []
    with Servers(bench.folder / "journeys", broker=bench.broker) as servers:
        servers.register()
        servers.timed([JOURNEYS.name, JOURNEY_CHANGES.name])
        base = load.recent_base(now())
        with servers.service("tracker"):
            servers.fill(control_records(base + load.SPAN + timedelta(hours=12)))
            until(lambda: servers.caught_up(GROUP, SHIPMENT_EVENTS.name), "the first ticks", 60)
            time.sleep(SETTLED_S)
            empty = psutil.Process(servers.pids["tracker"]).memory_info().rss
        first = 0
        for n, size in enumerate(sizes):
            try:
                between = range(first, max(first, size - 2 * DUE) if copies and n else first)
                marks.append(_mark(bench, servers, base, range(between.stop, size), n, between))
            except (NotEqual, TimeoutError) as error:
                if not marks:
                    raise
                result.notes.append(f"{size:,} journeys were not reached: {error}.")
                break
            first = size
    for mark in marks:
        name = f"{mark.journeys:,} open journeys"
        largest = mark is marks[-1]
        a_journey = (mark.rss - empty) / mark.journeys
        result.add(f"{name}: taken in", "events/s", mark.events_s)
        result.add(f"{name}: memory a journey", "bytes", a_journey, at_most=GOAL_BYTES if largest else None)
        result.add(f"{name}: memory of the process", "MB", mark.rss / 1e6)
        result.add(f"{name}: event store on disk", "bytes an event", mark.disk / (mark.journeys * EVENTS_A_JOURNEY))
        for how, seconds in (("with its store", mark.with_store_s), ("without its store", mark.without_store_s)):
            result.add(f"{name}: start {how} to first commit", "s", seconds, at_most=GOAL_RESTORE_S if largest else None)
        result.add(
            f"{name}: {mark.due:,} deadlines of one second, all published",
            "s",
            mark.due_s,
            at_most=GOAL_DUE_S if largest else None,
        )
        result.add(
            f"{name}: journeys written a due deadline", "", mark.touched / mark.due, at_most=GOAL_TOUCHED if largest else None
        )
    if len(marks) > 1:
        small, large = marks[0], marks[-1]
        slope = (large.rss - small.rss) / (large.journeys - small.journeys)
        result.add(f"memory a journey between {small.journeys:,} and {large.journeys:,}", "bytes", slope, at_most=GOAL_BYTES)
    result.notes.append(
        f"An empty tracker has {empty / 1e6:.0f} MB. Memory is resident memory after a start with the local store."
    )
    return result


def _mark(bench: Bench, servers: Servers, base: datetime, numbers: range, n: int, copies: range = range(0)) -> Mark:
    """The tracker takes in `numbers`, after those of `copies` were put where it finds them at its start."""
    size, due = numbers.stop, min(DUE, len(numbers) // 2)
    plan_due = base + load.SPAN + timedelta(days=6 + 20 * n)
    due_numbers = set(numbers[:: len(numbers) // due][:due])
    records = _Records(base)
    if copies:
        bench.tell(f"{size:,} journeys: writing {len(copies):,} of them as copies")
        _write_copies(servers, records, copies)
    bench.tell(f"{size:,} journeys: writing and taking in")
    with servers.service("tracker", ready=False) as pid:

        def taken(topic: str) -> bool:
            used = psutil.Process(pid).memory_info().rss
            if used > MEMORY_SHARE * psutil.virtual_memory().total:
                raise NotEqual(
                    f"the tracker needs {used / 1e9:.1f} GB before it has {size:,} journeys; this machine has no more"
                )
            return servers.caught_up(GROUP, topic)

        servers.fill(records.commands(numbers, due_numbers, plan_due))
        until(lambda: taken(CONSIGNMENT_COMMANDS.name), "the registrations", 120 + size / 100)
        began = time.time()
        servers.fill(records.events(numbers))
        within_s = 120 + len(numbers) * EVENTS_A_JOURNEY / 500
        until(lambda: taken(SHIPMENT_EVENTS.name), "the events", within_s, every_s=0.3)
        events_s = len(numbers) * EVENTS_A_JOURNEY / (time.time() - began)
    disk = _bytes_of(servers.state_dir / "tracker")
    last = base + load.SPAN + timedelta(hours=12, minutes=10 * n)
    bench.tell(f"{size:,} journeys: start without the store")
    servers.forget("tracker")
    without_store_s, _ = _start(servers, size, last + timedelta(minutes=1))
    bench.tell(f"{size:,} journeys: start with the store, then {due:,} deadlines")
    with_store_s, rss = _start(servers, size, last + timedelta(minutes=2))
    due_s, touched = _deadlines(servers, due_numbers, plan_due)
    return Mark(size, events_s, rss, disk, with_store_s, without_store_s, due, due_s, touched)


def _write_copies(servers: Servers, records: _Records, numbers: range) -> None:
    """Registrations, events, journeys and how far the tracker has read, as if it had taken these numbers in."""
    written: dict[int, bytes] = {}
    for seen in servers.read(JOURNEYS.name):
        name = seen.key.decode()
        if name.startswith(load.BUYER):
            written[int(name.removeprefix(load.consignment_of(0)[:-7]))] = seen.value
    quiet = {number: value for number, value in written.items() if b'"status":"open"' not in value}
    original = min(quiet)
    template = records.journey_template(original, quiet[original])
    for number, value in list(quiet.items())[:COMPARED]:
        if _unversioned(records.journey(template, number)) != _unversioned(value):
            raise NotEqual(f"a copy of journey {original} as number {number} is not what the tracker wrote of that one")
    servers.fill(records.commands(numbers, set(), records.delivered))
    servers.fill(records.events(numbers))
    servers.fill((JOURNEYS.name, Raw(_name(n), records.journey(template, n), [], 1, 0)) for n in numbers)
    servers.commit(GROUP, [SHIPMENT_EVENTS.name, CONSIGNMENT_COMMANDS.name])


def _unversioned(journey: bytes) -> bytes:
    """Without the version: how often it was worked out depends on which records came in one batch."""
    return re.sub(rb'"version":\d+', b"", journey)


def _start(servers: Servers, journeys: int, at: datetime) -> tuple[float, int]:
    """Start to the first transaction (its input, ticks, is there before): seconds; and the memory then."""
    before = servers.ends(JOURNEYS.name)
    servers.fill(control_records(at))
    began = time.monotonic()
    with servers.service("tracker", ready=False) as pid:
        until(lambda: servers.ends(JOURNEYS.name) != before, "a first transaction", 900, every_s=0.05)
        seconds = time.monotonic() - began
        until(lambda: servers.caught_up(GROUP, SHIPMENT_EVENTS.name), "the ticks", 60)
        time.sleep(SETTLED_S)
        rss = psutil.Process(pid).memory_info().rss
    # a clock and a feed for each sender stand in the same topic
    held = max((line["journeys"] for line in _log(servers) if line.get("event") == "tracker.restored"), default=0)
    if not journeys <= held <= journeys + 1 + len(load.SENDERS):
        raise NotEqual(f"{journeys:,} journeys were written; after a start the tracker holds {held:,} records")
    return seconds, rss


def _deadlines(servers: Servers, numbers: set[int], plan_due: datetime) -> tuple[float, int]:
    """T passes the second in which `numbers` are overdue: seconds until all is published, and the journeys written."""
    second = plan_due + timedelta(hours=2)
    with servers.service("tracker", ready=False), Meter({}):
        # what falls due in the days before, such as a graver word for those of a size before, is not counted
        servers.fill(control_records(second - timedelta(minutes=1)))
        until(lambda: servers.caught_up(GROUP, SHIPMENT_EVENTS.name), "the time before", 900)
        servers.quiet([JOURNEYS.name], for_s=SETTLED_S, within_s=300)
        mark = time.time()
        servers.fill(control_records(second + timedelta(minutes=1)))
        until(lambda: servers.caught_up(GROUP, SHIPMENT_EVENTS.name), "the deadlines", 300)
        servers.quiet([JOURNEYS.name, JOURNEY_CHANGES.name], for_s=SETTLED_S, within_s=300)
    told: list[tuple[float, str]] = []
    for seen in servers.read(JOURNEY_CHANGES.name, since=mark):
        change = json.loads(seen.value)
        if change["change"] == "exception_opened" and not change["consignment"].startswith("feed:"):
            told.append((seen.at, change["consignment"]))
    names = [name for _, name in told]
    if len(names) != len(set(names)) or set(names) != {load.consignment_of(number) for number in numbers}:
        raise NotEqual(f"{len(numbers):,} journeys were due; {len(names):,} exceptions of {len(set(names)):,} journeys opened")
    written = sum(1 for seen in servers.read(JOURNEYS.name, since=mark) if seen.key.startswith(load.BUYER.encode()))
    return max(at for at, _ in told) - mark, written


class _Records:
    """Records of the two topics as the readers write them: made once by the readers, then filled in number by number."""

    def __init__(self, base: datetime) -> None:
        self._base = base
        self.delivered = base + load.SPAN + LATER
        self._command = self._command_template()
        self._events = [[self._event_template(step, unit) for unit in range(UNITS)] for step in range(len(STEPS))]

    def commands(self, numbers: range, due: set[int], plan_due: datetime) -> Iterator[tuple[str, Raw]]:
        """Registrations; those of `due` are planned to be delivered at `plan_due`."""
        texts = {True: _stamp(plan_due), False: _stamp(self.delivered)}
        for number in numbers:
            value = self._command % (_words(number) | {b"id": _hash(b"c", number), b"delivered": texts[number in due]})
            yield CONSIGNMENT_COMMANDS.name, Raw(_name(number), value, [], 1)

    def events(self, numbers: range) -> Iterator[tuple[str, Raw]]:
        """All twelve of a journey, then those of the next."""
        for number in numbers:
            words = _words(number)
            for step, units in enumerate(self._events):
                for unit, template in enumerate(units):
                    value = template % (words | {b"id": _event_id(number, step, unit), b"box": words[b"box%d" % unit]})
                    yield SHIPMENT_EVENTS.name, Raw(b"MAEU", value, [], 1, number % SHIPMENT_EVENTS.partitions)

    def journey_template(self, number: int, journey: bytes) -> bytes:
        """A journey that the tracker wrote, with places for another's words."""
        words = _words(number) | _event_words(number)
        # the teacher is one of the events, named again: which of the two differs from number to number
        journey = journey.replace(b'"teacher":"%b"' % words[b"teacher"], b'"teacher":"TEACHER"')
        found = {text: b"%%(%b)b" % place for place, text in words.items() if place not in (b"teacher", b"voyage")}
        return _template(journey, found | {b"TEACHER": b"%(teacher)b", b"%bE" % words[b"voyage"]: b"%(voyage)bE"})

    def journey(self, template: bytes, number: int) -> bytes:
        return template % (_words(number) | _event_words(number))

    def _command_template(self) -> bytes:
        told = load.declaration(0, self._base, self.delivered) | {"silent_after_h": QUIET_H}
        meta = RawMessage(kind="registration", sender=load.BUYER, scopes=("register",), sha256="ab" * 32)
        command = read_commands(meta, json.dumps(told).encode(), self._base)[0].command
        assert command is not None
        found = {command.command_id.encode(): b"%(id)b", load.consignment_of(0).encode(): b"%(name)b"}
        found |= {load.container_of(0, unit).encode(): b"%%(box%d)b" % unit for unit in range(UNITS)}
        found |= {load.bill_of(0).encode(): b"%(bill)b", _stamp(self.delivered): b"%(delivered)b"}
        return _template(dump(command), found)

    def _event_template(self, step: int, unit: int) -> bytes:
        told = Telling(0, unit, step, self._base + timedelta(hours=STEPS[step][1]))
        context = Context("MAEU", told.at + timedelta(minutes=30), Registers.of(load.SENDERS, load.FACILITIES), "ab" * 32, 0, 0)
        event = next(read(json_items(load.body("lovla", told)[0], "application/json", LIMITS), context)).event
        assert event is not None
        found = {event.event_id.encode(): b"%(id)b", load.container_of(0, unit).encode(): b"%(box)b"}
        found |= {load.bill_of(0).encode(): b"%(bill)b", b"000E": b"%(voyage)bE"}
        return _template(dump(event), found)


def _template(value: bytes, found: dict[bytes, bytes]) -> bytes:
    """The record with its own words turned into places to fill in."""
    value = value.replace(b"%", b"%%")
    for word, place in found.items():
        assert word in value, word
        value = value.replace(word, place)
    return value


def _stamp(at: datetime) -> bytes:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ").encode()


def _name(number: int) -> bytes:
    return load.consignment_of(number).encode()


def _words(number: int) -> dict[bytes, bytes]:
    """What differs from journey to journey, but for the ids of its events."""
    return {
        b"name": _name(number),
        b"box0": load.container_of(number, 0).encode(),
        b"box1": load.container_of(number, 1).encode(),
        b"bill": b"MAEU%09d" % number,
        b"voyage": b"%04d" % (number // JOURNEYS_A_VOYAGE),
    }


def _event_words(number: int) -> dict[bytes, bytes]:
    """The ids of its events; the teacher of the voyage is the least of the first step's."""
    ids = {b"e%d%d" % (step, unit): _event_id(number, step, unit) for step in range(len(STEPS)) for unit in range(UNITS)}
    return ids | {b"teacher": min(ids[b"e0%d" % unit] for unit in range(UNITS))}


def _event_id(number: int, step: int, unit: int) -> bytes:
    return _hash(b"e%d%d" % (step, unit), number)


def _hash(what: bytes, number: int) -> bytes:
    return hashlib.blake2b(b"%b%d" % (what, number), digest_size=16).hexdigest().encode()


def _bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _log(servers: Servers) -> list[dict[str, Any]]:
    lines = (servers.state_dir / "log" / "tracker.log").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[-50:] if line.startswith("{")]
