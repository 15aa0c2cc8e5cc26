"""`lovla mailbox`: the mail and SMS that the local stack sent, and people's answers to them."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, NoReturn
from zoneinfo import ZoneInfo

import typer
from rich.table import Table
from rich.text import Text

from deploy.local.cli import DEFAULT_STATE_DIR, AsJson, StateDir
from services.runtime.spoken import when
from services.runtime.terminal import printed
from services.runtime.verbs import Stop, Zone, zone_of

mailbox = typer.Typer(help="The mail and SMS that the local stack sent; answer them, or make the servers misbehave.")
KINDS = {"email": "email", "sms_out": "sms", "sms_in": "answer"}


def register(app: typer.Typer) -> None:
    """Add the verbs to the `lovla` command."""
    app.add_typer(mailbox, name="mailbox")


@mailbox.callback(invoke_without_command=True)
def overview(
    context: typer.Context,
    to: Annotated[str | None, typer.Option("--to", help="Only to or from this address.")] = None,
    last: Annotated[int, typer.Option("--last", min=1, help="So many of the newest.")] = 50,
    zone: Zone = None,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """What came, the newest last."""
    if context.invoked_subcommand is not None:
        return
    from deploy.local.mailbox import read

    local = _zone(zone)
    if not (state_dir / "mailbox").exists():
        _fail(f"there is no mailbox in {state_dir}: run `lovla up` first, or name another folder with --state-dir")
    found = [one for one in read(state_dir / "mailbox") if to is None or to in (one.to, one.sender)][-last:]
    if as_json:
        for one in found:
            typer.echo(json.dumps(asdict(one), ensure_ascii=False))
        return
    if not found:
        typer.echo(f"Nothing came to or from {to}." if to else "Nothing has been sent yet.")
        return
    table = Table("no", "at", "what", "to", "says", box=None, header_style="bold", pad_edge=False)
    for one in found:
        says = one.subject or one.text
        who = one.to if one.kind != "sms_in" else f"from {one.sender}"
        table.add_row(str(one.number), _when(one.at, local), KINDS[one.kind], Text(who), Text(" ".join(says.split())))
    printed(table, f"times in {local.key}")


@mailbox.command("show")
def show(
    number: Annotated[int, typer.Argument(help="As `lovla mailbox` shows it.")],
    raw: Annotated[bool, typer.Option("--raw", help="The bytes of a mail, as they came.")] = False,
    zone: Zone = None,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """One message, whole."""
    from deploy.local.mailbox import read

    local = _zone(zone)
    messages = list(read(state_dir / "mailbox"))
    found = next((one for one in messages if one.number == number), None)
    if found is None:
        _fail(f"there is no message {number} in {state_dir / 'mailbox'}; `lovla mailbox` lists them.")
    elif raw and found.kind == "email":
        typer.echo((state_dir / "mailbox" / f"{number:06d}.eml").read_bytes().decode("utf-8", "replace"))
    elif as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False))
    else:
        date = f"{_when(found.at, local)} {local.key}"
        for name, value in {"From": found.sender, "To": found.to, "Date": date, **found.headers}.items():
            typer.echo(f"{name}: {value}")
        if found.kind == "sms_out":
            typer.echo(f"Id: {found.ref}")
        typer.echo("\n" + found.text.replace("\r\n", "\n"))
        if (asked := found.headers.get("In-Reply-To")) and found.kind == "sms_out":  # no notification of ours stands behind it
            those = [one.number for one in messages if one.kind == "sms_in" and one.ref == asked]
            typer.echo("\nIt answers what this phone wrote" + "".join(f": lovla mailbox show {one}" for one in those), err=True)
        elif found.ref and found.kind != "sms_in":
            typer.echo(f"\nWhy it came: lovla explain '{found.ref}'", err=True)


@mailbox.command("reply")
def reply(
    number: Annotated[str, typer.Argument(help="Whose phone answers, +1...")],
    text: Annotated[str, typer.Argument(help='What it says: "STOP", "ACK 4711", ...')],
    state_dir: StateDir = DEFAULT_STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """Answer by SMS, as a recipient would; prints what we answer to that."""
    said = _ask("POST", "/local/reply", state_dir, {"from": number, "text": text})
    if as_json:
        typer.echo(json.dumps(said))
    elif not said.get("told"):
        _fail(f"the alerts' API did not take the answer (status {said.get('status')}); is alerts-api up? See `lovla status`.")
    else:
        typer.echo(said.get("reply") or "(no answer)")


@mailbox.command("fault")
def fault(
    where: Annotated[str, typer.Argument(help="connect, mail, rcpt, data (SMTP); send, find, callback (SMS).")],
    how: Annotated[
        str, typer.Argument(help='A reply ("451 4.7.1 greylisted", 429, 500), hang, drop, lose, twice, undelivered.')
    ],
    times: Annotated[int, typer.Option(min=1)] = 1,
    to: Annotated[str | None, typer.Option(help="Only for this recipient.")] = None,
    hang_s: Annotated[float, typer.Option(min=0)] = 60.0,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Make the next answers go wrong."""
    _ask("POST", "/local/faults", state_dir, {"where": where, "how": how, "times": times, "to": to, "hang_s": hang_s})
    typer.echo(f"the next {times} at {where}: {how}")


@mailbox.command("well")
def well(state_dir: StateDir = DEFAULT_STATE_DIR) -> None:
    """Forget all faults."""
    _ask("DELETE", "/local/faults", state_dir, None)
    typer.echo("no faults any more")


def _ask(method: str, path: str, state_dir: Any, body: Any) -> dict[str, Any]:
    import httpx

    from deploy.local import environment

    port = environment.read(state_dir).get("LOVLA_STACK_MAILBOX_PORT")
    try:
        answer = httpx.request(method, f"http://127.0.0.1:{port}{path}", json=body, timeout=60, trust_env=False)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        _fail(f"the mailbox of {state_dir} does not answer ({type(error).__name__}); is it up? See `lovla status`.")
    found: dict[str, Any] = answer.json()
    return found


def _zone(name: str | None) -> ZoneInfo:
    try:
        return zone_of(name) or ZoneInfo("UTC")
    except Stop as error:
        _fail(str(error))


def _when(text: str, zone: ZoneInfo) -> str:
    return when(datetime.fromisoformat(text), zone)


def _fail(text: str) -> NoReturn:
    typer.echo(f"lovla: {text}", err=True)
    raise typer.Exit(1)
