"""`consignment.commands.v1`: what a buyer, operator or dock asks of one consignment. Imperative; the tracker judges."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, TypeAdapter

from schemas.base import Code, ConsignmentId, Contract, ShortText, Text, Time, UtcTime
from schemas.shipment_event_v1 import RawPointer, Reference
from schemas.words import Cause, ItemCategory, Milestone, Mode, PartyRole

Locode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}[A-Z2-9]{3}$")]
Hours = Annotated[float, Field(gt=0, le=8_784, description="hours, at most a year")]

QUANTITY_MOST = 10_000_000_000
"""More than anyone ships; thousands of such lines still sum to what 64 bits hold."""


class Item(Contract):
    """One line of goods; `line` is the buyer's own number, unique within the consignment."""

    line: int = Field(ge=1, le=10_000)
    category: ItemCategory
    description: ShortText | None = None
    quantity: int = Field(ge=1, le=QUANTITY_MOST, description="in `unit`")
    unit: Literal["each", "box", "case", "pallet", "pair", "litre"] = "each"
    lot: str | None = Field(None, max_length=20)
    expires_on: str | None = Field(None, pattern=r"^\d{4}-\d{2}-\d{2}$")


class Packing(Contract):
    """Item line -> the unit (container, ULD) that holds `quantity` of it."""

    line: int = Field(ge=1, le=10_000)
    unit: Reference
    quantity: int = Field(ge=0, le=QUANTITY_MOST)


class Leg(Contract):
    """A leg of the route: its end is a port or airport where the goods change vessel, aircraft or mode."""

    mode: Mode
    origin: str = Field(pattern=r"^[A-Z]{2}[A-Z2-9]{3}$")
    destination: str = Field(pattern=r"^[A-Z]{2}[A-Z2-9]{3}$")


class Route(Contract):
    """UN/LOCODEs, and the facility where the goods end; `via`: transshipment ports or airports in order."""

    mode: Mode = "sea"
    origin: str | None = Field(None, pattern=r"^[A-Z]{2}[A-Z2-9]{3}$")
    port_of_discharge: str | None = Field(None, pattern=r"^[A-Z]{2}[A-Z2-9]{3}$")
    terminal: Code | None = Field(None, description="facility code of the terminal or airport at the port of discharge")
    place_of_delivery: Code | None = Field(None, description="facility code of the hospital or warehouse")
    via: tuple[Locode, ...] = Field((), max_length=8)
    legs: tuple[Leg, ...] = Field((), max_length=12)


class ConsignmentDeclaration(Contract):
    """What a buyer declares: goods from one shipper to one consignee under one id."""

    consignment: ConsignmentId
    items: tuple[Item, ...] = Field((), max_length=500)
    parties: dict[PartyRole, Code] = Field(default_factory=dict)
    route: Route = Field(default_factory=lambda: Route())
    plan: dict[Milestone, Time] = Field(default_factory=dict)
    required_by: Time | None = None
    tier: int = Field(3, ge=1, le=5, description="priority tier of the workers who wait; 1 is first")
    references: tuple[Reference, ...] = Field((), max_length=64)
    packing: tuple[Packing, ...] = Field((), max_length=1000)
    note: Text | None = None
    tolerance_h: dict[Literal["sea", "air", "road", "customs"], Hours] = Field(default_factory=dict)
    silent_after_h: Hours | None = None
    free_time_h: Hours | None = None


class _Command(Contract):
    """`command_id` is derived from the raw record (and row); `receipt` finds the outcome. `operator`: the key's scope."""

    command_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    consignment: ConsignmentId
    sender: Code
    operator: bool = False
    recorded_by: ShortText | None = None
    received_at: UtcTime
    cause: Cause = "live"
    raw: RawPointer


class RegisterConsignment(_Command):
    """`onto`: of one that is registered already this tells more, where otherwise it would be refused (a ship notice on what its
    buyer declared). What is declared stays; what was not, is filled in; references are added; item lines are set by their
    number and keep their category (`add_lines`), or take the place of all lines (`replace_lines`)."""

    command: Literal["register"] = "register"
    declaration: ConsignmentDeclaration
    onto: Literal["add_lines", "replace_lines"] | None = None


class AmendConsignment(_Command):
    """Replaces the whole declaration. `if_match`: the declared_version the sender saw; null: whatever it is."""

    command: Literal["amend"] = "amend"
    declaration: ConsignmentDeclaration
    if_match: int | None = None


class CancelConsignment(_Command):
    command: Literal["cancel"] = "cancel"
    reason: Text | None = None
    if_match: int | None = None


class LinkReference(_Command):
    command: Literal["link"] = "link"
    reference: Reference


class UnlinkReference(_Command):
    """The reference no longer links, declared or learned."""

    command: Literal["unlink"] = "unlink"
    reference: Reference


class AppointParty(_Command):
    """Gives `party` standing in `role`."""

    command: Literal["appoint"] = "appoint"
    role: PartyRole
    party: Code


class ReceiptLine(Contract):
    """The dock's count of one item line."""

    line: int = Field(ge=1, le=10_000)
    good: int = Field(ge=0, le=QUANTITY_MOST)
    short: int = Field(0, ge=0, le=QUANTITY_MOST)
    damaged: int = Field(0, ge=0, le=QUANTITY_MOST)


class ReceiveGoods(_Command):
    """The dock's receipt: the strongest word on what was delivered. `final`: nothing more is expected.

    Counts of several receipts are added up; `replaces`: all receipts before this one were wrong and do not count.
    """

    command: Literal["receive"] = "receive"
    occurred_at: Time
    lines: tuple[ReceiptLine, ...] = Field(min_length=1, max_length=500)
    final: bool = True
    replaces: bool = False
    unit: Reference | None = None


Command = Annotated[
    RegisterConsignment | AmendConsignment | CancelConsignment | LinkReference | UnlinkReference | AppointParty | ReceiveGoods,
    Field(discriminator="command"),
]
COMMAND: TypeAdapter[Command] = TypeAdapter(Command)

_COMMON: dict[str, object] = {
    "consignment": "LACDHS-0001",
    "sender": "LACDHS",
    "received_at": "2020-03-20T16:00:00Z",
    "raw": {"sha256": "ab" * 32, "partition": 0, "offset": 3, "position": "/0"},
}
_DECLARATION: dict[str, object] = {
    "consignment": "LACDHS-0001",
    "items": [{"line": 1, "category": "n95_respirator", "quantity": 240000}],
    "parties": {"carrier": "MAEU", "trucker": "HBRT", "consignee": "H-HARBOR"},
    "route": {
        "mode": "sea",
        "origin": "CNSHA",
        "port_of_discharge": "USLAX",
        "terminal": "LA-APMT",
        "place_of_delivery": "H-HARBOR",
    },
    "plan": {"departed": "2020-03-24T10:00:00+08:00", "arrived": "2020-04-10T06:00:00-07:00"},
    "required_by": "2020-04-15T12:00:00-07:00",
    "tier": 1,
    "references": [
        {"kind": "bill_of_lading", "value": "MAEU203990011"},
        {"kind": "container", "value": "MRSU4371639"},
    ],
    "packing": [{"line": 1, "unit": {"kind": "container", "value": "MRSU4371639"}, "quantity": 240000}],
}
_BODIES: tuple[dict[str, object], ...] = (
    {"command": "register", "declaration": _DECLARATION},
    {"command": "register", "declaration": _DECLARATION, "onto": "add_lines"},
    {"command": "amend", "declaration": _DECLARATION, "if_match": 1},
    {"command": "cancel", "reason": "ordered twice"},
    {"command": "link", "reference": {"kind": "booking", "value": "BK100"}},
    {"command": "unlink", "reference": {"kind": "booking", "value": "BK100"}},
    {"command": "appoint", "role": "trucker", "party": "SPDR"},
    {
        "command": "receive",
        "occurred_at": "2020-04-15T10:00:00-07:00",
        "lines": [{"line": 1, "good": 239000, "short": 800, "damaged": 200}],
    },
)
EXAMPLES: tuple[Command, ...] = tuple(
    COMMAND.validate_python({**_COMMON, "command_id": f"{n:032x}", **body}) for n, body in enumerate(_BODIES, start=1)
)
