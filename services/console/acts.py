"""From the console's forms to what the way in is asked: acts of people, statements and commands. Pure: values in, values out.

What is wrong is said in words beside the field; what only the way in or the tracker can judge is left to them.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, Literal, Protocol, get_args
from zoneinfo import ZoneInfo

from schemas.base import rfc3339
from schemas.words import LINKING_KINDS, MILESTONES, Classifier, PartyRole, ReferenceKind
from services.console.entry import Form, one
from services.console.gate import Place
from services.console.questions import WorkDone

ROWS_MOST: Final = 500
ACTS_MOST: Final = 2 * ROWS_MOST
"""Of one form: each line with its note."""
NOTE_MOST: Final = 500
NAME_MOST: Final = 64
WAITS: Final[Mapping[str, str]] = {
    "4": "4 hours",
    "8": "8 hours",
    "morning": "until tomorrow, 08:00",
    "48": "2 days",
    "168": "a week",
}
"""How long something may wait: hours, or the viewer's next morning."""
MORNING: Final = time(8)
LINKS: Final[tuple[ReferenceKind, ...]] = tuple(
    kind for kind in get_args(ReferenceKind) if kind in LINKING_KINDS - {"consignment"}
)
ROLES: Final[tuple[PartyRole, ...]] = ("trucker", *(role for role in get_args(PartyRole) if role != "trucker"))
STEPS: Final = MILESTONES
CLASSIFIERS: Final[tuple[Classifier, ...]] = ("actual", "estimated")
_LOCODE: Final = re.compile(r"[A-Z]{2}[A-Z2-9]{3}")
_HEX: Final = re.compile(r"[0-9a-f]{32}")
_COUNT: Final = re.compile(r"(?:good|short|damaged)_([0-9]{1,5})")

Doing = Literal["record", "withdraw", "link", "unlink", "appoint", "receive"]


class Exceptional(Protocol):
    """An exception, as far as it matters here."""

    @property
    def key(self) -> str: ...
    @property
    def start(self) -> datetime: ...


class Wrong(Exception):
    """What is wrong with a form: field -> words; the field `` is the form as a whole."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("; ".join(fields.values()))
        self.fields = dict(fields)


@dataclass(frozen=True, slots=True)
class Undo:
    """The form that takes it back: where it goes, and its fields in order."""

    action: str
    fields: Sequence[tuple[str, str]]
    label: str = "Undo"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a form, shown to who sent it. `form`: which one; `wrong`: field -> words; `values`: as they were typed;
    `receipt`: of what the tracker has still to judge."""

    viewer: str
    form: str
    sentence: str
    wrong: Mapping[str, str] = field(default_factory=dict)
    values: Form = field(default_factory=dict)
    undo: Undo | None = None
    receipt: str = ""

    def value(self, form: str, name: str, usual: str = "") -> str:
        """What was typed into a field of a form that was wrong, so that nobody types it twice."""
        return one(self.values, name) if self.wrong and self.form == form and name in self.values else usual

    def error(self, form: str, name: str) -> str:
        """What is wrong with the field."""
        return self.wrong.get(name, "") if self.form == form else ""

    def chosen(self, row: str) -> bool:
        """Whether the line of the work list was chosen."""
        return bool(self.wrong) and row in self.values.get("row", ())


NOTHING: Final = Outcome("", "", "")
"""Nothing was sent."""


class Board:
    """Outcomes until they are shown, by a token that nobody guesses; the oldest go first. Of one event loop."""

    def __init__(self, most: int = 2_000) -> None:
        self._kept: OrderedDict[str, Outcome] = OrderedDict()
        self._most = most

    def put(self, outcome: Outcome) -> str:
        """The token."""
        token = secrets.token_urlsafe(12)
        self._kept[token] = outcome
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return token

    def take(self, token: str, viewer: str) -> Outcome:
        """Shown once: who loads the page again has read it. NOTHING where there is none of this viewer's."""
        if self._kept.get(token, NOTHING).viewer != viewer:
            return NOTHING
        return self._kept.pop(token)


def key_of(once: str, *said: object) -> str:
    """The Idempotency-Key: the same form with the same words is one request, however often it is sent."""
    return hashlib.sha256("\0".join([once, *map(str, said)]).encode()).hexdigest()[:32]


# --- acts of people


def work_asked(given: Form, name: str, zone: ZoneInfo) -> list[dict[str, Any]]:
    """What the way in is asked to write. Raises Wrong."""
    act = "acknowledge" if one(given, "acknowledge") else one(given, "act")
    rows = given["acknowledge"][:1] if one(given, "acknowledge") else given.get("row", ())
    if act == "undo":
        return [_undoing(text) for text in given.get("undo", ())[:ACTS_MOST]]
    if not rows:
        raise Wrong({"row": "Choose at least one line first."})
    if len(rows) > ROWS_MOST:
        raise Wrong({"row": f"At most {ROWS_MOST} at once."})
    chosen = [text.split(" ") for text in dict.fromkeys(rows)]
    note = " ".join(one(given, "text").split())
    if len(note) > NOTE_MOST or not note.isprintable():
        raise Wrong({"text": f"At most {NOTE_MOST} characters."})
    asked = _asked(act, chosen, given, name, zone, note)
    if act != "note" and note and not one(given, "acknowledge"):
        asked += [{"act": "note", "consignment": id_, "text": note} for id_, *_ in chosen]
    return asked


def _asked(
    act: str, chosen: Sequence[Sequence[str]], given: Form, name: str, zone: ZoneInfo, note: str
) -> list[dict[str, Any]]:
    well = next((id_ for id_, *keys in chosen if not keys), None)
    if act in ("acknowledge", "snooze") and well is not None:
        raise Wrong(
            {"row": f"Nothing is wrong with {well[:80]} that could be taken care of or wait; assign it, or note something."}
        )
    if act == "acknowledge":
        return [{"act": act, "consignment": id_, "exceptions": keys} for id_, *keys in chosen]
    if act == "take":
        return [{"act": "assign", "consignment": id_, "assignee": name} for id_, *_ in chosen]
    if act == "assign":
        assignee = one(given, "assignee")
        if not assignee or len(assignee) > NAME_MOST or not assignee.isprintable():
            raise Wrong({"assignee": f"Who is to take care of it? A name of at most {NAME_MOST} characters."})
        return [{"act": act, "consignment": id_, "assignee": assignee} for id_, *_ in chosen]
    if act == "snooze":
        until = rfc3339(_until(given, zone))
        return [{"act": act, "consignment": id_, "exceptions": keys, "until": until} for id_, *keys in chosen]
    if act == "note":
        if not note:
            raise Wrong({"text": "What is to be noted?"})
        return [{"act": act, "consignment": id_, "text": note} for id_, *_ in chosen]
    raise Wrong({"act": "Choose what to do."})


def _undoing(text: str) -> dict[str, Any]:
    consignment, _, act_id = text.partition(" ")
    if not _HEX.fullmatch(act_id):
        raise Wrong({"": "This form is none of ours."})
    return {"act": "undo", "consignment": consignment, "undoes": act_id}


def shown_at(given: Form) -> datetime:
    """When the form was made. "Now" in a form means then, so that the same form sent again says the same. Raises Wrong."""
    try:
        return datetime.fromisoformat(one(given, "shown_at")).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Wrong({"": "This form does not say when it was made: load the page again."}) from None


def _until(given: Form, zone: ZoneInfo) -> datetime:
    now = shown_at(given)
    if one(given, "until"):
        until = local_time(given, "until", zone)
    elif one(given, "wait") == "morning":
        local = now.astimezone(zone)
        until = datetime.combine(local.date() + timedelta(days=1), MORNING, zone)
    elif one(given, "wait") in WAITS:
        until = now + timedelta(hours=int(one(given, "wait")))
    else:
        raise Wrong({"wait": "Until when may it wait?"})
    if until <= now:
        raise Wrong({"until": "This time is past."})
    return until


def local_time(given: Form, name: str, zone: ZoneInfo) -> datetime:
    """A field's time, in the viewer's zone where it names none; where it is empty, when the form was made. Raises Wrong."""
    text = one(given, name)
    if not text:
        return shown_at(given)
    try:
        moment = datetime.fromisoformat(text)
        return (moment.replace(tzinfo=zone) if moment.tzinfo is None else moment).astimezone(zone)
    except (ValueError, OverflowError):
        raise Wrong({name: "Write it as 2020-04-11T09:40."}) from None


def work_sentence(act: str, asked: Sequence[Mapping[str, Any]], when: str = "", wakes: bool = False) -> str:
    """What was done, in words. `wakes`: what was undone had kept people asleep (docs/alerts.md)."""
    ids = list(dict.fromkeys(str(one["consignment"]) for one in asked))
    whom = ids[0] if len(ids) == 1 else f"{len(ids)} consignments"
    if act == "acknowledge":
        return f"You take care of {whom}."
    if act in ("assign", "take"):
        return f"{whom} {'is' if len(ids) == 1 else 'are'} {asked[0]['assignee']}'s to take care of."
    if act == "snooze":
        return f"{whom} may wait until {when}."
    if act == "note":
        return f"Noted on {whom}."
    return f"Undone on {whom}." + (" A second contact who was left asleep because of it is told now." if wakes else "")


def undo_of(done: Iterable[Mapping[str, Any]]) -> Undo | None:
    """The form that undoes these acts; an undo itself has none."""
    undone = [one for one in done if one["act"] != "undo"]
    wakes = [("wakes", "yes")] if any(one["act"] in ("acknowledge", "snooze") for one in undone) else []
    fields = [("undo", f"{one['consignment']} {one['act_id']}") for one in undone]
    return Undo("/act", [("act", "undo"), *wakes, *fields]) if fields else None


def taken_by(done: Iterable[WorkDone], wrong: Exceptional) -> str:
    """Who takes care of it: the newest who said so since it began, and did not undo it; empty: nobody."""
    said = (one for one in done if one.act == "acknowledge" and not one.undone_by)
    return next((one.by for one in said if wrong.key in one.exceptions and one.at >= wrong.start), "")


# --- statements and commands


@dataclass(frozen=True, slots=True)
class Request:
    """What the way in is asked: `what` events, actions or dock-receipt. `by`: who says so, `sentence` once it is taken.

    `withdraws`: the event that no longer counts by it; `then`: the withdrawal to be sent once the body was taken, never before:
    what is to be corrected must not be lost by a correction that is refused."""

    what: Literal["events", "actions", "dock-receipt"]
    body: Any
    by: str
    sentence: str
    undo: Undo | None = None
    withdraws: str = ""
    then: Sequence[Mapping[str, Any]] = ()


def request(given: Form, consignment: str, viewer: str, zone: ZoneInfo, facilities: Mapping[str, object]) -> Request:
    """What a form of the consignment's page asks for. Raises Wrong."""
    doing, action = one(given, "do"), f"/consignments/{consignment}/do"
    if doing == "record":
        return _record(given, consignment, viewer, zone, facilities)
    if doing == "withdraw":
        event = _event(given, "event")
        withdrawal = [_withdrawal(consignment, event, one(given, "once"))]
        return Request("events", withdrawal, viewer, "Withdrawn: it no longer counts.", withdraws=event)
    if doing in ("link", "unlink"):
        kind, value = one(given, "kind"), one(given, "value")
        if kind not in LINKS:
            raise Wrong({"kind": "Choose what kind of number it is."})
        if not value or len(value) > 64:
            raise Wrong({"value": "Which number? At most 64 characters."})
        back = "unlink" if doing == "link" else "link"
        undo = Undo(action, (("do", back), ("kind", kind), ("value", value)))
        body = {"command": doing, "reference": {"kind": kind, "value": value}}
        sentence = f"{value} is {'linked' if doing == 'link' else 'no longer linked'}."
        return Request("actions", body, viewer, sentence, undo)
    if doing == "appoint":
        role, party = one(given, "role"), one(given, "party").upper()
        if role not in ROLES:
            raise Wrong({"role": "Choose what it is to do."})
        if not party:
            raise Wrong({"party": "Whom? The code of a registered sender."})
        body = {"command": "appoint", "role": role, "party": party}
        return Request("actions", body, viewer, f"{party} is also appointed as {role}; whoever was before, still is.")
    if doing == "receive":
        return _receive(given, viewer, zone)
    raise Wrong({"": "This form is none of ours."})


def _event(given: Form, name: str) -> str:
    event = one(given, name)
    if not _HEX.fullmatch(event):
        raise Wrong({name: "This is no event."})
    return event


def _withdrawal(consignment: str, event: str, once: str) -> dict[str, Any]:
    return {
        "id": f"console-withdraw-{key_of(once, event)}",
        "retracts": {"event_id": event},
        "references": [{"kind": "consignment", "value": consignment}],
    }


def _record(given: Form, consignment: str, viewer: str, zone: ZoneInfo, facilities: Mapping[str, object]) -> Request:
    milestone, classifier = one(given, "milestone"), one(given, "classifier") or "actual"
    place, told_by, instead = one(given, "place").upper(), one(given, "told_by"), one(given, "instead")
    wrong: dict[str, str] = {}
    if milestone not in STEPS:
        wrong["milestone"] = "Choose what happened."
    if classifier not in CLASSIFIERS:
        wrong["classifier"] = "Did it happen, or is it expected?"
    if place and place not in facilities and not _LOCODE.fullmatch(place):
        wrong["place"] = "A UN/LOCODE, as USLAX, or the code of a registered facility."
    if len(told_by) > NAME_MOST or not told_by.isprintable():
        wrong["told_by"] = f"A name of at most {NAME_MOST} characters."
    if wrong:
        raise Wrong(wrong)
    at = local_time(given, "at", zone)
    event: dict[str, Any] = {
        "id": f"console-{key_of(one(given, 'once'), milestone, classifier, one(given, 'at'), place)}",
        "code": milestone,
        "milestone": milestone,
        "classifier": classifier,
        "occurred_at": rfc3339(at),
        "created_at": rfc3339(shown_at(given)),
        "references": [{"kind": "consignment", "value": consignment}],
    }
    if place:
        event["place"] = {"facility" if place in facilities else "unlocode": place}
    then = [_withdrawal(consignment, _event(given, "instead"), one(given, "once"))] if instead else []
    by = f"{viewer}, told by {told_by}" if told_by else viewer
    sentence = f"Recorded: {milestone.replace('_', ' ')}."
    return Request("events", [event], by, sentence, withdraws=instead, then=then)


def _receive(given: Form, viewer: str, zone: ZoneInfo) -> Request:
    lines: list[dict[str, int]] = []
    wrong: dict[str, str] = {}
    numbers = sorted({int(found[1]) for name in given if (found := _COUNT.fullmatch(name))})
    for number in numbers:
        counts = {}
        for what in ("good", "short", "damaged"):
            text = one(given, f"{what}_{number}").replace(",", "")
            if text and not (text.isascii() and text.isdigit() and len(text) <= 10):
                wrong[f"{what}_{number}"] = "A whole number, 0 or more."
            elif text:
                counts[what] = int(text)
        if counts and "good" not in counts:
            wrong[f"good_{number}"] = "How many arrived in good order? 0 if none."
        if counts:
            lines.append({"line": number, **counts})
    if wrong:
        raise Wrong(wrong)
    if not lines:
        raise Wrong({"": "Count at least one line."})
    at = local_time(given, "at", zone)
    body: dict[str, Any] = {
        "occurred_at": rfc3339(at),
        "lines": lines,
        "final": not one(given, "more"),
        "replaces": bool(one(given, "replaces")),
    }
    return Request("dock-receipt", body, viewer, "The count is recorded.")


_FIELDS: Final[Sequence[tuple[str, str]]] = (
    ("/occurred_at", "at"),
    ("/place", "place"),
    ("/milestone", "milestone"),
    ("/reference/kind", "kind"),
    ("/reference", "value"),
    ("/party", "party"),
    ("/role", "role"),
    ("/until", "until"),
    ("/text", "text"),
    ("/assignee", "assignee"),
    ("/retracts", "instead"),
)


def beside(text: str, places: Sequence[Place], lines: Sequence[int] = ()) -> dict[str, str]:
    """The way in's refusal, by the field that it is about. `lines`: the item lines of a dock's count, in its order."""
    fields: dict[str, str] = {}
    for place in places:
        where = place["where"]
        counted = re.search(r"/lines/(\d+)/(good|short|damaged)", where)
        if counted and int(counted[1]) < len(lines):
            name = f"{counted[2]}_{lines[int(counted[1])]}"
        else:
            usual = "at" if place["code"].startswith("outside_time") else ""
            name = next((name for part, name in _FIELDS if part in where), usual)
        fields.setdefault(name, place["text"])
    return fields or {"": text}
