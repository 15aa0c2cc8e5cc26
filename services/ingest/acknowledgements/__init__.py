"""What we answer to a message of EDI: X12 997 and 999, EDIFACT CONTRL. Pure: bytes and what was read of them in, bytes out.

    answer = acknowledge(content, reading, at=now, control=17)            # the usual form of what was read
    answer = acknowledge(content, reading, at=now, control=17, form="999")

`reading` is what the readers made of `content` (`readers.Reading`, or `services.ingest.reading.Read`); a message that could not
be read at all is a reading too: `unread(standard, error)`. `control`: the number of our interchange, of up to nine digits; a
file of several interchanges is answered by as many, numbered on from it. Raises `NotAcknowledged` where there is nothing to
answer: no form fits, or the message is an acknowledgement itself, which nobody answers.

Told is what the readers made of the syntax and of what they need; whether a sender may register a consignment (a ship notice)
is told by its receipt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal, get_args

from services.ingest.acknowledgements import contrl, x12
from services.ingest.acknowledgements.model import Judged, NotAcknowledged, unread

__all__ = ["FORMS", "Form", "Judged", "NotAcknowledged", "acknowledge", "form_for", "unread"]

Form = Literal["997", "999", "contrl"]
FORMS: Final[tuple[Form, ...]] = get_args(Form)

_WRITERS: Final[Mapping[Form, Callable[[bytes, Judged, datetime, int], bytes]]] = MappingProxyType(
    {"997": x12.functional, "999": x12.implementation, "contrl": contrl.contrl}
)
"""Each form and who writes it. One line a form."""

_FORMS_OF: Final[Mapping[str, Sequence[Form]]] = MappingProxyType({"x12": ("997", "999"), "edifact": ("contrl",)})
"""By the family of what was read (`x12`, `edifact`) the forms that answer it, the usual one first."""


def form_for(standard: str | None) -> Form | None:
    """The usual form of an answer to a message of this standard (`x12`, `edifact`), None if none answers it."""
    return next(iter(_FORMS_OF.get((standard or "").partition(".")[0], ())), None)


def acknowledge(content: bytes, reading: Judged, *, at: datetime, control: int, form: Form | None = None) -> bytes:
    """The answer to a message. Raises NotAcknowledged."""
    family = (reading.standard or "").partition(".")[0]
    chosen = form or form_for(reading.standard)
    if chosen is None or chosen not in _FORMS_OF.get(family, ()):
        raise NotAcknowledged("no_form", f"{reading.standard or 'a message of no known standard'} has no such acknowledgement")
    return _WRITERS[chosen](content, reading, at, control)
