"""What today's readers say of a raw record beside what stands of it in the topics: the difference, as values. Pure.

*Guarantee*: repeating it changes nothing. What is written for a difference makes the record stand as it is read today, so the
next comparison finds them equal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from schemas.shipment_event_v1 import ShipmentEvent

Kind = Literal["new", "changed", "vanished", "new command", "dead", "undead", "outranked", "judged", "fault"]
"""What became of one statement of a raw record.

new: an event that did not stand. changed: other fields than what stands. vanished: stands, and is no longer found. new command:
one that was unreadable. dead, undead: a place that is a dead letter now, or no longer. outranked: read differently, but by a
revision that does not count against what stands (an earlier time of its own, an older reader). judged: a command that is read
differently; a command is judged once, so it stays. fault: our reader failed on the record; nothing of it is touched.
"""

KINDS: Mapping[Kind, str] = {
    "new": "events that did not stand",
    "changed": "events read differently",
    "vanished": "events no longer found: retracted",
    "new command": "commands that could not be read before",
    "dead": "places that are dead letters now",
    "undead": "dead letters that can be read now",
    "outranked": "read differently, but what stands has the greater revision: left alone",
    "judged": "commands read differently: a command is judged once, left alone",
    "fault": "records on which our reader fails: left alone",
}
WRITTEN: frozenset[Kind] = frozenset({"new", "changed", "vanished", "new command", "dead"})

_NOT_CONTENT = frozenset({"revision", "reader_version", "cause", "raw", "received_at"})
"""Who read it, why, and where it stands: another reader that says the same says nothing new."""

_NO_TIME = datetime.min.replace(tzinfo=UTC)
_HIGHEST = 16**16 - 1


@dataclass(frozen=True, slots=True)
class Difference:
    """One statement that is no longer as it stands. `fields`: (name, what stands, what is read) of a change."""

    kind: Kind
    about: str
    text: str = ""
    fields: tuple[tuple[str, str, str], ...] = ()


@dataclass(slots=True)
class Standing:
    """What the topics hold of one raw record: of each event the copy of the greatest revision, commands and letters by id."""

    events: dict[str, bytes] = field(default_factory=dict)
    commands: dict[str, bytes] = field(default_factory=dict)
    letters: dict[str, str] = field(default_factory=dict)

    def add_event(self, event_id: str, value: bytes) -> None:
        kept = self.events.get(event_id)
        if kept is None or revision_key(json.loads(value)) >= revision_key(json.loads(kept)):
            self.events[event_id] = value


@dataclass(frozen=True, slots=True)
class Found:
    """What today's readers make of the record."""

    events: Sequence[ShipmentEvent] = ()
    commands: Mapping[str, bytes] = field(default_factory=dict)
    letters: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Outcome:
    """`events`: to be written; `vanished`: no longer found in this record (another may still hold them)."""

    differences: list[Difference] = field(default_factory=list)
    events: list[ShipmentEvent] = field(default_factory=list)
    vanished: list[bytes] = field(default_factory=list)
    commands: set[str] = field(default_factory=set)
    letters: set[str] = field(default_factory=set)
    same: int = 0


def compare(standing: Standing, found: Found) -> Outcome:
    """What must be written so that the record stands as it is read today."""
    outcome = Outcome()
    newest: dict[str, ShipmentEvent] = {}
    for event in sorted(found.events, key=lambda one: revision_key(one.model_dump(mode="json"))):
        newest[event.event_id] = event  # a message may say the same twice
    for event in newest.values():
        value = standing.events.get(event.event_id)
        if value is None:
            outcome.differences.append(Difference("new", event.event_id, f"{event.code} {event.milestone or ''}".strip()))
            outcome.events.append(event)
            continue
        _compare_event(outcome, json.loads(value), event)
    for event_id, value in standing.events.items():
        if event_id not in newest and not json.loads(value).get("retracted"):
            outcome.vanished.append(value)
    for command_id, value in found.commands.items():
        if command_id not in standing.commands:
            outcome.differences.append(Difference("new command", command_id, json.loads(value)["command"]))
            outcome.commands.add(command_id)
        elif fields := _fields(json.loads(standing.commands[command_id]), json.loads(value)):
            outcome.differences.append(Difference("judged", command_id, "", fields))
        else:
            outcome.same += 1
    for letter_id, text in found.letters.items():
        if letter_id not in standing.letters:
            outcome.differences.append(Difference("dead", letter_id, text))
            outcome.letters.add(letter_id)
        else:
            outcome.same += 1
    for letter_id, text in standing.letters.items():
        if letter_id not in found.letters:
            outcome.differences.append(Difference("undead", letter_id, text))
    return outcome


def _compare_event(outcome: Outcome, stands: dict[str, Any], event: ShipmentEvent) -> None:
    read = json.loads(event.model_dump_json(exclude_none=True))
    fields = _fields(stands, read)
    if not fields:
        outcome.same += 1
        return
    winner = outranking(event, stands)
    outcome.differences.append(Difference("changed" if winner else "outranked", event.event_id, event.code, fields))
    if winner is not None:
        outcome.events.append(winner)


def outranking(event: ShipmentEvent, stands: Mapping[str, Any]) -> ShipmentEvent | None:
    """`event` with a revision greater than what stands; None if only its own times or reader could give it one.

    Where time and reader are equal, the hash of the content decides between them, which is chance. The newer reading is meant:
    it gets the next greater one. (Registers changed, or a retraction is taken back, without a new version of the reader.)
    """
    new, old = revision_key(event.model_dump(mode="json")), revision_key(stands)
    if new > old:
        return event
    if new[:2] != old[:2] or int(old[2], 16) == _HIGHEST:
        return None
    revision = event.revision.model_copy(update={"content": f"{int(old[2], 16) + 1:016x}"})
    return event.model_copy(update={"revision": revision})


def retraction(value: bytes) -> ShipmentEvent | None:
    """The event that stands, withdrawn by us: our reader no longer finds it. None if nothing can outrank it."""
    stands = json.loads(value)
    withdrawn = ShipmentEvent.model_validate(stands | {"retracted": True, "cause": "refold"})
    return outranking(withdrawn, stands)


def revision_key(event: Mapping[str, Any]) -> tuple[datetime, int, str]:
    """Orders the copies of one event id, as the tracker does; a missing time sorts first."""
    revision = event["revision"]
    at = revision.get("at")
    return (datetime.fromisoformat(at) if at else _NO_TIME, revision["reader"], revision["content"])


def _fields(stands: Mapping[str, Any], read: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    names = sorted((stands.keys() | read.keys()) - _NOT_CONTENT)
    return tuple(
        (name, _shown(stands.get(name)), _shown(read.get(name))) for name in names if stands.get(name) != read.get(name)
    )


def _shown(value: object) -> str:
    text = "-" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
