"""What the sender is told beside the alerts' settings; all `LOVLA_<NAME>`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from services.alerts.settings import AlertsSettings


class DeliverySettings(AlertsSettings):
    """The alerts' settings, and how to reach mail servers and providers. The defaults are the local mailbox's."""

    mail_name: str = "LoVLA alerts"
    mail_from: str = Field("alerts@lovla.example", description="what mail is from")
    mail_bounces: str = Field("bounces.lovla.example", description="domain that returns what could not be delivered (VERP)")
    smtp_host: str = "127.0.0.1"
    smtp_port: int = Field(0, ge=0, le=65535, description="0: no mail is sent")
    smtp_tls: Literal["none", "starttls", "implicit"] = "starttls"
    smtp_ca: Path | None = Field(None, description="certificates to trust (PEM); unset: the system's")
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_connections: int = Field(4, ge=1, le=50)
    smtp_timeout_s: float = Field(30.0, gt=0)
    sms_provider: Literal["twilio", "vonage"] = Field("twilio", description="whose shape the API has")
    sms_url: str | None = Field(None, description="where the API is; unset: no SMS is sent")
    sms_account: str = "AClocal"
    sms_token: SecretStr = SecretStr("")
    sms_from: str = Field("+15005550006", description="our number, or the sender pool's name")
    sms_a_second: float = Field(10.0, gt=0, description="what the sender pool may send")
    sms_timeout_s: float = Field(10.0, gt=0)
    webhook_allow: str = Field("", description="hosts and networks, with commas, that are allowed although they are not public")
    webhook_timeout_s: float = Field(10.0, gt=0)
