"""An hour like any other, but for the kills: the demo's carriers go on live, and every process dies again and again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.lag import lags
from deploy.local.process import Running, gone, signal_to
from services.runtime.settings import Settings
from tests.faults.campaign import Note, Report
from tests.faults.checks import Verdict, check
from tests.faults.field import Violation
from tests.stack import ROOT

PARTS = ("api", "readers", "tracker", "sink", "kafka", "clickhouse")
SETTLE_S = 300.0
MARKERS = 4  # a group that has read everything still counts as behind by a transaction's end marker in each partition


@dataclass(frozen=True, slots=True)
class Soak:
    """`minutes` of live running; a kill every `calm_s` on average; `every_s` between two events of the simulator."""

    folder: Path
    minutes: float
    calm_s: float
    size: int
    seed: int
    every_s: float = 0.2

    def lovla(self, *words: str) -> subprocess.Popen[str]:
        """A verb on the soak's folder; its talk goes to a log there."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {"LOVLA_STATE_DIR": str(self.folder), "NO_COLOR": "1"}
        command = [sys.executable, "-c", "from services.cli import main; main()", *words]
        with self.folder.with_suffix(".log").open("a") as log:
            return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, text=True)

    def do(self, *words: str) -> int:
        return self.lovla(*words).wait()


def soak(plan: Soak, note: Note) -> Report:
    """The demo, its simulator with random kills for so long, then the audit and the checks that need no truth."""
    report = Report(plan.seed)
    began = time.monotonic()
    note("demo", f"{plan.size} consignments, checked against their truth")
    try:
        found = plan.do("demo", "--size", str(plan.size), "--no-live", "--state-dir", str(plan.folder))
        report.verdicts.append(Verdict("the demo found all that was planted", found == 0, f"exit code {found}"))
        killed, ended, lives = _live(plan, note)
        said = (
            ", ".join(f"{n} {name}" for name, n in sorted(killed.items())) + f"; ended by themselves: {dict(ended) or 'none'}"
        )
        report.verdicts.append(Verdict(f"{plan.minutes:g} minutes live with {killed.total()} kills", killed.total() > 0, said))
        report.verdicts.append(Verdict("the simulator", True, f"begun {lives} times: it gives up on a door that stays away"))
        settings = Settings.load(plan.folder)
        note("settling", "waiting until nothing is behind")
        _settle(plan, settings, PARTS)
        note("checking", "lovla audit, on the live stack")
        code = plan.do("audit")
        report.verdicts.append(Verdict("lovla audit is clean", code == 0, f"exit code {code}"))
        plan.do("down", "--only", "api")  # no tick any more: what is read holds still
        _settle(plan, settings, PARTS[1:])
        report.verdicts += check(settings, None, lambda what: note("checking", what))
    finally:
        plan.do("down")
    report.seconds = time.monotonic() - began
    return report


def _live(plan: Soak, note: Note) -> tuple[Counter[str], Counter[str], int]:
    """How often each was killed, how often each had ended by itself when its turn came, how often the simulator was begun."""
    chance = random.Random(plan.seed)
    killed: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    end = time.monotonic() + 60 * plan.minutes
    simulator = _simulator(plan)
    lives = 1
    try:
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, chance.uniform(0.5, 1.5) * plan.calm_s))
            name = chance.choice(PARTS)
            running = Running.load(plan.folder / "run" / f"{name}.json")
            if running is None or not running.alive():  # a tracker that lost its lease ends, to be started again
                ended[name] += 1
            else:
                signal_to(running, signal.SIGKILL)
                gone(running, 20)
                killed[name] += 1
            note("live", f"{killed.total()} kills, {left / 60:.0f} minutes left; killed {name}")
            time.sleep(chance.uniform(0, 3))
            _up(plan)
            if simulator.poll() is not None:
                simulator, lives = _simulator(plan), lives + 1
    finally:
        simulator.terminate()
        simulator.wait(30)
    return killed, ended, lives


def _up(plan: Soak) -> None:
    """As a user does it; a part that ended over the death of another is found dead only after a while."""
    code = 1
    for _ in range(5):
        if (code := plan.do("up")) == 0 and plan.do("status") == 0:
            return
        time.sleep(3)
    raise RuntimeError(f"`lovla up` does not bring the stack back (exit code {code}); see {plan.folder.with_suffix('.log')}")


def _settle(plan: Soak, settings: Settings, parts: Sequence[str]) -> None:
    """Until nothing is behind. What ends by itself meanwhile (a tracker that lost its lease) is started again, as a supervisor
    would. Raises Violation, which names what is behind."""
    stop = time.monotonic() + SETTLE_S
    while behind := [lag for lag in lags(settings.kafka) if lag.behind > MARKERS]:
        if time.monotonic() > stop:
            said = ", ".join(f"{lag.group} by {lag.behind:,} on {lag.topic}" for lag in behind)
            raise Violation(f"{SETTLE_S:.0f} s after the last kill there is still behind: {said}")
        plan.do("up", "--only", ",".join(parts))


def _simulator(plan: Soak) -> subprocess.Popen[str]:
    hours = str(max(0.1, plan.minutes / 60 + 0.5))
    return plan.lovla("demo", "live", "--state-dir", str(plan.folder), "--every-s", str(plan.every_s), "--hours", hours)
