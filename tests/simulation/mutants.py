"""Defects planted on purpose: the simulation must find each of them. `make mutants` plants one after the other.

A mutant is an edit of the product's source, made while a child process imports it; nothing on disk changes. If the text that it
edits is gone, that is said, and is a failure too: a mutant that plants nothing proves nothing.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

ROOT = Path(__file__).parents[2]
SEEDS = 2_000


@dataclass(frozen=True)
class Mutant:
    """`edits`: (text, what stands there instead), each found exactly once in the module."""

    name: str
    module: str
    edits: tuple[tuple[str, str], ...]


def _one(name: str, module: str, old: str, new: str) -> Mutant:
    return Mutant(name, module, ((old, new),))


CORE, APP, LOGS = "services.tracker.core", "services.tracker.app", "services.sink.logs"
MATCHING, WORKER = "services.alerts.matching", "tests.simulation.alerts"
LINKING, STORE = "services.tracker.linking", "services.tracker.event_store"

MUTANTS = (
    _one(
        "no overlay: what was decided stays when the transaction is aborted",
        CORE,
        '        """Nothing of it happened."""\n',
        "        return self.committed()\n",
    ),
    _one(
        "event store written before the commit",
        APP,
        "        self._events = self._tracker.batch_events()\n",
        "        self._tracker.batch_events().write_to(self._store, {})\n",
    ),
    _one(
        "restore up to the last stable offset",
        "services.runtime.kafka",
        'clients.consumer(config | {"isolation.level": "read_uncommitted"})',
        "clients.consumer(config)",
    ),
    Mutant(
        "insert before plan",
        LOGS,
        (
            (
                "        self._commit(consumer, [_position(held, plan.first, plan.encode()) for held, _, plan in blocks])\n",
                "        for held, rows, plan in blocks:\n"
                "            self._insert(consumer, held, rows, plan, self._clock.monotonic(), again=False)\n"
                "        self._commit(consumer, [_position(held, plan.first, plan.encode()) for held, _, plan in blocks])\n",
            ),
            ("            self._insert(consumer, held, rows, plan, planned_at, again=False)\n", ""),
        ),
    ),
    _one("blind skip in the sink's recovery", LOGS, "verdict = judge(rows, *found)", 'verdict = "there"'),
    _one(
        "commit before insert",
        LOGS,
        "[_position(held, plan.first, plan.encode()) for held, _, plan in blocks]",
        '[_position(held, plan.last + 1, "") for held, _, plan in blocks]',
    ),
    _one(
        "T from our own clock",
        "services.tracker.clock",
        "return min(self.ticks[key] for key in self._pairs)",
        'return sys.modules["tests.simulation.world"].World.latest.now',
    ),
    _one(
        "deadlines firing inside our outage",
        "services.tracker.exceptions",
        "                deadline = outage.end + GRACE\n",
        "                pass\n",
    ),
    _one(
        "an ended exception withdrawn because its evidence was superseded",
        "services.tracker.exceptions",
        "    in_effect: dict[str, Told] = {}\n    found: list[_Expectation] = []\n",
        "    in_effect: dict[str, Told] = {}\n    found: list[_Expectation] = []\n"
        '    words = sorted(words, key=attrgetter("asserted_at", "event_id"))[-1:]\n',
    ),
    _one(
        "greatest received_at",
        STORE,
        "return (-event.received_at.timestamp(),",
        "return (event.received_at.timestamp(),",
    ),
    _one(
        "event_id over derived values",
        "services.ingest.readers.lovla",
        "identities.of(said,",
        "identities.of([said, draft.occurred_at],",
    ),
    Mutant(
        "the newest estimate retracted and the older one forgotten",
        LINKING,
        (
            ("                for e in self.world.events(ref)\n", "                for e in _newest(self.world.events(ref))\n"),
            (
                "class Linking:\n",
                "def _newest(events):\n"
                "    kept = {}\n"
                "    for e in sorted(events, key=lambda e: (e.revision.at or e.received_at, e.event_id)):\n"
                '        kept[(e.sender, e.milestone) if e.classifier == "estimated" else e.event_id] = e\n'
                "    return list(kept.values())\n\n\n"
                "class Linking:\n",
            ),
        ),
    ),
    _one(
        "window opened by a counting event", LINKING, "if is_empty(event) and any(", 'if event.classifier == "actual" and any('
    ),
    _one(
        "learned from a claim",
        LINKING,
        "self._learned = self.learn(event for event, _ in matched if self.stands(event))",
        "self._learned = self.learn(event for event, _ in matched)",
    ),
    _one(
        "standing granted after many claims",
        LINKING,
        "        return event.sender in self._next_carriers or has_direct_standing(",
        "        if sum(other.sender == event.sender for ref in self.own.references for other in self.events(ref)) > 3:\n"
        "            return True\n"
        "        return event.sender in self._next_carriers or has_direct_standing(",
    ),
    _one(
        "two consignments on one booking, and each event counts for both",
        LINKING,
        "        return any(unit in other.references for other in self.neighbours(document) for unit in units)\n",
        "        return False\n",
    ),
    _one(
        "a container reused within 14 days: its last return does not part the journeys",
        LINKING,
        "return max(anchor - back, before[-1]) if before else anchor - back",
        "return anchor - back",
    ),
    # beyond those that the issue names
    _one(
        "deadlines that an aborted batch took are not put back",
        CORE,
        "        for entry in batch.popped if batch else ():\n",
        "        for entry in ():\n",
    ),
    _one(
        "match: offsets committed before the candidates are written",
        WORKER,
        "                self._write(self._take(message))\n"
        "                if message.error() is None:\n"
        "                    uncommitted[message.partition()] = message.offset() + 1\n",
        "                step = self._take(message)\n"
        "                if message.error() is None:\n"
        "                    at = message.topic(), message.partition(), message.offset() + 1\n"
        "                    consumer.commit([TopicPartition(*at)], asynchronous=False)\n"
        "                self._write(step)\n",
    ),
    _one("match: its table is not restored", WORKER, "self.ends, restored(self._broker))", "self.ends, {})"),
    _one(
        "match: age judged by the change's own time",
        MATCHING,
        "now - told.appended_at <= NEWS_FOR",
        "now - (change.at or now) <= NEWS_FOR",
    ),
    _one("match: the cause is not looked at", MATCHING, 'news = change.cause == "live" and now', "news = now"),
    _one(
        "match: what is old is told before all is read",
        MATCHING,
        "        return not self._unread\n",
        "        return True\n",
    ),
    _one(
        "match: a word on an ended exception is taken for one on an open one",
        MATCHING,
        ' and change.exception.status == "open"  #',
        "  #",
    ),
    _one(
        "offsets are committed one too low",
        "services.runtime.loop",
        "as_offsets(reached), self._source.metadata",
        "as_offsets({place: offset - 1 for place, offset in reached.items()}), self._source.metadata",
    ),
    _one(
        "an empty unit is taken in without settling the windows again",
        LINKING,
        "            if is_empty(event) or (event.transport and",
        "            if (event.transport and",
    ),
    _one(
        "the event store is caught up to the end of the topic",
        APP,
        "        read_range(settings, topic, partition, known.get(partition, 0), end, take, clients)\n",
        "        read_range(settings, topic, partition, known.get(partition, 0), end + 3, take, clients)\n",
    ),
    _one(
        "the empty return that parts two journeys belongs to neither",
        LINKING,
        "return at != self.opens and (self.cut is None or at <= self.cut)",
        "return at != self.opens and (self.cut is None or at < self.cut)",
    ),
    _one(
        "a feed silent twice is told twice",
        CORE,
        '            if old is not None and old.status == "open" and old.start != state.start:\n',
        "            if old is not None and old.start != state.start:\n                old = None\n            if False:\n",
    ),
)


class CannotPlant(Exception):
    """The text that a mutant edits is not there."""


class _Planting(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from its edited source."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self._mutant.module:
            return None
        return importlib.machinery.ModuleSpec(name, self, origin=str(_file(name)))

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(edited(self._mutant), str(_file(self._mutant.module)), "exec"), module.__dict__)


def _file(module: str) -> Path:
    return ROOT / (module.replace(".", "/") + ".py")


def edited(mutant: Mutant) -> str:
    """The module's source with the defect in it. Raises CannotPlant."""
    source = _file(mutant.module).read_text()
    for old, new in mutant.edits:
        if source.count(old) != 1:
            raise CannotPlant(f"{mutant.module} has {source.count(old)} times {old.strip()!r}")
        source = source.replace(old, new)
    return source.replace("from __future__ import annotations\n", "from __future__ import annotations\n\nimport sys\n", 1)


def child(number: int, seeds: int) -> None:
    """Plants, runs seed after seed until one is found out, prints how it went as JSON."""
    sys.meta_path.insert(0, _Planting(MUTANTS[number]))
    from tests.simulation.run import simulate
    from tests.simulation.world import Violated

    began = time.monotonic()
    said: dict[str, object] = {"caught": None}
    for seed in range(seeds):
        try:
            simulate(seed)
        except Violated as violated:
            said = {"caught": seed, "oracle": violated.oracle, "text": str(violated)[:300]}
            break
    print(json.dumps(said | {"seconds": round(time.monotonic() - began, 1)}))


def run(number: int, seeds: int) -> dict[str, object]:
    """One mutant in a process of its own."""
    try:
        edited(MUTANTS[number])
    except CannotPlant as error:
        return {"caught": None, "error": str(error), "seconds": 0.0}
    command = [sys.executable, "-m", "tests.simulation.mutants", "--child", str(number), "--seeds", str(seeds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return {"caught": None, "error": done.stderr.strip().splitlines()[-1][:200], "seconds": 0.0}
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    """0 if each mutant is caught."""
    parser = argparse.ArgumentParser(description="Plant defects; the simulation must find each.")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", type=int)
    parser.add_argument("--only", help="part of a mutant's name")
    asked = parser.parse_args()
    if asked.child is not None:
        child(asked.child, asked.seeds)
        return 0
    numbers = [n for n, mutant in enumerate(MUTANTS) if asked.only is None or asked.only in mutant.name]
    found: dict[int, dict[str, object]] = {}
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("mutants", total=len(numbers))
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for number, outcome in zip(numbers, pool.map(lambda n: run(n, asked.seeds), numbers), strict=True):
                found[number] = outcome
                progress.advance(task)
    if asked.json:
        print(json.dumps([{"mutant": MUTANTS[number].name, **outcome} for number, outcome in found.items()], indent=2))
    else:
        table = Table("mutant", "caught at seed", "by", "seconds")
        for number, outcome in found.items():
            caught = outcome["caught"]
            by = str(outcome.get("oracle") or outcome.get("error") or f"SURVIVED {asked.seeds} seeds")
            table.add_row(MUTANTS[number].name, "-" if caught is None else str(caught), by, str(outcome["seconds"]))
        Console(width=None if sys.stdout.isatty() else 140).print(table)
    survivors = [MUTANTS[number].name for number, outcome in found.items() if outcome["caught"] is None]
    if survivors:
        print(f"mutants: {len(survivors)} of {len(found)} were not caught: {'; '.join(survivors)}", file=sys.stderr)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
