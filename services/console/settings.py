"""What the console is told beside the common settings; all `LOVLA_<NAME>`."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from services.console.frame import ROLES
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
    console_prometheus: str | None = Field(
        None, pattern=r"^https?://[^?#\s]+[^/?#\s]$", description="a Prometheus; Health tells which rules fire there"
    )
    oidc_issuer: str | None = Field(
        None, pattern=r"^https?://[^?#\s]+$", description="the OpenID Connect provider; unset: local accounts alone"
    )
    oidc_client_id: str | None = Field(None, description="as the provider knows the console")
    oidc_client_secret: SecretStr | None = Field(None, description="unset: a public client, by PKCE alone")
    oidc_scope: str = Field("openid profile email", pattern=r"(^|\s)openid(\s|$)")
    oidc_label: str = Field("your organisation", max_length=60, description="what the link to sign in names")
    oidc_name_claim: str = Field("preferred_username", description="what people are called in the trail; email will do")
    oidc_role_claim: str = Field("groups", description="what roles are told by; a dot goes deeper (realm_access.roles)")
    oidc_roles: str = Field("", description="which of its values mean what: `port-planners=planner port-admins=admin`")
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
        if demo and not is_loopback(host):
            raise ValueError(f"the demo signs in whoever comes, as a planner; it does not go with LOVLA_CONSOLE_HOST={host}")
        return demo

    @model_validator(mode="after")
    def _provider_is_whole(self) -> Self:
        """A provider that would let nobody in, or be talked to in the clear, is a mistake."""
        if self.oidc_issuer is None:
            return self
        address = urlsplit(self.oidc_issuer)
        if address.scheme != "https" and not is_loopback(address.hostname or ""):
            raise ValueError("LOVLA_OIDC_ISSUER must be https")
        if not self.oidc_client_id:
            raise ValueError("LOVLA_OIDC_ISSUER needs LOVLA_OIDC_CLIENT_ID")
        if not self.oidc_role_of or not set(self.oidc_role_of.values()) <= set(ROLES):
            raise ValueError(f"LOVLA_OIDC_ROLES says VALUE=ROLE for each group that may come in; roles are {', '.join(ROLES)}")
        return self

    @property
    def oidc_role_of(self) -> Mapping[str, str]:
        """Value of the claim -> role."""
        return {value: role for value, _, role in (one.rpartition("=") for one in self.oidc_roles.split())}

    @property
    def links_url(self) -> str:
        """What every link to the console begins with."""
        return self.console_url or f"http://{self.console_host}:{self.console_port}"

    @property
    def subscribe_url(self) -> str:
        """The alerts' page for people without an account."""
        return f"{self.public_url or f'http://{self.alerts_host}:{self.alerts_port}'}/subscribe"


def is_loopback(host: str) -> bool:
    """Whether the name or address is this machine's own."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
