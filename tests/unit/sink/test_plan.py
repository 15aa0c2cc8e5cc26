"""The plan of a block, and what is made of it after a crash: pure."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sink.plan import BadPlan, Plan, block_length, judge, month, token

APRIL, MAY = 1_586_700_000_000, 1_588_300_000_000


@given(st.integers(0, 2**62), st.integers(0, 2**40))
def test_a_plan_comes_back_from_the_commits_metadata(first: int, more: int) -> None:
    plan = Plan(first, first + more)
    assert Plan.decode(plan.encode()) == plan


@pytest.mark.parametrize("metadata", ["", None])
def test_no_metadata_is_no_plan(metadata: str | None) -> None:
    assert Plan.decode(metadata) is None


@pytest.mark.parametrize("metadata", ["v2|1|2", "v1|1", "v1|x|2", "v1|5|4", "v1|-1|4", "v1|1|2|3", "v1|\u0661|2", "hello"])
def test_what_is_no_plan_of_ours_is_refused(metadata: str) -> None:
    with pytest.raises(BadPlan):
        Plan.decode(metadata)


def test_a_topic_made_anew_gets_other_tokens() -> None:
    assert token("id-1", 0, Plan(0, 9)) != token("id-2", 0, Plan(0, 9))


def test_a_block_ends_at_the_months_end() -> None:
    assert month(APRIL) != month(MAY)
    assert block_length([(APRIL, 1), (APRIL, 1), (MAY, 1), (APRIL, 1)]) == 2


def test_a_block_is_bounded_by_rows_and_bytes_and_holds_at_least_one() -> None:
    assert block_length([(APRIL, 1)] * 10, max_rows=4) == 4
    assert block_length([(APRIL, 6)] * 10, max_bytes=13) == 2
    assert block_length([(APRIL, 100)], max_bytes=13) == 1
    assert block_length([]) == 0


def test_a_probe_is_judged() -> None:
    assert judge(5, 5, 5) == "there"
    assert judge(5, 0, 0) == "none"
    assert judge(5, 4, 4) == "torn"
    assert judge(5, 6, 5) == "torn"
    assert judge(5, 5, 4) == "torn"


@dataclass
class Broker:
    """A partition with gaps, and what a group committed."""

    offsets: list[int]
    committed: int = 0
    metadata: str = ""


@dataclass
class Table:
    """Rows, and the tokens of blocks that were inserted."""

    rows: list[int] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    def insert(self, block: list[int], name: str) -> None:
        if name not in self.tokens:
            self.tokens.add(name)
            self.rows += block


class Crash(Exception):
    pass


def life(broker: Broker, table: Table, chance: random.Random) -> None:
    """One life of a sink by the protocol of services/sink/logs.py: it may crash between any two steps and cut blocks anyhow."""

    def maybe() -> None:
        if chance.random() < 0.2:
            raise Crash

    plan = Plan.decode(broker.metadata)
    left = [offset for offset in broker.offsets if offset >= broker.committed]
    if plan is not None:
        block = [offset for offset in left if offset <= plan.last]
        found = [row for row in table.rows if plan.first <= row <= plan.last]
        verdict = judge(len(block), len(found), len(set(found)))
        assert verdict != "torn"
        if verdict == "none":
            table.insert(block, token("t", 0, plan))
        maybe()
        left = left[len(block) :]
    while left:
        block = left[: chance.randint(1, 7)]
        plan = Plan(block[0], block[-1])
        maybe()
        broker.committed, broker.metadata = plan.first, plan.encode()
        maybe()
        for _ in range(chance.randint(1, 3)):  # an unknown outcome is tried again
            table.insert(block, token("t", 0, plan))
        maybe()
        left = left[len(block) :]
        if chance.random() < 0.5:  # else the next plan's commit says it
            broker.committed, broker.metadata = plan.last + 1, ""
            maybe()


@given(st.sets(st.integers(0, 400), min_size=1, max_size=120), st.integers(0, 2**32))
def test_whatever_crashes_each_record_is_one_row(offsets: set[int], seed: int) -> None:
    chance = random.Random(seed)
    broker, table = Broker(sorted(offsets)), Table()
    for _ in range(10_000):
        try:
            life(broker, table, chance)
            break
        except Crash:
            continue
    assert sorted(table.rows) == broker.offsets
