"""What people answer by SMS: STOP and its kin in any case and as free text, START, HELP, "ACK 4711". Reading is pure.

In doubt it is STOP: who is stopped by mistake reads how to start again, who goes on being written to has been wronged. (In the
United States any reasonable wording revokes consent: 47 CFR 64.1200(a)(10).)
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from schemas.alerts_v1 import Acknowledgement
from services.alerts.acts import SUBSCRIBER, Said
from services.alerts.addresses import BadAddress, normalise
from services.alerts.languages import Language, language
from services.alerts.sms import plainly
from services.alerts.subscriptions import Store
from services.runtime import metrics
from services.runtime.clock import Clock

Word = Literal["stop", "start", "help", "acknowledge", "other"]

_ACK = re.compile(r"(?:ack|acknowledged?)(?:\b|(?=\d{4}\b))[^0-9]{0,3}(\d{4})?\b")
_START = frozenset({"start", "unstop", "resume", "iniciar", "empezar"})
_HELP = frozenset({"help", "info", "ayuda", "hilfe", "aide"})
_STOP_WORDS = frozenset(
    {"stop", "stopall", "stopp", "unsubscribe", "unsub", "cancel", "end", "quit", "revoke", "optout", "remove", "desist"}
    | {"alto", "parar", "pare", "basta", "cancelar", "baja", "detener", "arret", "arreter"}
)
_STOP_PHRASES = (
    "opt out",
    "opt me out",
    "take me off",
    "leave me alone",
    "no more",
    "no mas",
    "wrong number",
    "do not text",
    "dont text",
    "do not send",
    "dont send",
    "do not contact",
    "dont contact",
    "do not message",
    "dont message",
    "not interested",
)
_NOT_STOP = ("do not stop", "dont stop", "never stop", "no parar", "do not cancel", "dont cancel")
_EXACT = frozenset({"end", "cancel", "remove", "quit", "baja", "pare"})
"""Words of daily freight talk ("the end of the pier", "they cancel the berth"): they stop at the beginning of what was said."""

_PERSONAL = re.compile(r"\S+@\S+|\+?\d[\d ().-]{6,}\d")


@dataclass(frozen=True, slots=True)
class Understood:
    """One message as understood. `code`: the four digits of an acknowledgement."""

    word: Word
    code: str | None = None


def read(text: str) -> Understood:
    """What was said."""
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", bare.replace("'", ""))
    plain = " ".join(words)
    found = _ACK.match(plain)
    if found is not None:
        return Understood("acknowledge", found[1])
    if plain in _START:
        return Understood("start")
    if any(phrase in plain for phrase in _NOT_STOP):
        return Understood("other")
    if words and (words[0] in _STOP_WORDS or plain.removeprefix("please ").split(" ")[0] in _STOP_WORDS):
        return Understood("stop")
    if any(word in _STOP_WORDS - _EXACT for word in words) or any(phrase in plain for phrase in _STOP_PHRASES):
        return Understood("stop")
    if words and words[0] in _HELP:
        return Understood("help")
    return Understood("other")


class Inbound:
    """Does what people answer by SMS, and says what to answer them."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def take(self, number: str, text: str, ref: str = "") -> str | None:
        """Do what was said from `number` and return the reply; None: to a sender that is no phone number there is none. The
        caller has proved that it is the provider that says so. `ref`: the provider's id of the message, for the ledger.

        Taken twice (providers repeat themselves) it ends the same. Raises KafkaException, TimeoutError: the provider is to come
        again.
        """
        try:
            address = normalise(
                "sms", f"+{number.strip().removeprefix('+')}"
            )  # some providers leave it out, or send it as a blank
        except BadAddress:
            return None
        said = Said(SUBSCRIBER, f"sms {ref}"[:128].strip(), self._clock.now())
        understood = read(text)
        metrics.counter("lovla_alerts_inbound_total", word=understood.word).inc()
        speech = self._speech(address)
        if understood.word == "stop":
            self._store.stop_address("sms", address, without_addresses(text), said)
            return plainly(speech.say("sms.stopped"))
        if understood.word == "start":
            begun = self._store.start_address("sms", address, said)
            return plainly(speech.say("sms.started" if begun else "sms.nothing_to_start"))
        if understood.word == "help":
            return plainly(speech.say("sms.help"))
        if understood.word == "acknowledge" and self._acknowledge(address, understood.code, said):
            return plainly(speech.say("sms.acknowledged"))
        return plainly(speech.say("sms.not_understood"))

    def _speech(self, address: str) -> Language:
        """That of the number's newest subscription; English for a stranger."""
        own = self._store.of_address(self._store.hasher.of("sms", address))
        newest = max(own, key=lambda one: one.created_at, default=None)
        return language(newest.language if newest else "en")

    def _acknowledge(self, address: str, code: str | None, said: Said) -> int:
        """For every live subscription of the number: the worker knows which of them the code belongs to."""
        live = [
            one for one in self._store.of_address(self._store.hasher.of("sms", address)) if one.state in ("active", "paused")
        ]
        for one in live:
            self._store.acknowledge(Acknowledgement(subscription=one.subscription, at=said.at, code=code, source="sms"))
        return len(live)


def without_addresses(text: str) -> str:
    """What somebody wrote, fit for the ledger: no address or number of anybody, no control character."""
    bare = "".join(letter if letter.isprintable() else " " for letter in text)
    return _PERSONAL.sub("...", bare)[:200]
