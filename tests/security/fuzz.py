"""Mutation fuzz of every message that we read: `make fuzz`, and a bounded number of it in `make test`.

Deterministic: iteration n of seed s is the same damage on every machine, so that what is found can be found again
(`python -m tests.security.fuzz --seed S --first N --count 1`).
"""

from __future__ import annotations

import argparse
import gzip
import random
import resource
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from schemas.dead_letter_v1 import DeadLetter
from schemas.raw_message_v1 import RawMessage
from schemas.shipment_event_v1 import ShipmentEvent
from schemas.topics import CONSIGNMENT_COMMANDS, DEAD_LETTERS, RAW_MESSAGES, SHIPMENT_EVENTS
from services.ingest.readers_stage import Readers
from services.runtime.loop import Record
from services.runtime.wire import raw_headers
from tests.unit.ingest.fakes import FakeRegisters

NOW = datetime(2020, 4, 12, 8, 20, tzinfo=UTC)
FOLDER = Path(__file__).parents[1] / "unit" / "readers" / "fixtures"
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


def corpus() -> Sequence[bytes]:
    """Sound messages of every standard, and two that are not read yet."""
    names = ("dcsa.json", "lovla.ndjson", "x12_315.edi", "x12_214.edi", "fsu.txt")
    air = ("fsu_split.txt", "xfsu.xml", "one_record.json")
    sound = [(FOLDER / name).read_bytes() for name in (*names, *air)]
    return [*sound, sound[2] + sound[3], UNB, gzip.compress(sound[0])]


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


def check(seed: int, number: int, messages: Sequence[bytes], stage: Readers) -> int:
    """Read iteration `number` as the stage does; raises AssertionError for what must not be. Returns the events found."""
    body, encoding = damaged(seed, number, messages)
    meta = RawMessage.model_validate(
        {"kind": "message", "sender": "MAEU", "sha256": "ab" * 32, "content_encoding": encoding, "received_at": NOW}
    )
    began = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    outputs = stage.process([Record(RAW_MESSAGES.name, 0, number, 0, b"MAEU", body, raw_headers(meta))])
    took = resource.getrusage(resource.RUSAGE_SELF).ru_utime - began
    assert outputs, "neither an event nor a complaint"
    events = 0
    for output in outputs:
        if output.topic == SHIPMENT_EVENTS.name:
            assert output.key == b"MAEU", "a fault of ours parked the sender"
            event = ShipmentEvent.model_validate_json(output.value or b"")
            assert (event.sender, event.received_at) == ("MAEU", NOW)
            events += 1
        else:
            assert output.topic == DEAD_LETTERS.name, output.topic
            assert output.topic != CONSIGNMENT_COMMANDS.name
            letter = DeadLetter.model_validate_json(output.value or b"")
            assert letter.reason != "fault", letter.text
    assert took < SLOW_S, f"{took:.1f} s of CPU for {len(body)} bytes"
    return events


def run(seed: int, first: int, count: int, tell_every: int = 0) -> int:
    """Iterations first .. first + count - 1; returns how many events were found. Raises AssertionError with the number."""
    messages, registers = corpus(), FakeRegisters()
    events, began = 0, time.monotonic()
    for number in range(first, first + count):
        try:
            events += check(seed, number, messages, Readers(registers))
        except Exception as error:
            raise AssertionError(
                f"python -m tests.security.fuzz --seed {seed} --first {number} --count 1: {error!r}"
            ) from error
        if tell_every and (number + 1 - first) % tell_every == 0:
            print(f"{number + 1 - first:,} messages, {events:,} events, {time.monotonic() - began:.0f} s", flush=True)
    return events


def main() -> int:
    parser = argparse.ArgumentParser(description="Damage messages at random and read them.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1_000_000)
    told = parser.parse_args()
    run(told.seed, told.first, told.count, tell_every=10_000)
    return 0


if __name__ == "__main__":
    sys.exit(main())
