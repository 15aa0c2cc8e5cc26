"""Every contract has examples; they are valid by the model and by its exported JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache

import jsonschema
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from schemas import (
    alert_states_v1,
    alerts_v1,
    consignment_command_v1,
    dead_letter_v1,
    journey_change_v1,
    journey_v1,
    letter_settled_v1,
    raw_message_v1,
    registers_v1,
    shipment_event_v1,
    work_act_v1,
)
from schemas.base import Time, UtcTime
from schemas.export import FOLDER, documents, schema_name
from schemas.topics import TOPICS

EXAMPLES: list[BaseModel] = [
    *alert_states_v1.EXAMPLES,
    *alerts_v1.EXAMPLES,
    *consignment_command_v1.EXAMPLES,
    *dead_letter_v1.EXAMPLES,
    *journey_change_v1.EXAMPLES,
    *journey_v1.EXAMPLES,
    *letter_settled_v1.EXAMPLES,
    *raw_message_v1.EXAMPLES,
    *registers_v1.EXAMPLES,
    *shipment_event_v1.EXAMPLES,
    *work_act_v1.EXAMPLES,
]


@cache  # it takes a quarter of a second
def exported() -> Mapping[str, str]:
    return documents()


@cache  # whether a schema is one takes as long as a hundred examples
def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads(exported()[name])
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: type(e).__name__)
def test_an_example_fits_its_model_and_its_schema(example: BaseModel) -> None:
    text = example.model_dump_json(exclude_none=True)
    assert type(example).model_validate_json(text) == example
    validator(f"{schema_name(type(example))}.schema.json").validate(json.loads(text))


def test_every_record_of_the_topic_table_has_an_example() -> None:
    shown = {type(example).__name__ for example in EXAMPLES}
    assert {model.__name__ for topic in TOPICS for model in topic.records} <= shown


def test_what_is_committed_is_what_the_contracts_export() -> None:
    committed = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    assert committed == exported(), "run `make generate`"


@pytest.mark.parametrize(
    ("text", "is_sane"),
    [
        ("1970-01-01T00:00:00Z", True),
        ("1969-12-31T23:59:59Z", False),
        ("1970-01-01T00:00:00+01:00", False),
        ("1971-01-01T00:00:00+14:00", True),
        ("2198-12-31T23:59:59-12:00", True),
        ("2199-12-31T23:59:59Z", True),
        ("2199-12-31T23:59:59-12:00", False),
        ("2200-01-01T00:00:00+14:00", True),
        ("0001-01-01T00:00:00+14:00", False),
        ("9999-12-31T23:59:59-12:00", False),
    ],
)
def test_a_time_lies_between_1970_and_2200_whatever_its_offset(text: str, is_sane: bool) -> None:
    for kind in (Time, UtcTime):
        validated = TypeAdapter[datetime](kind).validate_python
        if is_sane:
            assert validated(text) == datetime.fromisoformat(text)
        else:
            with pytest.raises(ValidationError, match="between 1970 and 2200"):
                validated(text)
