"""The demo's subscribers: who wants to be told what, made and confirmed as people do it; and whether they were told.

What came is judged by the outside world alone: the mailbox's messages, never our own records of them. `Cast` and `judge` are
pure; `People` does what people do: fills in the page, follows the link of the mail, types the code of the SMS, answers STOP.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import httpx

from demo import world
from demo.news import News, Scene
from demo.scenario import Consignment
from deploy.local.mailbox import Message
from deploy.local.mailbox import read as read_mailbox
from services.runtime import inside

Fate = Literal["told", "stopped", "digest", "quiet", "paused", "unconfirmed"]
"""What becomes of a subscriber: told at once; told once, then STOP; held for a digest or by quiet hours; never to be told."""

PATIENCE_S = 60.0
POLL_S = 0.2
_NAME = re.compile(rf"\b(?:{'|'.join(world.BUYERS)})-\d{{5}}B?\b")
_LINK = re.compile(r"https?://\S+/confirm/\S+")
_CODE = re.compile(r"\b\d{6}\b")
_HANDLE = re.compile(r'name="subscription" value="([a-z0-9]{16})"')


class Unheard(Exception):
    """Somebody did not get what they were waiting for, or the door said no; the text says who and what."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Who, where, by whose key (None: on the public page), and what they want."""

    who: str
    channel: Literal["email", "sms"]
    address: str
    key_of: str | None
    filters: Mapping[str, tuple[str, ...]]
    fate: Fate = "told"
    more: Mapping[str, Any] = field(default_factory=dict)

    def wants(self, one: Consignment, news: News) -> bool:
        """Whether a thing concerns them: by their filters, and by whose key they came; our own reading of docs/alerts.md."""
        route = one.declaration.route
        offered = {
            "facilities": route and route.place_of_delivery,
            "terminals": route and route.terminal,
            "consignments": one.name,
        }
        here = all(offered[name] in self.filters[name] for name in offered if name in self.filters)
        own = self.key_of in (None, world.OPERATOR, one.buyer)
        if news.kind == "milestone":
            told = news.key.split(":")[1] in self.filters.get("milestones", ()) or not self._chosen
        else:
            told = news.kind in self.filters.get("exceptions", ()) or not self._chosen
        return here and own and told

    def left_out_of(self, scene: Scene) -> Consignment | None:
        """Something that happened, concerns them, and that they were not told of at once; None if they are told all."""
        news = {
            "told": None,
            "stopped": scene.released_later,
            "digest": scene.slip,
            "quiet": scene.hold,
            "paused": scene.slip,
            "unconfirmed": scene.slip,
        }[self.fate]
        return news.consignments[0] if news is not None else None

    @property
    def _chosen(self) -> bool:
        return bool(self.filters.get("milestones") or self.filters.get("exceptions"))


def cast(scene: Scene, now: datetime) -> tuple[Subscriber, ...]:
    """The subscribers of a scene. `now`: what quiet hours and the digest are laid around, in Los Angeles."""
    late, held = scene.slip.consignments[0], scene.hold.consignments[0]
    gates = tuple(dict.fromkeys(_terminal(news.consignments[0]) for news in (scene.released, scene.released_later)))
    local = now.astimezone(ZoneInfo(world.LOS_ANGELES))
    digest_at = local + timedelta(minutes=25 - local.minute % 5)  # later than the slowest machine's last look
    quiet = [f"{local - timedelta(hours=1):%H}:00", f"{local + timedelta(hours=3):%H}:00"]
    hospital = _hospital(late)
    releases = {"terminals": gates, "milestones": ("customs_released", "available", "gate_out")}
    return (
        Subscriber(
            "a hospital's buyer",
            "email",
            f"buyer@{hospital.lower()}.example",
            None,
            {"facilities": (hospital,), "exceptions": ("will_be_late", "late", "overdue", "on_hold")},
        ),
        Subscriber(
            "the City's supply desk",
            "email",
            "desk@lvla.example",
            world.OPERATOR,
            {"exceptions": ("will_be_late", "on_hold", "misrouted")},
        ),
        Subscriber(
            f"{held.buyer}, of its own goods",
            "email",
            f"purchasing@{held.buyer.lower()}.example",
            held.buyer,
            {"exceptions": ("will_be_late", "on_hold")},
        ),
        Subscriber("a trucker", "sms", "+12135550101", None, releases),
        Subscriber("a driver who says STOP", "sms", "+12135550102", world.OPERATOR, releases, "stopped"),
        Subscriber(
            "a port planner",
            "email",
            "planner@port.example",
            world.OPERATOR,
            {"terminals": (_terminal(late),), "exceptions": ("will_be_late",)},
            "digest",
            {"digest": "daily", "digest_at": f"{digest_at:%H:%M}"},
        ),
        Subscriber(
            "a ward, by day",
            "email",
            f"ward@{_hospital(held).lower()}.example",
            world.OPERATOR,
            {"consignments": (held.name,)},
            "quiet",
            {"quiet": quiet},
        ),
        Subscriber("a buyer on leave", "email", "on-leave@lacdhs.example", world.OPERATOR, {}, "paused"),
        Subscriber(
            "somebody's wrong address", "email", "typo@nowhere.example", None, {"facilities": (hospital,)}, "unconfirmed"
        ),
    )


def _hospital(one: Consignment) -> str:
    assert one.declaration.route is not None and one.declaration.route.place_of_delivery is not None
    return one.declaration.route.place_of_delivery


def _terminal(one: Consignment) -> str:
    assert one.declaration.route is not None and one.declaration.route.terminal is not None
    return one.declaration.route.terminal


def due(subscriber: Subscriber, scene: Scene) -> frozenset[str]:
    """The consignments that a subscriber must be told of, each once, by the end of the scene."""
    if subscriber.fate == "told":
        said: tuple[News, ...] = (scene.released, scene.slip, scene.hold, scene.released_later)
    else:
        said = (scene.released,) if subscriber.fate == "stopped" else ()
    return frozenset(one.name for news in said for one in news.consignments if subscriber.wants(one, news))


@dataclass(frozen=True, slots=True)
class Heard:
    """What came to one subscriber after they subscribed. `wrong`: in a sentence each, empty if all is as it must be."""

    subscriber: Subscriber
    messages: tuple[Message, ...]
    due: frozenset[str]
    wrong: tuple[str, ...]


def judge(
    subscriber: Subscriber,
    must: frozenset[str],
    came: Sequence[Message],
    replies: Iterable[str] = (),
    later: Iterable[str] = (),
) -> Heard:
    """What came against what must: of each consignment one message, of others none. `replies`: our answers to their own SMS.
    `later`: what is collected for a second message of the same cause, on a machine too slow for one."""
    answers = Counter(replies)
    messages = []
    for one in came:
        if one.kind == "sms_out" and answers[one.text] > 0:
            answers[one.text] -= 1
        elif one.kind != "sms_in":
            messages.append(one)
    named = Counter(name for one in messages for name in {*_NAME.findall(f"{one.subject} {one.text}")})
    wrong = [f"{subscriber.who} was never told of {name}" for name in sorted(must - set(named) - set(later))]
    wrong += [f"{subscriber.who} was told {n} times of {name}" for name, n in sorted(named.items()) if n > 1 and name in must]
    wrong += [f"{subscriber.who} was told of {name}, and must not be" for name in sorted(set(named) - must)]
    wrong += [
        f"{subscriber.who} got a message that names nothing: {one.subject or one.text}" for one in messages if not _names(one)
    ]
    return Heard(subscriber, tuple(messages), must, tuple(wrong))


def _names(message: Message) -> bool:
    return _NAME.search(f"{message.subject} {message.text}") is not None


class People:
    """The subscribers at work, against the real door and the real mailbox."""

    def __init__(self, mailbox: Path, door: str, provider: str, keys: Mapping[str, str], cast: Sequence[Subscriber]) -> None:
        """`mailbox`: its folder; `door`: the alerts' address; `provider`: the local SMS provider's; `keys`: by sender."""
        self.cast = tuple(cast)
        self.door = door
        self.ids: dict[str, str] = {}
        """Address -> subscription."""
        self._mailbox, self._provider, self._keys = mailbox, provider, keys
        self._replies: dict[str, list[str]] = {}
        self._begun = 0

    async def subscribe(self) -> None:
        """All subscribe, and confirm as they will. Raises Unheard."""
        for one in self.cast:
            await (self._by_page(one) if one.key_of is None else self._by_key(one))
        async with asyncio.TaskGroup() as group:
            for one in self.cast:
                group.create_task(self._confirm(one))
        for one in self.cast:
            if one.fate == "paused":
                await self._send("POST", f"/v1/subscriptions/{self.ids[one.address]}/pause", world.OPERATOR)
        listed = await self._send("GET", "/v1/subscriptions?limit=500", world.OPERATOR)
        self.ids = {one["address"]: one["subscription"] for one in listed.json()["subscriptions"]}
        self._begun = max((message.number for message in read_mailbox(self._mailbox)), default=0)

    async def stop(self) -> None:
        """Who says STOP says it. Raises Unheard."""
        for one in self.cast:
            if one.fate == "stopped":
                async with httpx.AsyncClient(timeout=30, trust_env=False, verify=inside.plain()) as phone:
                    answer = await phone.post(f"{self._provider}/local/reply", json={"from": one.address, "text": "STOP"})
                if not answer.is_success or not answer.json().get("reply"):
                    raise Unheard(f"{one.who} said STOP and got no answer: {answer.status_code} {answer.text[:300]}")
                self._replies.setdefault(one.address, []).append(answer.json()["reply"])

    def heard(self, scene: Scene, later: Iterable[tuple[Subscriber, str]] = ()) -> list[Heard]:
        """What came since all had subscribed, against what must have come by now."""
        came = self._came(self._begun)
        waits: dict[str, set[str]] = {}
        for one, name in later:
            waits.setdefault(one.address, set()).add(name)
        return [
            judge(
                one,
                due(one, scene),
                came.get(one.address, []),
                replies=self._replies.get(one.address, ()),
                later=waits.get(one.address, ()),
            )
            for one in self.cast
        ]

    def missing(self, *news: News) -> list[tuple[Subscriber, str]]:
        """Who is to be told at once of what, and was not yet."""
        came = self._came(self._begun)
        listening = [one for one in self.cast if one.fate == "told" or (one.fate == "stopped" and not self._replies)]
        return [
            (each, one.name)
            for said in news
            for one in said.consignments
            for each in listening
            if each.wants(one, said)
            if not any(one.name in f"{message.subject} {message.text}" for message in came.get(each.address, ()))
        ]

    async def until(self, condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
        """Whether it came true in time."""
        deadline = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(POLL_S)
        return True

    def _came(self, after: int) -> dict[str, list[Message]]:
        found: dict[str, list[Message]] = {}
        for message in read_mailbox(self._mailbox):
            if message.number > after:
                found.setdefault(message.to, []).append(message)
        return found

    async def _by_key(self, one: Subscriber) -> None:
        body = {
            "channel": one.channel,
            "address": one.address,
            "filters": {name: list(values) for name, values in one.filters.items()},
            "label": one.who,
            **one.more,
        }
        answer = await self._send("POST", "/v1/subscriptions", one.key_of, json=body)
        self.ids[one.address] = answer.json()["subscription"]

    async def _by_page(self, one: Subscriber) -> None:
        """The form, as a browser sends it. The answer tells nobody's id, but the code of an SMS is typed under one."""
        fields = {"channel": one.channel, "address": one.address, "agreed": "yes"} | {
            name: ", ".join(values) if name in ("terminals", "consignments") else list(values)
            for name, values in one.filters.items()
        }
        answer = await self._send("POST", "/subscribe", None, data=fields)
        handle = _HANDLE.search(answer.text)
        if handle is not None:
            self.ids[one.address] = handle[1]

    async def _confirm(self, one: Subscriber) -> None:
        if not await self.until(lambda: one.address in self._came(0)):
            raise Unheard(f"{one.who} subscribed and was not asked to confirm; see `lovla mailbox`, `lovla alerts status`")
        if one.fate == "unconfirmed":
            return
        (asked,) = self._came(0)[one.address]
        if one.channel == "sms":
            code = _CODE.search(asked.text)
            if code is None:
                raise Unheard(f"{one.who} was asked to confirm without a code: {asked.text}")
            given = {"subscription": self.ids[one.address], "code": code[0]}
            if one.key_of is None:
                await self._send("POST", "/code", None, data=given)
            else:
                path = f"/v1/subscriptions/{given['subscription']}/confirm"
                await self._send("POST", path, one.key_of, json={"code": given["code"]})
            return
        link = _LINK.search(asked.text)
        if link is None:
            raise Unheard(f"{one.who} was asked to confirm without a link: {asked.text}")
        await self._send("GET", link[0], None)
        await self._send("POST", link[0], None)

    async def _send(self, method: str, path: str, key_of: str | None, **body: Any) -> httpx.Response:
        """Waits and tries again on 429 and 503. Raises Unheard."""
        headers = {} if key_of is None else {"Authorization": f"Bearer {self._keys[key_of]}"}
        for left in (3, 2, 1, 0):
            try:
                async with httpx.AsyncClient(base_url=self.door, timeout=60.0, trust_env=False, verify=inside.plain()) as http:
                    answer = await http.request(method, path, headers=headers, **body)
            except httpx.TransportError as error:
                raise Unheard(f"no answer from the alerts' door ({error!r}); see `lovla status`") from error
            if answer.status_code not in (429, 503) or left == 0:
                break
            await asyncio.sleep(min(5.0, float(answer.headers.get("Retry-After", "1"))))
        if not answer.is_success:
            raise Unheard(f"the alerts' door said {answer.status_code} to {method} {path[:60]}: {answer.text[:400]}")
        return answer
