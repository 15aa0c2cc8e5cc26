"""Each question on a real ClickHouse, over a little data made by hand."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from schemas.consignment_command_v1 import EXAMPLES as COMMANDS
from schemas.consignment_command_v1 import ReceiveGoods
from schemas.dead_letter_v1 import EXAMPLES as LETTERS
from schemas.dead_letter_v1 import DeadLetter
from schemas.journey_v1 import Clock, Feed, Journey
from schemas.raw_message_v1 import RawMessage
from schemas.registers_v1 import Facility, Sender
from schemas.shipment_event_v1 import EXAMPLES as EVENTS
from schemas.shipment_event_v1 import Reference, ShipmentEvent
from services.console import paging
from services.console.facts import Facts
from services.console.questions import About, DelayedFilter, Letter, Order, Questions, RawPointer, Told
from services.console.render import judged
from services.runtime.clickhouse import connect
from services.runtime.clock import ManualClock
from services.runtime.settings import Settings
from services.sink import migrate
from tests.browser import world
from tests.integration.console.conftest import Books
from tests.unit.sink.examples import CONTAINER, UNIT, exception, journey, statement

NOW = datetime(2020, 4, 12, 12, tzinfo=UTC)
HARBOR = Facility(code="H-HARBOR", kind="hospital", name="Harbor-UCLA Medical Center", zone="America/Los_Angeles")
TERMINAL = Facility(code="LA-APMT", kind="terminal", name="APM Terminals Pier 400", zone="America/Los_Angeles")
WARNING = {"code": "zone_assumed", "where": "/0", "text": "UTC is assumed"}
MAERSK = Sender(code="MAEU", kind="ocean_carrier", name="Maersk")


def event(**said: Any) -> ShipmentEvent:
    example = EVENTS[0]
    assert isinstance(example, ShipmentEvent)
    return ShipmentEvent.model_validate(example.model_dump() | {"event_id": uuid.uuid4().hex} | said)


def test_delayed_lists_the_worst_first_one_line_a_consignment(books: Books) -> None:
    books.write(
        HARBOR,
        journey("LACDHS-MINOR", exceptions=[exception(severity="minor", late_h=90.0)]),
        journey(
            "LACDHS-TWO",
            exceptions=[
                exception(severity="major", late_h=18.0),
                exception(
                    "overdue", key="overdue:gate_out", severity="critical", start="2020-04-12T00:00:00Z", sentence="Overdue."
                ),
                exception("dwell", key="dwell", severity="critical"),
            ],
        ),
        journey("LACDHS-ENDED", exceptions=[exception(status="ended", end="2020-04-12T00:00:00Z")]),
        journey("LACDHS-DWELL", exceptions=[exception("dwell", key="dwell")]),
    )
    rows = Questions(books.client).delayed(DelayedFilter(), NOW)
    assert [row.consignment for row in rows] == ["LACDHS-TWO", "LACDHS-MINOR"]
    worst = rows[0]
    assert (worst.exception, worst.severity, worst.hours_late, worst.sentence) == ("overdue", "critical", 44.3, "Overdue.")
    assert worst.also == ["late"]
    assert worst.expected_passed is False
    assert worst.hospital == "Harbor-UCLA Medical Center"
    assert worst.zone == "America/Los_Angeles"
    assert worst.since == datetime(2020, 4, 12, tzinfo=UTC)
    assert worst.goods == [("n95_respirator", 240_000, "each")]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (DelayedFilter(hospital="H-HARBOR"), {"LACDHS-SEA"}),
        (DelayedFilter(hospital="harbor-ucla"), {"LACDHS-SEA"}),
        (DelayedFilter(carrier="LH"), {"LACDHS-AIR"}),
        (DelayedFilter(terminal="LAX"), {"LACDHS-AIR"}),
        (DelayedFilter(vessel="maersk"), {"LACDHS-SEA"}),
        (DelayedFilter(item="glove"), {"LACDHS-AIR"}),
        (DelayedFilter(tier=1), {"LACDHS-SEA"}),
        (DelayedFilter(kinds=("silent",)), {"LACDHS-AIR"}),
        (DelayedFilter(hospital="' OR 1=1 --"), set()),
        (DelayedFilter(vessel="%' UNION SELECT {now:String}"), set()),
    ],
)
def test_delayed_can_be_narrowed(books: Books, wanted: DelayedFilter, found: set[str]) -> None:
    books.write(
        HARBOR,
        journey("LACDHS-SEA"),
        journey(
            "LACDHS-AIR",
            declared={
                "items": [{"line": 1, "category": "glove", "quantity": 5, "unit": "box"}],
                "parties": {"carrier": "LH"},
                "route": {"mode": "air", "terminal": "LAX", "place_of_delivery": "H-OTHER"},
                "tier": 2,
            },
            terminal="LAX",
            vessel="LH456",
            carrier="LH",
            exceptions=[exception("late"), exception("silent", key="silent")],
        ),
    )
    assert {row.consignment for row in Questions(books.client).delayed(wanted, NOW)} == found


def test_the_newest_version_counts(books: Books) -> None:
    books.write(journey(version=2, exceptions=[]), journey(version=1))
    questions = Questions(books.client)
    assert questions.delayed(DelayedFilter(), NOW) == []
    shown = questions.show("LACDHS-0001")
    assert shown is not None
    assert shown.version == 2


def test_what_open_work_does_not_have_yet_is_asked_again(books: Books) -> None:
    """The views of an insert are written one after the other; what is told in between is no fact of that version."""
    known, late = Facts(), journey(exceptions=[exception("late")])

    def shown() -> list[tuple[str, str]]:
        found, _ = Questions(books.client, facts=known).delayed_page(DelayedFilter(kinds=()), NOW, 10, Order())
        return [(row.consignment, row.exception) for row in found]

    books.write(late)
    books.client.execute("TRUNCATE TABLE open_journeys")
    assert shown() == [("LACDHS-0001", "")]
    books.write(late)
    assert shown() == [("LACDHS-0001", "late")]


def test_show_gives_the_whole_journey_and_names_like_it_if_there_is_none(books: Books) -> None:
    books.write(journey())
    questions = Questions(books.client)
    assert questions.show("LACDHS-0001") == journey()
    assert questions.show("LACDHS-0002") is None
    assert questions.similar("dhs-00") == ["LACDHS-0001"]


def test_the_raw_bytes_behind_an_event_are_those_that_came(books: Books) -> None:
    body = b"ISA*00\xff\x00~"
    said = event()
    books.write(said)
    books.write_raw(RawMessage(kind="message", sender="MAEU", sha256="ab" * 32), body, offset=17)
    questions = Questions(books.client)
    assert questions.raw_pointer(said.event_id) == RawPointer("MAEU", said.standard, said.code, "/0", 1, 17)
    found = questions.raw_bytes(1, 17)
    assert found is not None
    assert (found.payload, found.sha256) == (body, "ab" * 32)
    assert questions.raw_bytes(1, 18) is None
    assert questions.raw_pointer("00" * 16) is None


def test_receipts_and_dead_letters_lead_to_their_bytes_too(books: Books) -> None:
    command = next(one for one in COMMANDS if isinstance(one, ReceiveGoods))
    letter = LETTERS[0]
    books.write(command, letter)
    questions = Questions(books.client)
    receipt = questions.raw_pointer(command.command_id)
    assert receipt is not None
    assert (receipt.code, receipt.partition, receipt.offset) == ("receive", command.raw.partition, command.raw.offset)
    pointed = questions.raw_pointer(letter.letter_id)
    assert pointed is not None
    assert (pointed.code, pointed.partition, pointed.offset) == (letter.reason, letter.raw_partition, letter.raw_offset)
    assert questions.raw_ids(command.command_id[:8]) == [command.command_id]
    assert questions.raw_ids("%") == []


@pytest.mark.parametrize("typed", ["MRSU4371639", "mrsu 437163-9", "LACDHS-0001", "lacdhs 0001", "PO-77"])
def test_find_takes_any_reference_however_it_is_typed(books: Books, typed: str) -> None:
    books.write(journey(declared={"references": [{"kind": "purchase_order", "value": "PO77"}]}))
    found = Questions(books.client).find(typed)
    assert [row.consignment for row in found] == ["LACDHS-0001"]


def test_find_tells_which_events_nobody_owns(books: Books) -> None:
    stranger = event(references=[{"kind": "air_waybill", "value": "020-12345675"}], code="RCF")
    books.write(journey(), event(), stranger, stranger)
    questions = Questions(books.client)
    assert [(row.event_id, row.owned) for row in questions.find_events("02012345675")] == [(stranger.event_id, False)]
    assert [row.owned for row in questions.find_events("MRSU4371639")] == [True]


def test_inbound_counts_goods_by_local_day_and_how_sure_it_is(books: Books) -> None:
    # 2020-04-16T05:00Z is still the 15th in Los Angeles
    books.write(
        HARBOR,
        journey("LACDHS-1", expected_delivery="2020-04-16T05:00:00Z", expected_basis="estimate", exceptions=[]),
        journey("LACDHS-2", expected_delivery="2020-04-15T20:00:00Z", expected_basis="plan_and_slip"),
        journey(
            "LACDHS-3",
            expected_delivery="2020-04-17T20:00:00Z",
            expected_basis="required_by",
            delivered=[{"line": 1, "good": 200_000, "basis": "receipt"}],
        ),
        journey("LACDHS-4", stage="delivered"),
        journey("LACDHS-5", expected_delivery="2020-06-17T20:00:00Z"),
    )
    rows = Questions(books.client).inbound(NOW, until=NOW + timedelta(days=14))
    assert [(str(r.day), r.category, r.quantity, r.by_estimate, r.by_slip, r.by_wish, r.in_trouble) for r in rows] == [
        ("2020-04-15", "n95_respirator", 480_000, 240_000, 240_000, 0, 240_000),
        ("2020-04-17", "n95_respirator", 40_000, 0, 0, 40_000, 40_000),
    ]
    assert Questions(books.client).inbound(NOW, until=NOW + timedelta(days=14), hospital="nowhere") == []


def test_what_was_expected_and_did_not_come_is_no_expectation(books: Books) -> None:
    books.write(
        journey("LACDHS-PAST", expected_delivery="2020-04-11T20:00:00Z", expected_basis="plan"),
        journey("LACDHS-TODAY", expected_delivery="2020-04-12T20:00:00Z", expected_basis="plan"),
    )
    questions = Questions(books.client)
    assert [(str(row.day), row.by_plan, row.passed) for row in questions.inbound(NOW, NOW + timedelta(days=1))] == [
        ("2020-04-11", 0, 240_000),
        ("2020-04-12", 240_000, 0),
    ]
    assert {row.consignment: row.expected_passed for row in questions.delayed(DelayedFilter(), NOW)} == {
        "LACDHS-PAST": True,
        "LACDHS-TODAY": False,
    }


DAY_AFTER = datetime(2020, 4, 13, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "milestone", "late_h", "now", "hours"),
    [
        ("late", "discharged", 18.0, DAY_AFTER, 18.0),
        ("will_be_late", "gate_out", 5.5, DAY_AFTER, 5.5),
        ("overdue", "gate_out", None, DAY_AFTER, 18.0),  # planned was the 12th at 18:00
        ("overdue", "delivered", None, datetime(2020, 4, 16, 2, tzinfo=UTC), 7.0),  # no plan: required by the 15th at 19:00
        ("overdue", "booked", None, DAY_AFTER, 48.0),  # no plan is known any more: since it opened
        ("dwell", None, None, DAY_AFTER, 48.0),
        ("silent", None, None, DAY_AFTER, 48.0),
        ("on_hold", None, None, DAY_AFTER, 48.0),
        ("rolled", "departed", None, DAY_AFTER, None),
        ("short", None, None, DAY_AFTER, None),
        ("misrouted", None, None, DAY_AFTER, None),
        ("conflict", "discharged", None, DAY_AFTER, None),
    ],
)
def test_hours_mean_the_same_in_delayed_and_in_show(
    books: Books, kind: str, milestone: str | None, late_h: float | None, now: datetime, hours: float | None
) -> None:
    books.write(journey(exceptions=[exception(kind, milestone=milestone, late_h=late_h)]))
    questions = Questions(books.client)
    (row,) = questions.delayed(DelayedFilter(kinds=(kind,)), now)
    shown = questions.show("LACDHS-0001")
    assert shown is not None
    assert row.hours_late == hours
    assert [state.late_h for state in judged(shown, now).exceptions] == [hours]


def test_a_limited_answer_knows_how_many_there_are(books: Books) -> None:
    books.write(*(journey(f"LACDHS-{n}", expected_delivery=f"2020-04-1{n}T20:00:00Z") for n in range(3, 8)))
    questions = Questions(books.client)
    assert len(questions.delayed(DelayedFilter(), NOW, limit=2)) == 2
    assert questions.total() == 5
    assert len(questions.inbound(NOW, NOW + timedelta(days=14), limit=2)) == 2
    assert questions.total() == 5


def test_the_newest_append_tells_how_far_the_pipeline_is_behind(books: Books) -> None:
    questions = Questions(books.client)
    assert questions.heard() is None
    books.write(event(), at=NOW)
    assert questions.heard() == NOW


def test_senders_of_whom_no_events_are_expected_are_left_out_unless_asked_for(books: Books) -> None:
    books.write(
        MAERSK, Sender(code="H-HARBOR", kind="consignee", name="Harbor"), Sender(code="LACDHS", kind="buyer", name="LA")
    )
    questions = Questions(books.client)
    assert [row.sender for row in questions.feeds(NOW, NOW, everyone=False)] == ["MAEU"]
    assert [row.sender for row in questions.feeds(NOW, NOW, "LACDHS", everyone=False)] == ["LACDHS"]
    assert [row.sender for row in questions.feeds(NOW, NOW)] == ["H-HARBOR", "LACDHS", "MAEU"]
    books.write(
        event(sender="LACDHS", received_at=NOW), LETTERS[0].model_copy(update={"sender": "H-HARBOR", "received_at": NOW})
    )
    assert len(questions.feeds(NOW, NOW - timedelta(days=1), everyone=False)) == 3


def test_dwell_measures_what_left_and_what_still_stands(books: Books) -> None:
    def stay(name: str, came: str, *later: dict[str, Any], **said: Any) -> None:
        books.write(journey(name, statements=[statement("discharged", came), *later], **said))

    stay("LACDHS-1", "2020-04-01T00:00:00Z", statement("gate_out", "2020-04-02T00:00:00Z"), stage="on_the_road")
    stay("LACDHS-2", "2020-04-01T00:00:00Z", statement("gate_out", "2020-04-04T00:00:00Z", unit=""), stage="on_the_road")
    stay("LACDHS-3", "2020-04-01T00:00:00Z", statement("delivered", "2020-04-05T00:00:00Z"), stage="delivered")
    stay("LACDHS-OLD", "2020-04-02T12:00:00Z")
    stay("LACDHS-NEW", "2020-04-12T00:00:00Z")
    stay("LACDHS-GONE-LONG-AGO", "2020-01-01T00:00:00Z", statement("gate_out", "2020-02-01T00:00:00Z"))
    books.write(TERMINAL)
    (row,) = Questions(books.client).dwell(NOW, NOW - timedelta(days=30))
    assert (row.terminal, row.name) == ("LA-APMT", "APM Terminals Pier 400")
    assert (row.left_count, row.median_h, row.p90_h) == (3, 72.0, 96.0)
    assert (row.standing, row.oldest_h, row.oldest_consignment, row.oldest_unit) == (2, 240.0, "LACDHS-OLD", UNIT)


def test_what_left_each_terminal_is_counted_by_the_hour_and_by_the_day_of_who_looks(books: Books) -> None:
    """00:30 and 06:30 UTC are the evening before in Los Angeles."""

    def left(name: str, at: str) -> Journey:
        said = [statement("discharged", "2020-04-09T06:30:00Z"), statement("gate_out", at)]
        return journey(name, statements=said, stage="on_the_road")

    times = {"A": "2020-04-11T00:30:00Z", "B": "2020-04-11T00:45:00Z", "C": "2020-04-11T06:30:00Z", "D": "2020-04-01T00:00:00Z"}
    books.write(TERMINAL, *(left(f"LACDHS-{name}", at) for name, at in times.items()))
    questions, since = Questions(books.client), NOW - timedelta(days=3)
    hourly = questions.outs(NOW, since, timedelta(hours=1))
    assert [(row.begins, row.name, row.units, row.median_h) for row in hourly] == [
        (datetime(2020, 4, 11, 0, tzinfo=UTC), "APM Terminals Pier 400", 2, 42.2),
        (datetime(2020, 4, 11, 6, tzinfo=UTC), "APM Terminals Pier 400", 1, 48.0),
    ]
    (day,) = questions.outs(NOW.astimezone(ZoneInfo("America/Los_Angeles")), since, timedelta(days=1))
    assert (day.begins, day.units) == (datetime(2020, 4, 10, 7, tzinfo=UTC), 3)
    assert questions.outs(NOW, since, timedelta(hours=1), "LB-LBCT") == []


def test_arrivals_tell_who_keeps_to_plan_and_by_how_much_estimates_were_wrong(books: Books) -> None:
    """Within 12 h of the plan at sea, and 4 h by air; the error of an estimate has no sign."""

    def arrived(name: str, actual: str, estimated: str | None = None, **said: Any) -> Journey:
        plan = {
            "planned": "2020-04-10T00:00:00Z",
            "estimated": estimated,
            "actual": f"2020-04-{actual}:00:00Z",
            "sender": "MAEU",
        }
        return journey(name, milestones=[{"milestone": "arrived", "leg": "", "units_total": 1} | plan], **said)

    books.write(
        arrived("LACDHS-1", "10T11", "2020-04-10T09:00:00Z"),
        arrived("LACDHS-2", "10T13", "2020-04-10T19:00:00Z"),
        arrived("LACDHS-3", "10T04", carrier="LH", mode="air"),
        arrived("LACDHS-4", "10T05", carrier="LH", mode="air"),
        journey("LACDHS-5"),
    )
    rows = Questions(books.client).arrivals(NOW - timedelta(days=7), timedelta(), lanes=True)
    assert [(row.carrier, row.lane, row.arrivals, row.planned, row.on_time, row.estimated) for row in rows] == [
        ("LH", "CNSHA > USLAX", 2, 2, 1, 0),
        ("MAEU", "CNSHA > USLAX", 2, 2, 1, 2),
    ]
    assert rows[0].eta_error_h is None
    assert rows[1].eta_error_h in (2.0, 6.0)
    (daily,) = Questions(books.client).arrivals(NOW - timedelta(days=7), timedelta(days=1), lanes=False, carrier="MAEU")
    assert (daily.begins, daily.lane, daily.arrivals) == (datetime(2020, 4, 10, tzinfo=UTC), "", 2)


def test_a_vessels_slip_says_how_many_it_delays(books: Books) -> None:
    def aboard(name: str, estimated: str, **said: Any) -> Journey:
        step = {"milestone": "arrived", "leg": "", "planned": "2020-04-10T00:00:00Z", "estimated": estimated, "units_total": 1}
        return journey(name, milestones=[step], **said)

    books.write(
        aboard("LACDHS-1", "2020-04-11T00:00:00Z"),
        aboard("LACDHS-2", "2020-04-12T06:00:00Z", exceptions=[]),
        aboard("LACDHS-3", "2020-04-12T06:00:00Z", stage="delivered", exceptions=[]),
    )
    (row,) = Questions(books.client).vessels()
    assert (row.vessel, row.voyage, row.consignments, row.delayed, row.in_trouble) == ("MAERSK EXAMPLE", "015E", 2, 1, 1)
    assert (row.earliest, row.latest) == (datetime(2020, 4, 11, tzinfo=UTC), datetime(2020, 4, 12, 6, tzinfo=UTC))
    assert row.slip_h == 54.0


def test_codes_in_no_map_are_counted_by_sender_with_their_newest_event(books: Books) -> None:
    hour = timedelta(hours=1)
    text = "the code 87/VD (Vessel (really) departed) is in no map; the event is kept and moves nothing"
    unmapped = {"mapped": False, "milestone": None, "standard": "edifact.iftsta", "code": "87/VD"}
    said = {"warnings": [WARNING, {"code": "unmapped_code", "where": "segment 8 (STS)", "text": text}]}
    first, newest = (
        event(
            **unmapped,
            **said,
            received_at=NOW - hours * hour,
            raw={"sha256": "ab" * 32, "partition": 2, "offset": hours, "position": "x"},
        )
        for hours in (9, 3)
    )
    since_mapped = event(**unmapped, received_at=NOW - hour)
    withdrawn = event(**unmapped, received_at=NOW - hour, retracted=True)
    books.write(
        first,
        first,
        newest,
        since_mapped,
        since_mapped.model_copy(
            update={
                "mapped": True,
                "revision": since_mapped.revision.model_copy(update={"reader": 10_001}),
            }
        ),
        withdrawn,
        event(**unmapped | {"code": "87/UV"}, received_at=NOW - hour),
        event(**unmapped, received_at=NOW - 999 * hour),
        event(**unmapped, sender="HBRT", received_at=NOW - hour),
        event(received_at=NOW),
    )
    questions = Questions(books.client)
    rows = questions.unmapped(NOW - timedelta(days=7))

    assert [(row.sender, row.code, row.events) for row in rows] == [
        ("MAEU", "87/VD", 2),
        ("HBRT", "87/VD", 1),
        ("MAEU", "87/UV", 1),
    ]
    worst = rows[0]
    assert (worst.standard, worst.words) == ("edifact.iftsta", "Vessel (really) departed")
    assert (worst.first_at, worst.last_at, worst.example) == (NOW - 9 * hour, NOW - 3 * hour, newest.event_id)
    assert (worst.raw_partition, worst.raw_offset, worst.raw_position) == (2, 3, "x")
    assert questions.total() == 3
    assert [row.sender for row in questions.unmapped(NOW - timedelta(days=7), "HBRT")] == ["HBRT"]


def test_feeds_tell_lateness_repeats_claims_and_silence(books: Books) -> None:
    hour = timedelta(hours=1)
    first = event(occurred_at=NOW - 4 * hour, received_at=NOW - 2 * hour)
    letter = LETTERS[0].model_copy(update={"received_at": NOW - hour})
    books.write(
        MAERSK,
        first,
        first,
        event(occurred_at=NOW - 7 * hour, received_at=NOW - hour, mapped=False, milestone=None, warnings=[WARNING]),
        event(occurred_at=NOW - 200 * hour, received_at=NOW - 199 * hour),
        event(sender="HBRT", occurred_at=NOW, received_at=NOW),
        letter,
        letter,
        journey(
            claims=[
                {
                    "event_id": "aa" * 16,
                    "sender": "HBRT",
                    "code": "X3",
                    "occurred_at": "2020-04-12T00:00:00Z",
                    "received_at": "2020-04-12T00:00:00Z",
                }
            ]
        ),
        Feed(
            consignment="feed:MAEU",
            sender="MAEU",
            sender_kind="ocean_carrier",
            version=1,
            cause="live",
            at=NOW,
            last_event_at=NOW - hour,
            silent_after_h=6,
            exceptions=(journey().exceptions[0].model_copy(update={"kind": "silent", "key": "silent"}),),
        ),
    )
    rows = {row.sender: row for row in Questions(books.client).feeds(NOW, NOW - timedelta(days=7))}
    maersk = rows["MAEU"]
    assert (maersk.name, maersk.kind) == ("Maersk", "ocean_carrier")
    assert maersk.last_event_at == NOW - hour
    assert (maersk.events, maersk.repeats, maersk.unmapped, maersk.dead_letters, maersk.claims) == (2, 1, 1, 1, 0)
    assert maersk.warned == 1
    assert maersk.events_per_h == pytest.approx(0.1)
    assert maersk.lateness_h == 2.0
    assert maersk.silent_since == datetime(2020, 4, 11, 12, tzinfo=UTC)
    assert maersk.expected_by == NOW + 5 * hour
    assert rows["HBRT"].claims == 1
    assert rows["HBRT"].silent_since is None


def test_unmatched_events_are_those_whose_references_no_consignment_has(books: Books) -> None:
    lost = [{"kind": "container", "value": "TGHU9999997"}]
    books.write(
        journey(),
        event(),
        event(references=lost, received_at=NOW),
        event(references=lost, code="EQUIPMENT/GTOT", received_at=NOW),
        event(references=[{"kind": "seal", "value": "S1"}]),
        event(references=[{"kind": "consignment", "value": "LACDHS-0001"}]),
        event(references=[*lost, {"kind": "bill_of_lading", "value": "MAEU203990011"}]),
        event(references=lost, retracted=True),
    )
    rows = Questions(books.client).unmatched(NOW - timedelta(days=7))
    assert [(row.sender, row.kind, row.value, row.events) for row in rows] == [("MAEU", "container", "TGHU9999997", 2)]
    assert set(rows[0].codes) == {"EQUIPMENT/DISC", "EQUIPMENT/GTOT"}


def test_near_words_lead_to_open_consignments_that_are_known_by_them_now(books: Books) -> None:
    books.write(
        journey("LACDHS-1"),
        journey("LACDHS-2", references=[{"kind": "container", "value": "TGHU9999997", "how": "declared"}]),
        journey("LACDHS-3", stage="delivered", exceptions=[]),
        journey("LACDHS-4"),
        journey("LACDHS-4", version=2, references=[]),
    )
    found = Questions(books.client).near([CONTAINER, "MAEU203990011", "NOSUCH"])
    assert [(one.word, one.consignment, one.kind, one.value) for one in found] == [
        ("MAEU203990011", "LACDHS-1", "bill_of_lading", "MAEU203990011"),
        (CONTAINER, "LACDHS-1", "container", CONTAINER),
    ]
    assert {"MAEU", "HBRT", "LA-APMT"} <= set(found[0].parties)


def test_what_is_due_there_has_no_unit_yet_and_waits_for_that_step_of_that_sender(books: Books) -> None:
    told = event(references=[{"kind": "container", "value": "TGHU9999997"}], milestone="gate_out", place={"unlocode": "USLAX"})
    at = told.occurred_at
    steps = [{"milestone": "gate_out", "planned": at + timedelta(hours=5)}]
    late = [{"milestone": "gate_out", "planned": at + timedelta(hours=50)}]
    done = [{"milestone": "gate_out", "planned": at, "actual": at}]
    other = {"parties": {"carrier": "COSU"}}
    books.write(
        told,
        journey("LACDHS-1", units=[], milestones=steps),
        journey("LACDHS-2", milestones=steps),
        journey("LACDHS-3", units=[], milestones=late),
        journey("LACDHS-4", units=[], milestones=done),
        journey("LACDHS-5", units=[], milestones=steps, declared=other, carrier="COSU"),
    )
    (found,) = Questions(books.client).due_there([told.event_id, "00" * 16], ["MAEU"])
    assert (found.event, found.consignment, found.milestone, found.place) == (told.event_id, "LACDHS-1", "gate_out", "USLAX")
    assert round(found.apart_h, 1) == 5
    many = [journey(f"LACDHS-1{n}", units=[], milestones=steps) for n in range(9)]
    books.write(*many)
    assert len(Questions(books.client).due_there([told.event_id], ["MAEU"])) == 4


VOYAGE = {"kind": "voyage", "value": "9632179/015E"}


def aboard(value: str, kind: str = "container") -> ShipmentEvent:
    """Said of one box on the ship that everybody waits for."""
    return event(references=[{"kind": kind, "value": value}, VOYAGE], received_at=NOW)


def waiting_for_the_ship() -> Journey:
    known = [
        {"kind": "container", "value": "MRSU4371639", "how": "declared"},
        VOYAGE | {"how": "learned", "teacher": "3f" * 16},
    ]
    return journey(references=known)


def test_a_known_ship_does_not_own_what_is_said_of_an_unknown_box(books: Books) -> None:
    books.write(
        waiting_for_the_ship(),
        aboard("MRSU4371639"),
        aboard("MRSU4371693"),
        aboard("COSU9000000001", "bill_of_lading"),
        event(references=[VOYAGE], received_at=NOW),
        event(references=[{"kind": "seal", "value": "S1"}, VOYAGE], received_at=NOW),
    )
    questions = Questions(books.client)
    assert [row.value for row in questions.unmatched(NOW - timedelta(days=7))] == ["COSU9000000001", "MRSU4371693"]
    assert [row.owned for row in questions.find_events("MRSU4371693")] == [False]
    assert sorted(row.owned for row in questions.find_events(VOYAGE["value"])) == [False, False, True, True, True]


def test_an_event_is_owned_by_any_reference_that_links_it_and_by_the_consignments_own_id(books: Books) -> None:
    typo = event(references=[{"kind": "container", "value": "MRSU4371639"}, {"kind": "bill_of_lading", "value": "TYPO1"}])
    by_hand = event(references=[{"kind": "consignment", "value": "LACDHS-0001"}], sender="OPS")
    books.write(journey(), typo, by_hand)
    questions = Questions(books.client)
    assert [row.owned for row in questions.find_events("TYPO1")] == [True]
    assert [row.owned for row in questions.find_events("LACDHS-0001")] == [True]


def test_of_an_event_that_was_corrected_the_newest_references_count(books: Books) -> None:
    first = event(references=[{"kind": "container", "value": "MRSU4371639"}], received_at=NOW)
    corrected = first.model_copy(
        update={
            "references": (Reference(kind="container", value="MRSU4371693"),),
            "revision": first.revision.model_copy(update={"at": NOW}),
        }
    )
    books.write(journey(), corrected, first)
    rows = Questions(books.client).unmatched(NOW - timedelta(days=7))
    assert [(row.value, row.events) for row in rows] == [("MRSU4371693", 1)]


def test_dead_letters_are_listed_once_each(books: Books) -> None:
    books.write(LETTERS[0], LETTERS[0])
    questions = Questions(books.client)
    assert [letter.reason for letter in questions.dead_letters()] == ["not_json"]
    assert questions.dead_letters(sender="HBRT") == []


def test_dead_letters_are_told_page_by_page_whatever_is_written_twice(books: Books) -> None:
    """Each once, where it was heard of last, also where the copies before it are more than a page looks at."""

    def letter(number: int, minutes: int, **said: Any) -> DeadLetter:
        at = NOW - timedelta(minutes=minutes)
        return LETTERS[0].model_copy(update={"letter_id": f"{number:032x}", "received_at": at, **said})

    letters = [letter(number, number // 3) for number in range(30)]
    again = [letter(20, minutes) for minutes in range(1, 40)] + [letter(number, 9) for number in range(3)]
    others = [letter(90, 2, sender="HBRT", reason="too_late"), letter(91, 4, sender="HBRT")]
    books.write(*letters, *again, *again, *others)
    expected = sorted([*letters[:20], again[0], *letters[21:], *others], key=lambda one: (NOW - one.received_at, one.letter_id))
    questions = Questions(books.client)
    for most in (1, 2, 7, 31, 100):
        told, after = list[Letter](), None
        while page := questions.dead_letters(limit=most, after=after):
            told += page
            after = paging.of_letter(page[-1])
            assert len(page) == most or len(told) == len(expected)
        assert [(one.letter_id, one.received_at) for one in told] == [(one.letter_id, one.received_at) for one in expected]
    assert [one.letter_id for one in questions.dead_letters("HBRT", "too_late")] == [f"{90:032x}"]
    assert [one.received_at for one in questions.dead_letters(letter=f"{20:032x}", limit=1)] == [NOW - timedelta(minutes=1)]


def test_as_of_is_the_least_clock_and_unknown_until_there_is_one(books: Books) -> None:
    questions = Questions(books.client)
    assert questions.as_of() is None
    books.write(Clock(consignment="clock:0", version=1, ticks={"0/shipment.events.v1/0": NOW}))
    books.write(Clock(consignment="clock:1", version=1, ticks={"0/shipment.events.v1/0": NOW + timedelta(hours=1)}))
    assert questions.as_of() == NOW
    books.write(Clock(consignment="clock:2", version=1))
    assert questions.as_of() == NOW, "a clock without ticks is of a shard that is no more"


def test_the_reader_may_ask_everything_and_write_nothing(console_settings: Settings) -> None:
    from services.runtime.clickhouse import Refused
    from services.sink import migrate

    migrate.apply(console_settings)
    client = connect(console_settings, "reader")
    questions = Questions(client)
    questions.as_of()
    questions.facilities()
    questions.delayed(DelayedFilter(), NOW)
    questions.show("LACDHS-0001")
    questions.similar("x")
    questions.heard()
    questions.raw_pointer("00" * 16)
    questions.raw_ids("000000")
    questions.raw_bytes(0, 0)
    questions.find("X")
    questions.find_events("X")
    questions.inbound(NOW, NOW)
    questions.dwell(NOW, NOW)
    questions.feeds(NOW, NOW)
    questions.unmapped(NOW)
    questions.unmatched(NOW)
    questions.dead_letters()
    with pytest.raises(Refused):
        client.execute("INSERT INTO senders (code) VALUES ('X')")
    client.close()


def test_a_hospital_is_told_what_was_delivered_there_in_the_whole_window(books: Books) -> None:
    def delivered(name: str, days_ago: float, **said: Any) -> Journey:
        at = (now - timedelta(days=days_ago)).isoformat()
        reached = {"milestone": "delivered", "leg": "", "actual": at, "sender": "HBRT", "units_done": 1, "units_total": 1}
        ended = {"stage": "delivered", "milestone": "delivered", "milestone_at": at, "milestones": [reached], "exceptions": []}
        return journey(name, at=at, **(ended | said))

    now = datetime.now(UTC)
    books.write(
        HARBOR,
        delivered("LACDHS-TODAY", 0.5),
        delivered("LACDHS-WEEK", 6),
        delivered("LACDHS-WRONG", 7, exceptions=[exception()]),
        delivered("LACDHS-MONTH", 29),
        delivered("LACDHS-OLD", 40),
    )

    def told(days: int) -> int:
        return Questions(books.client).hospitals(now, now - timedelta(days=days))[0].delivered

    assert [told(days) for days in (1, 2, 8, 30, 400)] == [1, 1, 3, 4, 5]

    def counted_and_listed(days: int) -> tuple[int, int]:
        """As whoever asks at a time that lies back, by the pipeline or in a zone of their own."""
        day, questions = now - timedelta(days=days), Questions(books.client)
        wanted = DelayedFilter(kinds=(), delivered_since=day)
        return questions.standing(day).delivered_today, len(questions.delayed(wanted, now))

    assert [counted_and_listed(days) for days in (1, 2, 8, 30, 400)] == [(1, 1), (1, 1), (3, 3), (4, 4), (5, 5)]


@pytest.mark.parametrize("text", [CONTAINER[:4], CONTAINER[5:7], "-"], ids=["by threes", "shorter", "nothing to look for"])
def test_a_search_looks_at_all_that_ever_was_and_pages_join(books: Books, text: str) -> None:
    ended: dict[str, Any] = {"stage": "delivered", "milestone": "delivered", "exceptions": []}
    books.write(*(journey(f"AAA-{n}", buyer="OTHER", at="2020-04-01T00:00:00Z", **ended) for n in range(5)))
    books.write(journey("ZZZ-1", buyer="LACDHS"), journey("ZZZ-2", buyer="LACDHS", references=[]))
    questions, everybody = Questions(books.client), DelayedFilter(kinds=(), text=text)
    found = [] if text == "-" else ["ZZZ-1", *(f"AAA-{n}" for n in range(5))]
    assert [row.consignment for row in questions.delayed(everybody, NOW)] == found
    assert [row.consignment for row in questions.delayed(replace(everybody, owner="LACDHS"), NOW)] == found[:1]
    for size in (1, 2, 5, 6, 7):
        walked, order = list[str](), Order()
        while True:
            page, after = questions.delayed_page(everybody, NOW, size, order)
            walked += [row.consignment for row in page]
            if after is None:
                break
            order = replace(order, after=after)
        assert walked == found, size
    assert questions.facets(everybody, NOW, Order()).total == len(found)


def test_what_has_ended_does_not_look_open_when_what_hid_it_left_too_early(books: Books, console_settings: Settings) -> None:
    books.client.execute("SYSTEM STOP MERGES open_journeys")
    books.write(journey("LACDHS-GONE"), journey("LACDHS-OPEN"))
    books.write(journey("LACDHS-GONE", version=2, stage="delivered", milestone="delivered", exceptions=[]))
    assert {row.consignment for row in Questions(books.client).delayed(DelayedFilter(), NOW)} == {"LACDHS-OPEN"}
    (part,) = books.client.query("SELECT DISTINCT _part AS name FROM open_journeys WHERE gone")
    books.client.execute(f"ALTER TABLE open_journeys DROP PART '{part['name']}'")  # as its TTL does
    books.client.execute("SYSTEM START MERGES open_journeys")
    assert {row.consignment for row in Questions(books.client).delayed(DelayedFilter(), NOW)} == {"LACDHS-GONE", "LACDHS-OPEN"}
    (here,) = books.client.query("SELECT currentDatabase() AS name")
    migrate.apply(console_settings.model_copy(update={"clickhouse_database": here["name"]}))
    assert {row.consignment for row in Questions(books.client).delayed(DelayedFilter(), NOW)} == {"LACDHS-OPEN"}
    shown = Questions(books.client).show("LACDHS-GONE")
    assert shown is not None
    assert shown.version == 2


@pytest.mark.parametrize("about", [About(), About(state="delivered"), About(facility="H-CEDARS")], ids=str)
def test_messages_come_page_by_page_each_once_and_the_newest_first(books: Books, about: About) -> None:
    """Several are due at a time, and some were written twice."""
    said = [
        one
        for n in range(23)
        for one in world.message(f"LVLA-{n:02d}", "H-CEDARS", NOW - timedelta(minutes=n // 4), "Late", "delivered")
    ]
    books.write(*said, at=NOW)
    books.write(*said[:12], at=NOW)
    books.write(*world.message("LVLA-99", "H-HARBOR", NOW - timedelta(days=8), "Long ago", "suppressed"), at=NOW)
    questions, since = Questions(books.client), NOW - timedelta(days=7)
    whole = questions.messages(since, about)
    assert len({one.notification for one in whole}) == len(whole) == 23
    assert [one.due_at for one in whole] == sorted((one.due_at for one in whole), reverse=True)
    pages, after = list[Told](), None
    while page := questions.messages(since, about, 5, after):
        assert len(page) == 5 or len(pages) + len(page) == 23
        pages += page
        after = page[-1].due_at, page[-1].notification
    assert pages == whole
    for name in ("LVLA-00", "LVLA-22", "LVLA-99"):  # of one consignment they are found another way
        assert questions.messages(since, replace(about, consignment=name)) == [one for one in whole if name in one.consignments]


@pytest.mark.parametrize("state", ["", "delivered"])
def test_what_is_told_is_found_however_far_the_pipelines_time_is_ahead(books: Books, state: str) -> None:
    """In a drill: by the pipeline's time it is three months later than by the broker's and the sender's clock."""
    then = NOW + timedelta(days=90)
    wrong = exception("dwell", severity="critical", start=then, sentence="It stands too long.")
    notified, tried = world.message("LVLA-1", "H-CEDARS", then - timedelta(minutes=30), "Late", "delivered")
    tried = tried.model_copy(update={"at": NOW})
    books.write(Clock(consignment="clock:0", version=1, ticks={"0/shipment.events.v1/0": then}))
    books.write(notified, tried, world.opened("LVLA-1", wrong, then - timedelta(minutes=30), "H-CEDARS"), at=NOW)
    questions = Questions(books.client, clock=ManualClock(NOW))
    (told,) = questions.messages(then - timedelta(days=7), About(state=state))
    assert told.state == "delivered"
    assert [one.consignment for one in questions.changed(then - timedelta(hours=1))] == ["LVLA-1"]
