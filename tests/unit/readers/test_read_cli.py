"""`lovla read FILE...`: events on stdout, complaints on stderr, 1 if anything was not readable."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from services.ingest.read_cli import read_files, register
from tests.stack import ROOT
from tests.unit.readers.helpers import FIXTURES
from tests.unit.readers.test_linear_work import MEMORY_AT_MOST, MEMORY_BESIDE, MESSAGES


def lovla(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    """Run `lovla read` with these arguments."""
    app = typer.Typer()
    register(app)
    app.command("other")(lambda: None)  # with one command only, typer would take no verb
    words: Sequence[str] = ["read", *map(str, arguments)]
    return CliRunner().invoke(app, words, input=stdin)


def test_each_event_is_a_line_of_json() -> None:
    result = lovla(FIXTURES / "dcsa.json", "--sender", "MAEU", "--received-at", "2020-04-01T00:00:00Z")

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["code"] for line in lines][:2] == ["SHIPMENT/CONF", "EQUIPMENT/GTIN"]
    assert {line["sender"] for line in lines} == {"MAEU"}
    assert {line["received_at"] for line in lines} == {"2020-04-01T00:00:00Z"}


def test_complaints_name_file_place_code_and_text() -> None:
    file = FIXTURES / "dcsa.json"
    result = lovla(file, "--received-at", "2020-04-01T00:00:00Z")

    assert f"{file}: /6/eventDateTime: missing_field: eventDateTime is required" in result.stderr.splitlines()


def test_nothing_readable_is_exit_code_1(tmp_path: Path) -> None:
    file = tmp_path / "x.txt"
    file.write_text("PLS CFM ETA ASAP")
    result = lovla(file, "--received-at", "now")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"{file}: message: unknown_format: ")


def test_a_script_can_use_it_as_a_check(tmp_path: Path) -> None:
    whole = ROOT / "docs" / "examples" / "arrival.315"
    assert lovla(whole).exit_code == 0

    warned = lovla(whole, "--received-at", "2026-11-18T00:00:00Z")
    assert (warned.exit_code, "zone_assumed: " in warned.stderr) == (0, True)

    beside = lovla(whole, tmp_path / "none")
    assert (beside.exit_code, len(beside.stdout.splitlines())) == (1, 1)

    refused = lovla(whole, "--received-at", "2028-11-18T00:00:00Z")
    assert (refused.exit_code, "outside_time_fence: " in refused.stderr) == (1, True)

    part = lovla(FIXTURES / "dcsa.json")
    assert (part.exit_code, len(part.stdout.splitlines())) == (1, 6), "one of its statements is refused"


def test_a_file_that_is_not_there_does_not_keep_the_others(tmp_path: Path) -> None:
    result = lovla(tmp_path / "none", FIXTURES / "fsu.txt")

    assert result.stdout
    assert f"{tmp_path / 'none'}: message: no_file: " in result.stderr


def test_gzip_and_stdin_are_read() -> None:
    result = lovla("-", "--received-at", "2020-04-01T00:00:00Z", stdin=gzip.compress((FIXTURES / "dcsa.json").read_bytes()))

    assert len(result.stdout.splitlines()) == 6


def test_without_a_time_of_receipt_old_files_are_read_whole_and_the_newest_time_is_taken() -> None:
    result = lovla(FIXTURES / "x12_315.edi", FIXTURES / "dcsa.json")

    received = [json.loads(line)["received_at"] for line in result.stdout.splitlines()]
    assert received == ["2020-03-29T15:00:00Z"] * 5 + ["2020-03-31T17:00:00Z"] * 6
    assert result.stderr.count("note:") == 1


def test_what_was_taken_for_the_time_of_receipt_is_said_of_each_file(tmp_path: Path) -> None:
    registration = tmp_path / "consignments.csv"
    registration.write_text("consignment,line,category,quantity\nLACDHS-0001,1,glove,500\n")
    status = tmp_path / "status.txt"
    status.write_text("FSU/14\n020-12345675FRALAX/T10K100\nRCF/LH456/29MAR0900/LAX/T10K100\n")
    for file in (status, registration):
        alone = lovla(file)
        assert "note: received_at is taken as now, since no time of what has happened stands there in full;" in alone.stderr
        assert "newest" not in alone.stderr
    both = [line for line in lovla(status, FIXTURES / "dcsa.json").stderr.splitlines() if "note:" in line]
    assert [line.partition(" is taken as ")[0] for line in both] == [
        f"lovla: note: received_at of {file}" for file in (status, FIXTURES / "dcsa.json")
    ]
    assert "as now," in both[0] and "as the newest time in each file;" in both[1]
    assert "note:" not in lovla(FIXTURES / "fsu.txt", "--received-at", "2020-04-12T08:20:05Z").stderr


def test_a_table_of_facilities_that_is_not_there_is_named_plainly(tmp_path: Path) -> None:
    result = lovla(FIXTURES / "fsu.txt", "--facilities", tmp_path / "none.csv")
    assert result.stderr.splitlines() == [f"lovla: {tmp_path / 'none.csv'}: No such file or directory"]


def test_facilities_give_terminals_their_names_and_zones(tmp_path: Path) -> None:
    table = tmp_path / "facilities.csv"
    table.write_text("code,kind,name,unlocode,zone\nLA-APMT,terminal,APM,USLAX,America/Los_Angeles\n")
    result = lovla(FIXTURES / "x12_315.edi", "--facilities", table)

    assert json.loads(result.stdout.splitlines()[0])["place"]["facility"] == "LA-APMT"


def test_a_wrong_option_is_one_sentence() -> None:
    result = lovla(FIXTURES / "dcsa.json", "--received-at", "yesterday")

    assert result.exit_code == 1
    assert result.stderr.startswith("lovla: yesterday is not a date and time")
    assert len(result.stderr.splitlines()) == 1


def test_a_ship_notice_is_printed_as_the_registration_that_it_becomes() -> None:
    result = lovla(FIXTURES / "x12_856.edi", "--sender", "LACDHS", "--received-at", "2020-03-21T18:00:00Z")

    commands = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(c["command"], c["consignment"], c["onto"]) for c in commands] == [
        ("register", "LACDHS-0042", "add_lines"),
        ("register", "LACDHS-829716", "replace_lines"),
    ]
    assert "segment 51 (BSN): deletion: " in result.stderr
    assert "segment 45 (LIN): bad_quantity: " in result.stderr
    assert result.stderr.count("x12_856.edi: message: registration: registers consignments") == 1
    assert all(line.startswith('{"command":"register",') for line in result.stdout.splitlines())


@pytest.mark.parametrize(
    ("file", "named"), [("consignment.json", ["LACDHS-0001"]), ("consignments.csv", ["LACDHS-0002", "LACDHS-0003"])]
)
def test_a_file_of_consignments_is_printed_as_the_registrations_that_it_becomes(file: str, named: list[str]) -> None:
    result = lovla(ROOT / "docs" / "examples" / file)

    assert result.exit_code == 0
    commands = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(c["command"], c["consignment"]) for c in commands] == [("register", id_) for id_ in named]
    assert f"{file}: message: registration: registers consignments" in result.stderr
    assert "`lovla register FILE` takes it" in result.stderr


def test_a_mark_before_the_first_letter_makes_no_other_file_of_it(tmp_path: Path) -> None:
    file = tmp_path / "consignment.json"
    file.write_bytes(b"\xef\xbb\xbf" + (ROOT / "docs" / "examples" / "consignment.json").read_bytes())
    result = lovla(file)
    assert result.exit_code == 0, result.stderr
    assert [json.loads(line)["consignment"] for line in result.stdout.splitlines()] == ["LACDHS-0001"]


def test_a_registration_is_judged_as_its_senders_where_one_is_named_and_each_fault_is_told(tmp_path: Path) -> None:
    result = lovla(ROOT / "docs" / "examples" / "consignment.json", "--sender", "LVLA")
    assert (result.exit_code, result.stdout) == (1, "") and "consignment: not_yours: " in result.stderr

    file = tmp_path / "x.csv"
    file.write_text("consignment,category,wieght\nLVLA-1,glove,3\n")
    result = lovla(file)
    assert (result.exit_code, result.stdout) == (1, "") and "row 1: bad_header: " in result.stderr


def test_the_answer_to_a_message_is_printed_instead_of_its_events() -> None:
    result = lovla(FIXTURES / "x12_315.edi", "--ack", "--received-at", "2020-04-01T00:00:00Z")

    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0].startswith("ISA*00*") and "AK4*5**9*08~" in lines and lines[-1] == "IEA*1*000000001~"
    other = lovla(FIXTURES / "x12_315.edi", "--ack-form", "999", "--received-at", "2020-04-01T00:00:00Z")
    assert "ST*999*0001*005010X231A1~" in other.stdout.splitlines()


def test_what_has_no_answer_is_a_complaint(tmp_path: Path) -> None:
    result = lovla(FIXTURES / "dcsa.json", "--ack", "--received-at", "now")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no_form: " in result.stderr
    assert "none of 997, 999" in lovla(FIXTURES / "x12_315.edi", "--ack-form", "morse").stderr
    assert "no_file: " in lovla(tmp_path / "none", "--ack").stderr


def test_a_file_of_many_events_is_printed_without_holding_them(tmp_path: Path) -> None:
    file = tmp_path / "sets.edi"
    file.write_bytes(content := MESSAGES["x12: 214, sets"](100_000))
    (tmp_path / "one.edi").write_bytes(MESSAGES["x12: 214, sets"](1))
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        for path in (tmp_path / "one.edi", file):  # the first loads tables
            tracemalloc.start()
            try:
                with contextlib.suppress(typer.Exit):
                    read_files([str(path)])
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
    assert peak < MEMORY_AT_MOST * len(content) + MEMORY_BESIDE, f"{peak / len(content):.1f} times the file"


def test_every_sample_gives_a_line_and_never_a_traceback(samples: Path) -> None:
    files = [file for file in sorted(samples.rglob("*")) if file.is_file() and file.name != "MANIFEST.md"]
    assert len(files) > 20

    for file in files:
        answers = [["--ack"]] if file.parent.name in ("x12", "edifact") else []
        for words in ([], *answers):
            result = lovla(file, *words)
            said = f"{file.name} {words}: {result.output}"
            assert result.exception is None or isinstance(result.exception, SystemExit), said
            assert result.exit_code in (0, 1), said
            complaints = [line for line in result.stderr.splitlines() if line.startswith(f"{file}: ")]
            assert result.stdout.strip() or complaints, said
            assert result.exit_code == 0 or complaints, said
