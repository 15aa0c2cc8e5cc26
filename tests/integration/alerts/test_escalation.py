"""A critical message nobody answers, from the change to the second contact's mailbox; one whose "ACK 4711" ends it; and one
that somebody takes care of in the console, and then not.

Worker, sender, SMTP, the SMS provider and the topic that the way in writes are real; time is the clock that they are given.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.alerts_v1 import Acknowledgement, Subscription
from schemas.journey_change_v1 import Change
from schemas.topics import SUBSCRIPTIONS
from schemas.work_act_v1 import WorkAct
from services.alerts.acts import Record
from services.alerts.inbound import Inbound
from services.alerts.settings import AlertsSettings
from services.alerts.subscriptions import Store
from services.alerts.work import READ_BACK, WorkFollower
from services.ingest.alert_acknowledgements import KafkaAcknowledgements
from services.ingest.work_acts import KafkaWorkActs
from services.runtime.clock import SystemClock
from tests.integration.alerts.delivering import Desk, a_subscription, delivery_settings, sending
from tests.integration.alerts.mail import Mailbox, a_mailbox
from tests.integration.alerts.working import Written, publish, settings_of, subscribe, until, working
from tests.unit.alerts.build import change
from tests.unit.alerts.subscribers import SECRET, URL, MemoryRegister
from tests.waiting import HANG_S

AFTER_MIN = 15


class Ahead(SystemClock):
    """The machine's clock, and what the test lets pass."""

    passed = timedelta()

    def now(self) -> datetime:
        return super().now() + self.passed


@pytest.fixture(scope="module")
def settings(empty_kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AlertsSettings:
    return settings_of(empty_kafka, tmp_path_factory.mktemp("escalation"))


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    with a_mailbox(tmp_path_factory.mktemp("mailbox")) as found:
        yield found


def critical(consignment: str) -> Change:
    return change(severity="critical", consignment=consignment, at=datetime.now(UTC), change_id=secrets.token_hex(16))


def acted(about: Subscription, at: datetime, **what: Any) -> WorkAct:
    """What somebody does in the console."""
    body = {
        "act_id": secrets.token_hex(16),
        "consignment": about.filters.consignments[0],
        "at": at,
        "by": "ana",
        "sender": "OPS",
    }
    return WorkAct.model_validate(body | what)


@pytest.mark.timeout(400)
async def test_who_does_not_answer_in_time_is_passed_over_and_an_answer_wakes_nobody_else(
    settings: AlertsSettings, mailbox: Mailbox
) -> None:
    clock, mark, register = Ahead(), secrets.token_hex(4), MemoryRegister()

    def way_in(said: Acknowledgement) -> None:
        asyncio.run(KafkaAcknowledgements(settings).write(said))

    store = Store(register, SECRET, URL, way_in)
    second = a_subscription(f"second-{mark}", f"second-{mark}@hospital.example", filters={"consignments": ["NOBODY-1"]})

    def first(number: str, consignment: str) -> Subscription:
        told = {"escalate_to": second.subscription, "escalate_after_min": AFTER_MIN, "filters": {"consignments": [consignment]}}
        return a_subscription(f"{number}-{mark}", number, "sms", address_hash=store.hasher.of("sms", number), **told)

    silent, quick = first("+12135554001", f"LACDHS-S{mark}"), first("+12135554002", f"LACDHS-Q{mark}")
    cared, console = first("+12135554003", f"LACDHS-C{mark}"), KafkaWorkActs(settings)
    register.put([Record(SUBSCRIPTIONS, one.subscription, one) for one in (silent, quick, cared)])
    subscribe(settings, second, silent, quick, cared)
    written, desk = Written(settings), Desk(settings)

    def so_far() -> str:
        """How far each message came: for whoever reads that it did not come."""
        came = [
            (one.address, len(written.candidates(one)), [desk.states(made) for made in written.notifications(one)])
            for one in (silent, quick, cared)
        ]
        return f"address, candidates, states of each message: {came}; the worker has {sorted(worker.stream.partitions())}"

    try:
        async with working(settings, clock) as worker, asyncio.timeout(HANG_S * 2):
            with sending(delivery_settings(settings, **mailbox.settings()), clock):
                publish(settings, [critical(one.filters.consignments[0]) for one in (silent, quick, cared)])
                await until(lambda: all(mailbox.texts(one.address) for one in (silent, quick, cared)), so_far)
                care = acted(cared, clock.now(), act="acknowledge", exceptions=("late:arrived",))
                await console.write([care])
                [text] = mailbox.texts(quick.address)
                code = re.search(r"ACK \d{4}", text)
                assert code is not None, text
                reply = await asyncio.to_thread(Inbound(store, clock).take, quick.address, code[0])
                assert reply is not None and "nobody else is woken" in reply
                await until(lambda: not worker._compose.subscriber(quick.subscription).escalations)
                clock.passed = timedelta(minutes=AFTER_MIN - 1)
                await asyncio.sleep(1.0)  # it looks five times a second
                assert (
                    written.notifications(second) == []
                    and len(worker._compose.subscriber(silent.subscription).escalations) == 1
                )
                clock.passed = timedelta(minutes=AFTER_MIN + 1)
                await until(lambda: mailbox.mails(second.address))
                (asleep,) = worker._compose.subscriber(cared.subscription).escalations
                assert asleep.asleep, "somebody takes care of it"
                await console.write([acted(cared, clock.now(), act="undo", undoes=care.act_id)])
                await until(lambda: len(mailbox.mails(second.address)) == 2)
    finally:
        written.close()
    assert [mail.subject for mail in mailbox.mails(second.address)] == [
        f"Nobody acknowledged: CRITICAL {one.filters.consignments[0]} for H-HARBOR: late" for one in (silent, cared)
    ]
    assert [len(mailbox.texts(one.address)) for one in (silent, quick, cared)] == [1, 1, 1]


async def test_a_follower_is_given_what_was_done_before_it_and_after_it_and_nothing_that_is_too_old(
    settings: AlertsSettings,
) -> None:
    console, name, now = KafkaWorkActs(settings), f"LACDHS-F{secrets.token_hex(4)}", datetime.now(UTC)

    def note(text: str) -> WorkAct:
        body = {"act": "note", "act_id": secrets.token_hex(16), "consignment": name, "at": now, "by": "ana", "sender": "OPS"}
        return WorkAct.model_validate(body | {"text": text})

    given: list[str | None] = []
    await console.write([note("before"), note("and again")])
    follower = WorkFollower(settings, lambda act: given.append(act.text) if act.consignment == name else None)
    late = WorkFollower(settings, lambda act: given.append("too old") if act.consignment == name else None)
    try:
        await asyncio.to_thread(follower.start, now)
        await asyncio.to_thread(late.start, now + READ_BACK + timedelta(minutes=10))
        assert given == ["before", "and again"]
        late.close()
        await console.write([note("after")])
        await until(lambda: given[2:] == ["after"])
        assert follower.healthy() is None
    finally:
        follower.close()
        late.close()
