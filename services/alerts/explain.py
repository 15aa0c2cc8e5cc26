"""The chain behind a message, from the sender's bytes to the provider's receipt; or the rule that held it back.

What was sent is read from ClickHouse's log tables, link by link. What was not is found by running the consignment's changes
through the worker's own rules (backtest.py): they are pure, so they say now what they said then, for the subscription as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Any

from schemas.alerts_v1 import Notification, Subscription
from schemas.journey_change_v1 import CHANGE, Change, ExceptionChanged, HandedOver, MilestoneReached
from schemas.work_act_v1 import WorkAct
from services.alerts import backtest
from services.alerts.backtest import Spoken
from services.alerts.care import Work
from services.alerts.matching import Told
from services.alerts.rules import asleep_by, cause_of
from services.runtime.clickhouse import ClickHouse

MOST_CHANGES = 100_000
MOST_SPOKEN = 10_000
MOST_TOLD = 500
"""Subscriptions that were told of a consignment are listed so far: those that were told last."""
MOST_UNTOLD = 50
"""For so many subscriptions that were told nothing it is found out why: each goes through all changes."""
FEED = "feed:"
_ID = re.compile(r"[0-9a-f]{6,32}")


@dataclass(frozen=True, slots=True)
class Link:
    """One link of a chain: `what` (bytes, event, command, change, consent, message, escalation, delivery, acknowledged, care;
    told, untold, held), and what there is to say of it."""

    what: str
    at: datetime | None
    text: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class ForWhom:
    """What a subscription was told of a consignment: how many messages, and the last of them; where none, `why` not."""

    subscription: str
    who: str
    state: str
    messages: int
    last_at: datetime | None
    last: str
    why: str


class Unknown(Exception):
    """There is nothing of that name; the text says what to do."""


class History:
    """What the log tables hold. Raises ClickHouseError when there is no answer."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    def notification(self, name: str) -> Notification:
        """By its id, or the beginning of it; or by what its recipient has: the mail's Message-ID, the provider's id of an SMS.
        Raises Unknown."""
        rows = self._ask("notification", id=name) if _ID.fullmatch(name) else []
        if not rows:
            known = self._ask("notification_by_ref", ref=name)
            rows = self._ask("notification", id=known[0]["notification"]) if len(known) == 1 else []
        if len(rows) != 1:
            text = "no message has that id (yet); give it a second" if not rows else "several notifications begin so"
            raise Unknown(f"{name}: {text}")
        return Notification.model_validate_json(rows[0]["record"], extra="ignore")

    def notifications(self, subscription: str, consignment: str) -> list[Notification]:
        """What was due to a subscriber about a consignment."""
        rows = self._ask("notifications_of", subscription=subscription, consignment=consignment)
        found = [Notification.model_validate_json(row["record"], extra="ignore") for row in rows]
        return [one for one in found if any(item.consignment == consignment for item in one.items)]

    def told_about(self, consignment: str) -> list[tuple[str, int, datetime, str]]:
        """All who were told anything about it: the subscription, how many messages, and when the last was due and which; the
        newest first."""
        rows = self._ask("told_about", consignment=consignment)
        return [(row["subscription"], row["messages"], row["last_at"], row["last"]) for row in rows]

    def spoken(self, subscription: str, consignment: str, since: datetime) -> list[Spoken]:
        """What a subscriber was told since then about other consignments, in the order of time."""
        given = {"subscription": subscription, "consignment": consignment, "since": since, "limit": MOST_SPOKEN}
        causes = {
            change.change_id: cause_of(change)
            for row in self._ask("opened_for", **given)
            if isinstance(change := CHANGE.validate_json(row["record"], extra="ignore"), ExceptionChanged)
            and change.exception.status == "open"
        }
        rows = self._ask("told_to", **given)
        return [Spoken(row["due_at"], frozenset(causes[id_] for id_ in row["changes"] if id_ in causes)) for row in rows]

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

    def chain(self, made: Notification, now: datetime | None = None) -> list[Link]:
        """From the bytes to the receipt. `now`: when it is asked whether people keep the second contact asleep."""
        rows = self._ask("evidence_of", ids=list(made.changes))
        changes = [CHANGE.validate_json(row["record"], extra="ignore") for row in rows]
        links = self._sources(changes)
        # when the broker took it: a change's own time is the pipeline's, of the last tick, seconds before the bytes behind it
        links += [
            Link("change", row["appended_at"], _said(change), f"{change.consignment} version {change.version}")
            for row, change in zip(rows, changes, strict=True)
        ]
        if made.purpose in ("confirm", "notice"):
            links += self._agreed(made)
        links.append(Link("message", made.due_at, f"{made.purpose}: {made.subject}", made.notification))
        if made.escalates is not None:
            links.append(Link("escalation", made.due_at, "nobody acknowledged the first message", made.escalates))
        for row in self._ask("deliveries_of", notification=made.notification):
            said = " ".join(text for text in (row["provider"], row["provider_ref"], row["text"]) if text)
            why = f" ({row['reason']})" if row["reason"] else ""
            links.append(Link("delivery", row["at"], f"attempt {row['attempt']}: {row['state']}{why}", said))
        for row in self._ask("acknowledged", notification=made.notification):
            code = f" {row['code']}" if row["code"] else ""
            links.append(Link("acknowledged", row["at"], f"by {row['by'] or 'somebody'}: {row['source'] or 'unsaid'}{code}"))
        if made.code is not None and made.escalates is None:
            links += self._care(made, changes, now or made.due_at)
        return links

    def _care(self, made: Notification, changes: Sequence[Change], now: datetime) -> list[Link]:
        """What people did about what a message wants acknowledged, and whether that keeps its second contact asleep."""
        rows = self._ask("work_of", consignments=sorted({item.consignment for item in made.items}))
        acts = [WorkAct.model_validate_json(row["record"], extra="ignore") for row in rows]
        keys = {(item.consignment, item.key) for item in made.items}
        about = {act.act_id for act in acts if any((act.consignment, key) in keys for key in act.exceptions)}
        links = [Link("care", act.at, _done(act), act.consignment) for act in acts if {act.act_id, act.undoes} & about]
        work, found_at = Work(acts), {change.change_id: change.at for change in changes}
        for item in made.items:
            care = work.care(item.consignment, item.key, found_at.get(item.evidence) or made.due_at, now)
            if care is not None:
                until = f", until {care.until:%Y-%m-%d %H:%M} UTC" if care.until else ""
                links.append(Link("held", now, f"{item.key}: {asleep_by(care)}{until}", item.consignment))
        return links

    def _agreed(self, made: Notification) -> list[Link]:
        """Of a message about the subscription itself: what its subscriber was asked, or had agreed to."""
        rows = self._ask("consent_of", subscription=made.subscription, until=made.due_at)
        return [
            Link(
                "consent",
                row["at"],
                f"{row['act']} by {row['by']}, {row['source']}: {row['shown']}".rstrip(": "),
                made.subscription,
            )
            for row in rows
        ]

    def _sources(self, changes: Sequence[Change]) -> list[Link]:
        """The bytes behind the changes: of the events that are evidence, of the statement that a milestone follows, of a dock's
        receipt; where nothing was said, of the plan that was not kept, or of the last word before a silence."""
        statements = self._statements(changes)
        evidence = {change.change_id: _evidence(change, statements.get(change.consignment, ())) for change in changes}
        ids = sorted({id_ for found in evidence.values() for id_ in found})
        events = {row["event_id"]: row for row in self._ask("raw_of", ids=ids)} if ids else {}
        silent = [change for change in changes if not events.keys() & evidence[change.change_id]]
        commands = self._commands(ids, silent)
        links = []
        for row in events.values():
            said = f"{row['standard']} {row['code']}, {row['occurred_at']:%d %b %H:%M} UTC"
            links += [_bytes(row, row["raw_position"]), Link("event", row["received_at"], said, row["event_id"])]
        for row in commands:
            what = {"register": "the plan was declared", "amend": "the plan was amended"}.get(row["command"], row["command"])
            links += [_bytes(row), Link("command", row["received_at"], f"{what}: {row['consignment']}", row["command_id"])]
        for change in silent:
            if change.consignment.startswith(FEED) and isinstance(change, ExceptionChanged):
                sender = change.consignment.removeprefix(FEED)
                links += [_bytes(row) for row in self._ask("last_of_sender", sender=sender, until=change.exception.start)]
        return links

    def _statements(self, changes: Sequence[Change]) -> dict[str, list[dict[str, Any]]]:
        """Consignment -> the statements of its journey, where a milestone's change has to be led back to one."""
        names = sorted({change.consignment for change in changes if isinstance(change, MilestoneReached | HandedOver)})
        rows = self._ask("journeys_of", consignments=names) if names else []
        records = [json.loads(row["record"]) for row in rows]
        return {record["consignment"]: record.get("statements", []) for record in records}

    def _commands(self, ids: Sequence[str], silent: Sequence[Change]) -> list[dict[str, Any]]:
        """The commands among the evidence; for changes without any, what declared the plan last before them."""
        names = sorted({change.consignment for change in silent})
        rows = self._ask("commands_of", ids=list(ids), consignments=names) if silent else []
        chosen = {row["command_id"]: row for row in rows if row["command_id"] in ids}
        known = {row["consignment"] for row in chosen.values()}
        for change in silent:
            before = [row for row in rows if row["consignment"] == change.consignment and _before(row, change)]
            if before and change.consignment not in known:
                chosen[before[-1]["command_id"]] = before[-1]
        return list(chosen.values())

    def _ask(self, name: str, **params: object) -> list[dict[str, Any]]:
        return self._clickhouse.query(sql(name), params)


def _evidence(change: Change, statements: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Ids of the events (or commands) that a change rests on."""
    if isinstance(change, ExceptionChanged):
        return frozenset(change.exception.evidence)
    if isinstance(change, MilestoneReached | HandedOver):
        leg = getattr(change, "leg", "")
        said = [
            one
            for one in statements
            if (one["milestone"], one.get("leg") or "", one["classifier"]) == (change.milestone, leg, "actual")
        ]
        at = change.occurred_at
        same = [one for one in said if at is not None and datetime.fromisoformat(one["occurred_at"]) == at]
        return frozenset(one["event_id"] for one in same or [one for one in said if one.get("decides")])
    return frozenset()


def _before(command: Mapping[str, Any], change: Change) -> bool:
    return change.at is None or bool(command["received_at"] <= change.at)


def _bytes(row: Mapping[str, Any], position: str = "") -> Link:
    place = f"raw.messages.v1 {row['raw_partition']}:{row['raw_offset']} {position}".rstrip()
    sha256 = row.get("sha256") or row.get("raw_sha256")
    text = f"{row['sender']} sent {row['bytes']:,} bytes of {row['content_type'] or 'unknown type'}"
    return Link("bytes", row["received_at"], text, f"{place} sha256 {sha256}")


def sql(name: str) -> str:
    """The text of queries/NAME.sql."""
    return (files("services.alerts") / "queries" / f"{name}.sql").read_text(encoding="utf-8")


def held(
    history: Sequence[Told],
    sent: Sequence[Notification],
    subscription: Subscription,
    others: Mapping[str, Subscription],
    now: datetime | None = None,
    spoken: Iterable[Spoken] = (),
) -> list[Link]:
    """What became of every change of a consignment, for one subscriber: told, by which message; or why not, or not by `now`
    (None: not ever). `spoken`: what they were told about others, which may hold it back (History.spoken)."""
    links = []
    told_by = {change: made.notification for made in sent for change in made.changes}
    for verdict in backtest.run(history, subscription, others, now, spoken).verdicts:
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


def for_whom(
    history: Sequence[Told],
    told: Sequence[tuple[str, int, datetime, str]],
    everybody: Mapping[str, Subscription],
    now: datetime,
    spoken: Callable[[str], Iterable[Spoken]],
) -> tuple[list[ForWhom], int, int]:
    """Who was told of a consignment, and who was not and why: the newest of what held it back; and how many of the ones and of
    the others are left out, beyond MOST_TOLD and MOST_UNTOLD. `told`: all of History.told_about. `spoken`: of a subscription,
    as of `held`."""
    found = []
    for name, messages, last_at, last in told[:MOST_TOLD]:
        one = everybody.get(name)
        found.append(ForWhom(name, _who(one), one.state if one else "forgotten", messages, last_at, last, ""))
    names = {name for name, *_ in told}
    left = [one for name, one in sorted(everybody.items()) if name not in names]
    for one in left[:MOST_UNTOLD]:
        links = held(history, (), one, everybody, now, spoken(one.subscription))
        why = links[-1].text if links else "nothing of it is news"
        found.append(ForWhom(one.subscription, _who(one), one.state, 0, None, "", why))
    return found, max(len(told) - MOST_TOLD, 0), max(len(left) - MOST_UNTOLD, 0)


def _who(one: Subscription | None) -> str:
    """No addresses: those are for `lovla subscriptions list`."""
    return "" if one is None else f"{one.label or one.owner or 'public page'}, {one.channel}"


def _done(act: WorkAct) -> str:
    """What somebody did, in words."""
    if act.act == "undo":
        return f"{act.by} took that back"
    keys = ", ".join(act.exceptions)
    until = f" wait until {act.until:%Y-%m-%d %H:%M} UTC" if act.until else ""
    return f"{act.by} lets {keys}{until}" if act.act == "snooze" else f"{act.by} takes care of {keys}"


def _said(change: Change) -> str:
    if isinstance(change, ExceptionChanged):
        verb = change.change.removeprefix("exception_")
        return f"{change.exception.key} {verb} ({change.exception.severity}): {change.exception.sentence}"
    milestone = getattr(change, "milestone", None)
    return f"{change.change.replace('_', ' ')} {milestone}" if milestone else change.change.replace("_", " ")
