"""One sender against another's goods: what a stranger says is a claim, it moves nothing, and it is told nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.raw_message_v1 import RawKind, RawMessage
from schemas.registers_v1 import Facility, Sender
from schemas.shipment_event_v1 import ShipmentEvent
from schemas.topics import RAW_MESSAGES, SHIPMENT_EVENTS
from schemas.words import Scope
from services.ingest.readers_stage import Readers
from services.runtime.loop import Record
from services.runtime.wire import raw_headers
from services.tracker.core import Outcome, Tracker
from services.tracker.registers import Registers
from tests.unit.ingest.fakes import FakeRegisters, House
from tests.unit.ingest.test_api import DECLARATION, OWN_EVENT, problem
from tests.unit.tracker.build import decoded, feed, ticks, tracker

START = datetime(2026, 3, 1, tzinfo=UTC)
OURS = "LACDHS-1"
REFERENCES = [
    {"kind": "container", "value": "MRSU4371639"},
    {"kind": "bill_of_lading", "value": "MAEU203990011"},
    {"kind": "consignment", "value": OURS},
]
SENDERS = (
    Sender(code="LACDHS", kind="buyer", name="LA County"),
    Sender(code="MAEU", kind="ocean_carrier", name="Maersk", scac="MAEU"),
    Sender(code="HBRT", kind="trucker", name="Harbor Road", scac="HBRT"),
    Sender(code="H-HARBOR", kind="consignee", name="Harbor-UCLA"),
    # strangers: registered, with good keys, and nothing to do with these goods
    Sender(code="CMDU", kind="ocean_carrier", name="CMA CGM", scac="CMDU"),
    Sender(code="XPOL", kind="trucker", name="Another trucker", scac="XPOL"),
    Sender(code="OAK-TERM", kind="terminal", name="Oakland", facilities=("OAK-TERM",)),
    Sender(code="OTHERB", kind="buyer", name="Another buyer"),
    Sender(code="H-OTHER", kind="consignee", name="Another hospital"),
)
FACILITIES = (
    Facility(code="LA-APMT", kind="terminal", name="Pier 400", unlocode="USLAX", zone="America/Los_Angeles"),
    Facility(code="OAK-TERM", kind="terminal", name="Oakland", unlocode="USOAK", zone="America/Los_Angeles"),
    Facility(code="H-HARBOR", kind="hospital", name="Harbor-UCLA", unlocode="USLAX", zone="America/Los_Angeles"),
)
STRANGERS: dict[str, tuple[Scope, ...]] = {
    "CMDU": ("push",),
    "XPOL": ("push",),
    "OAK-TERM": ("push",),
    "OTHERB": ("push", "register"),
    "H-OTHER": ("push",),
}


def at(days: float) -> str:
    return (START + timedelta(days=days)).isoformat()


def known() -> FakeRegisters:
    made = FakeRegisters()
    made.senders.update({sender.code: sender for sender in SENDERS})
    made.facilities.update({facility.code: facility for facility in FACILITIES})
    return made


def said(
    sender: str, body: object, days: float, *, kind: RawKind = "message", scopes: Sequence[Scope] = (), **meta: Any
) -> Record:
    """A raw record as the door would have written it `days` after the start."""
    value = json.dumps(body).encode()
    about = RawMessage.model_validate(
        {"kind": kind, "sender": sender, "scopes": scopes, "sha256": hashlib.sha256(value).hexdigest()}
        | {"content_type": "application/json"}
        | meta
    )
    offset = int.from_bytes(hashlib.sha256(value + sender.encode() + kind.encode()).digest()[:4], "big")
    received = int((START + timedelta(days=days)).timestamp() * 1000)
    return Record(RAW_MESSAGES.name, 0, offset, received, sender.encode(), value, raw_headers(about))


def event(milestone: str, days: float, **more: Any) -> dict[str, Any]:
    stated = {"milestone": milestone, "classifier": "actual", "occurred_at": at(days), "references": REFERENCES[:2]}
    return stated | {"created_at": at(days), "place": {"unlocode": "USLAX"}} | more


PLAN = {"departed": at(2), "arrived": at(16), "discharged": at(17), "gate_out": at(19), "delivered": at(20)}
DECLARED = {
    "consignment": OURS,
    "items": [{"line": 1, "category": "n95_respirator", "quantity": 1000}],
    "parties": {"carrier": "MAEU", "trucker": "HBRT", "consignee": "H-HARBOR"},
    "route": {
        "mode": "sea",
        "origin": "CNSHA",
        "port_of_discharge": "USLAX",
        "terminal": "LA-APMT",
        "place_of_delivery": "H-HARBOR",
    },
    "plan": PLAN,
    "references": REFERENCES[:2],
}
HONEST = (
    said("LACDHS", DECLARED, 0, kind="registration", scopes=("register",)),
    said("MAEU", event("departed", 2.5, place={"unlocode": "CNSHA"}, id="d"), 3),
    said("MAEU", event("arrived", 17, classifier="estimated", created_at=at(5), id="e"), 5),
    said("MAEU", event("arrived", 17, id="a"), 17.1),
    said("MAEU", event("discharged", 18, id="x"), 18.1),
    said("HBRT", event("gate_out", 21, id="g"), 21.1),
)


def play(*records: Record) -> tuple[Tracker, Outcome]:
    """Raw records through the real readers and the real tracker, in this order; T ends on day 30."""
    made = known()
    subject = tracker(Registers({s.code: s for s in SENDERS}, {f.code: f for f in FACILITIES}))
    stage = Readers(made)
    outcome = feed(subject, [one for record in records for one in decoded(stage.process([record]))])
    feed(subject, ticks(START + timedelta(days=30), load=True))
    return subject, outcome


def derived(subject: Tracker) -> Any:
    """All that is known of our consignment, but who claimed what, and how often it was computed."""
    journey = subject.state.journey(OURS)
    assert journey is not None
    return msgspec.structs.replace(journey, version=0, cause="", at=None, claims=())


QUIET = derived(play(*HONEST)[0])
HONEST_IDS = [
    ShipmentEvent.model_validate_json(output.value or b"").event_id
    for output in Readers(known()).process(HONEST)
    if output.topic == SHIPMENT_EVENTS.name
]

days = st.floats(-20, 29.9, allow_nan=False).map(lambda value: round(value, 2))
milestones = st.sampled_from(
    ["booked", "departed", "transship_arrived", "arrived", "discharged", "available", "gate_out", "delivered", "empty_returned"]
)
strange_events = st.builds(
    lambda milestone, day, references, more: event(milestone, day, references=references) | more,
    milestones,
    days,
    st.lists(st.sampled_from(REFERENCES), min_size=1, max_size=3, unique_by=lambda reference: reference["kind"]),
    st.fixed_dictionaries(
        {},
        optional={
            "classifier": st.sampled_from(["actual", "estimated", "planned"]),
            "empty": st.booleans(),
            "retracts": st.sampled_from(HONEST_IDS),
            "hold": st.sampled_from([{"kind": kind, "state": "placed"} for kind in ("customs", "freight", "terminal")]),
            # nowhere a stranger's own: a terminal's word of its own facility counts, by design
            "place": st.sampled_from(
                [{"unlocode": "USLAX"}, {"unlocode": "CNSHA"}, {"facility": "LA-APMT"}, {"unlocode": "CNNGB"}]
            ),
            "transport": st.sampled_from([{"next_carrier": "CMDU"}, {"imo": "9321483", "voyage": "015E"}, {"scac": "MAEU"}]),
            "id": st.sampled_from(["a", "d", "e", "g", "x"]),  # the very ids that the honest senders use
            "retracted": st.booleans(),
        },
    ),
)
strange_commands: st.SearchStrategy[tuple[RawKind, Any]] = st.sampled_from(
    [
        ("registration", DECLARED | {"items": []}),
        ("amendment", DECLARED | {"parties": {"carrier": "CMDU"}}),
        ("cancellation", {}),
        ("action", {"command": "appoint", "role": "carrier", "party": "CMDU"}),
        ("action", {"command": "unlink", "reference": REFERENCES[0]}),
        ("action", {"command": "link", "reference": {"kind": "booking", "value": "BK1"}}),
        ("dock_receipt", {"occurred_at": at(21), "lines": [{"line": 1, "good": 0, "short": 1000}]}),
    ]
)


@st.composite
def strange(draw: st.DrawFn) -> Record:
    sender = draw(st.sampled_from(sorted(STRANGERS)))
    day = draw(st.floats(1, 29.9, allow_nan=False))
    if draw(st.booleans()):
        kind, body = draw(strange_commands)
        return said(
            sender, body, day, kind=kind, scopes=STRANGERS[sender], consignment=None if kind == "registration" else OURS
        )
    return said(sender, [draw(strange_events)], day, standard="lovla.1", scopes=STRANGERS[sender])


@given(strangers=st.lists(strange(), min_size=1, max_size=6), order=st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_whatever_strangers_say_of_our_goods_they_stay_as_they_are_but_for_claims(strangers: list[Record], order: Any) -> None:
    mixed = list(HONEST)
    for record in strangers:
        mixed.insert(order.randint(1, len(mixed)), record)
    subject, _ = play(*mixed)
    assert derived(subject) == QUIET


def test_the_same_words_of_a_sender_with_standing_do_move_it() -> None:
    """Otherwise the property above could not fail."""
    subject, _ = play(*HONEST, said("MAEU", [event("delivered", 22)], 22.1))
    assert derived(subject) != QUIET


def test_a_claim_is_shown_with_its_sender() -> None:
    subject, _ = play(*HONEST, said("CMDU", [event("delivered", 22)], 22.1))
    journey = subject.state.journey(OURS)
    assert journey is not None
    assert [(claim.sender, claim.milestone) for claim in journey.claims] == [("CMDU", "delivered")]


async def test_a_sender_cannot_speak_as_another(house: House) -> None:
    key = house.add("CMDU", "ocean_carrier", "push")
    response = await house.http.post("/v1/messages", json=OWN_EVENT | {"sender": "MAEU"}, headers=key)
    (verdict,) = response.json()["verdicts"]
    assert verdict["problems"][0]["code"] == "not_your_code"
    await house.http.post("/v1/events", json=OWN_EVENT, headers=key | {"Lovla-Sender": "MAEU", "X-Forwarded-For": "MAEU"})
    assert house.kept()[0]["sender"] == "CMDU"


async def test_a_receipt_is_read_by_its_sender_alone_and_others_learn_nothing(house: House) -> None:
    mine, other = house.add("MAEU", "ocean_carrier", "push"), house.add("CMDU", "ocean_carrier", "push")
    receipt = (await house.http.post("/v1/events", json=OWN_EVENT, headers=mine)).json()["receipt"]
    not_there = house.door.sealer.seal(type(house.door.sealer.open(receipt))(0, 10_000))
    told = [
        await house.http.get(f"/v1/receipts/{text}", headers=other) for text in (receipt, not_there, receipt[:-1] + "A", "x")
    ]
    assert len({bare(answer) for answer in told}) == 1, "another's, none, forged, garbage: one answer"
    problem(told[0], 404, "not-found")


async def test_nobody_is_told_whether_a_reference_or_a_consignment_is_known(house: House) -> None:
    buyer = house.add("LACDHS", "buyer", "register")
    stranger, dock = house.add("CMDU", "ocean_carrier", "push", "register"), house.add("H-OTHER", "consignee", "push")
    await house.http.post("/v1/consignments", json=DECLARATION, headers=buyer)
    answers: dict[str, list[str]] = {}
    for name in ("LACDHS-0001", "LACDHS-9999"):  # one is registered, one is not
        at_it = f"/v1/consignments/{name}"
        receipt = {"occurred_at": "2020-04-12T00:00:00Z", "lines": [{"line": 1, "good": 5}]}
        answers[name] = [
            bare(await house.http.put(at_it, json=DECLARATION | {"consignment": name}, headers=stranger | {"If-Match": "*"})),
            bare(await house.http.delete(at_it, headers=stranger)),
            bare(await house.http.post(f"{at_it}/actions", json={"command": "x"}, headers=stranger)),
            bare(await house.http.get(at_it, headers=stranger)),
            bare(await house.http.post(f"{at_it}/dock-receipt", json=receipt, headers=dock)),
        ]
    assert answers["LACDHS-0001"] == answers["LACDHS-9999"]

    async def told(container: str) -> str:
        body = OWN_EVENT | {"references": [{"kind": "container", "value": container}]}
        return bare(await house.http.post("/v1/events", json=body, headers=stranger))

    assert await told("MRSU4371639") == await told("TCLU1234568")


def bare(answer: httpx.Response) -> str:
    """An answer without what must differ: ids, receipts and the words of the question itself."""
    body = answer.json()
    for name in ("receipt", "received_at", "instance"):
        body.pop(name, None)
    for verdict in body.get("verdicts", ()):
        for name in ("event_id", "command_id", "consignment", "warnings"):
            verdict.pop(name, None)
    return f"{answer.status_code} {json.dumps(body)}"
