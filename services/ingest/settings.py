"""What the way in can be told beside the common settings: its limits (docs/architecture.md, "Limits")."""

from __future__ import annotations

from pydantic import Field, SecretStr

from services.ingest.limits import MIB, Limits
from services.runtime.settings import Settings


class IngestSettings(Settings):
    """The common settings and this service's own, all `LOVLA_<NAME>`."""

    body_bytes: int = Field(5 * MIB, ge=1024, le=5 * MIB, description="a request's body; raw.messages takes no more")
    body_s: float = Field(30.0, gt=0, description="in which a request's body must be here")
    head_s: float = Field(10.0, gt=0, description="in which a request's line and headers must be here")
    connections: int = Field(512, ge=1, description="at once; further ones are answered 503")
    events_a_request: int = Field(1_000, ge=1)
    requests_s: float = Field(50.0, gt=0, description="of one sender")
    events_s: float = Field(5_000.0, gt=0, description="of one sender")
    backfill_factor: float = Field(10.0, ge=1, description="how much faster a key of scope backfill may be")

    key: SecretStr | None = Field(None, description="for the command line: the key to push with")

    def limits(self) -> Limits:
        """The limits of one sender."""
        return Limits(
            body_bytes=self.body_bytes,
            body_s=self.body_s,
            events=self.events_a_request,
            requests_s=self.requests_s,
            events_s=self.events_s,
            backfill_factor=self.backfill_factor,
        )
