"""Code maps: what a file says, what is wrong with one, which one counts, and what the readers make of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas.registers_v1 import Sender
from schemas.shipment_event_v1 import Hold, ShipmentEvent
from services.cli import assemble
from services.ingest.codemaps.files import BadCodeMap, folder_of, load, read_folder, read_map
from services.ingest.codemaps.model import CodeMap, CodeMaps, Meaning
from services.ingest.readers import Registers, x12_315, x12_322
from services.ingest.readers.own_codes import VERSIONS
from tests.unit.readers.helpers import FIXTURES, context_at, read_text
from tests.unit.readers.test_x12 import AT, UV, message
from tests.unit.readers.test_x12_sets import LADEN, N7

EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples" / "codemaps"
HEAD = 'partner = "COSU"\nstandard = "edifact.iftsta"\nversion = 1\nsource = "a test"\nagency = "87"\n'
LATE = datetime(2020, 3, 31, tzinfo=UTC)


def written(folder: Path, text: str, name: str = "one.toml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_a_file_says_what_each_code_becomes() -> None:
    made = read_map(EXAMPLES / "COSU.edifact.iftsta.2.toml")

    assert made.key == ("COSU", "edifact.iftsta", "87")
    assert (made.version, made.valid_from) == (2, datetime(2020, 3, 1, tzinfo=UTC))
    assert dict(made.codes) == {
        "VD": Meaning("vessel departed", "departed", mode="sea"),
        "UV": Meaning("unloaded from the vessel", "discharged", mode="sea"),
        "EA": Meaning("new estimate of the vessel's arrival", "arrived", "estimated", mode="sea"),
        "CH": Meaning("customs hold", hold=Hold(kind="customs", state="placed")),
        "ER": Meaning("empty container came back", "empty_returned", empty=True),
        "X 9": Meaning("papers checked"),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + '[codes.VD]\nmeans = "x"\nmilestone = "sailed"\n', "codes.VD.milestone: Input should be 'booked', "),
        (HEAD + '[codes.VD]\nmeans = "x"\nmilstone = "departed"\n', "codes.VD.milstone: there is no such key"),
        (HEAD + '[codes.VD]\nmilestone = "departed"\n', "codes.VD.means: is missing"),
        (HEAD + '[codes.VD]\nmeans = "x"\nhold = "customs"\n', "codes.VD.hold: customs is not of the form customs|freight|"),
        (HEAD + '[codes.VD]\nmeans = "x"\nempty = "yes"\n', "codes.VD.empty: Input should be a valid boolean"),
        (HEAD + '[codes.vd]\nmeans = "x"\n[codes.VD]\nmeans = "y"\n', "codes.VD: the code stands there twice"),
        (HEAD + '[codes."\\u0007"]\nmeans = "x"\n', "a code has 1 to 35 printable characters"),
        (HEAD, "codes: is missing"),
        (HEAD.replace("version = 1", "version = 0"), "version: Input should be greater than or equal to 1 (and 1 more)"),
        (HEAD.replace("iftsta", "iftsai") + '[codes.VD]\nmeans = "x"\n', "standard: Input should be 'edifact.iftsta', "),
        (HEAD + "codes = ", "not TOML: "),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence_with_its_place(text: str, said: str, tmp_path: Path) -> None:
    file = written(tmp_path, text)
    with pytest.raises(BadCodeMap) as caught:
        read_map(file)

    assert str(caught.value).startswith(f"{file}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_files_of_one_version_are_refused_by_name(tmp_path: Path) -> None:
    text = HEAD + '[codes.VD]\nmeans = "x"\n'
    written(tmp_path, text, "a.toml")
    written(tmp_path, text, "b.toml")

    with pytest.raises(BadCodeMap, match=r"b\.toml: .*a\.toml is version 1 for COSU, edifact\.iftsta, agency 87 too"):
        read_folder(tmp_path)


def test_a_message_is_read_with_the_version_that_was_valid_when_it_came(tmp_path: Path) -> None:
    for version, start in ((1, ""), (2, "valid_from = 2020-03-01\n"), (3, "valid_from = 2020-04-01\n")):
        text = HEAD.replace("version = 1", f"version = {version}") + start + '[codes.VD]\nmeans = "x"\n'
        written(tmp_path, text, f"{version}.toml")
    maps = CodeMaps.of(read_folder(tmp_path))

    def version_at(moment: str) -> int | None:
        found = maps.valid(["COSU"], "edifact.iftsta", "87", datetime.fromisoformat(moment))
        return found.version if found is not None else None

    assert [version_at(f"2020-{day}T00:00:00Z") for day in ("02-28", "03-01", "03-31", "04-01")] == [1, 2, 2, 3]
    assert maps.valid(["COSU"], "edifact.iftsta", "", LATE) is None
    assert maps.valid([None, "MAEU", "COSU"], "edifact.iftsta", "87", LATE) is not None


def test_an_operators_own_folder_comes_from_the_settings_or_lies_in_the_state_dir(tmp_path: Path) -> None:
    assert folder_of(None, tmp_path) is None
    (tmp_path / "codemaps").mkdir()
    assert folder_of(None, tmp_path) == tmp_path / "codemaps"
    assert folder_of(tmp_path, tmp_path) == tmp_path
    with pytest.raises(BadCodeMap, match=r"LOVLA_CODEMAPS names .*none, which is no folder"):
        folder_of(tmp_path / "none", tmp_path)


def iftsta(sender: str, maps: CodeMaps, senders: list[Sender] | None = None) -> ShipmentEvent:
    """The event of the fixture whose status is the carrier's own."""
    context = context_at("2020-03-31T00:00:00Z", sender, registers=Registers.of(senders or [], [], maps))
    reading = read_text((FIXTURES / "edifact_iftsta.edi").read_bytes(), context)
    return next(event for event in reading.events if event.code == "87/VD")


def test_a_carriers_own_iftsta_code_moves_what_its_map_says_and_nothing_else() -> None:
    plain, mapped = iftsta("COSU", CodeMaps()), iftsta("COSU", load(EXAMPLES))

    assert (plain.mapped, plain.milestone, plain.mode) == (False, None, None)
    assert (mapped.mapped, mapped.milestone, mapped.mode, mapped.warnings) == (True, "departed", "sea", ())
    same = {"revision", "reader_version", "mapped", "milestone", "mode", "warnings"}
    assert plain.model_dump(exclude=same) == mapped.model_dump(exclude=same)


def test_a_map_counts_for_the_scac_of_whoever_pushes_it() -> None:
    platform = Sender(code="PLAT", kind="forwarder", name="A platform", scac="COSU")

    assert iftsta("PLAT", load(EXAMPLES), [platform]).milestone == "departed"
    assert iftsta("PLAT", load(EXAMPLES)).mapped is False


def test_what_a_newer_map_reads_otherwise_is_newer_than_the_old_reading() -> None:
    plain, mapped = iftsta("COSU", CodeMaps()), iftsta("COSU", load(EXAMPLES))

    assert plain.event_id == mapped.event_id
    assert plain.revision.reader < mapped.revision.reader == plain.revision.reader * VERSIONS + 2


def test_the_check_shows_what_each_code_becomes_and_says_what_is_wrong(tmp_path: Path) -> None:
    good, bad = EXAMPLES / "HBRT.x12.214.1.toml", written(tmp_path, "partner = 1\n")
    runner = CliRunner()

    fine = runner.invoke(assemble(), ["codemaps", "check", "--json", str(good)])
    assert fine.exit_code == 0
    assert [json.loads(line)["becomes"] for line in fine.stdout.splitlines()] == ["delivered", "-"]
    wrong = runner.invoke(assemble(), ["codemaps", "check", str(good), str(bad)])
    assert wrong.exit_code == 1
    assert wrong.stderr == f"lovla: {bad}: partner: Input should be a valid string (and 4 more)\n"
    assert "delivered" in wrong.stdout


def test_the_list_names_the_maps_that_are_used() -> None:
    told = CliRunner().invoke(assemble(), ["codemaps", "list", "--json", "--folder", str(EXAMPLES)])

    assert told.exit_code == 0
    assert [(row["partner"], row["version"], row["from"]) for row in map(json.loads, told.stdout.splitlines())] == [
        ("COSU", 2, "2020-03-01"),
        ("HBRT", 1, None),
    ]


def x12_214(*statuses: str, sender: str = "HBRT", maps: CodeMaps | None = None) -> list[ShipmentEvent]:
    """The events of a 214 with these AT7, each at a stop of its own."""
    isa = f"ISA*00*{'':10}*00*{'':10}*ZZ*{'HBRT':15}*ZZ*{'LOVLA':15}*200330*0800*U*00401*000000001*0*P*>~"
    loops = "".join(f"LX*{n}~AT7*{code}*NS***202003{day}*0800*UT~" for n, (code, day) in enumerate(map(str.split, statuses), 1))
    body = f"ST*214*1~B10*PRO1*SHIP1*HBRT~{loops}"
    text = f"{isa}GS*QM*HBRT*LOVLA*20200330*0800*1*X*004010~{body}SE*{body.count('~') + 1}*1~GE*1*1~IEA*1*000000001~"
    context = context_at("2020-03-31T00:00:00Z", sender, registers=Registers.of([], [], maps or load(EXAMPLES)))
    return list(read_text(text, context).events)


def test_a_truckers_own_214_code_moves_what_its_map_says_and_nothing_else() -> None:
    (signed,), (rests,), (listed,), (strange,) = (x12_214(f"{code} 29") for code in ("Q1", "Q7", "D1", "QZ"))

    assert (signed.mapped, signed.milestone, signed.mode, signed.warnings) == (True, "delivered", "road", ())
    assert (rests.mapped, rests.milestone) == (True, None)
    assert (listed.mapped, listed.milestone) == (True, "delivered")
    assert (strange.mapped, strange.milestone) == (False, None)
    (unmapped,) = x12_214("Q1 29", maps=CodeMaps())
    assert (unmapped.mapped, unmapped.event_id) == (False, signed.event_id)


def test_a_truckers_own_code_for_a_delivery_delivers_at_the_last_stop_alone() -> None:
    assert [event.milestone for event in x12_214("Q1 28", "Q1 29")] == [None, "delivered"]


def x12_of(standard: str, *segments: str, codes: str) -> list[ShipmentEvent]:
    """The events of one set of a carrier whose map has these codes (name, what it says)."""
    maps = CodeMaps.of([made(standard, codes)])
    context = context_at(AT, "MAEU", registers=Registers.of([], [], maps))
    return list(read_text(message(*segments, kind=standard[-3:]), context).events)


def made(standard: str, codes: str) -> CodeMap:
    with tempfile.TemporaryDirectory() as folder:
        head = f'partner = "MAEU"\nstandard = "{standard}"\nversion = 3\nsource = "a test"\n'
        return read_map(written(Path(folder), head + codes))


def own(**said: str) -> str:
    """A file's words for the code ZQ."""
    return '[codes.ZQ]\nmeans = "x"\n' + "".join(f'{key} = "{value}"\n' for key, value in said.items())


def test_an_ocean_carriers_own_315_code_moves_what_its_map_says_where_such_a_thing_happens() -> None:
    status = UV.replace("UV", "ZQ").replace("*USLAX*UN", "")
    ports = ("R4*L*UN*CNSHA", "R4*D*UN*USLAX", "R4*E*UN*USCHI", "DTM*139*20200402*0700*UT")
    (discharged, _) = x12_of("x12.315", status, *ports, codes=own(milestone="discharged", mode="rail"))
    (departed, estimate) = x12_of("x12.315", status, *ports, codes=own(milestone="departed"))
    (held, _) = x12_of("x12.315", status, *ports, codes=own(hold="other placed"))

    assert (discharged.mapped, discharged.milestone, discharged.mode) == (True, "discharged", "rail")
    assert discharged.place is not None and (discharged.place.unlocode, discharged.place.role) == ("USLAX", "discharge")
    assert departed.place is not None and (departed.place.unlocode, departed.place.role) == ("CNSHA", "load")
    assert (held.milestone, held.hold) == (None, Hold(kind="other", state="placed"))
    assert (estimate.code, estimate.milestone, estimate.classifier) == ("estimate/E", "delivered", "estimated")
    assert departed.revision.reader == x12_315.READER_VERSION * VERSIONS + 3
    assert "unmapped_code" not in {warning.code for event in (discharged, departed, held) for warning in event.warnings}


def test_a_carriers_map_comes_before_the_list_of_the_315_and_the_322() -> None:
    said = own(milestone="available").replace("ZQ", "CU")
    ocean = x12_of("x12.315", UV.replace("UV", "CU"), codes=said)
    terminal = x12_of("x12.322", "Q5*CU*20200328*1000*UT", N7, codes=said)

    assert [(event.milestone, event.hold) for event in (*ocean, *terminal)] == [("available", None)] * 2


def test_a_terminals_own_322_code_moves_what_its_map_says() -> None:
    status = "Q5*ZQ*20200328*1000*UT"
    (full,) = x12_of("x12.322", status, N7, LADEN, codes=own(milestone="gate_out", mode="road"))
    (expected,) = x12_of("x12.322", status, N7, codes=own(milestone="available", classifier="estimated"))
    (strange,) = x12_of("x12.322", status.replace("ZQ", "ZZ"), N7, codes=own(milestone="gate_out"))

    assert (full.mapped, full.milestone, full.mode, full.empty) == (True, "gate_out", "road", False)
    assert (expected.milestone, expected.classifier) == ("available", "estimated")
    assert (strange.mapped, strange.milestone) == (False, None)
    assert full.revision.reader == x12_322.READER_VERSION * VERSIONS + 3


@pytest.mark.parametrize(("load", "milestone", "empty"), [(N7, None, True), (LADEN, "gate_out", False)])
def test_what_the_message_says_of_a_containers_load_counts_before_the_map(
    load: str, milestone: str | None, empty: bool
) -> None:
    codes = own(milestone="gate_out") + "empty = true\n"
    (event,) = x12_of("x12.322", "Q5*ZQ*20200328*1000*UT", N7, load, codes=codes)[:1]

    assert (event.milestone, event.empty) == (milestone, empty)


@pytest.mark.parametrize("service", ["api", "readers_stage"])
def test_a_service_with_a_bad_map_does_not_start_and_says_why(service: str, tmp_path: Path) -> None:
    bad = written(tmp_path, "partner = 1\n")
    told = {"LOVLA_KAFKA": "127.0.0.1:1", "LOVLA_STATE_DIR": str(tmp_path), "LOVLA_CODEMAPS": str(tmp_path)}
    words = [sys.executable, "-m", f"services.ingest.{service}"]
    done = subprocess.run(words, env=os.environ | told, cwd=EXAMPLES.parents[2], capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert f"{bad}: partner: Input should be a valid string" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
