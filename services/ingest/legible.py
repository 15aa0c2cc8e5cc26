"""Strangers' text made fit to be shown: on a terminal, in a page, in a log, letters must not steer and not deceive.

What is taken for steering: control characters (C0, DEL, and C1, whose U+009B begins escape sequences like ESC [), marks that
turn the direction of what follows, characters without width, tags, and lone surrogates, which no encoder takes.
"""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = (
    "\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"  # format, direction
)
_STEERING = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff{_INVISIBLE}]")
_UNSEEN = re.compile(f"[\x80-\x9f{_INVISIBLE}]")


def shown(text: str, most: int = 128) -> str:
    """`text` with a mark where something steered, at most `most` characters: for what we say about it."""
    cut = text[:most]
    return cut if cut.isascii() and cut.isprintable() else _STEERING.sub("\N{REPLACEMENT CHARACTER}", cut)


def legible(text: str) -> str:
    """A name or note as it is kept: composed (NFC), without what is not seen. ASCII's control characters stay: they refuse a
    contract's text, and a reader's marks them."""
    return text if text.isascii() else _UNSEEN.sub("", unicodedata.normalize("NFC", text))
