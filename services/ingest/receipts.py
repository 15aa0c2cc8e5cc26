"""Receipts under the name that the API imports them by; they live in the runtime, because the auditor opens them too."""

from __future__ import annotations

from services.runtime.receipts import NotAReceipt, Position, Sealer

__all__ = ["NotAReceipt", "Position", "Sealer"]
