"""Writes the contracts as JSON Schema: `python -m schemas.export` (`--check` compares and exits 1 on a difference)."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from pydantic import BaseModel

from schemas.topics import TOPICS

FOLDER = Path(__file__).parent / "generated"


def schema_name(model: type[BaseModel]) -> str:
    """`shipment_event.v1`: the class in snake case and the version of its module."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", model.__name__).lower()
    return f"{snake}.{model.__module__.rsplit('_', 1)[1]}"


def documents() -> dict[str, str]:
    """File name -> text, one a record of the topic table, and the table itself."""
    files: dict[str, str] = {}
    for topic in TOPICS:
        for model in topic.records:
            name = schema_name(model)
            schema = model.model_json_schema(mode="serialization")
            named = {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "$id": f"urn:lovla:schema:{name}",
                **schema,
            }
            files[f"{name}.schema.json"] = json.dumps(named, indent=2, sort_keys=True) + "\n"
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
    files["topics.json"] = json.dumps(table, indent=2) + "\n"
    return files


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
