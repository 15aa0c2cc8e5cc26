"""The simulation itself: a seed is a run, whatever the process; and it can fail."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.simulation.mutants import MUTANTS, ROOT, edited, run
from tests.simulation.run import simulate

SEED = 7
PRINT_TRACE = "import sys; from tests.simulation.run import simulate; print('\\n'.join(simulate(int(sys.argv[1])).trace))"


def test_a_seed_is_the_same_run_in_another_process_with_another_hash_seed() -> None:
    here = "\n".join(simulate(SEED).trace)
    done = subprocess.run(
        [sys.executable, "-c", PRINT_TRACE, str(SEED)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == here.splitlines()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_what_a_mutant_edits_is_still_there(mutant: object) -> None:
    assert edited(mutant)  # type: ignore[arg-type]  # ids= needs the parameter untyped


def test_a_planted_defect_is_found_out() -> None:
    (number,) = (n for n, mutant in enumerate(MUTANTS) if mutant.name == "commit before insert")
    outcome = run(number, 20)
    assert outcome["caught"] is not None and outcome["oracle"] == "rows"
