"""One campaign: the stack, the load, the faults one after the other, and what must hold afterwards."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from deploy.local import process
from tests.faults.checks import Verdict, check
from tests.faults.field import Begin, Field, Violation, until
from tests.faults.load import BUYER, CARRIERS, Load
from tests.faults.scenarios import Lag, Pace, Run, Scenario, Skipped
from tests.stack import ROOT

SETTLE_S = 180.0
DRAIN_S = 180.0

Note = Callable[[str, str], None]
"""(scenario or step, what goes on)"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scenario did and how that went. `skipped`: why it could not be had."""

    name: str
    does: str
    must: str
    seconds: float
    seen: str
    good: bool
    skipped: bool = False


@dataclass(slots=True)
class Report:
    """A whole campaign."""

    seed: int
    events: int = 0
    seconds: float = 0.0
    unanswered: int = 0
    outcomes: list[Outcome] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    audit: str = ""
    ended: list[str] = field(default_factory=list)
    """Processes that ended by themselves, and were started again."""
    lag_s: dict[str, float] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return bool(self.verdicts) and all(o.good for o in self.outcomes) and all(v.good for v in self.verdicts)

    def as_json(self) -> str:
        return json.dumps(asdict(self) | {"good": self.good}, indent=2, default=str)


def campaign(
    folder: Path,
    scenarios: Sequence[Scenario],
    pace: Pace,
    seed: int,
    note: Note,
    begin: Begin = process.start,
    only: Collection[str] | None = None,
) -> Report:
    """Run it all; `begin`, `only`: as of Field. Raises StackError if the stack does not even start."""
    report = Report(seed)
    began = time.monotonic()
    small_disks = any(scenario.name == "disks_full" for scenario in scenarios)
    note("stack", "starting")
    with Field(folder, small_disks=small_disks, begin=begin, tick_s=pace.tick_s, only=only) as stack:
        note("stack", "registers and keys")
        stack.must("facilities", "import", str(ROOT / "demo/data/facilities.csv"))
        stack.must("carriers", "import", str(ROOT / "demo/data/senders.csv"), "--keys", "--scope", "push,register")
        keys = {code: (folder / "keys" / code).read_text().strip() for code in (BUYER, *CARRIERS)}
        load = Load(stack.doors, keys, seed, datetime.now(UTC))
        run = Run(stack, load, random.Random(seed), pace, lambda text: note(run.doing, text))
        load.rate = pace.rate
        load.start()
        try:
            _act(run, scenarios, report, note)
            _fill_up(run, note)
        finally:
            finished = load.stop(DRAIN_S)
        report.events, report.unanswered, report.lag_s = load.accepted, load.ledger.unanswered, run.lag_s
        report.verdicts.append(Verdict("the load could push all that it drew", finished, f"{load.accepted:,} events"))
        note("settling", "waiting until nothing lags")
        load.rate = 0.0
        lag = Lag(run)
        try:
            lag.await_gone(SETTLE_S)
            # a row on its way is none that is missing; a second tick has passed by all that was accepted
            time.sleep(2 * pace.tick_s + 2)
        except Violation as violation:
            report.verdicts.append(Verdict("nothing lags in the end", False, str(violation)))
        finally:
            lag.close()
        stack.end("api")  # no tick any more: what is read holds still
        until(lambda: _still(stack), "nothing moves any more", 60)
        report.verdicts += check(stack.settings, load.ledger, lambda what: note("checking", what))
        note("checking", "lovla audit")
        stack.start("api")
        stack.await_ready("api")
        audit = stack.lovla("audit", "--json")
        report.audit = (audit.stdout[-4000:] + audit.stderr[-2000:]).strip()
        words = audit.stderr.strip().splitlines()[-1:] or [f"exit code {audit.returncode}"]
        report.verdicts.append(Verdict("lovla audit is clean", audit.returncode == 0, words[0]))
        report.ended = [f"{one.name}: {one.words}" for one in stack.ended]
    report.seconds = time.monotonic() - began
    return report


def _act(run: Run, scenarios: Sequence[Scenario], report: Report, note: Note) -> None:
    for scenario in scenarios:
        run.doing = scenario.name
        note(scenario.name, scenario.does)
        began = time.monotonic()
        good, skipped = True, False
        try:
            seen = scenario.act(run)
        except Violation as violation:
            good, seen = False, str(violation)
        except Skipped as reason:
            skipped, seen = True, str(reason)
        if not good:
            run.stack.mend()
        took_s = time.monotonic() - began
        report.outcomes.append(Outcome(scenario.name, scenario.does, scenario.must, took_s, seen, good, skipped))
        note(scenario.name, f"{'skipped' if skipped else 'ok' if good else 'WRONG'} after {took_s:.0f} s: {seen}")


def _fill_up(run: Run, note: Note) -> None:
    """The rest of the events, without faults."""
    missing = run.pace.events - run.load.accepted
    if missing > 0:
        run.doing = "the rest"
        note(run.doing, f"{missing:,} events without faults")
        run.load.rate = run.pace.flood
        until(lambda: run.load.accepted >= run.pace.events, "all events are pushed", 60 + 3 * missing / run.pace.flood)


def _still(stack: Field) -> bool:
    """Whether no group is behind; transaction markers count as one record a partition."""
    from deploy.local.lag import lags

    return all(lag.behind <= 4 for lag in lags(stack.settings.kafka))
