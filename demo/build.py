"""One call for everything that the demo pushes and expects: `build(seed, size, now)`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from demo import world
from demo.messages import Message, history
from demo.scenario import Scenario, tell_scenario
from demo.truth import Found
from schemas.consignment_command_v1 import ConsignmentDeclaration
from schemas.registers_v1 import Facility, Sender


@dataclass(frozen=True, slots=True)
class Demo:
    """The scenario, its messages in order of receipt, and the truth: consignment (or `feed:CODE`) -> its exceptions."""

    scenario: Scenario
    consignments: tuple[ConsignmentDeclaration, ...]
    messages: tuple[Message, ...]
    expected: dict[str, tuple[Found, ...]]
    senders: tuple[Sender, ...]
    facilities: tuple[Facility, ...]

    @property
    def letters(self) -> int:
        """How many dead letters the unreadable messages give."""
        return sum(message.letters for message in self.messages)


def build(seed: int, size: int, now: datetime) -> Demo:
    """The demo as seen at `now`; the same arguments give the same bytes."""
    scenario = tell_scenario(seed, size, now)
    expected = {c.name: c.expected for c in scenario.consignments}
    expected |= {f"feed:{code}": (Found("silent", start),) for code, start in scenario.silent_feeds.items()}
    return Demo(
        scenario=scenario,
        consignments=tuple(c.declaration for c in scenario.consignments),
        messages=history(scenario),
        expected=expected,
        senders=tuple(Sender.model_validate(_cells(row) | _split(row)) for row in world.table("senders.csv")),
        facilities=tuple(Facility.model_validate(_cells(row)) for row in world.table("facilities.csv")),
    )


def _cells(row: dict[str, str]) -> dict[str, object]:
    return {name: value for name, value in row.items() if value}


def _split(row: dict[str, str]) -> dict[str, object]:
    return {"facilities": tuple(row["facilities"].split())}
