"""A mapping: how one sender's spreadsheet or JSON becomes events. Values only; made of a file by mappings.py.

Where a value comes from is a `Source`: a column of a CSV, an expression (JMESPath) of JSON, or a constant. Expressions are the
operator's, documents are strangers'. So that no document can make an expression explode, only what walks *down* a document is
allowed: fields, indexes, slices, projections, filters, comparisons, and a few functions that give one text or truth. Nothing
that builds lists or objects (`[a, b]`, `{a: b}`), sorts, maps, or makes text of a whole document.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from schemas.base import Code, ShortText
from schemas.words import Classifier, Milestone, ReferenceKind
from services.ingest.codemaps.model import Meaning

EXPRESSION_MAX: Final = 200
_DEPTH_MAX: Final = 24
_WALKS: Final = frozenset(
    {
        "and_expression",
        "comparator",
        "current",
        "field",
        "filter_projection",
        "flatten",
        "function_expression",
        "identity",
        "index",
        "index_expression",
        "literal",
        "not_expression",
        "or_expression",
        "pipe",
        "projection",
        "slice",
        "subexpression",
        "value_projection",
    }
)
_FUNCTIONS: Final = MappingProxyType(
    {"contains": (2, 2), "ends_with": (2, 2), "length": (1, 1), "not_null": (1, 20), "starts_with": (2, 2), "type": (1, 1)}
)
"""What an expression may call, with how few and how many arguments."""


class BadExpression(ValueError):
    """No expression, or one that a mapping may not hold."""


class BadDocument(Exception):
    """An expression met what it cannot be asked of: the length of a number, say."""


class Expression:
    """A compiled JMESPath expression that only walks down. Raises BadExpression."""

    __slots__ = ("_compiled", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > EXPRESSION_MAX:
            raise BadExpression(f"longer than {EXPRESSION_MAX} characters")
        try:
            self._compiled = jmespath.compile(text)
            _check(self._compiled.parsed, 0)
        except (JMESPathError, RecursionError) as error:
            raise BadExpression(f"no JMESPath: {str(error).splitlines()[0] if str(error) else 'nested too deeply'}") from None

    def of(self, value: Any) -> Any:
        """What it finds in `value`; None where there is nothing. Raises BadDocument."""
        try:
            return self._compiled.search(value)
        except (JMESPathError, TypeError) as error:
            raise BadDocument(str(error).splitlines()[0][:200]) from None


def _check(node: Mapping[str, Any], depth: int) -> None:
    if depth > _DEPTH_MAX:
        raise BadExpression("nested too deeply")
    kind = node["type"]
    if kind not in _WALKS:
        raise BadExpression(f"{kind.replace('_', ' ')} is not allowed here; docs/partners.md lists what is")
    if kind == "function_expression":
        few, many = _FUNCTIONS.get(node["value"], (0, 0))
        if not many:
            raise BadExpression(f"the function {node['value']} is not allowed here; allowed are {', '.join(_FUNCTIONS)}")
        if not few <= len(node["children"]) <= many:
            raise BadExpression(f"{node['value']} takes {few if few == many else f'{few} to {many}'} arguments")
    for child in node["children"]:
        if isinstance(child, Mapping):  # a slice's are numbers
            _check(child, depth + 1)


Several: Final = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
"""A list of TOML, where the model has a tuple."""
OneOrMore: Final = BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)
"""A text alone is a tuple of one."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class Source(_Strict):
    """Where a text comes from. Written as text it is `from`; several are joined. `values`: what each text stands for."""

    names: tuple[ShortText, ...] = Field((), alias="from", max_length=8)
    constant: ShortText | bool | int | None = None
    values: Mapping[str, ShortText | bool] | None = Field(None, max_length=1_000)
    join: str = Field(" ", max_length=4)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        """`"Out gate"` and `["Date", "Time"]` are short for `{ from = ... }`."""
        if isinstance(value, str):
            return {"from": (value,)}
        if isinstance(value, list):
            return {"from": tuple(value)}
        if isinstance(value, dict) and isinstance(values := value.get("values"), dict):
            upper = {key.strip().upper(): found for key, found in values.items()}
            if len(upper) < len(values):
                raise ValueError("a value stands in `values` twice; upper and lower case are one")
            value = value | {"values": upper}
        if isinstance(value, dict) and "from" in value:
            names = value["from"]
            return value | {"from": (names,) if isinstance(names, str) else tuple(names) if isinstance(names, list) else names}
        return value

    @model_validator(mode="after")
    def _one(self) -> Source:
        if bool(self.names) == (self.constant is not None) and not getattr(self, "received", False):
            raise ValueError("give either `from` (a column or expression, or several) or `constant`")
        return self


class TimeSource(Source):
    """Where a time comes from; `format`, `zone`: instead of those of [time]. `received`: when we received the file."""

    format: Annotated[tuple[ShortText, ...] | None, Several, OneOrMore] = Field(None, max_length=8)
    zone: ShortText | None = None
    received: Literal[True] | None = None


class ReferenceSource(Source):
    """A reference; `equipment` is a container or a rail car, by its shape. `split`: what stands between several in one text."""

    kind: Literal[ReferenceKind, "equipment"]
    split: str | None = Field(None, min_length=1, max_length=4)


class Condition(Source):
    """Whether an event is meant: its text is one of `values_are` (upper and lower case are one)."""

    values_are: tuple[ShortText, ...] = Field(alias="is", min_length=1, max_length=100)

    @model_validator(mode="before")
    @classmethod
    def _are(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(said := value.get("is"), (str, list)):
            return value | {"is": (said,) if isinstance(said, str) else tuple(said)}
        return value


class PlaceSource(_Strict):
    unlocode: Source | None = None
    iata: Source | None = None
    name: Source | None = None
    country: Source | None = None
    facility: Source | None = None
    role: Source | None = None


class TransportSource(_Strict):
    vessel: Source | None = None
    imo: Source | None = None
    voyage: Source | None = None
    flight: Source | None = None
    vehicle: Source | None = None
    scac: Source | None = None
    next_carrier: Source | None = None


class PiecesSource(_Strict):
    this: Source | None = None
    total: Source | None = None


class Fields(_Strict):
    """What may be said of an event, for all of the message, for an item (a row), or for one of its events."""

    id: Source | None = None
    created_at: TimeSource | None = None
    updated_at: TimeSource | None = None
    references: Annotated[tuple[ReferenceSource, ...], Several] = Field((), max_length=16)
    place: PlaceSource | None = None
    origin: PlaceSource | None = None
    destination: PlaceSource | None = None
    mode: Source | None = None
    transport: TransportSource | None = None
    empty: Source | None = None
    pieces: PiecesSource | None = None
    reason: Source | None = None
    retracted: Source | None = None


class EventRule(Fields):
    """One event of an item, or of each of its parts. It happened where `occurred_at` is filled.

    What it means: `milestone` or `hold`, or the file's codes by what `code` says.
    """

    name: ShortText
    each: ShortText | None = None
    when: Condition | None = None
    occurred_at: TimeSource
    code: Source | None = None
    milestone: Milestone | None = None
    hold: ShortText | None = None
    classifier: Classifier | Source | None = None

    @model_validator(mode="after")
    def _means(self) -> EventRule:
        if (self.code is None) == (self.milestone is None and self.hold is None):
            raise ValueError("give either `code` (its codes stand in [codes]) or `milestone` and `hold`")
        return self


class CsvForm(_Strict):
    delimiter: Literal[",", ";", "\t", "|"] = ","
    encoding: Literal["utf-8", "utf-16", "windows-1252", "iso-8859-1"] = "utf-8"
    header_row: int = Field(1, ge=1, le=100)


class JsonForm(_Strict):
    items: ShortText = "@"
    match: ShortText | None = None


class TimeForm(_Strict):
    format: Annotated[tuple[ShortText, ...], Several, OneOrMore] = Field(("iso",), min_length=1, max_length=8)
    zone: ShortText = "place"


class Stated(_Strict):
    """A mapping file but for its codes, which are those of code maps (services/ingest/codemaps)."""

    sender: Code
    format: Literal["csv", "json"]
    version: int = Field(ge=1)
    valid_from: date | None = None
    source: ShortText
    csv: CsvForm = CsvForm()
    json_: JsonForm = Field(JsonForm(), alias="json")
    time: TimeForm = TimeForm()
    message: Fields = Fields()
    item: Fields = Fields()
    events: tuple[EventRule, ...] = Field(min_length=1, max_length=32)


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """How a time is written: `iso`, `excel`, `unix`, `unix_ms`, or a pattern (`M/D/YYYY H:mm`)."""

    name: str
    pattern: Any = None  # re.Pattern[str]
    tokens: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class MappingFile:
    """A mapping, checked and compiled. `meanings`: of the codes; `fixed`: of the events that have none, by their names."""

    stated: Stated
    meanings: Mapping[str, Meaning]
    fixed: Mapping[str, Meaning]
    expressions: Mapping[str, Expression]
    formats: Mapping[str, TimeFormat]
    zones: Mapping[str, ZoneInfo]
    columns: Mapping[str, str]  # each column that is used, and the key that uses it
    valid_from: datetime | None
    file: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What later versions replace: the sender's file of this form and match."""
        return (self.stated.sender, self.stated.format, self.stated.json_.match or ",".join(sorted(self.columns)))


@dataclass(frozen=True, slots=True)
class Mappings:
    """All mappings by sender, the newest version first."""

    by_sender: Mapping[str, tuple[MappingFile, ...]] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, mappings: Iterable[MappingFile]) -> Mappings:
        found: dict[str, tuple[MappingFile, ...]] = {}
        for one in sorted(mappings, key=lambda one: (-one.stated.version, one.file)):
            found[one.stated.sender] = (*found.get(one.stated.sender, ()), one)
        return cls(MappingProxyType(found))

    def valid(self, sender: str, received_at: datetime) -> Sequence[MappingFile]:
        """Those of a sender that count for what was received then, the newest first. Which of them fits, the bytes decide."""
        if not (own := self.by_sender.get(sender)):
            return ()
        return [one for one in own if one.valid_from is None or one.valid_from <= received_at]
