"""How tests wait: until it is so, not a fixed time; and what hangs ends, told by name."""

from __future__ import annotations

import pytest

from tests import waiting
from tests.waiting import BROKEN_AFTER, BROKEN_S, HANG_S, Wait, eventually, eventually_beside


def test_what_comes_true_is_waited_for_and_what_does_not_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_in_vain", 0)
    looks = iter([False, False, True])
    eventually(lambda: next(looks), "the tide")
    assert next(looks, None) is None
    with pytest.raises(AssertionError, match=r"not happen within 0 s \(load .*\): the tide"):
        eventually(lambda: False, lambda: "the tide", within_s=0.1)


async def test_beside_the_loop_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_in_vain", 0)
    looks = iter([False, True])
    await eventually_beside(lambda: next(looks), "the tide")
    with pytest.raises(AssertionError, match="the tide"):
        await eventually_beside(lambda: False, "the tide", within_s=0.1)


def test_once_several_were_in_vain_the_others_end_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_in_vain", 0)
    for _ in range(BROKEN_AFTER):
        assert Wait("it")._within_s == HANG_S
        with pytest.raises(AssertionError):
            eventually(lambda: False, within_s=0.0)
    assert Wait("it")._within_s == BROKEN_S
