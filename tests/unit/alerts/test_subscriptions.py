"""What may be done with a subscription, by whom, and what the ledger says of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from confluent_kafka import KafkaException

from schemas.alerts_v1 import Filters, Suppression
from schemas.topics import SUPPRESSIONS
from services.alerts import acts
from services.alerts.acts import Record, Refused
from services.alerts.links import CODE_FOR, WRONG_CODES_MOST
from services.alerts.wanted import Wanted, agreement, changed
from tests.unit.alerts.subscribers import EMAIL, PHONE, House


@pytest.fixture
def house() -> House:
    return House()


def test_a_new_one_is_unconfirmed_and_its_address_is_asked_in_that_order(house: House) -> None:
    made = house.asked()
    assert made.state == "unconfirmed"
    assert [record.topic.name for record in house.register.written] == ["consent.v1", "subscriptions.v1", "notifications.v1"]
    (request,) = house.register.notifications()
    assert request.purpose == "confirm" and request.subscription == made.subscription


def test_only_the_subscriptions_topic_holds_the_address(house: House) -> None:
    house.subscribed()
    house.store.stop_address("sms", PHONE, "STOP", house.said())
    for record in house.register.written:
        if record.topic.name != "subscriptions.v1":
            assert record.model is not None
            said = record.model.model_dump_json()
            assert EMAIL not in said and PHONE not in said, record.topic.name


def test_the_ledger_keeps_what_was_agreed_to(house: House) -> None:
    made = house.subscribed(filters=Filters(facilities=("LAC-USC",)))
    asked, confirmed = house.register.consents(made.subscription)
    assert (asked.act, confirmed.act) == ("asked", "confirmed")
    assert confirmed.shown == agreement(made) and "LAC-USC" in confirmed.shown
    assert confirmed.by == "subscriber" and confirmed.at == house.clock.now()


def test_confirming_twice_is_confirming_once(house: House) -> None:
    made = house.subscribed()
    before = len(house.register.written)
    house.store.confirm(made.subscription, house.said())
    assert len(house.register.written) == before


def test_a_confirmation_that_kafka_took_in_part_leaves_it_unconfirmed_and_can_be_done_again(house: House) -> None:
    made = house.asked()
    house.register.refuses_after = len(house.register.written) + 1  # the ledger has it, the subscription does not
    with pytest.raises(KafkaException):
        house.store.confirm(made.subscription, house.said())
    assert house.state(made) == "unconfirmed"
    house.register.refuses_after = None
    assert house.store.confirm(made.subscription, house.said()).state == "active"


def test_a_stop_that_kafka_took_in_part_is_a_stop(house: House) -> None:
    made = house.subscribed()
    house.register.refuses_after = len(house.register.written) + 1  # the subscription has it, the ledger does not
    with pytest.raises(KafkaException):
        house.store.stop(made.subscription, "link", house.said())
    assert house.state(made) == "stopped"


def test_an_address_is_asked_at_most_five_times_a_day_whoever_asks(house: House) -> None:
    for number in range(acts.ASKS_A_DAY):
        house.asked(owner=f"BUYER{number}")
        house.clock.advance(61)
    with pytest.raises(Refused, match="asked 5 times today"):
        house.asked(owner=None)
    house.clock.advance(86_400)
    assert house.asked(owner=None).state == "unconfirmed"


def test_asking_again_waits_a_minute(house: House) -> None:
    made = house.asked()
    house.clock.advance(59)
    with pytest.raises(Refused, match="a moment ago"):
        house.store.ask(made.subscription, house.said())
    house.clock.advance(1)
    assert house.store.ask(made.subscription, house.said()).asks == 2


def test_the_code_of_the_sms_confirms_once_and_in_time(house: House) -> None:
    made = house.asked(PHONE)
    code = house.store.links.code(made)
    house.clock.advance(CODE_FOR.total_seconds())
    with pytest.raises(Refused, match="15 minutes are over"):
        house.store.confirm_by_code(made.subscription, code, house.said())
    again = house.store.ask(made.subscription, house.said())
    assert house.store.links.code(again) != code
    spaced = f"{house.store.links.code(again)[:3]} {house.store.links.code(again)[3:]}"
    assert house.store.confirm_by_code(made.subscription, spaced, house.said()).state == "active"


def test_after_five_wrong_codes_even_the_right_one_is_refused_until_asked_anew(house: House) -> None:
    made = house.asked(PHONE)
    right = house.store.links.code(made)
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    for _ in range(WRONG_CODES_MOST):
        with pytest.raises(Refused, match="not the code"):
            house.store.confirm_by_code(made.subscription, wrong, house.said())
    with pytest.raises(Refused, match="Too many wrong codes"):
        house.store.confirm_by_code(made.subscription, right, house.said())
    house.clock.advance(61)
    again = house.store.ask(made.subscription, house.said())
    assert house.store.confirm_by_code(made.subscription, house.store.links.code(again), house.said()).state == "active"


def test_what_nobody_confirmed_within_a_week_is_forgotten_and_the_rest_stays(house: House) -> None:
    lapsing, kept = house.asked(), house.subscribed("other@hospital.example")
    house.clock.advance(timedelta(days=7).total_seconds() - 1)
    assert house.store.forget_lapsed(house.said("lovla")) == 0
    house.clock.advance(1)
    assert house.store.forget_lapsed(house.said("lovla")) == 1
    assert set(house.store.all()) == {kept.subscription} and lapsing.subscription not in house.store.all()


def test_who_was_never_confirmed_can_neither_be_resumed_nor_paused(house: House) -> None:
    made = house.asked()
    with pytest.raises(Refused, match="has not confirmed"):
        house.store.resume(made.subscription, house.said("LACDHS"))
    with pytest.raises(Refused, match="only an active one"):
        house.store.pause(made.subscription, house.said("LACDHS"))
    house.store.stop(made.subscription, "owner", house.said("LACDHS"))
    with pytest.raises(Refused, match="has not confirmed"):
        house.store.resume(made.subscription, house.said("LACDHS"))


def test_what_its_subscriber_stopped_its_owner_cannot_resume(house: House) -> None:
    made = house.subscribed()
    house.store.stop(made.subscription, "link", house.said())
    with pytest.raises(Refused, match="only its subscriber"):
        house.store.resume(made.subscription, house.said("LACDHS"))
    assert house.store.resume(made.subscription, house.said()).state == "active"


def test_an_owner_that_stops_does_not_undo_who_stopped_first(house: House) -> None:
    made = house.subscribed()
    house.store.stop(made.subscription, "link", house.said())
    house.store.stop(made.subscription, "owner", house.said("LACDHS"))
    assert house.store.get(made.subscription).stopped_by == "link"


def test_what_an_owner_stopped_and_then_its_subscriber_is_the_subscribers(house: House) -> None:
    made = house.subscribed(PHONE)
    house.store.stop(made.subscription, "owner", house.said("LACDHS"))
    house.store.stop_address("sms", PHONE, "STOP", house.said())
    house.store.start_address("sms", PHONE, house.said())
    assert house.state(made) == "stopped", "START would have undone what the owner did"
    with pytest.raises(Refused, match="only its subscriber"):
        house.store.resume(made.subscription, house.said("LACDHS"))


def test_stop_by_sms_stops_every_subscription_of_the_number_and_suppresses_it(house: House) -> None:
    one, other = house.subscribed(PHONE), house.subscribed(PHONE, owner="CEDARS")
    asked = house.asked(PHONE, owner="HOAG")
    elses = house.subscribed(EMAIL)
    assert house.store.stop_address("sms", PHONE, "Stop!", house.said()) == 3
    assert {house.state(one), house.state(other), house.state(asked)} == {"stopped"}
    assert house.state(elses) == "active"
    assert house.store.suppressed(one.address_hash) is not None
    with pytest.raises(Refused, match="Nothing may be sent"):
        house.asked(PHONE, owner="VALLEY")


def test_start_takes_back_what_stop_stopped_and_nothing_else(house: House) -> None:
    words, link, never = house.subscribed(PHONE), house.subscribed(PHONE, owner="CEDARS"), house.asked(PHONE, owner="HOAG")
    house.store.stop(link.subscription, "link", house.said())
    house.store.stop_address("sms", PHONE, "STOP", house.said())
    assert house.store.start_address("sms", PHONE, house.said()) == 1
    assert (house.state(words), house.state(link), house.state(never)) == ("active", "stopped", "stopped")
    assert house.store.suppressed(words.address_hash) is None


def test_start_lifts_no_bounce(house: House) -> None:
    made = house.subscribed(PHONE)
    bounced = Suppression(address_hash=made.address_hash, channel="sms", reason="bounced", at=house.clock.now())
    house.register.put([Record(SUPPRESSIONS, made.address_hash, bounced)])
    house.store.start_address("sms", PHONE, house.said())
    assert house.store.suppressed(made.address_hash) == bounced


def test_forgetting_an_address_leaves_its_hash_alone(house: House) -> None:
    one, other = house.subscribed(), house.asked("NIGHT.buyer@HOSPITAL.example", owner=None)
    assert one.address_hash == other.address_hash, "another way to write the same address"
    assert house.store.forget("email", EMAIL, house.said("OPS")) == 2
    assert house.store.all() == {}
    suppressed = house.store.suppressed(one.address_hash)
    assert suppressed is not None and suppressed.reason == "forgotten"
    assert [one.act for one in house.register.consents()][-2:] == ["forgotten", "forgotten"]
    with pytest.raises(Refused, match="Nothing may be sent"):
        house.asked()
    assert house.store.allow("email", EMAIL, house.said("OPS"))
    assert house.asked().state == "unconfirmed"


def test_the_same_idempotency_key_gives_the_same_subscription_of_that_owner(house: House) -> None:
    wanted = Wanted(channel="email", address=EMAIL)
    one = house.store.add(wanted, "LACDHS", house.said(), "order-17")
    assert house.store.add(wanted, "LACDHS", house.said(), "order-17") == one
    house.clock.advance(61)
    assert house.store.add(wanted, "CEDARS", house.said(), "order-17").subscription != one.subscription
    with pytest.raises(Refused, match="used for another address"):
        house.store.add(Wanted(channel="sms", address=PHONE), "LACDHS", house.said(), "order-17")


def test_a_second_contact_is_a_subscription_of_the_same_owner(house: House) -> None:
    mine, theirs = house.subscribed(PHONE), house.subscribed("else@hospital.example", owner="CEDARS")
    assert house.asked(escalate_to=mine.subscription).escalate_to == mine.subscription
    with pytest.raises(Refused, match="no other subscription of yours"):
        house.asked("third@hospital.example", escalate_to=theirs.subscription)
    with pytest.raises(Refused, match="no other subscription of yours"):
        house.store.amend(mine.subscription, {"fallback": mine.subscription}, house.said("LACDHS"))


def test_changing_to_the_same_words_writes_nothing(house: House) -> None:
    made = house.subscribed()
    before = len(house.register.written)
    house.store.amend(made.subscription, {"digest": "immediate"}, house.said())
    assert len(house.register.written) == before
    house.store.amend(made.subscription, {"digest": "daily", "digest_at": "06:00"}, house.said())
    assert house.register.consents(made.subscription)[-1].act == "changed"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"zone": "Mars/Olympus"}, "IANA"),
        ({"quiet": ("22:00", "22:00")}, "same time"),
        ({"quiet": ("25:00", "06:00")}, "HH:MM"),
        ({"digest": "daily"}, "digest_at"),
        ({"digest_at": "06:00"}, "digest_at"),
        ({"filters": {"consignments": ["x"] * 101}}, "at most 100"),
        ({"state": "active"}, "Extra inputs"),
        ({"confirmed_at": "2020-04-12T08:20:05Z"}, "Extra inputs"),
    ],
)
def test_words_that_cannot_be_meant_are_refused(words: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Wanted.model_validate({"channel": "email", "address": EMAIL} | words)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("mrsu 437163-9", ("MRSU4371639",)),
        ("020 1234 5675", ("020-12345675", "02012345675")),
        ("020-12345675", ("020-12345675",)),
        ("po-4711", ("po-4711", "PO-4711")),
        ("SELU4013", ("SELU4013",)),
    ],
)
def test_a_reference_is_found_however_its_paper_writes_it(given: str, kept: tuple[str, ...]) -> None:
    words = {"channel": "email", "address": EMAIL, "filters": {"references": [given]}}
    wanted = Wanted.model_validate(words)
    assert wanted.filters.references == kept
    again = wanted.model_dump() | {"filters": wanted.filters}
    assert Wanted.model_validate(again).filters.references == kept  # changed later, it stays


def test_neither_channel_nor_address_can_be_changed(house: House) -> None:
    made = house.subscribed()
    for words in ({"address": "x@y.example"}, {"channel": "sms"}, {"state": "active"}):
        with pytest.raises(ValueError, match="Extra inputs"):
            changed(made, words)


def test_the_longest_agreement_fits_the_ledger(house: House) -> None:
    many = tuple(f"CONSIGNMENT-{'9' * 100}{number}" for number in range(100))
    made = house.asked(filters=Filters(consignments=many, references=many))
    assert len(agreement(made)) <= 500
