"""A small port with everything on it, as records of our contracts: what browser tests read, and what is looked at as pictures.

Pure: the same `now` gives the same records. HOSTILE stands wherever a carrier, buyer or subscriber can write a word.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from demo import world
from schemas.alerts_v1 import Delivery, Notification
from schemas.dead_letter_v1 import DeadLetter
from schemas.journey_change_v1 import CHANGE
from schemas.journey_v1 import Clock, Feed, Journey
from schemas.raw_message_v1 import RawMessage
from schemas.registers_v1 import Facility, Sender
from schemas.shipment_event_v1 import ShipmentEvent
from schemas.work_act_v1 import WorkAct
from tests.unit.sink.examples import exception

HOSTILE: Final = "<script>window.stolen=1</script>\"'><img src=x onerror=window.stolen=1>{{7191*7}}"
STORY: Final = "LACDHS-2001"
"""The consignment that a new planner asks about: late, on hold, with a contradiction and a claim."""
NASTY: Final = "LVLA-6666"
STANDS: Final = 6
"""The number of the consignment that has stood at its terminal past free time for days."""
CAME_SHORT: Final = 21
"""The number of the consignment that was delivered, and of which the dock counted less than half."""
QUIET_FEED: Final = "CV"
SIZE: Final = 60

_HOUR: Final = timedelta(hours=1)
_STEPS: Final = (
    "booked",
    "received",
    "departed",
    "arrived",
    "discharged",
    "customs_released",
    "available",
    "gate_out",
    "delivered",
)
_GAPS_H: Final = {"sea": (0, 48, 24, 384, 20, 16, 6, 30, 4), "air": (0, 10, 6, 13, 2, 5, 1, 4, 2)}
_STAGES: Final = {
    "booked": "at_origin",
    "received": "at_origin",
    "departed": "in_transit",
    "arrived": "at_port",
    "discharged": "at_port",
    "customs_released": "at_port",
    "available": "at_port",
    "gate_out": "on_the_road",
    "delivered": "delivered",
}
_KINDS: Final = ("late", "will_be_late", "overdue", "dwell", "silent", "on_hold", "short", "rolled", "misrouted", "conflict")
_GOODS: Final = (
    ("n95_respirator", "each", 240_000),
    ("glove", "box", 5_200),
    ("gown", "each", 42_000),
    ("ventilator", "each", 60),
    ("test_kit", "case", 900),
    ("surgical_mask", "each", 1_000_000),
)


SUBSCRIPTIONS: Final = {
    "subscriptions": [
        {
            "subscription": "5" * 16,
            "channel": "email",
            "address": "buyer@hospital.example",
            "state": "active",
            "label": HOSTILE,
            "filters": {"tiers": [1, 2], "severity": "major"},
            "quiet": ["22:00", "06:00"],
            "zone": "America/Los_Angeles",
            "confirmed_at": "2026-11-20T09:00:00Z",
        }
    ]
}
"""What the alerts' own door says of who asked for what."""


async def verb(words: Sequence[str]) -> list[dict[str, Any]]:
    """What `lovla` says to the console."""
    if words[0] == "mailbox":
        mail = {
            "number": 1,
            "kind": "email",
            "at": "2026-11-20T09:00:00Z",
            "to": "a@b.example",
            "subject": HOSTILE,
            "text": "x",
        }
        return [mail, {"number": 2, "kind": "sms_in", "at": "2026-11-20T09:01:00Z", "sender": "+12135550199", "text": HOSTILE}]
    if words[0] == "explain":
        return [{"what": "held", "at": "2026-11-20T09:00:00+00:00", "text": HOSTILE, "where": ""}]
    return await status(words)


async def status(words: Sequence[str]) -> list[dict[str, Any]]:
    """What `lovla status` says of a stack of which one part does not serve."""
    assert words[0] == "status"
    part = {"since": "2026-11-20T09:00:00+00:00", "pid": 7, "log": "log", "last_word": None}
    return [
        {
            "parts": [
                {"name": "kafka", "state": "running", "reason": None, "ports": {"kafka": 9092}, **part},
                {
                    "name": "sink",
                    "state": "not ready",
                    "reason": "/healthz says 503",
                    "ports": {"sink": 9103},
                    **part,
                },
            ],
            "lags": [{"group": "tracker-0", "topic": "shipment.events.v1", "behind": 1_234}],
            "conditions": [
                {"runbook": "consumer-lag", "what": "tracker-0 is behind", "page": "docs/operations/consumer-lag.md"}
            ],
            "messages_held": None,
        }
    ]


def digest(text: str) -> str:
    """An id that looks like one of ours."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def records(now: datetime, size: int = SIZE, hostile: bool = True) -> Iterator[BaseModel]:
    """Registers, journeys, their events and changes, feeds and the clock."""
    for place in world.facilities().values():
        yield Facility.model_validate(
            {"code": place.code, "kind": place.kind, "name": place.name, "unlocode": place.unlocode or None, "zone": place.zone}
        )
    for sender in world.senders().values():
        yield Sender(code=sender.code, kind=sender.kind, name=sender.name)
    hospitals = world.hospitals()
    for number in range(size):
        yield from consignment(number, now, hospitals)
    yield from message(STORY, hospitals[1], now - 3 * _HOUR, "Discharged late: what LACDHS-2001 means for you", "delivered")
    yield from message(
        f"{world.BUYERS[2 % len(world.BUYERS)]}-2002", hospitals[2], now - 2 * _HOUR, "On hold", "suppressed", "opted_out"
    )
    yield letter("MAEU", "expected a comma", now - 5 * _HOUR)
    yield lost(now)
    if hostile:
        yield from _hostile(now)
    for code in ("MAEU", "COSU", "LH", QUIET_FEED):
        yield _feed(code, now, silent=code == QUIET_FEED)
    yield Clock.model_validate(
        {
            "consignment": "clock:0",
            "version": _version(now),
            "ticks": {f"{partition}/shipment.events.v1/{partition}": now for partition in range(4)},
            "shards": 1,
        }
    )


def consignment(number: int, now: datetime, hospitals: Sequence[str]) -> Iterator[BaseModel]:
    """One consignment, its events, and what changed in the last hour."""
    draw = random.Random(number)
    air = number % 4 == 3
    mode = "air" if air else "sea"
    buyer = world.BUYERS[number % len(world.BUYERS)]
    id_ = STORY if number == 1 else f"{buyer}-{2000 + number}"
    origin = draw.choice(world.origins(mode))
    carrier = draw.choice(world.AIRLINES if air else world.OCEAN)
    terminal = "LAX-CARGO" if air else draw.choice(world.TERMINALS)
    unit = f"uld:PMC{10000 + number}{carrier}" if air else f"container:MRSU{4371000 + number}"
    slip = timedelta(hours=draw.choice((0, 0, 2, 9, 30, 70)) if number != 1 else 41)
    done = 5 if number in (1, STANDS) else 9 if number % 11 == 10 else draw.randint(1, 8)
    total_h = sum(_GAPS_H[mode][:done])
    begin = now - timedelta(hours=total_h + draw.uniform(1, 12)) - slip - timedelta(days=7 if number == STANDS else 0)
    milestones, statements, events = [], [], []
    planned = begin
    for index, step in enumerate(_STEPS):
        planned += timedelta(hours=_GAPS_H[mode][index])
        shift = slip if index >= 3 else timedelta()
        state: dict[str, Any] = {"milestone": step, "planned": planned, "units_total": 1}
        place = origin.unlocode if index < 3 else "USLAX"
        teller = carrier if index < 5 else terminal if index < 8 else world.TRUCKERS[number % 3]
        if index < done:
            state |= {"actual": planned + shift, "sender": teller, "units_done": 1}
        elif index < done + 2:
            state |= {"estimated": planned + shift, "sender": carrier}
        milestones.append(state)
        moment = state.get("actual") or state.get("estimated")
        if moment is None:
            continue
        event_id = digest(f"{id_} {step}")
        classifier = "actual" if "actual" in state else "estimated"
        raw = {"sha256": digest(id_) * 2, "partition": 0, "offset": number, "position": f"/{index}"}
        statements.append(
            {
                "milestone": step,
                "unit": unit if index else "",
                "classifier": classifier,
                "occurred_at": moment,
                "received_at": min(moment + timedelta(hours=draw.uniform(0.2, 5)), now),
                "sender": teller,
                "event_id": event_id,
                "code": step.upper(),
                "place": place,
                "decides": True,
                "raw": raw,
            }
        )
        events.append(
            ShipmentEvent.model_validate(
                {
                    "event_id": event_id,
                    "revision": {"reader": 1, "content": event_id[:16]},
                    "reader_version": 1,
                    "sender": teller,
                    "standard": "lovla.1",
                    "code": step.upper(),
                    "milestone": step,
                    "mapped": True,
                    "classifier": classifier,
                    "occurred_at": moment,
                    "received_at": statements[-1]["received_at"],
                    "references": [{"kind": unit.split(":")[0], "value": unit.split(":")[1]}],
                    "place": {"unlocode": place},
                    "mode": mode,
                    "raw": raw,
                }
            )
        )
    reached = milestones[done - 1]
    open_ = (
        _wrong(number, draw, reached, slip, carrier, now, digest(f"{id_} {reached['milestone']}"))
        if done < 9 and number % 5 != 4
        else _short(reached["actual"])
        if number == CAME_SHORT
        else []
    )
    category, per, quantity = _GOODS[number % len(_GOODS)]
    hospital = hospitals[number % len(hospitals)]
    more = _story(now, carrier) if number == 1 else {}
    yield Journey.model_validate(
        {
            "consignment": id_,
            "version": _version(now),
            "cause": "live",
            "at": now,
            "buyer": buyer,
            "declared_version": 1,
            "registered_at": begin - timedelta(days=6),
            "declaration": {
                "consignment": id_,
                "items": [{"line": 1, "category": category, "quantity": quantity, "unit": per, "lot": f"L{number:04d}"}],
                "parties": {"carrier": carrier, "trucker": world.TRUCKERS[number % 3], "consignee": hospital},
                "route": {
                    "mode": mode,
                    "origin": origin.unlocode,
                    "port_of_discharge": "USLAX",
                    "terminal": terminal,
                    "place_of_delivery": hospital,
                },
                "plan": {state["milestone"]: state["planned"] for state in milestones},
                "required_by": planned + timedelta(days=2),
                "tier": 1 + number % 4,
            },
            "stage": _STAGES[reached["milestone"]],
            "mode": mode,
            "milestone": reached["milestone"],
            "milestone_at": reached["actual"],
            "place": origin.unlocode if done < 4 else "USLAX",
            "expected_delivery": milestones[-1].get("actual") or milestones[-1]["planned"] + slip,
            "expected_basis": "actual" if done == 9 else "plan_and_slip",
            "terminal": terminal,
            "vessel": f"{carrier} {100 + number}" if air else ("MAERSK ESSEX", "EVER GIFTED", "COSCO PRIDE")[number % 3],
            "voyage": "" if air else f"0{10 + number % 9}E",
            "carrier": carrier,
            "milestones": milestones,
            "units": [
                {
                    "unit": unit,
                    "milestone": reached["milestone"],
                    "at": reached["actual"],
                    "place": statements[done - 1]["place"],
                    "quantities": {1: quantity},
                }
            ],
            "references": [
                {"kind": unit.split(":")[0], "value": unit.split(":")[1], "how": "declared"},
                {"kind": "booking", "value": f"{carrier}{500000 + number}", "how": "declared"},
                {"kind": "voyage", "value": f"0{10 + number % 9}E", "how": "learned", "teacher": digest(f"{id_} departed")},
            ],
            "statements": statements,
            "exceptions": open_,
            "senders": [carrier, terminal, world.TRUCKERS[number % 3]],
            "events": len(statements),
            "last_event_at": statements[-1]["received_at"],
        }
        | more
    )
    yield from events
    if open_ and number < 24:
        yield opened(id_, open_[0], now - timedelta(minutes=2 * number + 1), hospital)


def opened(consignment: str, what: dict[str, Any], at: datetime, facility: str) -> BaseModel:
    """The change that an exception opened."""
    return CHANGE.validate_python(
        {
            "change_id": digest(f"{consignment} {what['key']} {at}"),
            "consignment": consignment,
            "version": _version(at),
            "ordinal": 0,
            "cause": "live",
            "at": at,
            "facility": facility,
            "tier": 1,
            "change": "exception_opened",
            "exception": what,
        }
    )


def message(
    consignment: str, facility: str, at: datetime, subject: str, state: str, reason: str | None = None
) -> Iterator[BaseModel]:
    """A message to a subscriber about one consignment, and what became of it."""
    name, subscription = digest(f"{consignment} {subject}"), digest(facility)[:16]
    item = {
        "consignment": consignment,
        "key": "late:discharged",
        "step": "opened",
        "kind": "late",
        "evidence": digest(consignment),
        "sentence": subject,
        "facility": facility,
    }
    yield Notification.model_validate(
        {
            "notification": name,
            "subscription": subscription,
            "changes": [digest(consignment)],
            "due_at": at,
            "subject": subject,
            "text": subject,
            "severity": "critical",
            "items": [item],
            "count": 1,
        }
    )
    yield Delivery.model_validate(
        {
            "notification": name,
            "subscription": subscription,
            "attempt": 1,
            "state": state,
            "address_hash": digest(facility) * 2,
            "provider": "smtp",
            "at": at + timedelta(minutes=1),
            "channel": "email",
            "reason": reason,
        }
    )


def letter(sender: str, text: str, at: datetime) -> DeadLetter:
    """What a reader could not read."""
    return DeadLetter.model_validate(
        {
            "letter_id": digest(f"letter {sender}"),
            "stage": "readers",
            "sender": sender,
            "reason": "not_json",
            "where": "line 1 column 8",
            "text": text,
            "topic": "raw.messages.v1",
            "partition": 0,
            "offset": 12,
            "received_at": at,
        }
    )


def _wrong(
    number: int, draw: random.Random, reached: dict[str, Any], slip: timedelta, carrier: str, now: datetime, evidence: str
) -> list[dict[str, Any]]:
    kind = "late" if number == 1 else _KINDS[number % len(_KINDS)]
    hours = slip / _HOUR or draw.uniform(3, 60)
    severity = "critical" if number == 1 else ("minor", "major", "critical", "minor")[number % 4]
    sentence = {
        "late": f"{reached['milestone'].capitalize()} {hours:.0f} h late: {carrier} says so, the plan was earlier.",
        "silent": "No word for 3 days, while under way; 72 h is the limit.",
        "dwell": f"Stands at the terminal for {hours + 96:.0f} h; 96 h are free.",
        "on_hold": "Held by customs; nobody says when it ends.",
        "overdue": f"Should have left the terminal {hours:.0f} h ago, and nobody says that it did.",
    }.get(kind, f"{kind.replace('_', ' ').capitalize()}: by {hours:.0f} h, says {carrier}.")
    start = now - timedelta(hours=hours)
    return [
        exception(
            kind,
            key=f"{kind}:{reached['milestone']}",
            milestone=reached["milestone"],
            severity=severity,
            start=start,
            late_h=hours if kind in ("late", "will_be_late") else None,
            party=carrier,
            sentence=sentence,
            evidence=[evidence],
        )
    ]


def _short(counted: datetime) -> list[dict[str, Any]]:
    told = "Line 1 came short: 500 of 1,200 good."
    return [exception("short", key="short", severity="critical", start=counted, sentence=told, evidence=[])]


def _story(now: datetime, carrier: str) -> dict[str, Any]:
    """What only the story's consignment has: a hold, a claim, warnings."""
    return {
        "holds": [
            {"kind": "customs", "placed_at": now - 9 * _HOUR, "sender": carrier, "event_id": digest("hold")},
        ],
        "claims": [
            {
                "event_id": digest("claim"),
                "sender": world.STRANGER,
                "code": "GTOT",
                "milestone": "gate_out",
                "occurred_at": now - 5 * _HOUR,
                "received_at": now - 4 * _HOUR,
            }
        ],
    }


def lost(now: datetime) -> ShipmentEvent:
    """What a slip of the pen made of the story's container: two digits are swapped."""
    events = [one for one in consignment(1, now, world.hospitals()) if isinstance(one, ShipmentEvent)]
    references = [{"kind": "container", "value": SLIP}]
    said = events[3].model_dump(mode="json") | {"references": references, "event_id": digest("slip"), "received_at": now}
    return ShipmentEvent.model_validate(said)


SLIP: Final = "MRSU4370101"
"""For MRSU4371001."""
NASTY_RAW: Final = (0, 6_666)
"""Where the message behind what is said of NASTY lies: partition, offset."""


def nasty_message() -> tuple[RawMessage, bytes]:
    """Its headers and bytes."""
    payload = f"[{HOSTILE}]".encode()
    digested = hashlib.sha256(payload).hexdigest()
    return RawMessage(kind="message", sender="MAEU", sha256=digested, content_type="application/json"), payload


M = TypeVar("M", bound=BaseModel)

_OURS: Final = frozenset(
    {"act_id", "change_id", "consignment", "event_id", "evidence", "key", "leg", "letter_id", "notification", "subscription"}
    | {"teacher", "topic", "zone"}
)
"""Names of what we write ourselves, and others cannot."""
_WORDS: Final = (HOSTILE, HOSTILE[:60], "<img/src=x/onerror=window.stolen=1>", "<b>1</b>")
"""The longest that a field takes stands in it; the third is a reference's value as well: ASCII without blanks."""


def poisoned(record: M) -> M:
    """The record with hostile words in every field that takes any text, also where it held none."""
    plain = record.model_dump(mode="json")

    def poison(holder: Any, place: Any) -> None:
        value = holder[place]
        if isinstance(value, dict):
            for name in value:
                if name not in _OURS:
                    poison(value, name)
        elif isinstance(value, list):
            for index in range(len(value)):
                poison(value, index)
        elif value is None or isinstance(value, str):
            for holder[place] in _WORDS:
                try:
                    type(record).model_validate(plain)
                except ValidationError:
                    continue
                return
            holder[place] = value

    poison({"": plain}, "")
    return type(record).model_validate(plain)


@lru_cache(4)
def _nasty(now: datetime) -> tuple[BaseModel, ...]:
    """In every field that others fill, words that would steer a careless page."""
    told = next(one for one in consignment(2, now, [HOSPITAL]) if isinstance(one, Journey))
    plain = told.model_dump(mode="json")
    wrong = exception("late", severity="critical", sentence=HOSTILE, start=now - 400 * _HOUR, late_h=400.0, party="MAEU")
    plain |= {"consignment": NASTY, "exceptions": [wrong], "warnings": [HOSTILE]} | _story(now, "MAEU")
    plain["declaration"] |= {"consignment": NASTY}
    partition, offset = NASTY_RAW
    for statement in plain["statements"]:
        statement["event_id"] = digest(f"nasty {statement['milestone']}")
        statement["raw"] |= {"partition": partition, "offset": offset}
    event = next(one for one in consignment(2, now, [HOSPITAL]) if isinstance(one, ShipmentEvent))
    raw = event.raw.model_dump(mode="json") | {"partition": partition, "offset": offset}
    said = event.model_dump(mode="json") | {"raw": raw, "received_at": now - _HOUR, "transport": {"vessel": HOSTILE[:60]}}
    behind = said | {"event_id": digest("nasty booked")}
    unknown = said | {"event_id": digest("unknown"), "mapped": False, "milestone": None, "warnings": [_WARNING]}
    act = {
        "act_id": digest("act"),
        "consignment": NASTY,
        "act": "note",
        "at": now - _HOUR,
        "by": "x",
        "sender": "OPS",
        "text": "x",
    }
    undo = act | {"act_id": digest("undo"), "act": "undo", "text": None, "undoes": act["act_id"]}
    return (
        poisoned(Journey.model_validate(plain)),
        opened(NASTY, wrong, now - timedelta(minutes=1), HOSPITAL),
        poisoned(letter("XSS", HOSTILE, now - 6 * _HOUR)),
        *(poisoned(one) for one in message(NASTY, HOSPITAL, now - _HOUR, HOSTILE, "accepted", "x")),
        Sender(code="XSS", kind="trucker", name=HOSTILE),
        Facility(code=HOSPITAL, kind="hospital", name=f"St. {HOSTILE}", zone="America/Los_Angeles"),
        ShipmentEvent.model_validate(behind),
        poisoned(ShipmentEvent.model_validate(unknown)),
        *(poisoned(WorkAct.model_validate(one)) for one in (act, undo)),
    )


def _hostile(now: datetime) -> Iterator[BaseModel]:
    yield from _nasty(now)


_WARNING: Final = {"code": "x", "where": "/0", "text": "x"}


HOSPITAL: Final = "H-NASTY"


def _feed(code: str, now: datetime, silent: bool) -> Feed:
    last = now - timedelta(hours=52 if silent else 0.2)
    told = f"No word from {code} since {last:%d %b %H:%M} UTC; 24 h is the limit."
    wrong = [
        exception(
            "silent",
            key="silent",
            milestone=None,
            severity="major",
            start=last + 24 * _HOUR,
            sentence=told,
            party=code,
            late_h=None,
        )
    ]
    return Feed.model_validate(
        {
            "consignment": f"feed:{code}",
            "sender": code,
            "sender_kind": "airline" if len(code) == 2 else "ocean_carrier",
            "version": _version(now),
            "cause": "live",
            "at": now,
            "last_event_at": last,
            "silent_after_h": 24,
            "exceptions": wrong if silent else [],
        }
    )


def _version(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp() * 1000)
