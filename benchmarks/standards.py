"""Every reader on one core, from bytes to events; beside it what others need for no more than the tokens of the same bytes.

The messages are those of the tests (tests/unit/readers/fixtures), whose events were written by hand; a reader that finds
another number of them has no figure. They are dense: a status in 120 bytes, half of them with something wrong. Beside them
stand what feeds are made of: interchanges of one 315 each, and of one 322 each with the segments that a rail ramp writes of a
unit at its gate (times planned, seals, the ramp, the ports, the railway); no two alike, each read as a message of its own. CPU
seconds, so that a busy machine matters less.

What pyx12's bare tokenising is: its X12Reader, which gives segments with their elements and checks no more than the envelopes,
as ours does. Its raw segments, uncut texts, are told too. Both sides look for cyclic garbage as rarely; ours begins with bytes
and a receipt of each message of its own, as behind the door, theirs with text.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from types import MappingProxyType

from pydifact.control.characters import Characters
from pydifact.tokenizer import Tokenizer

from benchmarks import load
from benchmarks.bench import Bench
from benchmarks.harness import ROOT, NotEqual, Result, interleaved
from benchmarks.peers.environments import CannotInstall, python_of
from services.ingest.readers import Context, Reading, Registers, read
from services.runtime import garbage
from tests.unit.readers.helpers import FIXTURES, REGISTERS, expected

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


FEED = "x12_315, an interchange each"
FEED_322 = "x12_322 of a rail gate, an interchange each"
FEEDS = (FEED, FEED_322)
_FEED_MESSAGES = 100
_TURNS = 3
"""Beside pyx12 each run is cut into so many turns: what disturbs a machine lasts for seconds, and then falls upon one side."""
_FEED_AT = datetime(2020, 4, 1, tzinfo=UTC)


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
    reading = {name: partial(_read, name) for name in MESSAGES} | {name: partial(_read_feed, name) for name in FEEDS}
    readers = {name: partial(read_it, seconds) for name, read_it in reading.items()}
    tokens = {f"tokens:{name}": partial(_pydifact, name, seconds) for name in MESSAGES if name.startswith("edifact")}
    side_by_side = sorted({**readers, **tokens}.items(), key=lambda one: one[0].removeprefix("tokens:"))
    found = interleaved(bench.sizes.runs, dict(side_by_side), lambda text: None)
    for name in readers:
        result.add(f"{name}: to events", "messages/s", [speed.messages_s for speed in found[name]])
        result.add(f"{name}: to events", "MB/s", [speed.mb_s for speed in found[name]])
    for name in tokens:
        title = name.removeprefix("tokens:")
        result.add(f"{title}: pydifact's bare tokens", "MB/s", [speed.mb_s for speed in found[name]])
        own = [bare.mb_s / whole.mb_s - 1 for bare, whole in zip(found[name], found[title], strict=True)]
        result.add(f"{title}: our own share of the time, pydifact's tokens being 1", "x", own, at_most=1.0)
    _beside_pyx12(bench, seconds, {name: read_it for name, read_it in reading.items() if "x12" in name}, result)
    return result


def _read(name: str, seconds: float) -> Speed:
    return _speed(_reader(name), len(_bytes(name)), seconds)


def _reader(name: str) -> Callable[[], Reading]:
    """Reads a fixture, once a call. Raises NotEqual where it does not hold as many statements as it should."""
    hoped = expected(name)
    content = _bytes(name)
    at, digest = datetime.fromisoformat(hoped["received_at"]), hashlib.sha256(content).hexdigest()

    def work() -> Reading:  # of a message that was received once more, as behind the door
        return read(content, None, None, Context(hoped["sender"], at, REGISTERS, digest))

    if (statements := len(work().verdicts)) != len(hoped["verdicts"]):
        raise NotEqual(f"{name}: {statements} statements instead of {len(hoped['verdicts'])}")
    return work


def feed(name: str) -> list[bytes]:
    """The first words of as many journeys, each in an interchange of its own."""
    told = islice(load.tellings(range(_FEED_MESSAGES), _FEED_AT), _FEED_MESSAGES)
    return [load.as_x12(one) if name == FEED else _at_the_gate(number) for number, one in enumerate(told)]


def _at_the_gate(number: int) -> bytes:
    """One unit at a rail ramp's gate, as a 322 of the same make as the sample of one (see docs/standards/x12.md)."""
    at = _FEED_AT + timedelta(minutes=7 * number)
    day, clock = f"{at:%Y%m%d}", f"{at:%H%M%S}"
    box, control = load.container_of(number, 0), f"{number:09d}"
    later = [f"{at + timedelta(days=days):%Y%m%d}" for days in (1, 2, 3)]
    return (
        f"ISA*00*          *00*          *ZZ*MAEU           *ZZ*LOVLA          *{day[2:]}*{clock[:4]}*U*00401*{control}*0*P*>~"
        f"GS*SO*MAEU*LOVLA*{day}*{clock}*{number}*X*004010~ST*322*0001~Q5*A*{day}*{clock}*LT**KANSAS CITY*MO*US~"
        f"N7*{box[:4]}*{box[4:10]}*{20000 + number}*G*******CN*RAMP*****L*0****45G1*RAMP~"
        f"DTM*371*{later[0]}*091200*LT~DTM*017*{later[1]}*080000*LT~DTM*830*{later[2]}*160000*LT~"
        f"M7*SEAL{number}*SEAL{number}B~W2*{box[:4]}*{box[4:10]}**CC*L********{box[10]}~"
        f"R4*5*UN*USMKC*KANSAS CITY*US***MO~R4*6*UN*USLAX*LOS ANGELES*US***CA~R4*7*UN*USCHI*CHICAGO RAMP*US***IL~"
        f"N1*RR*A RAILWAY*ZZ*RAMP~N9*BN*BK{number}~N9*BM*{load.bill_of(number)}~SE*15*0001~GE*1*{number}~IEA*1*{control}~"
    ).encode()


def _read_feed(name: str, seconds: float) -> Speed:
    messages = [(one, hashlib.sha256(one).hexdigest()) for one in feed(name)]
    registers = Registers.empty()

    def work() -> int:
        events = 0
        for offset, (one, digest) in enumerate(messages):
            context = Context(load.CARRIERS[0], _FEED_AT, registers, digest, 0, offset)
            events += len(read(one, None, None, context).events)
        return events

    if (events := work()) != len(messages):
        raise NotEqual(f"{name}: {events} events instead of {len(messages)}")
    whole = _speed(work, sum(len(one) for one, _ in messages), seconds)
    return Speed(whole.messages_s * len(messages), whole.mb_s)


def _pydifact(name: str, seconds: float) -> Speed:
    content = _bytes(name)
    text = content.decode("latin-1")
    una = text.startswith("UNA")
    body = text[9:].lstrip() if una else text
    characters = Characters.from_str(text[:9] if una else "UNA:+.? '")
    return _speed(lambda: list(Tokenizer().get_tokens(body, characters)), len(content), seconds)


def _beside_pyx12(bench: Bench, seconds: float, readers: Mapping[str, Callable[[float], Speed]], result: Result) -> None:
    """In turn once more, ours and then theirs: what is compared must be of the same minute."""
    try:
        python = python_of("pyx12", bench.cache)
    except CannotInstall as error:
        result.notes.append(f"pyx12: no figure, it cannot be installed here: {error}")
        return
    files = {name: bench.folder / f"feed_{number}.edi" for number, name in enumerate(FEEDS)}
    bench.folder.mkdir(parents=True, exist_ok=True)
    for name, file in files.items():
        file.write_bytes(b"".join(feed(name)))
    for name, ours in readers.items():
        file = files.get(name) or FIXTURES / f"{name}.edi"
        turns = [
            (ours(seconds / _TURNS).mb_s, _pyx12(python, file, seconds / _TURNS)) for _ in range(bench.sizes.runs * _TURNS)
        ]
        pairs = [(mine, theirs) for mine, theirs in turns if theirs is not None]
        if len(pairs) < len(turns):
            result.notes.append(f"{name}: pyx12 does not read it (its ISA is not of fixed width, as senders write it).")
            continue
        result.add(f"{name}: pyx12's raw segments", "MB/s", [theirs["raw"] for _, theirs in pairs])
        result.add(f"{name}: pyx12's segments as objects", "MB/s", [theirs["segments"] for _, theirs in pairs])
        ratios = [mine / theirs["segments"] for mine, theirs in pairs]
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


if __name__ == "__main__":  # for whoever counts instructions or calls: docs/standards/speed.md
    once = _reader(sys.argv[1])
    for _ in range(int(sys.argv[2])):
        once()
