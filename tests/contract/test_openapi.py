"""What the API says of itself is committed, and compared."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import jsonschema

from schemas.shipment_event_v1 import Hold, Pieces, Place, Transport
from services.ingest import readers
from services.ingest.openapi_export import FILE, document
from services.ingest.readers import Context, Registers, lovla
from tests.stack import ROOT


def test_what_is_committed_is_what_the_api_says() -> None:
    assert FILE.read_text() == document(), "run `make generate`"


def test_every_way_to_sign_in_that_an_address_names_is_described() -> None:
    said = json.loads(document())
    ways = [way for path in said["paths"].values() for way in path.values()]
    named = {name for way in ways for one in way.get("security", ()) for name in one}
    assert named == {"key"} == set(said["components"]["securitySchemes"])


def test_every_schema_that_is_pointed_to_is_there() -> None:
    said = json.loads(document())
    pointed = set(re.findall(r'"\$ref": "([^"]+)"', document()))
    assert pointed
    assert pointed <= {f"#/components/schemas/{name}" for name in said["components"]["schemas"]}


def test_our_own_json_is_described_field_by_field_with_an_example_that_the_readers_understand() -> None:
    said = json.loads(document())
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
