"""A receipt leads back to one raw record and cannot be made up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.receipts import NotAReceipt, Position, Sealer

SEALER = Sealer(b"a secret")


@given(st.integers(0, 2**16 - 1), st.integers(0, 2**63))
def test_a_receipt_opens_to_its_own_position(partition: int, offset: int) -> None:
    position = Position(partition, offset)
    assert SEALER.open(SEALER.seal(position)) == position


def test_a_receipt_of_another_secret_does_not_open() -> None:
    with pytest.raises(NotAReceipt):
        SEALER.open(Sealer(b"another").seal(Position(0, 1)))


def test_no_changed_letter_goes_unnoticed() -> None:
    receipt = SEALER.seal(Position(1, 2))
    for at, letter in enumerate(receipt[:-1]):  # the last letter has bits that base64 does not use
        changed = receipt[:at] + ("A" if letter != "A" else "B") + receipt[at + 1 :]
        with pytest.raises(NotAReceipt):
            SEALER.open(changed)


@given(st.text())
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(NotAReceipt):
        SEALER.open(text)
