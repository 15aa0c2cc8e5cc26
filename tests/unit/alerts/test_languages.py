"""Every language says everything, with the same fields; Spanish messages are whole and fit a telephone."""

from __future__ import annotations

import string
from datetime import timedelta
from typing import Any, get_args

import pytest

from schemas.alerts_v1 import Filters, Item, Step
from schemas.words import EXCEPTION_KINDS, MILESTONES, SEVERITIES
from services.alerts import email, sms, wording
from services.alerts.languages import LANGUAGES, language
from services.alerts.wanted import agreement
from tests.integration.alerts.delivering import a_notification, a_subscription
from tests.unit.alerts.build import NOW, alertable, subscription
from tests.unit.alerts.test_email_message import LINKS, MAILER, body

OTHERS = [code for code in LANGUAGES if code != "en"]
ZONE = "America/Los_Angeles"
PHONE = a_subscription("phone", "+12135550100", "sms", language="es")


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("code", OTHERS)
def test_every_language_has_the_same_keys_with_the_same_fields(code: str) -> None:
    english, other = language("en").texts, language(code).texts
    own = {key for key in other if key.startswith("sentence.")}  # in English it is the tracker's own
    assert set(english) == set(other) - own
    assert {key for key in english if fields(english[key]) != fields(other[key])} == set()
    assert all(text.strip() for key, text in other.items() if english.get(key) or key in own)
    same = {key for key in english if english[key] == other[key]}
    assert {key.partition(".")[0] for key in same} <= {"agreement", "became", "time", "say"} and len(same) <= 7


@pytest.mark.parametrize("code", LANGUAGES)
def test_everything_that_can_be_told_has_words(code: str) -> None:
    texts = language(code).texts
    wanted = {f"{section}.{kind}" for section in ("wrong", "over", "next") for kind in EXCEPTION_KINDS}
    wanted |= {f"{section}.{milestone}" for section in ("reached", "step") for milestone in MILESTONES}
    wanted |= {f"became.{step}" for step in get_args(Step)} | {f"severity.{severity}" for severity in SEVERITIES}
    wanted |= {f"agreement.{name}" for name in Filters.model_fields if name != "minimum_severity"}
    wanted |= {f"sentence.{kind}" for kind in EXCEPTION_KINDS} if code != "en" else set()
    assert wanted <= set(texts)
    assert (len(texts["time.months"].split()), len(texts["time.weekdays"].split())) == (12, 7)


def test_a_language_that_nobody_wrote_is_english() -> None:
    assert language("fr") == language("en")


def spanish(kind: str, step: Step = "opened", **exception: Any) -> tuple[Item, wording.Words]:
    told = {"key": kind, "kind": kind, "party": "MAEU", "milestone": "discharged", "late_h": 18.0} | exception
    change = alertable(exception=told)
    made = wording.item(change, ZONE, "es")  # type: ignore[arg-type]  # an exception
    made = made.model_copy(update={"step": step, "until": NOW + timedelta(hours=1)})
    return made, wording.words([made], subscription(language="es"), digest=False, away=False, code="4711", now=NOW)


@pytest.mark.parametrize("kind", EXCEPTION_KINDS)
@pytest.mark.parametrize("step", ["opened", "worsened", "ended", "corrected"])
def test_every_exception_can_be_told_in_spanish_within_two_segments_of_plain_signs(kind: str, step: Step) -> None:
    _, said = spanish(kind, step)
    note = a_notification(PHONE, "A-1", sms=said.sms, subject=said.subject, text=said.text, code="4711")
    sent = sms.write(note, PHONE, LINKS)
    assert sms.count(sent).segments <= 2
    assert sms.count(sent).encoding == "gsm7"
    assert "ACK 4711" in sent
    assert "Late." not in said.text, "the tracker's English sentence"
    assert "12 abr 11:00 PDT" in said.text
    assert not {"the", "of", "is", "what"} & {*said.text.lower().replace(":", " ").replace(".", " ").split()}


def test_what_only_the_trackers_sentence_knows_is_kept() -> None:
    cases = {
        "short": ("Short by 800 of 239,000 gown (line 1), counted by H-1.", "Faltan 800 de 239,000"),
        "rolled": ("Rolled from 012N to 014N, says MAEU.", "de la salida 012N a 014N"),
        "misrouted": ("At SGSIN since 11 Apr 09:00 +08, which is not on its route (A to B), says MAEU.", "en SGSIN"),
    }
    for kind, (english, kept) in cases.items():
        assert kept in spanish(kind, sentence=english)[0].sentence


def test_a_spanish_mail_is_spanish_to_its_foot() -> None:
    buyer = a_subscription("buyer", "buyer@hospital.example", zone=ZONE, language="es")
    made, said = spanish("overdue")
    note = a_notification(buyer, "A-1", items=(made,), count=3, subject=said.subject, text=said.text, code="4711")
    mail = email.write(note, buyer, LINKS, MAILER)
    plain, html = body(mail, "plain"), body(mail, "html")
    assert "¿ALGUIEN SE ENCARGA?" in plain and "No recibir más estos mensajes" in plain
    assert 'lang="es"' in html and "Yo me encargo" in html and "y 2 más." in html and "desde" in html
    asked = buyer.model_copy(update={"state": "unconfirmed", "asked_at": buyer.created_at})
    request = email.write(a_notification(asked, "A-2", purpose="confirm", text=agreement(asked)), asked, LINKS, MAILER)
    assert request["Subject"] == "Por favor confirme: avisos sobre insumos médicos"
    assert "todos los envíos" in body(request, "plain") and "48 horas" in body(request, "plain")


@pytest.mark.parametrize("code", LANGUAGES)
def test_what_is_answered_by_sms_is_one_segment(code: str) -> None:
    speech = language(code)
    for key in ("help", "stopped", "started", "nothing_to_start", "acknowledged", "not_understood"):
        assert sms.count(sms.plainly(speech.say(f"sms.{key}"))).segments == 1, key
    asked = PHONE.model_copy(update={"state": "unconfirmed", "asked_at": PHONE.created_at, "language": code})
    text = sms.write(a_notification(asked, "A-1", purpose="confirm"), asked, LINKS)
    assert (sms.count(text).segments, sms.count(text).encoding) == (1, "gsm7")
    assert LINKS.code(asked) in text
