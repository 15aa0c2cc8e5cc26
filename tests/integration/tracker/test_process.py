"""The tracker as a process on a real broker: killed at every step, replaced by a standby, robbed of its local store."""

from __future__ import annotations

import shutil
import signal
import time
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from deploy.local.process import signal_to
from schemas.topics import JOURNEY_CHANGES
from services.runtime.settings import Settings
from services.tracker.records import Command, Event
from tests.integration.tracker.trackers import (
    CONSIGNMENTS,
    Run,
    caught_up,
    died,
    plain,
    prefix_of_four_letters,
    published,
    read_all,
    recomputed,
    send,
    story,
    until,
)
from tests.stack import Kafka, LocalKafka, Stack
from tests.unit.tracker.build import Ref, event
from tests.waiting import HANG_S

STOOD_STILL_S = 15.0  # the session is 10 s
KILLED_AT = ["processed:2", "produced:2", "offsets_sent:1", "committed:1", "merged:1"]


def test_killed_at_every_step_it_publishes_what_an_undisturbed_run_would_and_nothing_twice(
    settings: Settings, stack: Stack, run: Run
) -> None:
    prefix = prefix_of_four_letters()
    commands, events = story(prefix)
    things: list[Command | Event] = [*commands[: CONSIGNMENTS // 2], *events, *commands[CONSIGNMENTS // 2 :]]
    step = len(things) // len(KILLED_AT) + 1
    for n, failpoint in enumerate(KILLED_AT):
        process = run.tracker(failpoint)
        # two rounds of records, so that there is a second batch to be killed in
        send(run, things[n * step : n * step + step // 2])
        send(run, things[n * step + step // 2 : (n + 1) * step])
        until(died(process, run), run)
        assert process.returncode not in (0, None), run.log()
    process = run.tracker()
    at = send(run, [])
    until(caught_up(settings, prefix, at, CONSIGNMENTS), run)
    expected = recomputed(settings, prefix)
    assert {name: plain(journey) for name, journey in published(settings, prefix).items()} == expected
    changes = [msgspec.json.decode(r.value) for r in read_all(settings, JOURNEY_CHANGES.name, 4) if r.value]
    mine = [change for change in changes if prefix in change["consignment"]]
    assert len({change["change_id"] for change in mine}) == len(mine)
    accepted = [change["consignment"] for change in mine if change["change"] == "command_accepted"]
    assert sorted(accepted) == sorted(command.consignment for command in commands)

    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    shutil.rmtree(run.folder / "tracker")  # the local store can be thrown away
    late = event("delivered", datetime.now(UTC) - timedelta(hours=1), Ref("container", f"{prefix}0000"), sender="HBRT")
    run.tracker()
    at = send(run, [late])
    until(caught_up(settings, prefix, at, CONSIGNMENTS), run)
    assert published(settings, prefix)[f"LACDHS-{prefix}0"].stage == "delivered"
    assert plain(published(settings, prefix)[f"LACDHS-{prefix}0"]) == recomputed(settings, prefix)[f"LACDHS-{prefix}0"]


def test_a_standby_takes_over_from_a_killed_owner(settings: Settings, run: Run) -> None:
    prefix = prefix_of_four_letters()
    commands, events = story(prefix)
    first = run.tracker()
    at = send(run, list(commands))
    until(caught_up(settings, prefix, at, CONSIGNMENTS), run)
    run.tracker()
    first.kill()
    first.wait(10)
    shutil.rmtree(run.folder / "tracker", ignore_errors=True)  # another machine has another store
    at = send(run, list(events))
    until(caught_up(settings, prefix, at, CONSIGNMENTS), run)
    assert {name: plain(journey) for name, journey in published(settings, prefix).items()} == recomputed(settings, prefix)


def test_a_standby_takes_over_from_an_owner_that_hangs_and_still_holds_the_local_store(settings: Settings, run: Run) -> None:
    prefix = prefix_of_four_letters()
    commands, events = story(prefix)
    first = run.tracker()
    at = send(run, list(commands))
    until(caught_up(settings, prefix, at, CONSIGNMENTS), run)
    run.tracker()
    first.send_signal(signal.SIGSTOP)  # for longer than the session and the transaction live, 10 s each
    at = send(run, list(events))
    until(caught_up(settings, prefix, at, CONSIGNMENTS), run)
    first.send_signal(signal.SIGCONT)
    until(lambda: bool(run.ended(first)), run)  # it was counted out, and begins again, as the standby
    assert {name: plain(journey) for name, journey in published(settings, prefix).items()} == recomputed(settings, prefix)


def test_a_broker_that_answers_nothing_ends_no_tracker_and_whoever_began_meanwhile_serves_when_it_answers(
    settings: Settings, kafka: Kafka, run: Run
) -> None:
    """SIGSTOP of the broker for longer than sessions, transactions and questions live, 10 s each; nobody starts anything."""
    if not isinstance(kafka, LocalKafka) or kafka.running is None:
        pytest.skip("this provider's broker cannot be frozen by a test")
    prefix = prefix_of_four_letters()
    commands, events = story(prefix)
    first = run.tracker()
    at = send(run, list(commands))
    until(caught_up(settings, prefix, at, CONSIGNMENTS), run)
    signal_to(kafka.running, signal.SIGSTOP)
    try:
        second = run.tracker()
        until(lambda: len(run.ended(second)) >= 2, run)
        assert all(why.startswith("KafkaException") for why in run.ended(second))
    finally:
        signal_to(kafka.running, signal.SIGCONT)
    at = send(run, [*events[: len(events) // 2]])
    until(caught_up(settings, prefix, at, CONSIGNMENTS), run)
    first.kill()  # the second one is at work then, if it was not before
    first.wait(10)
    at = send(run, [*events[len(events) // 2 :]])
    until(caught_up(settings, prefix, at, CONSIGNMENTS), run)
    assert second.poll() is None, run.log()
    assert {name: plain(journey) for name, journey in published(settings, prefix).items()} == recomputed(settings, prefix)
    second.terminate()
    assert second.wait(HANG_S) == 0


def test_a_tracker_that_stood_still_tracks_again_by_itself(settings: Settings, run: Run) -> None:
    """SIGSTOP for longer than its session, as a machine that sleeps, with no standby: nobody else is there to mend it."""
    prefix = prefix_of_four_letters()
    commands, events = story(prefix)
    only = run.tracker()
    at = send(run, list(commands))
    until(caught_up(settings, prefix, at, CONSIGNMENTS), run)
    only.send_signal(signal.SIGSTOP)
    at = send(run, [*events[: len(events) // 2]])
    time.sleep(STOOD_STILL_S)
    only.send_signal(signal.SIGCONT)
    until(caught_up(settings, prefix, at, CONSIGNMENTS), run)
    at = send(run, [*events[len(events) // 2 :]])
    until(caught_up(settings, prefix, at, CONSIGNMENTS), run)
    assert run.ended(only) and only.poll() is None, run.log()
    assert {name: plain(journey) for name, journey in published(settings, prefix).items()} == recomputed(settings, prefix)


def test_a_local_store_that_cannot_be_written_ends_it_with_a_line_in_the_log(run: Run) -> None:
    (run.folder / "tracker").write_text("in the way")  # as a full disk would be
    process = run.tracker()
    assert process.wait(60) == 1
    last = run.log().splitlines()[-1]
    assert '"event": "tracker.failed"' in last and "Traceback" in last, "the stack is in the line, not instead of it"
