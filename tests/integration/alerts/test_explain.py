"""The chain behind a message on a real ClickHouse: from the sender's bytes to the provider's receipt."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from schemas.alerts_v1 import Acknowledgement, Delivery, Notification
from schemas.consignment_command_v1 import EXAMPLES as COMMANDS
from schemas.consignment_command_v1 import RegisterConsignment
from schemas.journey_change_v1 import ExceptionChanged
from schemas.journey_v1 import EXAMPLES as JOURNEYS
from schemas.journey_v1 import Journey, Statement
from schemas.raw_message_v1 import RawMessage
from schemas.shipment_event_v1 import EXAMPLES as EVENTS
from schemas.shipment_event_v1 import ShipmentEvent
from schemas.work_act_v1 import WorkAct
from services.alerts import backtest, explain, rules_cli
from services.alerts.explain import History, Unknown, for_whom, held
from services.alerts.matching import Told
from services.alerts.rules import cause_of
from services.runtime.settings import Settings
from tests.integration.console.conftest import Books, books, console_settings, tables  # noqa: F401  fixtures
from tests.unit.alerts.build import NOW, change, subscription


def made_of(told: list[Told]) -> Notification:
    (found,) = backtest.run(told, subscription(), {}).sent
    return found


def test_a_message_leads_to_the_bytes_behind_it_and_to_the_providers_receipt(books: Books) -> None:  # noqa: F811
    example = EVENTS[0]
    assert isinstance(example, ShipmentEvent)
    event = example.model_copy(update={"raw": example.raw.model_copy(update={"partition": 1, "offset": 17})})
    found = change(exception={"evidence": (event.event_id,)})
    made = made_of([Told(found, 0, 0, NOW)])
    books.write(event, found, made, at=NOW)
    books.write_raw(RawMessage(kind="message", sender="MAEU", sha256="ab" * 32, content_type="application/json"), b"{}", 17)
    attempt = Delivery(
        notification=made.notification,
        subscription=made.subscription,
        attempt=1,
        state="intent",
        address_hash="ab" * 32,
        at=NOW,
    )
    accepted = attempt.model_copy(update={"state": "accepted", "provider": "smtp", "provider_ref": "250 queued"})
    books.write(attempt, accepted, at=NOW)
    history = History(books.client)
    assert history.notification(made.notification[:8]) == made
    links = history.chain(made)
    assert [link.what for link in links] == ["bytes", "event", "change", "message", "delivery", "delivery"]
    assert links[0].text == "MAEU sent 2 bytes of application/json"
    assert links[0].where.startswith("raw.messages.v1 1:17")
    assert links[0].where.endswith("sha256 " + "ab" * 32)
    assert links[5].text == "attempt 1: accepted"
    assert links[5].where == "smtp 250 queued"


def test_every_change_of_a_consignment_was_told_by_a_message_or_held_back_by_a_rule(books: Books) -> None:  # noqa: F811
    opened, eased = change(), change("exception_changed", 2, severity="minor", at=NOW + timedelta(hours=1))
    made = made_of([Told(opened, 0, 0, NOW)])
    books.write(opened, at=NOW)
    books.write(eased, at=NOW + timedelta(hours=1))
    books.write(change(n=3, consignment="LACDHS-2"), made, at=NOW)
    history = History(books.client)
    changes = history.changes(NOW - timedelta(days=1), "LACDHS-1")
    assert [told.change for told in changes] == [opened, eased]
    assert [told.appended_at for told in changes] == [NOW, NOW + timedelta(hours=1)]
    sent = history.notifications(made.subscription, "LACDHS-1")
    assert sent == [made]
    links = held(changes, sent, subscription(), {})
    assert [(link.what, link.where) for link in links] == [("told", made.notification), ("held", "")]
    assert links[1].text.endswith("no worse than what was told")
    assert history.notifications(made.subscription, "LACDHS-2") == []


def test_what_a_subscriber_was_told_of_others_is_known_with_its_causes(books: Books) -> None:  # noqa: F811
    """Not what went to another, nor a notice, an escalation, what was told before, or of this consignment; and what ended opens
    no window."""
    first, ended = (
        change(n=11, consignment="LACDHS-11", voyage="015E"),
        change("exception_ended", 12, "LACDHS-12", voyage="016W"),
    )
    told = [Told(first, 0, 0, NOW), Told(change(n=9, consignment="LACDHS-12", voyage="016W"), 0, 1, NOW)]
    run = backtest.run([*told, Told(ended, 0, 2, NOW + timedelta(hours=1))], subscription(), {}).sent
    books.write(first, ended, *(each.change for each in told), *run, *run[:1], at=NOW)
    apart: dict[str, dict[str, Any]] = {
        "another's": {"subscription": "f" * 16},
        "a notice": {"purpose": "notice"},
        "an escalation": {"escalates": "9" * 32},
        "before": {"due_at": NOW - timedelta(hours=2)},
    }
    books.write(*(run[0].model_copy(update={"notification": f"{n:032x}"} | said) for n, said in enumerate(apart.values())))
    spoken = History(books.client).spoken(run[0].subscription, "LACDHS-1", NOW - timedelta(hours=1))
    causes = {cause_of(each.change) for each in told if isinstance(each.change, ExceptionChanged)}
    assert [one.at for one in spoken] == sorted(made.due_at for made in run)
    assert [len(one.causes) for one in spoken] == [1, 1, 0] and {one for each in spoken for one in each.causes} == causes
    assert len(History(books.client).spoken(run[0].subscription, "LACDHS-11", NOW - timedelta(hours=1))) == len(run) - 1


def test_of_a_consignment_it_is_told_who_was_told_and_who_was_not_and_why(books: Books) -> None:  # noqa: F811
    opened = change(n=41, consignment="LACDHS-41")
    made = made_of([Told(opened, 0, 0, NOW)])
    again = made.model_copy(update={"notification": "e" * 32, "due_at": NOW + timedelta(hours=1)})
    books.write(opened, made, again, made_of([Told(change(n=42, consignment="LACDHS-42"), 0, 1, NOW)]), at=NOW)
    history = History(books.client)
    told = history.told_about("LACDHS-41")
    assert told == [(made.subscription, 2, again.due_at, again.notification)]
    assert history.told_about("LACDHS-4") == []
    one, paused = subscription(), subscription("p", "paused", label="Night desk")
    others = {one.subscription: one, paused.subscription: paused}
    found, *left_out = for_whom(history.changes(NOW - timedelta(days=1), "LACDHS-41"), told, others, NOW, lambda _: ())
    assert left_out == [0, 0]
    assert [(row.subscription, row.messages, row.last, bool(row.why)) for row in found] == [
        (one.subscription, 2, again.notification, False),
        (paused.subscription, 0, "", True),
    ]
    assert isinstance(opened, ExceptionChanged) and found[1].why.startswith(opened.exception.key)
    assert (found[1].who, found[1].state) == ("Night desk, email", "paused")
    assert not any("@" in row.who for row in found), "addresses are told elsewhere"


def test_who_is_left_out_is_counted_and_nobody_who_was_told_is_said_not_to_be(
    books: Books,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    opened = change(n=43, consignment="LACDHS-43")
    made = made_of([Told(opened, 0, 0, NOW)])
    everybody = {one.subscription: one for one in map(subscription, "012345")}
    names = [*everybody]
    sent = [
        made.model_copy(update={"notification": f"{n:032x}", "subscription": name, "due_at": NOW + timedelta(minutes=n)})
        for n, name in enumerate(names[:3])
    ]
    books.write(opened, *sent, at=NOW)
    monkeypatch.setattr(explain, "MOST_TOLD", 2)
    monkeypatch.setattr(explain, "MOST_UNTOLD", 1)
    history = History(books.client)
    told = history.told_about("LACDHS-43")
    assert [name for name, *_ in told] == names[2::-1]
    found, *left_out = for_whom(history.changes(NOW - timedelta(days=1), "LACDHS-43"), told, everybody, NOW, lambda _: ())
    assert [(row.subscription, row.messages) for row in found] == [(names[2], 1), (names[1], 1), (names[3], 0)]
    assert left_out == [1, 2]
    monkeypatch.setattr(rules_cli, "_subscriptions", lambda _: everybody)
    for as_json in (False, True):
        rules_cli._for_whom(history, cast(Settings, None), "LACDHS-43", None, as_json)
        said = capsys.readouterr().err
        assert "lovla: 1 more were told: only the 2 that were told last are listed" in said
        assert "lovla: 2 more were not told: why is looked up for the first 1 by id, and with --for for any" in said


def test_an_id_that_nobody_knows_is_said_to_be_unknown(books: Books) -> None:  # noqa: F811
    with pytest.raises(Unknown, match="no message has that id"):
        History(books.client).notification("abcdef")


def test_what_a_recipient_has_in_hand_leads_to_the_message(books: Books) -> None:  # noqa: F811
    made = made_of([Told(change(n=71, consignment="LACDHS-71"), 0, 0, NOW)])
    sent = Delivery(
        notification=made.notification,
        subscription=made.subscription,
        attempt=1,
        state="accepted",
        address_hash="ab" * 32,
        at=NOW,
        provider_ref="SM71",
        message_id="<71@lovla.example>",
    )
    books.write(made, sent, at=NOW)
    for hand in ("<71@lovla.example>", "SM71", made.notification):
        assert History(books.client).notification(hand) == made


def test_who_took_care_of_a_message_is_said_by_its_id_or_by_the_code_that_was_answered(books: Books) -> None:  # noqa: F811
    older, made = (made_of([Told(change(n=n, consignment=f"LACDHS-{n}"), 0, 0, NOW)]) for n in (74, 75))
    told = {"code": "4711", "subscription": "e" * 16}
    older = older.model_copy(update=told)
    made = made.model_copy(update=told | {"due_at": older.due_at + timedelta(hours=1)})
    at = made.due_at + timedelta(minutes=5)
    by_link = Acknowledgement(subscription="e" * 16, at=at, notification=made.notification, source="link", by="subscriber")
    by_sms = Acknowledgement(subscription="e" * 16, at=at + timedelta(minutes=1), code="4711", source="sms", by="subscriber")
    before = Acknowledgement(subscription="e" * 16, at=older.due_at, code="4711", source="sms", by="subscriber")
    of_another = Acknowledgement(subscription="f" * 16, at=at, notification=made.notification, source="api", by="OPS")
    books.write(older, made, by_link, by_sms, before, of_another, at=NOW)
    history = History(books.client)
    said = [(link.what, link.at, link.text) for link in history.chain(made) if link.what == "acknowledged"]
    assert said == [
        ("acknowledged", at, "by subscriber: link"),
        ("acknowledged", at + timedelta(minutes=1), "by subscriber: sms 4711"),
    ]
    assert [link.at for link in history.chain(older) if link.what == "acknowledged"] == [older.due_at]


def test_who_keeps_a_second_contact_asleep_is_said_and_until_when(books: Books) -> None:  # noqa: F811
    opened = change(n=76, consignment="LACDHS-76", severity="critical")
    made = made_of([Told(opened, 0, 0, NOW)]).model_copy(update={"code": "4711"})
    body: dict[str, Any] = {"consignment": "LACDHS-76", "by": "ana", "sender": "OPS"}
    later = [NOW + timedelta(minutes=n) for n in range(1, 5)]
    until = NOW + timedelta(hours=6)
    acts = [
        WorkAct(act="snooze", act_id=f"{1:032x}", at=later[0], exceptions=("late:arrived",), until=until, **body),
        WorkAct(act="acknowledge", act_id=f"{2:032x}", at=later[1], exceptions=("late:arrived",), **body),
        WorkAct(act="acknowledge", act_id=f"{3:032x}", at=later[1], exceptions=("silent",), **body),
        WorkAct(act="undo", act_id=f"{4:032x}", at=later[2], undoes=f"{2:032x}", **body),
        WorkAct(act="undo", act_id=f"{5:032x}", at=later[3], undoes=f"{1:032x}", **body),
    ]
    history = History(books.client)

    def said(now: datetime) -> list[str]:
        return [link.text for link in history.chain(made, now) if link.what in ("care", "held")]

    books.write(opened, made, *acts[:3], at=NOW)
    waits, takes = "ana lets late:arrived wait until 2020-04-13 00:00 UTC", "ana takes care of late:arrived"
    held_by = "late:arrived: not escalated: ana"
    assert said(later[2]) == [waits, takes, f"{held_by} takes care of it"]
    books.write(acts[3], at=NOW)
    back = "ana took that back"
    assert said(later[3]) == [waits, takes, back, f"{held_by} lets it wait, until 2020-04-13 00:00 UTC"]
    assert said(until) == [waits, takes, back], "it may wait no longer"
    books.write(acts[4], at=NOW)
    assert said(later[3]) == [waits, takes, back, back]


def test_a_milestone_leads_to_the_statement_it_follows_and_an_untold_delay_to_the_plan(books: Books) -> None:  # noqa: F811
    event = next(one for one in EVENTS if isinstance(one, ShipmentEvent))
    event = event.model_copy(update={"event_id": "7" * 32, "raw": event.raw.model_copy(update={"partition": 1, "offset": 72})})
    journey = next(one for one in JOURNEYS if isinstance(one, Journey))
    statement = Statement(
        milestone="arrived",
        classifier="actual",
        occurred_at=NOW,
        received_at=NOW,
        sender="MAEU",
        event_id=event.event_id,
        code="UV",
        decides=True,
    )
    told = journey.model_copy(update={"consignment": "LACDHS-72", "statements": (statement,)})
    command = next(one for one in COMMANDS if isinstance(one, RegisterConsignment))
    pointer = command.raw.model_copy(update={"partition": 1, "offset": 73})
    declared = command.model_copy(
        update={"command_id": "73" * 16, "consignment": "LACDHS-73", "received_at": NOW - timedelta(days=1), "raw": pointer}
    )
    reached = change("milestone_reached", 72, "LACDHS-72", occurred_at=NOW, at=NOW - timedelta(seconds=4))
    overdue = change(n=73, consignment="LACDHS-73", exception={"key": "overdue:arrived", "kind": "overdue"})
    first, second = (made_of([Told(each, 0, 0, NOW)]) for each in (reached, overdue))
    books.write(event, told, declared, reached, overdue, first, second, at=NOW)
    for offset in (72, 73):
        meta = RawMessage(kind="message", sender="MAEU", sha256=f"{offset}" * 32, content_type="application/json")
        books.write_raw(meta, b"{}", offset)
    history = History(books.client)
    chain = history.chain(first)
    assert [link.what for link in chain] == ["bytes", "event", "change", "message"]
    assert chain[0].where.startswith("raw.messages.v1 1:72")
    assert chain[2].at == NOW, "when the broker took it, not the pipeline's time, which is that of the tick before its bytes"
    chain = history.chain(second)
    assert [link.what for link in chain] == ["bytes", "command", "change", "message"]
    assert chain[0].where.startswith("raw.messages.v1 1:73") and "the plan was declared" in chain[1].text
