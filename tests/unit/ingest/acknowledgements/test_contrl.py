"""CONTRL: what it says of interchange, groups, messages and segments, read back by our own tokens and by pydifact."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydifact.segmentcollection import Interchange as Theirs

from schemas.registers_v1 import Sender
from services.ingest.acknowledgements import NotAcknowledged, acknowledge, form_for, unread
from services.ingest.readers import Context, Registers, Unreadable
from services.ingest.readers.edifact_segments import Segment, interchanges
from tests.unit.readers.helpers import FIXTURES, context_at, read_text
from tests.unit.readers.test_edifact import GROUPED, PLAIN, iftsta

AT = datetime(2020, 4, 2, 1, 2, tzinfo=UTC)
LATE = context_at("2020-03-31T00:00:00Z", "COSU")
GOOD = iftsta("STS+1+21'", "DTM+334:202003150630UTC:303'")


def answer(text: str | bytes, context: Context = LATE, control: int = 17, at: datetime = AT) -> bytes:
    body = text.encode() if isinstance(text, str) else text
    return acknowledge(body, read_text(body, context), at=at, control=control)


def ours(written: bytes) -> list[Segment]:
    """Its segments, after our own reader has found nothing wrong with them."""
    found: list[Segment] = []
    for interchange in interchanges(written):
        for message in interchange.messages():
            assert (message.kind, message.release, message.warnings) == ("CONTRL", "D.3", [])
            found += message.segments
        assert interchange.warnings == []
    return found


def told(written: bytes) -> Sequence[str]:
    """What stands between UNH and UNT, as text."""
    return [segment.raw for segment in ours(written)]


@pytest.mark.filterwarnings("ignore:segments.xml not found")  # pydifact has no directories to check service segments by
@pytest.mark.parametrize("name", ["edifact_iftsta", "edifact_coarri", "edifact_codeco"])
def test_our_own_reader_and_pydifact_read_the_same_back(name: str) -> None:
    written = answer((FIXTURES / f"{name}.edi").read_bytes())
    (message,) = Theirs.from_str(written.decode("ascii")).get_messages()

    assert message.type == "CONTRL"
    plain = [[segment.tag, *segment.elements] for segment in message.segments]
    assert plain == [[list(one) if isinstance(one, tuple) else one for one in segment.elements] for segment in ours(written)]


def test_it_is_addressed_back_numbered_and_timed_by_its_arguments() -> None:
    written = answer(PLAIN, control=4711, at=AT.astimezone(timezone(timedelta(hours=-7)))).decode().splitlines()

    assert written[0] == "UNB+UNOB:3+LOVLA:ZZZ+COSU:ZZZ+200402:0102+4711'"
    assert written[1] == "UNH+1+CONTRL:D:3:UN'"
    assert written[-2:] == ["UNT+4+1'", "UNZ+1+4711'"]


@pytest.mark.parametrize(
    ("sender", "level"), [("COSU", "UNOB"), ("Co (1/2)", "UNOB"), ("ab_c", "UNOC"), ("a@b", "UNOC"), ("A#1", "UNOC")]
)
def test_its_level_has_every_character_that_it_quotes(sender: str, level: str) -> None:
    written = answer(PLAIN.replace("COSU:ZZZ+", f"{sender}:ZZZ+")).decode()

    assert written.startswith(f"UNB+{level}:3+LOVLA:ZZZ+{sender}:ZZZ+")


def test_a_message_that_was_read_is_acknowledged() -> None:
    assert told(answer(PLAIN)) == ["UCI+4711+COSU:ZZZ+LOVLA:ZZZ+7", "UCM+1+IFTSTA:D:00B:UN+7"]


def test_what_is_wrong_is_told_by_message_segment_and_element() -> None:
    """The fixture's third message has a code of no map (STS, its fourth segment), the fourth a bad time (its fifth)."""
    assert told(answer((FIXTURES / "edifact_iftsta.edi").read_bytes())) == [
        "UCI+4711+COSU:ZZZ+LOVLA:ZZZ+7",
        "UCM+1+IFTSTA:D:00B:UN+7",
        "UCM+2+IFTSTA:D:00B:UN+7",
        "UCM+3+IFTSTA:D:00B:UN+7",
        "UCS+4",
        "UCD+14+3:1",
        "UCM+4+IFTSTA:D:00B:UN+7",
        "UCS+5",
        "UCD+12+2:2",
        "UCM+5+IFTSAI:D:00B:UN+4+17+UNH+3:1",
    ]


def test_wrong_counts_and_references_and_a_missing_time() -> None:
    assert told(answer((FIXTURES / "edifact_coarri.edi").read_bytes())) == [
        "UCI+88+PIER4:ZZ+LOVLA+7+29+UNZ",
        "UCM+7+COARRI:D:95B:UN+7+29+UNT",
        "UCS+20+13",
        "UCM+8+COARRI:D:00B:UN+7",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("UNZ+1+4711", "UNZ+1+4712"), ["UCI+4711+COSU:ZZZ+LOVLA:ZZZ+7+28+UNZ", "UCM+1+IFTSTA:D:00B:UN+7"]),
        (GOOD.partition("UNZ")[0], ["UCI+4711+COSU:ZZZ+LOVLA:ZZZ+7+13+UNZ", "UCM+1+IFTSTA:D:00B:UN+7"]),
        (GOOD.replace("UNT+6+1'", ""), ["UCI+4711+COSU:ZZZ+LOVLA:ZZZ+7", "UCM+1+IFTSTA:D:00B:UN+7+13+UNT"]),
        (GOOD.replace("STS+1+21", "STS+1"), ["UCI+4711+COSU:ZZZ+LOVLA:ZZZ+7", "UCM+1+IFTSTA:D:00B:UN+4", "UCS+4", "UCD+13+3"]),
        (
            GOOD.replace("STS+1+21'DTM+334:202003150630UTC:303'", "").replace("UNT+6", "UNT+4"),
            ["UCI+4711+COSU:ZZZ+LOVLA:ZZZ+7", "UCM+1+IFTSTA:D:00B:UN+4", "UCS+1+13"],
        ),
        (GOOD.replace("UNZ", "XYZ+1'UNZ"), ["UCI+4711+COSU:ZZZ+LOVLA:ZZZ+7+33+XYZ", "UCM+1+IFTSTA:D:00B:UN+7"]),
        (
            GOOD.replace("UTC:303'", "UTC:303'FTX+AAI+++Zürich'").replace("UNOC", "UNOA").replace("UNT+6", "UNT+7"),
            ["UCI+4711+COSU:ZZZ+LOVLA:ZZZ+7+21+UNB", "UCM+1+IFTSTA:D:00B:UN+7"],
        ),
        (
            GOOD.replace("COSU:ZZZ+", "CO?+SU?:ü:ZZZ+"),
            ["UCI+4711+CO?+SU?:.:ZZZ+LOVLA:ZZZ+7+21+UNB", "UCM+1+IFTSTA:D:00B:UN+7"],
        ),
        (
            GROUPED,
            ["UCI+4711+COSU:ZZZ+LOVLA:ZZZ+7", "UCF+77+A+B+7", "UCM+1+IFTSTA:D:00B:UN+7"],
        ),
        (
            GROUPED.replace("UNE+1+77", "UNE+2+77"),
            ["UCI+4711+COSU:ZZZ+LOVLA:ZZZ+7", "UCF+77+A+B+7+29+UNE", "UCM+1+IFTSTA:D:00B:UN+7"],
        ),
    ],
    ids=[
        *("interchange's number", "no UNZ", "no UNT", "no code", "no status", "stray segment", "characters", "released"),
        *("group", "group's count"),
    ],
)
def test_errors_of_every_level(text: str, said: list[str]) -> None:
    assert told(answer(text)) == said


def test_an_interchange_of_another_registered_sender_is_rejected_whole() -> None:
    registers = Registers.of(
        [Sender(code=code, kind="ocean_carrier", name=code) for code in ("COSU", "MAEU")],
        [],
    )
    context = context_at("2020-03-31T00:00:00Z", "MAEU", registers=registers)

    assert [problem.code for problem in read_text(GOOD, context).problems] == ["foreign_interchange"]
    assert told(answer(GOOD, context)) == ["UCI+4711+COSU:ZZZ+LOVLA:ZZZ+4+23+UNB"]


@pytest.mark.parametrize(("code", "error"), [("no_messages", "32"), ("too_many_events", "18")])
def test_an_interchange_of_which_nothing_was_read_is_rejected_whole(code: str, error: str) -> None:
    text = GOOD if code != "no_messages" else GOOD.partition("UNH")[0] + "UNZ+0+4711'"
    body = text.encode()
    written = acknowledge(body, unread("edifact", Unreadable(code, "", "a test")), at=AT, control=1)

    assert told(written) == [f"UCI+4711+COSU:ZZZ+LOVLA:ZZZ+4+{error}"]


def test_a_message_too_large_to_be_read_is_answered_from_its_head() -> None:
    body = (GOOD + "X" * 10_000_000).encode()
    begin = time.process_time()
    written = acknowledge(body, unread("edifact", Unreadable("too_large", "", "a test")), at=AT, control=1)

    assert told(written) == ["UCI+4711+COSU:ZZZ+LOVLA:ZZZ+4+18"]
    assert time.process_time() - begin < 1


def test_a_test_is_answered_by_a_test() -> None:
    written = answer(GOOD.replace("+4711'UNH", "+4711++++++1'UNH")).decode()

    assert written.startswith("UNB+UNOB:3+LOVLA:ZZZ+COSU:ZZZ+200402:0102+17++++++1'")


def test_each_interchange_of_a_file_has_its_answer_and_numbers_go_on() -> None:
    written = answer(GOOD + GOOD.replace("4711", "4712"))

    assert [line for line in written.decode().splitlines() if line.startswith("UNZ")] == ["UNZ+1+17'", "UNZ+1+18'"]
    assert told(written) == [
        "UCI+4711+COSU:ZZZ+LOVLA:ZZZ+7",
        "UCM+1+IFTSTA:D:00B:UN+7",
        "UCI+4712+COSU:ZZZ+LOVLA:ZZZ+7",
        "UCM+1+IFTSTA:D:00B:UN+7",
    ]


@pytest.mark.parametrize("text", ["UNH+1+IFTSTA:D:00B:UN'UNT+2+1'", GOOD.replace("IFTSTA", "CONTRL")], ids=["no UNB", "CONTRL"])
def test_what_nobody_answers(text: str) -> None:
    with pytest.raises(NotAcknowledged) as caught:
        answer(text)

    assert caught.value.code == "nothing_to_answer"


def test_no_997_answers_edifact() -> None:
    assert form_for("edifact") == "contrl"
    with pytest.raises(NotAcknowledged) as caught:
        acknowledge(GOOD.encode(), read_text(GOOD, LATE), at=AT, control=1, form="997")
    assert caught.value.code == "no_form"


def wrapped(*messages: str) -> str:
    return json.dumps([{"id": number, "messageRaw": message} for number, message in enumerate(messages)], indent=1)


def test_a_message_wrapped_in_json_is_answered_as_if_it_had_come_alone() -> None:
    bad = iftsta("STS+1+21'", "DTM+334:20200332:102'")

    assert answer(wrapped(bad)) == answer(bad)
    assert answer(json.dumps({"messageRaw": bad})) == answer(bad)
    assert answer(wrapped(GOOD, bad)) == answer(GOOD) + answer(bad, control=18)
    assert answer(wrapped("PLS CFM ETA", bad)) == answer(bad)


def test_wrapped_messages_of_several_standards_get_answers_of_one_form() -> None:
    x12 = (FIXTURES / "x12_315.edi").read_text(encoding="utf-8")
    both = wrapped(x12, GOOD).encode()
    reading = read_text(both, LATE)

    assert acknowledge(both, reading, at=AT, control=17, form="contrl") == answer(GOOD)
    assert acknowledge(both, reading, at=AT, control=17) == answer(x12)
    with pytest.raises(NotAcknowledged):
        acknowledge(wrapped(GOOD).encode(), read_text(wrapped(GOOD), LATE), at=AT, control=1, form="997")


def test_a_wrapper_that_is_refused_as_a_whole_rejects_all_in_it() -> None:
    body = wrapped(GOOD).encode()
    written = acknowledge(body, unread("wrapped", Unreadable("too_many_events", "", "a test")), at=AT, control=1)

    assert told(written)[0].split("+")[4] == "4"
