"""Mail that comes back: whose it is, whether the address is no good, and that nobody can make one up."""

from __future__ import annotations

import pytest

from services.alerts.bounces import NotABounce, Verp, read, report

VERP = Verp(b"secret", "bounces.lovla.example")
SUBSCRIPTION, NOTIFICATION = "s" * 16, "ab" * 16
SENDER = VERP.sender(SUBSCRIPTION, NOTIFICATION)
ORIGINAL = b"Subject: A-1 is late\r\nMessage-ID: <x@lovla.example>\r\n\r\nbody"


def a_report(status: str = "5.1.1", to: str = SENDER, text: str = "550 5.1.1 no such user") -> bytes:
    return report(to, ORIGINAL, "buyer@hospital.example", status, text).as_bytes()


def test_the_envelopes_sender_says_which_message_it_was_and_fits() -> None:
    assert VERP.opened(SENDER) == (SUBSCRIPTION, NOTIFICATION)
    assert len(SENDER.partition("@")[0]) <= 64  # RFC 5321, 4.5.3.1.1


def test_a_report_of_a_missing_mailbox_is_for_good() -> None:
    bounce = read(a_report(), VERP)
    assert (bounce.subscription, bounce.notification, bounce.status) == (SUBSCRIPTION, NOTIFICATION, "5.1.1")
    assert bounce.action == "failed" and bounce.for_good


@pytest.mark.parametrize("status", ["5.2.2", "5.7.1", "5.4.4", "4.2.2"])
def test_a_full_mailbox_a_policy_or_a_delay_is_not(status: str) -> None:
    assert not read(a_report(status), VERP).for_good


@pytest.mark.parametrize(
    "to",
    [SENDER.replace("ab", "cd", 1), SENDER[:2] + "t" + SENDER[3:], "b+x@bounces.lovla.example", "alerts@lovla.example"],
)
def test_what_is_not_sealed_by_us_is_nobodys(to: str) -> None:
    with pytest.raises(NotABounce):
        read(a_report(to=to), VERP)


def test_words_that_come_back_without_a_report_suppress_nobody() -> None:
    with pytest.raises(NotABounce):
        read(f"To: {SENDER}\r\nSubject: Out of office\r\n\r\nBack on Monday.".encode(), VERP)


def test_the_envelope_names_it_where_the_headers_do_not() -> None:
    assert read(a_report(to="postmaster@lovla.example"), VERP, [SENDER]).for_good
