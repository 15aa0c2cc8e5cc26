"""From what can be seen of a stack to the runbooks that apply: `lovla status` and `lovla doctor` name them.

`conditions` is pure: what was seen goes in, what is wrong comes out. `look` does the seeing; what cannot be seen is left out.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from deploy.local import environment
from deploy.local.lag import Lag
from deploy.local.part import page
from deploy.local.process import tail
from deploy.local.stack import LEAST_FREE_BYTES, PartStatus, Stack
from services.runtime.runbooks import Runbook

LAGGING = 10_000
"""Records behind: ten seconds of a busy port; less comes and goes."""

TIME_AGE_S = 60.0
"""Ticks come every 5 s; over a minute without is an outage by the design's own measure."""

LETTERS_LEAST, LETTERS_SHARE = 100, 0.1
"""A flood: so many dead letters, and so large a share of what was read since the readers started."""

_DOWN: Mapping[str, Runbook] = {
    "kafka": "kafka-down",
    "clickhouse": "clickhouse-down",
    "readers": "readers-down",
    "tracker": "tracker-down",
    "sink": "sink-down",
    "api": "api-down",
    "alerts-api": "alerts-api-down",
    "alerts-worker": "alerts-worker-down",
    "sender": "alerts-sender-down",
    "mailbox": "mailbox-down",
    "console": "console-down",
}
_MEASURED = ("readers", "tracker", "sink", "alerts-worker", "sender")
"""The parts whose figures are looked at."""

_LAST_WORDS: Sequence[tuple[str, str, Runbook, str]] = (
    ("readers", "faults of ours", "readers-fuse", "the readers stopped themselves: faults of ours at most senders"),
    (
        "tracker",
        "consignments could not be computed",
        "tracker-faults",
        "the tracker stopped itself: faults of ours at too many consignments",
    ),
    ("tracker", "Corruption", "event-store-corrupt", "the tracker's local event store cannot be opened"),
    ("sink", "of the planned block", "sink-torn-block", "the sink stopped itself: a planned block is there in part"),
    ("sink", "is no plan of this version", "schema-mismatch", "the sink stopped itself: another version of it was here"),
    ("sink", "sink.not_set_up", "schema-mismatch", "the tables are not those of this version"),
    ("kafka", "No space left", "disk-full", "Kafka found no space left"),
    ("clickhouse", "No space left", "disk-full", "ClickHouse found no space left"),
)
"""(part, what stands at the end of its log, runbook, in words), for parts that do not serve."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something is wrong, and where it is written what to do."""

    runbook: Runbook
    what: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What was looked at. `metrics`: of each part the sum of each metric over its labels; `logs`: ends of logs of parts that do
    not serve; `lost`: data without the settings that belong to it."""

    parts: Sequence[PartStatus]
    lags: Sequence[Lag] = ()
    free_bytes: int | None = None
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    logs: Mapping[str, str] = field(default_factory=dict)
    lost: bool = False


def conditions(seen: Seen) -> list[Condition]:
    """What is wrong, the cause before what follows from it."""
    found = []
    if seen.lost:
        found.append(Condition("state-folder-lost", "there are data, but lovla.env, which opens them, is gone"))
    if seen.free_bytes is not None and seen.free_bytes < LEAST_FREE_BYTES:
        found.append(Condition("disk-full", f"{seen.free_bytes // 1024**2} MB are free"))
    for part in seen.parts:
        if part.state in ("died", "not ready"):
            found += _of_part(part, seen.logs.get(part.name, ""))
    found += _of_metrics(seen.metrics)
    for lag in seen.lags:
        if lag.behind >= LAGGING:
            found.append(Condition("consumer-lag", f"{lag.group} is {lag.behind:,} records behind on {lag.topic}"))
    return found


def _of_part(part: PartStatus, log: str) -> list[Condition]:
    words = [Condition(runbook, said) for name, sign, runbook, said in _LAST_WORDS if name == part.name and sign in log]
    if words:
        return words[:1]
    state = "died" if part.state == "died" else f"does not serve: {part.reason}"
    return [Condition(_DOWN[part.name], f"{part.name} {state}")] if part.name in _DOWN else []


def _of_metrics(metrics: Mapping[str, Mapping[str, float]]) -> list[Condition]:
    readers, tracker, sink = (metrics.get(name, {}) for name in ("readers", "tracker", "sink"))
    found = []
    if parked := readers.get("lovla_parked", 0):
        found.append(Condition("sender-parked", f"{parked:.0f} senders wait aside after a fault of ours"))
    if parked := tracker.get("lovla_parked", 0):
        found.append(Condition("tracker-faults", f"{parked:.0f} consignments wait aside after a fault of ours"))
    if (age := tracker.get("lovla_tracker_time_age_seconds", 0)) > TIME_AGE_S:
        found.append(Condition("time-stands-still", f"the pipeline's time is {age:.0f} s old: no deadline fires"))
    letters, events = readers.get("lovla_dead_letters_total", 0), readers.get("lovla_readers_events_total", 0)
    if letters >= LETTERS_LEAST and letters > LETTERS_SHARE * (letters + events):
        found.append(Condition("dead-letters", f"{letters:.0f} dead letters beside {events:.0f} events"))
    if away := metrics.get("sender", {}).get("lovla_alerts_provider_away", 0):
        found.append(Condition("alerts-provider-away", f"{away:.0f} providers of email or SMS are away; messages wait"))
    audits: Sequence[tuple[str, Runbook, str]] = (
        ("lovla_audit_unaccounted", "audit-unaccounted", "are unaccounted"),
        ("lovla_audit_duplicate", "audit-duplicate", "are there twice"),
        ("lovla_audit_gap", "audit-gap", "are missing"),
    )
    for name, runbook, what in audits:
        if count := sink.get(name, 0):
            found.append(Condition(runbook, f"{count:.0f} {what}; `lovla audit` names them"))
    return found


def began_again(seen: Seen) -> dict[str, int]:
    """How often each part began again by itself since it was started (services/runtime/lives.py), of those that did."""
    counts = {name: int(sums.get("lovla_restarts_total", 0)) for name, sums in seen.metrics.items()}
    return {name: count for name, count in counts.items() if count}


def look(stack: Stack, parts: Sequence[PartStatus], lags: Sequence[Lag] = ()) -> Seen:
    """See what can be seen now."""
    serving = [part for part in parts if part.state in ("running", "not ready") and part.name in _MEASURED]
    with ThreadPoolExecutor(max_workers=max(1, len(serving))) as pool:
        pages = dict(zip((part.name for part in serving), pool.map(_metrics, serving), strict=True))
    logs = {part.name: tail(Path(part.log), 40) for part in parts if part.state in ("died", "not ready")}
    folder = next(folder for folder in (stack.state_dir, *stack.state_dir.parents) if folder.exists())
    data = any((stack.state_dir / name / "data").exists() for name in ("kafka", "clickhouse"))
    lost = data and not environment.read(stack.state_dir)
    return Seen(parts, lags, shutil.disk_usage(folder).free, pages, logs, lost)


def _metrics(part: PartStatus) -> dict[str, float]:
    """The sums of a part's metrics; {} if it does not answer."""
    from prometheus_client.parser import text_string_to_metric_families

    sums: dict[str, float] = {}
    with contextlib.suppress(OSError, HTTPException, ValueError):
        _, text = page(part.ports[part.name], "/metrics")
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return sums
