"""The sender's heart: due notifications, one lane an address, an intent before each attempt and its result after.

*Order of one attempt, and what a crash after each step does* (docs/alerts.md has the table; tests kill the process at each):

1. `decided`: nothing is written. Decided again.
2. `intended`: the intent is in Kafka, and we are the one sender (journal.py). Nothing was handed over; that cannot be told from
   3, so SMS asks the provider first, and email and webhook go with the same id.
3. `sent`: the provider has it, Kafka has only the intent. As 2: here, and only here, an email or webhook comes twice, with the
   same Message-ID or webhook-id.
4. `recorded`: the result is in Kafka. Nothing is sent again; the offset follows with the next fence.

One lane an address: what follows waits for what is before it, so nobody reads the end of an exception before its beginning, and
an address that greylists us is not tried by ten messages at once.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

from schemas.alerts_v1 import Channel, Delivery, DeliveryState, Notification, Subscription, Suppression
from services.alerts.attempts import (
    MEMORY,
    NO_ADDRESS,
    NOT_BROUGHT,
    Answer,
    Ask,
    Decision,
    Done,
    Drop,
    Ledger,
    Send,
    Wait,
    decide,
    pause_s,
)
from services.alerts.breaker import Breaker
from services.runtime import logs, metrics
from services.runtime.clock import Clock
from services.runtime.failpoints import Failpoints

FOUND_NOT_YET_S = 5.0
"""A provider that lists what it took may be some seconds behind: its "no" counts only this long after the attempt."""

HANDED_OVER_S = 6.0
"""So long what is being handed over may take after a stop; what is cut off then is as after a crash."""

PROVIDER_TROUBLE = frozenset({"timeout", "disconnected", "server_error"})
"""Outcomes not known that say of the provider, not of the message: its breaker counts them."""

log = logs.get("alerts.sender")


class JournalPort(Protocol):
    """Where deliveries are written; see journal.py for what is promised."""

    async def write(self, record: Delivery, *, fence: bool = False) -> None: ...
    def settled(self, reached: Mapping[int, int]) -> None: ...


class Directory(Protocol):
    """Subscriptions and suppressed addresses, as they stand now."""

    def subscription(self, name: str) -> Subscription | None: ...
    def suppression(self, address_hash: str) -> Suppression | None: ...
    def catch_up(self) -> None:
        """Returns when it shows all that was written before; blocks. Raises KafkaException, TimeoutError."""
        ...

    def suppress(self, subscription: Subscription, reason: Literal["bounced", "opted_out"]) -> None:
        """Nothing more goes to its address. Returns when that is written; blocks."""
        ...


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message as it will be handed over. `content` is the channel's own."""

    to: str
    content: object
    message_id: str | None = None
    segments: int | None = None


class ChannelPort(Protocol):
    """A way out. `send` and `find` never raise for what a provider does: that is an answer."""

    name: str
    breaker: Breaker

    def pack(self, notification: Notification, subscription: Subscription) -> Parcel:
        """Raises ValueError if it cannot be written."""
        ...

    async def send(self, parcel: Parcel, notification: Notification) -> Answer: ...
    async def find(self, parcel: Parcel, notification: Notification, delivery: Ask) -> Answer | None:
        """What became of an earlier attempt: accepted; None: the provider has never seen it; else it cannot be asked now."""
        ...

    def wait_s(self, now_s: float) -> float:
        """By its own rate: 0 takes a turn."""
        ...

    async def close(self) -> None: ...


@dataclass(slots=True, eq=False)
class _Due:
    notification: Notification
    place: tuple[int, int] | None  # partition, offset; None: asked for again by hand
    position: str | None
    via: str | None = None
    retried: bool = False
    since_s: float = 0.0
    """When it began to be under way."""


@dataclass(slots=True, eq=False)
class _Lane:
    channel: Channel
    waiting: deque[_Due] = field(default_factory=deque)


class _Offsets:
    """Of one partition: what was taken and is not yet settled, in order."""

    def __init__(self) -> None:
        self._open: dict[int, None] = {}
        self._next = 0

    def take(self, offset: int) -> None:
        self._open[offset] = None
        self._next = offset + 1

    def settle(self, offset: int) -> int:
        """Up to where all is settled."""
        self._open.pop(offset, None)
        return next(iter(self._open), self._next)


class Sender:
    """One process's sender. Everything but `healthy` is called by the event loop's thread."""

    def __init__(
        self,
        journal: JournalPort,
        ledger: Ledger,
        directory: Directory,
        channels: Mapping[Channel, ChannelPort],
        clock: Clock,
        *,
        email_workers: int = 4,
        dice: Callable[[], float] = random.random,
        failpoints: Failpoints | None = None,
        handed_over_s: float = HANDED_OVER_S,
    ) -> None:
        self.paused = False
        self._handed_over_s = handed_over_s
        self._journal, self._ledger, self._directory, self._channels = journal, ledger, directory, channels
        self._clock, self._dice = clock, dice
        self._workers: Mapping[Channel, int] = {"email": email_workers, "sms": 8, "webhook": 16}  # others' servers may be slow
        self._failpoints = failpoints or Failpoints()
        self._lanes: dict[tuple[Channel, str], _Lane] = {}
        self._ready: dict[Channel, asyncio.Queue[tuple[Channel, str] | None]] = {}
        self._offsets: dict[int, _Offsets] = {}
        self._under_way: dict[str, _Due] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._reading_on = asyncio.Lock()
        self._read_on_s = -math.inf  # what was written before then is in the directory
        self._stopping = False

    # --- in

    @property
    def waiting(self) -> int:
        """Notifications taken and not settled."""
        return len(self._under_way)

    def take(self, notification: Notification, partition: int, offset: int) -> None:
        """A record of the topic, in its order."""
        self._offsets.setdefault(partition, _Offsets()).take(offset)
        due = _Due(notification, (partition, offset), f"{partition}:{offset}")
        if notification.notification in self._under_way:  # written twice by whoever composed it, and both are here
            self._reached(due)
            return
        self._begin(due)

    def take_again(self, notification: Notification, position: str, *, retried: bool) -> None:
        """One whose record is behind us: a dead one that an operator wants tried, or one that was never settled."""
        known = self._ledger.get(notification.notification)
        if notification.notification not in self._under_way and known is not None:
            self._begin(_Due(notification, None, position, retried=retried))

    def could_not_bring(self, notification: Notification, position: str) -> None:
        """The provider had accepted it and could not bring it: on by the other way, where the subscriber named one."""
        if notification.notification in self._under_way:
            return  # looked at again when it settles
        due = _Due(notification, None, position)
        if self._reroutes(due):
            self._begin(due)

    def pass_over(self, partition: int, offset: int) -> None:
        """A record that nothing can be done about (it was told elsewhere)."""
        self._offsets.setdefault(partition, _Offsets()).take(offset)
        self._journal.settled({partition: self._offsets[partition].settle(offset)})

    def _begin(self, due: _Due) -> None:
        known = self._ledger.get(due.notification.notification)
        due.via = due.via or (known.via if known is not None else None)
        due.since_s = self._clock.monotonic()
        self._under_way[due.notification.notification] = due
        self._enter(due)

    def _enter(self, due: _Due) -> None:
        target = self._target(due)
        channel: Channel = target.channel if target is not None else "email"
        key = (channel, target.address_hash if target is not None else due.notification.subscription)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane(channel)
        lane.waiting.append(due)
        if len(lane.waiting) == 1:
            self._queue(channel).put_nowait(key)

    def _target(self, due: _Due) -> Subscription | None:
        return self._directory.subscription(due.via or due.notification.subscription)

    def _queue(self, channel: Channel) -> asyncio.Queue[tuple[Channel, str] | None]:
        return self._ready.setdefault(channel, asyncio.Queue())

    # --- work

    def stop(self) -> None:
        """What is being handed over is ended and recorded, nothing more is begun; then `run` returns."""
        if not self._stopping:
            self._stopping = True
            for channel, count in self._workers.items():
                for _ in range(count):
                    self._queue(channel).put_nowait(None)

    async def run(self) -> None:
        """Until stopped or cancelled; raises what the journal raises: then nothing may be sent any more.

        Its workers are stopped, not cancelled: a cancellation would leave an intent without its result, and `asyncio.wait_for`
        of Python 3.11, which others' clients use, loses one that comes with the answer."""
        workers = [asyncio.create_task(self._work(channel)) for channel, count in self._workers.items() for _ in range(count)]
        tasks = [*workers, asyncio.create_task(self._measure())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)  # none ends but by a stop or a failure
            self.stop()
            await asyncio.wait(workers, timeout=self._handed_over_s)
        finally:
            self.stop()
            for timer in self._timers:
                timer.cancel()
            await _end(tasks)
        failures = [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]
        if failures:
            raise failures[0]

    async def _work(self, channel: Channel) -> None:
        queue = self._queue(channel)
        while True:
            key = await queue.get()
            if key is None or self._stopping:
                return
            lane = self._lanes[key]
            due = lane.waiting[0]
            pause = await self._look(due)
            if pause is None:
                lane.waiting.popleft()
            if not lane.waiting:
                del self._lanes[key]
            elif pause is None:
                queue.put_nowait(key)
            else:
                self._later(max(pause, 0.05), queue, key)

    def _later(self, pause: float, queue: asyncio.Queue[tuple[Channel, str] | None], key: tuple[Channel, str]) -> None:
        def now() -> None:
            self._timers.discard(timer)
            queue.put_nowait(key)

        timer = asyncio.get_running_loop().call_later(pause, now)
        self._timers.add(timer)

    async def _look(self, due: _Due) -> float | None:
        """One step of one notification. Seconds until it is looked at again; None: it has left its lane."""
        step, target = self._decide(due)
        if isinstance(step, Send | Ask):
            assert target is not None
            port = self._channels.get(target.channel)
            if port is None:
                step = Drop("dead", "no_provider", f"no {target.channel} provider is set up")
            else:
                if not await self._gate(port):
                    return 0.0
                step, target = self._decide(due)  # the gate may have taken its time
                if not isinstance(step, Send | Ask):
                    port.breaker.released()
        match step:
            case Done():
                self._settle(due)
                return None
            case Wait(until):
                return min((until - self._clock.now()).total_seconds(), 60.0)
            case Drop():
                if step.state == "suppressed" and await self._read_on(due):
                    return 0.0
                return await self._drop(due, target, step)
            case Ask():
                assert target is not None
                return await self._ask(due, target, step)
            case Send():
                assert target is not None
                return await self._send(due, target, step)

    def _decide(self, due: _Due) -> tuple[Decision, Subscription | None]:
        target = self._target(due)
        suppression = self._directory.suppression(target.address_hash) if target is not None else None
        known = self._ledger.get(due.notification.notification)
        if due.retried and known is not None and not known.settled:
            due.retried = known.state != "accepted"
        rerouted = due.via is not None and known is not None and known.via is None
        step = decide(due.notification, target, suppression, known, self._clock.now(), due.retried, rerouted)
        if due.via is not None and not isinstance(step, Done | Drop) and not self._still_wanted(due):
            step = Drop("suppressed", "stopped_meanwhile", "the subscription whose message took another way is not active")
        return step, target

    async def _read_on(self, due: _Due) -> bool:
        """Whether the directory had to be read on: then it is judged anew. Whoever composed it knew of a subscription that is
        active, by a view of their own; ours may be a moment behind, and what is dropped here is never told."""
        async with self._reading_on:
            if due.since_s <= self._read_on_s:
                return False
            now_s = self._clock.monotonic()
            await asyncio.to_thread(self._directory.catch_up)
            self._read_on_s = now_s
            return True

    def _still_wanted(self, due: _Due) -> bool:
        """Whether the subscription that the message is for is active, by whatever way it goes."""
        own = self._directory.subscription(due.notification.subscription)
        return own is not None and own.state == "active"

    async def _gate(self, port: ChannelPort) -> bool:
        """Returns when the operator, the provider's rate and its breaker let one through; False: it is stopped."""
        while not self._stopping:
            if self.paused:
                await asyncio.sleep(0.2)
                continue
            wait = port.breaker.wait_s(self._clock.monotonic())
            if not wait:
                wait = port.wait_s(self._clock.monotonic())
                if not wait:
                    return True
                port.breaker.released()
            await asyncio.sleep(min(wait, 1.0))
        return False

    async def _ask(self, due: _Due, target: Subscription, step: Ask) -> float | None:
        port = self._channels[target.channel]
        parcel = port.pack(due.notification, target)
        answer = await port.find(parcel, due.notification, step)
        if answer is not None and answer.kind == "accepted":
            port.breaker.succeeded()
            await self._write(due, target, "accepted", step.asked_about, port, parcel, answer)
            self._settle(due)
            return None
        if answer is not None:  # it cannot be asked now: sending blindly is what this is there to prevent
            port.breaker.failed(self._clock.monotonic(), self._dice(), answer.pause_s)
            return pause_s(1, answer, self._dice())
        port.breaker.succeeded()
        age_s = (self._clock.now() - step.since).total_seconds()
        if age_s < FOUND_NOT_YET_S:
            return FOUND_NOT_YET_S - age_s
        return await self._send(due, target, Send(step.attempt))

    async def _send(self, due: _Due, target: Subscription, step: Send) -> float | None:
        port = self._channels[target.channel]
        try:
            parcel = port.pack(due.notification, target)
        except Exception as error:  # a fault of ours in one message: it must not stop the others
            port.breaker.released()
            # never the error's own text, which may quote the address
            log.error("alerts.not_written", notification=due.notification.notification, error=type(error).__name__)
            return await self._drop(due, target, Drop("dead", "not_written", type(error).__name__))
        self._failpoints.reach("decided")
        await self._write(due, target, "intent", step.attempt, port, parcel, fence=True)
        self._failpoints.reach("intended")
        now_so = self._directory.subscription(target.subscription)
        gone = now_so is None or now_so.state != target.state or self._directory.suppression(target.address_hash) is not None
        if gone or (due.via is not None and not self._still_wanted(due)):
            port.breaker.released()  # stopped in this very moment
            return await self._drop(
                due, target, Drop("suppressed", "stopped_meanwhile", "it was stopped before it was handed over")
            )
        answer = await port.send(parcel, due.notification)
        self._failpoints.reach("sent")
        if port.name != "webhook" and (answer.kind == "away" or answer.reason in PROVIDER_TROUBLE):
            port.breaker.failed(self._clock.monotonic(), self._dice(), answer.pause_s)
        else:
            port.breaker.succeeded()
        return await self._result(due, target, step, port, parcel, answer)

    async def _result(
        self, due: _Due, target: Subscription, step: Send, port: ChannelPort, parcel: Parcel, answer: Answer
    ) -> float | None:
        match answer.kind:
            case "accepted":
                await self._write(due, target, "accepted", step.attempt, port, parcel, answer)
                self._failpoints.reach("recorded")
                late = (self._clock.now() - due.notification.due_at).total_seconds()
                metrics.counter("lovla_alerts_sent_total", channel=target.channel).inc()
                metrics.histogram("lovla_alerts_accept_seconds", channel=target.channel).observe(max(0.0, late))
                self._settle(due)
                return None
            case "refused":
                if answer.suppress is not None:
                    await asyncio.to_thread(self._directory.suppress, target, answer.suppress)
                if answer.suppress != "opted_out" and self._fall_back(due, target):
                    await self._write(due, target, "failed", step.attempt, port, parcel, answer)
                    self._enter(due)
                    return None
                await self._write(due, target, "dead", step.attempt, port, parcel, answer)
                self._settle(due)
                return None
            case _:
                pause = pause_s(step.attempt, answer, self._dice())
                state: DeliveryState = "unknown" if answer.kind == "unknown" else "failed"
                told = {"notification": due.notification.notification, "channel": target.channel, "attempt": step.attempt}
                log.info("alerts.sender.later", **told, state=state, reason=answer.reason, again_in_s=round(pause, 1))
                await self._write(due, target, state, step.attempt, port, parcel, answer, retry_s=pause)
                return pause

    async def _drop(self, due: _Due, target: Subscription | None, step: Drop) -> float | None:
        known = self._ledger.get(due.notification.notification)
        if step.reason in ("attempts_used_up", "address_bounced", "no_provider") and target and self._fall_back(due, target):
            answer = Answer("refused", step.reason, step.text)
            await self._write(due, target, "failed", known.attempt if known else 1, None, None, answer)
            self._enter(due)
            return None
        answer = Answer("refused", step.reason, step.text)
        await self._write(due, target, step.state, known.attempt if known else 1, None, None, answer)
        self._settle(due)
        return None

    # --- another way

    def _fall_back(self, due: _Due, target: Subscription) -> bool:
        """Whether the subscriber named another way, which may be used; then it is taken from here on. Once only, and never
        around a stop or an opt-out; a request to confirm is for its own address alone."""
        if due.via is not None or target.fallback is None or due.notification.purpose == "confirm":
            return False
        suppression = self._directory.suppression(target.address_hash)
        if suppression is not None and suppression.reason != "bounced":
            return False
        other = self._directory.subscription(target.fallback)
        if other is None or other.state != "active" or self._directory.suppression(other.address_hash) is not None:
            return False
        due.via = other.subscription
        return True

    def _reroutes(self, due: _Due) -> bool:
        """Whether it was accepted and not brought, and now takes the other way."""
        known = self._ledger.get(due.notification.notification)
        if known is None or known.state not in NOT_BROUGHT or known.via is not None or not self._still_wanted(due):
            return False
        target = self._directory.subscription(due.notification.subscription)
        return target is not None and self._fall_back(due, target)

    # --- out

    async def _write(
        self,
        due: _Due,
        target: Subscription | None,
        state: DeliveryState,
        attempt: int,
        port: ChannelPort | None,
        parcel: Parcel | None,
        answer: Answer | None = None,
        *,
        retry_s: float | None = None,
        fence: bool = False,
    ) -> None:
        now = self._clock.now()
        record = Delivery(
            notification=due.notification.notification,
            subscription=due.notification.subscription,
            attempt=attempt,
            state=state,
            address_hash=target.address_hash if target else NO_ADDRESS,
            provider=port.name if port else None,
            provider_ref=answer.provider_ref if answer else None,
            at=now,
            text=without_address(answer.text, target.address if target else None) if answer and answer.text else None,
            channel=target.channel if target else None,
            reason=answer.reason if answer else None,
            due_at=due.notification.due_at,
            retry_at=None if retry_s is None else now + timedelta(seconds=retry_s),
            via=due.via,
            message_id=parcel.message_id if parcel else None,
            segments=parcel.segments if parcel else None,
            position=due.position,
        )
        await self._journal.write(record, fence=fence)
        self._ledger.take(record)
        if state in ("failed", "dead", "unknown"):
            metrics.counter("lovla_alerts_failed_total", channel=record.channel or "none", reason=record.reason or "none").inc()
            if state == "dead":
                metrics.counter("lovla_alerts_dead_total", channel=record.channel or "none").inc()
        elif state in ("suppressed", "stale"):
            metrics.counter("lovla_alerts_suppressed_total", reason=record.reason or "none").inc()

    def _settle(self, due: _Due) -> None:
        self._under_way.pop(due.notification.notification, None)
        self._reached(due)
        again = _Due(due.notification, None, due.position)
        if due.via is None and due.position is not None and self._reroutes(again):  # the receipt was quicker than we
            self._begin(again)

    def _reached(self, due: _Due) -> None:
        if due.place is not None:
            partition, offset = due.place
            self._journal.settled({partition: self._offsets[partition].settle(offset)})

    async def _measure(self) -> None:
        """The gauges, each second; and what the ledger need not remember any more."""
        while not self._stopping:
            now, monotonic = self._clock.now(), self._clock.monotonic()
            metrics.gauge("lovla_alerts_due").set(len(self._under_way))
            metrics.gauge("lovla_alerts_oldest_due_seconds").set(
                max(0.0, (now - self._oldest_due(now, monotonic)).total_seconds())
            )
            metrics.gauge("lovla_alerts_paused").set(self.paused)
            for port in self._channels.values():
                closed = port.breaker.state(monotonic) == "closed"
                metrics.gauge("lovla_alerts_provider_away", provider=port.name).set(not closed)
            if len(self._ledger) > 100_000:
                self._ledger.forget_before(now - MEMORY)
            await asyncio.sleep(1.0)

    def _oldest_due(self, now: datetime, monotonic: float) -> datetime:
        """Since when the oldest is due that waits for us or for a provider; `now`: there is none. Not counted is what one
        address alone holds up (greylisting, a full mailbox, a subscriber's server that is down), nor what is behind it in its
        lane: nobody is to be woken for that. A provider's own trouble opens its breaker, and then all its messages count."""
        oldest = now
        for lane in self._lanes.values():
            known = self._ledger.get(lane.waiting[0].notification.notification) if lane.waiting else None
            port = self._channels.get(lane.channel)
            its_own = known is not None and (
                known.state == "failed" or (known.state == "unknown" and lane.channel == "webhook")
            )
            waits = known is not None and known.retry_at is not None and now < known.retry_at
            if its_own and waits and port is not None and port.breaker.state(monotonic) == "closed":
                continue
            oldest = min([oldest, *(due.notification.due_at for due in lane.waiting)])
        return oldest


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel them, and again who lost the cancellation."""
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=0.5)


_STATUS_OR_PERSONAL = re.compile(
    r"(?P<status>(?<![\w.])(?:[245]\d\d[ -])*[245]\.\d{1,3}\.\d{1,3}(?![\w.]*\d))"
    r"|(?:\"[^\"]*\"|[^\s<>()\[\]\",;:]+)(?:@|%40)[^\s<>()\[\]\",;:]+"
    r"|(?<![A-Za-z0-9])\+?\d[\d ().\u2010-\u2013-]{6,}\d(?![A-Za-z0-9])"
)
"""What looks like a mailbox or a phone number, whoever's; a reply's codes ("550 5.1.1"), which look much the same, stay."""


def without_address(text: str, address: str | None) -> str:
    """What a provider said, without whom it said it of nor anybody else's mailbox or number (whoever a message was forwarded
    to did not ask us for anything), in one line of at most 500 characters."""
    flat = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    if address:
        needles = {address, address.lower(), address.removeprefix("+")}
        for needle in sorted((n for n in needles if len(n) > 3), key=len, reverse=True):
            flat = _without(flat, needle)
    return _STATUS_OR_PERSONAL.sub(lambda found: found["status"] or "<address>", flat[:2_000])[:500]


def _without(text: str, needle: str) -> str:
    found, lowered = [], text.lower()
    start = 0
    while (at := lowered.find(needle.lower(), start)) >= 0:
        found += [text[start:at], "<address>"]
        start = at + len(needle)
    return "".join([*found, text[start:]])
