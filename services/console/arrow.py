"""Answers as an Arrow stream: the same questions, asked of ClickHouse's HTTP door, which writes ArrowStream itself.

*Guarantees*: parameters are bound by the server, as everywhere (docs/decisions/0040); nothing of the answer is changed by us,
so it is for those alone who see everything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Final, TypeVar

import httpx
from pydantic import SecretStr

from services.console.kept import Kept
from services.console.questions import Questions
from services.console.settings import ConsoleSettings
from services.runtime.clickhouse import ClickHouse, OutcomeUnknown, Refused

R = TypeVar("R")

MEDIA_TYPE: Final = "application/vnd.apache.arrow.stream"
Ask = Callable[[str, Mapping[str, object]], bytes]
"""(question, parameters) -> the stream."""


class ArrowQuestions(Questions):
    """Lists come as `stream` instead of as rows; what a list needs to know first is asked as ever."""

    _in_parts = False
    sees_rows = False

    def __init__(self, clickhouse: ClickHouse, ask: Ask, words: Kept | None = None) -> None:
        super().__init__(clickhouse, words=words)
        self._as_stream = ask
        self.stream = b""

    def _rows(self, row: type[R], asked: str, params: Mapping[str, object]) -> list[R]:
        names = ", ".join(field.name for field in fields(row))  # type: ignore[arg-type]  # R: one of questions.py's dataclasses
        self.stream = self._as_stream(f"SELECT {names} FROM ({asked})", params)  # noqa: S608  the text of our own files
        return []


def over_http(settings: ConsoleSettings, user: str, password: SecretStr) -> Ask:
    """As this user, within the console's limits. Raises OutcomeUnknown, Refused."""

    def ask(question: str, params: Mapping[str, object]) -> bytes:
        form = {"query": (None, f"{question} FORMAT ArrowStream")}
        form |= {f"param_{name}": (None, told(value)) for name, value in params.items()}
        limits = {
            "database": settings.clickhouse_database,
            "wait_end_of_query": "1",  # else an error after the first rows would come as a whole answer
            "max_execution_time": str(round(settings.console_query_s)),
            "max_memory_usage": str(settings.console_query_bytes),
            "output_format_arrow_compression_method": "none",
            "output_format_arrow_string_as_string": "1",
            "output_format_arrow_low_cardinality_as_dictionary": "0",
        }
        who = {
            "X-ClickHouse-User": user,
            "X-ClickHouse-Key": password.get_secret_value(),
        }
        address = f"http://{settings.clickhouse_host}:{settings.clickhouse_http_port}/"
        try:
            answer = httpx.post(
                address, params=limits, files=form, headers=who, timeout=settings.console_query_s + 2, trust_env=False
            )
        except httpx.HTTPError as error:
            raise OutcomeUnknown(f"ClickHouse gave no answer: {type(error).__name__}") from error
        if answer.is_success:
            return answer.content
        code = int(answer.headers.get("X-ClickHouse-Exception-Code", 0))
        raise (OutcomeUnknown if code in (159, 202, 241) else Refused)(answer.text[:500], code)

    return ask


def told(value: object) -> str:
    """A parameter as ClickHouse's HTTP door reads it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str):
        return _escaped(value)
    if isinstance(value, Sequence):
        return _escaped("[" + ",".join("'" + _quoted(str(one)) + "'" for one in value) + "]")
    return str(value)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
