"""People's acknowledgements of alerts: written to `alert.acknowledgements.v1`, for the worker, which then wakes nobody else.

Not a command of a consignment: it says something about a message, and the tracker has nothing to fold from it
(docs/decisions/0031). Written when the request is answered: no reader stands between a person and the quiet they asked for.
"""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from schemas.alerts_v1 import Acknowledgement
from schemas.topics import ACKNOWLEDGEMENTS
from services.runtime.register import Writer
from services.runtime.settings import Settings

ALERTS = "alerts"
"""The service that brings what subscribers said by link or by SMS."""
SUBSCRIBER = "subscriber"


class Said(BaseModel):
    """The body: of which subscription; which message, or the code in it; neither: all that wait."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subscription: str = Field(pattern=r"^[a-z0-9]{16}$")
    notification: str | None = Field(None, pattern=r"^[0-9a-f]{32}$")
    code: str | None = Field(None, pattern=r"^[0-9]{4}$")
    source: Literal["link", "sms", "api", "console"] = "api"


class Acknowledgements(Protocol):
    """Where they go."""

    async def write(self, said: Acknowledgement) -> None:
        """It is in Kafka when this returns. Raises KafkaException, BufferError, TopicMissing, TimeoutError."""
        ...


class KafkaAcknowledgements:
    """The real one."""

    def __init__(self, settings: Settings) -> None:
        self._writer = Writer(settings, "lovla-acknowledgements", ACKNOWLEDGEMENTS.name)

    async def write(self, said: Acknowledgement) -> None:
        await self._writer.write([(said.subscription, said)])
