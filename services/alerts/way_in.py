"""What people do about alerts goes through the way in, as what they do in the console does: `POST /v1/acknowledgements`.

The alerts' door has judged who speaks (signed link, provider's signature, key); to the way in it proves only that it is the
alerts' door (services/runtime/inside.py).
"""

from __future__ import annotations

import httpx

from schemas.alerts_v1 import Acknowledgement
from services.runtime import inside
from services.runtime.settings import Settings

ALERTS = "alerts"
_TIMEOUT_S = 10.0


class WayInAway(TimeoutError):
    """ingest.api did not take it; whoever said it is to say it again."""


class WayIn:
    """The way in, asked by the alerts' door."""

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None = None) -> None:
        self._http = httpx.Client(
            base_url=f"http://{settings.api_host}:{settings.api_port}",
            headers={"Authorization": inside.bearer(settings.secret_key.get_secret_value().encode(), ALERTS)},
            timeout=_TIMEOUT_S,
            trust_env=False,
            verify=inside.plain(),
            transport=transport,
        )

    def acknowledge(self, said: Acknowledgement) -> None:
        """It is in Kafka when this returns. Raises WayInAway."""
        body = said.model_dump(mode="json", include={"subscription", "notification", "code", "source"}, exclude_none=True)
        try:
            answer = self._http.post("/v1/acknowledgements", json=body)
        except httpx.HTTPError as error:
            raise WayInAway(f"the way in did not answer ({type(error).__name__})") from error
        if not answer.is_success:
            raise WayInAway(f"the way in said {answer.status_code}")
