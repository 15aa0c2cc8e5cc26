"""The check of what came, spoiled once in each way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from deploy.local.mailbox import Message
from schemas.alerts_v1 import Delivery, Notification
from tests.faults.alerts import Crowd, crowd, twice, wrong

PEOPLE = crowd("c", people=4, alerts=8, texted=1)


def came(people: Crowd) -> list[Message]:
    """Everything, once."""
    by_name = {one.subscription: one for one in people.wanting}
    return [
        Message(
            n,
            "sms_out" if by_name[one.subscription].channel == "sms" else "email",
            "",
            "",
            by_name[one.subscription].address,
            one.subject,
            one.sms or "",
            f"<{one.notification}>",
        )
        for n, one in enumerate(people.wanted)
    ]


def records(one: Notification, *states: str) -> list[Delivery]:
    common = {"notification": one.notification, "subscription": one.subscription, "address_hash": "", "at": datetime.now(UTC)}
    return [Delivery.model_validate(common | {"attempt": n + 1, "state": state}) for n, state in enumerate(states)]


def test_all_once_is_right() -> None:
    assert wrong(PEOPLE, came(PEOPLE), []) == [] and twice(PEOPLE, came(PEOPLE)) == 0


@pytest.mark.parametrize("who", ["unwilling", "leaving", "suppressed"])
def test_a_message_to_who_wants_none_is_found(who: str) -> None:
    stray = replace(came(PEOPLE)[1], to=getattr(PEOPLE, who)[0].address)
    assert len(wrong(PEOPLE, [*came(PEOPLE), stray], [])) == 1


def test_one_that_never_came_is_found() -> None:
    assert "never came" in wrong(PEOPLE, came(PEOPLE)[1:], [])[0]


def test_a_mail_twice_is_right_only_after_a_crash_at_the_named_point_and_under_one_id() -> None:
    mail = next(message for message in came(PEOPLE) if message.kind == "email")
    one = next(one for one in PEOPLE.wanted if f"<{one.notification}>" == mail.ref)
    all_of_it = [*came(PEOPLE), mail]
    assert wrong(PEOPLE, all_of_it, records(one, "intent", "intent", "accepted")) == []
    assert twice(PEOPLE, all_of_it) == 1
    assert "without a crash" in wrong(PEOPLE, all_of_it, records(one, "intent", "accepted"))[0]
    assert "without a crash" in wrong(PEOPLE, all_of_it, records(one, "intent", "failed", "intent", "accepted"))[0]
    other = [*came(PEOPLE), replace(mail, ref="<other>")]
    assert "several Message-IDs" in wrong(PEOPLE, other, records(one, "intent", "intent", "accepted"))[0]


def test_a_text_twice_is_wrong_whatever_happened() -> None:
    text = next(message for message in came(PEOPLE) if message.kind == "sms_out")
    one = next(one for one in PEOPLE.wanted if f"<{one.notification}>" == text.ref)
    found = wrong(PEOPLE, [*came(PEOPLE), text], records(one, "intent", "intent", "accepted"))
    assert "2 times by SMS" in found[0]
