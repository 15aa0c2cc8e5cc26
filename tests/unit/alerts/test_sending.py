"""The sender's heart, with a journal in memory and a provider that answers as told: what is tried, waits, is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from schemas.alerts_v1 import Channel, Delivery, Notification, Subscription, Suppression
from services.alerts.attempts import MOST_ATTEMPTS, Answer, Ask, Ledger
from services.alerts.breaker import Breaker
from services.alerts.journal import Fenced
from services.alerts.sending import Parcel, Sender, without_address
from services.runtime.clock import SystemClock
from tests.integration.alerts.delivering import a_notification, a_subscription

GOOD = Answer("accepted", "accepted", "250 ok", provider_ref="Q1")
PATIENCE_S = 10.0


@dataclass
class MemoryJournal:
    """Keeps what is written; fails as told."""

    records: list[Delivery] = field(default_factory=list)
    reached: dict[int, int] = field(default_factory=dict)
    failure: Exception | None = None

    async def write(self, record: Delivery, *, fence: bool = False) -> None:
        await asyncio.sleep(0)
        if fence and self.failure is not None:
            raise self.failure
        self.records.append(record)

    def settled(self, reached: Mapping[int, int]) -> None:
        self.reached.update(reached)

    def states(self, notification: Notification) -> list[str]:
        return [record.state for record in self.records if record.notification == notification.notification]


@dataclass
class MemoryDirectory:
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    suppressed: dict[str, str] = field(default_factory=dict)
    unread: list[Subscription] = field(default_factory=list)
    """Written, and not yet read by this view."""
    read_on: int = 0

    def catch_up(self) -> None:
        self.read_on += 1
        self.subscriptions.update({one.subscription: one for one in self.unread})

    def subscription(self, name: str) -> Subscription | None:
        return self.subscriptions.get(name)

    def suppression(self, address_hash: str) -> Suppression | None:
        reason = self.suppressed.get(address_hash)
        if reason is None:
            return None
        fields = {"address_hash": address_hash, "channel": "email", "reason": reason, "at": datetime.now(UTC)}
        return Suppression.model_validate(fields)

    def suppress(self, subscription: Subscription, reason: Literal["bounced", "opted_out"]) -> None:
        self.suppressed[subscription.address_hash] = reason


@dataclass
class Provider:
    """Answers in the order told, then `GOOD`."""

    name: str = "told"
    answers: list[Answer] = field(default_factory=list)
    found: list[Answer | None] = field(default_factory=list)
    sent: list[tuple[str, str]] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    breaker: Breaker = field(default_factory=Breaker)
    takes_s: float = 0.0
    loses_cancellation: bool = False
    """As `asyncio.wait_for` of Python 3.11 does with one that comes together with the answer."""

    def pack(self, notification: Notification, subscription: Subscription) -> Parcel:
        if "unwritable" in notification.subject:
            raise ValueError("a fault of ours")
        return Parcel(subscription.address, notification.text)

    async def send(self, parcel: Parcel, notification: Notification) -> Answer:
        self.before()
        self.sent.append((parcel.to, notification.notification))
        try:
            await asyncio.sleep(self.takes_s)
        except asyncio.CancelledError:
            if not self.loses_cancellation:
                raise
        return self.answers.pop(0) if self.answers else GOOD

    async def find(self, parcel: Parcel, notification: Notification, delivery: Ask) -> Answer | None:
        return self.found.pop(0) if self.found else None

    def wait_s(self, now_s: float) -> float:
        return 0.0

    async def close(self) -> None: ...


@dataclass
class Post:
    """Everything that a test needs of one sender."""

    sender: Sender
    journal: MemoryJournal
    directory: MemoryDirectory
    email: Provider
    sms: Provider
    ledger: Ledger
    working: asyncio.Task[None]
    offset: int = 0

    def take(self, *notifications: Notification) -> None:
        for one in notifications:
            self.sender.take(one, 0, self.offset)
            self.offset += 1

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not what():
                await asyncio.sleep(0.01)

    async def until_done(self) -> None:
        await self.until(lambda: self.sender.waiting == 0)


@asynccontextmanager
async def a_post(*subscriptions: Subscription, ledger: Ledger | None = None, handed_over_s: float = 6.0) -> AsyncIterator[Post]:
    journal, directory, ledger = (
        MemoryJournal(),
        MemoryDirectory({one.subscription: one for one in subscriptions}),
        ledger or Ledger(),
    )
    email, sms = Provider("mail"), Provider("texts")
    ways: dict[Channel, Any] = {"email": email, "sms": sms}
    sender = Sender(journal, ledger, directory, ways, SystemClock(), dice=lambda: 0.0, handed_over_s=handed_over_s)
    working = asyncio.create_task(sender.run())
    try:
        yield Post(sender, journal, directory, email, sms, ledger, working)
    finally:
        working.cancel()
        await asyncio.wait([working])
        assert working.cancelled() or isinstance(working.exception(), Fenced | None)


BUYER = a_subscription("buyer", "buyer@hospital.example")


def an_attempt(notification: Notification, state: str, attempt: int = 1, ago_s: float = 1.0, **more: Any) -> Delivery:
    fields = {
        "notification": notification.notification,
        "subscription": notification.subscription,
        "attempt": attempt,
        "state": state,
        "address_hash": "ab" * 32,
        "at": datetime.now(UTC) - timedelta(seconds=ago_s),
    }
    return Delivery.model_validate(fields | more)


async def test_an_intent_stands_before_the_call_and_the_result_after_it() -> None:
    async with a_post(BUYER) as post:
        seen: list[list[str]] = []
        late = a_notification(BUYER, "A-1")
        post.email.before = lambda: seen.append(post.journal.states(late))
        post.take(late)
        await post.until_done()
        assert seen == [["intent"]]
        assert post.journal.states(late) == ["intent", "accepted"]
        assert post.journal.reached == {0: 1}


async def test_the_same_id_again_sends_nothing_again() -> None:
    async with a_post(BUYER) as post:
        late = a_notification(BUYER, "A-1")
        post.take(late, late)
        await post.until_done()
        post.take(late)
        await post.until_done()
        assert len(post.email.sent) == 1 and post.journal.reached == {0: 3}


@pytest.mark.parametrize("state", ["accepted", "suppressed", "stale", "dead", "delivered", "bounced"])
async def test_what_the_ledger_says_is_settled_is_not_sent(state: str) -> None:
    late, ledger = a_notification(BUYER, "A-1"), Ledger()
    ledger.take(an_attempt(late, state))
    async with a_post(BUYER, ledger=ledger) as post:
        post.take(late)
        await post.until_done()
        assert post.email.sent == [] and post.journal.records == [] and post.journal.reached == {0: 1}


async def test_a_mail_whose_result_was_lost_goes_again_as_the_next_attempt() -> None:
    late, ledger = a_notification(BUYER, "A-1"), Ledger()
    ledger.take(an_attempt(late, "intent"))
    async with a_post(BUYER, ledger=ledger) as post:
        post.take(late)
        await post.until_done()
        assert [(r.state, r.attempt) for r in post.journal.records] == [("intent", 2), ("accepted", 2)]


async def test_of_an_sms_whose_result_was_lost_the_provider_is_asked_and_nothing_is_sent_if_it_has_it() -> None:
    texted = a_subscription("texted", "+12135550100", "sms")
    late, ledger = a_notification(texted, "A-1"), Ledger()
    ledger.take(an_attempt(late, "intent"))
    async with a_post(texted, ledger=ledger) as post:
        post.sms.found = [Answer("away", "not_reached"), Answer("accepted", "found", provider_ref="SM1")]
        post.take(late)
        await post.until_done()
        assert post.sms.sent == []
        assert [(r.state, r.attempt, r.provider_ref) for r in post.journal.records] == [("accepted", 1, "SM1")]


async def test_an_sms_that_the_provider_never_saw_is_sent() -> None:
    texted = a_subscription("texted", "+12135550100", "sms")
    late, ledger = a_notification(texted, "A-1"), Ledger()
    ledger.take(an_attempt(late, "intent", ago_s=60))
    async with a_post(texted, ledger=ledger) as post:
        post.take(late)
        await post.until_done()
        assert len(post.sms.sent) == 1
        assert [(r.state, r.attempt) for r in post.journal.records] == [("intent", 2), ("accepted", 2)]


@pytest.mark.parametrize("state", ["paused", "unconfirmed", "stopped"])
async def test_nothing_goes_to_a_subscription_that_is_not_active(state: str) -> None:
    held = BUYER.model_copy(update={"state": state})
    async with a_post(held) as post:
        late = a_notification(held, "A-1")
        post.take(late)
        await post.until_done()
        assert post.email.sent == []
        [record] = post.journal.records
        assert (record.state, record.reason) == ("suppressed", f"subscription_{state}")


async def test_a_request_to_confirm_goes_to_the_unconfirmed_alone() -> None:
    asked = BUYER.model_copy(update={"state": "unconfirmed"})
    async with a_post(asked) as post:
        post.take(a_notification(asked, "A-1", purpose="confirm"))
        await post.until_done()
        assert len(post.email.sent) == 1
        post.directory.subscriptions[asked.subscription] = BUYER
        post.take(a_notification(asked, "A-2", purpose="confirm"))
        await post.until_done()
        assert len(post.email.sent) == 1


async def test_who_stops_between_the_intent_and_the_call_gets_nothing() -> None:
    async with a_post(BUYER) as post:
        late = a_notification(BUYER, "A-1")
        write = post.journal.write

        async def stopping(record: Delivery, *, fence: bool = False) -> None:
            await write(record, fence=fence)
            post.directory.subscriptions[BUYER.subscription] = BUYER.model_copy(update={"state": "stopped"})

        post.journal.write = stopping  # type: ignore[method-assign]  # the moment that the test is about
        post.take(late)
        await post.until_done()
        assert post.email.sent == []
        assert post.journal.states(late) == ["intent", "suppressed"]


@pytest.mark.parametrize("before", ["unconfirmed", "paused", None])
async def test_what_the_composer_knew_and_our_view_has_not_read_yet_is_no_reason_to_drop_it(before: str | None) -> None:
    """Confirmed, resumed or made a moment ago: whoever composed the message had read so."""
    shown = [] if before is None else [BUYER.model_copy(update={"state": before})]
    late = [a_notification(BUYER, f"A-{n}") for n in range(20)]
    async with a_post(*shown) as post:
        post.directory.unread.append(BUYER)
        post.take(*late)
        await post.until_done()
        assert {tuple(post.journal.states(one)) for one in late} == {("intent", "accepted")}
        assert post.directory.read_on == 1, "once for all that came before"
        post.directory.subscriptions[BUYER.subscription] = BUYER.model_copy(update={"state": "stopped"})
        post.directory.unread.clear()
        gone = a_notification(BUYER, "A-gone")
        post.take(gone)
        await post.until_done()
        assert post.journal.states(gone) == ["suppressed"] and post.directory.read_on == 2


async def test_a_suppressed_address_and_a_vanished_subscription_get_nothing() -> None:
    async with a_post(BUYER) as post:
        post.directory.suppressed[BUYER.address_hash] = "complained"
        stranger = a_subscription("gone", "gone@hospital.example")
        post.take(a_notification(BUYER, "A-1"), a_notification(stranger, "A-2"))
        await post.until_done()
        assert post.email.sent == []
        assert {record.reason for record in post.journal.records} == {"address_complained", "no_subscription"}


async def test_what_is_too_old_is_dropped_with_a_record() -> None:
    async with a_post(BUYER) as post:
        old = a_notification(BUYER, "A-1", due_at=datetime.now(UTC) - timedelta(hours=7))
        post.take(old)
        await post.until_done()
        assert post.email.sent == [] and post.journal.states(old) == ["stale"]


async def test_what_is_not_due_yet_waits() -> None:
    async with a_post(BUYER) as post:
        due = datetime.now(UTC) + timedelta(milliseconds=400)
        post.take(a_notification(BUYER, "A-1", due_at=due))
        await post.until_done()
        assert len(post.email.sent) == 1 and datetime.now(UTC) >= due


async def test_a_refusal_of_the_address_is_final_and_suppresses_it() -> None:
    async with a_post(BUYER) as post:
        post.email.answers = [
            Answer("refused", "no_such_mailbox", "550 5.1.1 <buyer@hospital.example>: no", suppress="bounced")
        ]
        first, second = a_notification(BUYER, "A-1"), a_notification(BUYER, "A-2")
        post.take(first, second)
        await post.until_done()
        assert post.journal.states(first) == ["intent", "dead"] and post.journal.states(second) == ["suppressed"]
        assert "buyer@" not in "".join(record.model_dump_json() for record in post.journal.records)


async def test_messages_to_one_address_keep_their_order_though_the_first_must_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.alerts.attempts.FIRST_PAUSE_S", 0.1)
    async with a_post(BUYER) as post:
        post.email.answers = [Answer("later", "mailbox_busy", "451 later")]
        opened, ended = a_notification(BUYER, "opened"), a_notification(BUYER, "ended")
        post.take(opened, ended)
        await post.until_done()
        assert [name for _, name in post.email.sent] == [opened.notification, opened.notification, ended.notification]
        assert post.journal.states(opened) == ["intent", "failed", "intent", "accepted"]


async def test_an_address_that_must_wait_holds_nobody_else_up() -> None:
    other = a_subscription("other", "other@hospital.example")
    async with a_post(BUYER, other) as post:
        post.email.answers = [Answer("later", "greylisted", "451 greylisted")]
        post.take(a_notification(BUYER, "A-1"))
        await post.until(lambda: len(post.email.sent) == 1)
        post.take(a_notification(other, "A-2"))
        await post.until(lambda: len(post.email.sent) == 2)
        assert post.sender.waiting == 1 and post.journal.reached[0] == 0


async def test_a_failed_sms_goes_by_the_mail_that_the_subscriber_named() -> None:
    texted = a_subscription("texted", "+12135550100", "sms", fallback=BUYER.subscription)
    async with a_post(texted, BUYER) as post:
        post.sms.answers = [Answer("refused", "no_such_number", "21211", suppress="bounced")]
        first, second = a_notification(texted, "A-1"), a_notification(texted, "A-2")
        post.take(first, second)
        await post.until_done()
        assert [to for to, _ in post.email.sent] == ["buyer@hospital.example"] * 2
        records = [record for record in post.journal.records if record.notification == first.notification]
        assert [(r.state, r.channel, r.via) for r in records] == [
            ("intent", "sms", None),
            ("failed", "sms", BUYER.subscription),
            ("intent", "email", BUYER.subscription),
            ("accepted", "email", BUYER.subscription),
        ]


async def test_a_text_that_its_provider_never_took_goes_by_mail_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.alerts.attempts.FIRST_PAUSE_S", 0.0001)
    texted = a_subscription("texted", "+12135550100", "sms", fallback=BUYER.subscription)
    async with a_post(texted, BUYER) as post:
        post.sms.answers = [Answer("later", "mailbox_busy", "451")] * MOST_ATTEMPTS
        late = a_notification(texted, "A-1")
        post.take(late)
        await post.until_done()
        assert [to for to, _ in post.email.sent] == ["buyer@hospital.example"]
        assert post.journal.states(late)[-3:] == ["failed", "intent", "accepted"]


async def test_who_said_stop_by_sms_is_not_written_to_another_way() -> None:
    texted = a_subscription("texted", "+12135550100", "sms", fallback=BUYER.subscription)
    async with a_post(texted, BUYER) as post:
        post.sms.answers = [Answer("refused", "opted_out", "21610", suppress="opted_out")]
        late = a_notification(texted, "A-1")
        post.take(late)
        await post.until_done()
        assert post.email.sent == [] and post.journal.states(late) == ["intent", "dead"]


async def test_the_kill_switch_holds_everything_and_loses_nothing() -> None:
    async with a_post(BUYER) as post:
        post.sender.paused = True
        post.take(a_notification(BUYER, "A-1"))
        await asyncio.sleep(0.3)
        assert post.email.sent == [] and post.journal.records == []
        post.sender.paused = False
        await post.until_done()
        assert len(post.email.sent) == 1


async def test_while_a_provider_is_away_the_rest_is_not_even_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.alerts.attempts.FIRST_PAUSE_S", 0.1)
    many = [a_subscription(f"s{n}", f"s{n}@hospital.example") for n in range(40)]
    async with a_post(*many) as post:
        post.email.answers = [Answer("away", "not_reached", "refused")] * 1_000
        due = [a_notification(one, "A-1") for one in many]
        post.take(*due)
        await post.until(lambda: len(post.email.sent) >= 5)
        await asyncio.sleep(0.3)
        assert len(post.email.sent) <= 8  # the five, and who was under way
        post.email.answers.clear()
        await post.until_done()
        assert all(post.journal.states(one)[-1] == "accepted" for one in due)


async def test_who_is_fenced_hands_nothing_over() -> None:
    async with a_post(BUYER) as post:
        post.journal.failure = Fenced("another sender")
        post.take(a_notification(BUYER, "A-1"))
        await asyncio.sleep(0.2)
        assert post.email.sent == []


async def test_one_message_that_cannot_be_written_is_dead_and_stops_nobody() -> None:
    async with a_post(BUYER) as post:
        bad, good = a_notification(BUYER, "A-1", subject="unwritable"), a_notification(BUYER, "A-2")
        post.take(bad, good)
        await post.until_done()
        assert post.journal.states(bad) == ["dead"] and post.journal.states(good) == ["intent", "accepted"]


async def test_an_operator_has_a_dead_one_tried_again() -> None:
    dead, ledger = a_notification(BUYER, "A-1", due_at=datetime.now(UTC) - timedelta(hours=9)), Ledger()
    ledger.take(an_attempt(dead, "dead", 3))
    async with a_post(BUYER, ledger=ledger) as post:
        post.sender.take_again(dead, "0:7", retried=True)
        await post.until_done()
        assert [(r.state, r.attempt, r.position) for r in post.journal.records] == [
            ("intent", 4, "0:7"),
            ("accepted", 4, "0:7"),
        ]


def test_what_a_provider_says_is_kept_without_the_address() -> None:
    said = without_address("550 5.1.1 <Buyer@Hospital.example>:\r\n no such user", "buyer@hospital.example")
    assert said == "550 5.1.1 <<address>>: no such user"
    assert without_address("Attempt to send to 12135550100", "+12135550100") == "Attempt to send to <address>"


TEXTED = a_subscription("texted", "+12135550100", "sms", fallback=BUYER.subscription)


def a_receipt(notification: Notification, state: str = "undelivered", of: Subscription = TEXTED) -> Delivery:
    return an_attempt(notification, state, ago_s=0, address_hash=of.address_hash, channel=of.channel)


async def test_a_text_that_was_accepted_and_could_not_be_brought_goes_by_mail_once() -> None:
    async with a_post(TEXTED, BUYER) as post:
        late = a_notification(TEXTED, "A-1")
        post.take(late)
        await post.until_done()
        for _ in range(2):  # the provider says so twice
            post.ledger.take(a_receipt(late))
            post.sender.could_not_bring(late, "0:0")
            await post.until_done()
        post.ledger.take(a_receipt(late, "bounced", BUYER))  # and by mail it comes back: there is no third way
        post.sender.could_not_bring(late, "0:0")
        await post.until_done()
        assert len(post.sms.sent) == 1 and [to for to, _ in post.email.sent] == [BUYER.address]
        records = [(r.state, r.attempt, r.channel, r.via) for r in post.journal.records]
        assert records[2:] == [("intent", 2, "email", BUYER.subscription), ("accepted", 2, "email", BUYER.subscription)]


async def test_a_receipt_that_is_quicker_than_our_own_record_is_not_lost() -> None:
    async with a_post(TEXTED, BUYER) as post:
        late = a_notification(TEXTED, "A-1")

        def told() -> None:
            post.ledger.take(a_receipt(late))
            post.sender.could_not_bring(late, "0:0")

        post.sms.before = told
        post.take(late)
        await post.until_done()
        assert [to for to, _ in post.email.sent] == [BUYER.address]


@pytest.mark.parametrize("what", ["paused", "stopped", "opted_out", "no_fallback", "stale"])
async def test_after_a_late_receipt_nothing_goes_to_who_wants_nothing(what: str) -> None:
    texted = TEXTED.model_copy(update={"fallback": None} if what == "no_fallback" else {})
    async with a_post(texted, BUYER) as post:
        late = a_notification(texted, "A-1")
        ago = timedelta(hours=7 if what == "stale" else 1)
        late = late.model_copy(update={"due_at": late.due_at - ago})
        post.ledger.take(an_attempt(late, "accepted", ago_s=60, address_hash=texted.address_hash))
        if what in ("paused", "stopped"):
            post.directory.subscriptions[texted.subscription] = texted.model_copy(update={"state": what})
        if what == "opted_out":
            post.directory.suppressed[texted.address_hash] = what
        post.ledger.take(a_receipt(late))
        post.sender.could_not_bring(late, "0:0")
        await post.until_done()
        assert post.email.sent == [] and post.sms.sent == []


async def test_who_pauses_while_the_message_takes_the_other_way_gets_nothing() -> None:
    async with a_post(TEXTED, BUYER) as post:
        late = a_notification(TEXTED, "A-1")
        post.email.answers = [Answer("later", "mailbox_busy", "451 later", pause_s=0.2)]
        post.ledger.take(an_attempt(late, "accepted", ago_s=60, address_hash=TEXTED.address_hash))
        post.ledger.take(a_receipt(late))
        post.sender.could_not_bring(late, "0:0")
        await post.until(lambda: len(post.email.sent) == 1)
        post.directory.subscriptions[TEXTED.subscription] = TEXTED.model_copy(update={"state": "paused"})
        await post.until_done()
        assert len(post.email.sent) == 1 and post.journal.states(late) == ["intent", "failed", "suppressed"]


@pytest.mark.parametrize("away", [False, True])
async def test_a_stop_ends_and_records_what_is_being_handed_over_and_begins_nothing(away: bool) -> None:
    async with a_post(BUYER) as post:
        post.email.takes_s = 0.3
        first, second = a_notification(BUYER, "A-1"), a_notification(BUYER, "A-2")
        post.take(first, second)
        await post.until(lambda: len(post.email.sent) == 1)
        post.sender.paused = away  # others stand before a closed gate meanwhile
        post.sender.stop()
        await asyncio.wait_for(post.working, 5)
        assert post.journal.states(first) == ["intent", "accepted"]
        assert post.journal.states(second) == [] and len(post.email.sent) == 1


async def test_who_is_fenced_still_records_what_it_has_handed_over() -> None:
    other = a_subscription("other", "other@hospital.example")
    async with a_post(BUYER, other) as post:
        post.email.takes_s = 0.3
        handed_over, refused = a_notification(BUYER, "A-1"), a_notification(other, "B-1")
        post.take(handed_over)
        await post.until(lambda: len(post.email.sent) == 1)
        post.journal.failure = Fenced("another one")
        post.take(refused)
        with pytest.raises(Fenced):
            await asyncio.wait_for(post.working, 5)
        assert post.journal.states(handed_over) == ["intent", "accepted"]
        assert post.journal.states(refused) == [] and len(post.email.sent) == 1


@pytest.mark.parametrize("loses", [False, True])
async def test_a_stop_does_not_wait_for_ever_for_a_provider_nor_for_a_lost_cancellation(loses: bool) -> None:
    async with a_post(BUYER, handed_over_s=0.2) as post:
        post.email.takes_s, post.email.loses_cancellation = 3_600, loses
        late = a_notification(BUYER, "A-1")
        post.take(late)
        await post.until(lambda: len(post.email.sent) == 1)
        post.sender.stop()
        await asyncio.wait_for(post.working, 5)
        assert post.journal.states(late) == (["intent", "accepted"] if loses else ["intent"])
