"""Unparking a sender and bringing back what was put aside: the same bytes, appended again with their first time of receipt.

An unparking is a raw record of kind `action` under the sender's own key, so that it stands in order before what is brought
back; only the door makes one, for an operator. Bringing back twice does no harm: the events have the same ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from schemas.dead_letter_v1 import DeadLetter
from schemas.raw_message_v1 import RawMessage
from services.ingest.records import RawRecord
from services.runtime.receipts import Position

UNPARK = b'{"command": "unpark"}'
RETRIES_MAX = 200  # records a request: read back one by one, some 20 ms each


def unparking(sender: str, recorded_by: str | None) -> RawMessage:
    """The record that ends the parking of a sender; its value is UNPARK."""
    return RawMessage(
        kind="action",
        sender=sender,
        scopes=("operator",),
        sha256=hashlib.sha256(UNPARK).hexdigest(),
        content_type="application/json",
        recorded_by=recorded_by,
    )


def is_unparking(meta: RawMessage) -> bool:
    """Whether this is such a record: every other action names its consignment."""
    return meta.kind == "action" and meta.consignment is None and "operator" in meta.scopes


def again(record: RawRecord) -> RawMessage:
    """The meta of a record that is brought back: as it was, received when it first was."""
    return record.meta.model_copy(update={"received_at": record.meta.received_at or record.at})


def unread(letters: Iterable[DeadLetter]) -> Sequence[Position]:
    """Where the raw records stand that the readers could not read whole, each once, in the order of the letters."""
    return list(dict.fromkeys(Position(letter.partition, letter.offset) for letter in letters if letter.stage == "readers"))


def put_aside(letters: Iterable[DeadLetter], sender: str) -> Sequence[Position]:
    """Those of a sender that were put aside after a fault of ours."""
    return unread(letter for letter in letters if letter.sender == sender and letter.retryable)
