"""What happens while the demo runs: a few live words of carriers, and what must come of them. Pure.

History is loaded, and what was loaded is no news: nobody is told of it (services/alerts/matching.py). So alerts speak about
what carriers say now. `found` looks in the scenario for a vessel at sea whose delay nobody knows yet, a consignment that
customs can stop, and two that customs can release; what each must open is the demo's own reading of the rules (truth.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from msgspec.structs import replace as retold

from demo import world
from demo.scenario import Consignment, Scenario, Told, fact_of, settled
from demo.truth import Found, evaluate

SLIP = timedelta(hours=60)
ABOARD_MOST = 12
"""A vessel with more of ours is left alone: a message lists as many (services/alerts/wording.py)."""


@dataclass(frozen=True, slots=True)
class News:
    """One thing that carriers say, of which consignments, and what comes of it: an exception opens, or a milestone is reached.

    `key`: the exception's, or `milestone:NAME:` for a milestone.
    """

    title: str
    told: tuple[Told, ...]
    consignments: tuple[Consignment, ...]
    key: str

    @property
    def kind(self) -> str:
        """Of the exception; or `milestone`."""
        return self.key.partition(":")[0]

    def at(self, moment: datetime) -> tuple[Told, ...]:
        """The words as said at `moment`."""
        minute = moment.replace(second=0, microsecond=0)
        return tuple(
            retold(told, known_at=minute, at=min(told.at, minute) if told.classifier == "actual" else told.at)
            for told in self.told
        )


@dataclass(frozen=True, slots=True)
class Scene:
    """What is said before the check of the exceptions (it moves none), and after it."""

    released: News
    slip: News
    hold: News
    released_later: News

    @property
    def names(self) -> frozenset[str]:
        """The consignments that it speaks of: the simulator leaves them alone, so that what was told stays true."""
        news = (self.released, self.slip, self.hold, self.released_later)
        return frozenset(one.name for each in news for one in each.consignments)


def found(scenario: Scenario) -> Scene | None:
    """The scene of a scenario; None where too little is under way (a small demo)."""
    quiet = list(_under_way(scenario))
    slips = sorted(_slips(scenario, quiet), key=lambda news: (-len(news.consignments), news.told[0].ident))
    for slip in slips:
        aboard = {one.name for one in slip.consignments}
        rest = [(one, said) for one, said in quiet if one.name not in aboard]
        held = next(_customs(scenario, rest, "hold_customs"), None)
        if held is None:
            continue
        rest = [(one, said) for one, said in rest if one is not held.consignments[0]]
        cleared = list(_customs(scenario, rest, "customs_released"))[:2]
        if len(cleared) == 2:
            return Scene(cleared[0], slip, held, cleared[1])
    return None


def releases(scenario: Scenario) -> tuple[News, ...]:
    """What else customs can release: for tests, which want more news than the demo tells."""
    scene = found(scenario)
    spoken_of = scene.names if scene is not None else frozenset()
    rest = [(one, left) for one, left in _under_way(scenario) if one.name not in spoken_of]
    return tuple(_customs(scenario, rest, "customs_released"))


def _under_way(scenario: Scenario) -> Iterator[tuple[Consignment, Told]]:
    """Sea consignments that left, have not arrived, and nothing is wrong with; each with the word of its departure."""
    for one in scenario.consignments:
        known = [told for told in one.told if told.known_at <= scenario.now and not told.void]
        left = [told for told in known if settled(told) == "departed" and told.classifier == "actual" and not told.off_route]
        ashore = any(settled(told) in ("arrived", "discharged") and told.classifier == "actual" for told in known)
        shared = any(len(told.consignments) != 1 for told in one.told)
        if one.story == "clean" and left and not ashore and not shared and not any(f.end is None for f in one.expected):
            yield one, left[-1]


def _slips(scenario: Scenario, quiet: list[tuple[Consignment, Told]]) -> Iterator[News]:
    """Vessels of which each consignment's carrier can say now that it comes later."""
    voyages: dict[tuple[str, str], list[tuple[Consignment, Told]]] = {}
    for one, left in quiet:
        if left.voyage is not None and left.bill:
            voyages.setdefault((left.voyage.imo, left.voyage.number), []).append((one, left))
    for (imo, number), aboard in voyages.items():
        voyage = aboard[0][1].voyage
        if voyage is None or len(aboard) > ABOARD_MOST or len(aboard) != len(_all_aboard(scenario, imo, number)):
            continue
        told = tuple(
            retold(
                left,
                ident=f"{one.name}:slip",
                what="arrived",
                classifier="estimated",
                at=max(voyage.arrives_plan, scenario.now) + SLIP,
                place=voyage.port,
                facility=None,
                container="",
                leg="",
            )
            for one, left in aboard
        )
        consignments = tuple(one for one, _ in aboard)
        key = "will_be_late:arrived"
        if all(_new(scenario, one, said, key) for one, said in zip(consignments, told, strict=True)):
            yield News(f"{voyage.carrier}: {voyage.vessel} comes 60 h late", told, consignments, key)


def _all_aboard(scenario: Scenario, imo: str, number: str) -> list[Consignment]:
    def sails(one: Consignment) -> bool:
        return any(told.voyage is not None and (told.voyage.imo, told.voyage.number) == (imo, number) for told in one.told)

    return [one for one in scenario.consignments if sails(one)]


def _customs(scenario: Scenario, quiet: list[tuple[Consignment, Told]], what: str) -> Iterator[News]:
    """Consignments that customs stop, or release before the ship is in; their carrier tells it by bill of lading."""
    for one, left in quiet:
        heard = {told.what for told in one.told if told.known_at <= scenario.now}
        if left.sender not in world.OCEAN_DCSA or not left.bill or heard & {"customs_released", "hold_customs"}:
            continue
        said = retold(
            left,
            ident=f"{one.name}:{what}",
            what="hold_customs" if what == "hold_customs" else "customs_released",
            at=scenario.now - timedelta(minutes=5),
            place="USLAX",
            facility=None,
            container="",
            leg="",
        )
        key = "on_hold:customs" if what == "hold_customs" else ""
        if _new(scenario, one, said, key):
            word = "is held by customs" if key else "is released by customs"
            yield News(f"{said.sender}: {one.name} {word}", (said,), (one,), key or "milestone:customs_released:")


def _new(scenario: Scenario, one: Consignment, said: Told, key: str) -> bool:
    """Whether this word opens exactly the exception `key` (empty: none), within the hour, and moves no other."""
    before = replace(one.case, facts=tuple(f for f in one.case.facts if f.known_at <= scenario.now))
    for minutes in (1, 30, 60):
        now = scenario.now + timedelta(minutes=minutes)
        after = replace(before, facts=(*before.facts, fact_of(retold(said, known_at=scenario.now))))
        changed = set(_shape(evaluate(after, now))) ^ set(_shape(evaluate(before, now)))
        if changed != ({(key, True)} if key else set()):
            return False
    return True


def _shape(found_: tuple[Found, ...]) -> list[tuple[str, bool]]:
    return [(one.key, one.end is None) for one in found_]
