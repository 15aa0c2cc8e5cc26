"""What people did about consignments, as the work list and the history tell it, on a real ClickHouse."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.work_act_v1 import WorkAct
from services.console.questions import TO_DO_AMONG, DelayedFilter, Order, Questions
from services.runtime.clickhouse import ClickHouse
from tests.integration.console.conftest import Books
from tests.unit.sink.examples import exception, journey

NOW = datetime(2020, 4, 12, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATE, OVERDUE = "late:discharged", "overdue:gate_out"
START = "2020-04-11T00:00:00Z"


def act(number: int, kind: str, consignment: str = "LACDHS-1", at: datetime = NOW, **said: Any) -> WorkAct:
    return WorkAct.model_validate(
        {"act_id": f"{number:032x}", "act": kind, "consignment": consignment, "at": at, "by": "ana", "sender": "OPS"} | said
    )


def late(**said: Any) -> dict[str, Any]:
    return exception(key=LATE, start=START, **said)


def test_what_somebody_takes_care_of_is_so_until_something_else_opens_or_it_is_undone(books: Books) -> None:
    ask = Questions(books.client)
    books.write(journey("LACDHS-1", exceptions=[late()]), journey("LACDHS-2", exceptions=[late()]))
    books.write(act(1, "acknowledge", exceptions=[LATE]), act(1, "acknowledge", exceptions=[LATE]))  # a repeat is one

    def taken() -> dict[str, str]:
        return {row.consignment: row.acknowledged_by for row in ask.delayed(DelayedFilter(), NOW)}

    def chosen(work: str) -> list[str]:
        return [row.consignment for row in ask.delayed(DelayedFilter(work=work), NOW)]

    assert taken() == {"LACDHS-1": "ana", "LACDHS-2": ""}
    assert (chosen("acknowledged"), chosen("to_do")) == (["LACDHS-1"], ["LACDHS-2"])
    again = [late(), exception("overdue", key=OVERDUE, start=START)]
    books.write(journey("LACDHS-1", version=1_586_700_000_001, exceptions=again))
    assert taken()["LACDHS-1"] == ""
    assert ask.delayed(DelayedFilter(), NOW)[0].keys == [LATE, OVERDUE]
    books.write(act(2, "acknowledge", at=NOW + HOUR, exceptions=[OVERDUE]))
    assert taken()["LACDHS-1"] == "ana"
    books.write(act(3, "undo", at=NOW + 2 * HOUR, undoes=f"{2:032x}"))
    assert taken()["LACDHS-1"] == ""
    newer = [exception(key=LATE, start="2020-04-12T20:00:00Z")]  # it was over, and is so again
    books.write(journey("LACDHS-1", version=1_586_700_000_002, exceptions=newer))
    assert taken()["LACDHS-1"] == ""


def test_the_newest_of_each_kind_counts_and_undoing_it_brings_back_what_was_before(books: Books) -> None:
    ask = Questions(books.client)
    until = NOW + 6 * HOUR
    books.write(journey("LACDHS-1", exceptions=[late()]))
    books.write(
        act(1, "assign", assignee="ben"),
        act(2, "assign", at=NOW + HOUR, assignee="cleo", by="ben"),
        act(3, "note", text="<b>called</b>"),
        act(4, "snooze", exceptions=[LATE], until=until),
    )
    (row,) = ask.delayed(DelayedFilter(), NOW)
    assert (row.assigned_to, row.note, row.noted_by, row.snoozed_until) == ("cleo", "<b>called</b>", "ana", until)
    assert [one.consignment for one in ask.delayed(DelayedFilter(work="snoozed", assigned="cleo"), NOW)] == ["LACDHS-1"]
    assert ask.delayed(DelayedFilter(work="to_do"), NOW) == []
    assert ask.delayed(DelayedFilter(work="to_do"), until)[0].snoozed_until is None
    books.write(act(5, "undo", at=NOW + 2 * HOUR, undoes=f"{2:032x}", by="ben"))
    (row,) = ask.delayed(DelayedFilter(), NOW)
    assert row.assigned_to == "ben"
    told = ask.work_done("LACDHS-1")
    assert [(one.act, one.by, one.undone_by) for one in told] == [
        ("assign", "ben", "ben"),
        ("assign", "ana", ""),
        ("note", "ana", ""),
        ("snooze", "ana", ""),
    ]
    assert (told[0].undone_at, told[1].undone_at) == (NOW + 2 * HOUR, None)
    assert ask.facets(DelayedFilter(work="snoozed"), NOW, Order()).total == 1


def test_an_undo_takes_back_an_act_of_its_own_consignment_alone(books: Books) -> None:
    ask = Questions(books.client)
    books.write(journey("LACDHS-1", exceptions=[late()]))
    books.write(act(1, "acknowledge", exceptions=[LATE]), act(2, "undo", "LACDHS-2", at=NOW + HOUR, undoes=f"{1:032x}"))
    assert ask.delayed(DelayedFilter(), NOW)[0].acknowledged_by == "ana"
    assert [one.undone_by for one in ask.work_done("LACDHS-1")] == [""]


def test_a_consignment_waits_only_while_all_that_is_wrong_with_it_may(books: Books) -> None:
    ask = Questions(books.client)
    overdue = exception("overdue", key=OVERDUE, start=START, severity="minor")  # not the worst

    def until() -> datetime | None:
        (row,) = ask.delayed(DelayedFilter(), NOW)
        waits = [one.consignment for one in ask.delayed(DelayedFilter(work="snoozed"), NOW)]
        assert bool(waits) == (row.snoozed_until is not None)
        assert bool(waits) != bool(ask.delayed(DelayedFilter(work="to_do"), NOW))
        return row.snoozed_until

    books.write(journey("LACDHS-1", exceptions=[late()]))
    books.write(act(1, "snooze", exceptions=[LATE], until=NOW + 6 * HOUR))
    assert until() == NOW + 6 * HOUR
    books.write(journey("LACDHS-1", version=1_586_700_000_001, exceptions=[late(), overdue]))
    assert until() is None
    books.write(act(2, "snooze", exceptions=[OVERDUE], until=NOW + 2 * HOUR))
    assert until() == NOW + 2 * HOUR  # the first that is up
    books.write(journey("LACDHS-1", version=1_586_700_000_002, exceptions=[]))
    assert ask.delayed(DelayedFilter(kinds=()), NOW)[0].snoozed_until is None


class InOne(Questions):
    """Asks each in one question, as what comes as Arrow is."""

    _in_parts = False


def test_what_was_done_is_the_same_in_one_question_or_put_together_of_what_was_written(books: Books) -> None:
    books.write(
        act(1, "note", text="first"),
        act(2, "assign", at=NOW + HOUR, assignee="ben"),
        act(3, "note", at=NOW + HOUR, text="at the same time"),
        act(3, "note", at=NOW + HOUR, text="at the same time"),  # written twice
        act(4, "undo", at=NOW + 3 * HOUR, undoes=f"{1:032x}", by="ben"),
        act(5, "undo", at=NOW + 2 * HOUR, undoes=f"{1:032x}", by="cleo"),  # who was first counts
        act(6, "undo", at=NOW + HOUR, undoes=f"{9:032x}"),  # of nothing that is here
        act(7, "snooze", "LACDHS-2", exceptions=[LATE], until=NOW + HOUR),
    )
    for name in ("LACDHS-1", "LACDHS-2", "LACDHS-3"):
        assert Questions(books.client).work_done(name) == InOne(books.client).work_done(name), name
    told = [(one.text, one.assignee, one.undone_by) for one in Questions(books.client).work_done("LACDHS-1")]
    assert told == [("", "ben", ""), ("at the same time", "", ""), ("first", "", "cleo")]


class Listens:
    """A ClickHouse that knows what it was asked."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clickhouse, name)

    def query(
        self, sql: str, params: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> list[dict[str, Any]]:
        self.asked.append(sql)
        return self._clickhouse.query(sql, params, settings)


ROWS = 4
AMONG = (ROWS + 1) * TO_DO_AMONG


@pytest.mark.parametrize(
    ("taken", "looks_at_all"),
    [(0, False), (AMONG - ROWS - 1, False), (AMONG - ROWS, True), (AMONG + 3, True)],
    ids=["nothing is taken", "enough are left", "one too few is left", "none is left"],
)
def test_a_page_by_nobody_yet_is_the_same_however_many_are_taken_before_it(
    books: Books, taken: int, looks_at_all: bool
) -> None:
    many = AMONG + 10
    names = [f"LACDHS-{number:03d}" for number in range(many)]
    books.write(*(journey(name, exceptions=[late()]) for name in names))
    books.write(*(act(number, "acknowledge", names[number], exceptions=[LATE]) for number in range(taken)))
    books.write(
        act(many, "acknowledge", names[taken], exceptions=["of something else"]),
        act(many + 1, "note", names[taken], text="called"),
    )
    clickhouse, order, walked = Listens(books.client), Order("consignment"), list[str]()
    ask, wanted = Questions(clickhouse), DelayedFilter(work="to_do")
    page, after = ask.delayed_page(wanted, NOW, ROWS, order)
    assert any("HAVING" in sql for sql in clickhouse.asked) == looks_at_all
    assert page == ask.delayed(wanted, NOW, ROWS, order)
    while page:
        walked += [row.consignment for row in page]
        if after is None:
            break
        page, after = ask.delayed_page(wanted, NOW, ROWS, Order("consignment", after=after))
    assert walked == names[taken:]
