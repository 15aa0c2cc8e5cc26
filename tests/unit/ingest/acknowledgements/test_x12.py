"""997 and 999: what they say of each set, read back by our own tokeniser."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest

from services.ingest.acknowledgements import Form, NotAcknowledged, acknowledge, form_for, unread
from services.ingest.readers import Unreadable
from services.ingest.readers.x12_segments import decode, interchanges_of, sets_of
from tests.unit.readers.helpers import FIXTURES, context_at, read_text
from tests.unit.readers.test_x12 import CLEAN, ISA, UV, message

AT = datetime(2020, 4, 2, 1, 2, tzinfo=UTC)
CONTEXT = context_at("2020-04-02T00:00:00Z")
ONE_SET = CLEAN
X12_FORMS: tuple[Form, ...] = ("997", "999")


def answer(content: str | bytes, form: Form = "997", control: int = 17, **more: Any) -> bytes:
    body = content.encode() if isinstance(content, str) else content
    return acknowledge(body, read_text(body, CONTEXT), at=more.get("at", AT), control=control, form=form)


def segments(written: bytes) -> list[list[str]]:
    """All segments of all interchanges, as their elements."""
    text, warnings = decode(written)
    assert warnings == []
    return [list(segment.elements) for interchange in interchanges_of(text) for segment in interchange]


def body(written: bytes) -> Sequence[str]:
    """What stands between AK1 and SE, as text."""
    found = ["*".join(elements) for elements in segments(written)]
    return [text for text in found if text[:2] in ("AK", "IK", "TA")]


@pytest.mark.parametrize("form", X12_FORMS)
@pytest.mark.parametrize("name", ["x12_214", "x12_214_stops", "x12_315", "x12_315_voyage", "x12_322", "x12_856"])
def test_an_answer_is_an_interchange_in_which_nothing_is_wrong(name: str, form: Form) -> None:
    written = answer((FIXTURES / f"{name}.edi").read_bytes(), form)
    assert written.isascii() and written.partition(b"\n")[0].endswith(b"*>~") and written[:106].count(b"*") == 16
    sets, warnings = sets_of(decode(written)[0])
    assert warnings == []
    assert [(one.kind, one.warnings) for one in sets] == [(form, [])]


def test_it_is_addressed_back_numbered_and_timed_by_its_arguments() -> None:
    isa, gs, *_ = segments(answer(ONE_SET, control=4711, at=AT.astimezone(timezone(timedelta(hours=-7)))))
    assert isa[5:9] == ["ZZ", "LOVLA", "ZZ", "COSU"]
    assert isa[9:14] == ["200402", "0102", "U", "00401", "000004711"]
    assert gs == ["GS", "FA", "LOVLA", "COSU", "20200402", "0102", "4711", "X", "004010"]


def test_a_set_that_was_read_is_accepted() -> None:
    assert body(answer(ONE_SET)) == ["AK1*QO*77", "AK2*315*1", "AK5*A", "AK9*A*1*1*1"]


def test_a_999_quotes_the_versions() -> None:
    text = ONE_SET.replace("ST*315*1", "ST*315*1*004010")
    written = answer(text, "999")
    assert body(written) == ["AK1*QO*77*004010", "AK2*315*1*004010", "IK5*A", "AK9*A*1*1*1"]
    assert ["ST", "999", "0001", "005010X231A1"] in segments(written)
    assert segments(written)[0][11:13] == ["^", "00501"]


@pytest.mark.parametrize(
    ("segment", "told"),
    [
        (UV.replace("20200328", "2020"), ["AK3*B4*2**8", "AK4*4**8*2020", "AK5*R*5", "AK9*R*1*1*0"]),
        (UV.replace("20200328", ""), ["AK3*B4*2**8", "AK4*4**1", "AK5*R*5", "AK9*R*1*1*0"]),
        (UV.replace("20200328", "20200230"), ["AK3*B4*2**8", "AK4*4**8*20200230", "AK5*R*5", "AK9*R*1*1*0"]),
        (UV.replace("2130", "2560"), ["AK3*B4*2**8", "AK4*5**9*2560", "AK5*R*5", "AK9*R*1*1*0"]),
        (UV.replace("UV", ""), ["AK3*B4*2**8", "AK4*3**1", "AK5*R*5", "AK9*R*1*1*0"]),
        (UV.replace("UV", "QQ"), ["AK3*B4*2**8", "AK4*3**7*QQ", "AK5*E*5", "AK9*E*1*1*1"]),
        ("N9*BM*X", ["AK3*B4*1**3", "AK5*R*5", "AK9*R*1*1*0"]),
        (UV.replace("20200328", "20170328"), ["AK3*B4*2**8", "AK4*4**8*20170328", "AK5*R*5", "AK9*R*1*1*0"]),
    ],
)
def test_what_is_wrong_is_told_by_segment_and_element(segment: str, told: list[str]) -> None:
    assert list(body(answer(message(segment))))[2:] == told


@pytest.mark.parametrize(
    ("kind", "parts", "told"),
    [
        ("214", ["B10***HBRT", "LX*1", "AT7*D1*NS***20200328*1000*PT"], "L11*4"),
        ("315", ["B4***VD*20200328*2130"], "N9*2"),
        ("322", ["Q5*OA*20200328*1000*PT", "N7*FREE*TEXT"], "N9*3"),
    ],
)
def test_what_nothing_names_lacks_a_segment_and_none_of_its_elements_is_wrong(kind: str, parts: list[str], told: str) -> None:
    text = message(*parts, kind=kind)
    assert list(body(answer(text)))[2:-1] == [f"AK3*{told}**3", "AK5*R*5"]
    assert list(body(answer(text, "999")))[2:-1] == [f"IK3*{told}**I6", "IK5*R*5"]


def test_a_set_without_a_status_lacks_it_and_a_unit_outside_of_the_fence_has_a_bad_date() -> None:
    assert list(body(answer(message("B10*P1**HBRT", kind="214"))))[2:-1] == ["AK3*AT7*1**3", "AK5*R*5"]
    late = message("Q5*OA*20170328*1000*PT", "N7*MRSU*437163", kind="322")
    assert list(body(answer(late)))[2:-1] == ["AK3*Q5*2**8", "AK4*2**8*20170328", "AK5*R*5"]


@pytest.mark.parametrize("form", X12_FORMS)
@pytest.mark.parametrize("name", ["x12_214", "x12_214_stops", "x12_315", "x12_315_voyage", "x12_322", "x12_856"])
def test_a_segment_that_is_told_to_have_errors_in_its_elements_is_followed_by_them(name: str, form: Form) -> None:
    said = body(answer((FIXTURES / f"{name}.edi").read_bytes().replace(b"2020", b"2016"), form))
    for one, after in pairwise(said):
        if one[1:3] == "K3":
            assert (one.split("*")[4] == "8") == (after[1:3] == "K4")


def test_a_999_tells_the_same_in_its_own_segments() -> None:
    said = list(body(answer(message(UV.replace("2130", "2560")), "999")))
    assert said[2:] == ["IK3*B4*2**8", "IK4*5**9*2560", "IK5*R*5", "AK9*R*1*1*0"]


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("SE*3*1", "SE*9*1", ["AK5*E*4", "AK9*E*1*1*1"]),
        ("SE*3*1", "SE*3*2", ["AK5*E*3", "AK9*E*1*1*1"]),
        ("SE*3*1~\n", "", ["AK5*E*2", "AK9*E*1*1*1"]),
        ("GE*1*77", "GE*2*77", ["AK5*A", "AK9*E*2*1*1*5"]),
        ("GE*1*77", "GE*1*78", ["AK5*A", "AK9*E*1*1*1*4"]),
        ("GE*1*77~\n", "", ["AK5*A", "AK9*E*1*1*1*3"]),
    ],
)
def test_wrong_trailers_are_told_and_cost_no_set(right: str, wrong: str, told: list[str]) -> None:
    assert list(body(answer(ONE_SET.replace(right, wrong))))[2:] == told


def test_one_bad_status_of_two_leaves_the_set_accepted_with_errors() -> None:
    statuses = ("LX*1", "AT7*D1*NS***20200328*1000*PT", "AT7*X1*NS***2020*1000*PT")
    said = list(body(answer(message("B10*P1**HBRT", *statuses, kind="214"))))
    assert said[2:] == ["AK3*AT7*5**8", "AK4*5**8*2020", "AK5*E*5", "AK9*E*1*1*1"]


def test_a_set_that_is_no_status_is_rejected_as_not_supported() -> None:
    said = list(body(answer(message("B2A*00", kind="204"))))
    assert said[1:] == ["AK2*204*1", "AK5*R*1", "AK9*R*1*1*0"]


def test_of_ten_sets_with_one_bad_one_the_group_is_accepted_in_part() -> None:
    sets = "".join(f"ST*315*{n}~\n" + UV.replace("437163", f"43716{n}") + f"~\nSE*3*{n}~\n" for n in range(10))
    bad = sets.replace("ST*315*4~\nB4***UV*20200328", "ST*315*4~\nB4***UV*2020")
    text = ISA + "~\nGS*QO*A*B*20200329*1205*77*X*004010~\n" + bad + "GE*10*77~\nIEA*1*000000077~\n"
    assert body(answer(text))[-1] == "AK9*P*10*10*9"


def test_each_group_has_an_answer_and_each_interchange() -> None:
    twice = ONE_SET.replace("IEA*1", "GS*QO*COSU*LOVLA*20200329*1205*78*X*004010~\nGE*0*78~\nIEA*2")
    found = segments(answer(twice + ONE_SET))
    assert [elements[:2] for elements in found if elements[0] == "AK1"] == [["AK1", "QO"]] * 3
    assert [elements[13] for elements in found if elements[0] == "ISA"] == ["000000017", "000000018"]


@pytest.mark.parametrize("set_id", ["997", "999"])
def test_an_acknowledgement_is_never_acknowledged(set_id: str) -> None:
    text = message("AK1*QO*1", kind=set_id).replace("GS*QO", "GS*FA")
    with pytest.raises(NotAcknowledged) as caught:
        answer(text)
    assert caught.value.code == "nothing_to_answer"


def test_a_ta1_is_sent_where_it_is_asked_for() -> None:
    asking = ONE_SET.replace("*0*P*>", "*1*P*>")
    assert body(answer(asking))[0] == "TA1*000000077*200329*1205*A*000"
    assert body(answer(asking.replace("IEA*1*000000077", "IEA*1*000000078")))[0].endswith("*E*001")
    assert body(answer(asking.replace("IEA*1*", "IEA*3*")))[0].endswith("*E*021")
    assert body(answer(asking.replace("IEA*1*000000077~", "")))[0].endswith("*E*023")


def test_a_message_that_could_not_be_read_is_rejected_whole() -> None:
    nothing = unread("x12", Unreadable("too_many_events", "", "many"))
    said = body(acknowledge(ONE_SET.encode(), nothing, at=AT, control=1))
    assert list(said)[1:] == ["AK2*315*1", "AK5*R", "AK9*R*1*1*0"]


def test_without_envelope_or_form_there_is_no_answer() -> None:
    damaged = unread("x12", Unreadable("bad_delimiters", "segment 1 (ISA)", "damaged"))
    for content, reading, code in (
        (b"ISA*nothing", damaged, "no_envelope"),
        (b"{}", unread("dcsa.2.2", Unreadable("empty", "", "")), "no_form"),
        (b"{}", unread(None, Unreadable("empty", "", "")), "no_form"),
    ):
        with pytest.raises(NotAcknowledged) as caught:
            acknowledge(content, reading, at=AT, control=1)
        assert caught.value.code == code
    assert (form_for("x12"), form_for("lovla.1"), form_for(None)) == ("997", None, None)


@pytest.mark.parametrize("hostile", ["a*b", "x>y", "\u202e\x1b[31m", "é" * 300, "\x00"])
def test_what_is_quoted_of_a_message_breaks_no_answer(hostile: str) -> None:
    other = message(UV.replace("20200328", hostile)).replace("~", "$").replace("*ZZ*COSU ", f"*ZZ*{hostile[:3]} ")
    written = answer(other)
    assert written.isascii() and b"\x1b" not in written
    assert sets_of(decode(written)[0])[1] == []
