"""The message itself: what a mail program needs to know, and what nobody may smuggle into it."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest

from schemas.alerts_v1 import Item, Notification, Subscription
from services.alerts import email
from services.alerts.links import Links
from tests.integration.alerts.delivering import a_notification, a_subscription

LINKS = Links(b"secret", "https://alerts.example")
MAILER = email.Mailer("LoVLA alerts", "alerts@lovla.example", "bounces.lovla.example")
BUYER = a_subscription("buyer", "buyer@hospital.example", zone="America/Los_Angeles")


def read(notification: Notification, subscription: Subscription = BUYER) -> EmailMessage:
    """As the receiver's program reads the bytes."""
    raw = email.write(notification, subscription, LINKS, MAILER).content
    found = message_from_bytes(raw, policy=default)
    assert isinstance(found, EmailMessage)
    return found


def body(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def test_the_same_notification_gives_the_same_bytes() -> None:
    late = a_notification(BUYER, "A-1")
    first, second = (email.write(late, BUYER, LINKS, MAILER).content for _ in range(2))
    assert first == second


def test_it_can_be_stopped_by_one_click_and_is_known_as_automatic() -> None:
    mail = read(a_notification(BUYER, "A-1"))
    assert mail["List-Unsubscribe"] == f"<{LINKS.unsubscribe(BUYER.subscription)}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert LINKS.unsubscribe(BUYER.subscription) in body(mail, "plain")
    assert LINKS.unsubscribe(BUYER.subscription) in body(mail, "html")


def test_messages_about_one_thing_are_one_thread_and_others_are_not() -> None:
    opened, ended, other = (
        read(a_notification(BUYER, what, thread=thread)) for what, thread in (("A-1", "A"), ("A-2", "A"), ("B-1", "B"))
    )
    assert opened["References"] == ended["References"] == opened["In-Reply-To"] != other["References"]
    assert len({opened["Message-ID"], ended["Message-ID"], other["Message-ID"]}) == 3


@pytest.mark.parametrize("smuggled", ["\r\nBcc: all@hospital.example", "\nBcc: x@y.example", "\rX: y", "\u2028Bcc: x", "\x00"])
def test_nothing_in_a_subject_begins_another_header(smuggled: str) -> None:
    late = Notification.model_construct(**{**a_notification(BUYER, "A-1").__dict__, "subject": f"late{smuggled}"})
    mail = read(late)
    assert mail["Bcc"] is None and mail["X"] is None
    assert mail["Subject"].startswith("late") and "\n" not in mail["Subject"]


def test_markup_in_what_a_sender_wrote_is_text() -> None:
    item = Item(
        consignment="A-1",
        key="late",
        step="opened",
        kind="late",
        evidence="ab",
        sentence="<script>alert(1)</script> & more",
        severity="major",
    )
    html = body(read(a_notification(BUYER, "A-1", items=(item,), count=3, text="<b>bold</b>")), "html")
    assert "<script>" not in html and "&lt;script&gt;" in html and "and 2 more." in html


def test_a_critical_one_asks_who_takes_care_and_only_such() -> None:
    asked = a_notification(BUYER, "A-1", code="4711", severity="critical")
    link = LINKS.acknowledge(BUYER.subscription, asked.notification, asked.due_at)
    mail = read(asked)
    assert link in body(mail, "plain") and link in body(mail, "html") and mail["Importance"] == "high"
    assert "/ack/" not in body(read(a_notification(BUYER, "A-2")), "plain")


def test_a_request_to_confirm_holds_the_link_and_nothing_to_unsubscribe_from() -> None:
    asked = BUYER.model_copy(update={"state": "unconfirmed", "asked_at": BUYER.created_at})
    mail = read(a_notification(asked, "A-1", purpose="confirm"), asked)
    assert LINKS.confirm(asked) in body(mail, "plain") and mail["List-Unsubscribe"] is None


def test_an_address_that_holds_a_line_break_is_refused() -> None:
    broken = BUYER.model_copy(update={"address": "buyer@hospital.example\r\nBcc: x@y.example"})
    with pytest.raises(ValueError):
        email.write(a_notification(BUYER, "A-1"), broken, LINKS, MAILER)


def test_the_bytes_are_what_mail_servers_take() -> None:
    """RFC 5322, 2.1.1 and 2.2; RFC 2045, 6.7: ASCII, lines of at most 76 characters and ended by CRLF, in whatever language."""
    words = "«Mañana» " * 12
    late = a_notification(BUYER, "A-1", subject=words, text=f"{words}\n.\n\nFrom \t{words}.")
    raw = email.write(late, BUYER, LINKS, MAILER).content
    head, _, rest = raw.partition(b"\r\n\r\n")
    assert raw.isascii() and raw.count(b"\n") == raw.count(b"\r") == raw.count(b"\r\n")
    assert max(map(len, rest.split(b"\r\n"))) <= 76
    mail = read(late)
    assert mail["Subject"] == email.one_line(late.subject)
    assert "".join(body(mail, "plain").splitlines()).startswith("".join(late.text.splitlines()))
    assert mail["From"] == "LoVLA alerts <alerts@lovla.example>" and mail["To"] == BUYER.address
    assert not mail.defects and [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert b"\r\n\r\n" not in head and mail["Date"].datetime == late.due_at.replace(microsecond=0)
