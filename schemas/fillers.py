"""What senders write where a form wants a number and they have none: `N/A`, `TBA`, `0`, `000-00000000`.

Strangers write the same fillers, so none may tie their shipments together: readers do not use them as references
(services/ingest/readers/draft.py), and nothing is learned from them (services/tracker/linking.py).
"""

from __future__ import annotations

import re
from typing import Final

from schemas.words import LINKING_KINDS

_WORDS: Final = re.compile(  # without blanks and marks: N/A is NA
    r"NA|NAN|NIL|NO|NONE|NULL|BLANK|EMPTY|MISSING|DEFAULT|DUMMY|TEST|UNK|UNKN|UNKNOWN|UNDEFINED|UNSPECIFIED|NOTKNOWN"
    r"|NOT(APPLICABLE|AVAILABLE)|TB[ACDN]|TBAN|TOBE(ADVISED|ANNOUNCED|CONFIRMED|DETERMINED)|TOFOLLOW"
    r"|PENDING|ASADVISED|VARIOUS|MULTIPLE|SEE(BELOW|ATTACHED)"
)
_MARKS: Final = re.compile(r"[\W_]+")
_NO_DOCUMENT: Final = re.compile(r"[0-9]{3}(0{8}|([1-9])\2{7})")  # an airline's prefix, and eight times the same digit
_REPEATED: Final = 5  # of one character: that many by chance are rare, and the damage of a filler taken for a number is not
_WHOSE_OWN: Final = frozenset({"consignment", "sscc", "sgtin"})
"""A consignment's name is the buyer's, and given once; the others have forms of their own."""


def is_filler(kind: str, value: str) -> bool:
    """Whether a normalised reference of a linking kind says that there is none: a word for it, punctuation alone, one
    character, zeros or X alone, one character five times and more, a serial number of an air waybill of one digit.

    Of a voyage (`9321483/TBA`) the part after the ship's number counts, and there one character is a number like others.
    """
    if kind not in LINKING_KINDS or kind in _WHOSE_OWN:
        return False
    text = _MARKS.sub("", value.rpartition("/")[2] if kind == "voyage" and "/" in value[1:] else value).upper()
    if _WORDS.fullmatch(text) or not text.strip("0") or not text.strip("X"):
        return True
    if kind == "air_waybill" and _NO_DOCUMENT.fullmatch(text):
        return True
    return (len(text) == 1 and kind != "voyage") or (len(text) >= _REPEATED and len(set(text)) == 1)
