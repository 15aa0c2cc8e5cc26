"""Who takes care of what is wrong, or lets it wait: what people do in the console (docs/decisions/0045), as far as a second
contact's sleep depends on it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from schemas.work_act_v1 import WorkAct


@dataclass(frozen=True, slots=True)
class Care:
    """Somebody's word on one thing that is wrong. `until`: it may wait until then; None: they take care of it."""

    by: str
    at: datetime
    until: datetime | None = None


class Work:
    """What was said and not undone, of each exception."""

    def __init__(self, acts: Iterable[WorkAct] = ()) -> None:
        self._cares: dict[tuple[str, str], dict[str, Care]] = {}
        self._places: dict[str, list[tuple[str, str]]] = {}  # by act
        self._undone: set[tuple[str, str]] = set()  # (consignment, act): an undo takes back what is of its own consignment
        for act in acts:
            self.put(act)

    def put(self, act: WorkAct) -> None:
        """One act, in the order of its consignment. The same again changes nothing."""
        if act.act in ("acknowledge", "snooze") and (act.consignment, act.act_id) not in self._undone:
            self._places[act.act_id] = [(act.consignment, key) for key in act.exceptions]
            for place in self._places[act.act_id]:
                self._cares.setdefault(place, {})[act.act_id] = Care(act.by, act.at, act.until)
        if act.undoes is not None:
            self._undone.add((act.consignment, act.undoes))
            for place in self._places.get(act.undoes, ()):
                if place[0] == act.consignment:
                    self._cares[place].pop(act.undoes, None)

    def care(self, consignment: str, key: str, since: datetime, now: datetime) -> Care | None:
        """Who takes care of it, else who lets it wait now; by what was said after `since`: who spoke before has not seen
        what is since. The newest snooze counts, as in the work list."""
        said = [one for one in self._cares.get((consignment, key), {}).values() if one.at > since]
        takes = [one for one in said if one.until is None]
        if takes:
            return max(takes, key=lambda one: one.at)
        newest = max(said, key=lambda one: one.at, default=None)
        return newest if newest is not None and newest.until is not None and newest.until > now else None
