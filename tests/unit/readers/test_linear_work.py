"""No reader does quadratic work, and none takes much memory: steps and bytes copied are counted, seconds are not looked at.

Messages of every shape that can grow: many messages in an envelope, and many statements in one message. They are read whole at
10 kB and at 50 kB, whatever the limits; then at up to 10 MB as a service reads them, which refuses most of them on the way:
that too must cost no more than their size. And messages that every limit lets pass, of 0.1 to 10 MB (or what their reader
takes), are read to their last event. A step is a call of a function, Python's or C's. A method that copies or scans the whole
of a text counts its bytes.
"""

from __future__ import annotations

import contextlib
import gc
import json
import re
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest

from schemas.raw_message_v1 import RawMessage
from services.ingest.commands import read_commands
from services.ingest.readers import LIMITS, Context, Limits, Reading, Registers, Unreadable, read, statements
from services.ingest.reading import Read, read_message
from tests.security import fuzz
from tests.unit.readers.helpers import FIXTURES, context_at

SMALL, LARGE, LARGEST = 10_000, 50_000, 10_000_000
GROWS_AT_MOST = 1.3  # times the growth of the message: tables that double, caches that fill
LARGEST_EDIFACT = 4_000_000
"""Above 4 MiB it is refused unread; below, as soon as its events are too many."""
LOOKED_THROUGH = 12  # times that the whole of a text may be looked through, however little is made of it
MEMORY_AT_MOST = 20  # times the message
MEMORY_OF, MEMORY_BESIDE = 50_000, 2**20
"""Bytes of a message; and what it may take beside, whatever its size: the values of a thousand events, one kB each."""
MEMORY_OF_LARGE = 400_000  # of a message that may take nothing beside
MEMORY_OF_SMALL_PARTS = 100_000
"""Bytes at which what small documents may take beside (strict_json.py) comes to the rest of twenty times."""
NO_LIMIT = Limits(events=10**9, values=10**9)
_WHOLE_TEXT = frozenset({
    "split", "rsplit", "splitlines", "replace", "strip", "lstrip", "rstrip", "decode", "encode", "translate", "upper", "lower",
    "casefold", "expandtabs", "removeprefix", "removesuffix", "isprintable", "isascii", "partition", "rpartition",
})  # fmt: skip
"""Methods of text and bytes that read or copy all of it."""


def text(name: str) -> str:
    """A fixture as text."""
    return (FIXTURES / name).read_bytes().decode("cp1252")


def grown(head: str, part: str, tail: str, size: int) -> bytes:
    """`part` between `head` and `tail`, so often that it makes `size` bytes."""
    return (head + part * (size // len(part) + 1) + tail).encode()


def between(whole: str, first: str, last: str) -> tuple[str, str, str]:
    """What stands before `first`, from there to the end of `last`'s line or segment, and the rest. Both are expressions."""
    begin = re.search(first, whole)
    assert begin is not None, first
    end = re.compile(last).search(whole, begin.end())
    assert end is not None, last
    return whole[: begin.start()], whole[begin.start() : end.end()], whole[end.end() :]


def parts_of_a_text(name: str, first: str, last: str) -> Callable[[int], bytes]:
    """A fixture whose stretch from `first` to `last` comes again and again."""
    head, part, tail = between(text(name), first, last)
    return lambda size: grown(head, part, tail, size)


def items(name: str, *path: str | int) -> Callable[[int], bytes]:
    """A JSON fixture whose array at `path` holds its first items again and again."""

    def made(size: int) -> bytes:
        document = json.loads(text(name))
        node: Any = document
        for key in path:
            node = node[key]
        one = node[:2]
        node[:] = one * (size // len(json.dumps(one)) + 1)
        return json.dumps(document).encode()

    return made


MESSAGES: dict[str, Callable[[int], bytes]] = {
    "lovla: lines": lambda size: grown("", text("lovla.ndjson").splitlines()[0] + "\n", "", size),
    "dcsa: an array": items("dcsa.json"),
    "dcsa 3.0: events": items("dcsa_30_january.json", "events"),
    "epcis: events of a document": items("epcis.json", "epcisBody", "eventList"),
    "one_record: an array": items("one_record.json"),
    "mapped: rows": lambda size: grown(*between(text("mapped_csv.csv"), "HRT-501", "\r\n(?=HRT-502)"), size),
    "mapped: items": items("mapped_json.json", "shipments"),
    "mapped: parts of an item": items("mapped_json.json", "shipments", 0, "stops"),
    "mapped: open quotation marks": lambda size: (
        grown(*between(text("mapped_csv.csv"), "HRT-502", "\r\n"), 0) + b'"open;\r\n' * (size // 8)
    ),
    "x12: 214, sets": parts_of_a_text("x12_214.edi", r"ST\*214", r"SE\*[^$]*\$\s*"),
    "x12: 214, statuses of a set": parts_of_a_text("x12_214.edi", r"AT7\*AF", r"MS2[^$]*\$\s*"),
    "x12: 214, references of a set": parts_of_a_text("x12_214.edi", r"L11\*", r"\$\s*"),
    "x12: 315, sets": parts_of_a_text("x12_315.edi", r"ST\*315", r"SE\*[^~]*~\s*"),
    "x12: 322, sets": parts_of_a_text("x12_322.edi", r"ST\*322", r"SE\*[^~]*~\s*"),
    "x12: 856, sets": parts_of_a_text("x12_856.edi", r"ST\*856", r"SE\*[^~]*~\s*"),
    "x12: 856, levels of a set": parts_of_a_text("x12_856.edi", r"HL\*", r"(?=HL\*)"),
    "edifact: IFTSTA, messages": parts_of_a_text("edifact_iftsta.edi", r"UNH\+1\+", r"UNT\+[^']*'\s*"),
    "edifact: IFTSTA, statuses": parts_of_a_text("edifact_iftsta.edi", r"STS\+1\+24", r"(?=SEL)"),
    "edifact: COARRI, containers": parts_of_a_text("edifact_coarri.edi", r"EQD\+", r"(?=EQD\+|CNT|UNT)"),
    "edifact: CODECO, containers": parts_of_a_text("edifact_codeco.edi", r"EQD\*", r"(?=EQD\*|CNT|UNT)"),
    "cargo_imp: messages": lambda size: grown("", text("fsu.txt")[text("fsu.txt").index("FSU/") :], "", size),
    "cargo_imp: statuses": parts_of_a_text("fsu.txt", "DEP/", "(?=DIS/)"),
    "cargo_imp: continuation lines": parts_of_a_text("fsu.txt", "/P8T20/J SMITH", r"\s+"),
    "cargo_xml: statuses": parts_of_a_text("xfsu.xml", "<ram:ReportedStatus>", "</ram:ReportedStatus>"),
    "cargo_xml: consignments of a status": parts_of_a_text(
        "xfsu.xml", "<ram:AssociatedStatusConsignment>", "</ram:AssociatedStatusConsignment>"
    ),
    "wrapped: messages": lambda size: json.dumps(
        [{"messageRaw": text("edifact_codeco.edi")}] * (size // len(text("edifact_codeco.edi")) + 1)
    ).encode(),
}


def context() -> Context:
    return context_at("2020-04-01T12:00:00Z", fuzz.SENDER, registers())


@cache
def registers() -> Registers:
    return fuzz.KnowsMappings().known()


@dataclass
class Work:
    """What was counted while a message was read."""

    steps: int = 0
    bytes_of_texts: int = 0

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Counts within the block. Called some ten million times in these tests, so it looks up as little as it can."""
        steps = read = 0
        whole_text, texts = _WHOLE_TEXT, (str, bytes)

        def note(_frame: FrameType, event: str, about: Any) -> None:
            nonlocal steps, read
            if event == "c_call":
                steps += 1
                if isinstance(about.__self__, texts) and about.__name__ in whole_text:
                    read += len(about.__self__)
            elif event == "call":
                steps += 1

        sys.setprofile(note)
        try:
            yield
        finally:
            sys.setprofile(None)
            self.steps += steps
            self.bytes_of_texts += read


def outcome(content: bytes, limits: Limits) -> Reading | Unreadable:
    try:
        return read(content, None, None, context(), limits)
    except Unreadable as error:
        return error


def work_of(content: bytes, limits: Limits) -> Work:
    return watched(content, limits)[0]


def watched(content: bytes, limits: Limits) -> tuple[Work, Reading | Unreadable]:
    """The work of a reading, and what came out."""
    work = Work()
    known = context()
    found: Reading | Unreadable
    with work.counted():
        try:
            found = read(content, None, None, known, limits)
        except Unreadable as error:
            found = error
    return work, found


def assert_grows_with(one: Work, two: Work, small: int, times: float) -> None:
    assert two.steps < one.steps * times * GROWS_AT_MOST, f"{one.steps:,} steps became {two.steps:,}"
    assert two.bytes_of_texts < max(one.bytes_of_texts, LOOKED_THROUGH * small) * times * GROWS_AT_MOST, (
        f"{one.bytes_of_texts:,} bytes became {two.bytes_of_texts:,}"
    )


@pytest.mark.parametrize("name", MESSAGES)
def test_a_thousand_times_the_message_is_a_thousand_times_the_work_at_most(name: str) -> None:
    small, large = MESSAGES[name](SMALL), MESSAGES[name](LARGE)
    outcome(small, NO_LIMIT)  # tables that are loaded once

    one, two = work_of(small, NO_LIMIT), work_of(large, NO_LIMIT)

    assert one.steps > 20, "it was read"
    assert_grows_with(one, two, len(small), len(large) / len(small))
    largest = MESSAGES[name](LARGEST_EDIFACT if name.startswith("edifact") else LARGEST)
    assert_grows_with(two, work_of(largest, LIMITS), len(large), len(largest) / len(large))


STATEMENTS = 100
"""Of a message that its reader takes whole, however large it is."""
PAD = "which nobody reads, blanks and all "


def fat_text(name: str, first: str, last: str, before: str, pad: str) -> Callable[[int], bytes]:
    """STATEMENTS times a stretch of a fixture, each with so much of `pad` before `before` that it makes `size` bytes."""
    head, part, tail = between(text(name), first, last)
    *_, at = re.finditer(before, part)
    part_head, part_tail = part[: at.start()], part[at.start() :]
    spent = len(head) + len(tail) + STATEMENTS * len(part)

    def made(size: int) -> bytes:
        times = max(0, size - spent) // (STATEMENTS * len(pad))
        return (head + (part_head + pad * times + part_tail) * STATEMENTS + tail).encode()

    return made


def fat_json(name: str, *path: str | int) -> Callable[[int], bytes]:
    """STATEMENTS times the first item of the array at `path` of a fixture, each with a member that nobody reads."""

    def made(size: int) -> bytes:
        document = json.loads(text(name))
        node: Any = document
        for key in path:
            node = node[key]
        one = node[0]
        each = max(0, size // STATEMENTS - len(json.dumps(one))) // len(PAD)
        node[:] = [one | {"x": [PAD * (each // 4)] * 4} for _ in range(STATEMENTS)]
        return json.dumps(document).encode()

    return made


def lines_of_ours(size: int) -> bytes:
    """Our own JSON knows all of its members, so that blanks alone can be too many."""
    line = text("lovla.ndjson").splitlines()[0]
    return ((line[:-1] + " " * (size // STATEMENTS - len(line)) + "}\n") * STATEMENTS).encode()


FAT: dict[str, tuple[int, Callable[[int], bytes]]] = {
    "lovla": (LARGEST, lines_of_ours),
    "dcsa": (LARGEST, fat_json("dcsa.json")),
    "dcsa 3.0": (LARGEST, fat_json("dcsa_30_january.json", "events")),
    "epcis": (LARGEST, fat_json("epcis.json", "epcisBody", "eventList")),
    "one_record": (LARGEST, fat_json("one_record.json")),
    "mapped": (LARGEST, fat_json("mapped_json.json", "shipments")),
    "x12: 214": (6_000_000, fat_text("x12_214.edi", r"ST\*214", r"SE\*[^$]*\$\s*", r"SE\*", f"K1*{PAD * 4}$\n")),
    "x12: 315": (6_000_000, fat_text("x12_315.edi", r"ST\*315", r"SE\*[^~]*~\s*", r"SE\*", f"K1*{PAD * 4}~\n")),
    "x12: 322": (6_000_000, fat_text("x12_322.edi", r"ST\*322", r"SE\*[^~]*~\s*", r"SE\*", f"K1*{PAD * 4}~\n")),
    "x12: 856": (LARGEST, fat_text("x12_856.edi", r"ST\*856", r"SE\*[^~]*~\s*", r"SE\*", f"REF*ZZ*{PAD * 4}~\n")),
    "edifact": (4_000_000, fat_text("edifact_iftsta.edi", r"UNH\+1\+", r"UNT\+[^']*'\s*", "UNT", f"FTX+AAI+++{PAD * 15}'\n")),
    "cargo_imp": (2_000_000, fat_text("fsu.txt", "FSU/", r"DEP/[^\n]*\n", r"\Z", f"OSI/{PAD}\r\n")),
    "cargo_xml": (
        4_000_000,
        fat_text("xfsu.xml", "<ram:ReportedStatus>", "</ram:ReportedStatus>", "</ram:R", f"<ram:Note>{PAD * 20}</ram:Note>"),
    ),
    "wrapped": (4_000_000, lambda size: json.dumps({"messageRaw": FAT["edifact"][1](size).decode()}).encode()),
}
"""Messages that are read to their end, and the bytes up to which: 10 MB, or what their reader takes of so many statements (a
set of X12 64 KiB, EDIFACT and Cargo-XML 4 MiB, Cargo-IMP 2)."""


@pytest.mark.parametrize("name", FAT)
def test_a_message_that_is_read_to_its_end_takes_work_as_it_grows(name: str) -> None:
    largest, made = FAT[name]
    outcome(made(1), LIMITS)  # tables that are loaded once
    works = []
    for size in (100_000, 1_000_000, largest):
        content = made(size)
        assert 0.7 * size < len(content) < 1.5 * size
        work, found = watched(content, LIMITS)
        assert isinstance(found, Reading), f"refused: {found}"
        assert len(found.verdicts) >= STATEMENTS
        assert found.events or any(verdict.asked for verdict in found.verdicts)
        works.append((len(content), work))
    for (small, one), (large, two) in pairwise(works):
        assert_grows_with(one, two, small, large / small)


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_takes_twenty_times_its_size_at_most(name: str) -> None:
    content, large = MESSAGES[name](MEMORY_OF), MESSAGES[name](MEMORY_OF_LARGE)
    walked_through(MESSAGES[name](1))  # tables that are loaded once: the airports' alone takes 8 MB
    kept(MESSAGES[name](1))

    for walk, message, beside in (
        (walked_through, content, MEMORY_BESIDE),  # by whoever takes one event at a time, however many there are
        (kept, content, MEMORY_BESIDE),  # by the door and the readers stage, which keep them until the last is read
        (kept, large, 0),
    ):
        most = MEMORY_AT_MOST * len(message) + beside
        if (peak := peak_of(walk, message)) >= most:
            peak = peak_of(walk, message)  # a table of what all messages share may have doubled just then
        said = f"{walk.__name__}: {peak / len(message):.1f} times {len(message)} bytes"
        assert peak < most, said


SMALL_PARTS = {
    "empty objects": "{},",
    "arrays in arrays": "[[[]]],",
    "objects in objects": '{"a":{}},',
    "numbers": "-9,",
    "one letter of two bytes": '"\u0100",',
    "names": "",  # of one object: each another
}
AROUND: dict[str, Callable[[str], str]] = {
    "alone": lambda values: f"[{values}]",
    "lines": lambda values: f"[{values}]\n" * 4,
    "events": lambda values: f'{{"events":[{values}]}}',
    "in an event of ours": lambda values: f'{{"milestone":"received","references":[{values}]}}',
    "in DCSA": lambda values: f'[{{"eventType":"TRANSPORT","eventClassifierCode":"ACT","documentReferences":[{values}]}}]',
    "in EPCIS": lambda values: (
        f'{{"type":"EPCISDocument","epcisBody":{{"eventList":[{{"type":"ObjectEvent","epcList":[{values}]}}]}}}}'
    ),
    "in ONE Record": lambda values: f'{{"@context":{{}},"@graph":[{values}]}}',
    "in what nobody reads of DCSA": lambda values: in_a_fixture("dcsa.json", values, 0),
    "in what nobody reads of EPCIS": lambda values: in_a_fixture("epcis.json", values, "epcisBody", "eventList", 0),
    "in what nobody reads of ONE Record": lambda values: in_a_fixture("one_record.json", values, 0),
    "for a mapping": lambda values: f'{{"feed":"harbor-road","shipments":[{values}]}}',
}


def in_a_fixture(name: str, values: str, *path: str | int) -> str:
    """The fixture with these values in an unknown member of what stands at `path`."""
    document = json.loads(text(name))
    node = document
    for key in path:
        node = node[key]
    node["x"] = "@"
    return json.dumps(document).replace('"@"', f"[{values}]")


@pytest.mark.parametrize(
    ("name", "place"),
    [*((name, "alone") for name in SMALL_PARTS), *((name, place) for name in ("numbers", "names") for place in AROUND)],
)
def test_json_of_next_to_nothing_takes_twenty_times_its_size_at_most(name: str, place: str) -> None:
    part, size = SMALL_PARTS[name], MEMORY_OF_SMALL_PARTS
    values = part * (size // len(part.encode())) + "0" if part else f"{{{','.join(names_of(size))}}}"
    content = AROUND[place](values).encode()
    kept(AROUND[place]("0").encode())  # tables that are loaded once

    peak = peak_of(kept, content)

    assert peak < MEMORY_AT_MOST * len(content), f"{peak / len(content):.1f} times {len(content)} bytes"


def test_a_long_name_or_prefix_of_many_values_is_not_written_for_each_of_them() -> None:
    document = json.loads(text("epcis.json"))
    long = "https://ns.example.com/" + "x" * 20_000 + "/"
    for members in ({"ex:x": [1] * 5_000}, {"epcList": ["ex:1"] * 5_000}, {long: [1] * 5_000}):
        event = document["epcisBody"]["eventList"][0] | members
        body = {"eventList": [event]}
        content = json.dumps(document | {"@context": [{"ex": long}], "epcisBody": body}).encode()
        kept(content)

        assert peak_of(kept, content) < MEMORY_AT_MOST * len(content) + 6 * MEMORY_BESIDE


def test_a_registration_of_next_to_nothing_takes_twenty_times_its_size_at_most() -> None:
    meta = RawMessage(kind="registration", sender="LACDHS", scopes=("register",), sha256="ab" * 32)
    for part in ("{},", "-9,"):
        for head in ("[", '{"consignment":"LACDHS-1","items":['):
            content = (head + part * (MEMORY_OF_SMALL_PARTS // len(part)) + "0]" + "}" * head.count("{")).encode()

            peak = peak_of(lambda body: commands_or_refusal(meta, body), content)

            assert peak < MEMORY_AT_MOST * len(content), f"{head}{part}: {peak / len(content):.1f} times"


def commands_or_refusal(meta: RawMessage, body: bytes) -> None:
    with contextlib.suppress(Unreadable):
        read_commands(meta, body, context().received_at)


def names_of(size: int) -> list[str]:
    return [f'"{number:x}":1' for number in range(size // 9)]


def walked_through(content: bytes) -> None:
    for _ in statements(content, None, None, context(), NO_LIMIT):
        pass


def kept(content: bytes) -> Read:
    meta = RawMessage(kind="message", sender=fuzz.SENDER, sha256="ab" * 32)
    return read_message(meta, content, context().received_at, registers(), 0, 0)


def peak_of(work: Callable[[bytes], object], content: bytes) -> int:
    """The most memory that is held at a time, what comes out included; bytes. Cycles are looked for as often as Python does by
    itself: how much of them waits for a process that looks less often is bounded by services/runtime/garbage.py."""
    usual = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    tracemalloc.start()
    try:
        found = work(content)
        _, peak = tracemalloc.get_traced_memory()
        del found
    finally:
        tracemalloc.stop()
        gc.set_threshold(*usual)
    return peak


def test_work_that_grows_with_the_square_is_seen() -> None:
    def quadratic(content: bytes) -> Work:
        work = Work()
        rest = content.decode()
        with work.counted():
            while rest:
                rest = rest.partition("\n")[2]
        return work

    one, two = quadratic(b"a\n" * 500), quadratic(b"a\n" * 10_000)

    assert two.bytes_of_texts / one.bytes_of_texts > 20 * GROWS_AT_MOST


def test_every_reader_has_a_message_that_grows() -> None:
    """gzip: test_body.py."""
    for messages in (MESSAGES, FAT):
        assert set(fuzz.READERS) - {"gzip"} <= {name.partition(":")[0].partition(" ")[0] for name in messages}
