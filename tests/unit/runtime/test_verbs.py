"""What verbs have alike."""

from __future__ import annotations

import pytest

from services.runtime.verbs import Stop, only_one

NAMES = ("abc", "abcdef", "abd", "xyz")


@pytest.mark.parametrize(("begin", "whole"), [("x", "xyz"), ("abd", "abd"), ("abcd", "abcdef"), ("abc", "abc")])
def test_a_beginning_names_the_one_that_begins_so_and_a_whole_name_itself(begin: str, whole: str) -> None:
    assert only_one(begin, iter(NAMES), "things", "lovla things list") == whole


@pytest.mark.parametrize(("begin", "said"), [("ab", "several things begin so"), ("q", "none of the things")])
def test_a_beginning_of_several_or_of_none_is_told_with_the_verb_that_lists_them(begin: str, said: str) -> None:
    with pytest.raises(Stop, match=rf"^{begin}: {said}.*`lovla things list`"):
        only_one(begin, NAMES, "things", "lovla things list")
