"""Whatever is done to a subscription, by whomever, in whatever order, with Kafka away in between: who said no gets nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Literal, get_args

from confluent_kafka import KafkaException
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alerts_v1 import Subscription
from services.alerts.acts import Refused
from tests.unit.alerts.subscribers import PHONE, House

Act = Literal[
    "confirm by link",
    "confirm by code",
    "owner pauses",
    "owner resumes",
    "owner stops",
    "subscriber resumes",
    "subscriber stops by link",
    "subscriber sends STOP",
    "subscriber sends START",
    "owner changes",
    "a minute passes",
]
_YES, _NO = ("confirm by link", "confirm by code"), ("subscriber stops by link", "subscriber sends STOP")
_TAKEN_BACK = ("subscriber resumes", "subscriber sends START")


def do(house: House, made: Subscription, act: Act) -> None:
    store, name, owner, self_ = house.store, made.subscription, house.said("LACDHS"), house.said()
    acts: dict[Act, Callable[[], object]] = {
        "confirm by link": lambda: store.confirm(name, self_),
        "confirm by code": lambda: store.confirm_by_code(name, store.links.code(store.get(name)), self_),
        "owner pauses": lambda: store.pause(name, owner),
        "owner resumes": lambda: store.resume(name, owner),
        "owner stops": lambda: store.stop(name, "owner", owner),
        "subscriber resumes": lambda: store.resume(name, self_),
        "subscriber stops by link": lambda: store.stop(name, "link", self_),
        "subscriber sends STOP": lambda: store.stop_address("sms", PHONE, "STOP", self_),
        "subscriber sends START": lambda: store.start_address("sms", PHONE, self_),
        "owner changes": lambda: store.amend(name, {"label": "night"}, owner),
        "a minute passes": lambda: house.clock.advance(60),
    }
    acts[act]()


def is_sent_to(house: House, made: Subscription) -> bool:
    """As the sender asks before every message."""
    return house.state(made) == "active" and house.store.suppressed(made.address_hash) is None


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(get_args(Act)), st.integers(0, 3)), max_size=25))
def test_messages_flow_only_after_the_subscribers_last_word_was_yes(steps: list[tuple[Act, int]]) -> None:
    """The number: how many records of the act Kafka takes before it is away; 3: all."""
    house = House()
    made = house.asked(PHONE)
    said_yes, said_no = False, False
    for act, taken in steps:
        house.register.refuses_after = None if taken == 3 else len(house.register.written) + taken
        whole = True
        try:
            do(house, made, act)
        except Refused:
            continue
        except KafkaException:
            whole = False
        said_yes |= act in _YES
        if act in _NO and (whole or taken > 0):  # of a stop even the first record alone counts
            said_no = True
        elif act in _TAKEN_BACK and said_no:
            said_no = False
        sent_to = is_sent_to(house, made)
        assert not sent_to or (said_yes and not said_no), (act, taken)
        if sent_to:
            assert "confirmed" in [one.act for one in house.register.consents(made.subscription)], "the ledger knows of it"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([act for act in get_args(Act) if act not in _YES]), max_size=25))
def test_who_never_confirmed_is_never_sent_to(steps: list[Act]) -> None:
    house = House()
    made = house.asked(PHONE)
    for act in steps:
        with contextlib.suppress(Refused):
            do(house, made, act)
        assert not is_sent_to(house, made)
