"""The demo's subscribers: who must be told what, and what is wrong with what came."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import pytest

from demo import world
from demo.alerts import Subscriber, cast, due, judge
from demo.build import build
from demo.news import Scene, found
from deploy.local.mailbox import Message

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def scene() -> Scene:
    scene = found(build(1, 60, NOW).scenario)
    assert scene is not None
    return scene


def message(text: str, kind: Literal["email", "sms_out", "sms_in"] = "email", subject: str = "") -> Message:
    return Message(1, kind, "2026-11-21T10:00:00Z", "lovla", "a@b.example", subject, text, "<1@lovla>")


@pytest.fixture(scope="module")
def driver(scene: Scene) -> Subscriber:
    return next(one for one in cast(scene, NOW) if one.fate == "stopped")


def test_the_cast_holds_every_fate_and_somebody_is_told_of_each_thing(scene: Scene) -> None:
    everybody = cast(scene, NOW)
    assert {one.fate for one in everybody} == {"told", "stopped", "digest", "quiet", "paused", "unconfirmed"}
    assert set().union(*(due(one, scene) for one in everybody)) == scene.names
    assert len({one.address for one in everybody}) == len(everybody)
    assert all(due(one, scene) for one in everybody if one.fate in ("told", "stopped"))


def test_who_is_paused_unconfirmed_held_or_stopped_must_not_be_told(scene: Scene) -> None:
    for one in cast(scene, NOW):
        if one.fate in ("paused", "unconfirmed", "digest", "quiet"):
            assert due(one, scene) == frozenset()
        if one.fate == "stopped":
            assert due(one, scene) == {scene.released.consignments[0].name}


def test_a_buyers_key_is_told_of_its_own_goods_alone(scene: Scene) -> None:
    for one in cast(scene, NOW):
        if one.key_of in world.BUYERS:
            assert all(name.startswith(one.key_of or "-") for name in due(one, scene))


def test_each_once_and_nothing_else_is_right(driver: Subscriber) -> None:
    must = frozenset({"LVLA-00001", "LVLA-00002"})
    assert judge(driver, must, [message("LVLA-00001 and LVLA-00002 are late")]).wrong == ()


@pytest.mark.parametrize(
    ("came", "wrong"),
    [
        ([], "was never told of LVLA-00001"),
        ([message("LVLA-00001"), message("x", subject="LVLA-00001")], "was told 2 times of LVLA-00001"),
        ([message("LVLA-00001, LVLA-00009")], "was told of LVLA-00009, and must not be"),
        ([message("LVLA-00001"), message("hello")], "got a message that names nothing: hello"),
    ],
)
def test_too_little_too_much_and_strange_things_are_wrong(driver: Subscriber, came: list[Message], wrong: str) -> None:
    (text,) = judge(driver, frozenset({"LVLA-00001"}), came).wrong
    assert wrong in text


def test_our_answer_to_an_sms_is_no_alert_but_the_same_words_once_more_are(driver: Subscriber) -> None:
    came = [message("STOP", "sms_in"), message("LoVLA: stopped.", "sms_out")]
    assert judge(driver, frozenset(), came, ["LoVLA: stopped."]).wrong == ()
    assert judge(driver, frozenset(), [*came, came[1]], ["LoVLA: stopped."]).wrong


def test_what_is_collected_for_a_second_message_may_come_later_and_still_but_once(driver: Subscriber) -> None:
    must, one = frozenset({"LVLA-00001", "LVLA-00002"}), message("LVLA-00001")
    assert judge(driver, must, [one], later=["LVLA-00002"]).wrong == ()
    assert judge(driver, must, [one]).wrong
    assert judge(driver, must, [one, one], later=["LVLA-00002"]).wrong
