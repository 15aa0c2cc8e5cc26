"""What people answer by SMS."""

from __future__ import annotations

import pytest

from schemas.alerts_v1 import Acknowledgement
from services.alerts.inbound import Inbound, read, without_addresses
from services.alerts.languages import language
from services.alerts.sms import count
from tests.unit.alerts.subscribers import PHONE, House


@pytest.mark.parametrize(
    "text",
    [
        "STOP",
        "stop",
        " Stop. ",
        "StOp!!",
        "STOPALL",
        "Unsubscribe",
        "CANCEL",
        "end",
        "Quit",
        "please stop",
        "Please cancel this",
        "can you stop texting me at night",
        "STOP ALL MESSAGES NOW",
        "opt out",
        "opt-out please",
        "take me off this list",
        "Don't text me again",
        "wrong number, i am a bakery",
        "leave me alone",
        "ALTO",
        "¡Basta!",
        "no más mensajes",
        "arrêt",
        "ＳＴＯＰ",
    ],
)
def test_who_wants_it_to_end_is_understood(text: str) -> None:
    assert read(text).word == "stop"


@pytest.mark.parametrize(
    ("text", "word", "code"),
    [
        ("START", "start", None),
        ("unstop", "start", None),
        ("HELP", "help", None),
        ("Help me", "help", None),
        ("ACK 4711", "acknowledge", "4711"),
        ("ack4711", "acknowledge", "4711"),
        ("Ack 4711!", "acknowledge", "4711"),
        ("ack47112", "other", None),
        ("Ack: 4711 truck will stop at gate 3", "acknowledge", "4711"),
        ("acknowledged", "acknowledge", None),
        ("don't stop", "other", None),
        ("Thanks", "other", None),
        ("They are at the end of the pier", "other", None),
        ("yes", "other", None),
        ("", "other", None),
        ("👍", "other", None),
    ],
)
def test_other_words(text: str, word: str, code: str | None) -> None:
    found = read(text)
    assert (found.word, found.code) == (word, code)


def test_stop_is_done_and_answered_and_the_ledger_holds_the_words_without_numbers() -> None:
    house = House()
    made = house.subscribed(PHONE)
    inbound = Inbound(house.store, house.clock)
    assert inbound.take(PHONE, "Stop writing to +1 213 555 0123 or me@home.example", "SM1") == language("en").say("sms.stopped")
    assert house.state(made) == "stopped"
    last = house.register.consents(made.subscription)[-1]
    assert (last.act, last.shown, last.source) == ("stopped", "Stop writing to ... or ...", "sms SM1")


def test_a_message_that_comes_twice_ends_the_same() -> None:
    house = House()
    made = house.subscribed(PHONE)
    inbound = Inbound(house.store, house.clock)
    for _ in range(2):
        inbound.take(PHONE, "STOP")
    assert house.state(made) == "stopped"
    for _ in range(2):
        inbound.take(PHONE, "START")
    assert house.state(made) == "active"


def test_stop_of_a_number_that_we_do_not_know_is_kept() -> None:
    house = House()
    Inbound(house.store, house.clock).take(PHONE, "STOP")
    assert house.store.suppressed(house.store.hasher.of("sms", PHONE)) is not None


@pytest.mark.parametrize("written", [PHONE[1:], f" {PHONE[1:]}", f"{PHONE} "])
def test_a_number_without_its_plus_is_still_whose_it_is(written: str) -> None:
    house = House()
    own = house.subscribed(PHONE)
    assert Inbound(house.store, house.clock).take(written, "STOP") == language("en").say("sms.stopped")
    assert house.state(own) == "stopped"


def test_an_acknowledgement_goes_to_the_worker_for_every_live_subscription_of_the_number() -> None:
    house = House()
    one, other = house.subscribed(PHONE), house.subscribed(PHONE, owner="CEDARS")
    house.asked(PHONE, owner="HOAG")
    Inbound(house.store, house.clock).take(PHONE, "ACK 4711")
    told = [record.model for record in house.register.written if isinstance(record.model, Acknowledgement)]
    assert {said.subscription for said in told} == {one.subscription, other.subscription}
    assert {said.code for said in told} == {"4711"}


def test_an_acknowledgement_of_a_stranger_and_help_and_a_short_code() -> None:
    house = House()
    inbound = Inbound(house.store, house.clock)
    assert inbound.take(PHONE, "ACK 4711") == language("en").say("sms.not_understood")
    assert inbound.take(PHONE, "help") == language("en").say("sms.help")
    assert inbound.take("60606", "STOP") is None
    assert without_addresses("a\x00b\x1b[31m") == "a b [31m"


@pytest.mark.parametrize(("of", "condition"), [("en", "If the code is"), ("es", "Si el codigo es")])
def test_the_answer_to_an_acknowledgement_promises_nothing_of_a_code_that_nobody_has_looked_up(of: str, condition: str) -> None:
    house = House()
    house.subscribed(PHONE, language=of)
    answer = Inbound(house.store, house.clock).take(PHONE, "ACK 9999")
    assert answer is not None and condition in answer
    assert count(answer).segments == 1
