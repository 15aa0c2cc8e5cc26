"""Our loop and its peers on one fold, one topic, one broker, in turn; only who comes to the same final state has a speed."""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.harness import ROOT, Meter, NotEqual, Result, until
from benchmarks.load import Raw
from benchmarks.peers import fold
from benchmarks.peers.environments import HERE, CannotInstall, kafka_streams, python_of
from benchmarks.servers import SHARED_LOG, Servers
from benchmarks.timeline import rate
from deploy.local import process

PARTITIONS = 4
EVENTS_EACH = 12
CPU = "CPU s per million events"
WITHIN_S = 240.0
GOALS = {"kafka_streams": 1.5, "kafka_streams_2": 1.5, "quix": 3.0, "faust": 15.0}
TITLES = {
    "ours": "LoVLA's loop, exactly once",
    "bare": "bare consume and produce on our loop, exactly once (the ceiling)",
    "kafka_streams": "Kafka Streams 4.3.1, exactly_once_v2, 1 thread",
    "kafka_streams_2": "Kafka Streams 4.3.1, exactly_once_v2, 2 threads",
    "quix": "Quix Streams 3.28.0, exactly once",
    "bytewax": "Bytewax 0.21.1, at least once",
    "faust": "Faust 0.15.3 with a table, at least once",
}
SLOW = ("faust",)
"""These get the smaller topic."""


@dataclass(frozen=True, slots=True)
class Work:
    """A full topic, and what its fold must come to."""

    topic: str
    events: int
    outputs: int
    hash: str


@dataclass(frozen=True, slots=True)
class Run:
    events_s: float
    cpu: float
    kafka_cpu: float
    rss_mb: float


Command = Callable[[Work, str, Path], tuple[list[str], dict[str, str]]]
"""(work, a name for this run, a folder for state) -> (command, environment)."""


def measure(bench: Bench) -> Result:
    """In turn, `runs` times; the first fifth of the outputs is not counted: a virtual machine warms up there."""
    result = Result(
        "the last output of every consignment equals that of a plain computation (a hash over all), in every run and peer"
    )
    with Servers(bench.folder / "peers") as servers:
        commands, absent = _commands(servers, bench.cache)
        for name, why in absent.items():
            result.notes.append(f"{TITLES[name]}: could not be installed here ({why}): no figure.")
        sizes = {"large": bench.sizes.peer_events, "small": bench.sizes.slow_peer_events}
        work = {size: _prepare(servers, size, count) for size, count in sizes.items()}
        runs: dict[str, list[Run]] = {name: [] for name in commands}
        for n in range(bench.sizes.runs):
            for name in list(runs):
                bench.tell(f"{name}, run {n + 1} of {bench.sizes.runs}")
                try:
                    runs[name].append(_run(servers, name, commands[name], work["small" if name in SLOW else "large"]))
                except (NotEqual, TimeoutError) as error:
                    if name in ("ours", "bare"):
                        raise
                    # a peer that fails is told, with what it did; it has no speed
                    result.notes.append(f"{TITLES[name]}: {error}")
                    del runs[name]
    for name, found in runs.items():
        result.add(TITLES[name], "events/s", [run.events_s for run in found])
    for name, found in runs.items():
        if name in ("ours", "bare") or not found:
            continue
        ratios = [ours.events_s / peer.events_s for ours, peer in zip(runs["ours"], found, strict=False)]
        result.add(f"ours over {TITLES[name]}, run by run", "times", ratios, at_least=GOALS.get(name))
    for name, found in runs.items():
        result.add(f"{name}: itself", CPU, [run.cpu for run in found])
        result.add(f"{name}: the broker meanwhile", CPU, [run.kafka_cpu for run in found])
        result.add(f"{name}: peak memory", "MB", [run.rss_mb for run in found])
    result.notes += [
        f"{sizes['large']:,} events of {fold.EVENT_BYTES} bytes ({sizes['small']:,} for Faust), {PARTITIONS} partitions, one "
        "output an event; state in memory and its changelog in Kafka (Quix: RocksDB and changelog; Bytewax: SQLite snapshots).",
        "Bytewax and Faust promise less (at least once): their figures are of an easier task.",
    ]
    return result


def _prepare(servers: Servers, size: str, count: int) -> Work:
    records = list(fold.events(count, max(1, count // EVENTS_EACH)))
    topic = f"peers.in.{size}"
    servers.create({topic: PARTITIONS})
    servers.fill((topic, Raw(key, value, [], 1)) for key, value in records)
    outputs, wanted = fold.expected(records)
    return Work(topic, count, outputs, wanted)


def _commands(servers: Servers, cache: Path) -> tuple[dict[str, Command], dict[str, str]]:
    bootstrap = servers.bootstrap
    ours = {"LOVLA_STATE_DIR": str(servers.state_dir), "PYTHONPATH": str(ROOT)}
    beside = {"PYTHONPATH": str(HERE)}

    def our(kind: str, work: Work, name: str, _: Path) -> tuple[list[str], dict[str, str]]:
        words = [name, work.topic, f"{name}.out", f"{name}.changelog", name, kind]
        return [sys.executable, "-m", "benchmarks.peers.ours", *words], ours

    def python(peer: str, executable: Path, work: Work, name: str, folder: Path) -> tuple[list[str], dict[str, str]]:
        words = {
            "quix": [bootstrap, work.topic, f"{name}.out", name, str(folder)],
            "bytewax": [bootstrap, work.topic, f"{name}.out", str(folder)],
            "faust": [bootstrap, work.topic, f"{name}.out", name, str(folder)],
        }[peer]
        return [str(executable), str(HERE / peer / "peer.py"), *words], beside

    def streams(machine: str, path: str, threads: int, work: Work, name: str, folder: Path) -> tuple[list[str], dict[str, str]]:
        words = [bootstrap, work.topic, f"{name}.out", name, str(folder), str(threads)]
        return [machine, "-Xmx2g", "-cp", path, "FoldPeer", *words], {}

    found: dict[str, Command] = {"ours": partial(our, "fold"), "bare": partial(our, "bare")}
    absent: dict[str, str] = {}
    try:
        machine, path = kafka_streams(cache)
        found["kafka_streams"] = partial(streams, machine, path, 1)
        found["kafka_streams_2"] = partial(streams, machine, path, 2)
    except CannotInstall as error:
        absent["kafka_streams"] = str(error)
    for peer in ("quix", "bytewax", "faust"):
        try:
            found[peer] = partial(python, peer, python_of(peer, cache))
        except CannotInstall as error:
            absent[peer] = str(error)
    return found, absent


def _run(servers: Servers, peer: str, command: Command, work: Work) -> Run:
    name = f"peer-{peer}-{uuid.uuid4().hex[:6]}"
    out = f"{name}.out"
    servers.create({out: PARTITIONS}, SHARED_LOG)
    servers.create({f"{name}.changelog": PARTITIONS}, {"cleanup.policy": "compact"})
    folder = servers.folder / name
    folder.mkdir(parents=True)
    words, more = command(work, name, folder)
    log = folder / "log"
    running = process.start(words, cwd=folder, log=log, env={**_environment(), **more})
    wanted = work.events if peer == "bare" else work.outputs
    try:
        with Meter({peer: running.pid, "kafka": servers.pids["kafka"]}) as meter:

            def enough() -> bool:
                if not running.alive():
                    raise NotEqual(f"it ended by itself; its log ends with: {process.tail(log, 5)[-400:]}")
                return sum(servers.ends(out).values()) >= wanted

            until(enough, f"{wanted:,} outputs", WITHIN_S, every_s=0.3)
            servers.quiet([out], for_s=2.5, within_s=60)
    finally:
        process.stop(running, grace_s=20)
    times: list[float] = []
    last: dict[bytes, bytes] = {}
    for seen in servers.read(out):
        times.append(seen.at)
        last[seen.key] = seen.value
    servers.delete([topic for topic in servers.topics() if topic.startswith(name)])
    shutil.rmtree(folder, ignore_errors=True)
    if len(times) < wanted or (peer != "bare" and fold.final_hash(last) != work.hash):
        raise NotEqual(f"{len(times):,} outputs where {wanted:,} are right, or another final state: no speed")
    span = rate(times)
    per_output = work.events / wanted
    return Run(
        span.per_s * per_output,
        span.cpu_s_per_million(meter, peer, span.records * per_output),
        span.cpu_s_per_million(meter, "kafka", span.records * per_output),
        meter.peak_rss(peer) / 1e6,
    )


def _environment() -> Mapping[str, str]:
    """What a peer may know of ours."""
    return {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")}


__all__: Sequence[str] = ("measure",)
