"""Alerts that wait while their provider is away, and workers that come and go under load: who is to get what, and what was
wrong with what came.

`make faults` does the first with 5,000 alerts and ten minutes (`provider_away`), `make test` with a few hundred
(tests/integration/alerts/test_sender_faults.py).
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deploy.local.mailbox import Message, read
from schemas.alerts_v1 import Delivery, Filters, Notification, Subscription, Suppression
from tests.faults.field import Field, Violation, until
from tests.integration.alerts.delivering import Desk, a_notification, a_subscription
from tests.integration.alerts.working import publish
from tests.unit.alerts.build import change

STATES = ("active", "paused", "unconfirmed", "stopped")
NOBODYS = Filters(consignments=("NOBODY-0000",))
"""So that no worker has anything to say to these subscribers: what they get is what the test says."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """People, what is due to each, and who wants nothing. `leaving`: who stops while it waits; `suppressed`: whose address is
    suppressed meanwhile."""

    wanting: tuple[Subscription, ...]
    unwilling: tuple[Subscription, ...]
    leaving: tuple[Subscription, ...]
    suppressed: tuple[Subscription, ...]
    due: tuple[Notification, ...]

    @property
    def everybody(self) -> tuple[Subscription, ...]:
        return (*self.wanting, *self.unwilling, *self.leaving, *self.suppressed)

    @property
    def wanted(self) -> tuple[Notification, ...]:
        """What must come."""
        names = {one.subscription for one in self.wanting}
        return tuple(one for one in self.due if one.subscription in names)

    @property
    def waiting(self) -> int:
        """How many wait at first: those of who is not yet gone."""
        gone = {one.subscription for one in self.unwilling}
        return sum(one.subscription not in gone for one in self.due)


def crowd(name: str, people: int, alerts: int, texted: int = 0) -> Crowd:
    """`alerts` to `people` who want them, of whom `texted` by SMS, and some more to others."""
    wanting = [
        person(f"{name}-{n}", "sms" if n < texted else "email", f"+1213555{n:04}" if n < texted else f"p{n}@{name}.example")
        for n in range(people)
    ]
    others = {
        what: [person(f"{name}-{what}-{n}", "email", f"{what}{n}@{name}.example") for n in range(3)]
        for what in (*STATES[1:], "leaving", "suppressed")
    }
    unwilling = [one.model_copy(update={"state": state}) for state in STATES[1:] for one in others[state]]
    due = [a_notification(wanting[n % people], f"{name.upper()}-{n}") for n in range(alerts)]
    more = [
        a_notification(one, f"{name.upper()}-{one.subscription}-{n}")
        for one in (*unwilling, *others["leaving"], *others["suppressed"])
        for n in range(2)
    ]
    return Crowd(tuple(wanting), tuple(unwilling), tuple(others["leaving"]), tuple(others["suppressed"]), (*due, *more))


def person(name: str, channel: str, address: str) -> Subscription:
    """A subscriber."""
    return a_subscription(name, address, channel, filters=NOBODYS)


def leave(desk: Desk, people: Crowd) -> None:
    """Some stop, and some addresses come to be suppressed, while their alerts wait."""
    desk.subscribe(*(one.model_copy(update={"state": "stopped", "stopped_by": "word"}) for one in people.leaving))
    now = datetime.now(UTC)
    desk.suppress(
        *(
            Suppression(address_hash=one.address_hash, channel=one.channel, reason="stopped", at=now, source="test")
            for one in people.suppressed
        )
    )


def wrong(people: Crowd, came: Sequence[Message], deliveries: Iterable[Delivery]) -> list[str]:
    """What must not be. Each that was wanted came; nothing came to anybody else; what came twice is a mail with the same
    Message-ID whose first attempt had no result: the one point that docs/alerts.md names."""
    found = []
    by_address = {one.address: one for one in people.everybody}
    unwanted = {one.address for one in (*people.unwilling, *people.leaving, *people.suppressed)}
    copies: defaultdict[str, list[Message]] = defaultdict(list)
    for message in came:
        if message.kind not in ("email", "sms_out") or message.to not in by_address:
            continue
        if message.to in unwanted:
            found.append(f"{by_address[message.to].state} {by_address[message.to].subscription} got a message")
        what = message.subject.removesuffix(" is late") if message.kind == "email" else message.text.partition(" late ")[0]
        copies[f"{message.to} {what}"].append(message)
    records: defaultdict[str, list[str]] = defaultdict(list)
    for record in deliveries:
        records[record.notification].append(record.state)
    addresses = {one.subscription: one.address for one in people.everybody}
    for one in people.wanted:
        got = copies[f"{addresses[one.subscription]} {one.subject.removesuffix(' is late')}"]
        states = records[one.notification]
        if not got:
            found.append(f"{one.notification} never came: {states}")
        elif len(got) > 1 and any(message.kind != "email" for message in got):
            found.append(f"{one.notification} came {len(got)} times by SMS: {states}")
        elif len({message.ref for message in got}) > 1:
            found.append(f"{one.notification} came under several Message-IDs")
        elif len(got) > 1 and states.count("intent") - states.count("failed") < 2:
            found.append(f"{one.notification} came twice without a crash between the call and its record: {states}")
    return found


def twice(people: Crowd, came: Iterable[Message]) -> int:
    """How many mails came again."""
    names = {one.address for one in people.wanting}
    refs = [message.ref for message in came if message.kind == "email" and message.to in names]
    return len(refs) - len(set(refs))


def lines(folder: Path) -> int:
    """How many messages a mailbox holds, without reading them."""
    try:
        return (folder / "messages.jsonl").read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


PEOPLE, TEXTED = 250, 10
DRAINED_S = 3_000.0


def drive(stack: Field, people: Crowd, away_s: float) -> str:
    """The outage, and what follows; raises Violation."""
    desk, folder = Desk(stack.settings), stack.state_dir / "mailbox"
    stack.kill("mailbox")
    before = lines(folder)
    desk.subscribe(*people.everybody)
    desk.notify(*people.due)
    began = time.monotonic()
    until(lambda: stack.metric("sender", "lovla_alerts_due") >= people.waiting, f"{people.waiting} alerts wait", 120)
    time.sleep(away_s / 3)
    stack.kill("sender")
    stack.start("sender")
    leave(desk, people)
    time.sleep(max(0.0, away_s - (time.monotonic() - began)))
    if lines(folder) != before:
        raise Violation("messages came while the provider was away")
    stack.start("mailbox")
    stack.await_ready("mailbox")
    back = time.monotonic()
    wanted = len(people.wanted)
    for enough in (wanted // 4, wanted // 2):  # and it dies twice while it sends
        until(lambda least=before + enough: lines(folder) >= least, f"{enough} of them came", DRAINED_S)  # type: ignore[misc]
        stack.kill("sender")
        stack.start("sender")
    until(lambda: lines(folder) - before >= wanted, f"{wanted} came: {lines(folder) - before}", DRAINED_S)
    until(lambda: stack.metric("sender", "lovla_alerts_due") == 0 and stack.not_ready("sender") is None, "none waits", 600)
    took_s = time.monotonic() - back
    came = list(read(folder))
    found = wrong(people, came, desk.deliveries(*people.due))
    if found:
        raise Violation(f"{len(found)} are wrong: {'; '.join(found[:5])}")
    again = twice(people, came)
    return (
        f"{wanted:,} waited for {away_s:.0f} s, all came within {took_s:.0f} s of its return; the sender killed three times: "
        f"{again} mails came again, with the same Message-ID; nothing to the {len(people.everybody) - len(people.wanting)} who "
        "want nothing"
    )


# -- workers that share the load -------------------------------------------------------------------------------------------

AT_ONCE, EVERY_S = 10, 0.5
"""Changes that are published together, and how often."""
WORKER = "alerts-worker"


def rebalanced(stack: Field, alerts: int, rounds: int) -> str:
    """Two workers share the load while one of them stops, or dies, `rounds` times, and comes back. Raises Violation."""
    desk, folder = Desk(stack.settings), stack.state_dir / "mailbox"
    before = lines(folder)
    people = [
        a_subscription(f"worker-{n}", f"w{n}@worker.example", filters=Filters(consignments=(f"WORK-{n:05}",)))
        for n in range(alerts)
    ]
    desk.subscribe(*people)
    failed: list[BaseException] = []

    def tell() -> None:
        try:
            for first in range(0, alerts, AT_ONCE):
                now = datetime.now(UTC)
                told = range(first, min(first + AT_ONCE, alerts))
                publish(stack.settings, [change(consignment=f"WORK-{n:05}", change_id=f"{n:032x}", at=now) for n in told])
                time.sleep(EVERY_S)
        except BaseException as error:
            failed.append(error)

    teller = threading.Thread(target=tell, name="changes")
    teller.start()
    try:
        for n in range(rounds):
            second = stack.add(WORKER)
            stack.await_ready(second)
            if n % 2:
                stack.kill(WORKER)
            else:
                stack.end(WORKER)
            stack.await_ready(second)
            stack.start(WORKER)
            stack.await_ready(WORKER)
            stack.drop(second)
            stack.await_ready(WORKER)
    finally:
        teller.join()
    if failed:
        raise Violation(f"the changes could not be published: {failed[0]}")
    until(lambda: lines(folder) - before >= alerts, f"{alerts} came: {lines(folder) - before}", 300)
    until(lambda: stack.metric("sender", "lovla_alerts_due") == 0 and stack.not_ready("sender") is None, "none waits", 120)
    copies = Counter(message.to for message in read(folder) if message.to.endswith("@worker.example"))
    wrong = [f"{one.address} got {copies[one.address]}" for one in people if copies[one.address] != 1]
    if wrong:
        raise Violation(f"{len(wrong)} are wrong: {'; '.join(wrong[:5])}")
    rate = AT_ONCE / EVERY_S
    return f"{alerts:,} changes at {rate:.0f}/s; a second worker joined and the first left, {rounds} times: each told once"
