"""What we answer to a message of EDI: X12 997 and 999, EDIFACT CONTRL. Pure: bytes and what was read of them in, bytes out.

    answer = acknowledge(content, reading, at=now, control=17)            # the usual form of what was read
    answer = acknowledge(content, reading, at=now, control=17, form="999")

`reading` is what the readers made of `content` (`readers.Reading`, or `services.ingest.reading.Read`); a message that could not
be read at all is a reading too: `unread(standard, error)`. `control`: the number of our interchange, of up to nine digits; a
file of several interchanges is answered by as many, numbered on from it, and so are messages that JSON wraps, in one form.
Raises `NotAcknowledged` where there is nothing to answer: no form fits, or the message is an acknowledgement itself, which
nobody answers.

Told is what the readers made of the syntax and of what they need; whether a sender may register a consignment (a ship notice)
is told by its receipt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import count
from types import MappingProxyType
from typing import Final, Literal, get_args

from services.ingest.acknowledgements import contrl, x12
from services.ingest.acknowledgements.model import Judged, NotAcknowledged, Said, unread
from services.ingest.readers import family_of, wrapped

__all__ = ["FORMS", "Form", "Judged", "NotAcknowledged", "acknowledge", "form_for", "unread"]

Form = Literal["997", "999", "contrl"]
FORMS: Final[tuple[Form, ...]] = get_args(Form)

_WRITERS: Final[Mapping[Form, Callable[[bytes, Said, datetime, Iterator[int]], bytes]]] = MappingProxyType(
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
    inside = wrapped.messages(content)
    messages = [(pointer, one, family_of(one)) for pointer, one in inside] or [("", content, reading.standard)]
    chosen = form or next((found for _, _, standard in messages if (found := form_for(standard)) is not None), None)
    numbers, written, why = count(control), [], None
    for pointer, one, standard in messages:
        if chosen is None or chosen not in _FORMS_OF.get((standard or "").partition(".")[0], ()):
            continue
        try:
            written.append(_WRITERS[chosen](one, Said(reading, pointer), at, numbers))
        except NotAcknowledged as error:
            why = error
    if not written:
        none = f"{reading.standard or 'a message of no known standard'} has no such acknowledgement"
        raise why or NotAcknowledged("no_form", none)
    return b"".join(written)
