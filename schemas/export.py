"""Writes the contracts as JSON Schema and the flow as AsyncAPI: `python -m schemas.export` (`--check` compares and exits 1 on
a difference).
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from schemas.raw_message_v1 import RawMessage
from schemas.topics import TOPICS, Topic

FOLDER = Path(__file__).parent / "generated"
TABLE = "topics.json"
ASYNCAPI = "asyncapi.json"

FLOW: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "raw.messages.v1": (("ingest.api",), ("ingest.readers", "sink")),
    "shipment.events.v1": (("ingest.readers",), ("tracker", "sink")),
    "consignment.commands.v1": (("ingest.readers",), ("tracker", "sink")),
    "dead.letters.v1": (("ingest.readers", "tracker"), ("sink",)),
    "dead.letters.settled.v1": (("cli",), ("cli",)),
    "journeys.v1": (("tracker",), ("tracker", "sink")),
    "journey.changes.v1": (("tracker",), ("alerts.worker", "sink", "ingest.api")),
    "tracker.shards.v1": ((), ()),
    "senders.v1": (("cli",), ("ingest.api", "ingest.readers", "tracker", "sink")),
    "facilities.v1": (("cli",), ("ingest.api", "ingest.readers", "tracker", "sink")),
    "accounts.v1": (("cli",), ("ingest.api",)),
    "secrets.v1": (("cli",), ("ingest.api",)),
    "readers.parked.v1": (("ingest.readers",), ("ingest.readers",)),
    "subscriptions.v1": (("alerts.api",), ("alerts.api", "alerts.worker", "alerts.sender")),
    "suppressions.v1": (("alerts.api", "alerts.sender"), ("alerts.api", "alerts.sender")),
    "alert.candidates.v1": (("alerts.worker",), ("alerts.worker",)),
    "notifications.v1": (("alerts.worker", "alerts.api"), ("alerts.sender", "sink")),
    "deliveries.v1": (("alerts.sender", "alerts.api"), ("alerts.sender", "sink")),
    "alerts.control.v1": (("cli",), ("alerts.sender", "console")),
    "alert.waiting.v1": (("alerts.worker",), ("alerts.worker",)),
    "alert.states.v1": (("alerts.worker",), ("alerts.worker",)),
    "alert.acknowledgements.v1": (("ingest.api",), ("alerts.worker", "sink")),
    "consent.v1": (("alerts.api",), ("sink",)),
    "work.acts.v1": (("ingest.api",), ("sink",)),
}
"""Of each topic who writes and who reads (docs/architecture.md, "The flow"). Nothing is written to the topic of leases."""


def schema_name(model: type[BaseModel]) -> str:
    """`shipment_event.v1`: the class in snake case and the version of its module."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", model.__name__).lower()
    return f"{snake}.{model.__module__.rsplit('_', 1)[1]}"


def schema_file(model: type[BaseModel]) -> str:
    """The file of its JSON Schema."""
    return f"{schema_name(model)}.schema.json"


def contracts() -> dict[str, str]:
    """File name -> text, one a record of the topic table, and the table itself: what is released."""
    files: dict[str, str] = {}
    for topic in TOPICS:
        for model in topic.records:
            schema = model.model_json_schema(mode="serialization")
            named = {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "$id": f"urn:lovla:schema:{schema_name(model)}",
                **schema,
            }
            files[schema_file(model)] = json.dumps(named, indent=2, sort_keys=True) + "\n"
    table = [
        {
            "topic": topic.name,
            "key": topic.key,
            "partitions": "one a tracker shard" if topic.sharded else topic.partitions,
            "transactional": topic.transactional,
            "config": topic.config(),
            "records": [schema_name(model) for model in topic.records],
        }
        for topic in TOPICS
    ]
    files[TABLE] = json.dumps(table, indent=2) + "\n"
    return files


def documents() -> dict[str, str]:
    """All that is generated: the contracts, and AsyncAPI on top of them."""
    return contracts() | {ASYNCAPI: json.dumps(asyncapi(), indent=2) + "\n"}


def asyncapi() -> dict[str, Any]:
    """The whole flow as an AsyncAPI 3.0 document: a channel a topic, an operation a service and topic."""
    models = {schema_name(model): model for topic in TOPICS for model in topic.records}
    operations = {
        f"{service}.{action}s.{topic.name}": {
            "action": action,
            "title": f"{service} {action}s {topic.name}",
            "channel": {"$ref": f"#/channels/{topic.name}"},
        }
        for topic in TOPICS
        for action, services in zip(("send", "receive"), FLOW[topic.name], strict=True)
        for service in services
    }
    return {
        "asyncapi": "3.0.0",
        "id": "urn:lovla:flow",
        "info": {
            "title": "LoVLA",
            "version": "1.0.0",
            "description": "Tracking of medical supplies: what runs over Kafka between the services. Services talk through "
            "topics only. All readers read committed records; unknown fields are ignored by who reads.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": operations,
        "components": {"messages": {name: _message(name, model) for name, model in models.items()}},
    }


def _channel(topic: Topic) -> dict[str, Any]:
    config = topic.config()
    settings: dict[str, Any] = {
        "cleanup.policy": [config["cleanup.policy"]],
        "max.message.bytes": int(config["max.message.bytes"]),
    }
    if "retention.ms" in config:
        settings["retention.ms"] = int(config["retention.ms"])
    kafka: dict[str, Any] = {"topic": topic.name, "topicConfiguration": settings, "bindingVersion": "0.5.0"}
    if not topic.sharded:
        kafka["partitions"] = topic.partitions
    return {
        "address": topic.name,
        "description": f"Keyed by {topic.key}." if topic.records else "Holds no records: its partitions are leases.",
        "messages": {schema_name(model): {"$ref": f"#/components/messages/{schema_name(model)}"} for model in topic.records},
        "bindings": {"kafka": kafka},
    }


def _message(name: str, model: type[BaseModel]) -> dict[str, Any]:
    said = {"name": name, "title": model.__name__, "summary": (model.__doc__ or model.__name__).strip().splitlines()[0]}
    schema = {
        "schemaFormat": "application/schema+json;version=2020-12",
        "schema": {"$ref": f"./{schema_file(model)}"},
    }
    if model is RawMessage:  # its fields travel as headers, and its value is whatever was sent
        headers = {f"lovla-{field}": {"type": "string"} for field in model.model_fields}
        return said | {
            "contentType": "application/octet-stream",
            "headers": {"type": "object", "properties": headers},
            "payload": {"type": "string", "format": "binary"},
        }
    headers = {key: {"type": "string"} for key in ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_dataschema")}
    return said | {
        "contentType": "application/json",
        "headers": {"type": "object", "properties": headers},
        "payload": schema,
    }


def main() -> int:
    """Returns the exit code."""
    check = "--check" in sys.argv[1:]
    wanted = documents()
    FOLDER.mkdir(exist_ok=True)
    existing = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    if check:
        different = sorted(name for name in wanted.keys() | existing.keys() if wanted.get(name) != existing.get(name))
        for name in different:
            sys.stderr.write(f"schemas/generated/{name} is not what the contracts say: run `make generate`\n")
        return 1 if different else 0
    for name in existing.keys() - wanted.keys():
        (FOLDER / name).unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
