"""The load: journeys of 12 events on two containers, pushed through the door by their carriers; and the truth about them.

Drawn from a seed and a start time, without looking at anything of the product's. Every statement has an id of its own
(`F<seed>-...`), so that what was answered 202 can be looked for, id by id, in Kafka and in ClickHouse. A request is repeated
until it is answered 202: then all that was drawn must be there, each once.

Three stories. *plain*: everything in good time, so that nothing is ever wrong. *late*: arrived 18 h past the tolerance, then
went on. *stuck*: as late, and nothing was told after the arrival. None of them has a deadline within the hours after `start`.
A fourth, `waiting`, is drawn by `Deadlines`: its deadline lies where the caller says.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

import httpx

CARRIERS = ("MAEU", "MSCU", "CMDU", "COSU", "HLCU", "ONEY", "EGLV", "YMLU")
BUYER = "LACDHS"
OWNERS = ("MRSU", "MSKU", "TCLU", "CMAU", "HLXU", "TGHU", "OOLU", "EGHU")
STEPS: tuple[tuple[str, int, str], ...] = (
    ("received", 0, "CNSHA"),
    ("departed", 48, "CNSHA"),
    ("arrived", 384, "USLAX"),
    ("discharged", 396, "USLAX"),
    ("available", 404, "USLAX"),
    ("gate_out", 432, "USLAX"),
)
UNITS = 2
ARRIVED = 2  # the step
BEGAN = timedelta(days=20)  # so long before the start a journey began
TOLERANCE = timedelta(hours=12)  # at sea (docs/exceptions.md)
LATE_BY = timedelta(hours=30)
WAVE = 40  # journeys whose requests are mixed with each other
BATCH = 25  # events a request
WORKERS = 12
ANSWER_S = 15.0  # a frozen door must not hold a worker for long
PAUSE_S = 0.3
STEADY = 1.5  # a pace behind by more than so many seconds is not made up for

Story = Literal["plain", "late", "stuck", "waiting"]
Kind = Literal["events", "registration", "unreadable"]


@dataclass(frozen=True, slots=True)
class Journey:
    """One consignment and what is true of it. `told`: (milestone, unit) -> when."""

    name: str
    story: Story
    carrier: str
    number: int
    began: datetime
    deadline: datetime | None = None
    settled: bool = False

    @property
    def steps(self) -> tuple[tuple[str, int, str], ...]:
        if self.story == "waiting":
            return STEPS[:ARRIVED]
        return STEPS[: ARRIVED + 1] if self.story == "stuck" else STEPS

    def at(self, step: int, unit: int) -> datetime:
        return self.began + timedelta(hours=STEPS[step][1], minutes=7 * unit)

    @property
    def arrived(self) -> datetime:
        """When the whole consignment was there: all of its units."""
        return self.at(ARRIVED, UNITS - 1)

    @property
    def overdue_from(self) -> datetime | None:
        """The deadline of its arrival, where its story has one."""
        if self.story in ("late", "stuck"):
            return self.arrived - LATE_BY + TOLERANCE
        return self.deadline

    def unit(self, unit: int) -> str:
        return container(self.number * UNITS + unit)

    def ident(self, step: int, unit: int) -> str:
        return f"{self.name}:{STEPS[step][0]}:{unit}"


@dataclass(frozen=True, slots=True)
class Request:
    """One body to push. `ids`: the statements (or consignments) in it."""

    number: int
    kind: Kind
    sender: str
    body: bytes
    ids: tuple[str, ...]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


@dataclass(slots=True)
class Ledger:
    """What the load knows by itself: what was drawn, what was answered 202 and with which receipts, and how often tried."""

    journeys: dict[str, Journey] = field(default_factory=dict)
    receipts: dict[str, tuple[str, str]] = field(default_factory=dict)
    """receipt -> (kind, SHA-256 of the body)"""
    tries: dict[str, int] = field(default_factory=dict)
    """SHA-256 of the body -> how often it was sent"""
    ids: set[str] = field(default_factory=set)
    """Of events answered 202."""
    registered: set[str] = field(default_factory=set)
    unreadable: int = 0
    refused: list[str] = field(default_factory=list)
    """Answers that must not come."""
    unanswered: int = 0  # tries without an answer, or answered 503 or 429


def container(serial: int) -> str:
    """Unlike for each serial below 8,000,000; with its check digit (ISO 6346)."""
    body = f"{OWNERS[serial // 1_000_000]}{serial % 1_000_000:06d}"
    letters = "0123456789A?BCDEFGHIJK?LMNOPQRSTU?VWXYZ"
    return body + str(sum(letters.index(sign) * 2**place for place, sign in enumerate(body)) % 11 % 10)


def told(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def declaration(journey: Journey, start: datetime) -> dict[str, object]:
    """As the buyer registers it."""
    deadline = journey.overdue_from
    arrived = start + timedelta(days=5) if deadline is None else deadline - TOLERANCE
    units = [{"kind": "container", "value": journey.unit(unit)} for unit in range(UNITS)]
    return {
        "consignment": journey.name,
        "items": [{"line": 1, "category": "n95_respirator", "quantity": 20_000}],
        "parties": {"carrier": journey.carrier, "trucker": "HBRT", "consignee": "H-HARBOR"},
        "route": {
            "mode": "sea",
            "origin": "CNSHA",
            "port_of_discharge": "USLAX",
            "terminal": "LA-APMT",
            "place_of_delivery": "H-HARBOR",
        },
        "plan": {"arrived": told(arrived), "delivered": told(start + timedelta(days=10))},
        "references": [{"kind": "bill_of_lading", "value": f"{journey.carrier}{journey.number:09d}"}, *units],
        "packing": [{"line": 1, "unit": unit, "quantity": 10_000} for unit in units],
    }


def statement(journey: Journey, step: int, unit: int) -> dict[str, object]:
    """As the carrier tells it."""
    milestone, _, place = STEPS[step]
    at = journey.at(step, unit)
    return {
        "id": journey.ident(step, unit),
        "milestone": milestone,
        "classifier": "actual",
        "occurred_at": told(at),
        "created_at": told(at + timedelta(minutes=20)),
        "references": [
            {"kind": "container", "value": journey.unit(unit)},
            {"kind": "bill_of_lading", "value": f"{journey.carrier}{journey.number:09d}"},
        ],
        "place": {"unlocode": place},
        "mode": "sea",
    }


class Drawing:
    """Draws requests without end, wave by wave; the same seed and start give the same bytes."""

    def __init__(self, seed: int, start: datetime) -> None:
        self._seed, self.start = seed, start.replace(microsecond=0)
        self._journeys = 0
        self._requests = 0

    def journey(self, story: Story, deadline: datetime | None = None, settled: bool = False) -> Journey:
        number = self._journeys
        self._journeys += 1
        # a waiting journey's arrival, should it be told, lies half an hour before its deadline
        arrival = self.start - BEGAN if deadline is None else deadline - timedelta(hours=STEPS[ARRIVED][1], minutes=30)
        began = arrival + (timedelta(minutes=number % 600) if deadline is None else timedelta())
        name = f"{BUYER}-F{self._seed}X{number:06d}"
        return Journey(name, story, CARRIERS[number % len(CARRIERS)], number, began, deadline, settled)

    def request(self, kind: Kind, sender: str, body: bytes, ids: Iterable[str]) -> Request:
        self._requests += 1
        return Request(self._requests, kind, sender, body, tuple(ids))

    def registration(self, journeys: Sequence[Journey]) -> Request:
        rows = [declaration(journey, self.start) for journey in journeys]
        return self.request("registration", BUYER, json.dumps(rows).encode(), (journey.name for journey in journeys))

    def events(self, carrier: str, said: Sequence[tuple[Journey, int, int]]) -> Request:
        body = json.dumps([statement(*one) for one in said]).encode()
        return self.request("events", carrier, body, (journey.ident(step, unit) for journey, step, unit in said))

    def wave(self) -> tuple[list[Journey], list[Request]]:
        """A wave's journeys and requests, in an order that has nothing to do with the world's; a tenth of it said twice."""
        chance = random.Random(f"{self._seed}:{self._journeys}")
        journeys = [
            self.journey("stuck" if n % 20 == 7 else "late" if n % 10 == 3 else "plain") for n in range(WAVE)
        ]  # 5 %, 10 %, 85 %
        requests = [self.registration(journeys)]
        for carrier in CARRIERS:
            said = [
                (journey, step, unit)
                for journey in journeys
                if journey.carrier == carrier
                for step in range(len(journey.steps))
                for unit in range(UNITS)
            ]
            chance.shuffle(said)
            said += chance.sample(said, len(said) // 10)
            requests += [self.events(carrier, said[n : n + BATCH]) for n in range(0, len(said), BATCH)]
        garbage = f"ISA*00*nothing that can be read: {self._seed}/{self._requests}".encode()
        requests.append(self.request("unreadable", chance.choice(CARRIERS), garbage, ()))
        chance.shuffle(requests)
        return journeys, requests


class Load:
    """Pushes in a thread of its own, at `rate` events a second while the door takes them, until `stop`."""

    def __init__(self, doors: Callable[[], Sequence[str]], keys: Mapping[str, str], seed: int, start: datetime) -> None:
        self.drawing = Drawing(seed, start)
        self.ledger = Ledger()
        self.rate = 0.0
        self._doors, self._keys = doors, keys
        self._chance = random.Random(f"{seed}:doors")
        self._stopping = threading.Event()
        self._giving_up = threading.Event()
        self._extra: list[Request] = []
        self._extra_left = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load", daemon=True)

    @property
    def accepted(self) -> int:
        """Events answered 202, each counted once."""
        return len(self.ledger.ids)

    def start(self) -> None:
        self._thread.start()

    def push(self, journeys: Iterable[Journey], requests: Iterable[Request]) -> None:
        """Further requests, before whatever is next."""
        self.ledger.journeys.update((journey.name, journey) for journey in journeys)
        several = list(requests)
        self._extra_left += len(several)
        self._extra += several

    def pushed(self) -> bool:
        """Whether all that `push` was given is answered 202."""
        return self._extra_left == 0

    def stop(self, within_s: float) -> bool:
        """Finish what was begun. False, and it is given up, if the door does not take it `within_s`."""
        self._stopping.set()
        self._thread.join(within_s)
        if self._thread.is_alive():
            self._giving_up.set()
            self._thread.join(ANSWER_S + 5)
            return False
        return True

    async def _run(self) -> None:
        queue: asyncio.Queue[tuple[Request, bool] | None] = asyncio.Queue(WORKERS)
        async with httpx.AsyncClient(timeout=ANSWER_S, trust_env=False) as http:
            workers = [asyncio.create_task(self._work(http, queue)) for _ in range(WORKERS)]
            await self._feed(queue)
            for _ in workers:
                await queue.put(None)
            await asyncio.gather(*workers)

    async def _feed(self, queue: asyncio.Queue[tuple[Request, bool] | None]) -> None:
        due = time.monotonic()
        waves = self._waves()
        between, pace = True, 1.0
        while not self._giving_up.is_set():
            if self._extra:
                await queue.put((self._extra.pop(0), True))
            elif between and self._stopping.is_set():
                return
            elif between and self.rate <= 0:
                await asyncio.sleep(0.1)
                due = time.monotonic()
                continue
            else:
                request, between = next(waves)
                pace = self.rate or pace  # a wave that was begun is finished
                due = max(due + len(request.ids) / pace, time.monotonic() - STEADY)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await queue.put((request, False))

    def _waves(self) -> Iterator[tuple[Request, bool]]:
        while True:
            journeys, requests = self.drawing.wave()
            self.ledger.journeys.update((journey.name, journey) for journey in journeys)
            for request in requests:
                yield request, request is requests[-1]

    async def _work(self, http: httpx.AsyncClient, queue: asyncio.Queue[tuple[Request, bool] | None]) -> None:
        while (work := await queue.get()) is not None:
            request, extra = work
            await self._until_taken(http, request)
            self._extra_left -= extra

    async def _until_taken(self, http: httpx.AsyncClient, request: Request) -> None:
        address = {"events": "/v1/events", "registration": "/v1/consignments", "unreadable": "/v1/messages"}[request.kind]
        kind = "application/edi-x12" if request.kind == "unreadable" else "application/json"
        headers = {"Authorization": f"Bearer {self._keys[request.sender]}", "Content-Type": kind}
        sha256 = request.sha256
        while not self._giving_up.is_set():
            self.ledger.tries[sha256] = self.ledger.tries.get(sha256, 0) + 1
            try:
                door = self._chance.choice(self._doors())
                answer = await http.post(door + address, content=request.body, headers=headers)
            except httpx.HTTPError:
                self.ledger.unanswered += 1
            else:
                if answer.status_code == 202:
                    self._note(request, sha256, answer.json())
                    return
                if answer.status_code not in (429, 503):
                    self.ledger.refused.append(f"{address}: {answer.status_code} {answer.text[:300]}")
                    return
                self.ledger.unanswered += 1
            await asyncio.sleep(PAUSE_S)

    def _note(self, request: Request, sha256: str, said: Mapping[str, object]) -> None:
        self.ledger.receipts[str(said["receipt"])] = (request.kind, sha256)
        if request.kind == "events":
            self.ledger.ids.update(request.ids)
        elif request.kind == "registration":
            self.ledger.registered.update(request.ids)
        else:
            self.ledger.unreadable += 1
        if request.kind != "unreadable" and said.get("rejected"):
            self.ledger.refused.append(f"{request.kind}: {json.dumps(said)[:500]}")
