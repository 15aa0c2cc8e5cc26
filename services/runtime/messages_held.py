"""The kill switch of the messages, in the words of every status that shows it: where it stands, and what it says."""

from __future__ import annotations

from typing import Final

from schemas.alerts_v1 import AlertsControl

SWITCH: Final = "switch"
"""Its key in alerts.control."""


def in_words(word: AlertsControl | None) -> str:
    """The switch in a sentence."""
    return held(word) or "messages go out"


def held(word: AlertsControl | None) -> str | None:
    """Since when, by whom and why messages are held back; None: they go out."""
    if word is None or word.act != "pause":
        return None
    why = f": {word.reason}" if word.reason else ""
    return f"PAUSED since {word.at:%Y-%m-%d %H:%M} UTC by {word.by}{why}; `lovla alerts resume` lets messages out"
