"""What the rows of a page tell: what a consignment's newest version says, what people did about it, what follows at a time.
Pure but for Facts.

ClickHouse says which rows stand on a page, in which order and version. A version of a consignment never changes, so what was
read of it once is not asked again (docs/decisions/0052). What follows is told by the rules of queries/delayed.sql, which has
them for lists of any length; tests/integration/console/test_lists.py holds both equal.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from schemas.words import SEVERITIES

Line = Mapping[str, Any]
"""A row of an answer by column."""

FACTS_MOST: Final = 5_000
_HEAVY: Final = 10
"""So many items or exceptions of a line are kept for the price of another line: some kilobytes."""
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Facts:
    """Lines of queries/facts.sql by consignment and version; the longest unused go first. `most`: lines of a few items
    each; one of 500 counts as fifty. Of several threads."""

    most: int = FACTS_MOST
    _lines: OrderedDict[tuple[str, int], Line] = field(default_factory=OrderedDict)
    _weight: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def known(self, wanted: Iterable[tuple[str, int]]) -> dict[str, Line]:
        """Those that are here, by consignment."""
        found: dict[str, Line] = {}
        with self._lock:
            for key in wanted:
                if key in self._lines:
                    self._lines.move_to_end(key)
                    found[key[0]] = self._lines[key]
        return found

    def put(self, lines: Iterable[Line]) -> None:
        """What was read just now."""
        with self._lock:
            for line in lines:
                key = line["consignment"], line["version"]
                if (known := self._lines.pop(key, None)) is not None:
                    self._weight -= _weight(known)
                self._lines[key] = line
                self._weight += _weight(line)
            while self._weight > self.most:
                self._weight -= _weight(self._lines.popitem(last=False)[1])


def _weight(line: Line) -> int:
    return 1 + (len(line["categories"]) + len(line["keys"])) // _HEAVY


def told(line: Line, acts: Sequence[Line], hospital: str, zone: str, kinds: Sequence[str], now: datetime) -> dict[str, object]:
    """The fields of a row (questions.Delayed). `acts`: of queries/acted.sql, its own; `hospital`, `zone`: of the register, or
    empty; `kinds`: of the exceptions that are asked for, empty for all."""
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)  # as ClickHouse has it
    wrong = [
        (rank, _hours(kind, hours, base, now), kind, place)
        for place, (rank, kind, hours, base) in enumerate(
            zip(line["ranks"], line["kinds"], line["hours"], line["bases"], strict=True)
        )
        if not kinds or kind in kinds
    ]
    worst = max(wrong, key=lambda one: (one[0], one[1] or 0.0, one[2], one[3]), default=None)
    keys, starts, place = line["keys"], line["starts"], worst[3] if worst else 0
    expected = line["expected_delivery"]
    return {
        "consignment": line["consignment"],
        "facility": line["facility"],
        "hospital": hospital or line["facility"],
        "zone": zone or "UTC",
        "sentence": line["sentences"][place] if worst else "",
        "exception": worst[2] if worst else "",
        "severity": SEVERITIES[worst[0] - 1] if worst else "",
        "since": starts[place] if worst else None,
        "hours_late": round(worst[1] * 10) / 10 if worst and worst[1] is not None else None,
        "also": list(dict.fromkeys(kind for _, _, kind, _ in wrong if worst and kind != worst[2])),
        "stage": line["stage"],
        "place": "" if line["stage"] == "registered" else line["place"],
        "terminal": line["terminal"],
        "carrier": line["carrier"],
        "vessel": line["vessel"],
        "voyage": line["voyage"],
        "mode": line["mode"],
        "milestone": line["milestone"],
        "expected_delivery": expected,
        "expected_basis": line["expected_basis"],
        "expected_passed": expected is not None and expected < now,
        "required_by": line["required_by"],
        "tier": line["tier"],
        "last_event_at": line["last_event_at"],
        "goods": list(zip(line["categories"], line["quantities"], line["item_units"], strict=True)),
        "keys": [keys[one[3]] for one in wrong],
        **_work(acts, [(keys[one[3]], starts[one[3]]) for one in wrong], keys[place] if worst else "", now),
    }


def _hours(kind: str, hours: float | None, base: datetime | None, now: datetime) -> float | None:
    """See queries/delayed.sql."""
    if kind in ("late", "will_be_late") or base is None:
        return hours if kind in ("late", "will_be_late") else None
    grown = (int(now.timestamp()) - int(base.timestamp())) / 3600
    return grown if kind == "overdue" else max(grown, 0.0)


def _work(acts: Sequence[Line], named: Sequence[tuple[str, datetime]], worst: str, now: datetime) -> dict[str, object]:
    """Who takes care, whose it is, until when it waits. `named`: key and start of all that is wrong: what opened anew after it
    was said is open again (queries/held.sql)."""
    undone = {one["undoes"] for one in acts if one["act"] == "undo"}
    said = sorted(
        (one for one in acts if one["act_id"] not in undone), key=lambda one: (one["at"], one["act_id"]), reverse=True
    )

    def newest(act: str, key: str | None = None, since: datetime = _NEVER) -> Line | None:
        mine = (one for one in said if one["act"] == act and one["at"] >= since)
        return next((one for one in mine if key is None or key in one["exceptions"]), None)

    taken = newest("acknowledge", worst) if named and all(newest("acknowledge", *one) for one in named) else None
    waits = min((_until(newest("snooze", *one)) for one in named), default=_NEVER)
    given, note = newest("assign"), newest("note")
    return {
        "acknowledged_by": taken["by"] if taken else "",
        "acknowledged_at": taken["at"] if taken else None,
        "assigned_to": given["assignee"] if given else "",
        "snoozed_until": waits if waits > now else None,
        "note": note["text"] if note else "",
        "noted_by": note["by"] if note else "",
    }


def done(acts: Sequence[Line]) -> list[Line]:
    """What people did, the newest first, with who undid it, as queries/work_done.sql has it. `acts`: of one consignment."""
    undone = {one["undoes"]: one for one in sorted(acts, key=lambda one: one["at"], reverse=True) if one["act"] == "undo"}
    said: dict[str, Line] = {}
    for one in sorted(acts, key=lambda one: one["at"]):
        if one["act"] != "undo":
            by = undone.get(one["act_id"])
            said[one["act_id"]] = {**one, "undone_by": by["by"] if by else "", "undone_at": by["at"] if by else None}
    return sorted(sorted(said.values(), key=lambda one: one["act_id"]), key=lambda one: one["at"], reverse=True)


def _until(snooze: Line | None) -> datetime:
    return (snooze["until"] if snooze else None) or _NEVER
