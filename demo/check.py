"""Found against expected: the truth of the scenario held against what ClickHouse says. Pure, but for `Questions`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from demo.truth import Found
from schemas.words import EXCEPTION_KINDS
from services.runtime import inside
from services.runtime.settings import Settings

TOLERANCE = timedelta(minutes=1)
FEED = "feed:"

_JOURNEYS = """
SELECT consignment, e.key AS key, e.status AS status, toUnixTimestamp64Milli(e.start) AS start
FROM journeys FINAL ARRAY JOIN exceptions AS e
"""
_FEEDS = "SELECT sender, toUnixTimestamp64Milli(silent_since) AS start FROM feeds FINAL WHERE silent_since IS NOT NULL"
_COUNTS = """
SELECT
    (SELECT count() FROM journeys FINAL) AS journeys,
    (SELECT uniqExact(letter_id) FROM dead_letters WHERE letter_id != '') AS letters,
    (SELECT count() FROM raw_messages WHERE kind != 'tick') AS raw,
    (SELECT toUnixTimestamp64Milli(min(t)) FROM clocks FINAL) AS t
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """An exception as a journey holds it: open, ended or withdrawn."""

    key: str
    status: str
    start: datetime

    @property
    def kind(self) -> str:
        return self.key.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Counts:
    """How far the pipeline has come, as ClickHouse sees it. `t`: the pipeline's time, None before it is known."""

    journeys: int
    letters: int
    raw: int
    t: datetime | None


@dataclass(frozen=True, slots=True)
class Miss:
    """What is not as it must be, and what stands there instead."""

    name: str
    expected: Found | None
    seen: tuple[Seen, ...]

    def sentence(self) -> str:
        """For a person: what was expected, what was found, how to look."""
        look = f"lovla show {self.name}" if not self.name.startswith(FEED) else "lovla feeds"
        found = ", ".join(f"{s.key} {s.status} from {_clock(s.start)}" for s in self.seen) or "nothing"
        if self.expected is None:
            return f"{self.name}: spurious {found}; look: {look}"
        state = "open" if self.expected.end is None else "ended"
        return (
            f"{self.name}: expected {self.expected.key} {state} from {_clock(self.expected.start)}, found {found}; look: {look}"
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One kind: how many are planted and found, how many are spurious, how many were told and withdrawn."""

    kind: str
    expected: int
    found: int
    spurious: int
    withdrawn: int


@dataclass(frozen=True, slots=True)
class Comparison:
    rows: tuple[Row, ...]
    misses: tuple[Miss, ...]

    @property
    def good(self) -> bool:
        return not self.misses


def compare(expected: Mapping[str, Sequence[Found]], seen: Mapping[str, Sequence[Seen]]) -> Comparison:
    """Each expected exception once, open or ended as it must be and from when it must; nothing else. Others' are ignored."""
    planted, found, spurious, withdrawn = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    misses: list[Miss] = []
    feeds = {name for name in seen if name.startswith(FEED)}
    for name in sorted(set(expected) | feeds):
        left = [s for s in seen.get(name, ()) if s.status != "withdrawn"]
        withdrawn.update(s.kind for s in seen.get(name, ()) if s.status == "withdrawn")
        for one in expected.get(name, ()):
            planted[one.kind] += 1
            match = next((s for s in left if _same(one, s)), None)
            if match is None:
                misses.append(Miss(name, one, tuple(s for s in seen.get(name, ()) if s.kind == one.kind)))
                left = [s for s in left if s.key != one.key]
            else:
                found[one.kind] += 1
                left.remove(match)
        for surplus in left:
            spurious[surplus.kind] += 1
            misses.append(Miss(name, None, (surplus,)))
    rows = (Row(kind, planted[kind], found[kind], spurious[kind], withdrawn[kind]) for kind in EXCEPTION_KINDS)
    return Comparison(tuple(rows), tuple(misses))


def _same(expected: Found, seen: Seen) -> bool:
    open_or_ended = "open" if expected.end is None else "ended"
    return seen.key == expected.key and seen.status == open_or_ended and abs(seen.start - expected.start) <= TOLERANCE


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z"


class Questions:
    """Asks ClickHouse as its user `reader`, over HTTP."""

    def __init__(self, settings: Settings) -> None:
        self._http = httpx.Client(
            base_url=f"http://{settings.clickhouse_host}:{settings.clickhouse_http_port}",
            headers={
                "X-ClickHouse-User": "reader",
                "X-ClickHouse-Key": settings.clickhouse_reader_password.get_secret_value(),
                "X-ClickHouse-Database": settings.clickhouse_database,
            },
            timeout=60.0,
            trust_env=False,
            verify=inside.plain(),
        )

    def close(self) -> None:
        self._http.close()

    def counts(self) -> Counts:
        (row,) = self._ask(_COUNTS)
        return Counts(int(row["journeys"]), int(row["letters"]), int(row["raw"]), _moment(row["t"]) if row["t"] else None)

    def seen(self) -> dict[str, list[Seen]]:
        """Consignment (or `feed:CODE`) -> its exceptions."""
        found: dict[str, list[Seen]] = {}
        for row in self._ask(_JOURNEYS):
            found.setdefault(row["consignment"], []).append(Seen(row["key"], row["status"], _moment(row["start"])))
        for row in self._ask(_FEEDS):
            found[FEED + row["sender"]] = [Seen("silent", "open", _moment(row["start"]))]
        return found

    def _ask(self, sql: str) -> Iterable[dict[str, Any]]:
        answer = self._http.post("/", params={"default_format": "JSONEachRow"}, content=sql.encode())
        if answer.status_code != 200:
            raise ConnectionError(f"ClickHouse said {answer.status_code}: {answer.text[:500]}")
        return [json.loads(line) for line in answer.text.splitlines() if line]


def _moment(milliseconds: object) -> datetime:
    return datetime.fromtimestamp(int(str(milliseconds)) / 1000, UTC)
