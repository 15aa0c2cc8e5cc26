"""What descriptions of doors (OpenAPI) have alike: how a refusal looks, and what a key is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field
from pydantic.json_schema import JsonSchemaMode, models_json_schema


class ProblemBody(BaseModel):
    """RFC 9457 problem details; `errors` name the places in the payload."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: list[dict[str, str]] = Field(default_factory=list)


def pointer(model: type[BaseModel]) -> dict[str, str]:
    """To the model's schema, which `complete` is to be told of."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def answer(model: type[BaseModel]) -> dict[str, Any]:
    """An answer whose body it is. Not FastAPI's own `model`: of each it makes a validator, and we write our bodies ourselves;
    for a dozen refusals of each address that took most of the time in which a door is made."""
    return {"content": {"application/json": {"schema": pointer(model)}}}


def refused(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Of these statuses the answer is problem details."""
    return {status: {"content": {"application/problem+json": {}} | answer(ProblemBody)["content"]} for status in statuses}


def complete(
    app: FastAPI, answers: Sequence[type[BaseModel]], bodies: Sequence[tuple[type[BaseModel], JsonSchemaMode]]
) -> None:
    """The description says what `key` is, and the schemas that are pointed to: FastAPI writes these only of dependencies and
    parameters, and a door asks for the key and takes the bytes itself."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        said = plain()
        key = {"type": "http", "scheme": "bearer", "description": "A key from `lovla carriers add`: lovla_ID_SECRET."}
        components = said.setdefault("components", {})
        every: Sequence[type[BaseModel]] = (ProblemBody, *answers)
        told = components.get("schemas", {}) | _schemas([(model, "serialization") for model in every])
        components["schemas"] = dict(sorted(told.items())) | _schemas(bodies)
        components["securitySchemes"] = {"key": key}
        return said

    app.openapi = described  # type: ignore[method-assign]  # FastAPI's own way to extend it


def _schemas(models: Sequence[tuple[type[BaseModel], JsonSchemaMode]]) -> dict[str, Any]:
    found: dict[str, Any] = models_json_schema(models, ref_template="#/components/schemas/{model}")[1]["$defs"]
    return found
