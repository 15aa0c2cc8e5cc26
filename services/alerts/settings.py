"""What the alerts are told beside the common settings; all `LOVLA_<NAME>`."""

from __future__ import annotations

from pydantic import Field

from services.runtime.settings import Settings


class AlertsSettings(Settings):
    """The common settings and the alerts' own."""

    alerts_host: str = "127.0.0.1"
    alerts_port: int = Field(8090, ge=0, le=65535, description="of the alerts' API and public page")
    public_url: str | None = Field(
        None, pattern=r"^https?://[^/?#\s]+$", description="how subscribers reach it; unset: its own host and port"
    )
    alerts_session_s: float = Field(15.0, ge=3, le=300, description="a worker silent for so long loses its partitions")
    public_page: bool = Field(True, description="whether people without a key may subscribe")

    @property
    def links_url(self) -> str:
        """What every link in a message begins with."""
        return self.public_url or f"http://{self.alerts_host}:{self.alerts_port}"
