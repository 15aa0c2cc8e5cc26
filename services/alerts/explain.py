"""The chain behind a message, from the sender's bytes to the provider's receipt; or the rule that held it back.

What was sent is read from ClickHouse's log tables, link by link. What was not is found by running the consignment's changes
through the worker's own rules (backtest.py): they are pure, so they say now what they said then, for the subscription as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Any

from schemas.alerts_v1 import Notification, Subscription
from schemas.journey_change_v1 import CHANGE, Change, ExceptionChanged
from services.alerts import backtest
from services.alerts.matching import Told
from services.runtime.clickhouse import ClickHouse

MOST_CHANGES = 100_000


@dataclass(frozen=True, slots=True)
class Link:
    """One link of a chain: `what` (message, change, event, bytes, delivery, held), and what there is to say of it."""

    what: str
    at: datetime | None
    text: str
    where: str = ""


class Unknown(Exception):
    """There is nothing of that name; the text says what to do."""


class History:
    """What the log tables hold. Raises ClickHouseError when there is no answer."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    def notification(self, id_: str) -> Notification:
        """By its id, or the beginning of it. Raises Unknown."""
        rows = self._ask("notification", id=id_)
        if len(rows) != 1:
            text = "no notification has that id (yet); give it a second" if not rows else "several notifications begin so"
            raise Unknown(f"{id_}: {text}")
        return Notification.model_validate_json(rows[0]["record"], extra="ignore")

    def notifications(self, subscription: str, consignment: str) -> list[Notification]:
        """What was due to a subscriber about a consignment."""
        rows = self._ask("notifications_of", subscription=subscription, consignment=consignment)
        found = [Notification.model_validate_json(row["record"], extra="ignore") for row in rows]
        return [one for one in found if any(item.consignment == consignment for item in one.items)]

    def changes(self, since: datetime, consignment: str = "") -> list[Told]:
        """What the rules read, in the order in which the broker took it."""
        rows = self._ask("changes_since", since=since, consignment=consignment, limit=MOST_CHANGES)
        return [
            Told(
                CHANGE.validate_json(row["record"], extra="ignore"),
                int(row["partition"]),
                int(row["offset"]),
                row["appended_at"],
            )
            for row in rows
        ]

    def chain(self, made: Notification) -> list[Link]:
        """From the bytes to the receipt."""
        changes = [
            CHANGE.validate_json(row["record"], extra="ignore") for row in self._ask("evidence_of", ids=list(made.changes))
        ]
        links = self._sources(changes)
        links += [
            Link("change", change.at, _said(change), f"{change.consignment} version {change.version}") for change in changes
        ]
        links.append(Link("message", made.due_at, f"{made.purpose}: {made.subject}", made.notification))
        if made.escalates is not None:
            links.append(Link("escalation", made.due_at, "nobody acknowledged the first message", made.escalates))
        for row in self._ask("deliveries_of", notification=made.notification):
            said = " ".join(text for text in (row["provider"], row["provider_ref"], row["text"]) if text)
            links.append(Link("delivery", row["at"], f"attempt {row['attempt']}: {row['state']}", said))
        return links

    def _sources(self, changes: Sequence[Change]) -> list[Link]:
        events = [id_ for change in changes if isinstance(change, ExceptionChanged) for id_ in change.exception.evidence]
        links = []
        for row in self._ask("raw_of", ids=sorted(set(events))) if events else []:
            place = f"raw.messages.v1 {row['raw_partition']}:{row['raw_offset']} {row['raw_position']}".rstrip()
            text = f"{row['sender']} sent {row['bytes']:,} bytes of {row['content_type'] or 'unknown type'}"
            links.append(Link("bytes", row["received_at"], text, f"{place} sha256 {row['sha256']}"))
            text = f"{row['standard']} {row['code']}, {row['occurred_at']:%d %b %H:%M} UTC"
            links.append(Link("event", row["received_at"], text, row["event_id"]))
        return links

    def _ask(self, name: str, **params: object) -> list[dict[str, Any]]:
        return self._clickhouse.query(sql(name), params)


def sql(name: str) -> str:
    """The text of queries/NAME.sql."""
    return (files("services.alerts") / "queries" / f"{name}.sql").read_text(encoding="utf-8")


def held(
    history: Sequence[Told], sent: Sequence[Notification], subscription: Subscription, others: Mapping[str, Subscription]
) -> list[Link]:
    """What became of every change of a consignment, for one subscriber: told, by which message; or why not."""
    links = []
    told_by = {change: made.notification for made in sent for change in made.changes}
    for verdict in backtest.run(history, subscription, others).verdicts:
        change = verdict.told.change
        really = told_by.get(change.change_id)
        if really is not None:
            links.append(Link("told", verdict.at, _said(change), really))
        elif verdict.notification is not None:
            text = f"{_said(change)}: the rules tell it, and no message says so (not yet, or before the subscription stood so)"
            links.append(Link("untold", verdict.at, text))
        else:
            until = f", until {verdict.until:%Y-%m-%d %H:%M} UTC" if verdict.until else ""
            links.append(Link("held", verdict.at, f"{_said(change)}: {verdict.text}{until}"))
    return links


def _said(change: Change) -> str:
    if isinstance(change, ExceptionChanged):
        verb = change.change.removeprefix("exception_")
        return f"{change.exception.key} {verb} ({change.exception.severity}): {change.exception.sentence}"
    milestone = getattr(change, "milestone", None)
    return f"{change.change.replace('_', ' ')} {milestone}" if milestone else change.change.replace("_", " ")
