"""A notification as a webhook: what is said, and how it is signed (Standard Webhooks 1.0). Pure.

The body is a function of the notification: sent again it is the same, under the same `webhook-id`, by which a receiver knows a
repeat. The timestamp is of the attempt, and signed with it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any

from schemas.alerts_v1 import Notification
from schemas.base import rfc3339


def body(notification: Notification, confirm: str | None = None) -> bytes:
    """The message: `type`, `timestamp`, `data` (the specification's form). `confirm`: the link of a request for opt-in, for
    whoever runs the webhook to follow."""
    data: dict[str, Any] = notification.model_dump(mode="json", exclude_none=True, exclude={"sms", "code"})
    if confirm is not None:
        data["confirm"] = confirm
    said = {"type": f"lovla.{notification.purpose}", "timestamp": rfc3339(notification.due_at), "data": data}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def signature(secret: str, webhook_id: str, timestamp: int, content: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over id.timestamp.body; the secret is `whsec_` and base64."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    said = f"{webhook_id}.{timestamp}.".encode() + content
    return "v1," + base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode("ascii")


def headers(secret: str, notification: Notification, content: bytes, now: datetime) -> dict[str, str]:
    """What goes with the body."""
    timestamp = int(now.timestamp())
    return {
        "content-type": "application/json",
        "user-agent": "LoVLA-webhooks/1",
        "webhook-id": f"msg_{notification.notification}",
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(secret, f"msg_{notification.notification}", timestamp, content),
    }
