"""What the console is told beside the common settings; all `LOVLA_<NAME>`."""

from __future__ import annotations

from ipaddress import ip_address

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from services.runtime.settings import Settings


class ConsoleSettings(Settings):
    """The common settings and the console's own."""

    console_host: str = "127.0.0.1"
    console_port: int = Field(8070, ge=0, le=65535)
    console_zone: str = Field("America/Los_Angeles", description="IANA zone of times shown until a viewer chooses one")
    console_demo: bool = Field(False, description="whoever comes is signed in as a demo planner, and every page says so")
    console_secure: bool = Field(False, description="cookies over https only; set it wherever the console is reached by https")
    console_query_s: float = Field(10.0, ge=1, le=30, description="in which a question must be answered by ClickHouse")
    console_query_bytes: int = Field(800_000_000, ge=10_000_000, le=2_000_000_000, description="memory of one question")
    console_workers: int = Field(6, ge=1, le=64, description="questions at once")
    console_session_h: float = Field(12.0, gt=0, le=720, description="how long a sign-in lasts")
    console_url: str | None = Field(
        None, pattern=r"^https?://[^/?#\s]+$", description="how people reach the console; unset: its own host and port"
    )
    console_key: SecretStr | None = Field(
        None, description="the operator's key with which people act; unset: the one that is kept on this machine for OPS"
    )
    console_wait_s: float = Field(4.0, ge=0, le=30, description="how long a form waits until what it did can be seen")
    alerts_host: str = "127.0.0.1"
    alerts_port: int = Field(8090, ge=0, le=65535, description="of the alerts' public page, as the alerts are told")
    public_url: str | None = Field(
        None, pattern=r"^https?://[^/?#\s]+$", description="how subscribers reach that page, as the alerts are told"
    )
    public_page: bool = Field(True, description="whether people without a key may subscribe, as the alerts are told")

    @field_validator("console_demo")
    @classmethod
    def _demo_stays_here(cls, demo: bool, said: ValidationInfo) -> bool:
        """A demo's planner may act, and nobody signed in."""
        host = str(said.data.get("console_host", ""))
        if demo and not _is_loopback(host):
            raise ValueError(f"the demo signs in whoever comes, as a planner; it does not go with LOVLA_CONSOLE_HOST={host}")
        return demo

    @property
    def links_url(self) -> str:
        """What every link to the console begins with."""
        return self.console_url or f"http://{self.console_host}:{self.console_port}"

    @property
    def subscribe_url(self) -> str:
        """The alerts' page for people without an account."""
        return f"{self.public_url or f'http://{self.alerts_host}:{self.alerts_port}'}/subscribe"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
