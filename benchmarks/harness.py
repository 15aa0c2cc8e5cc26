"""What all measurements share: figures with their goals, what processes cost meanwhile, the machine, JSON and the table.

A measurement is a function of a `Bench` that gives a `Result`. It checks that its outcome is right before it gives a speed.
"""

from __future__ import annotations

import os
import platform
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final, TypeVar

import psutil

ROOT: Final = Path(__file__).resolve().parent.parent
LATEST: Final = ROOT / "benchmarks" / "results" / "latest.json"
PAGE: Final = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- figures: begin (made by `make bench`) -->", "<!-- figures: end -->"
_SAMPLE_S: Final = 0.05
_SAMPLES_A_LOOK: Final = 20
"""Who has which children is read of every process of the machine: at each sample that took a quarter of a core for itself."""
_PACKAGES: Final = (
    "confluent-kafka",
    "msgspec",
    "pydantic",
    "clickhouse-driver",
    "chdb-core",
    "rocksdict",
    "fastapi",
    "uvicorn",
)

Unit = str
Done = TypeVar("Done")


class NotEqual(Exception):
    """The outcome is not what it must be: its speed means nothing. The text says what differs."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity over several runs. `at_least`, `at_most`: its goal, where there is one."""

    what: str
    unit: Unit
    runs: tuple[float, ...]
    at_least: float | None = None
    at_most: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    @property
    def met(self) -> bool | None:
        """Whether the median meets the goal; None without one."""
        if self.at_least is not None:
            return self.median >= self.at_least
        if self.at_most is not None:
            return self.median <= self.at_most
        return None

    def as_json(self) -> dict[str, Any]:
        goal = {name: value for name in ("at_least", "at_most") if (value := getattr(self, name)) is not None}
        return {
            "what": self.what,
            "unit": self.unit,
            "median": rounded(self.median),
            "low": rounded(min(self.runs)),
            "high": rounded(max(self.runs)),
            "runs": len(self.runs),
            **goal,
            **({} if self.met is None else {"met": self.met}),
        }


@dataclass
class Result:
    """What a measurement found. `checked`: what was held equal before a speed counted. `notes`: sentences for the page."""

    checked: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(
        self,
        what: str,
        unit: Unit,
        runs: float | Sequence[float],
        *,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> None:
        """Add a figure; nothing is added for no runs."""
        several = tuple(runs) if isinstance(runs, Sequence) else (runs,)
        if several:
            self.figures.append(Figure(what, unit, several, at_least, at_most))

    def as_json(self) -> dict[str, Any]:
        return {"checked": self.checked, "figures": [one.as_json() for one in self.figures], "notes": self.notes}


def rounded(value: float) -> float:
    """Three to four digits that mean something."""
    if value == 0:
        return 0.0
    if abs(value) >= 1000:
        return float(round(value))
    return round(value, 1 if abs(value) >= 100 else 2 if abs(value) >= 1 else 4)


def interleaved(runs: int, variants: Mapping[str, Callable[[], Done]], tell: Callable[[str], None]) -> dict[str, list[Done]]:
    """Run A B C A B C ..., so that a machine that drifts drifts for all alike."""
    found: dict[str, list[Done]] = {name: [] for name in variants}
    for n in range(runs):
        for name, variant in variants.items():
            tell(f"{name}, run {n + 1} of {runs}")
            found[name].append(variant())
    return found


class Meter:
    """CPU seconds and resident memory of processes while something runs, sampled; a context.

    CPU includes children. What ended meanwhile keeps its last reading.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._children: dict[str, list[psutil.Process]] = {}
        self._samples: list[tuple[float, dict[str, float], dict[str, int]]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)

    def __enter__(self) -> Meter:
        self._take()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._take()

    def cpu_s(self, name: str, since: float, until: float) -> float:
        """CPU seconds of a process between two moments (seconds since the epoch), interpolated between samples."""
        return self._cpu_at(name, until) - self._cpu_at(name, since)

    def peak_rss(self, name: str) -> int:
        """Bytes."""
        return max((rss[name] for _, _, rss in self._samples if name in rss), default=0)

    @property
    def names(self) -> list[str]:
        return list(self._processes)

    def _cpu_at(self, name: str, at: float) -> float:
        before: tuple[float, float] | None = None
        for moment, cpu, _ in self._samples:
            if name not in cpu:
                continue
            if moment >= at:
                if before is None or moment == before[0]:
                    return cpu[name]
                share = (at - before[0]) / (moment - before[0])
                return before[1] + share * (cpu[name] - before[1])
            before = (moment, cpu[name])
        return before[1] if before else 0.0

    def _run(self) -> None:
        while not self._stop.wait(_SAMPLE_S):
            self._take()

    def _take(self) -> None:
        cpu: dict[str, float] = {}
        rss: dict[str, int] = {}
        for name, process in self._processes.items():
            try:
                if len(self._samples) % _SAMPLES_A_LOOK == 0:
                    self._children[name] = process.children(recursive=True)
                times = process.cpu_times()
                children = [spent for child in self._children[name] if (spent := _spent(child)) is not None]
                cpu[name] = sum(one.user + one.system for one in (times, *children))
                cpu[name] += times.children_user + times.children_system
                rss[name] = process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        self._samples.append((time.time(), cpu, rss))


def _spent(child: psutil.Process) -> Any:
    """Its CPU times; None once it has ended: then its parent's hold them."""
    try:
        return child.cpu_times()
    except psutil.NoSuchProcess:
        return None


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, max(0, int(len(ranked) * share + 0.999999) - 1))]


def until(condition: Callable[[], bool], what: str, within_s: float, every_s: float = 0.1) -> None:
    """Wait for a condition. Raises TimeoutError that names it."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within_s:.0f} s: {what}")
        time.sleep(every_s)


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    processor = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return {
        "processor": processor,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Of Python, the servers and what the hot path stands on."""
    return {
        "python": platform.python_version(),
        "kafka": "4.3.1",
        **{name: metadata.version(name) for name in _PACKAGES},
    }
