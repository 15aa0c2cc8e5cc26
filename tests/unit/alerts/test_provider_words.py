"""What providers say is kept for operators, and names nobody: neither the subscriber nor whoever else it speaks of."""

from __future__ import annotations

import pytest

from services.alerts.sending import without_address

OWN, NUMBER = "buyer@hospital.example", "+12135550100"


@pytest.mark.parametrize(
    ("address", "said", "kept"),
    [
        (
            OWN,
            "5.1.1 smtp; 550 5.1.1 <buyer@hospital.example> forwards to <Second.Box+x@Other.example>: unknown",
            "5.1.1 smtp; 550 5.1.1 <<address>> forwards to <<address>>: unknown",
        ),
        (OWN, 'rfc822;"j. doe"@other.example unknown', "rfc822;<address> unknown"),
        (OWN, "see https://post.example/?of=me%40home.example", "see https:<address>"),
        (NUMBER, "30003: 213-555-0100 is off", "30003: <address> is off"),
        (NUMBER, "(213) 555-0100 is off, so is +44 20 7946 0958", "(<address> is off, so is <address>"),
        (NUMBER, "213.555.0199 is off", "<address> is off"),
        (None, "forwarded to 12135550199.", "forwarded to <address>."),
    ],
)
def test_nobodys_mailbox_or_number_is_kept(address: str | None, said: str, kept: str) -> None:
    assert without_address(said, address) == kept


@pytest.mark.parametrize(
    "said",
    [
        "550 5.1.1 no such user",
        "452-4.2.2 mailbox full",
        "550 550 5.7.133 not allowed",
        "451 4.7.650 greylisted for 300 s",
        "250 2.0.0 Ok: queued as 4Xy12345678901z",
        "21610 the recipient has opted out",
    ],
)
def test_codes_and_references_stay(said: str) -> None:
    assert without_address(said, OWN) == said
