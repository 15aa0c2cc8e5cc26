"""`lovla alerts`: how delivery stands, the kill switch, and another attempt at what is dead."""

from __future__ import annotations

import getpass
from typing import Annotated, Any, Literal

import typer

from services.runtime.verbs import AsJson, Stop, show, told

By = Annotated[str | None, typer.Option("--by", help="Who says so; else the user of this machine.")]

alerts = typer.Typer(no_args_is_help=True, help="How delivery stands; hold all messages back; try dead ones again.")


def register(app: typer.Typer) -> None:
    """Add the verbs to the `lovla` command."""
    app.add_typer(alerts, name="alerts")


@alerts.command("status")
@told
def status(as_json: AsJson = False) -> None:
    """The kill switch, and what became of the notifications of the last two days."""
    from services.alerts.attempts import MEMORY
    from services.alerts.control import standings, switch
    from services.runtime.clock import SystemClock
    from services.runtime.messages_held import in_words
    from services.runtime.settings import Settings

    settings = Settings.load()
    word, now = switch(settings), SystemClock().now()
    found = standings(settings, now - MEMORY)
    rows: list[dict[str, Any]] = [{"what": "switch", "count": None, "said": in_words(word)}]
    rows.append({"what": "not taken yet", "count": found.unread, "said": None})
    rows += [{"what": state, "count": count, "said": None} for state, count in found.by_state().items()]
    show(rows, ("what", "count", "said"), as_json)


@alerts.command("dead")
@told
def dead(as_json: AsJson = False) -> None:
    """What was given up within the last two days, and why: `lovla alerts retry` tries it again."""
    from services.alerts.attempts import MEMORY
    from services.alerts.control import standings
    from services.runtime.clock import SystemClock
    from services.runtime.settings import Settings

    found = standings(Settings.load(), SystemClock().now() - MEMORY)
    rows = [record.model_dump(mode="json" if as_json else "python") for record in found.last.values() if record.state == "dead"]
    show(rows, ("notification", "subscription", "channel", "attempt", "at", "reason", "text"), as_json)


@alerts.command("pause")
@told
def pause(
    reason: Annotated[str, typer.Argument(help="Why, for whoever sees it.")],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Hold all messages back, from now on, until `lovla alerts resume`. They wait, and grow stale by their own time."""
    _move("pause", reason, by, as_json)


@alerts.command("resume")
@told
def resume(by: By = None, as_json: AsJson = False) -> None:
    """Let messages out again."""
    _move("resume", None, by, as_json)


@alerts.command("retry")
@told
def retry(
    notification: Annotated[list[str] | None, typer.Argument(help="Ids, as `lovla alerts dead` shows them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All dead ones.")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Try dead ones again, once each, however old; who has stopped meanwhile gets nothing all the same."""
    from schemas.alerts_v1 import AlertsControl
    from services.alerts.attempts import MEMORY
    from services.alerts.control import standings, tell
    from services.runtime.clock import SystemClock
    from services.runtime.settings import Settings

    settings, now = Settings.load(), SystemClock().now()
    found = {name: record for name, record in standings(settings, now - MEMORY).last.items() if record.state == "dead"}
    wanted = list(found) if everything else list(notification or ())
    if not everything and not wanted:
        raise Stop("name notifications, or say --all; `lovla alerts dead` lists them.")
    strange = [name for name in wanted if name not in found]
    if strange:
        raise Stop(f"{strange[0]} is not dead; `lovla alerts dead` lists those that are.")
    for name in wanted:
        tell(settings, AlertsControl(act="retry", at=now, by=_who(by), notification=name))
    show([{"notification": name, "asked": True} for name in wanted], ("notification", "asked"), as_json)


def _move(act: Literal["pause", "resume"], reason: str | None, by: str | None, as_json: bool) -> None:
    from schemas.alerts_v1 import AlertsControl
    from services.alerts.control import tell
    from services.runtime.clock import SystemClock
    from services.runtime.messages_held import in_words
    from services.runtime.settings import Settings

    word = AlertsControl(act=act, at=SystemClock().now(), by=_who(by), reason=reason)
    tell(Settings.load(), word)
    show([{"switch": in_words(word)}], ("switch",), as_json)


def _who(by: str | None) -> str:
    return by or getpass.getuser()
