"""History through the worker's rules, and the words that explain it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.alerts import backtest, explain
from services.alerts.matching import Told
from services.alerts.rules_cli import since_of
from services.runtime.verbs import Stop
from tests.unit.alerts.build import NOW, change, subscription


def history(*kinds: str | tuple[str, dict[str, Any]], apart: timedelta = timedelta(hours=1)) -> list[Told]:
    told = []
    for n, kind in enumerate(kinds):
        name, fields = (kind, {}) if isinstance(kind, str) else kind
        at = NOW + n * apart
        told.append(Told(change(name, n + 1, at=at, **fields), 0, n, at))
    return told


def test_history_says_what_would_have_been_sent_and_why_the_rest_would_not() -> None:
    told = history("exception_opened", "exception_changed", "exception_ended", ("exception_opened", {"cause": "refold"}))
    run = backtest.run(told, subscription(), {})
    assert [made.items[0].step for made in run.sent] == ["opened", "ended"]
    assert [made.due_at - NOW for made in run.sent] == [timedelta(seconds=1), timedelta(hours=2, seconds=1)]
    assert [verdict.text for verdict in run.verdicts] == [
        "told",
        "no worse than what was told",
        "told",
        "not news: its cause is refold",
    ]
    assert run.verdicts[0].notification == run.sent[0].notification
    assert run.noise == {"changes": 4, "told": 2, "messages": 2, "messages_a_day": 2, "most_in_an_hour": 1}


def test_a_loaded_history_can_be_tried_as_if_it_had_been_news() -> None:
    told = history(("exception_opened", {"cause": "backfill"}))
    assert backtest.run(told, subscription(), {}).sent == []
    assert len(backtest.run(map(backtest.live, told), subscription(), {}).sent) == 1


def test_what_a_filter_held_back_names_the_filter() -> None:
    run = backtest.run(history("exception_opened"), subscription(carriers=["MSCU"]), {})
    assert run.sent == []
    assert run.verdicts[0].text == "carriers: it wants MSCU"


def test_every_change_has_exactly_one_verdict() -> None:
    told = history(*("exception_opened", "exception_ended") * 40, apart=timedelta(minutes=1))
    run = backtest.run(told, subscription(digest="hourly"), {})
    assert [verdict.told.offset for verdict in run.verdicts] == list(range(80))
    assert all(verdict.text for verdict in run.verdicts)


def test_an_explanation_says_of_each_change_by_which_message_it_was_told_or_what_held_it_back() -> None:
    told = history("exception_opened", "exception_changed")
    run = backtest.run(told, subscription(), {})
    links = explain.held(told, run.sent, subscription(), {})
    assert [(link.what, link.where) for link in links] == [("told", run.sent[0].notification), ("held", "")]
    assert links[1].text == "late:arrived changed (major): Late.: no worse than what was told"
    assert [link.what for link in explain.held(told, [], subscription(), {})] == ["untold", "held"]


SECONDS, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def test_what_goes_with_more_of_a_cause_that_another_consignment_opened_is_explained_as_that() -> None:
    """The other's message was told at NOW; this one is known to have come a moment later, though the broker took it before."""
    told = [Told(change(n=1, voyage="015E"), 0, 0, NOW - SECONDS)]
    opened = backtest.Spoken(NOW, frozenset(["delay  015E"]))
    (link,) = explain.held(told, [], subscription(), {}, NOW + MINUTE, [opened])
    assert (link.what, link.text) == (
        "held",
        "late:arrived opened (major): Late.: more of the same cause is collected, until 2020-04-12 18:05 UTC",
    )
    (link,) = explain.held(told, [], subscription(), {}, NOW + 6 * MINUTE, [opened])
    assert link.what == "untold", "the window is over, and so it should have gone"
    over = [*told, Told(change("exception_ended", 2, voyage="015E"), 0, 1, NOW + MINUTE)]
    links = explain.held(over, [], subscription(), {}, NOW + 9 * MINUTE, [opened])
    assert [link.what for link in links] == ["held", "held"]
    assert links[1].text.endswith("it was over before it was told")
    other = backtest.Spoken(NOW, frozenset(["delay  016W"]))
    (link,) = explain.held(told, [], subscription(), {}, NOW + MINUTE, [other])
    assert link.what == "untold"


def test_what_was_told_of_other_consignments_counts_against_the_budget() -> None:
    told = [Told(change(), 0, 0, NOW)]
    spoken = [backtest.Spoken(NOW - n * MINUTE, frozenset()) for n in (50, 40)]
    (link,) = explain.held(told, [], subscription(most_an_hour=2), {}, NOW + MINUTE, spoken)
    assert link.text.endswith("the budget of 2 messages an hour is spent, until 2020-04-12 18:10 UTC")
    (link,) = explain.held(told, [], subscription(most_an_hour=3), {}, NOW + MINUTE, spoken)
    assert link.what == "untold"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("36h", NOW - timedelta(hours=36)),
        ("14d", NOW - timedelta(days=14)),
        ("2020-04-01", datetime(2020, 4, 1, tzinfo=UTC)),
        ("2020-04-01T08:00:00-07:00", datetime(2020, 4, 1, 15, tzinfo=UTC)),
    ],
)
def test_since_is_a_time_or_how_long_ago(text: str, moment: datetime) -> None:
    assert since_of(text, NOW) == moment


def test_since_that_is_neither_is_told_so() -> None:
    with pytest.raises(Stop, match="--since yesterday"):
        since_of("yesterday", NOW)
