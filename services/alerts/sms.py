"""A notification as a text message: at most two segments, counted as the network counts them. Pure.

GSM 7-bit: 160 characters in one segment, 153 in each of several; those of the extension table count twice; any other character
makes the whole message UCS-2: 70, or 67 (3GPP TS 23.038, 23.040). So typographic characters are written plainly first.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Literal

from schemas.alerts_v1 import Notification, Subscription
from services.alerts.languages import language
from services.alerts.links import Links

MOST_SEGMENTS = 2

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("^{}\\[~]|€\f")
_PLAINLY = str.maketrans(
    {
        "‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
        "–": "-", "—": "-", "‑": "-", "−": "-", "…": "...", "•": "-", "·": "-", "×": "x", "→": "->", "≥": ">=", "≤": "<=",
        "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\t": " ", "`": "'", "½": "1/2", "°": " deg",
        "Ł": "L", "ł": "l", "Đ": "D", "đ": "d", "ı": "i", "Œ": "OE", "œ": "oe", "Þ": "Th", "þ": "th", "ð": "d",
    }
)  # fmt: skip

Encoding = Literal["gsm7", "ucs2"]


@dataclass(frozen=True, slots=True)
class Counted:
    """How the network will carry a text."""

    encoding: Encoding
    units: int
    segments: int


def count(text: str) -> Counted:
    """Segments of a text as it stands. An empty one is one segment."""
    if all(letter in _BASIC or letter in _EXTENSION for letter in text):
        units, one, several = sum(2 if letter in _EXTENSION else 1 for letter in text), 160, 153
        return Counted("gsm7", units, 1 if units <= one else _segments(text, several, _septets))
    units, one, several = sum(_code_units(letter) for letter in text), 70, 67
    return Counted("ucs2", units, 1 if units <= one else _segments(text, several, _code_units))


def _septets(letter: str) -> int:
    return 2 if letter in _EXTENSION else 1


def _code_units(letter: str) -> int:
    return 2 if ord(letter) > 0xFFFF else 1


def _segments(text: str, room: int, size_of) -> int:  # type: ignore[no-untyped-def]
    """A pair (escape and character, surrogates) is never cut in two, so a segment may end one unit early."""
    segments, used = 1, 0
    for letter in text:
        size = size_of(letter)
        if used + size > room:
            segments, used = segments + 1, 0
        used += size
    return segments


def plainly(text: str) -> str:
    """The text in the GSM alphabet where that loses nothing but typography and accents; other scripts stay as they are."""
    text = unicodedata.normalize("NFC", text).translate(_PLAINLY)
    written = []
    for letter in text:
        if letter not in _BASIC and letter not in _EXTENSION:
            bare = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
            letter = bare if bare and unicodedata.category(letter).startswith("L") else letter
        written.append(letter)
    return "".join(written)


def write(notification: Notification, subscription: Subscription, links: Links) -> str:
    """The text that is sent: what it says, then the one decision that it asks for. Shortened at a word so that it takes at most
    MOST_SEGMENTS; what it asks for is never cut."""
    speech = language(subscription.language)
    if notification.purpose == "confirm":
        return plainly(speech.say("sms.confirm", code=links.code(subscription)))
    said = plainly(" ".join((notification.sms or notification.subject).split()))
    if notification.code is None:
        return fit(said, speech.say("sms.stop"))
    whole = fit(said, "")
    if f"ACK {notification.code}" in whole:  # it asks already
        return whole
    return fit(said, speech.say("sms.acknowledge_short", code=notification.code))


def fit(said: str, asked: str, most: int = MOST_SEGMENTS) -> str:
    """`said` cut at a word where it must be, `asked` whole behind it."""
    if count(said + asked).segments <= most:
        return said + asked
    low, high = 0, len(said)
    while low < high:  # the longest beginning that fits: a longer one never counts less
        middle = (low + high + 1) // 2
        if count(said[:middle].rstrip() + "..." + asked).segments <= most:
            low = middle
        else:
            high = middle - 1
    cut = said[:low]
    at_word = cut.rpartition(" ")[0]
    return (at_word if len(at_word) > len(cut) * 2 // 3 else cut).rstrip() + "..." + asked
