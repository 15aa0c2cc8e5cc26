"""The subscriptions as they stand, for everybody, and the one place that writes them.

`view` and `suppressions` are what workers follow. `Store` is of the alerts' API alone: one process writes, one act at a time,
and sees its own writes before the next act, so no act is done on what another has just changed. A second process takes the
writing over, it does not share it (KafkaRegister).

*Guarantees*: an act that returned is in Kafka, and the next act here sees it. One that raised may be written in part; done
again it ends the same (services/alerts/acts.py says in which order its records stand).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeVar, cast

from confluent_kafka import KafkaError, KafkaException, Producer
from pydantic import BaseModel

from schemas.alerts_v1 import Acknowledgement, Channel, Sight, Subscription, Suppression
from schemas.topics import SUBSCRIPTIONS, SUPPRESSIONS
from services.alerts import acts
from services.alerts.acts import Done, Record, Refused, Said
from services.alerts.addresses import BadAddress, Hasher, normalise
from services.alerts.links import WRONG_CODES_MOST, Links
from services.alerts.wanted import Changed, Wanted, changed
from services.runtime import kafka, logs
from services.runtime.bounded import BoundedCalls, Hung
from services.runtime.loop import HUNG_AFTER_S
from services.runtime.register import ACK_TIMEOUT_S, SETTLING, RegisterView, start_patiently, write
from services.runtime.settings import Settings

log = logs.get("subscriptions")

_ALPHABET = string.ascii_lowercase + string.digits
ID_LENGTH = 16
R = TypeVar("R", Subscription, Suppression)
T = TypeVar("T")
TRANSACTIONAL_ID = "alerts-api"
_ACT_TRIES = 4
_IDEMPOTENCY = b"lovla subscription ids v1"


def view(settings: Settings, on_change: Callable[[str, Subscription | None], None] | None = None) -> RegisterView[Subscription]:
    """All subscriptions by id, kept current; to be started before the first record is judged."""
    return RegisterView(settings, SUBSCRIPTIONS.name, Subscription, on_change, SETTLING)


def suppressions(settings: Settings) -> RegisterView[Suppression]:
    """All suppressed addresses by their keyed hash, kept current; asked before every message."""
    return RegisterView(settings, SUPPRESSIONS.name, Suppression, waits=SETTLING)


class Register(Protocol):
    """Where the subscriptions stand: read from memory, written to Kafka."""

    def subscriptions(self) -> Mapping[str, Subscription]: ...
    def suppressions(self) -> Mapping[str, Suppression]: ...
    def put(self, records: Sequence[Record]) -> None:
        """Write in this order, each acknowledged before the next; what is read afterwards has them. Raises KafkaException,
        TimeoutError, BufferError, TopicMissing."""
        ...


class TakenOver(KafkaException):
    """Another door has written since: nothing of this record is. What it was decided on may no longer hold: decide anew."""


def redone(act: Callable[[], T]) -> T:
    """An act, done anew if another door took over in its middle. Raises what the act raises, and TakenOver after some times."""
    for _ in range(_ACT_TRIES - 1):
        try:
            return act()
        except TakenOver:
            continue
    return act()


class KafkaRegister:
    """The real one.

    *Fence*: records of subscriptions and suppressions are transactions under one transactional.id, whichever process writes.
    Who begins (init_transactions) ends the others' writing: the record of a door that was frozen, or that does not know of a
    second one, is refused by Kafka, and no reader of committed records ever sees it. Who is refused begins, reads both
    topics to their end, and has its act decided anew (`redone`). So two doors may serve, and each act stands on all that was
    written before it (docs/decisions/0043).
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._subscriptions, self._suppressions = view(settings), suppressions(settings)
        self._producer: Producer = kafka.producer(settings, "lovla-subscriptions")
        self._fenced: Producer | None = None  # None: begin before the next write
        self._calls = BoundedCalls("subscriptions-fence")
        self._turn = threading.Lock()
        self._ready = False
        self._own: dict[str, Mapping[str, tuple[int, BaseModel | None]]] = {SUBSCRIPTIONS.name: {}, SUPPRESSIONS.name: {}}

    def start_patiently(self, stop: threading.Event) -> None:
        """Return when both views have caught up; earlier only if `stop` is set."""
        self._ready = start_patiently((self._subscriptions, self._suppressions), stop)

    def close(self) -> None:
        self._subscriptions.close()
        self._suppressions.close()
        self._producer.flush(5.0)
        self._calls.close()

    def not_ready(self) -> str | None:
        """None, or why nothing can be done."""
        if not self._ready:
            return "the subscriptions are not read yet"
        return self._subscriptions.healthy() or self._suppressions.healthy()

    def subscriptions(self) -> Mapping[str, Subscription]:
        return self._with_own(self._subscriptions, SUBSCRIPTIONS.name)

    def suppressions(self) -> Mapping[str, Suppression]:
        return self._with_own(self._suppressions, SUPPRESSIONS.name)

    def put(self, records: Sequence[Record]) -> None:
        with self._turn:
            if self._fenced is None and any(record.topic.name in self._own for record in records):
                self._begin()  # before anything of it is written
                raise TakenOver(KafkaError(KafkaError._FENCED, "it was decided before all that was written was read"))
            for record in records:
                if record.topic.name in self._own:
                    self._put_fenced(record)
                else:
                    write(self._producer, record.topic.name, record.key, record.model)

    def _put_fenced(self, record: Record) -> None:
        """One record, if no other door has begun. Raises TakenOver, KafkaException, TimeoutError."""
        topic = record.topic.name
        assert self._fenced is not None
        try:
            fenced = self._fenced
            fenced.begin_transaction()
            offset = write(fenced, topic, record.key, record.model)
            self._bounded(lambda: fenced.commit_transaction(ACK_TIMEOUT_S))
        except Exception as error:
            self._fenced = None  # committed or not: init_transactions settles it, and the next act sees which
            if isinstance(error, KafkaException) and _refused(kafka.error_of(error)):
                log.warning("subscriptions.taken_over", error=str(error))
                raise TakenOver(kafka.error_of(error)) from None
            raise
        position = (self._subscriptions if topic == SUBSCRIPTIONS.name else self._suppressions).position
        self._own[topic] = {**self._unread(position, topic), record.key: (offset, record.model)}

    def _bounded(self, call: Callable[[], T]) -> T:
        """Raises TimeoutError: the call may never return (services/runtime/bounded.py), and its client is left behind."""
        try:
            return self._calls(call, ACK_TIMEOUT_S + HUNG_AFTER_S)
        except Hung as hung:
            self._calls = BoundedCalls("subscriptions-fence")
            raise TimeoutError(str(hung)) from None

    def _begin(self) -> None:
        """From now on nobody else writes, and all that was written is in the views."""
        config = kafka.transactional_config(self._settings, "lovla-subscriptions-fence", TRANSACTIONAL_ID)
        producer = Producer(config)
        self._bounded(lambda: producer.init_transactions(ACK_TIMEOUT_S))
        self._subscriptions.catch_up()
        self._suppressions.catch_up()
        self._fenced = producer
        log.info("subscriptions.writes")

    def _unread(self, position: int, topic: str) -> dict[str, tuple[int, BaseModel | None]]:
        return {key: own for key, own in self._own[topic].items() if own[0] >= position}

    def _with_own(self, one: RegisterView[R], topic: str) -> Mapping[str, R]:
        """What the view shows, and over it what this process wrote and the view has not read yet (it takes 0.2 s)."""
        position = one.position  # before the snapshot: what lies before it is in there
        shown = one.snapshot()
        unread = self._unread(position, topic)
        if not unread:
            return shown
        merged = dict(shown)
        for key, (_, model) in unread.items():
            merged.pop(key, None)
            if model is not None:
                merged[key] = cast(R, model)
        return merged


def _refused(error: KafkaError) -> bool:
    """Whether another producer of our transactional.id has begun."""
    return kafka.fatal(error) or error.code() in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH)


def _nowhere(_: Acknowledgement) -> None:
    raise TimeoutError("this store has no way in")


class Store:
    """All acts, as a worker thread may call them. Every act raises Refused, and what Register.put raises."""

    def __init__(
        self, register: Register, secret: bytes, links_url: str, way_in: Callable[[Acknowledgement], None] = _nowhere
    ) -> None:
        """`secret`: LOVLA_SECRET_KEY. `links_url`: AlertsSettings.links_url. `way_in`: takes acknowledgements (way_in.py)."""
        self.links = Links(secret, links_url)
        self.hasher = Hasher(secret)
        self._ids = hmac.new(secret, _IDEMPOTENCY, hashlib.sha256).digest()
        self._register = register
        self._way_in = way_in
        self._lock = threading.Lock()

    def all(self) -> Mapping[str, Subscription]:
        """All subscriptions of this moment."""
        return self._register.subscriptions()

    def get(self, name: str) -> Subscription:
        """Raises Refused."""
        found = self.all().get(name)
        if found is None:
            raise Refused("not_found", "There is no such subscription, or it is not yours.")
        return found

    def of_address(self, address_hash: str) -> list[Subscription]:
        """All subscriptions of one address, the oldest first."""
        found = [one for one in self.all().values() if one.address_hash == address_hash]
        return sorted(found, key=lambda one: (one.created_at, one.subscription))

    def suppressed(self, address_hash: str) -> Suppression | None:
        """Why nothing may be sent to the address, if so."""
        return self._register.suppressions().get(address_hash)

    # --- acts of one subscription

    def add(
        self, wanted: Wanted, owner: str | None, said: Said, repeat_key: str | None = None, sight: Sight | None = None
    ) -> Subscription:
        """A new subscription, asked to confirm. The same `repeat_key` of the same owner gives the one that it gave before."""
        try:
            address = normalise(wanted.channel, wanted.address)
        except BadAddress as error:
            raise Refused("invalid", str(error), "/address") from error
        address_hash = self.hasher.of(wanted.channel, address)
        name = self._name(owner, repeat_key)
        with self._lock:
            before = self.all().get(name)
            if before is not None:
                if before.address != address or before.channel != wanted.channel:
                    raise Refused("invalid", "This Idempotency-Key was used for another address.")
                return before
            if self.suppressed(address_hash) is not None:
                raise Refused(
                    "suppressed", "Nothing may be sent to this address: its owner said so, or it does not exist.", "/address"
                )
            return self._write(acts.make(name, wanted, address, address_hash, owner, self.all(), said, sight))

    def made_before(self, owner: str | None, repeat_key: str | None) -> Subscription | None:
        """What `add` gives for a `repeat_key` that it was given before, if it is there still."""
        return None if repeat_key is None else self.all().get(self._name(owner, repeat_key))

    def ask(self, name: str, said: Said) -> Subscription:
        """Ask its address once more to confirm."""
        with self._lock:
            one = self.get(name)
            if self.suppressed(one.address_hash) is not None:
                raise Refused("suppressed", "Nothing may be sent to this address.")
            return self._write(acts.ask(one, self.all(), said))

    def confirm(self, name: str, said: Said) -> Subscription:
        """By link: who calls has opened it."""
        with self._lock:
            return self._write(acts.confirm(self.get(name), said))

    def confirm_by_code(self, name: str, code: str, said: Said) -> Subscription:
        """By the digits of an SMS. Raises Refused for wrong ones, and counts them."""
        with self._lock:
            one = self.get(name)
            if one.state == "unconfirmed" and not (
                one.wrong_codes < WRONG_CODES_MOST and self.links.is_code(one, code, said.at)
            ):
                self._write(acts.wrong_code(one))
                raise Refused("invalid", "This is not the code that was sent last, or its 15 minutes are over.", "/code")
            return self._write(acts.confirm(one, said))

    def change(self, name: str, wanted: Changed, said: Said) -> Subscription:
        """Its words replaced; raises pydantic's ValidationError through `changed` where they are given in part."""
        with self._lock:
            return self._write(acts.change(self.get(name), wanted, self.all(), said))

    def amend(self, name: str, given: Mapping[str, object], said: Said) -> Subscription:
        """Some of its words replaced. Raises pydantic's ValidationError besides."""
        with self._lock:
            one = self.get(name)
            return self._write(acts.change(one, changed(one, dict(given)), self.all(), said))

    def pause(self, name: str, said: Said) -> Subscription:
        with self._lock:
            return self._write(acts.pause(self.get(name), said))

    def resume(self, name: str, said: Said) -> Subscription:
        with self._lock:
            return self._write(acts.resume(self.get(name), said))

    def stop(self, name: str, by: Literal["link", "owner"], said: Said) -> Subscription:
        with self._lock:
            return self._write(acts.stop(self.get(name), by, said))

    def remove(self, name: str, said: Said) -> None:
        with self._lock:
            self._write(acts.remove(self.get(name), said))

    # --- acts of an address

    def stop_address(self, channel: Channel, address: str, shown: str, said: Said) -> int:
        """STOP: every subscription of the address, and none of it ever again before START. How many it stopped."""
        address_hash = self.hasher.of(channel, address)
        with self._lock:
            # before the subscriptions, and even if there are none: the word counts for whoever sends to it
            self._put(acts.suppress(channel, address_hash, "stopped", said))
            known = self.of_address(address_hash)
            for one in known:
                self._write(acts.stop(one, "word", said, shown))
            return sum(one.state != "stopped" for one in known)

    def start_address(self, channel: Channel, address: str, said: Said) -> int:
        """START: takes STOP back, for what STOP stopped. How many it resumed."""
        address_hash = self.hasher.of(channel, address)
        with self._lock:
            before = self.suppressed(address_hash)
            if before is not None and before.reason in ("stopped", "opted_out"):
                self._put(*acts.lift(address_hash, said))
            resumed = [
                one
                for one in self.of_address(address_hash)
                if one.state == "stopped" and one.stopped_by == "word" and one.confirmed_at is not None
            ]
            for one in resumed:
                self._write(acts.resume(one, said))
            return len(resumed)

    def forget(self, channel: Channel, address: str, said: Said) -> int:
        """Every subscription of the address goes, and with compaction the address itself; a keyed hash stays, so that nobody
        writes to it again. How many went. `services/alerts/erasure.py` makes compaction come at once."""
        address_hash = self.hasher.of(channel, normalise(channel, address))
        with self._lock:
            self._put(acts.suppress(channel, address_hash, "forgotten", said))
            gone = self.of_address(address_hash)
            for one in gone:
                self._write(acts.remove(one, said))
            return len(gone)

    def allow(self, channel: Channel, address: str, said: Said) -> bool:
        """The address may be written to again, because its owner asked an operator. Whether it was suppressed."""
        address_hash = self.hasher.of(channel, normalise(channel, address))
        with self._lock:
            if self.suppressed(address_hash) is None:
                return False
            self._put(*acts.lift(address_hash, said))
            return True

    def forget_lapsed(self, said: Said) -> int:
        """Away with what nobody confirmed in time, and on with Kafka's forgetting of what was removed. How many went."""
        with self._lock:
            gone = acts.lapsed(self.all().values(), said.at)
            for one in gone:
                self._write(acts.remove(one, said))
            self._put(acts.close_segment())
            return len(gone)

    def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        """Somebody takes care: said to the way in, as what people do in the console is. Raises TimeoutError."""
        self._way_in(acknowledgement)

    # ---

    def _name(self, owner: str | None, repeat_key: str | None) -> str:
        if repeat_key is None:
            return "".join(secrets.choice(_ALPHABET) for _ in range(ID_LENGTH))
        digest = hmac.new(self._ids, f"{owner} {repeat_key}".encode(), hashlib.sha256).digest()
        return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:ID_LENGTH])

    def _write(self, done: Done) -> Subscription:
        self._put(*done.records)
        return done.subscription

    def _put(self, *records: Record) -> None:
        self._register.put(records)
