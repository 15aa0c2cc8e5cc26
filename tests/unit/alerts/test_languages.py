"""Every language says everything, with the same fields; Spanish messages are whole and fit a telephone."""

from __future__ import annotations

import string
from datetime import timedelta
from typing import Any, get_args

import pytest

from demo.build import build
from schemas.alerts_v1 import Filters, Item, Step
from schemas.words import EXCEPTION_KINDS, MILESTONES, SEVERITIES, ItemCategory
from services.alerts import sms, wording
from services.alerts.languages import LANGUAGES, language
from services.alerts.retelling import retold
from services.alerts.wanted import agreement
from tests.integration.alerts.delivering import a_notification, a_subscription
from tests.unit.alerts.build import NOW, alertable, subscription
from tests.unit.alerts.test_email_message import LINKS, body, read
from tests.unit.demo.test_agreement import NOW as DEMO_NOW
from tests.unit.demo.test_agreement import readings, track

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


SENTENCES = (  # each form of the tracker's (docs/exceptions.md), and what is said of it
    ("late", "Arrived 11 h late: 06 Nov 17:54 PST says SQ, planned was 06 Nov 06:30 PST.",
     "Descargado con 11 h de retraso: 6 nov 17:54 PST, según SQ; lo previsto era 6 nov 06:30 PST."),
    ("will_be_late", "HLCU expects it to have been discharged by 15 Jan 04:35 PST, 6.1 d after the plan (09 Jan 03:20 PST).",
     "HLCU calcula: descarga el 15 ene 04:35 PST, 6.1 días después de lo previsto (9 ene 03:20 PST)."),
    ("overdue", "Should have been discharged by 06 Nov 06:30 PST (so said MAEU); nobody says that it has.",
     "Se esperaba para el 6 nov 06:30 PST (según MAEU): descarga. Nadie confirma que haya ocurrido."),
    ("overdue", "Should have been discharged by 06 Nov 06:30 PST; 3 of 4 pieces still not.",
     "Se esperaba para el 6 nov 06:30 PST: descarga. Faltan todavía 3 de 4."),
    ("overdue", "Should have been discharged by 06 Nov 06:30 PST; settled 06 Dec 17:54 PST.",
     "Se esperaba para el 6 nov 06:30 PST: descarga. Se supo el 6 dic 17:54 PST."),
    ("dwell", "It has been standing at LAX-CARGO since 17 Nov 18:00 PST; 24 h are free.",
     "Está parado en LAX-CARGO desde el 17 nov 18:00 PST; son gratis 24 h."),
    ("dwell", "2 of 3 units have been standing at LA-APMT since 17 Nov 18:00 PST; 120 h are free.",
     "2 de 3 unidades están paradas en LA-APMT desde el 17 nov 18:00 PST; son gratis 120 h."),
    ("dwell", "Stood at LA-FENIX 6.5 d; 120 h are free.", "Estuvo parado en LA-FENIX 6.5 días; son gratis 120 h."),
    ("silent", "No word since 08 Apr 11:00 PDT, while at the port; 72 h is the limit.",
     "Sin noticias desde el 8 abr 11:00 PDT, en el puerto; el límite es de 3.0 días."),
    ("silent", "No word from 19 Sep 05:05 PDT to 25 Sep 05:05 PDT, while under way.",
     "Sin noticias desde el 19 sep 05:05 PDT hasta el 25 sep 05:05 PDT, en camino."),
    ("silent", "CV has sent nothing since 19 Nov 01:21 UTC; 24 h is its limit.",
     "CV no envía nada desde el 19 nov 01:21 UTC; su límite es de 24 h."),
    ("on_hold", "On customs hold since 19 Oct 02:21 PDT, says MSCU.",
     "Retenido (aduana) desde el 19 oct 02:21 PDT, según MSCU."),
    ("on_hold", "Was on other hold from 14 Nov 01:45 PST to 16 Nov 10:51 PST.",
     "Estuvo retenido (otro motivo) desde el 14 nov 01:45 PST hasta el 16 nov 10:51 PST."),
    ("rolled", "Rolled from 012N to 014N, says MAEU.", "Pasó de la salida 012N a 014N, según MAEU."),
    ("short", "Short by 800 of 239,000 gown (line 1), counted by H-1.",
     "Faltan 800 de 239,000 batas (línea 1), según el recuento de H-1."),
    ("misrouted", "At SGSIN since 11 Apr 09:00 +08, which is not on its route (CNSHA to USLAX), says MAEU.",
     "Está en SGSIN desde el 11 abr 09:00 +08, fuera de su ruta (CNSHA a USLAX), según MAEU."),
    ("conflict", "Discharged: LA-APMT says 22 Oct 17:47 PDT at Pier 400, MSCU says 23 Oct 14:41 PDT.",
     "Descargado: LA-APMT dice 22 oct 17:47 PDT en Pier 400, MSCU dice 23 oct 14:41 PDT."),
)  # fmt: skip


@pytest.mark.parametrize(("kind", "english", "said"), SENTENCES)
def test_spanish_says_all_that_the_trackers_sentence_says(kind: str, english: str, said: str) -> None:
    assert spanish(kind, sentence=english)[0].sentence == said


def test_a_sentence_that_the_tracker_did_not_say_before_is_told_from_the_fields() -> None:
    assert spanish("on_hold", sentence="Held, by whom we shall see.")[0].sentence == "Retenido, según MAEU."


def test_all_that_the_demos_tracker_says_is_told_whole_in_spanish() -> None:
    """A sentence of the tracker's that was worded anew is found here."""
    demo = build(1, 15, DEMO_NOW)
    tracker = track(demo, readings(demo), batch=2_000)
    journeys = [journey for name in tracker.state.journeys if (journey := tracker.state.journey(name)) is not None]
    told = {(state.kind, state.sentence) for journey in journeys for state in journey.exceptions}
    assert {"overdue", "late"} <= {kind for kind, _ in told} and len(told) > 10
    assert [one for one in told if retold(*one, "Hecho", "paso", language("es")) is None] == []


@pytest.mark.parametrize("category", get_args(ItemCategory))
def test_every_item_has_a_spanish_word(category: str) -> None:
    assert f"sentence.item_{category}" in language("es").texts


def test_a_spanish_mail_is_spanish_to_its_foot() -> None:
    buyer = a_subscription("buyer", "buyer@hospital.example", zone=ZONE, language="es")
    made, said = spanish("overdue")
    note = a_notification(buyer, "A-1", items=(made,), count=3, subject=said.subject, text=said.text, code="4711")
    mail = read(note, buyer)
    plain, html = body(mail, "plain"), body(mail, "html")
    assert "¿ALGUIEN SE ENCARGA?" in plain and "No recibir más estos mensajes" in plain
    assert 'lang="es"' in html and "Yo me encargo" in html and "y 2 más." in html and "desde" in html
    asked = buyer.model_copy(update={"state": "unconfirmed", "asked_at": buyer.created_at})
    request = read(a_notification(asked, "A-2", purpose="confirm", text=agreement(asked)), asked)
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
