"""Texts: counted as the network counts, never longer than two segments, their one question whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alerts import sms
from services.alerts.links import Links
from tests.integration.alerts.delivering import a_notification, a_subscription

LINKS = Links(b"secret", "https://alerts.example")
PHONE = a_subscription("phone", "+12135550100", "sms")


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("", "gsm7", 0, 1),
        ("a" * 160, "gsm7", 160, 1),
        ("a" * 161, "gsm7", 161, 2),
        ("a" * 306, "gsm7", 306, 2),
        ("a" * 307, "gsm7", 307, 3),
        ("€" * 80, "gsm7", 160, 1),
        ("a" * 152 + "€" + "a" * 152, "gsm7", 306, 3),  # the pair does not fit the end of the first
        ("я" * 70, "ucs2", 70, 1),
        ("я" * 71, "ucs2", 71, 2),
        ("я" * 134, "ucs2", 134, 2),
        ("я" * 135, "ucs2", 135, 3),
        ("😀" * 35, "ucs2", 70, 1),
        ("😀" * 67, "ucs2", 134, 3),  # 33 pairs a segment
    ],
)
def test_segments(text: str, encoding: str, units: int, segments: int) -> None:
    assert sms.count(text) == sms.Counted(encoding, units, segments)  # type: ignore[arg-type]  # of the parameters


def test_typography_and_accents_do_not_make_a_text_dear() -> None:
    plain = sms.plainly("“Łódź” – 18 h late… naïve café’s Ñandú → pier·4")
    assert plain == '"Lodz" - 18 h late... naive café\'s Ñandu -> pier-4'
    assert sms.count(plain).encoding == "gsm7"


@given(st.text(max_size=700), st.booleans())
def test_a_text_takes_at_most_two_segments_and_keeps_its_question(said: str, asked: bool) -> None:
    late = a_notification(PHONE, "A-1", sms=said[:640], code="4711" if asked else None)
    text = sms.write(late, PHONE, LINKS)
    assert sms.count(text).segments <= 2
    assert ("ACK 4711" in text) if asked else ("STOP" in text)


@given(st.text(max_size=270))
def test_a_question_that_stands_in_the_text_already_is_whole_or_put_anew(said: str) -> None:
    late = a_notification(PHONE, "A-1", sms=f"{said} Reply ACK 4711 if you take care.", code="4711")
    text = sms.write(late, PHONE, LINKS)
    assert sms.count(text).segments <= 2 and text.count("ACK 4711") == 1


def test_a_name_that_holds_the_word_is_not_taken_for_the_offer_to_stop() -> None:
    text = sms.write(a_notification(PHONE, "A-1", sms="A-1 late 18 h at NONSTOP TERMINALS."), PHONE, LINKS)
    assert text == "A-1 late 18 h at NONSTOP TERMINALS. Reply STOP to end."


def test_the_code_of_a_request_to_confirm_is_the_links_own() -> None:
    asked = PHONE.model_copy(update={"state": "unconfirmed", "asked_at": PHONE.created_at})
    text = sms.write(a_notification(asked, "A-1", purpose="confirm"), asked, LINKS)
    assert LINKS.code(asked) in text and sms.count(text).segments == 1
