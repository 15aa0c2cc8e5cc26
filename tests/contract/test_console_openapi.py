"""The query API's description names every address of the API, and says what the work list takes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast
from zoneinfo import ZoneInfo

import pytest

from services.console import openapi, worklist
from services.console.door import ConsoleDoor
from services.console.gate import Problem
from services.console.lists_api import Lists
from services.console.query_api import Api

NOW = datetime(2020, 4, 12, tzinfo=UTC)


def test_every_address_is_described_and_no_other() -> None:
    door = cast(ConsoleDoor, None)
    routes = [*Api(door).routes(), *Lists(door).routes()]
    served = {path.replace(":path}", "}") for _, path, _ in routes}
    assert served == set(openapi.document()["paths"])


def test_every_word_that_is_described_is_taken_and_others_are_not() -> None:
    described = openapi.document()["paths"]["/api/v1/delayed"]["get"]["parameters"]
    for parameter in described:
        schema = parameter["schema"]
        words = schema.get("enum") or schema.get("items", {}).get("enum")
        if words and parameter["name"] not in ("format", "reverse"):
            for word in words:
                worklist.read({parameter["name"]: [word]}, NOW, ZoneInfo("UTC"))
            with pytest.raises(Problem):
                worklist.read({parameter["name"]: ["no-such-word"]}, NOW, ZoneInfo("UTC"))
