"""Hostile messages for every reader: `make fuzz`, five minutes a reader, and ten seconds each in `make test`.

Three ways in turn: *damage* to sound messages (deterministic: iteration n of seed s is the same on every machine, and
`python -m tests.security.fuzz --reader R --seed S --first N --count 1` finds it again), *hypothesis* (the tokens of sound
messages in any order and number), and, in `make fuzz`, *atheris* (guided by coverage; in an environment of its own, see
coverage_fuzz.py). Whatever comes in, the readers stage makes events or complaints of it, none of its outputs breaks a
contract, and no message takes long.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
import re
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.dead_letter_v1 import DeadLetter
from schemas.raw_message_v1 import RawMessage
from schemas.shipment_event_v1 import ShipmentEvent
from schemas.topics import CONSIGNMENT_COMMANDS, DEAD_LETTERS, RAW_MESSAGES, SHIPMENT_EVENTS
from services.ingest.mappings import read_mapping
from services.ingest.mappings_model import Mappings
from services.ingest.readers import Registers
from services.ingest.readers_stage import Readers
from services.runtime.loop import Record
from services.runtime.wire import raw_headers
from tests.unit.ingest.fakes import FakeRegisters

NOW = datetime(2020, 4, 12, 8, 20, tzinfo=UTC)
FOLDER = Path(__file__).parents[1] / "unit" / "readers" / "fixtures"
MAPPINGS = Path(__file__).parents[2] / "docs" / "examples" / "mappings"
SENDER = "MAEU"
SLOW_S = 1.0
"""CPU seconds that one message may take at most; a message of this corpus takes some milliseconds."""

UNB = b"UNA:+.? 'UNB+UNOC:3+MAEU+LOVLA+200412:0820+1'UNH+1+IFTSTA:D:00B:UN'BGM+77+1+9'UNT+3+1'UNZ+1+1'"
TOKENS: Sequence[bytes] = (
    b"ISA", b"IEA", b"GS", b"GE", b"ST", b"SE", b"UNA", b"UNB", b"UNZ", b"FSU/14", b"~", b"*", b">", b"'", b"+",
    b"?", b":",
    b"\r\n", b"\n", b"\0", b"\x85", b"\x1d", b"\xff", b"\xe9", b"\x93CP1252\x94", b"\xef\xbb\xbf", b"\xe2\x80\xae", b"9" * 40,
    b"-1",
    b"99999999", b"00000000", b"20201332", b"2460", b"{", b"}", b"[", b"]", b'"', b"\\u0000", b"\\ud800", b"NaN", b"1e999",
    b"null", b"\x9b31m", b"\xc2\x9b31m", b"\x1b[31m",
)  # fmt: skip


READERS: Mapping[str, Sequence[str]] = {
    "lovla": ("lovla*.ndjson",),
    "dcsa": ("dcsa*.json",),
    "x12": ("x12_*.edi",),
    "edifact": ("edifact_*.edi",),
    "cargo_imp": ("fsu*.txt",),
    "cargo_xml": ("xfsu*.xml",),
    "one_record": ("one_record*.json",),
    "epcis": ("epcis*.json",),
    "mapped": ("mapped_*",),
    "wrapped": ("edifact_*.edi", "fsu*.txt"),
    "gzip": ("x12_*.edi", "dcsa*.json"),
}
"""The fixtures that each reader's messages begin from."""


def wrapped(message: bytes) -> bytes:
    """A message as JSON wraps it."""
    return json.dumps({"messageRaw": message.decode("latin-1")}).encode()


def packed(message: bytes) -> bytes:
    """A message as gzip."""
    return gzip.compress(message, compresslevel=1, mtime=0)


FORMS: Mapping[str, tuple[Callable[[bytes], bytes], str]] = {"wrapped": (wrapped, "identity"), "gzip": (packed, "gzip")}
"""What messages come in, and the encoding that is claimed. Damage is done to what is inside, and to the outside."""


def fixtures_of(reader: str) -> Sequence[Path]:
    """Its sound messages, in the order of their names."""
    files = {file for pattern in READERS[reader] for file in FOLDER.glob(pattern)}
    return sorted(file for file in files if not file.name.endswith(".expected.json"))


def corpus(reader: str | None = None) -> Sequence[bytes]:
    """Sound messages of one reader, or of all; of all, some also packed, wrapped and one behind the other."""
    if reader is not None:
        sound = [file.read_bytes() for file in fixtures_of(reader)]
        return [*sound, *map(FORMS[reader][0], sound)] if reader in FORMS else sound
    each = {name: corpus(name) for name in READERS if name not in FORMS}
    inside = [json.dumps([{"messageRaw": message.decode("latin-1")} for message in each["edifact"][:2]]).encode()]
    behind = [each["x12"][0] + each["x12"][-1]]
    return [
        *(message for messages in each.values() for message in messages),
        *behind,
        *inside,
        UNB,
        gzip.compress(each["dcsa"][0], mtime=0),
    ]


class KnowsMappings(FakeRegisters):
    """Registers in which whoever sends has the mappings of the documentation."""

    @cached_property
    def _mappings(self) -> Mappings:
        made = [read_mapping(file) for file in sorted(MAPPINGS.glob("*.toml"))]
        return Mappings.of([replace(one, stated=one.stated.model_copy(update={"sender": SENDER})) for one in made])

    def known(self) -> Registers:
        return replace(Registers.empty(), mappings=self._mappings)


def damaged(seed: int, number: int, messages: Sequence[bytes]) -> tuple[bytes, str]:
    """The message of iteration `number`, and the encoding that it claims."""
    dice = random.Random(seed * 1_000_003 + number)
    body = bytearray(dice.choice(messages))
    is_gzip = body[:2] == b"\x1f\x8b"
    for _ in range(dice.choice((1, 1, 2, 3, 8, 30))):
        at, length = dice.randrange(len(body) + 1), dice.choice((1, 1, 2, 5, 40, 300))
        match dice.randrange(8):
            case 0:  # cut off, as a lost connection does
                del body[at:]
            case 1:
                del body[at : at + length]
            case 2:
                body[at:at] = body[at : at + length]
            case 3:
                body[at:at] = dice.choice(TOKENS)
            case 4:
                body[at : at + 1] = dice.choice(TOKENS)
            case 5:
                body[at : at + 1] = bytes([dice.randrange(256)])
            case 6:  # two places change sides: segments out of order, wrong counts
                other = dice.randrange(len(body) + 1)
                body[at : at + length], body[other : other + length] = body[other : other + length], body[at : at + length]
            case 7:
                body[at:at] = dice.choice(messages)[:2_000]
    return bytes(body[:200_000]), "gzip" if is_gzip or dice.random() < 0.01 else "identity"


def check(seed: int, number: int, messages: Sequence[bytes], stage: Readers, reader: str | None = None) -> int:
    """Read iteration `number`; as `check_body`."""
    body, encoding = damaged(seed, number, messages)
    return check_as(reader, body, stage, encoding, number)


def check_as(reader: str | None, body: bytes, stage: Readers, encoding: str = "identity", number: int = 0) -> int:
    """Read a body, where the reader has a form also in that; as `check_body`."""
    if reader is None or reader not in FORMS:
        return check_body(body, stage, encoding, number)
    put, encoding = FORMS[reader]
    return check_body(put(body), stage, encoding, number) + check_body(body, stage, encoding, number)


def check_body(body: bytes, stage: Readers, encoding: str = "identity", number: int = 0) -> int:
    """Read a body as the stage does; raises AssertionError for what must not be. Returns the events found."""
    meta = RawMessage.model_validate(
        {"kind": "message", "sender": SENDER, "sha256": "ab" * 32, "content_encoding": encoding, "received_at": NOW}
    )
    began = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    outputs = stage.process([Record(RAW_MESSAGES.name, 0, number, 0, SENDER.encode(), body, raw_headers(meta))])
    took = resource.getrusage(resource.RUSAGE_SELF).ru_utime - began
    assert outputs, "neither an event nor a complaint"
    events = 0
    for output in outputs:
        if output.topic == SHIPMENT_EVENTS.name:
            assert output.key == SENDER.encode(), "a fault of ours parked the sender"
            event = ShipmentEvent.model_validate_json(output.value or b"")
            assert (event.sender, event.received_at) == (SENDER, NOW)
            events += 1
        else:
            assert output.topic == DEAD_LETTERS.name, output.topic
            assert output.topic != CONSIGNMENT_COMMANDS.name
            letter = DeadLetter.model_validate_json(output.value or b"")
            assert letter.reason != "fault", letter.text
    assert took < SLOW_S, f"{took:.1f} s of CPU for {len(body)} bytes"
    return events


def run(seed: int, first: int, count: int, reader: str | None = None, seconds: float = math.inf, tell_s: float = 0) -> int:
    """Damage: iterations first .. first + count - 1, or as many as `seconds` of CPU allow; how many events were found.

    Raises AssertionError with the number.
    """
    messages, registers = corpus(reader), KnowsMappings()
    events, began, told = 0, time.process_time(), 0.0
    for number in range(first, first + count):
        try:
            events += check(seed, number, messages, Readers(registers), reader)
        except Exception as error:
            only = f" --reader {reader}" if reader else ""
            again = f"python -m tests.security.fuzz{only} --seed {seed} --first {number} --count 1"
            raise AssertionError(f"{again}: {error!r}") from error
        took = time.process_time() - began
        is_over = took >= seconds
        if tell_s and (is_over or took - told >= tell_s):
            told = took
            print(f"{reader or 'all'}: {number + 1 - first:,} damaged messages, {events:,} events, {took:.0f} s", flush=True)
        if is_over:
            break
    return events


_TOKEN = re.compile(rb"[A-Za-z0-9 ._-]+|[^A-Za-z0-9]")


def tokens_of(reader: str) -> Sequence[bytes]:
    """What its sound messages consist of: words and marks, each once, and the stretches between two line or segment ends."""
    found: dict[bytes, None] = {}
    for message in corpus(reader):
        for token in _TOKEN.findall(message):
            found[token] = None
        for part in re.split(rb"(?<=[~'\n}>,])", message):
            found[part[:400]] = None
    return [token for token in found if token]


def recombine(seed: int, reader: str, seconds: float) -> int:
    """Hypothesis: tokens in any order behind a sound beginning, until `seconds` of CPU are over; how many messages."""
    messages, stage, made = corpus(reader), Readers(KnowsMappings()), 0
    until = time.process_time() + seconds
    token = st.one_of(st.sampled_from([*tokens_of(reader), *TOKENS]), st.binary(max_size=4))
    cut = st.tuples(st.sampled_from(messages), st.floats(0, 1), st.floats(0, 1))

    @given(cut, st.lists(token, max_size=60))
    @settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def reads(where: tuple[bytes, float, float], tokens: list[bytes]) -> None:
        nonlocal made
        made += 1
        message, begin, end = where
        head, tail = message[: int(len(message) * begin)], message[int(len(message) * max(begin, end)) :]
        check_as(reader, head + b"".join(tokens) + tail, stage)

    round_ = 0
    while time.process_time() < until:
        hypothesis.seed(seed * 1_000_003 + round_)(reads)()
        round_ += 1
    return made


def main() -> int:
    """Each reader by each way, or what --first says again."""
    parser = argparse.ArgumentParser(description="Damage messages, recombine them, let coverage guide; read what comes out.")
    parser.add_argument("--reader", choices=sorted(READERS), help="one reader alone")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, help="one iteration of the damage again, with --count")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=300.0, help="a reader, over the three ways")
    parser.add_argument("--without-atheris", action="store_true", help="two ways alone, where atheris does not install")
    told = parser.parse_args()
    if told.first is not None:
        print(f"{run(told.seed, told.first, told.count, told.reader)} events")
        return 0
    from tests.security import coverage_fuzz

    wrong = 0
    missing = "by --without-atheris" if told.without_atheris else coverage_fuzz.missing()
    for reader in [told.reader] if told.reader else list(READERS):
        third = told.seconds / 3
        run(told.seed, 0, sys.maxsize, reader, third, tell_s=30)
        print(f"{reader}: {recombine(told.seed, reader, third):,} recombined messages", flush=True)
        if missing is None:
            wrong += coverage_fuzz.guided(reader, third)
    if missing is not None:
        print(f"NOT guided by coverage, one of the three ways: {missing}", flush=True)
        wrong += not told.without_atheris
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
