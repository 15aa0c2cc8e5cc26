"""What descriptions of doors (OpenAPI) have alike: how a refusal looks, and what a key is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field


class ProblemBody(BaseModel):
    """RFC 9457 problem details; `errors` name the places in the payload."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: list[dict[str, str]] = Field(default_factory=list)


def refused(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Of these statuses the answer is problem details."""
    return {status: {"model": ProblemBody, "content": {"application/problem+json": {}}} for status in statuses}


def complete(app: FastAPI, schemas: Mapping[str, Any]) -> None:
    """The description says what `key` is, and the schemas of the bodies: FastAPI writes these only of dependencies and
    parameters, and a door asks for the key and takes the bytes itself. `schemas`: pydantic's, with `$defs`."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        said = plain()
        key = {"type": "http", "scheme": "bearer", "description": "A key from `lovla carriers add`: lovla_ID_SECRET."}
        components = said.setdefault("components", {})
        components["securitySchemes"] = {"key": key}
        components["schemas"] = components.get("schemas", {}) | schemas["$defs"]
        return said

    app.openapi = described  # type: ignore[method-assign]  # FastAPI's own way to extend it
