"""A released contract may only grow: each rule of schemas/compatibility.py refuses its own kind of breaking change."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from schemas import compatibility
from schemas.compatibility import NEW_RECORDS, OLD_RECORDS, Protects, breaks, check, table_breaks
from schemas.export import contracts


class Inner(BaseModel):
    kind: str
    value: str = Field(max_length=64)


class Released(BaseModel):
    """As it was."""

    id: str = Field(pattern="^[a-z]+$", min_length=2)
    mode: Literal["sea", "air"] = "sea"
    pieces: int | None = Field(None, ge=0, le=100)
    references: tuple[Inner, ...] = ()
    at: str


def changed(**fields: Any) -> type[BaseModel]:
    """The same record with some fields otherwise; None leaves one out."""
    kept: dict[str, Any] = {name: (field.annotation, field) for name, field in Released.model_fields.items()}
    kept |= fields
    from pydantic import create_model

    made: type[BaseModel] = create_model("Released", **{name: said for name, said in kept.items() if said is not None})
    return made


def found(model: type[BaseModel]) -> list[tuple[str, Protects]]:
    was, now = (each.model_json_schema(mode="serialization") for each in (Released, model))
    return [(problem.where, problem.protects) for problem in breaks("released.v1", was, now)]


class Narrow(BaseModel):
    kind: str
    value: str = Field(max_length=32)


class Longer(BaseModel):
    kind: str
    value: str = Field(max_length=32)
    colour: str


BREAKING: dict[str, tuple[dict[str, Any], list[tuple[str, Protects]]]] = {
    "a required field is gone": ({"at": None}, [("/at", NEW_RECORDS)]),
    "an optional field is gone": ({"pieces": None}, [("/pieces", OLD_RECORDS)]),
    "a field has another name": ({"at": None, "when": (str, ...)}, [("/at", NEW_RECORDS), ("/when", OLD_RECORDS)]),
    "a new field must be there": ({"vessel": (str, ...)}, [("/vessel", OLD_RECORDS)]),
    "a field becomes optional": ({"at": (str, "")}, [("/at", NEW_RECORDS)]),
    "a field becomes required": ({"references": (tuple[Inner, ...], ...)}, [("/references", OLD_RECORDS)] * 2),
    "another type": ({"at": (int, ...)}, [("/at", OLD_RECORDS), ("/at", NEW_RECORDS)]),
    "one type more": ({"at": (int | str, ...)}, [("/at", NEW_RECORDS)]),
    "one type less": ({"pieces": (Literal[None], None)}, [("/pieces", OLD_RECORDS)]),
    "null where it must be": ({"at": (str | None, ...)}, [("/at", NEW_RECORDS)]),
    "a word less": ({"mode": (Literal["sea", "rail"], "sea")}, [("/mode", OLD_RECORDS)]),
    "only certain words": ({"at": (Literal["now", "then"], ...)}, [("/at", OLD_RECORDS)]),
    "a lower most": ({"pieces": (int | None, Field(None, ge=0, le=99))}, [("/pieces", OLD_RECORDS)]),
    "a higher least": ({"pieces": (int | None, Field(None, ge=1, le=100))}, [("/pieces", OLD_RECORDS)]),
    "a new limit": ({"at": (str, Field(max_length=5))}, [("/at", OLD_RECORDS)]),
    "another pattern": ({"id": (str, Field(pattern="^[A-Z]+$", min_length=2))}, [("/id", OLD_RECORDS)]),
    "a shorter text inside a list": ({"references": (tuple[Narrow, ...], ())}, [("/references/*/value", OLD_RECORDS)]),
    "a new field inside a list": (
        {"references": (tuple[Longer, ...], ())},
        [("/references/*/value", OLD_RECORDS), ("/references/*/colour", OLD_RECORDS)],
    ),
    "another default": ({"mode": (Literal["sea", "air"], "air")}, [("/mode", OLD_RECORDS)]),
}


@pytest.mark.parametrize("case", BREAKING)
def test_a_breaking_change_is_refused(case: str) -> None:
    fields, expected = BREAKING[case]
    assert sorted(found(changed(**fields))) == sorted(expected)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"vessel": (str | None, None)},
        {"vessels": (tuple[Inner, ...], ())},
        {"mode": (Literal["sea", "air", "rail"], "sea")},
        {"pieces": (int | None, Field(None, ge=0, le=1000))},
        {"id": (str, Field(min_length=1))},
    ],
    ids=["nothing", "a new optional field", "a new list", "a new word", "a wider limit", "a limit and a pattern less"],
)
def test_growth_is_allowed(fields: dict[str, Any]) -> None:
    assert found(changed(**fields)) == []


TABLE: list[dict[str, Any]] = [
    {
        "topic": "a.v1",
        "key": "sender",
        "partitions": 4,
        "transactional": True,
        "config": {"cleanup.policy": "delete"},
        "records": ["a.v1"],
    }
]


@pytest.mark.parametrize(
    "change",
    [
        {"key": "consignment"},
        {"partitions": 8},
        {"transactional": False},
        {"config": {"cleanup.policy": "compact"}},
        {"records": []},
        {"records": ["a.v1", "b.v1"]},
        {"topic": "renamed.v1"},
    ],
    ids=str,
)
def test_the_topic_table_may_not_change_under_its_readers(change: dict[str, Any]) -> None:
    assert len(table_breaks(TABLE, [TABLE[0] | change])) == 1
    assert table_breaks(TABLE, [TABLE[0], TABLE[0] | {"topic": "new.v1"}]) == []


def test_a_contract_that_is_gone_is_refused() -> None:
    released = contracts()
    current = {name: text for name, text in released.items() if name != "tick.v1.schema.json"}
    assert [problem.text for problem in check(released, current)] == ["the contract is gone"]


def test_what_is_released_is_what_todays_contracts_still_keep() -> None:
    released = {path.name: path.read_text() for path in compatibility.FOLDER.glob("*.json")}
    assert set(released) == set(contracts()), "run `python -m schemas.compatibility --release` for what is new"
    assert check(released, contracts()) == []


def test_every_real_contract_is_held_by_the_rules() -> None:
    """Each field of each contract, taken away, is noticed: nothing hides in a corner that the comparison does not walk."""
    for name, text in contracts().items():
        if not name.endswith(".schema.json"):
            continue
        old = json.loads(text)
        for holder in [old, *old.get("$defs", {}).values()]:
            for field in list(holder.get("properties", {})):
                new = json.loads(text)
                same = new if holder is old else new["$defs"][holder["title"]]
                del same["properties"][field]
                assert breaks(name, old, new), (name, holder.get("title"), field)
