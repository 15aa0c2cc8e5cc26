"""What a subscriber is told, when, and what is held back: `Compose` driven by hand, time passed by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.alert_states_v1 import AlertState
from schemas.alerts_v1 import Acknowledgement, AlertCandidate, Notification, Subscription
from schemas.work_act_v1 import Act, WorkAct
from services.alerts import rules
from services.alerts.care import Work
from services.alerts.compose import Compose, Writes
from tests.unit.alerts.build import NOW, alertable, subscription

MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 11, 20, 20, tzinfo=UTC)  # in Los Angeles


class Desk:
    """A compose, its clock, and the topics that it would write."""

    def __init__(self, *subscriptions: Subscription, now: datetime = NOON, most: int = 1_000) -> None:
        self.book = {one.subscription: one for one in subscriptions or (subscription(),)}
        self.now = now
        self.sent: list[Notification] = []
        self.why: list[rules.Reason] = []
        self.topic: dict[str, AlertState] = {}
        self.most, self.acts = most, 0
        self.work = Work()
        self.compose = Compose(self.book.get, most, self.work.care)
        self.version = 0

    def change(self, kind: str = "exception_opened", **fields: Any) -> AlertCandidate:
        """The next change, to the first subscriber."""
        self.version += 1
        away = fields.pop("away", False)
        name = fields.pop("to", next(iter(self.book)))
        found = alertable(kind=kind, n=self.version, at=self.now, **fields)
        return AlertCandidate(
            subscription=name, change_id=found.change_id, consignment=found.consignment, at=found.at, away=away, change=found
        )

    def take(self, kind: str = "exception_opened", **fields: Any) -> AlertCandidate:
        candidate = self.change(kind, **fields)
        self.again(candidate)
        return candidate

    def again(self, candidate: AlertCandidate) -> None:
        self.write(self.compose.take(0, candidate, self.now))

    def write(self, writes: Writes, stages: int = 99) -> None:
        for stage in writes.stages[:stages]:
            for record in stage:
                if isinstance(record, Notification):
                    self.sent.append(record)
                elif record.record is None:
                    self.topic.pop(record.key, None)
                else:
                    self.topic[record.key] = record.record
        if stages >= len(writes.stages):
            self.compose.keep(writes)
            self.why += writes.outcome.reasons

    def act(self, what: Act, consignment: str = "LACDHS-1", keys: Sequence[str] = ("late:arrived",), **fields: Any) -> str:
        """Somebody does something in the console; its id."""
        self.acts += 1
        body: dict[str, Any] = {"act": what, "act_id": f"{self.acts:032x}", "at": self.now, "by": "ana", "sender": "OPS"}
        about = {"exceptions": keys} if what in ("acknowledge", "snooze") else {}
        self.work.put(WorkAct.model_validate(body | {"consignment": consignment} | about | fields))
        self.compose.look_again(consignment, self.now)
        return f"{self.acts:032x}"

    def settle(self) -> Iterator[Writes]:
        return (self.compose.settle(name, self.now) for name in self.compose.due(self.now))

    def until(self, moment: datetime) -> list[Notification]:
        """Lets time pass; what was sent in it."""
        before = len(self.sent)
        while (due := self.compose.next_due()) is not None and due <= moment:
            self.now = max(self.now, due)
            for writes in self.settle():
                self.write(writes)
        self.now = moment
        return self.sent[before:]

    def wait(self, **span: float) -> list[Notification]:
        return self.until(self.now + timedelta(**span))

    def crash(self) -> None:
        """A new process with what the topic holds."""
        self.compose = Compose(self.book.get, self.most, self.work.care)
        self.compose.restore(0, self.topic.values())
        self.compose.look_again(None, self.now)
        for writes in self.compose.unfinished(0):
            self.write(writes)


def steps(notifications: Sequence[Notification]) -> list[list[tuple[str, str]]]:
    return [[(one.consignment, one.step) for one in made.items] for made in notifications]


# -- opened, worsened, ended, corrected ------------------------------------------------------------------------------------


def test_what_opens_is_told_within_two_seconds() -> None:
    desk = Desk()
    desk.take()
    sent = desk.wait(seconds=2)
    assert steps(sent) == [[("LACDHS-1", "opened")]]
    assert (sent[0].purpose, sent[0].severity, sent[0].thread) == ("alert", "major", "LACDHS-1")
    assert desk.wait(hours=24) == []


def test_what_is_worse_over_and_wrong_is_told_as_such() -> None:
    desk = Desk()
    for kind, severity in (
        ("exception_opened", "minor"),
        ("exception_changed", "major"),
        ("exception_ended", "major"),
        ("exception_withdrawn", "major"),
    ):
        desk.take(kind, severity=severity)
        desk.wait(hours=1)
    assert [made.items[0].step for made in desk.sent] == ["opened", "worsened", "ended", "corrected"]
    assert "We were wrong" in desk.sent[3].text


def test_hours_that_pass_a_step_are_worse_and_others_are_not() -> None:
    desk = Desk()
    for hours in (5, 5.5, 7, 11, 13):
        desk.take("exception_changed", exception={"late_h": hours})
        desk.wait(hours=1)
    assert [made.items[0].hours_late for made in desk.sent] == [5, 7, 13]
    assert [reason.text for reason in desk.why if "worse" in reason.text] == ["no worse than what was told"] * 2


def test_a_severity_that_goes_down_and_up_again_is_not_told_again() -> None:
    desk = Desk()
    for severity in ("major", "minor", "major", "minor", "major"):
        desk.take("exception_changed", severity=severity)
        desk.wait(hours=1)
    assert len(desk.sent) == 1


def test_what_comes_and_goes_within_the_interval_is_never_told() -> None:
    desk = Desk()
    desk.take(exception={"key": "on_hold:customs", "kind": "on_hold"})
    desk.wait(minutes=1)
    for _ in range(5):
        desk.take()
        desk.wait(minutes=1)
        desk.take("exception_ended")
        desk.wait(minutes=1)
    assert steps(desk.sent) == [[("LACDHS-1", "opened")]]
    assert desk.wait(hours=5) == []


def test_what_flaps_for_hours_is_told_at_most_once_an_interval() -> None:
    desk = Desk(subscription(most_an_hour=100))
    for _ in range(60):
        desk.take()
        desk.wait(minutes=2)
        desk.take("exception_ended")
        desk.wait(minutes=2)
    desk.wait(hours=1)
    gaps = [after.due_at - before.due_at for before, after in zip(desk.sent, desk.sent[1:], strict=False)]
    assert min(gaps) >= rules.BETWEEN


def test_what_ended_before_it_was_told_is_not_told() -> None:
    desk = Desk()
    desk.take("exception_ended")
    assert desk.wait(hours=1) == []
    assert desk.why[-1].text == "it was over before it was told"


def test_what_belongs_together_goes_in_one_message() -> None:
    desk = Desk()
    desk.take("milestone_reached", milestone="arrived", occurred_at=NOW)
    desk.take(exception={"key": "late:arrived", "kind": "late"})
    desk.take(exception={"key": "on_hold:customs", "kind": "on_hold"})
    sent = desk.wait(seconds=5)
    assert steps(sent) == [[("LACDHS-1", "opened"), ("LACDHS-1", "opened"), ("LACDHS-1", "reached")]]


def test_a_milestone_that_moves_or_is_taken_back_is_told_and_one_that_hardly_moves_is_not() -> None:
    desk = Desk()
    for occurred_at in (NOW, NOW + 30 * MINUTE, NOW + 90 * MINUTE, None):
        desk.take("milestone_reached", occurred_at=occurred_at)
        desk.wait(hours=1)
    assert [made.items[0].step for made in desk.sent] == ["reached", "revised", "corrected"]


def test_a_handover_is_told_by_its_milestone_alone() -> None:
    desk = Desk()
    desk.take("handed_over", milestone="gate_out", occurred_at=NOW)
    assert desk.wait(hours=1) == []


def test_what_eased_below_what_a_subscriber_wants_before_it_was_told_is_not_told() -> None:
    desk = Desk(subscription(minimum_severity="major", digest="hourly"))
    desk.take(severity="major")
    desk.take("exception_changed", severity="minor")
    assert desk.wait(hours=2) == []
    assert desk.why[-1].text == "minimum_severity: it wants major or worse"


# -- groups ----------------------------------------------------------------------------------------------------------------


def test_forty_consignments_on_one_late_vessel_are_two_messages() -> None:
    desk = Desk()
    for n in range(40):
        desk.take(consignment=f"LACDHS-{n:02}", voyage="9778791/020W", exception={"late_h": float(n)})
        desk.wait(seconds=2)
    desk.wait(minutes=10)
    assert [made.count for made in desk.sent] == [1, 39]
    assert desk.sent[1].items[0].consignment == "LACDHS-39"  # the worst first
    assert desk.sent[1].due_at - desk.sent[0].due_at == rules.GROUPED
    assert desk.sent[1].thread == "delay  9778791/020W"
    assert "39 consignments" in desk.sent[1].subject
    assert len(desk.sent[1].text.splitlines()) < 40


def test_all_that_comes_at_once_is_one_message() -> None:
    desk = Desk()
    for n in range(60):
        desk.take(consignment=f"LACDHS-{n:02}", voyage="9778791/020W")
    sent = desk.wait(seconds=2)
    assert [(made.count, len(made.items), len(made.changes)) for made in sent] == [(60, 50, 60)]
    assert desk.wait(hours=3) == []


def test_the_silence_of_a_carrier_is_one_cause_with_its_feed() -> None:
    silent = {"key": "silent", "kind": "silent", "party": "MAEU"}
    feed = alertable(consignment="feed:MAEU", carrier=None, exception=silent)
    goods = alertable(consignment="LACDHS-9", exception=silent)
    assert rules.cause_of(feed) == rules.cause_of(goods) == "silent MAEU"


# -- quiet hours, digests ----------------------------------------------------------------------------------------------------


def test_quiet_hours_hold_everything_until_they_end_and_what_is_over_by_then_is_not_told() -> None:
    evening = datetime(2026, 11, 21, 5, 30, tzinfo=UTC)  # 21:30 in Los Angeles
    desk = Desk(subscription(quiet=("21:00", "07:00")), now=evening)
    for n in range(3):
        desk.take(consignment=f"LACDHS-{n}", carrier=f"C{n}")
    desk.wait(hours=2)
    desk.take("exception_ended", consignment="LACDHS-1", carrier="C1")
    assert desk.sent == []
    sent = desk.until(datetime(2026, 11, 21, 15, tzinfo=UTC))
    assert [made.purpose for made in sent] == ["digest"]
    assert {one.consignment for one in sent[0].items} == {"LACDHS-0", "LACDHS-2"}


@pytest.mark.parametrize(("breaks", "told"), [(True, 1), (False, 0)])
def test_a_critical_one_breaks_through_quiet_hours_only_if_the_subscriber_said_so(breaks: bool, told: int) -> None:
    evening = datetime(2026, 11, 21, 5, 30, tzinfo=UTC)
    desk = Desk(subscription(quiet=("21:00", "07:00"), critical_breaks_quiet=breaks), now=evening)
    desk.take(severity="critical")
    assert len(desk.wait(hours=1)) == told


def test_a_group_that_closes_in_quiet_hours_waits_for_their_end() -> None:
    desk = Desk(subscription(quiet=("21:00", "07:00")), now=datetime(2026, 11, 21, 4, 58, tzinfo=UTC))  # 20:58
    desk.take(consignment="LACDHS-1", voyage="V")
    desk.wait(seconds=2)
    desk.take(consignment="LACDHS-2", voyage="V")
    desk.wait(hours=9)
    assert len(desk.sent) == 1
    assert steps(desk.wait(hours=2)) == [[("LACDHS-2", "opened")]]


def test_a_daily_digest_tells_what_holds_when_it_goes() -> None:
    desk = Desk(subscription(digest="daily", digest_at="07:00"))
    desk.take(consignment="LACDHS-1")
    desk.take(consignment="LACDHS-2", carrier="C2", severity="critical")
    desk.take("exception_changed", consignment="LACDHS-1", severity="minor")
    sent = desk.wait(hours=24)
    assert [(made.purpose, made.count) for made in sent] == [("digest", 2)]
    assert sent[0].items[0].consignment == "LACDHS-2"
    assert sent[0].subject.startswith("Digest: CRITICAL 2 consignments")


def test_the_digest_at_half_past_two_goes_on_the_night_when_that_hour_does_not_exist() -> None:
    desk = Desk(subscription(digest="daily", digest_at="02:30"), now=datetime(2026, 3, 8, 6, tzinfo=UTC))
    desk.take()
    assert [made.due_at for made in desk.wait(hours=20)] == [datetime(2026, 3, 8, 10, tzinfo=UTC)]


def test_what_waited_for_too_long_is_dropped_with_a_reason() -> None:
    desk = Desk(subscription(digest="daily"))
    desk.take()
    desk.now += rules.HELD_AT_MOST + timedelta(hours=1)
    assert desk.wait(hours=1) == []
    assert desk.why[-1].text == "it waited for more than 48 h"


@pytest.mark.parametrize("state", ["paused", "stopped", "unconfirmed"])
def test_who_stops_while_something_waits_is_not_told_it(state: str) -> None:
    desk = Desk(subscription(digest="hourly"))
    desk.take()
    desk.book["a" * 16] = subscription(state=state, digest="hourly")
    assert desk.wait(hours=2) == []
    assert desk.why[-1].text == f"the subscription is {state}"


def test_who_is_forgotten_leaves_nothing_behind() -> None:
    desk = Desk(subscription(digest="hourly"))
    desk.take()
    assert desk.topic
    desk.book.clear()
    desk.wait(hours=2)
    assert desk.topic == {}
    assert desk.sent == []


# -- budgets -----------------------------------------------------------------------------------------------------------------


def test_over_the_budget_there_is_one_notice_and_then_one_digest() -> None:
    desk = Desk(subscription(most_an_hour=3))
    for n in range(10):
        desk.take(consignment=f"LACDHS-{n}", carrier=f"C{n}", terminal=None)
        desk.wait(minutes=1)
    assert [made.purpose for made in desk.sent] == ["alert"] * 3 + ["notice"]
    assert "as one digest" in desk.sent[3].text
    sent = desk.wait(hours=1)
    assert [(made.purpose, made.count) for made in sent] == [("digest", 7)]


def test_the_worst_goes_first_when_the_budget_does_not_reach() -> None:
    desk = Desk(subscription(most_an_hour=1))
    for n, severity in enumerate(("minor", "critical", "major")):
        desk.take(consignment=f"LACDHS-{n}", carrier=f"C{n}", terminal=None, severity=severity)
    desk.wait(seconds=2)
    assert steps(desk.sent[:1]) == [[("LACDHS-1", "opened")]]


def test_the_budget_of_all_holds_everybody() -> None:
    names = "abcdef"
    desk = Desk(*(subscription(name) for name in names), most=4)
    for name in names:
        desk.take(to=name * 16)
    desk.wait(minutes=1)
    assert sum(made.purpose == "alert" for made in desk.sent) == 4
    desk.wait(hours=2)
    assert {made.subscription[0] for made in desk.sent} == set(names)
    assert {made.purpose for made in desk.sent} == {"alert"}  # no notice to everybody, which would be as many messages


def test_the_budget_of_all_is_one_however_many_workers_share_it_and_whoever_takes_over() -> None:
    most = 3
    people = [subscription(name) for name in "abcdefgh"]
    desk = Desk(*people, most=most)
    one, two = Compose(desk.book.get, most), Compose(desk.book.get, most)
    owner = {0: one, 1: two}
    states: dict[int, dict[str, AlertState]] = {0: {}, 1: {}}

    def tell(compose: Compose, now: datetime) -> tuple[int, int]:
        """How many messages are made, and how often operators are told."""
        decided = [compose.settle(name, now) for name in compose.due(now)]  # all, before any of it is written
        for writes in decided:
            for stage in writes.stages:
                for record in stage:
                    if not isinstance(record, Notification) and record.record is not None:
                        states[writes.partition][record.key] = record.record
            compose.keep(writes)
        return sum(len(writes.outcome.notifications) for writes in decided), sum(writes.spent for writes in decided)

    for n, person in enumerate(people):
        writes = owner[n % 2].take(n % 2, desk.change(to=person.subscription), desk.now)
        for stage in writes.stages:
            states[n % 2] |= {put.key: put.record for put in stage if not isinstance(put, Notification) and put.record}
        owner[n % 2].keep(writes)
    soon = desk.now + timedelta(minutes=1)
    assert [tell(one, soon), tell(two, soon)] == [(most, 1), (most, 1)]
    one.drop(0)  # its partition goes to the other one, with what was spent of its share
    two.restore(0, states[0].values())
    later = soon + timedelta(minutes=30)
    assert tell(two, later)[0] == 0
    assert tell(two, soon + timedelta(hours=1, minutes=1))[0] == len(people) - 2 * most


# -- while we were away --------------------------------------------------------------------------------------------------------


def test_what_was_open_when_the_worker_caught_up_is_one_message_a_subscriber() -> None:
    desk = Desk()
    for n in range(8):
        desk.take(consignment=f"LACDHS-{n}", carrier=f"C{n}", away=True)
        desk.wait(seconds=0.2)
    desk.wait(minutes=1)
    assert [made.count for made in desk.sent] == [8]
    assert desk.sent[0].subject.startswith("While we were away: 8 consignments")


# -- escalation ----------------------------------------------------------------------------------------------------------------


def watched(**fields: Any) -> tuple[Subscription, Subscription]:
    return subscription(escalate_to="b" * 16, escalate_after_min=10), subscription("b", **fields)


def test_a_critical_one_that_nobody_acknowledges_goes_to_the_second_contact() -> None:
    desk = Desk(*watched())
    desk.take(severity="critical")
    first = desk.wait(minutes=9)
    assert len(first) == 1
    assert f"ACK {first[0].code}" in (first[0].sms or "")
    second = desk.wait(minutes=2)
    assert [(made.subscription, made.escalates, made.code) for made in second] == [
        ("b" * 16, first[0].notification, first[0].code)
    ]
    assert second[0].subject.startswith("Nobody acknowledged: CRITICAL")
    assert desk.wait(hours=5) == []


@pytest.mark.parametrize("by", ["notification", "code", "neither"])
def test_an_acknowledgement_stops_the_escalation(by: str) -> None:
    desk = Desk(*watched())
    desk.take(severity="critical")
    (first,) = desk.wait(minutes=1)
    said = {"notification": first.notification} if by == "notification" else {"code": first.code} if by == "code" else {}
    other = Acknowledgement(subscription="a" * 16, at=desk.now, code="0000" if first.code != "0000" else "0001")
    desk.write(desk.compose.acknowledge(0, other))
    desk.write(desk.compose.acknowledge(0, Acknowledgement(subscription="a" * 16, at=desk.now, **said)))
    assert desk.wait(hours=5) == []


def test_an_acknowledgement_of_another_code_stops_nothing() -> None:
    desk = Desk(*watched())
    desk.take(severity="critical")
    (first,) = desk.wait(minutes=1)
    other = "0000" if first.code != "0000" else "0001"
    desk.write(desk.compose.acknowledge(0, Acknowledgement(subscription="a" * 16, at=desk.now, code=other)))
    assert len(desk.wait(hours=1)) == 1


def test_what_is_over_is_not_escalated() -> None:
    desk = Desk(*watched())
    desk.take(severity="critical")
    desk.wait(minutes=1)
    desk.take("exception_ended", severity="critical")
    desk.wait(hours=1)
    assert [made.escalates for made in desk.sent] == [None, None]


def test_a_second_contact_that_is_not_confirmed_is_not_told() -> None:
    desk = Desk(*watched(state="unconfirmed"))
    desk.take(severity="critical")
    desk.wait(hours=1)
    assert len(desk.sent) == 1
    assert desk.why[-1].text == "not escalated: the second contact is not active"


# -- what people do about it ---------------------------------------------------------------------------------------------------


def asked(**fields: Any) -> Desk:
    """A desk whose first contact was asked to acknowledge a critical delay two minutes ago."""
    desk = Desk(*watched())
    desk.take(severity="critical", **fields)
    desk.wait(minutes=2)
    return desk


def told_second(desk: Desk, **span: float) -> list[str]:
    """Of what the second contact is told, in this time."""
    return [item.consignment for made in desk.wait(**span) if made.escalates for item in made.items]


def test_who_takes_care_in_the_console_keeps_the_second_contact_asleep_and_taking_it_back_wakes_it() -> None:
    desk = asked()
    care = desk.act("acknowledge")
    assert told_second(desk, hours=3) == []
    assert desk.why[-1].text == "not escalated: ana takes care of it"
    desk.act("undo", undoes=care)
    assert told_second(desk, seconds=1) == ["LACDHS-1"]
    assert told_second(desk, days=5) == []


def test_care_that_is_taken_back_in_time_changes_nothing() -> None:
    desk = asked()
    desk.act("undo", undoes=desk.act("acknowledge"))
    assert told_second(desk, minutes=7) == []
    assert told_second(desk, minutes=3) == ["LACDHS-1"]


def test_a_snooze_puts_the_second_contact_off_until_it_is_up() -> None:
    desk = asked()
    desk.act("snooze", until=desk.now + timedelta(hours=6))
    assert told_second(desk, hours=5) == []
    assert (desk.why[-1].text, desk.why[-1].until) == ("not escalated: ana lets it wait", NOON + timedelta(hours=6, minutes=2))
    assert told_second(desk, hours=2) == ["LACDHS-1"]


def test_a_snooze_of_what_is_over_by_then_wakes_nobody() -> None:
    desk = asked()
    desk.act("snooze", until=desk.now + timedelta(hours=6))
    desk.wait(hours=1)
    desk.take("exception_ended", severity="critical")
    assert told_second(desk, hours=9) == []


def test_the_newest_snooze_counts_and_undoing_it_brings_back_the_one_before() -> None:
    desk = asked()
    desk.act("snooze", until=desk.now + timedelta(hours=2))
    desk.wait(minutes=1)
    longer = desk.act("snooze", until=desk.now + timedelta(hours=6))
    assert told_second(desk, hours=1) == []
    desk.act("undo", undoes=longer)
    assert told_second(desk, minutes=50) == []
    assert told_second(desk, minutes=20) == ["LACDHS-1"]


def test_the_subscriber_is_told_all_that_is_told_without_a_snooze() -> None:
    plain, waiting = Desk(*watched()), Desk(*watched())
    for desk in (plain, waiting):
        desk.take(severity="major")
        desk.wait(minutes=2)
        if desk is waiting:
            desk.act("snooze", until=desk.now + timedelta(hours=9))
        desk.take("exception_changed", severity="critical")
        desk.wait(hours=1)
        desk.take("exception_ended", severity="critical")
        desk.wait(hours=1)
    assert [made.notification for made in waiting.sent] == [made.notification for made in plain.sent]
    assert len(plain.sent) == 4  # opened, worsened, to the second contact, ended


def test_what_is_worse_than_what_was_snoozed_wakes_the_second_contact() -> None:
    desk = asked(exception={"late_h": 30.0})
    desk.act("snooze", until=desk.now + timedelta(hours=9))
    desk.wait(hours=1)
    desk.take("exception_changed", severity="critical", exception={"late_h": 31.0})  # no worse than what was told
    assert told_second(desk, hours=1) == []
    desk.take("exception_changed", severity="critical", exception={"late_h": 49.0})
    assert told_second(desk, hours=1) == ["LACDHS-1"]
    assert told_second(desk, hours=9) == ["LACDHS-1"], "and the first, once it may wait no longer"


def test_what_opens_again_is_nobodys() -> None:
    desk = asked()
    desk.act("acknowledge")
    desk.wait(hours=1)
    desk.take("exception_ended", severity="critical")
    desk.wait(hours=1)
    desk.take("exception_opened", severity="critical")
    assert told_second(desk, hours=1)[-1:] == ["LACDHS-1"]


def test_what_somebody_took_care_of_before_the_message_was_written_wakes_nobody() -> None:
    first, second = watched()
    desk = Desk(first.model_copy(update={"quiet": ("12:00", "14:00")}), second)
    desk.take(severity="critical")
    desk.wait(minutes=1)
    desk.act("acknowledge")
    assert told_second(desk, hours=5) == []
    assert len(desk.sent) == 1


def test_of_several_the_second_contact_is_told_those_that_nobody_takes_care_of() -> None:
    desk = Desk(*watched())
    for n in (1, 2, 3):
        desk.take(severity="critical", consignment=f"LACDHS-{n}", voyage="9778791/020W")
    desk.wait(minutes=2)
    care = desk.act("acknowledge", "LACDHS-1")
    desk.act("snooze", "LACDHS-3", until=desk.now + timedelta(hours=2))
    assert told_second(desk, hours=1) == ["LACDHS-2"]
    assert told_second(desk, hours=2) == ["LACDHS-3"], "which may wait no longer"
    desk.act("undo", "LACDHS-1", undoes=care)
    assert told_second(desk, seconds=1) == ["LACDHS-1"]
    assert told_second(desk, days=5) == []


def test_what_was_let_wait_and_then_taken_care_of_wakes_the_second_contact_when_that_is_taken_back() -> None:
    desk = asked()
    desk.act("snooze", until=desk.now + timedelta(hours=2))
    desk.wait(minutes=100)
    care = desk.act("acknowledge")
    assert told_second(desk, hours=1) == []
    desk.act("undo", undoes=care)
    assert told_second(desk, seconds=1) == ["LACDHS-1"]


def test_care_for_another_exception_is_none() -> None:
    desk = asked()
    desk.act("acknowledge", keys=["silent"])
    desk.act("acknowledge", "LACDHS-2")
    desk.act("note", text="called")
    assert told_second(desk, hours=1) == ["LACDHS-1"]


def test_an_undo_takes_back_an_act_of_its_own_consignment_alone_even_if_the_act_comes_again() -> None:
    desk = asked()
    care = desk.act("acknowledge")
    desk.act("undo", "LACDHS-2", undoes=care)
    assert told_second(desk, hours=1) == []
    desk.act("undo", undoes=care)
    desk.act("acknowledge", act_id=care)  # a repeat of the request that was undone
    assert told_second(desk, hours=1) == ["LACDHS-1"]


def test_a_new_owner_goes_on_with_who_sleeps_and_hears_what_was_taken_back_meanwhile() -> None:
    desk = asked()
    care = desk.act("acknowledge")
    desk.wait(hours=1)
    desk.crash()
    assert told_second(desk, hours=1) == []
    desk.compose.drop(0)
    desk.act("undo", undoes=care)
    desk.crash()
    assert told_second(desk, seconds=1) == ["LACDHS-1"]


def test_care_is_remembered_for_two_days_and_then_forgotten() -> None:
    desk = asked()
    desk.act("acknowledge")
    assert told_second(desk, days=3) == []
    assert desk.compose.subscriber("a" * 16).escalations == ()


def test_an_acknowledgement_by_the_subscriber_ends_what_sleeps() -> None:
    desk = asked()
    desk.act("snooze", until=desk.now + timedelta(hours=2))
    desk.wait(hours=1)
    desk.write(desk.compose.acknowledge(0, Acknowledgement(subscription="a" * 16, at=desk.now)))
    assert told_second(desk, hours=9) == []


# -- once, after any crash -----------------------------------------------------------------------------------------------------


def test_a_candidate_that_is_read_again_is_told_once() -> None:
    desk = Desk()
    opened, ended = desk.take(), desk.change("exception_ended")
    desk.wait(minutes=1)
    desk.again(opened)
    desk.again(ended)
    desk.wait(hours=1)
    for candidate in (opened, ended):
        desk.again(candidate)
    assert desk.wait(hours=1) == []
    assert [made.items[0].step for made in desk.sent] == ["opened", "ended"]


@pytest.mark.parametrize("stages", [0, 1, 2, 3])
def test_a_crash_between_any_two_writes_sends_the_same_message_and_no_other(stages: int) -> None:
    whole, broken = Desk(), Desk()
    for desk in (whole, broken):
        for n in range(60):
            desk.take(consignment=f"LACDHS-{n:02}", voyage="9778791/020W")
        desk.now += timedelta(seconds=2)
    (writes,) = whole.settle()
    assert len(writes.stages) == 4  # outbox, notifications, watches, outbox empty
    whole.write(writes)
    (writes,) = broken.settle()
    broken.write(writes, stages)
    broken.crash()
    for desk in (whole, broken):
        desk.wait(hours=1)
    assert {made.notification for made in broken.sent} == {made.notification for made in whole.sent}
    assert {(made.notification, made.text) for made in broken.sent} == {(made.notification, made.text) for made in whole.sent}
    assert broken.topic == whole.topic


def test_a_new_owner_goes_on_with_what_waits() -> None:
    desk = Desk(subscription(digest="hourly"))
    desk.take()
    desk.crash()
    assert len(desk.wait(hours=1)) == 1


def test_a_partition_that_somebody_else_owns_is_not_told_by_us() -> None:
    desk = Desk(subscription(digest="hourly"))
    desk.take()
    desk.compose.drop(0)
    assert desk.wait(hours=2) == []
    assert len(desk.compose) == 0


def test_a_record_of_the_states_holds_no_address() -> None:
    desk = Desk()
    desk.take()
    desk.wait(minutes=1)
    assert desk.topic
    assert all("hospital.example" not in record.model_dump_json() for record in desk.topic.values())


def test_old_things_are_forgotten() -> None:
    desk = Desk()
    desk.take()
    desk.wait(hours=1)
    desk.take("exception_ended")
    desk.wait(days=121)
    desk.take("milestone_reached", occurred_at=NOW)
    assert list(desk.compose.watches("a" * 16)["LACDHS-1"].known) == ["milestone:arrived:"]


def test_what_is_known_of_consignments_of_which_nothing_is_heard_again_is_forgotten_too() -> None:
    """Also of a subscriber who was never told any of it; what is still open is remembered, in memory and in the topic."""
    desk = Desk(subscription("a", minimum_severity="major"), subscription("b"))
    for n in range(5):
        desk.take("exception_changed", severity="minor", consignment=f"LACDHS-{n}")
    desk.take(consignment="LACDHS-OPEN", to="b" * 16)
    desk.wait(days=1)
    assert len(desk.compose) == 6

    def swept() -> list[int]:
        found = []
        for _ in range(4):
            writes = desk.compose.sweep(desk.now, 4)
            found.append(len(writes))
            for one in writes:
                desk.write(one)
        return found

    assert swept() == [0] * 4
    desk.wait(days=14)
    assert sum(swept()) == 5
    assert [key for key in desk.topic if "/" in key] == [f"{'b' * 16}/LACDHS-OPEN"]
    assert len(desk.compose) == 1
    desk.take("exception_ended", consignment="LACDHS-OPEN", to="b" * 16)
    assert steps(desk.wait(minutes=1)) == [[("LACDHS-OPEN", "ended")]]
    desk.wait(days=15)
    assert sum(swept()) == 0, "they were told that it ended, and it may yet be taken back"
    desk.wait(days=106)
    assert sum(swept()) == 1 and len(desk.compose) == 0


def test_a_subscriber_and_what_they_know_are_kept_under_keys_of_their_own() -> None:
    desk = Desk()
    desk.take()
    desk.wait(minutes=1)
    assert set(desk.topic) == {"a" * 16, f"{'a' * 16}/LACDHS-1"}
