"""Whatever the bytes: a reading, or Unreadable with a code, a place and a sentence. Never another error."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ingest.readers import Reading, Unreadable, detect, read
from tests.unit.readers.damage import Damage, damaged, damages
from tests.unit.readers.helpers import FIXTURES, context_at

CONTEXT = context_at("2020-04-01T00:00:00Z")
MESSAGES = [(FIXTURES / name).read_bytes() for name in ("dcsa.json", "lovla.ndjson", "x12_315.edi", "x12_214.edi", "fsu.txt")]
HINTS = [None, "dcsa.2.2", "lovla.1", "x12.315", "x12.214", "cargo_imp.fsu", "epcis.2.0"]
ISA = "ISA*00*          *00*          *ZZ*SOURCE         *ZZ*TARGET         *220524*1120*U*00401*000000001*0*P*>~"
CAREFUL = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


def check(content: bytes, hint: str | None = None) -> None:
    """Read it; all that comes out must be fit for the wire."""
    try:
        reading = read(content, None, hint, CONTEXT)
    except Unreadable as error:
        assert error.code and error.text
        return
    assert isinstance(reading, Reading) and reading.verdicts
    for verdict in reading.verdicts:
        assert (verdict.event is None) != (verdict.problem is None)
        if verdict.event is not None:
            assert verdict.event.model_validate_json(verdict.event.model_dump_json()) == verdict.event
        if verdict.problem is not None:
            assert verdict.problem.code and verdict.problem.text and isinstance(verdict.problem.payload, bytes)


@CAREFUL
@given(st.binary(max_size=400), st.sampled_from(HINTS))
def test_any_bytes(content: bytes, hint: str | None) -> None:
    check(content, hint)


@CAREFUL
@given(st.text(alphabet=' \n\r~*>/|ISAGSTEB4QONR9DTM140FU-PKLHCX:{}[]",é\x00\x1d\x85', max_size=300), st.sampled_from(HINTS))
def test_any_text_of_the_letters_that_messages_use(text: str, hint: str | None) -> None:
    check(text.encode("utf-8", "replace"), hint)


@CAREFUL
@given(
    st.sampled_from(MESSAGES),
    damages(10_000),
    st.sampled_from(HINTS),
)
def test_a_message_that_was_damaged_on_its_way(content: bytes, harm: Sequence[Damage], hint: str | None) -> None:
    check(damaged(content, harm), hint)


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3), max_leaves=8
)


@CAREFUL
@given(st.data(), st.sampled_from(MESSAGES[:2]))
def test_json_events_with_any_value_in_any_field(data: st.DataObject, content: bytes) -> None:
    is_lines = not content.startswith(b"[")
    events = [json.loads(line) for line in content.splitlines()[:1]] if is_lines else json.loads(content)
    event = data.draw(st.sampled_from(events))
    for key in data.draw(st.lists(st.sampled_from(sorted(event)), min_size=1, max_size=3)):
        event[key] = data.draw(values)
    check(json.dumps(event, ensure_ascii=True).encode(), "lovla.1" if is_lines else "dcsa.2.2")


@CAREFUL
@given(
    st.lists(st.lists(st.text(alphabet="ABCDE0123456789 LUMRSU-é\x01", max_size=12), max_size=14), max_size=8),
    st.sampled_from(["315", "214"]),
)
def test_x12_sets_of_any_elements(segments: list[list[str]], kind: str) -> None:
    names = ["B4", "N9", "Q2", "R4", "DTM", "AT7", "MS1", "MS2", "L11", "B10", "N1", "LX"]
    body = [f"ST*{kind}*1", f"B4***VD*20200330*0800**{'*'.join(segments[0]) if segments else ''}", "B10*1*2*3"]
    body += ["*".join([names[(len(parts) + index) % len(names)], *parts]) for index, parts in enumerate(segments)]
    check((ISA + "GS*QO*A*B*20200330*0800*1*X*004010~" + "~".join(body) + "~SE*1*1~").encode())


@pytest.mark.parametrize(
    "content",
    [
        "ISA*~" * 200_000 + "GS*",
        "ISA*\n>GS*" + "\n" * 1_000_000,
        ISA + "\nGS*a~" + "A~" * 1_000_000,
        ISA + "GS*QO~" + "ST*315~SE~" * 200_000,
        ISA + "GS*QM~ST*214*1~" + "L11*AAAAAAAA*BM~" * 3_000 + "AT7*D1*NS***20200330*1200*LT~" * 400,
        "FSU/14\n020-12345675FRAJFK/T1K100\n" + " /" * 500_000,
        "FSU/14 " * 200_000,
        "FSU/14\n020-12345675FRAJFK/T1K100\na" + " " * 1_000_000 + "b",
        "FSU/14\n020-12345675FRAJFK/T1K100\n" + "\n" * 1_000_000,
        '{"a":1}\n' * 200_000,
        '[{"eventType":"EQUIPMENT","eventDateTime":""}' + ',{"eventType":1}' * 999 + "]",
    ],
)
def test_what_was_made_to_keep_us_busy_does_not(content: str) -> None:
    begin = time.process_time()
    check(content.encode())

    assert time.process_time() - begin < 10


@pytest.mark.parametrize(
    ("content", "code", "name"),
    [
        ("", "empty", "nothing"),
        ("[]", "empty", "no event"),
        ("UNB+UNOC:2+A+B+220101:1021+1'", "no_messages", "EDIFACT"),
        ("<?xml version='1.0'?><a/>", "unsupported_standard", "XML"),
        ('{"callbackUrl": "x"}', "unsupported_standard", "subscription"),
        ('{"@context": {}, "@type": "Thing"}', "unsupported_standard", "JSON-LD"),
        ('{"hello": 1}', "unknown_format", "no form"),
        ("PLS CFM ETA ASAP", "unknown_format", "neither"),
        ("\x1f\x8b...", "unsupported_standard", "gzip"),
        ("\xff\xfeI\0S\0A\0", "unsupported_standard", "UTF-16"),
        ("\xfe\xff\0[", "unsupported_standard", "UTF-16"),
    ],
)
def test_what_cannot_be_read_is_named(content: str, code: str, name: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(content.encode("latin-1"), None, None, CONTEXT)

    assert caught.value.code == code
    assert name in caught.value.text


@pytest.mark.parametrize(
    ("content", "family"),
    list(zip(MESSAGES, ["dcsa.2.2", "lovla.1", "x12", "x12", "cargo_imp.fsu"], strict=True)),
    ids=["dcsa", "lovla", "315", "214", "fsu"],
)
def test_each_family_is_told_from_its_bytes(content: bytes, family: str) -> None:
    assert detect(content, None, None) == family
    assert detect(b"\xef\xbb\xbf" + content, None, None) == family


def test_the_doors_word_is_believed() -> None:
    assert detect(b"anything", None, "dcsa.2.2") == "dcsa.2.2"
    assert detect(b"anything", None, "x12.315") == "x12"


def test_more_events_than_a_message_may_hold_are_refused() -> None:
    event = {
        "milestone": "arrived",
        "occurred_at": "2020-03-30T00:00:00Z",
        "references": [{"kind": "container", "value": "MRSU4371639"}],
    }
    with pytest.raises(Unreadable) as caught:
        read(json.dumps([event] * 1001).encode(), None, None, CONTEXT)

    assert caught.value.code == "too_many_events"
