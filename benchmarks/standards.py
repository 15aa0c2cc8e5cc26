"""Every reader on one core, from bytes to events; beside it what others need for no more than the tokens of the same bytes.

The messages are those of the tests (tests/unit/readers/fixtures), whose events were written by hand; a reader that finds
another number of them has no figure. CPU seconds, so that a busy machine does not matter.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from pydifact.control.characters import Characters
from pydifact.tokenizer import Tokenizer

from benchmarks.bench import Bench
from benchmarks.harness import ROOT, NotEqual, Result, interleaved
from benchmarks.peers.environments import CannotInstall, python_of
from services.ingest.readers import read
from services.runtime import garbage
from tests.unit.readers.helpers import FIXTURES, context_at, expected

MESSAGES: Mapping[str, str] = MappingProxyType(
    {
        "x12_315": "edi",
        "x12_214": "edi",
        "x12_322": "edi",
        "x12_856": "edi",
        "edifact_iftsta": "edi",
        "edifact_coarri": "edi",
        "edifact_codeco": "edi",
        "dcsa": "json",
        "dcsa_30_may": "json",
        "fsu": "txt",
        "xfsu": "xml",
        "one_record": "json",
        "epcis": "json",
        "lovla": "ndjson",
    }
)


@dataclass(frozen=True, slots=True)
class Speed:
    """Of CPU time. `mb`: 10^6 bytes."""

    messages_s: float
    mb_s: float


def measure(bench: Bench) -> Result:
    """Readers, and the tokenisers of pydifact (in our lock) and pyx12 (in an environment of its own)."""
    result = Result("each message gives as many statements as were written by hand from its standard")
    seconds = bench.sizes.seconds / 20
    garbage.relax()  # as the service does
    readers = {name: partial(_read, name, seconds) for name in MESSAGES}
    tokens = {f"tokens:{name}": partial(_pydifact, name, seconds) for name in MESSAGES if name.startswith("edifact")}
    found = interleaved(bench.sizes.runs, {**readers, **tokens}, lambda text: None)
    for name in MESSAGES:
        result.add(f"{name}: to events", "messages/s", [speed.messages_s for speed in found[name]])
        result.add(f"{name}: to events", "MB/s", [speed.mb_s for speed in found[name]])
    for name in tokens:
        title = name.removeprefix("tokens:")
        result.add(f"{title}: pydifact's bare tokens", "MB/s", [speed.mb_s for speed in found[name]])
        own = [bare.mb_s / whole.mb_s - 1 for bare, whole in zip(found[name], found[title], strict=True)]
        result.add(f"{title}: our own share of the time, pydifact's tokens being 1", "x", own, at_most=1.0)
    _beside_pyx12(bench, seconds, {name: [one.mb_s for one in found[name]] for name in MESSAGES if "x12" in name}, result)
    return result


def _read(name: str, seconds: float) -> Speed:
    hoped = expected(name)
    content = _bytes(name)
    context = context_at(hoped["received_at"], hoped["sender"])
    statements = len(read(content, None, None, context).verdicts)
    if statements != len(hoped["verdicts"]):
        raise NotEqual(f"{name}: {statements} statements instead of {len(hoped['verdicts'])}")
    return _speed(lambda: read(content, None, None, context), len(content), seconds)


def _pydifact(name: str, seconds: float) -> Speed:
    content = _bytes(name)
    text = content.decode("latin-1")
    una = text.startswith("UNA")
    body = text[9:].lstrip() if una else text
    characters = Characters.from_str(text[:9] if una else "UNA:+.? '")
    return _speed(lambda: list(Tokenizer().get_tokens(body, characters)), len(content), seconds)


def _beside_pyx12(bench: Bench, seconds: float, ours: Mapping[str, list[float]], result: Result) -> None:
    try:
        python = python_of("pyx12", bench.cache)
    except CannotInstall as error:
        result.notes.append(f"pyx12: no figure, it cannot be installed here: {error}")
        return
    for name, speeds in ours.items():
        told = [_pyx12(python, FIXTURES / f"{name}.edi", seconds) for _ in speeds]
        said = [one for one in told if one is not None]
        if len(said) < len(told):
            result.notes.append(f"{name}: pyx12 does not read it (its ISA is not of fixed width, as senders write it).")
            continue
        raw, segments = [one["raw"] for one in said], [one["segments"] for one in said]
        result.add(f"{name}: pyx12's raw segments", "MB/s", raw)
        result.add(f"{name}: pyx12's segments as objects", "MB/s", segments)
        ratios = [mine / theirs for mine, theirs in zip(speeds, segments, strict=True)]
        result.add(f"{name}: ours to events, pyx12's segments as objects being 1", "x", ratios, at_least=1.0)


def _pyx12(python: Path, file: Path, seconds: float) -> Mapping[str, float] | None:
    """None if it refuses the file."""
    command = [str(python), str(ROOT / "benchmarks" / "peers" / "pyx12" / "peer.py"), str(file), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + 4 * seconds, check=False)  # noqa: S603  ours
    if "X12Error" in done.stderr:
        return None
    done.check_returncode()
    said: dict[str, float] = json.loads(done.stdout)
    return said


def _bytes(name: str) -> bytes:
    return (FIXTURES / f"{name}.{MESSAGES[name]}").read_bytes()


def _speed(work: Callable[[], object], size: int, seconds: float) -> Speed:
    count, began = 0, time.process_time()
    while (took := time.process_time() - began) < seconds:
        work()
        count += 1
    return Speed(count / took, count * size / took / 1e6)
