"""`lovla mailbox show`: what leads on from a message."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from deploy.local.mailbox import Store, read
from deploy.local.mailbox_cli import mailbox


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "mailbox")


def shown(store: Store, number: int) -> tuple[str, str]:
    answer = CliRunner().invoke(mailbox, ["show", str(number), "--state-dir", str(store.folder.parent)])
    assert answer.exit_code == 0, answer.output
    return answer.stdout, answer.stderr


def test_a_message_of_ours_leads_to_why_it_came(store: Store) -> None:
    told = store.keep("sms_out", "+12135550100", "+12135550199", "Late.", ref="SM1")
    assert "lovla explain 'SM1'" in shown(store, told.number)[1]


def test_an_answer_leads_to_what_it_answers_since_no_message_of_ours_stands_behind_it(store: Store) -> None:
    asked = store.keep("sms_in", "+12135550199", "+12135550100", "STOP", ref="SM2")
    answer = store.keep("sms_out", "+12135550100", "+12135550199", "Stopped.", ref="SM3", headers={"In-Reply-To": "SM2"})
    out, err = shown(store, answer.number)
    assert "In-Reply-To: SM2" in out
    assert f"lovla mailbox show {asked.number}" in err
    assert "explain" not in err + shown(store, asked.number)[1]


def test_a_text_with_ends_of_lines_of_other_kinds_is_read_whole(store: Store) -> None:
    told = store.keep(
        "email", "alerts@lovla.example", "ana@hospital.example", "Late.\x85Berth\u2028401\x0b\x1c\n", subject="Late"
    )
    assert list(read(store.folder)) == [told]


def test_what_came_is_listed_with_times_as_verbs_tell_them_and_no_line_ends_in_blanks(store: Store) -> None:
    kept = store.keep("email", "alerts@lovla.example", "ana@hospital.example", "Late.", subject="Late")
    store.keep("sms_out", "+12135550100", "+12135550199", "LACDHS-0001 is late by far, and here is why.")
    folder = str(store.folder.parent)
    told = CliRunner().invoke(mailbox, ["--state-dir", folder, "--zone", "America/Los_Angeles"]).stdout
    local = datetime.fromisoformat(kept.at).astimezone(ZoneInfo("America/Los_Angeles"))
    assert f"{local:%a %d %b %Y %H:%M}" in told
    assert "times in America/Los_Angeles" in told
    assert not any(line.endswith(" ") for line in told.splitlines())
    of_one = CliRunner().invoke(mailbox, ["show", str(kept.number), "--state-dir", folder]).stdout
    assert f"Date: {datetime.fromisoformat(kept.at):%a %d %b %Y %H:%M} UTC" in of_one
    wrong = CliRunner().invoke(mailbox, ["--state-dir", folder, "--zone", "Mars/Olympus"])
    assert wrong.exit_code == 1 and "no IANA time zone" in wrong.stderr
    nobody = CliRunner().invoke(mailbox, ["--state-dir", folder, "--to", "nobody@hospital.example"]).stdout
    assert nobody == "Nothing came to or from nobody@hospital.example.\n"
