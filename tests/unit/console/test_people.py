"""Accounts, sessions and lock-out; with a quick hash, since its strength is the library's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from services.console.people import FAILURES, LOCKED_FOR, Locked, People, PeopleError, WrongPassword

NOW = datetime(2020, 4, 12, 12, tzinfo=UTC)
GOOD = "a password that is long"
SHIFT = timedelta(hours=12)


@pytest.fixture
def people(tmp_path: Path) -> People:
    made = People(tmp_path, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    made.add("ana", "planner", GOOD, NOW)
    return made


def signed_in(people: People, at: datetime = NOW) -> str:
    return people.sign_in("ana", GOOD, "10.0.0.1", at, SHIFT)


def test_who_signs_in_has_a_session_until_it_ends(people: People) -> None:
    token = signed_in(people)
    person = people.of_session(token, NOW)
    assert person is not None
    assert (person.name, person.role) == ("ana", "planner")
    assert people.of_session(token, NOW + SHIFT) is None
    people.sign_out(token)
    assert people.of_session(token, NOW) is None


def test_each_sign_in_is_another_session_and_none_can_be_guessed_from_what_is_kept(people: People, tmp_path: Path) -> None:
    first, second = signed_in(people), signed_in(people)
    assert first != second
    kept = (tmp_path / "console" / "people.sqlite").read_bytes()
    assert first.encode() not in kept
    assert GOOD.encode() not in kept
    assert (tmp_path / "console" / "people.sqlite").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["ana", "nobody"])
def test_a_wrong_password_and_an_unknown_name_answer_the_same(people: People, name: str) -> None:
    with pytest.raises(WrongPassword, match=r"^Name and password do not belong together\.$"):
        people.sign_in(name, "another long password", "10.0.0.1", NOW, SHIFT)


def test_after_some_wrong_passwords_the_name_is_locked_there_even_for_the_right_one(people: People) -> None:
    for _ in range(FAILURES):
        with pytest.raises(WrongPassword):
            people.sign_in("ana", "x" * 12, "10.0.0.1", NOW, SHIFT)
    with pytest.raises(Locked):
        signed_in(people)
    assert people.sign_in("ana", GOOD, "10.0.0.2", NOW, SHIFT), "another address is another matter"
    assert signed_in(people, NOW + LOCKED_FOR + timedelta(seconds=1))


def test_many_addresses_together_lock_it_everywhere(people: People) -> None:
    for number in range(10 * FAILURES):
        with pytest.raises(WrongPassword):
            people.sign_in("ana", "x" * 12, f"10.0.1.{number}", NOW, SHIFT)
    with pytest.raises(Locked):
        signed_in(people)


def test_disabling_and_another_role_or_password_end_sessions_at_once(people: People) -> None:
    changes: tuple[Callable[[], None], ...] = (
        lambda: people.set_role("ana", "viewer"),
        lambda: people.set_password("ana", GOOD),
        lambda: people.disable("ana"),
    )
    for change in changes:
        token = signed_in(people)
        change()
        assert people.of_session(token, NOW) is None
    with pytest.raises(WrongPassword):
        signed_in(people)
    people.set_password("ana", GOOD)
    assert signed_in(people)


@pytest.mark.parametrize(
    ("name", "password"), [("ana", GOOD), ("A B", GOOD), ("bo", "short"), ("bo", "x" * 257), ("<b>", GOOD)]
)
def test_who_cannot_be_added(people: People, name: str, password: str) -> None:
    with pytest.raises(PeopleError):
        people.add(name, "viewer", password, NOW)
    assert [one.name for one in people.all()] == ["ana"]


def test_who_is_not_there_cannot_be_changed(people: People) -> None:
    with pytest.raises(PeopleError, match="there is no bo"):
        people.set_role("bo", "admin")
