"""Mapping files: a partner's own CSV and JSON, read by a file; what is wrong with a file, a row, an expression."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from services.cli import assemble
from services.ingest.mappings import BadMapping, folder_of, load, read_mapping
from services.ingest.mappings_model import BadExpression, Expression, Mappings, TimeFormat
from services.ingest.readers import Context, Limits, Reading, Unreadable, read
from services.ingest.readers.mapped_times import NoTime, moment_of
from tests.unit.readers.helpers import FIXTURES, REGISTERS, context_at, expected, read_text, refused, told

EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples" / "mappings"
FILES = {"mapped_csv": "mapped_csv.csv", "mapped_json": "mapped_json.json"}
CSV_HEAD = 'sender = "HBRT"\nformat = "csv"\nversion = 1\nsource = "a test"\n'
JSON_HEAD = CSV_HEAD.replace("csv", "json")
REFERENCE = '[item]\nreferences = [{ kind = "equipment", from = "Box" }]\n'
EVENT = '[[events]]\nname = "out"\nmilestone = "gate_out"\noccurred_at = "Out"\n'
ZONE = '[time]\nzone = "America/Los_Angeles"\n'
CSV = CSV_HEAD + ZONE + REFERENCE + EVENT


def written(folder: Path, text: str, name: str = "one.toml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def by(folder: Path, *texts: str) -> Context:
    """A context in which these files are HBRT's mappings."""
    made = [read_mapping(written(folder, text, f"{number}.toml")) for number, text in enumerate(texts)]
    return context_at("2020-03-30T20:00:00Z", "HBRT", replace(REGISTERS, mappings=Mappings.of(made)))


def of_examples(name: str) -> Context:
    hoped = expected(name)
    return context_at(hoped["received_at"], hoped["sender"], replace(REGISTERS, mappings=load(EXAMPLES)))


@pytest.mark.parametrize("name", FILES)
def test_a_file_gives_exactly_the_events_that_it_says(name: str) -> None:
    hoped = expected(name)

    reading = read_text((FIXTURES / FILES[name]).read_bytes(), of_examples(name))

    assert reading.standard == hoped["standard"]
    got = told(reading)
    for one, two in zip(got, hoped["verdicts"], strict=False):
        assert one == two
    assert len(got) == len(hoped["verdicts"])
    assert [warning.model_dump() for warning in reading.warnings] == hoped["warnings"]


@pytest.mark.parametrize("name", FILES)
def test_the_same_file_gives_the_same_events_again_and_each_its_own_id(name: str) -> None:
    content, context = (FIXTURES / FILES[name]).read_bytes(), of_examples(name)
    later = replace(context, received_at=datetime(2020, 4, 2, tzinfo=UTC), raw_partition=3, raw_offset=9)
    one, two = read_text(content, context), read_text(content, later)

    assert [(e.event_id, e.revision) for e in one.events] == [(e.event_id, e.revision) for e in two.events]
    assert len({event.event_id for event in one.events}) == len(one.events)


def test_a_row_that_is_filled_further_says_what_it_said_before_again(tmp_path: Path) -> None:
    context = by(tmp_path, CSV + '[[events]]\nname = "home"\nmilestone = "empty_returned"\noccurred_at = "Home"\n')
    (before,) = read_text("Box,Out,Home,Note\nMRSU4371639,2020-03-30T08:00,,\n", context).events
    out, _ = read_text("Note,Box,Out,Home\nfine,MRSU4371639,2020-03-30T08:00,2020-03-30T11:00\n", context).events

    assert (out.event_id, out.revision) == (before.event_id, before.revision)


def test_a_file_reads_a_partners_csv_from_the_command_line(tmp_path: Path) -> None:
    table = tmp_path / "loads.csv"
    table.write_text("Box,Out\nMRSU4371639,2020-03-30T08:10\nMRSU4371639,soon\n")
    words = ["read", "--mapping", str(written(tmp_path, CSV)), str(table)]

    result = CliRunner().invoke(assemble(), words)

    event = json.loads(result.stdout)
    assert (event["sender"], event["standard"], event["milestone"]) == ("HBRT", "mapped.csv", "gate_out")
    assert event["occurred_at"] == "2020-03-30T08:10:00-07:00"
    assert f"{table}: row 3, column Out: bad_time: soon" in result.stderr


def test_a_file_that_is_no_mapping_is_one_sentence_on_the_command_line(tmp_path: Path) -> None:
    file = written(tmp_path, CSV.replace('"Out"', "3"))

    result = CliRunner().invoke(assemble(), ["read", "--mapping", str(file), str(file)])

    assert result.exit_code == 1
    assert result.stderr.startswith(f"lovla: {file}: events.0.occurred_at")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sender = ", "not TOML"),
        (CSV_HEAD, "events: is missing"),
        (CSV.replace('"HBRT"', '"hbrt"'), "sender: "),
        (CSV.replace('format = "csv"', 'format = "xml"'), "format: Input should be 'csv' or 'json'"),
        (CSV.replace("version = 1", "version = 0"), "version: "),
        (CSV.replace("version = 1", "version = 10000"), "version: versions end at 9999"),
        (CSV.replace("milestone", "milstone"), "milstone: there is no such key"),
        (CSV.replace('"gate_out"', '"left"'), "milestone: Input should be 'booked'"),
        (CSV.replace("name = ", "# "), "events.0.name: is missing"),
        (CSV + EVENT, "events 2 (out).name: another event has this name"),
        (CSV + 'code = "Status"\n', "give either `code`"),
        (CSV.replace('milestone = "gate_out"', 'code = "Status"'), "codes: an event has a `code`: say what each one means"),
        (CSV + '[codes]\nA = { means = "x" }\n', "codes: no event has a `code`"),
        (CSV.replace('milestone = "gate_out"', 'hold = "held"'), "held is not of the form customs|freight"),
        (CSV.replace("equipment", "boxes"), "item.references.0.kind: "),
        (CSV.replace(REFERENCE, ""), "references: name at least one reference"),
        (CSV.replace('from = "Box"', 'from = "Box", constant = "x"'), "give either `from`"),
        (CSV.replace(', from = "Box"', ""), "give either `from`"),
        (CSV.replace("America/Los_Angeles", "Pacific"), "time.zone: Pacific is no time zone; write one like"),
        (CSV.replace("[time]", '[time]\nformat = "DD.MM.JJJJ"'), "time.format: DD.MM.JJJJ: what is JJJJ? Write iso, excel"),
        (CSV.replace("[time]", '[time]\nformat = "YYYY HH:mm"'), "a time needs a month"),
        (CSV.replace("[time]", '[time]\nformat = "D/M/YYYY D"'), "something stands in it twice"),
        (CSV.replace("[time]", '[time]\nformat = "D/M/YYYY h:mm"'), "h is an hour of twelve: write AM behind it, or H"),
        (CSV.replace("[time]", '[time]\nformat = "MDYYYY"'), "behind M something must stand that is no digit"),
        (CSV + '[json]\nitems = "a"\n', 'json: belongs to format = "json"'),
        (CSV + 'each = "stops[]"\n', "events 1 (out).each: belongs to format"),
        (CSV + "[csv]\ndelimiter = '/'\n", "csv.delimiter: "),
        (CSV + 'id = "Load"\n', "updated_at = { received = true }"),
        (CSV.replace('"Out"', "{ received = true }"), "received: stands alone"),
        (CSV.replace('"Out"', '{ from = "Out", values = { a = "b" } }'), "values: a time has a `format`"),
        (CSV + 'mode = { from = "M", values = { a = "sea", A = "air" } }\n', "twice; upper and lower case are one"),
        (JSON_HEAD + REFERENCE + EVENT.replace('"Out"', '"a ||"'), "events 1 (out).occurred_at: a ||: no JMESPath"),
        (JSON_HEAD + REFERENCE + EVENT.replace('"Out"', '"[a, b]"'), "multi select list is not allowed here"),
        (JSON_HEAD + REFERENCE + EVENT + "[csv]\nheader_row = 2\n", 'csv: belongs to format = "csv"'),
        (
            JSON_HEAD + '[json]\nitems = "map(&a, b)"\n' + REFERENCE + EVENT,
            "json.items: map(&a, b): the function map",
        ),
        ("events = 3\n" + CSV_HEAD, "events: "),
    ],
)
def test_what_is_wrong_with_a_mapping_is_said_with_file_and_key(text: str, said: str, tmp_path: Path) -> None:
    file = written(tmp_path, text)

    with pytest.raises(BadMapping) as caught:
        read_mapping(file)

    assert str(caught.value).startswith(f"{file}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "[@, @] | [0]",
        "{a: @}",
        "sort_by(a, &b)",
        "to_string(@)",
        "join(',', a)",
        "merge(a, b)",
        "keys(@)",
        "length(a, b)",
        "nonsense(a)",
        "a" * 201,
        "(" * 150 + "a" + ")" * 150,
        "a" + "[*]" * 60,
        "",
    ],
)
def test_what_could_make_a_document_explode_is_no_expression(text: str) -> None:
    with pytest.raises(BadExpression):
        Expression(text)


def test_a_mapping_comes_before_the_standards_where_it_fits_and_after_them_where_it_may(tmp_path: Path) -> None:
    event = {"milestone": "arrived", "occurred_at": "2020-03-30T00:00:00Z", "references": [{"kind": "booking", "value": "B1"}]}
    ours = json.dumps({"ours": True, "Box": "MRSU4371639", "Out": "2020-03-30T08:00:00Z"} | event)
    plain = JSON_HEAD + REFERENCE + EVENT
    fits = plain + '[json]\nmatch = "ours == `true`"\n'

    assert read_text(ours, by(tmp_path, fits)).standard == "mapped.json"
    assert read_text(json.dumps(event), by(tmp_path, fits)).standard == "lovla.1"
    assert read_text(json.dumps(event), by(tmp_path, plain)).standard == "lovla.1"
    assert read_text('{"Box": "MRSU4371639", "Out": "2020-03-30T08:00:00Z"}', by(tmp_path, plain)).standard == "mapped.json"
    assert read_text((FIXTURES / "fsu.txt").read_bytes(), by(tmp_path, CSV, plain)).standard == "cargo_imp.fsu"
    assert refused('{"x": 1}', replace(by(tmp_path, plain), sender="MAEU")).code == "unknown_format"


def test_of_several_sheets_of_a_sender_the_one_whose_columns_are_there_counts(tmp_path: Path) -> None:
    other = CSV.replace('"Out"', '"Returned"').replace("gate_out", "empty_returned").replace('name = "out"', 'name = "in"')
    context = by(tmp_path, CSV, other)

    assert read_text("Box,Out\nMRSU4371639,2020-03-30T08:00\n", context).events[0].milestone == "gate_out"
    assert read_text("Box,Returned\nMRSU4371639,2020-03-30T08:00\n", context).events[0].milestone == "empty_returned"


def test_a_later_version_counts_from_its_day_on_and_its_events_replace_the_earlier_reading(tmp_path: Path) -> None:
    later = CSV.replace("version = 1", "version = 2\nvalid_from = 2020-03-15").replace("gate_out", "departed")
    context = by(tmp_path, CSV, later)
    sheet = "Box,Out\nMRSU4371639,2020-03-01T08:00\n"

    (new,) = read_text(sheet, context).events
    (old,) = read_text(sheet, replace(context, received_at=datetime(2020, 3, 14, tzinfo=UTC))).events

    assert (old.milestone, new.milestone) == ("gate_out", "departed")
    assert old.event_id == new.event_id
    assert new.revision.reader > old.revision.reader


def test_two_files_of_one_version_are_refused(tmp_path: Path) -> None:
    for name in ("a.toml", "b.toml"):
        written(tmp_path, CSV, name)

    with pytest.raises(BadMapping, match=r"b\.toml: .*a\.toml is version 1 of the same csv of HBRT too"):
        load(tmp_path)


def test_mappings_lie_in_the_state_folder_or_where_they_are_named(tmp_path: Path) -> None:
    assert folder_of(None, tmp_path) is None
    (tmp_path / "mappings").mkdir()
    assert folder_of(None, tmp_path) == tmp_path / "mappings"
    with pytest.raises(BadMapping, match="no folder"):
        folder_of(tmp_path / "none", tmp_path)


@pytest.mark.parametrize(
    ("sheet", "code", "said"),
    [
        ("Box;Out\nMRSU4371639;2020\n", "missing_column", "the column Box of the mapping (item.references) is missing"),
        (
            "Box,When\nMRSU4371639,2020\n",
            "missing_column",
            "the column Out of the mapping (events 1 (out)",
        ),
        ("Box,Out,out \nMRSU4371639,2020,1\n", "missing_column", "the column Out of the mapping"),
        ("Box,Out\n\n,\n", "empty", "no event"),
        ("Box,Out\nMRSU4371639,\n", "empty", "hold none of the times"),
    ],
)
def test_a_sheet_that_the_mapping_cannot_read_is_told_why(sheet: str, code: str, said: str, tmp_path: Path) -> None:
    error = refused(sheet, by(tmp_path, CSV))

    assert error.code == code
    assert said in error.text


def good(reading: Reading) -> list[str]:
    return [event.raw.position for event in reading.events]


def test_a_quotation_mark_that_never_ends_costs_its_own_row(tmp_path: Path) -> None:
    row = "MRSU4371639,2020-03-30T08:{:02}\n"
    sheet = "Box,Out\n" + row.format(1) + '"MRSU,2020-03-30T08:00\n' + "".join(row.format(minute) for minute in range(2, 40))

    reading = read_text(sheet, by(tmp_path, CSV))

    assert [problem.where for problem in reading.problems] == ["row 3"]
    assert "not closed" in reading.problems[0].text
    assert len(reading.events) == 39


def test_a_line_that_is_no_row_costs_itself(tmp_path: Path) -> None:
    sheet = "Box,Out\n" + "x" * 70_000 + ",\nMRSU4371639,2020-03-30T08:01\n"

    reading = read_text(sheet, by(tmp_path, CSV))

    assert ([problem.where for problem in reading.problems], good(reading)) == (["row 2"], ["row 3"])


def test_an_unclosed_quotation_mark_near_the_end_costs_no_other_row(tmp_path: Path) -> None:
    sheet = 'Box,Out\n"MRSU,2020-03-30T08:00\nMRSU4371639,2020-03-30T08:01\n'

    reading = read_text(sheet, by(tmp_path, CSV))

    assert ([problem.where for problem in reading.problems], good(reading)) == (["row 2"], ["row 3"])


@pytest.mark.parametrize(
    "content",
    [
        b"Box,Out\r\nMRSU4371639,2020-03-30T08:00\r\n",
        b"Box,Out\rMRSU4371639,2020-03-30T08:00\r",
        b"\xef\xbb\xbfBox,Out\nMRSU4371639,2020-03-30T08:00",
        b'" box ","OUT"\n"MRSU 437163 9","2020-03-30T08:00"\n',
        b"Out,Box\n2020-03-30T08:00,MRSU4371639,\n"[:-2] + b"\n",
    ],
)
def test_a_sheet_may_end_its_lines_and_quote_and_order_as_it_likes(content: bytes, tmp_path: Path) -> None:
    (event,) = read_text(content, by(tmp_path, CSV)).events

    assert event.references[0].value == "MRSU4371639"


def test_a_spreadsheets_unicode_text_is_read(tmp_path: Path) -> None:
    mapping = CSV + '[csv]\nencoding = "utf-16"\ndelimiter = "\\t"\n'

    (event,) = read_text("Box\tOut\nMRSU4371639\t2020-03-30T08:00\n".encode("utf-16"), by(tmp_path, mapping)).events

    assert event.milestone == "gate_out"


def test_a_row_of_more_cells_than_the_header_is_not_guessed_at(tmp_path: Path) -> None:
    (problem,) = read_text("Box,Out\nMRSU4371639,2020-03-30T08:00,\n", by(tmp_path, CSV)).problems

    assert (problem.code, problem.where) == ("bad_row", "row 2")


def test_an_event_with_an_id_is_changed_by_what_came_last(tmp_path: Path) -> None:
    context = by(tmp_path, CSV + 'id = ["Load", "Box"]\nupdated_at = { received = true }\n')
    (one,) = read_text("Load,Box,Out\n7,MRSU4371639,2020-03-30T08:00\n", context).events
    later = replace(context, received_at=datetime(2020, 3, 31, tzinfo=UTC))
    (two,) = read_text("Load,Box,Out\n7,MRSU4371639,2020-03-30T08:30\n", later).events

    assert (one.event_id, one.source_id) == (two.event_id, "7 MRSU4371639")
    assert (one.revision.at, two.revision.at) == (context.received_at, later.received_at)


def test_json_lines_are_read_a_line_an_item(tmp_path: Path) -> None:
    mapping = JSON_HEAD + '[json]\nitems = "[]"\n' + REFERENCE + EVENT
    lines = '{"Box": "MRSU4371639", "Out": "2020-03-30T08:00:00Z"}\n{"Box": "MRSU4371639", "Out": "2020-03-30T08:10:00Z"}\n'

    assert good(read_text(lines, by(tmp_path, mapping))) == ["item 1", "item 2"]


def test_an_expression_that_meets_what_it_cannot_be_asked_of_is_a_complaint(tmp_path: Path) -> None:
    mapping = JSON_HEAD + '[json]\nitems = "items"\n' + REFERENCE + EVENT.replace('"Out"', '"length(Out)"')

    (problem,) = read_text('{"items": [{"Box": "MRSU4371639", "Out": 3}]}', by(tmp_path, mapping)).problems

    assert (problem.code, problem.where) == ("bad_type", "item 1: length(Out)")


@pytest.mark.parametrize(
    ("format_", "text", "moment"),
    [
        ("iso", "2020-03-30T08:10:00-07:00", "2020-03-30T08:10:00-07:00"),
        ("iso", "2020-03-30", "2020-03-30T00:00:00-07:00"),
        ("D.M.YYYY H:mm", "3.4.2020 8:05", "2020-04-03T08:05:00-07:00"),
        ("DD MON YY HHmm", "03 Apr 20 2405", None),
        ("DD MON YY HHmm", "03 april 20 2400", "2020-04-04T00:00:00-07:00"),
        ("YYYYMMDDHHmmss", "20200403080501", "2020-04-03T08:05:01-07:00"),
        ("MM/DD h:mm AM", "04/03 12:05 am", "2020-04-03T00:05:00-07:00"),
        ("MM/DD h:mm AM", "04/03 1:05 P.M.", "2020-04-03T13:05:00-07:00"),
        ("MM/DD h:mm AM", "04/03 13:05 PM", None),
        ("M/D/YYYY HH:mm ZZ", "4/3/2020 08:05 +0200", "2020-04-03T08:05:00+02:00"),
        ("M/D/YYYY HH:mm ZZ", "4/3/2020 08:05 +9900", None),
        ("M/D/YYYY", "13/3/2020", None),
        ("M/D/YYYY", "2/30/2020", None),
        ("M/D/YYYY", "4/3/2020 extra", None),
        ("D/M/YYYY", "1/1/9999", None),
        ("excel", "43924.336805555555", "2020-04-03T08:05:00-07:00"),
        ("excel", "43924", "2020-04-03T00:00:00-07:00"),
        ("excel", "999999", None),
        ("unix", "1585901100", "2020-04-03T08:05:00Z"),
        ("unix_ms", "1585901100000", "2020-04-03T08:05:00Z"),
        ("unix", "99999999999", None),
        ("unix", "-1", None),
    ],
)
def test_a_time_is_read_by_the_format_that_the_mapping_names(
    format_: str, text: str, moment: str | None, tmp_path: Path
) -> None:
    context = by(tmp_path, CSV.replace("[time]", f'[time]\nformat = "{format_}"'))
    context = replace(context, received_at=datetime(2020, 4, 5, tzinfo=UTC))

    reading = read_text(f"Box,Out\nMRSU4371639,{text}\n", context)

    if moment is None:
        assert [problem.code for problem in reading.problems] == ["bad_time"]
    else:
        (event,) = reading.events
        assert event.model_dump(mode="json")["occurred_at"] == moment


@given(st.text(max_size=30), st.sampled_from(["iso", "excel", "unix", "unix_ms", "D/M/YY H:mm", "MM DD h:mm AM ZZ", "DDMON"]))
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_text_is_a_time_or_none(text: str, format_: str) -> None:
    mapping = read_mapping_of(format_)
    try:
        found = moment_of(text, [mapping], datetime(2020, 4, 5, tzinfo=UTC))
    except NoTime:
        return
    assert 1970 <= found.moment.year <= 2200


_KNOWN: dict[str, TimeFormat] = {}


def read_mapping_of(format_: str) -> TimeFormat:
    """The compiled format, as a mapping file would give it."""
    if format_ not in _KNOWN:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            file = written(Path(folder), CSV.replace("[time]", f'[time]\nformat = "{format_}"'))
            _KNOWN[format_] = read_mapping(file).formats[format_]
    return _KNOWN[format_]


cells = st.one_of(st.text(max_size=20), st.sampled_from(["MRSU4371639", "2020-03-30T08:00", '"', ";", "\r", "APMT", "DLVD"]))


@given(st.lists(st.lists(cells, max_size=15), max_size=6), st.binary(max_size=40))
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_rows_give_events_or_complaints(rows: list[list[str]], tail: bytes) -> None:
    head = (FIXTURES / "mapped_csv.csv").read_bytes().split(b"\r\n")[:3]
    body = "\n".join(";".join(row) for row in rows).encode("cp1252", "replace")
    check(b"\n".join([*head, body]) + tail, of_examples("mapped_csv"))


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=10))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3), max_leaves=8
)


@given(st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_json_with_any_value_in_any_place_gives_events_or_complaints(data: st.DataObject) -> None:
    document = json.loads((FIXTURES / "mapped_json.json").read_text())
    for _ in range(data.draw(st.integers(1, 4))):
        node = document
        while data.draw(st.booleans()) and isinstance(node, (dict, list)) and node:
            key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else list(range(len(node)))))
            inner = node[key]
            if not isinstance(inner, (dict, list)) or data.draw(st.booleans()):
                node[key] = data.draw(values)
                break
            node = inner
    document["feed"] = "acme.track"
    check(json.dumps(document).encode(), of_examples("mapped_json"))


def check(content: bytes, context: Context) -> None:
    try:
        reading = read(content, None, None, context)
    except Unreadable as error:
        assert error.code and error.text
        return
    for verdict in reading.verdicts:
        assert (verdict.event is None) != (verdict.problem is None)
        if verdict.event is not None:
            assert verdict.event.model_validate_json(verdict.event.model_dump_json()) == verdict.event


def test_more_rows_than_a_message_may_hold_are_refused(tmp_path: Path) -> None:
    sheet = "Box,Out\n" + "MRSU4371639,2020-03-30T08:00\n" * 1_001

    assert refused(sheet, by(tmp_path, CSV)).code == "too_many_events"


def test_more_parts_than_a_message_may_hold_are_refused(tmp_path: Path) -> None:
    context = of_examples("mapped_json")
    part = {"key": 1, "type": "MOVE", "status": "OUT", "actual": "2020-03-30T08:10:00Z"}
    shipments = [{"papers": {"bl": "BL1"}, "stops": [part] * 600}] * 2
    with pytest.raises(Unreadable) as caught:
        read(json.dumps({"feed": "acme.track", "shipments": shipments}).encode(), None, None, context, Limits())

    assert caught.value.code == "too_many_events"
