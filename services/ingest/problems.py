"""What the door answers when it refuses: RFC 9457 problem details that name the place in the payload.

The set is closed: every refusal is one of `KINDS`, whose slug is the end of the problem's `type`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypedDict

from pydantic import ValidationError

TYPE_PREFIX = "urn:lovla:problem:"
MEDIA_TYPE = "application/problem+json"

KINDS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "bad-header": (400, "A header cannot be read"),
        "bad-parameter": (400, "A parameter of the address cannot be read"),
        "no-credential": (401, "No valid credential"),
        "no-scope": (403, "The key may not do this"),
        "wrong-sender": (403, "The key is another sender's"),
        "not-found": (404, "There is no such thing, or it is not yours"),
        "method-not-allowed": (405, "This address does not know the method"),
        "too-slow": (408, "The body came too slowly"),
        "load-state": (409, "The load is not in a state for this"),
        "idempotency-key-busy": (409, "A request with this key is under way"),
        "too-large": (413, "The body is too large"),
        "unsupported-media-type": (415, "The content type or encoding is not supported"),
        "invalid": (422, "The body does not hold what it should"),
        "idempotency-key-reused": (422, "The key was used for another request"),
        "no-message": (422, "There is no message"),
        "too-many-events": (422, "Too many events in one request"),
        "if-match-required": (428, "Say which version you amend"),
        "too-many-requests": (429, "Too many requests or events"),
        "internal": (500, "A fault of ours"),
        "not-ready": (503, "Not ready to take messages"),
    }
)


class Place(TypedDict):
    """One thing that is wrong: `where` is a JSON pointer, a row (`row 3, column tier`) or a header's name."""

    where: str
    code: str
    text: str


PLACES_MOST = 100


def places_of(error: ValidationError) -> list[Place]:
    """What pydantic found, place by place, the first PLACES_MOST; never what stood there."""
    return [
        Place(where="".join(f"/{part}" for part in one["loc"]), code=one["type"], text=one["msg"])
        for one in error.errors(include_input=False, include_context=False, include_url=False)[:PLACES_MOST]
    ]


@dataclass
class Problem(Exception):
    """A refusal. `kind` is a key of `KINDS`; `errors` name the places; `retry_after_s` becomes Retry-After."""

    kind: str
    detail: str
    errors: Sequence[Place] = ()
    retry_after_s: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(self.detail)

    @property
    def status(self) -> int:
        return KINDS[self.kind][0]

    def body(self) -> dict[str, object]:
        """The problem+json object."""
        status, title = KINDS[self.kind]
        body: dict[str, object] = {"type": TYPE_PREFIX + self.kind, "title": title, "status": status, "detail": self.detail}
        if self.errors:
            body["errors"] = list(self.errors)
        return body

    def response_headers(self) -> dict[str, str]:
        """The problem's own headers, with Retry-After in whole seconds, at least 1."""
        headers = dict(self.headers)
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, -int(-self.retry_after_s // 1)))
        return headers
