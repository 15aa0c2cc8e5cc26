"""The README's first hour holds whenever somebody reads it: its examples are of November 2026."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.stack import ROOT
from tests.unit.ingest.fakes import NOW, House

README = (ROOT / "README.md").read_text(encoding="utf-8")
_SAID = re.compile(r"^lovla (register|push) (\S+) --(?:as|carrier) (\w+) --received-at (\S+)", re.MULTILINE)
_SCOPES = re.compile(r"^lovla carriers add (\w+) --kind (\w+) .*?--scope ([\w,]+)", re.MULTILINE)


@pytest.mark.parametrize("year", [2027, 2036])
async def test_the_examples_are_taken_in_any_year(house: House, year: int) -> None:
    house.clock.advance((datetime(year, 1, 15, tzinfo=UTC) - NOW).total_seconds())
    keys = {code: house.add(code, kind, *scopes.split(",")) for code, kind, scopes in _SCOPES.findall(README)}
    said = _SAID.findall(README)
    assert [verb for verb, *_ in said] == ["register", "push"]
    for verb, file, code, received_at in said:
        path = {"register": "/v1/consignments", "push": "/v1/messages"}[verb]
        body = (ROOT / file).read_bytes()
        kind = {"Content-Type": "application/json" if verb == "register" else "application/edi-x12"}
        answer = await house.http.post(path, content=body, headers=keys[code] | kind | {"Lovla-Received-At": received_at})
        told: dict[str, Any] = answer.json()
        assert (answer.status_code, told.get("accepted")) == (202, 1), told
    (pushed,) = re.findall(r'-H "Lovla-Received-At: ([^"]+)" --data-binary @docs/examples/arrival.315', README)
    assert pushed == said[1][3]
