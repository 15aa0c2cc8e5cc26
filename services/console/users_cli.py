"""`lovla users add | role | password | disable | list`: who may sign in to the console of a state folder."""

from __future__ import annotations

import getpass
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.console.frame import Role
    from services.console.people import People

Name = Annotated[str, typer.Argument(help="Small letters, digits, dots; an address of mail will do.")]
StateDir = Annotated[Path | None, typer.Option("--state-dir", help="The stack's folder; else LOVLA_STATE_DIR, else .lovla.")]
AsRole = Annotated[str, typer.Option("--role", help="viewer looks, planner acts, admin manages.")]

users = typer.Typer(no_args_is_help=True, help="Who may sign in to the console.")


def register(app: typer.Typer) -> None:
    """Add `lovla users`."""
    app.add_typer(users, name="users")


def _people(state_dir: Path | None) -> People:
    from services.console.people import People
    from services.runtime.settings import Settings, SettingsError

    try:
        return People(Settings.load(state_dir).state_dir)
    except SettingsError as error:
        _fail(str(error))


def _fail(text: str) -> NoReturn:
    typer.echo(f"lovla users: {text}", err=True)
    raise typer.Exit(1)


def _password() -> str:
    """Asked twice on a terminal, else the first line of standard input: never an argument, which others could read."""
    from services.console.people import PASSWORD_LEAST

    if not _is_terminal():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass(f"Password (at least {PASSWORD_LEAST} characters): ")
    if first != getpass.getpass("Again: "):
        _fail("the two differ; nothing was done")
    return first


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _role(text: str) -> Role:
    from services.console.frame import ROLES

    for role in ROLES:
        if role == text:
            return role
    _fail(f"{text} is no role; there are {', '.join(ROLES)}")


def _do(act: Callable[[], None], said: str) -> None:
    from services.console.people import PeopleError

    try:
        act()
    except PeopleError as error:
        _fail(str(error))
    typer.echo(said)


@users.command()
def add(name: Name, role: AsRole = "viewer", state_dir: StateDir = None) -> None:
    """Somebody new; the password, of 12 characters or more, is asked for, or read from standard input."""
    from services.runtime.clock import SystemClock

    people, as_role = _people(state_dir), _role(role)
    _do(lambda: people.add(name, as_role, _password(), SystemClock().now()), f"{name} may sign in as {as_role}")


@users.command("role")
def set_role(name: Name, role: AsRole, state_dir: StateDir = None) -> None:
    """Another role; ends their sessions."""
    people, as_role = _people(state_dir), _role(role)
    _do(lambda: people.set_role(name, as_role), f"{name} is {as_role} from the next sign-in on")


@users.command("password")
def set_password(name: Name, state_dir: StateDir = None) -> None:
    """Another password, of 12 characters or more; ends their sessions, unlocks them, and lets a disabled account in again."""
    people = _people(state_dir)
    _do(lambda: people.set_password(name, _password()), f"{name} may sign in with the new password")


@users.command()
def disable(name: Name, state_dir: StateDir = None) -> None:
    """Ends their sessions at once, and lets them in no more."""
    people = _people(state_dir)
    _do(lambda: people.disable(name), f"{name} is out, and may not come in")


@users.command("list")
def list_all(
    state_dir: StateDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Who there is."""
    from services.console.render import add, table
    from services.runtime.terminal import console

    found = _people(state_dir).all()
    if as_json:
        for one in found:
            typer.echo(json.dumps({"name": one.name, "role": one.role, "active": one.active, "since": one.since.isoformat()}))
        return
    if not found:
        typer.echo("Nobody may sign in yet: `lovla users add NAME --role admin`.")
        return
    made = table("", "name", "role", "since", "")
    for one in found:
        add(made, one.name, one.role, f"{one.since:%Y-%m-%d}", "" if one.active else "disabled")
    console().print(made)
