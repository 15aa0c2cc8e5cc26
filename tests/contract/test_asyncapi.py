"""The AsyncAPI document says what the topic table says, and every reference in it leads somewhere.

Structural checks: the specification's own JSON Schema is published for other languages' package managers only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from schemas.export import FLOW, FOLDER, asyncapi, schema_name
from schemas.topics import TOPICS

DOCUMENT = asyncapi()


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            assert set(value) == {"$ref"}, "a Reference Object holds nothing else"
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def resolve(reference: str) -> Any:
    if reference.startswith("./"):
        return json.loads((FOLDER / reference).read_text())
    found: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def test_every_reference_leads_somewhere() -> None:
    found = list(references(DOCUMENT))
    assert len(found) > 100
    for reference in found:
        assert resolve(reference)


def test_every_topic_is_a_channel_with_its_records() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= set(DOCUMENT["info"])
    assert set(DOCUMENT["channels"]) == {topic.name for topic in TOPICS}
    for topic in TOPICS:
        channel = DOCUMENT["channels"][topic.name]
        assert channel["address"] == topic.name
        assert set(channel["messages"]) == {schema_name(model) for model in topic.records}


def test_every_operation_is_a_send_or_a_receive_on_a_channel() -> None:
    for name, operation in DOCUMENT["operations"].items():
        assert operation["action"] in ("send", "receive"), name
        assert resolve(operation["channel"]["$ref"])["address"] in name


def test_every_topic_with_records_has_a_writer_and_a_reader() -> None:
    assert set(FLOW) == {topic.name for topic in TOPICS}
    for topic in TOPICS:
        writers, readers = FLOW[topic.name]
        assert bool(writers and readers) == bool(topic.records), topic.name
        assert ("sink" in readers) == (topic.sunk), topic.name


def test_every_message_says_where_its_schema_is_or_that_it_is_bytes() -> None:
    for name, message in DOCUMENT["components"]["messages"].items():
        payload = message["payload"]
        assert payload.get("format") == "binary" or resolve(payload["schema"]["$ref"])["$id"] == f"urn:lovla:schema:{name}"
