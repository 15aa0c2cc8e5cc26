"""The part of a message that an event was read from, found again by the place that its reader wrote down."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.console.rawview import parts, unpacked

ISA = "ISA*00*          *00*          *ZZ*MAEU           *ZZ*LOVLA          *200411*0940*U*00401*000000017*0*P*>"
X12 = f"{ISA}~GS*QM*MAEU*LOVLA*20200411*0940*17*X*004010~ST*214*0001~B10*1*2*MAEU~AT7*X1*NS***20200411*0940~SE*4*0001~"
EDIFACT = "UNA:+.? 'UNB+UNOA:2+MAEU+LOVLA+200411:0940+17'UNH+1+COARRI:D:95B:UN'FTX+AAI+++it?'s late'EQD+CN+MRSU4371639'"
LIST = '[{"a": 1}, {"b": [10, {"c/d": "x\\"]"}]}]'


def hits(text: str, position: str) -> list[str]:
    return [part.text for part in parts(text, position) if part.hit]


@pytest.mark.parametrize(
    ("text", "position", "hit"),
    [
        (X12, "segment 5 (AT7)", "AT7*X1*NS***20200411*0940~"),
        (X12.replace("~", "~\r\n"), "segment 5 (AT7)", "\r\nAT7*X1*NS***20200411*0940~"),
        (EDIFACT, "segment 1 (UNB)", "UNB+UNOA:2+MAEU+LOVLA+200411:0940+17'"),
        (EDIFACT, "segment 3 (FTX)", "FTX+AAI+++it?'s late'"),
        (EDIFACT, "segment 4 (EQD)", "EQD+CN+MRSU4371639'"),
        ("FSU/12\n020-123\nRCF/LH456\n", "line 3", "RCF/LH456\n"),
        ("a,b\n1,2\n3,4\n", "row 3, column b", "3,4\n"),
        (LIST, "/1", '{"b": [10, {"c/d": "x\\"]"}]}'),
        (LIST, "/1/b/0", "10"),
        (LIST, "/1/b/1/c~1d", '"x\\"]"'),
        ('{"events": [{"x": 1}, {"y": 2}]}', "/events/1", '{"y": 2}'),
    ],
)
def test_the_place_is_found(text: str, position: str, hit: str) -> None:
    assert hits(text, position) == [hit]


@pytest.mark.parametrize("position", ["", "/9", "/0/zz", "/1/b/x", "segment 99 (AT7)", "line 7", "somewhere"])
def test_what_is_not_found_marks_nothing_and_leaves_nothing_out(position: str) -> None:
    for text in (X12, EDIFACT, LIST, '{"broken": '):
        assert "".join(part.text for part in parts(text, position)) == text
    assert hits(LIST, position) == []


@settings(max_examples=50)
@given(st.text(), st.sampled_from(["segment 2 (ST)", "line 2", "row 1", "/0", "/a/b", ""]))
def test_the_parts_joined_are_the_message(text: str, position: str) -> None:
    assert "".join(part.text for part in parts(text, position)) == text


@settings(max_examples=50)
@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_a_pointer_leads_to_its_value(value: object) -> None:
    document = {"before": [value], "it": [0, value]}
    hit = hits(json.dumps(document, indent=1), "/it/1")
    assert [json.loads(one) for one in hit] == [value]


def test_a_bomb_is_not_unpacked() -> None:
    assert unpacked(gzip.compress(b"x")) == b"x"
    with pytest.raises(ValueError, match="larger"):
        unpacked(gzip.compress(b"\0" * (21 * 1024 * 1024)))
    with pytest.raises(ValueError, match="is not"):
        unpacked(b"plain")
