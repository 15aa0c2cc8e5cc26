"""What the API says of itself is committed, and compared."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import jsonschema
import pytest

from schemas.shipment_event_v1 import Hold, Pieces, Place, Transport
from services.ingest import readers
from services.ingest.readers import Context, Registers, lovla
from services.openapi_export import DESCRIPTIONS, DOCS, DOORS, document
from tests.stack import ROOT


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_what_is_committed_is_what_the_door_says(name: str) -> None:
    assert (DOCS / name).read_text() == document(name), "run `make generate`"


def test_every_address_of_the_alerts_that_a_key_opens_is_described() -> None:
    said = json.loads(document("alerts.openapi.json"))["paths"]
    assert all(way["summary"] for path in said.values() for way in path.values())
    assert {path for path in said if not path.startswith("/v1/")} == {"/healthz", "/readyz", "/metrics"}
    opened = [way for path, ways in said.items() if path.startswith("/v1/") for way in ways.values()]
    assert len(opened) == 13
    assert all(way["security"] == [{"key": []}] for way in opened)


@pytest.mark.parametrize("name", DOORS)
def test_every_way_to_sign_in_that_an_address_names_is_described(name: str) -> None:
    said = json.loads(document(name))
    ways = [way for path in said["paths"].values() for way in path.values()]
    named = {name for way in ways for one in way.get("security", ()) for name in one}
    assert named == {"key"} == set(said["components"]["securitySchemes"])


@pytest.mark.parametrize("name", DOORS)
def test_every_schema_that_is_pointed_to_is_there(name: str) -> None:
    said = json.loads(document(name))
    pointed = set(re.findall(r'"\$ref": "([^"]+)"', document(name)))
    assert pointed
    assert pointed <= {f"#/components/schemas/{name}" for name in said["components"]["schemas"]}


def test_our_own_json_is_described_field_by_field_with_an_example_that_the_readers_understand() -> None:
    said = json.loads(document("openapi.json"))
    body = said["paths"]["/v1/events"]["post"]["requestBody"]["content"]
    event = said["components"]["schemas"]["StatedEvent"]
    assert set(event["properties"]) == set(lovla.StatedEvent.model_fields)
    assert all(field.get("description") for field in event["properties"].values())
    for form, one in body.items():
        assert one["schema"], form
    example = body["application/json"]["example"]
    assert [json.loads(line) for line in body["application/x-ndjson"]["example"].splitlines()] == example
    assert json.loads((ROOT / "docs" / "examples" / "events.json").read_text()) == example
    schema = said | {"$ref": "#/components/schemas/StatedEvent"}
    for one in example:
        jsonschema.Draft202012Validator(schema).validate(one)
    context = Context(
        sender="MAEU", received_at=datetime(2026, 11, 18, tzinfo=UTC), registers=Registers.of([], []), raw_sha256="0" * 64
    )
    reading = readers.read(json.dumps(example).encode(), "application/json", None, context)
    assert reading.standard == "lovla.1"
    assert [(verdict.problem, verdict.event and verdict.event.warnings) for verdict in reading.verdicts] == [(None, ())] * 4


def test_the_page_of_our_own_json_names_every_field() -> None:
    page = (ROOT / "docs" / "standards" / "own_json.md").read_text()
    rows = {name for cell in re.findall(r"^\| (`[^|]+) \|", page, re.M) for name in re.findall(r"`([a-z_]+)`", cell)}
    assert set(lovla.StatedEvent.model_fields) <= rows
    for model in (lovla.StatedReference, lovla.Retracted, Place, Transport, Pieces, Hold):
        for name in model.model_fields:
            assert f"`{name}`" in page, f"{model.__name__}.{name}"
