"""Lists, their counts and the reports over events, held against a plain look at every record: many filters, on drawn data."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.journey_v1 import Journey
from schemas.registers_v1 import Facility
from schemas.shipment_event_v1 import Reference, ShipmentEvent
from schemas.words import EXCEPTION_KINDS, SEVERITIES
from schemas.work_act_v1 import WorkAct
from services.console.questions import (
    DELAY_KINDS,
    GROUPS,
    SORTS,
    DelayedFilter,
    Order,
    Questions,
    Score,
    facets_of,
    letters_and_digits,
)
from services.runtime.clickhouse import ClickHouse
from tests.integration.console.conftest import Books
from tests.integration.console.test_questions import event
from tests.unit.sink.examples import exception, journey

pytestmark = pytest.mark.stack

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SIZE = 150
PLACES = {"H-HARBOR": "Harbor-UCLA Medical Center", "H-CEDARS": "Cedars-Sinai", "H-SEAL": "Seal Bay Clinic"}
VESSELS = ("MAERSK ESSEX", "EVER SEAL", "LH 456", "")


TABLES = ("event_marks", "journey_marks", "journey_lines", "open_journeys")
"""What views fill, and lists and reports read."""


@contextmanager
def unmerged(client: ClickHouse) -> Iterator[None]:
    """What is written stays in as many parts: FINAL has something to do."""
    for table in TABLES:
        client.execute(f"SYSTEM STOP MERGES {table}")
    try:
        yield
    finally:
        for table in TABLES:
            client.execute(f"SYSTEM START MERGES {table}")


class Port:
    """What was written: the newest of each consignment, and what people did."""

    def __init__(self) -> None:
        self.journeys: dict[str, Journey] = {}
        self.acts: list[WorkAct] = []

    # --- the rules, as the documents say them

    def wrong(self, one: Journey, wanted: DelayedFilter) -> list[Any]:
        kinds = wanted.kinds or EXCEPTION_KINDS
        return [state for state in one.exceptions if state.status == "open" and state.kind in kinds]

    def works_on(self, one: Journey) -> bool:
        """Whether somebody still works on it: not ended, or lately, or something is wrong."""
        said = [state.actual for state in one.milestones if state.milestone == "delivered" and state.actual]
        ended = one.stage in ("delivered", "cancelled") and not self.wrong(one, DelayedFilter(kinds=()))
        return not ended or (said[0] if said else one.at or NOW) > NOW - 3 * DAY

    def standing(self, one: Journey, wanted: DelayedFilter) -> tuple[bool, bool]:
        """Whether it is taken care of, and whether it waits."""
        undone = {(act.consignment, act.undoes) for act in self.acts if act.act == "undo"}
        mine = [act for act in self.acts if act.consignment == one.consignment and (act.consignment, act.act_id) not in undone]
        wrong = self.wrong(one, wanted)

        def said(kind: str, state: Any) -> list[WorkAct]:
            return [act for act in mine if act.act == kind and state.key in act.exceptions and act.at >= state.start]

        def until(state: Any) -> datetime:
            newest = max(said("snooze", state), key=lambda act: act.at, default=None)
            return newest.until if newest and newest.until else NOW - DAY

        return (
            bool(wrong) and all(said("acknowledge", state) for state in wrong),
            bool(wrong) and min(map(until, wrong)) > NOW,
        )

    def assigned(self, one: Journey) -> str:
        undone = {(act.consignment, act.undoes) for act in self.acts if act.act == "undo"}
        mine = [
            act
            for act in self.acts
            if act.consignment == one.consignment and act.act == "assign" and (act.consignment, act.act_id) not in undone
        ]
        return max(mine, key=lambda act: (act.at, act.act_id)).assignee or "" if mine else ""

    def has(self, one: Journey, wanted: DelayedFilter) -> bool:
        facility, text = one.declaration.route.place_of_delivery or "", wanted.text
        parties = set(one.declaration.parties.values())
        wrong = self.wrong(one, wanted)
        ended = one.stage in ("delivered", "cancelled")
        delivered = [state.actual for state in one.milestones if state.milestone == "delivered" and state.actual]
        bare = letters_and_digits(text)
        names = [letters_and_digits(name) for name in (one.consignment, *(said.value for said in one.references))]
        acknowledged, waits = self.standing(one, wanted)
        return all(
            (
                not wanted.kinds or wrong,
                not wanted.severity or wanted.severity in {state.severity for state in wrong},
                not wanted.hospital or wanted.hospital == facility or wanted.hospital.lower() in PLACES[facility].lower(),
                not wanted.carrier or wanted.carrier == one.carrier or wanted.carrier in parties,
                not wanted.terminal or wanted.terminal == one.terminal,
                not wanted.vessel or wanted.vessel.lower() in (one.vessel or "").lower(),
                not wanted.item or wanted.item in {item.category for item in one.declaration.items},
                not wanted.tier or wanted.tier == one.declaration.tier,
                not wanted.stage or wanted.stage == one.stage,
                not wanted.mode or wanted.mode == one.mode,
                wanted.state != "open" or not ended,
                wanted.state != "trouble" or (not ended and wrong),
                wanted.state != "ended" or ended,
                wanted.delivered_since.year == 1970 or (delivered and delivered[0] >= wanted.delivered_since),
                not wanted.owner or wanted.owner in {one.buyer, one.carrier, *parties},
                wanted.work != "to_do" or not (acknowledged or waits),
                wanted.work != "acknowledged" or acknowledged,
                wanted.work != "snoozed" or waits,
                not wanted.assigned or wanted.assigned == self.assigned(one),
                not text
                or (bare and any(bare in name for name in names))
                or (
                    self.works_on(one)
                    and (text.lower() in (one.vessel or "").lower() or text.lower() in PLACES[facility].lower())
                ),
            )
        )

    def worst_first(self, wanted: DelayedFilter) -> list[str]:
        """All that are wanted, in the order of lists."""

        def place(one: Journey) -> tuple[float, str]:
            weighed = [
                (SEVERITIES.index(state.severity) + 1) * 1e9
                + {"late": state.late_h, "conflict": 0.0}.get(state.kind, (NOW - state.start).total_seconds() / 3600)
                for state in self.wrong(one, wanted)
            ]
            return -max(weighed, default=0), one.consignment

        return [one.consignment for one in sorted(self.journeys.values(), key=place) if self.has(one, wanted)]


def drawn(draw: random.Random, number: int, version: int) -> Journey:
    """A consignment of any kind: under way, ended today or weeks ago, with or without something wrong."""
    ended = draw.random() < 0.5
    at = NOW - draw.choice((1 * HOUR, 20 * HOUR, 9 * DAY, 30 * DAY))
    facility = draw.choice(list(PLACES))
    stage = draw.choice(("delivered", "delivered", "cancelled")) if ended else draw.choice(("at_port", "in_transit"))
    told = {"milestone": "delivered", "units_done": 1, "units_total": 1, "actual": at, "sender": "HBRT"}
    kinds = draw.sample(
        ("late", "dwell", "silent", "overdue", "on_hold", "conflict"), draw.choice((0, 0, 1) if ended else (0, 1, 1, 2, 3))
    )
    return journey(
        f"LVLA-{number:04d}",
        declared={
            "items": [{"line": 1, "category": draw.choice(("glove", "gown")), "quantity": 5, "unit": "box"}],
            "parties": {"carrier": draw.choice(("MAEU", "LH")), "trucker": draw.choice(("HBRT", "SWFT"))},
            "route": {"mode": draw.choice(("sea", "air")), "terminal": "LAX", "place_of_delivery": facility},
            "tier": draw.choice((1, 2)),
        },
        version=version,
        at=at,
        buyer=draw.choice(("LVLA", "LACDHS")),
        stage=stage,
        mode=draw.choice(("sea", "air")),
        milestone="delivered" if stage == "delivered" else "discharged",
        milestone_at=at,
        milestones=[told] if stage == "delivered" else [],
        terminal=draw.choice(("LAX", "LA-APMT")),
        carrier=draw.choice(("MAEU", "LH")),
        vessel=draw.choice(VESSELS) or None,
        references=[
            {"kind": "container", "value": f"MRSU{4371000 + number % 40}", "how": "declared"},
            {"kind": "bill_of_lading", "value": draw.choice(("SEAL-77", "MAEU 203", f"B/{number}")), "how": "declared"},
        ],
        exceptions=[
            exception(
                kind,
                key=kind,
                severity=draw.choice(SEVERITIES),
                start=NOW - draw.randint(1, 400) * HOUR,
                late_h=draw.randint(1, 90) / 2 if kind == "late" else None,
            )
            for kind in kinds
        ]
        + [exception("on_hold", key="on_hold", status="ended", end=NOW)] * draw.randint(0, 1),
    )


def acts(draw: random.Random, one: Journey, numbers: Iterator[int]) -> Iterator[WorkAct]:
    """What people did about it, some of it undone."""
    keys = [state.key for state in one.exceptions if state.status == "open"]
    for kind in draw.choices(("acknowledge", "assign", "snooze", "note"), k=draw.choice((0, 0, 1, 2, 4))):
        options: dict[str, dict[str, Any]] = {
            "acknowledge": {"exceptions": draw.sample(keys, draw.randint(0, len(keys)))},
            "snooze": {
                "exceptions": draw.sample(keys, draw.randint(0, len(keys))),
                "until": NOW + draw.choice((-1, 5)) * HOUR,
            },
            "assign": {"assignee": draw.choice(("ben", "cleo"))},
            "note": {"text": "called"},
        }
        base = {"consignment": one.consignment, "by": "ana", "sender": "OPS"}
        act_id, at = f"{next(numbers):032x}", NOW - draw.randint(0, 300) * HOUR - timedelta(seconds=draw.randint(0, 3_000))
        yield WorkAct.model_validate(base | {"act_id": act_id, "act": kind, "at": at} | options[kind])
        if draw.random() < 0.2:
            yield WorkAct.model_validate(
                base | {"act_id": f"{next(numbers):032x}", "act": "undo", "at": at + HOUR, "undoes": act_id}
            )


def write(books: Books, draw: random.Random) -> Port:
    """SIZE consignments, some of them in several versions, each insert a part of its own."""
    port, numbers = Port(), iter(range(1, 10**6))
    books.write(*(Facility(code=code, kind="hospital", name=name, zone="America/Los_Angeles") for code, name in PLACES.items()))
    for version in (1, 2, 3):
        told = [drawn(draw, number, version) for number in range(SIZE) if version == 1 or draw.random() < 0.3]
        books.write(*told)
        port.journeys |= {one.consignment: one for one in told}
    port.acts = [act for one in port.journeys.values() for act in acts(draw, one, numbers)]
    books.write(*port.acts)
    return port


def filters(draw: random.Random, count: int) -> Iterator[DelayedFilter]:
    """What may be asked for, of up to four things at once."""
    choices: Mapping[str, Sequence[Any]] = {
        "kinds": (("late",), ("late", "dwell"), DELAY_KINDS, DELAY_KINDS, EXCEPTION_KINDS, EXCEPTION_KINDS),
        "hospital": ("H-CEDARS", "seal", "medical"),
        "carrier": ("LH", "SWFT"),
        "terminal": ("LAX",),
        "vessel": ("seal", "essex"),
        "item": ("glove",),
        "tier": (1,),
        "severity": SEVERITIES,
        "stage": ("delivered", "in_transit", "cancelled"),
        "mode": ("air",),
        "state": ("open", "trouble", "ended"),
        "text": ("seal", "SEAL-7", "437100", "lvla-00", "lvla 00", "essex", "maeu203", "b/1", "--", "ü"),
        "delivered_since": (NOW - 12 * HOUR, NOW - 10 * DAY, NOW - 300 * DAY),
        "owner": ("LVLA", "LH"),
        "work": ("to_do", "to_do", "acknowledged", "snoozed"),
        "assigned": ("ben",),
    }
    for name in ("text", "work", "state", "delivered_since", "assigned"):
        for value in dict.fromkeys(choices[name]):
            yield replace(DelayedFilter(kinds=()), **{name: value})
    for _ in range(count):
        chosen = {name: draw.choice(choices[name]) for name in draw.sample(list(choices), draw.randint(2, 4))}
        yield replace(DelayedFilter(kinds=()), **chosen)


@pytest.mark.timeout(600)  # some 150 questions, each of which ClickHouse has to plan
def test_lists_and_their_counts_say_what_a_plain_look_at_every_journey_says(books: Books) -> None:
    draw = random.Random(20_260_712)
    with unmerged(books.client):
        port = write(books, draw)
        found = Counter[bool]()
        for number, wanted in enumerate((DelayedFilter(kinds=()), *filters(draw, 24))):
            expected = port.worst_first(wanted)
            questions = Questions(books.client)
            rows = questions.delayed(wanted, NOW)
            assert [row.consignment for row in rows] == expected, wanted
            assert questions.facets(wanted, NOW, Order()) == facets_of(rows, ""), wanted
            page, after = questions.delayed_page(wanted, NOW, 7, Order())
            assert page == rows[:7], wanted
            assert (after is not None) == (len(rows) > 7), wanted
            walked, order = list(page), Order()
            while after is not None and len(walked) < 60 and number % 5 == 0:
                order = replace(order, after=after)
                page, after = questions.delayed_page(wanted, NOW, 31, order)
                walked += page
            assert walked == rows[: len(walked)], wanted
            assert after is not None or len(walked) == len(rows), wanted
            other = Order(draw.choice(SORTS), draw.random() < 0.5, draw.choice(("", *GROUPS)), draw.choice((0, 0, 3)))
            page, _ = questions.delayed_page(wanted, NOW, 9, other)
            assert page == questions.delayed(wanted, NOW, 9, other), (wanted, other)
            found[len(rows) > 7] += 1
        assert min(found[True], found[False]) > 8, "the filters choose too much or too little"
        rows = Questions(books.client).delayed(DelayedFilter(kinds=()), NOW)
        for row in rows:
            assert (bool(row.acknowledged_by), row.snoozed_until is not None, row.assigned_to) == (
                *port.standing(port.journeys[row.consignment], DelayedFilter(kinds=())),
                port.assigned(port.journeys[row.consignment]),
            )


# --- reports over events

SENDERS = ("MAEU", "COSU", "HBRT")


def said(draw: random.Random) -> list[ShipmentEvent]:
    """Records of events: some repeated, some corrected or withdrawn later, some of boxes that nobody has."""
    records: list[ShipmentEvent] = []
    for number in range(120):
        received = NOW - timedelta(minutes=draw.randint(1, 12 * 24 * 60))
        first = event(
            sender=draw.choice(SENDERS),
            received_at=received,
            occurred_at=received - timedelta(hours=draw.choice((1, 3, 30, 50))),
            classifier=draw.choice(("actual", "actual", "estimated")),
            mapped=(mapped := draw.random() < 0.8),
            milestone="discharged" if mapped else None,
            warnings=[
                {"code": code, "where": "/0", "text": "x"}
                for code in draw.sample(("zone_assumed", "bad_imo", "bad_count"), draw.randint(0, 2))
            ],
            references=[{"kind": "container", "value": f"MRSU{4371000 + draw.randint(0, 60)}"}],
            revision={"at": received, "reader": 1, "content": f"{number:016x}"},
        )
        records.append(first)
        for again in range(draw.choice((0, 0, 0, 1, 2))):
            late = received + timedelta(hours=draw.randint(1, 60) + again)
            revised = draw.random() < 0.6
            change: dict[str, Any] = {"received_at": late}
            if revised:
                change |= {
                    "revision": first.revision.model_copy(update={"at": late, "content": f"{again:016x}"}),
                    "references": (Reference(kind="container", value=f"MRSU{4371000 + draw.randint(0, 60)}"),),
                    "retracted": draw.random() < 0.2,
                    "classifier": draw.choice(("actual", "estimated")),
                }
            records.append(first.model_copy(update=change))
    draw.shuffle(records)
    return records


def newest(records: Sequence[ShipmentEvent]) -> dict[str, tuple[ShipmentEvent, datetime]]:
    """Of each event its greatest revision, and when it was first received."""
    found: dict[str, tuple[ShipmentEvent, datetime]] = {}
    for one in records:
        known, first = found.get(one.event_id, (one, one.received_at))
        greater = (one.revision.at, one.revision.reader, one.revision.content) > (
            known.revision.at,
            known.revision.reader,
            known.revision.content,
        )
        found[one.event_id] = (one if greater else known, min(first, one.received_at))
    return found


def score_of(records: Sequence[ShipmentEvent], since: datetime) -> dict[str, tuple[int, ...]]:
    """By sender: events, mapped, zone said, references valid, actuals, on time, faultless."""
    scores: dict[str, list[int]] = {}
    for one, first in newest(records).values():
        if one.retracted:
            continue
        codes = {warning.code for warning in one.warnings}
        actual, zone, valid = one.classifier == "actual", "zone_assumed" not in codes, "bad_imo" not in codes
        on_time = actual and first - one.occurred_at <= 24 * HOUR
        told = (1, one.mapped, zone, valid, actual, on_time, one.mapped and zone and valid and (on_time or not actual))
        scores[one.sender] = [a + b for a, b in zip(scores.get(one.sender, [0] * 7), told, strict=True)]
    return {sender: tuple(told) for sender, told in scores.items()}


def told(row: Score) -> tuple[int, ...]:
    return (row.events, row.mapped, row.zone_said, row.references_valid, row.actuals, row.on_time, row.faultless)


def test_reports_over_events_say_what_a_plain_look_at_every_record_says(books: Books) -> None:
    """And the same where the sink wrote the rows of its views a second time, as after some crashes."""
    draw = random.Random(20_260_713)
    records, since = said(draw), NOW - 7 * DAY
    owned = {f"MRSU{4371000 + number}" for number in range(50)}
    with unmerged(books.client):
        books.write(
            *(
                journey(f"LVLA-{n}", references=[{"kind": "container", "value": value, "how": "declared"}])
                for n, value in enumerate(owned)
            )
        )
        # what an older version named is nobody's any more
        books.write(journey("LVLA-OLD", references=[{"kind": "container", "value": "MRSU4371055", "how": "declared"}]))
        books.write(
            journey("LVLA-OLD", version=2, references=[{"kind": "container", "value": "MRSU4371000", "how": "declared"}])
        )
        books.write(*records)
        window = [one for one in records if one.received_at >= since]
        for _ in ("as it was written", "twice"):
            questions = Questions(books.client)
            assert {row.sender: told(row) for row in questions.scores(since, 0, 24)} == score_of(window, since)
            assert [told(row) for row in questions.scores(since, 0, 24, "COSU")] == [score_of(window, since)["COSU"]]
            _unmatched(questions, window, owned, since)
            _feeds(questions, window, since)
            _double(books.client)


def _unmatched(questions: Questions, window: Sequence[ShipmentEvent], owned: set[str], since: datetime) -> None:
    expected = Counter[tuple[str, str]]()
    for one, _ in newest(window).values():
        if not one.retracted and one.references[0].value not in owned:
            expected[one.sender, one.references[0].value] += 1
    assert len(expected) > 5
    assert {(row.sender, row.value): row.events for row in questions.unmatched(since)} == expected
    of_one = {(row.sender, row.value): row.events for row in questions.unmatched(since, "HBRT")}
    assert of_one == {key: events for key, events in expected.items() if key[0] == "HBRT"}


def _feeds(questions: Questions, window: Sequence[ShipmentEvent], since: datetime) -> None:
    rows = {row.sender: row for row in questions.feeds(NOW, since)}
    assert set(rows) == set(SENDERS)
    for sender, row in rows.items():
        mine = [one for one in window if one.sender == sender]
        late = sorted((one.received_at - one.occurred_at).total_seconds() for one in mine if one.classifier == "actual")
        today = {one.event_id for one in mine if one.received_at > NOW - DAY}
        kept = [one for one, _ in newest(mine).values() if not one.retracted]
        assert row.events == len({one.event_id for one in mine})
        assert row.repeats == len(mine) - len({(one.event_id, one.revision.at, one.revision.content) for one in mine})
        assert row.warned == len({one.event_id for one in mine if one.warnings})
        assert row.unmapped == sum(not one.mapped for one in kept)
        assert row.events_per_h == round(len(today) / 24, 1)
        assert row.lateness_h == round(late[len(late) // 2] / 3600, 1)
        assert row.last_event_at == max(one.received_at for one in mine)
        assert questions.feeds(NOW, since, sender) == [row]


def _double(client: ClickHouse) -> None:
    for table in TABLES:
        client.execute(f"INSERT INTO {table} SELECT * FROM {table}")
