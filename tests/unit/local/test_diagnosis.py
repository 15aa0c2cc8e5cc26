"""Each condition names its runbook; every name that the code can say is a page, and every page is a name."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deploy.local.diagnosis import Seen, began_again, conditions
from deploy.local.lag import Lag
from deploy.local.stack import NAMES, PartStatus, State
from services.runtime.runbooks import RUNBOOKS, page
from services.sink.cli import RUNBOOK_OF
from tests.stack import ROOT
from tests.unit.local.test_alert_rules import RULES

FOLDER = ROOT / "docs" / "operations"


def part(name: str, state: State = "running") -> PartStatus:
    reason = None if state in ("running", "stopped") else "connection refused"
    return PartStatus(name, state, 7, datetime(2026, 11, 21, tzinfo=UTC), {name: 1}, "log", reason)


WELL = [part(name) for name in NAMES]


def dead(name: str, log: str = "") -> Seen:
    return Seen([part(each, "died" if each == name else "running") for each in NAMES], logs={name: log})


SEEN: dict[str, Seen] = {
    "kafka-down": dead("kafka"),
    "clickhouse-down": dead("clickhouse"),
    "readers-down": dead("readers"),
    "tracker-down": dead("tracker"),
    "sink-down": dead("sink"),
    "api-down": Seen([part("api", "not ready")]),
    "alerts-api-down": dead("alerts-api"),
    "alerts-worker-down": dead("alerts-worker"),
    "alerts-sender-down": dead("sender"),
    "mailbox-down": dead("mailbox"),
    "console-down": dead("console"),
    "alerts-provider-away": Seen(WELL, metrics={"sender": {"lovla_alerts_provider_away": 1}}),
    "readers-fuse": dead("readers", "StageFailed: 100 records in a row, of several senders, failed by faults of ours"),
    "tracker-faults": dead("tracker", "40 of 300 consignments could not be computed, first: LACDHS-1"),
    "event-store-corrupt": dead("tracker", "Exception: Corruption: block checksum mismatch"),
    "sink-torn-block": dead("sink", "sink.must_stop: of the planned block 3..9 Kafka has 7 records"),
    "schema-mismatch": dead("sink", '{"event": "sink.not_set_up"}'),
    "disk-full": Seen(WELL, free_bytes=5 * 1024**2),
    "state-folder-lost": Seen(WELL, lost=True),
    "consumer-lag": Seen(WELL, [Lag("sink.logs", "raw.messages.v1", 10_000)]),
    "sender-parked": Seen(WELL, metrics={"readers": {"lovla_parked": 1}}),
    "time-stands-still": Seen(WELL, metrics={"tracker": {"lovla_tracker_time_age_seconds": 61}}),
    "dead-letters": Seen(WELL, metrics={"readers": {"lovla_dead_letters_total": 100, "lovla_readers_events_total": 800}}),
    "audit-unaccounted": Seen(WELL, metrics={"sink": {"lovla_audit_unaccounted": 1}}),
    "audit-duplicate": Seen(WELL, metrics={"sink": {"lovla_audit_duplicate": 1}}),
    "audit-gap": Seen(WELL, metrics={"sink": {"lovla_audit_gap": 1}}),
}


@pytest.mark.parametrize("runbook", SEEN)
def test_a_condition_names_its_runbook(runbook: str) -> None:
    assert [condition.runbook for condition in conditions(SEEN[runbook])] == [runbook]


def test_every_runbook_has_a_condition_or_an_alert_rule_that_names_it() -> None:
    assert set(SEEN) | {rule["labels"]["runbook"] for rule in RULES} == set(RUNBOOKS)


def test_a_stack_that_is_well_or_stopped_names_none() -> None:
    well: dict[str, dict[str, float]] = {
        "readers": {"lovla_parked": 0, "lovla_dead_letters_total": 99, "lovla_readers_events_total": 1},
        "tracker": {"lovla_tracker_time_age_seconds": 6},
        "sink": {"lovla_audit_gap": 0},
    }
    assert conditions(Seen(WELL, [Lag("sink.logs", "t", 9_999)], 10**12, well)) == []
    assert conditions(Seen([part(name, "stopped") for name in NAMES])) == []
    busy = {"readers": {"lovla_dead_letters_total": 1000.0, "lovla_readers_events_total": 9000.0}}
    assert conditions(Seen(WELL, metrics=busy)) == []


def test_it_is_told_which_parts_began_again_by_themselves() -> None:
    figures = {"tracker": {"lovla_restarts_total": 2.0}, "sender": {"lovla_restarts_total": 1.0}, "sink": {"lovla_parked": 1.0}}
    assert began_again(Seen(WELL, metrics=figures)) == {"tracker": 2, "sender": 1}
    assert conditions(Seen(WELL, metrics={"tracker": {"lovla_restarts_total": 2.0}})) == []  # it serves


def test_every_runbook_is_a_page_and_every_page_is_a_runbook() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} - {"README"} == set(RUNBOOKS)
    for name in RUNBOOKS:
        text = (ROOT / page(name)).read_text()
        for heading in ("**You see**", "**Why**", "**What to do**", "**It is well when**"):
            assert heading in text, (name, heading)
    assert set(RUNBOOK_OF.values()) <= set(RUNBOOKS)


def test_links_between_pages_lead_somewhere() -> None:
    for path in FOLDER.glob("*.md"):
        for target in re.findall(r"\]\(([^)]+)\)", path.read_text()):
            assert (path.parent / target).exists(), (path.name, target)
        for target in re.findall(r"`?((?:docs|tests|deploy)/[\w/.-]+\w)", path.read_text()):
            assert (ROOT / target).exists() or Path(target).suffix == "", (path.name, target)


def test_every_command_on_a_page_is_one_that_lovla_knows() -> None:
    """The verb, and each option that it is given."""
    import typer.main

    from services.cli import assemble

    command: Any = typer.main.get_command(assemble())
    for path in FOLDER.glob("*.md"):
        for line in re.findall(r"(?:^|`)lovla ([a-z][^`#\n]*)", path.read_text(), re.MULTILINE):
            words = line.split()
            known = command
            while words and words[0] in getattr(known, "commands", {}):
                known = known.commands[words.pop(0)]
            assert known is not command, (path.name, line)
            options = {option for parameter in known.params for option in parameter.opts}
            assert {word for word in words if word.startswith("--")} <= options, (path.name, line)
