"""`lovla explain`, `lovla rules backtest`: why a message came or did not, and what rules would have sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Annotated, ParamSpec

import typer

from services.runtime.verbs import AsJson, Stop, Zone, only_one, show, told, zone_of

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from schemas.alerts_v1 import Subscription
    from services.alerts.explain import History
    from services.alerts.matching import Told
    from services.runtime.settings import Settings

P = ParamSpec("P")
For = Annotated[
    str | None, typer.Option("--for", help="Of a consignment, each change for this subscription: its id or beginning.")
]
EVER = datetime(1970, 1, 1, tzinfo=UTC)
_CONSIGNMENT = re.compile(r"[A-Z0-9][A-Z0-9_.-]*-[A-Za-z0-9_./-]+")
_SPAN = re.compile(r"^(\d+)([mhd])$")

rules = typer.Typer(no_args_is_help=True, help="Try the rules of alerts on what has been.")


def register(app: typer.Typer) -> None:
    """Add the verbs to the `lovla` command."""
    app.command("explain")(explain)
    app.add_typer(rules, name="rules")


def _answered(verb: Callable[P, None]) -> Callable[P, None]:
    """What is not known is one sentence too."""

    @wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        from services.alerts.explain import Unknown

        try:
            verb(*args, **kwargs)
        except Unknown as error:
            raise Stop(str(error)) from None

    return run


@told
@_answered
def explain(
    what: Annotated[
        str,
        typer.Argument(
            help="A notification's id or its beginning, a mail's Message-ID, an SMS's id; or a consignment: who was told of it."
        ),
    ],
    subscription: For = None,
    zone: Zone = None,
    as_json: AsJson = False,
) -> None:
    """The whole chain of a message, from the sender's bytes to the provider's receipt; or the rule that held it back.

    Of a consignment: who was told of it, and who was not and why.
    """
    from services.alerts.backtest import BUDGET_OF
    from services.alerts.explain import held
    from services.runtime.clock import SystemClock

    local = zone_of(zone)
    with _history() as (history, settings):
        if subscription is None:
            if _CONSIGNMENT.fullmatch(what) or what.startswith("feed:"):
                _for_whom(history, settings, what, local, as_json)
                return
            links = history.chain(history.notification(what), SystemClock().now())
        else:
            everybody = _subscriptions(settings)
            one = _one_of(everybody, subscription)
            changes = _changes(history, what)
            sent = history.notifications(one.subscription, what)
            spoken = history.spoken(one.subscription, what, changes[0].appended_at - BUDGET_OF)
            links = held(changes, sent, one, everybody, SystemClock().now(), spoken)
            for made in sent:
                chain = history.chain(made, SystemClock().now())
                links += [link for link in chain if link.what in ("message", "delivery", "acknowledged", "care", "held")]
    show([asdict(link) for link in links], ("what", "at", "text", "where"), as_json, local)


def _for_whom(history: History, settings: Settings, what: str, zone: ZoneInfo | None, as_json: bool) -> None:
    """Who was told of a consignment, and who was not."""
    from services.alerts.backtest import BUDGET_OF
    from services.alerts.explain import MOST_TOLD, MOST_UNTOLD, for_whom
    from services.runtime.clock import SystemClock

    changes, everybody = _changes(history, what), _subscriptions(settings)
    since = changes[0].appended_at - BUDGET_OF
    rows, more_told, more_untold = for_whom(
        changes, history.told_about(what), everybody, SystemClock().now(), lambda name: history.spoken(name, what, since)
    )
    columns = ("subscription", "who", "state", "messages", "last_at", "last", "why")
    if rows or as_json:
        show([asdict(row) for row in rows], columns, as_json, zone)
    if more_told:
        typer.echo(f"lovla: {more_told} more were told: only the {MOST_TOLD} that were told last are listed", err=True)
    if more_untold:
        said = f"{more_untold} more were not told: why is looked up for the first {MOST_UNTOLD} by id, and with --for for any"
        typer.echo(f"lovla: {said}", err=True)
    if as_json:
        return
    if rows:
        typer.echo(f"Each change for one of them: `lovla explain {what} --for SUBSCRIPTION`; of a message all: its id alone.")
    else:
        many = f"{len(changes)} changes of {what} are known" if len(changes) > 1 else f"One change of {what} is known"
        typer.echo(f"{many}, and nobody asked to be told: `lovla subscriptions add` does. What is wrong: `lovla show {what}`.")


def _changes(history: History, consignment: str) -> list[Told]:
    found = history.changes(EVER, consignment)
    if not found:
        raise Stop(f"{consignment}: no change of a consignment of that id is known; `lovla find` looks for it")
    return found


@rules.command("backtest")
@told
@_answered
def backtest(
    subscription: Annotated[str, typer.Option("--subscription", help="Its id, or the beginning.")],
    since: Annotated[str, typer.Option("--since", help="RFC 3339, or how long ago: 90m, 36h, 14d.")] = "14d",
    as_if_live: Annotated[
        bool, typer.Option("--as-if-live", help="Also what was loaded as history, as if it had been news when it happened.")
    ] = False,
    why: Annotated[bool, typer.Option("--why", help="What became of each change, instead of the messages.")] = False,
    as_json: AsJson = False,
) -> None:
    """History run through the very rules of the worker: what would have been sent, when, and how much noise that is."""
    from services.alerts import backtest as tested
    from services.runtime.clock import SystemClock

    with _history() as (history, settings):
        everybody = _subscriptions(settings)
        one = _one_of(everybody, subscription)
        changes = history.changes(since_of(since, SystemClock().now()))
    if as_if_live:
        changes = sorted((tested.live(change) for change in changes), key=lambda change: change.appended_at)
    found = tested.run(changes, one, everybody)
    if why:
        became = [
            {
                "at": verdict.at,
                "consignment": verdict.told.change.consignment,
                "change": verdict.told.change.change,
                "change_id": verdict.told.change.change_id,
                "became": verdict.text,
                "until": verdict.until,
                "notification": verdict.notification,
            }
            for verdict in found.verdicts
        ]
        show(became, ("at", "consignment", "change", "became", "until", "notification"), as_json)
        return
    rows = [
        {
            "at": made.due_at,
            "purpose": made.purpose,
            "severity": made.severity,
            "things": made.count,
            "subject": made.subject,
            "notification": made.notification,
        }
        for made in found.sent
    ]
    show(rows, ("at", "purpose", "severity", "things", "subject"), as_json)
    show([found.noise], tuple(found.noise), as_json)


def since_of(text: str, now: datetime) -> datetime:
    """`14d`, `36h`, `90m`, or a time. Raises Stop."""
    span = _SPAN.match(text)
    if span is not None:
        unit = {"m": "minutes", "h": "hours", "d": "days"}[span[2]]
        return now - timedelta(**{unit: int(span[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Stop(f"--since {text}: say RFC 3339, or how long ago, like 36h or 14d") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _subscriptions(settings: Settings) -> dict[str, Subscription]:
    from services.alerts.subscriptions import view

    found = view(settings)
    found.start()
    try:
        return dict(found.snapshot())
    finally:
        found.close()


def _one_of(everybody: dict[str, Subscription], begin: str) -> Subscription:
    return everybody[only_one(begin, sorted(everybody), "subscriptions", "lovla subscriptions list")]


@contextmanager
def _history() -> Iterator[tuple[History, Settings]]:
    from services.alerts.explain import History
    from services.runtime.clickhouse import connect
    from services.runtime.settings import Settings

    settings = Settings.load()
    client = connect(settings, "reader")
    try:
        yield History(client), settings
    finally:
        client.close()
