"""The verbs of the way in: carriers, facilities, push, register, record, link, unlink, appoint, receive, load, receipts.

Registers are written straight to their topics, because whoever may run this on the machine owns them; everything else goes
through the door with a key, like anyone's.
"""

from __future__ import annotations

import getpass
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args
from urllib.parse import quote

import typer

from schemas.words import Classifier, FacilityKind, Milestone, PartyRole, ReferenceKind, Scope, SenderKind
from services.ingest.message_files import content_type_of, parts_of
from services.runtime.verbs import OPERATOR, AsJson, Stop, aside, key_file, show, told

if TYPE_CHECKING:  # `lovla read` needs no Kafka and no HTTP client; the verbs that do import them when they run
    from schemas.dead_letter_v1 import DeadLetter
    from schemas.registers_v1 import Account, Sender
    from services.ingest.registers import Entry, Registers
    from services.ingest.replay import Report
    from services.ingest.settings import IngestSettings

M = TypeVar("M")
Wait = Annotated[float, typer.Option("--wait", help="Seconds to wait for the tracker's word; 0: do not.")]
KeyText = Annotated[str | None, typer.Option("--key", help="The key; else LOVLA_KEY, else the one kept for the carrier.")]
ActsAs = Annotated[str, typer.Option("--as", help="Whose kept key to use.")]
By = Annotated[str | None, typer.Option("--by", help="Who says so; else the user of this machine.")]
KeyScopes = Annotated[
    str | None,
    typer.Option(
        "--scope", help="push, register, backfill, alerts, operator, sandbox; several with commas; else what the kind needs."
    ),
]

_DEFAULT_SCOPES: Mapping[str, tuple[Scope, ...]] = {"buyer": ("register",), "operator": ("operator", "push", "register")}
SANDBOX_LABEL = "sandbox"
_ASK_AGAIN_S = 0.2


def _settings() -> IngestSettings:
    from services.ingest.settings import IngestSettings

    return IngestSettings.load()


def _rows(read: Callable[[str], list[M]], file: Path) -> list[M]:
    from services.ingest.tables import BadTable

    try:
        return read(file.read_text(encoding="utf-8"))
    except BadTable as error:
        raise Stop(str(error)) from error


# --- keys kept on this machine


def key_name(code: str, sandbox: bool) -> str:
    """Under which name a sender's key is kept: its sandbox key beside the one that moves things."""
    return f"{code}.sandbox" if sandbox else code


def _keep(state_dir: Path, code: str, text: str) -> Path:
    file = key_file(state_dir, code)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text + "\n")
    file.chmod(0o600)
    return file


def _key(settings: IngestSettings, given: str | None, code: str) -> str:
    told_key = given or (settings.key.get_secret_value() if settings.key else None)
    if told_key:
        return told_key
    file = key_file(settings.state_dir, code)
    if not file.exists():
        kind = " --kind operator" if code == OPERATOR else ""
        code, tries, _ = code.partition(".sandbox")
        kind = f"{kind} --sandbox" if tries else kind
        raise Stop(f"No key for {code}: give --key or LOVLA_KEY, or make one with `lovla carriers add {code}{kind}`.")
    return file.read_text().strip()


def _send(
    code: str, key: str | None, method: str, path: str, content: bytes | None, headers: Mapping[str, str] | None = None
) -> Any:
    from services.runtime.client import Client

    settings = _settings()
    with Client(f"http://{settings.api_host}:{settings.api_port}", _key(settings, key, code), note=aside) as client:
        return client.send(method, path, content, {"Content-Type": "application/json"} | dict(headers or {}))


def _send_json(
    code: str,
    key: str | None,
    path: str,
    body: object,
    by: str | None,
    *,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> Any:
    said = {"Lovla-Recorded-By": by or getpass.getuser()} | dict(headers or {})
    return _send(code, key, method, path, json.dumps(body).encode(), said)


def _show_taken(taken: Mapping[str, Any], as_json: bool) -> None:
    """The receipt and the verdicts of one request; exit code 1 if nothing was accepted."""
    if as_json:
        show([taken], (), True)
    else:
        columns = ("where", "outcome", "milestone", "consignment", "event_id", "problems", "warnings")
        used = [name for name in columns if any(verdict.get(name) for verdict in taken["verdicts"])]
        show(taken["verdicts"], used, False)
        _show_words(taken)
        typer.echo(f"receipt {taken['receipt']}: {taken['accepted']} accepted, {taken['rejected']} rejected")
    if taken["accepted"] == 0:
        raise typer.Exit(1)


def _show_words(said: Mapping[str, Any]) -> None:
    """What each code of a complaint means, and what to do about it."""
    for code, words in said.get("explained", {}).items():
        typer.echo(f"{code}: {words['means']} {words['do']}")


def _show_tried(tried: Mapping[str, Any], as_json: bool) -> None:
    """What a message would become: its statements, then each complaint in words."""
    if as_json:
        show([tried], (), True)
        return
    columns = (
        "where",
        "outcome",
        "code",
        "milestone",
        "classifier",
        "occurred_at",
        "zone",
        "place",
        "references",
        "consignment",
    )
    rows = [
        statement
        | {
            "zone": "assumed" if statement.get("zone_assumed") else None,
            "place": " ".join(str(part) for part in statement.get("place", {}).values()),
            "references": [f"{one['kind']} {one['value']};" for one in statement.get("references", ())],
        }
        for statement in tried["statements"]
    ]
    show(rows, [name for name in columns if any(row.get(name) for row in rows)], False)
    findings = [finding for statement in tried["statements"] for finding in statement["findings"]] + tried["findings"]
    if findings:
        typer.echo("")
        show(findings, ("severity", "where", "field", "code", "text", "means", "do"), False)
    answer = tried["acknowledgement"]
    typer.echo(f"\nacknowledgement: {answer.get('none') or answer['form']}")
    typer.echo(
        f"{answer.get('text', '')}{tried['accepted']} would be accepted, {tried['rejected']} rejected; nothing was taken"
    )


def _show_judged(carrier: str, key: str | None, taken: Mapping[str, Any], wait_s: float, as_json: bool) -> None:
    """What the tracker made of each command, waited for; exit code 1 if it took none."""
    verdicts = taken["verdicts"]
    until = time.monotonic() + wait_s
    while any(verdict["outcome"] == "queued" for verdict in verdicts) and time.monotonic() < until:
        time.sleep(_ASK_AGAIN_S)
        verdicts = _send(carrier, key, "GET", f"/v1/receipts/{quote(taken['receipt'])}", None)["verdicts"] or verdicts
    counts = Counter(verdict["outcome"] for verdict in verdicts)
    if as_json:
        show([{**taken, "verdicts": verdicts}], (), True)
    else:
        columns = ("where", "outcome", "consignment", "declared_version", "reason", "text", "problems", "warnings")
        show(verdicts, [name for name in columns if any(verdict.get(name) for verdict in verdicts)], False)
        typer.echo(f"receipt {taken['receipt']}: {', '.join(f'{count} {what}' for what, count in counts.items())}")
        if counts["queued"]:
            typer.echo(f"not judged yet; ask again: lovla receipts show {taken['receipt']} --as {carrier}", err=True)
    if not counts["accepted"] and not counts["queued"]:
        raise typer.Exit(1)


# --- the registers


def _registers(settings: IngestSettings) -> Registers:
    """The registers as they are now."""
    from services.ingest.registers import Registers

    registers = Registers(settings)
    registers.start()
    registers.stop()
    return registers


def _write(settings: IngestSettings, entries: Iterable[Entry]) -> None:
    from services.ingest.registers import write

    write(settings, entries)


def default_scopes(kind: SenderKind) -> tuple[Scope, ...]:
    """What a sender of this kind needs."""
    return _DEFAULT_SCOPES.get(kind, ("push",))


def scopes_of(given: str | None, kind: SenderKind, *, sandbox: bool = False) -> tuple[Scope, ...]:
    """The scopes of a new key: those given, else what its sender needs; a sandbox key's besides. Raises Stop."""
    known: tuple[Scope, ...] = get_args(Scope)
    words = {word.strip() for word in given.split(",")} if given is not None else set(default_scopes(kind))
    if strange := sorted(words - set(known)):
        raise Stop(f"{strange[0]} is no scope; known are {', '.join(known)}.")
    if sandbox or "sandbox" in words:
        words |= {"sandbox"} if words - {"sandbox"} else {"sandbox", *default_scopes(kind)}
    return tuple(scope for scope in known if scope in words)


def _check_code(code: str, kind: SenderKind) -> None:
    if kind == "buyer" and "-" in code:
        raise Stop(f"A buyer's code has no hyphen ({code}): the first one ends it in a consignment's id.")


EdiIds = Annotated[
    list[str] | None,
    typer.Option(
        "--edi-id",
        metavar="[QUALIFIER:]ID",
        help="A mailbox that its envelopes name (ISA06, UNB S002) where that is not its SCAC: ZZ:HARBORLINE; several.",
    ),
]

carriers = typer.Typer(no_args_is_help=True, help="Who may send: carriers, terminals, truckers, buyers, ...; and their keys.")
facilities = typer.Typer(no_args_is_help=True, help="Hospitals, terminals, airports, warehouses.")
load = typer.Typer(
    no_args_is_help=True, help="A first load: ticks are withheld, so that no deadline fires on half the history."
)
receipts = typer.Typer(no_args_is_help=True, help="What became of a request.")


@carriers.command("add")
@told
def carriers_add(
    code: Annotated[str, typer.Argument(help="The sender's own code, e.g. MAEU.")],
    kind: Annotated[SenderKind | None, typer.Option(help="Needed for a new sender.")] = None,
    name: str | None = None,
    scac: str | None = None,
    iata: str | None = None,
    awb_prefix: str | None = None,
    facility: Annotated[list[str] | None, typer.Option(help="Where a terminal or customs has standing; several.")] = None,
    edi_id: EdiIds = None,
    scope: KeyScopes = None,
    label: str | None = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="A key that gets the same answers and moves nothing, for `lovla push --sandbox`.")
    ] = False,
    save: Annotated[bool, typer.Option("--save/--no-save", help="Keep the key in the state folder, for `lovla push`.")] = True,
    as_json: AsJson = False,
) -> None:
    """Register a sender, or change it, and print a new key, once. At most two keys are live, and two of the sandbox."""
    from schemas.registers_v1 import Sender
    from services.ingest.registers import account_entry, sender_entry

    settings = _settings()
    registers = _registers(settings)
    given: dict[str, Any] = {
        "kind": kind,
        "name": name,
        "scac": scac,
        "iata": iata,
        "awb_prefix": awb_prefix,
        "facilities": facility,
        "edi_ids": None if edi_id is None else _edi_ids(edi_id),
    }
    new = {field: value for field, value in given.items() if value is not None}
    old = registers.senders.get(code)
    if old is None and kind is None:
        raise Stop(f"{code} is not registered; say what it is with --kind.")
    before: dict[str, Any] = {"code": code, "name": code} if old is None else old.model_dump()
    sender = Sender.model_validate(before | new)
    _check_code(code, sender.kind)
    _check_mailboxes(sender, registers.senders.values())
    scopes = scopes_of(scope, sender.kind, sandbox=sandbox)
    key, account = _new_key(sender, registers.accounts, scopes, label or (SANDBOX_LABEL if "sandbox" in scopes else None))
    _write(settings, [sender_entry(sender), account_entry(account)])
    kept = str(_keep(settings.state_dir, key_name(code, "sandbox" in scopes), key)) if save else None
    _show_key(sender, account, key, kept, as_json)


def _edi_ids(given: Sequence[str]) -> Sequence[str]:
    """As the register holds them; an empty one takes all away."""
    return [text for one in given if (text := one.strip().upper())]


def _check_mailboxes(sender: Sender, senders: Iterable[Sender]) -> None:
    """A mailbox says whose an interchange is, so it is one sender's."""
    for other in senders:
        if other.code != sender.code and (both := set(sender.edi_ids) & set(other.edi_ids)):
            raise Stop(f"{min(both)} is a mailbox of {other.code}; take it away there first: lovla carriers set {other.code}.")


@carriers.command("set")
@told
def carriers_set(code: str, edi_id: EdiIds = None, as_json: AsJson = False) -> None:
    """Change what the register says of a sender, and leave its keys alone."""
    from schemas.registers_v1 import Sender
    from services.ingest.registers import sender_entry

    settings = _settings()
    senders = _registers(settings).senders
    if (old := senders.get(code)) is None:
        raise Stop(f"{code} is not registered; add it with `lovla carriers add {code}`.")
    if edi_id is None:
        raise Stop("Say what to change: --edi-id ZZ:MAILBOX, several; --edi-id '' takes all away.")
    sender = Sender.model_validate(old.model_dump() | {"edi_ids": _edi_ids(edi_id)})
    _check_mailboxes(sender, senders.values())
    _write(settings, [sender_entry(sender)])
    show([sender.model_dump(mode="json", exclude_none=True)], ("code", "kind", "name", "scac", "iata", "edi_ids"), as_json)


def _new_key(
    sender: Sender, accounts: Mapping[str, Account], scopes: tuple[Scope, ...], label: str | None
) -> tuple[str, Account]:
    from services.ingest.keys import LIVE_KEYS, is_live, make_key

    now = datetime.now(UTC)
    live = [
        account.key_id
        for account in accounts.values()
        if account.sender == sender.code and is_live(account, now) and ("sandbox" in account.scopes) == ("sandbox" in scopes)
    ]
    if len(live) >= LIVE_KEYS:
        raise Stop(f"{sender.code} has {LIVE_KEYS} live keys; revoke one first: lovla carriers revoke {live[0]}")
    return make_key(sender.code, scopes, now, label)


def _show_key(sender: Sender, account: Account, key: str, kept: str | None, as_json: bool) -> None:
    if as_json:
        said = {"sender": sender.code, "key_id": account.key_id, "scopes": account.scopes, "key": key, "kept": kept}
        show([said], (), True)
        return
    typer.echo(f"{sender.code} ({sender.kind}), scopes {', '.join(account.scopes)}. The key is shown this once:")
    typer.echo(key)
    if kept:
        acts = sender.kind in ("buyer", "operator", "consignee")
        tries = " --sandbox" if "sandbox" in account.scopes and not acts else ""
        typer.echo(f"kept in {kept} for `lovla {'register --as' if acts else 'push --carrier'} {sender.code}{tries}`")


@carriers.command("import")
@told
def carriers_import(
    file: Path,
    keys: Annotated[bool, typer.Option("--keys", help="Make and keep a key for every sender that has none kept.")] = False,
    scope: KeyScopes = None,
    as_json: AsJson = False,
) -> None:
    """Register the senders of a CSV: code, kind, name, scac, iata, awb_prefix, facilities, edi_ids, silent_after_h, source."""
    from services.ingest.registers import account_entry, sender_entry
    from services.ingest.tables import read_senders

    settings = _settings()
    senders = _rows(read_senders, file)
    for sender in senders:
        _check_code(sender.code, sender.kind)
        _check_mailboxes(sender, senders)
    entries = [sender_entry(sender) for sender in senders]
    made: dict[str, str] = {}
    if keys:
        accounts = _registers(settings).accounts
        for sender in senders:
            if not key_file(settings.state_dir, sender.code).exists():
                key, account = _new_key(sender, accounts, scopes_of(scope, sender.kind), None)
                made[sender.code] = key
                entries.append(account_entry(account))
    _write(settings, entries)
    for code, key in made.items():
        _keep(settings.state_dir, code, key)
    rows = [{"code": s.code, "kind": s.kind, "name": s.name, "key": "made and kept" if s.code in made else ""} for s in senders]
    show(rows, ("code", "kind", "name", "key"), as_json)


@carriers.command("list")
@told
def carriers_list(as_json: AsJson = False) -> None:
    """Senders and their keys (never the secrets)."""
    from services.ingest.keys import is_live

    registers, now = _registers(_settings()), datetime.now(UTC)
    rows = []
    for sender in sorted(registers.senders.values(), key=lambda s: s.code):
        accounts = [account for account in registers.accounts.values() if account.sender == sender.code]
        keys = [
            f"{a.key_id}({','.join(a.scopes)}{'' if is_live(a, now) else '; dead'})"
            for a in sorted(accounts, key=lambda a: a.created_at)
        ]
        rows.append(sender.model_dump(mode="json", exclude_none=True) | {"keys": keys})
    show(rows, ("code", "kind", "name", "scac", "iata", "facilities", "keys"), as_json)


@carriers.command("revoke")
@told
def carriers_revoke(key: Annotated[str, typer.Argument(help="The key or its id.")], as_json: AsJson = False) -> None:
    """End a key; the door refuses it within seconds."""
    from services.ingest.keys import parse_key
    from services.ingest.registers import account_entry

    settings = _settings()
    parsed = parse_key(key)
    key_id = parsed[0] if parsed else key
    account = _registers(settings).accounts.get(key_id)
    if account is None:
        raise Stop(f"There is no key {key_id}; see `lovla carriers list`.")
    revoked = account.model_copy(update={"revoked_at": account.revoked_at or datetime.now(UTC)})
    _write(settings, [account_entry(revoked)])
    show([{"sender": revoked.sender, "key_id": key_id, "state": "revoked"}], ("sender", "key_id", "state"), as_json)


@carriers.command("rotate")
@told
def carriers_rotate(code: str, save: Annotated[bool, typer.Option("--save/--no-save")] = True, as_json: AsJson = False) -> None:
    """Print a second key with the scopes of the newest one (of the sandbox's aside). Both are live until the old is revoked."""
    from services.ingest.registers import account_entry

    settings = _settings()
    registers = _registers(settings)
    sender = registers.senders.get(code)
    own = (a for a in registers.accounts.values() if a.sender == code and "sandbox" not in a.scopes)
    accounts = sorted(own, key=lambda a: a.created_at)
    if sender is None or not accounts:
        raise Stop(f"{code} has no key; make one with `lovla carriers add {code}`.")
    key, account = _new_key(sender, registers.accounts, accounts[-1].scopes, accounts[-1].label)
    _write(settings, [account_entry(account)])
    _show_key(sender, account, key, str(_keep(settings.state_dir, code, key)) if save else None, as_json)


@carriers.command("callback")
@told
def carriers_callback(
    code: str,
    subscription_id: Annotated[str | None, typer.Option(help="The publisher's own, else one is made.")] = None,
    secret: Annotated[str | None, typer.Option(help="The publisher's own, else one is made.")] = None,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="A new secret for the callback; the one before it stays live.")
    ] = False,
    subscribed: Annotated[
        str | None, typer.Option(help="The subscription id that the publisher answered with, for the newest callback.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """A DCSA publisher's callback: its address, subscription id and secret, shown this once.

    Subscribe with the address and the secret, then tell the id that the publisher answered with --subscribed.
    """
    from schemas.registers_v1 import Secret
    from services.ingest.keys import make_callback, rotate_secret
    from services.ingest.registers import secret_entry

    settings = _settings()
    registers = _registers(settings)
    if code not in registers.senders:
        raise Stop(f"{code} is not registered; add it with `lovla carriers add {code}`.")
    secret_key = settings.secret_key.get_secret_value().encode()
    if rotate or subscribed is not None:
        kept = [s for s in registers.secrets.values() if s.sender == code and s.revoked_at is None]
        if not kept:
            raise Stop(f"{code} has no callback; make one with `lovla carriers callback {code}`.")
        newest = max(kept, key=lambda s: s.created_at)
    if subscribed is not None:
        named = Secret.model_validate(newest.model_dump() | {"subscription_id": subscribed})
        _write(settings, [secret_entry(named)])
        said = {"sender": code, "subscription_id": subscribed}
    elif rotate:
        new_secret, changed = rotate_secret(newest, secret_key, secret)
        _write(settings, [secret_entry(changed)])
        said = {"sender": code, "subscription_id": changed.subscription_id, "secret": new_secret}
    else:
        callback, record = make_callback(code, secret_key, datetime.now(UTC), subscription_id, secret)
        _write(settings, [secret_entry(record)])
        said = {"sender": code, "path": callback.path, "subscription_id": callback.subscription_id, "secret": callback.secret}
        _keep(settings.state_dir, f"{code}.dcsa", json.dumps(said))
    show([said], tuple(said), as_json)


@facilities.command("add")
@told
def facilities_add(
    code: str,
    kind: Annotated[FacilityKind, typer.Option()],
    name: Annotated[str, typer.Option()],
    zone: Annotated[str, typer.Option(help="IANA time zone.")] = "America/Los_Angeles",
    unlocode: str | None = None,
    iata: str | None = None,
    free_time_h: float | None = None,
    as_json: AsJson = False,
) -> None:
    """Register a facility, or replace it."""
    from schemas.registers_v1 import Facility
    from services.ingest.registers import facility_entry

    facility = Facility(code=code, kind=kind, name=name, zone=zone, unlocode=unlocode, iata=iata, free_time_h=free_time_h)
    _write(_settings(), [facility_entry(facility)])
    show([facility.model_dump(mode="json", exclude_none=True)], ("code", "kind", "name", "unlocode", "zone"), as_json)


@facilities.command("import")
@told
def facilities_import(file: Path, as_json: AsJson = False) -> None:
    """Register the facilities of a CSV, with the columns of the register."""
    from services.ingest.registers import facility_entry
    from services.ingest.tables import read_facilities

    found = _rows(read_facilities, file)
    _write(_settings(), [facility_entry(facility) for facility in found])
    rows = [facility.model_dump(mode="json", exclude_none=True) for facility in found]
    show(rows, ("code", "kind", "name", "unlocode", "zone"), as_json)


@facilities.command("list")
@told
def facilities_list(as_json: AsJson = False) -> None:
    """All facilities."""
    found = sorted(_registers(_settings()).facilities.values(), key=lambda facility: facility.code)
    rows = [facility.model_dump(mode="json", exclude_none=True) for facility in found]
    show(rows, ("code", "kind", "name", "unlocode", "iata", "zone", "free_time_h"), as_json)


# --- through the door


@told
def push(
    files: Annotated[list[Path], typer.Argument(help="Messages of any standard; NDJSON is cut into requests of 1,000 lines.")],
    carrier: Annotated[str, typer.Option("--carrier", help="Whose message it is.")],
    key: KeyText = None,
    received_at: Annotated[str | None, typer.Option(help="RFC 3339; needs a key of scope backfill.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what it would become, line by line; nothing is taken.")
    ] = False,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="With the carrier's sandbox key, which moves nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Push message files as a carrier would. Exit code 1 if nothing of them was accepted.

    A key that is another sender's is refused: what a key pushes counts as its owner's word.
    """
    headers = {"Lovla-Sender": carrier} | ({} if received_at is None else {"Lovla-Received-At": received_at})
    path, show_answer = ("/v1/messages?dry_run=1", _show_tried) if dry_run else ("/v1/messages", _show_taken)
    accepted = 0
    for file in files:
        kind = content_type_of(file.name)
        for part in parts_of(file.read_bytes(), kind):
            taken = _send(key_name(carrier, sandbox), key, "POST", path, part, {"Content-Type": kind} | headers)
            accepted += taken["accepted"]
            try:
                show_answer(taken, as_json)
            except typer.Exit:
                continue
    if accepted == 0:
        raise typer.Exit(1)


@told
def register_file(
    file: Annotated[Path, typer.Argument(help="JSON (one or an array) or CSV.")],
    carrier: Annotated[str, typer.Option("--as", help="The buyer, or an operator.")] = OPERATOR,
    key: KeyText = None,
    received_at: Annotated[str | None, typer.Option(help="RFC 3339; needs a key of scope backfill.")] = None,
    wait: Wait = 5.0,
    as_json: AsJson = False,
) -> None:
    """Register the consignments of a file. Rows that are wrong are named; the others are registered."""
    headers = {"Content-Type": content_type_of(file.name, "application/json")}
    if received_at is not None:
        headers["Lovla-Received-At"] = received_at
    taken = _send(carrier, key, "POST", "/v1/consignments", file.read_bytes(), headers)
    _show_judged(carrier, key, taken, wait, as_json)


@told
def amend(
    file: Annotated[Path, typer.Argument(help="JSON: the whole declaration of one consignment, as it shall be.")],
    carrier: Annotated[str, typer.Option("--as", help="The buyer, or an operator.")] = OPERATOR,
    if_match: Annotated[str, typer.Option(help="The declared_version that you saw; * for whatever it is.")] = "*",
    by: By = None,
    key: KeyText = None,
    wait: Wait = 5.0,
    as_json: AsJson = False,
) -> None:
    """Replace what was declared of a consignment."""
    try:
        body = json.loads(file.read_text(encoding="utf-8"))
        path = f"/v1/consignments/{quote(body['consignment'])}"
    except (ValueError, TypeError, KeyError) as error:
        raise Stop(f"{file} holds no declaration of one consignment; see docs/registering.md.") from error
    match = {"If-Match": if_match if if_match == "*" else f'"{if_match}"'}
    taken = _send_json(carrier, key, path, body, by, method="PUT", headers=match)
    _show_judged(carrier, key, taken, wait, as_json)


@told
def cancel(
    consignment: str,
    carrier: Annotated[str, typer.Option("--as", help="The buyer, or an operator.")] = OPERATOR,
    by: By = None,
    key: KeyText = None,
    wait: Wait = 5.0,
    as_json: AsJson = False,
) -> None:
    """Cancel a consignment: nothing more is expected of it."""
    taken = _send_json(carrier, key, f"/v1/consignments/{quote(consignment)}", {}, by, method="DELETE")
    _show_judged(carrier, key, taken, wait, as_json)


def _moment(text: str | None) -> str:
    """RFC 3339 of what a person typed; now, if nothing."""
    from schemas.base import rfc3339

    if text is None:
        return rfc3339(datetime.now(UTC).replace(microsecond=0))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Stop(f"{text} is no time; write it as 2020-04-11T09:40:00-07:00.") from error
    if moment.tzinfo is None:
        raise Stop(f"{text} has no offset; write it as 2020-04-11T09:40:00-07:00.")
    return rfc3339(moment)


def _consignment_path(consignment: str, what: str) -> str:
    return f"/v1/consignments/{quote(consignment)}/{what}"


@told
def record(
    consignment: str,
    milestone: Milestone,
    at: Annotated[str | None, typer.Option(help="When it happened, with offset; else now.")] = None,
    classifier: Classifier = "actual",
    unlocode: Annotated[str | None, typer.Option(help="Where: UN/LOCODE.")] = None,
    facility: Annotated[str | None, typer.Option(help="Where: a registered facility.")] = None,
    carrier: ActsAs = OPERATOR,
    by: By = None,
    key: KeyText = None,
    as_json: AsJson = False,
) -> None:
    """Record what someone phoned in, or a correction."""
    place = {name: value for name, value in (("unlocode", unlocode), ("facility", facility)) if value}
    event: dict[str, Any] = {
        "code": milestone,
        "milestone": milestone,
        "classifier": classifier,
        "occurred_at": _moment(at),
        "created_at": _moment(None),
        "references": [{"kind": "consignment", "value": consignment}],
    }
    if place:
        event["place"] = place
    _show_taken(_send_json(carrier, key, "/v1/events", event, by), as_json)


@told
def link(
    consignment: str,
    kind: ReferenceKind,
    value: str,
    carrier: ActsAs = OPERATOR,
    by: By = None,
    key: KeyText = None,
    wait: Wait = 5.0,
    as_json: AsJson = False,
) -> None:
    """Declare that others know the consignment by this reference."""
    body = {"command": "link", "reference": {"kind": kind, "value": value}}
    _show_judged(carrier, key, _send_json(carrier, key, _consignment_path(consignment, "actions"), body, by), wait, as_json)


@told
def unlink(
    consignment: str,
    kind: ReferenceKind,
    value: str,
    carrier: ActsAs = OPERATOR,
    by: By = None,
    key: KeyText = None,
    wait: Wait = 5.0,
    as_json: AsJson = False,
) -> None:
    """Say that this reference, declared or learned, is none of the consignment's."""
    body = {"command": "unlink", "reference": {"kind": kind, "value": value}}
    _show_judged(carrier, key, _send_json(carrier, key, _consignment_path(consignment, "actions"), body, by), wait, as_json)


@told
def appoint(
    consignment: str,
    role: PartyRole,
    party: str,
    carrier: ActsAs = OPERATOR,
    by: By = None,
    key: KeyText = None,
    wait: Wait = 5.0,
    as_json: AsJson = False,
) -> None:
    """Give a sender standing for the consignment in a role."""
    body = {"command": "appoint", "role": role, "party": party}
    _show_judged(carrier, key, _send_json(carrier, key, _consignment_path(consignment, "actions"), body, by), wait, as_json)


@told
def receive(
    consignment: str,
    lines: Annotated[list[str], typer.Argument(help="LINE=GOOD[,short=N][,damaged=N], e.g. 1=239000,short=800,damaged=200")],
    at: Annotated[str | None, typer.Option(help="When it was counted, with offset; else now.")] = None,
    more: Annotated[bool, typer.Option("--more", help="More is expected: this count is not final.")] = False,
    replaces: Annotated[
        bool, typer.Option("--replaces", help="The counts before this one were wrong; else they add up.")
    ] = False,
    carrier: ActsAs = OPERATOR,
    by: By = None,
    key: KeyText = None,
    wait: Wait = 5.0,
    as_json: AsJson = False,
) -> None:
    """The dock's count of what arrived."""
    body = {"occurred_at": _moment(at), "lines": [_count(line) for line in lines], "final": not more, "replaces": replaces}
    taken = _send_json(carrier, key, _consignment_path(consignment, "dock-receipt"), body, by)
    _show_judged(carrier, key, taken, wait, as_json)


def _count(text: str) -> dict[str, int]:
    first, *others = text.split(",")
    line, _, good = first.partition("=")
    try:
        counted = {"line": int(line), "good": int(good)}
        for other in others:
            name, _, value = other.partition("=")
            if name not in ("short", "damaged"):
                raise ValueError(name)
            counted[name] = int(value)
    except ValueError as error:
        raise Stop(f"{text} is no count; write LINE=GOOD[,short=N][,damaged=N].") from error
    return counted


@load.command("begin")
@told
def load_begin(carrier: ActsAs = OPERATOR, key: KeyText = None, as_json: AsJson = False) -> None:
    """Withhold ticks until `lovla load end`."""
    show([_send(carrier, key, "POST", "/v1/load/begin", None)], ("loading_since",), as_json)


@load.command("end")
@told
def load_end(carrier: ActsAs = OPERATOR, key: KeyText = None, as_json: AsJson = False) -> None:
    """End the load: time goes on, the gap is no outage."""
    show([_send(carrier, key, "POST", "/v1/load/end", None)], ("loading_since",), as_json)


@told
def retry(
    sender: Annotated[str, typer.Argument(help="Whose records to bring back.")],
    carrier: ActsAs = OPERATOR,
    by: By = None,
    key: KeyText = None,
    as_json: AsJson = False,
) -> None:
    """Bring back what a fault of ours put aside, and read the sender's messages again."""
    from services.ingest.records import read_letters

    retried = bring_back(sender, read_letters(_settings()), carrier, key, by)
    show([{"sender": sender, "retried": retried}], ("sender", "retried"), as_json)


def bring_back(sender: str, letters: Iterable[DeadLetter], acts_as: str, key: str | None, by: str | None) -> int:
    """End a sender's parking and append again what of these was put aside; how many records. Raises Refused."""
    from services.ingest.retrying import RETRIES_MAX, put_aside

    positions = put_aside(letters, sender)
    retried = 0
    for at in range(0, max(1, len(positions)), RETRIES_MAX):
        body = {"positions": [(p.partition, p.offset) for p in positions[at : at + RETRIES_MAX]]}
        retried += _send_json(acts_as, key, f"/v1/senders/{quote(sender)}/retry", body, by)["retried"]
    return retried


@told
def replay(
    sender: Annotated[
        list[str] | None, typer.Option("--carrier", "--sender", help="Only records of this sender; several.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Received at or after: RFC 3339, or a date (UTC).")] = None,
    until: Annotated[str | None, typer.Option(help="Received before.")] = None,
    receipt: Annotated[list[str] | None, typer.Option(help="Only this request; several.")] = None,
    standard: Annotated[str | None, typer.Option(help="Only what is of this standard: x12.315, or all of x12.")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="Only records that became dead letters.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read raw messages again by today's readers. What they read otherwise becomes revisions; nobody is alerted."""
    from services.ingest.registers import Registers
    from services.ingest.replay import Selection, moment
    from services.ingest.replay import replay as run
    from services.runtime.progress import bar
    from services.runtime.receipts import NotAReceipt, Sealer

    settings = _settings()
    sealer = Sealer(settings.secret_key.get_secret_value().encode())
    try:
        positions = frozenset(sealer.open(text) for text in receipt) if receipt else None
        times = [None if text is None else moment(text) for text in (since, until)]
    except NotAReceipt as error:
        raise Stop(f"{error} is no receipt of this deployment.") from error
    except ValueError as error:
        raise Stop(f"{error}; write times as 2020-04-11T09:40:00-07:00 or 2020-04-11.") from error
    registers = Registers(settings)
    registers.start()
    try:
        with bar() as progress:
            selection = Selection(frozenset(sender or ()), times[0], times[1], positions, standard, dead)
            report = run(settings, registers, selection, dry_run=dry_run, progress=progress)
    finally:
        registers.stop()
    _show_replay(report, dry_run, as_json)


def _show_replay(report: Report, dry_run: bool, as_json: bool) -> None:
    from services.ingest.rereading import KINDS

    order = list(KINDS)
    ordered = sorted(report.fields.items(), key=lambda one: (order.index(one[0][0]), -one[1]))
    rows = [
        {"what": kind, "field": name, "count": count, "examples": report.examples[kind, name]}
        for (kind, name), count in ordered
    ]
    if as_json:
        counts = dict(report.counts)
        show([*rows, {"records": report.records, "same": report.same, "counts": counts, "written": report.written}], (), True)
    else:
        shown = [
            {
                "what": kind,
                "field": name,
                "count": f"{count:,}",
                "means": KINDS[kind],
                "example": report.examples[kind, name][0],
            }
            for (kind, name), count in ordered
        ]
        if shown:
            show(shown, ("what", "field", "count", "means", "example"), False)
        outcome = (
            f"{report.to_write:,} would be written; nothing was." if dry_run else f"{report.written:,} records were written."
        )
        typer.echo(f"{report.records:,} raw records read again, {report.same:,} statements as they stand. {outcome}")
    if report.counts["fault"]:
        raise typer.Exit(1)


@receipts.command("show")
@told
def receipts_show(
    receipt: str,
    carrier: Annotated[str, typer.Option("--as", help="The sender whose receipt it is, or an operator.")] = OPERATOR,
    key: KeyText = None,
    as_json: AsJson = False,
) -> None:
    """Whether the request was read, and what each event or command came to."""
    found = _send(carrier, key, "GET", f"/v1/receipts/{quote(receipt)}", None)
    if as_json:
        show([found], (), True)
        return
    typer.echo(f"{found['kind']} of {found['sender']}, received {found['received_at']}: {found['state']}")
    columns = ("where", "outcome", "milestone", "consignment", "declared_version", "reason", "text", "problems", "warnings")
    show(found["verdicts"], [name for name in columns if any(v.get(name) for v in found["verdicts"])], False)
    _show_words(found)


def register(app: typer.Typer) -> None:
    """Add this service's verbs."""
    from services.ingest import read_cli
    from services.ingest.codemaps import cli as codemaps_cli

    read_cli.register(app)
    codemaps_cli.register(app)
    for verb, name in (
        (push, "push"),
        (register_file, "register"),
        (amend, "amend"),
        (cancel, "cancel"),
        (record, "record"),
        (link, "link"),
        (unlink, "unlink"),
        (appoint, "appoint"),
        (receive, "receive"),
        (retry, "retry"),
        (replay, "replay"),
    ):
        app.command(name)(verb)
    for group, name in ((carriers, "carriers"), (facilities, "facilities"), (load, "load"), (receipts, "receipts")):
        app.add_typer(group, name=name)
