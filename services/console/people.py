"""Who may look at the console: local accounts, sessions and failed tries, in a small database of the state folder.

*Guarantees*: passwords are kept as argon2id hashes, session tokens as SHA-256. Signing in always makes a new session (no token
that a browser brought is ever taken on). Disabling somebody, another role or another password ends their sessions at once. A
name that is unknown takes as long as a wrong password, and both answer the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from services.console.frame import ROLES, Role

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{1,63}")
PASSWORD_LEAST, PASSWORD_MOST = 12, 256
FAILURES: Final = 5
"""Wrong passwords for a name from one address before it is locked there; ten times as many lock it everywhere."""
LOCKED_FOR: Final = timedelta(minutes=15)

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS people (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, hash TEXT NOT NULL, active INTEGER NOT NULL, since TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (
    token TEXT PRIMARY KEY, name TEXT NOT NULL, since TEXT NOT NULL, until TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sessions_by_name ON sessions (name);
CREATE TABLE IF NOT EXISTS failures (name TEXT NOT NULL, host TEXT NOT NULL, at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS failures_by_name ON failures (name, at);
"""


class PeopleError(Exception):
    """What was asked cannot be done; the text is a sentence that says what to do."""


class WrongPassword(PeopleError):
    """The name is unknown or disabled, or the password is another."""


class Locked(PeopleError):
    """Too many wrong passwords."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account."""

    name: str
    role: Role
    active: bool
    since: datetime


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _hidden(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class People:
    """The accounts of one state folder. Every call opens the database for itself, so that verbs and the service share it."""

    def __init__(self, state_dir: Path, hasher: PasswordHasher | None = None) -> None:
        self._path = state_dir / "console" / "people.sqlite"
        self._hasher = hasher or PasswordHasher()
        self._there = False

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if not self._path.exists():
            self._there = False
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path, timeout=5)
        try:
            with connection:
                if not self._there:
                    connection.executescript(_TABLES)
                    self._there = True
                yield connection
        finally:
            connection.close()

    @cached_property
    def _nobody(self) -> str:
        """A hash that no password has, for names that are unknown."""
        return self._hasher.hash(secrets.token_urlsafe(32))

    # --- accounts

    def add(self, name: str, role: Role, password: str, now: datetime) -> None:
        """Raises PeopleError: the name is taken or none, or the password too short."""
        if not NAME.fullmatch(name):
            raise PeopleError("a name has 2 to 64 small letters, digits, dots, hyphens, underscores or an @")
        hashed = self._hashed(password)
        with self._open() as db:
            try:
                db.execute("INSERT INTO people VALUES (?, ?, ?, 1, ?)", (name, role, hashed, _text(now)))
            except sqlite3.IntegrityError as error:
                raise PeopleError(f"there is a {name} already: `lovla users role` or `lovla users password`") from error

    def set_role(self, name: str, role: Role) -> None:
        """Ends their sessions. Raises PeopleError."""
        self._change(name, "UPDATE people SET role = ? WHERE name = ?", role)

    def set_password(self, name: str, password: str) -> None:
        """Ends their sessions, and makes a disabled account live again. Raises PeopleError."""
        self._change(name, "UPDATE people SET hash = ?, active = 1 WHERE name = ?", self._hashed(password))
        with self._open() as db:
            db.execute("DELETE FROM failures WHERE name = ?", (name,))

    def disable(self, name: str) -> None:
        """Ends their sessions. Raises PeopleError."""
        self._change(name, "UPDATE people SET active = ? WHERE name = ?", 0)

    def all(self) -> list[Person]:
        """By name."""
        with self._open() as db:
            rows = db.execute("SELECT name, role, active, since FROM people ORDER BY name").fetchall()
        return [Person(name, _role(role), bool(active), datetime.fromisoformat(since)) for name, role, active, since in rows]

    def planners(self) -> list[str]:
        """Names of those who may act, as work is assigned to them."""
        return [one.name for one in self.all() if one.active and one.role != "viewer"]

    def _hashed(self, password: str) -> str:
        if not PASSWORD_LEAST <= len(password) <= PASSWORD_MOST:
            raise PeopleError(f"a password has {PASSWORD_LEAST} to {PASSWORD_MOST} characters")
        return self._hasher.hash(password)

    def _change(self, name: str, sql: str, value: object) -> None:
        with self._open() as db:
            if db.execute(sql, (value, name)).rowcount != 1:
                raise PeopleError(f"there is no {name}: `lovla users list`")
            db.execute("DELETE FROM sessions WHERE name = ?", (name,))

    # --- sessions

    def sign_in(self, name: str, password: str, host: str, now: datetime, lasts: timedelta) -> str:
        """The token of a new session. Raises WrongPassword, Locked."""
        with self._open() as db:
            since = _text(now - LOCKED_FOR)
            db.execute("DELETE FROM failures WHERE at < ?", (since,))
            all_, here = db.execute("SELECT count(*), total(host = ?) FROM failures WHERE name = ?", (host, name)).fetchone()
            if here >= FAILURES or all_ >= 10 * FAILURES:
                raise Locked("Too many wrong passwords: try again in a quarter of an hour.")
            found = db.execute("SELECT hash FROM people WHERE name = ? AND active", (name,)).fetchone()
        if not self._is(found[0] if found else self._nobody, password) or found is None:
            with self._open() as db:
                db.execute("INSERT INTO failures VALUES (?, ?, ?)", (name[:64], host[:64], _text(now)))
            raise WrongPassword("Name and password do not belong together.")
        with self._open() as db:
            db.execute("DELETE FROM failures WHERE name = ? AND host = ?", (name, host))
            return _begin(db, name, now, lasts)

    def sign_in_known(self, name: str, role: Role, identity: str, now: datetime, lasts: timedelta) -> str:
        """The token of a new session of somebody whom a provider vouches for. `identity` stands in place of a password's hash,
        and no password fits it. Another role than last time ends their sessions. Raises PeopleError where the name is another's
        (a local account, or somebody else of the provider), or was disabled here."""
        with self._open() as db:
            found = db.execute("SELECT hash, active, role FROM people WHERE name = ?", (name,)).fetchone()
            if found is None:
                db.execute("INSERT INTO people VALUES (?, ?, ?, 1, ?)", (name, role, identity, _text(now)))
            elif found[0] != identity:
                raise PeopleError(f"{name} is somebody else's account here: ask an admin.")
            elif not found[1]:
                raise PeopleError("Your account here is disabled: ask an admin.")
            elif found[2] != role:
                db.execute("UPDATE people SET role = ? WHERE name = ?", (role, name))
                db.execute("DELETE FROM sessions WHERE name = ?", (name,))
            return _begin(db, name, now, lasts)

    def _is(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password[: PASSWORD_MOST + 1])
        except (Argon2Error, InvalidHashError):
            return False

    def of_session(self, token: str, now: datetime) -> Person | None:
        """Who has the session; None where it is over or never was."""
        with self._open() as db:
            row = db.execute(
                "SELECT people.name, role, active, people.since FROM sessions JOIN people USING (name)"
                " WHERE token = ? AND until > ? AND active",
                (_hidden(token), _text(now)),
            ).fetchone()
        return None if row is None else Person(row[0], _role(row[1]), bool(row[2]), datetime.fromisoformat(row[3]))

    def sign_out_everywhere(self, identity: str) -> None:
        """All sessions of somebody of a provider are over."""
        with self._open() as db:
            db.execute("DELETE FROM sessions WHERE name IN (SELECT name FROM people WHERE hash = ?)", (identity,))

    def sign_out(self, token: str) -> None:
        """The session is over."""
        with self._open() as db:
            db.execute("DELETE FROM sessions WHERE token = ?", (_hidden(token),))


def _begin(db: sqlite3.Connection, name: str, now: datetime, lasts: timedelta) -> str:
    """The token of a new session."""
    token = secrets.token_urlsafe(32)
    db.execute("DELETE FROM sessions WHERE until < ?", (_text(now),))
    db.execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", (_hidden(token), name, _text(now), _text(now + lasts)))
    return token


def _role(text: str) -> Role:
    return next((role for role in ROLES if role == text), "viewer")
