"""JSON lines on stderr, one an event; libraries' own logging goes the same way; secrets are struck out."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

_SECRET_NAME = re.compile(r"password|secret|token|api_?key|authorization|credential|signature|cookie", re.IGNORECASE)
_SECRET_IN_TEXT = re.compile(
    r"(?i)((?:\b(?:\w*password|\w*secret|\w*token|api[_-]?key|authorization|signature)\b[\"']?\s*[=:]\s*[\"']?)(?:bearer\s+|basic\s+)?"
    r"|\b(?:bearer|basic)\s+)[^\s\"',;&]+"
)
_SECRET_IN_URL = re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")
STRUCK = "***"


def redact(value: object) -> object:
    """The value without what must not be logged: by the name of a field, and by pattern inside text."""
    if isinstance(value, str):
        return _SECRET_IN_TEXT.sub(rf"\g<1>{STRUCK}", _SECRET_IN_URL.sub(STRUCK, value))
    if isinstance(value, Mapping):
        return {k: STRUCK if _SECRET_NAME.search(str(k)) else redact(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(v) for v in value]
    return value


def _strike(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    struck = redact(event)
    assert isinstance(struck, dict)
    return struck


def _chain() -> list[structlog.typing.Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _strike,  # last, so that it sees tracebacks too
    ]


def setup(service: str, level: str = "INFO") -> None:
    """Called once by each service's entry point. Every line carries `service`."""

    def named(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = service
        return event

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_chain(),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                named,
                structlog.processors.JSONRenderer(default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line per request, with its URL
    logging.getLogger("clickhouse_driver").setLevel(logging.CRITICAL)  # its errors reach us as exceptions


def get(name: str) -> structlog.stdlib.BoundLogger:
    """A logger; `log.info("event.name", field=value)`. Stands on the standard library's logging: without setup() (a CLI verb,
    a test) warnings go to stderr as they are, and nothing ever goes to stdout."""
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[structlog.stdlib.filter_by_level, *_chain(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return logger
