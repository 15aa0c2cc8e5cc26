"""`lovla subscriptions`: who is told what. Through the alerts' door with a key, like anyone; only erasing reaches past it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote

import typer

from schemas.alerts_v1 import Channel
from schemas.words import Severity
from services.runtime.progress import bar
from services.runtime.verbs import OPERATOR, AsJson, Stop, aside, key_file, only_one, show, told

if TYPE_CHECKING:
    from services.alerts.settings import AlertsSettings

ActsAs = Annotated[str, typer.Option("--as", help="Whose kept key to use; subscriptions belong to that sender.")]
KeyText = Annotated[str | None, typer.Option("--key", help="The key; else the one kept for that sender.")]
Id = Annotated[str, typer.Argument(help="The subscription's id, as `lovla subscriptions list` shows it, or its beginning.")]
ChannelOf = Annotated[Channel | None, typer.Option("--channel", help="email, sms or webhook; else by what the address is.")]
Many = list[str] | None
LIST = "lovla subscriptions list"
_COLUMNS = ("subscription", "state", "channel", "address", "owner", "about", "digest", "confirmed_at")

subscriptions = typer.Typer(no_args_is_help=True, help="Who is told what, by email, SMS or webhook.")


def register(app: typer.Typer) -> None:
    """Add the verbs to the `lovla` command."""
    app.add_typer(subscriptions, name="subscriptions")


def channel_of(address: str, given: Channel | None = None) -> Channel:
    """By what it looks like: a URL, something with an at sign, else a phone number."""
    if given is not None:
        return given
    if "://" in address:
        return "webhook"
    return "email" if "@" in address else "sms"


@subscriptions.command("add")
@told
def add(
    address: Annotated[str, typer.Argument(help="Email address, phone number with its country (+1...), or https address.")],
    channel: ChannelOf = None,
    facility: Annotated[Many, typer.Option(help="Hospital or other facility, by code; several.")] = None,
    consignment: Annotated[Many, typer.Option(help="Several.")] = None,
    reference: Annotated[Many, typer.Option(help="Container, order, ...; several.")] = None,
    carrier: Annotated[Many, typer.Option(help="By code; several.")] = None,
    terminal: Annotated[Many, typer.Option(help="By code; several.")] = None,
    category: Annotated[Many, typer.Option(help="Goods; several.")] = None,
    tier: Annotated[list[int] | None, typer.Option(help="Priority tier; several.")] = None,
    milestone: Annotated[Many, typer.Option(help="Told when it happens; several.")] = None,
    exception: Annotated[Many, typer.Option(help="Only these problems; several.")] = None,
    minimum_severity: Annotated[Severity, typer.Option(help="minor, major or critical.")] = "minor",
    language: str = "en",
    zone: Annotated[str, typer.Option(help="IANA time zone of quiet hours and digests.")] = "America/Los_Angeles",
    quiet: Annotated[str | None, typer.Option(help="Quiet hours, HH:MM-HH:MM.")] = None,
    critical_breaks_quiet: Annotated[bool, typer.Option(help="Critical problems may wake.")] = False,
    digest: Literal["immediate", "hourly", "daily"] = "immediate",
    digest_at: Annotated[str | None, typer.Option("--at", help="When a daily digest goes out, HH:MM.")] = None,
    expires_at: Annotated[str | None, typer.Option("--expires", help="RFC 3339.")] = None,
    label: str | None = None,
    most_an_hour: Annotated[int | None, typer.Option(help="Messages; over it a digest.")] = None,
    fallback: Annotated[str | None, typer.Option(help="Subscription that is told when this channel fails.")] = None,
    escalate_to: Annotated[
        str | None, typer.Option(help="Subscription that is told when nobody acknowledges a critical one.")
    ] = None,
    escalate_after_min: Annotated[int, typer.Option(min=1, max=1_440, help="Minutes.")] = 15,
    unregistered: Annotated[
        bool, typer.Option("--unregistered", help="Also a facility, terminal or carrier that no register has yet.")
    ] = False,
    acts_as: ActsAs = OPERATOR,
    key: KeyText = None,
    as_json: AsJson = False,
) -> None:
    """Subscribe an address. It is asked to confirm, and gets nothing before it did."""
    filters = {
        "facilities": facility,
        "consignments": consignment,
        "references": reference,
        "carriers": carrier,
        "terminals": terminal,
        "categories": category,
        "tiers": tier,
        "milestones": milestone,
        "exceptions": exception,
    }
    body = {
        "channel": channel_of(address, channel),
        "address": address,
        "filters": {name: values for name, values in filters.items() if values} | {"minimum_severity": minimum_severity},
        "language": language,
        "zone": zone,
        "quiet": _hours(quiet),
        "critical_breaks_quiet": critical_breaks_quiet,
        "digest": digest,
        "digest_at": digest_at,
        "expires_at": expires_at,
        "label": label,
        "most_an_hour": most_an_hour,
        "fallback": fallback,
        "escalate_to": escalate_to,
        "escalate_after_min": escalate_after_min,
    }
    given = {name: value for name, value in body.items() if value is not None}
    made = _send(acts_as, key, "POST", f"/v1/subscriptions{'?unregistered=allow' if unregistered else ''}", given)
    _show_one(made, as_json)
    if not as_json and made.get("unregistered"):
        typer.echo(f"In no register yet, so that nothing comes of it: {', '.join(made['unregistered'])}")
    if not as_json:
        how = f"; then: lovla subscriptions confirm {made['subscription']} CODE" if made["channel"] == "sms" else ""
        typer.echo(f"The address is asked to confirm{how}. Nothing is sent before.")


@subscriptions.command("list")
@told
def list_all(
    state: Annotated[
        Literal["unconfirmed", "active", "paused", "stopped"] | None, typer.Option(help="Only those in this state.")
    ] = None,
    acts_as: ActsAs = OPERATOR,
    key: KeyText = None,
    as_json: AsJson = False,
) -> None:
    """All subscriptions; with a sender's key its own."""
    rows = _listed(acts_as, key, state)
    show([row if as_json else row | {"about": _about(row)} for row in rows], _COLUMNS, as_json)


@subscriptions.command("show")
@told
def show_one(name: Id, acts_as: ActsAs = OPERATOR, key: KeyText = None, as_json: AsJson = False) -> None:
    """One subscription, all of it."""
    _show_one(_send(acts_as, key, "GET", f"/v1/subscriptions/{_whole(acts_as, key, name)}"), as_json)


@subscriptions.command("pause")
@told
def pause(name: Id, acts_as: ActsAs = OPERATOR, key: KeyText = None, as_json: AsJson = False) -> None:
    """Nothing is sent until it is resumed."""
    _show_one(_send(acts_as, key, "POST", f"/v1/subscriptions/{_whole(acts_as, key, name)}/pause"), as_json)


@subscriptions.command("resume")
@told
def resume(name: Id, acts_as: ActsAs = OPERATOR, key: KeyText = None, as_json: AsJson = False) -> None:
    """Messages again. What its subscriber stopped, only its subscriber can resume."""
    _show_one(_send(acts_as, key, "POST", f"/v1/subscriptions/{_whole(acts_as, key, name)}/resume"), as_json)


@subscriptions.command("ask")
@told
def ask(name: Id, acts_as: ActsAs = OPERATOR, key: KeyText = None, as_json: AsJson = False) -> None:
    """Ask its address once more to confirm."""
    _show_one(_send(acts_as, key, "POST", f"/v1/subscriptions/{_whole(acts_as, key, name)}/ask"), as_json)


@subscriptions.command("confirm")
@told
def confirm(
    name: Id,
    code: Annotated[str, typer.Argument(help="The six digits of the SMS.")],
    acts_as: ActsAs = OPERATOR,
    key: KeyText = None,
    as_json: AsJson = False,
) -> None:
    """Confirm a phone number by the code that its owner read out."""
    _show_one(_send(acts_as, key, "POST", f"/v1/subscriptions/{_whole(acts_as, key, name)}/confirm", {"code": code}), as_json)


@subscriptions.command("remove")
@told
def remove(name: Id, acts_as: ActsAs = OPERATOR, key: KeyText = None) -> None:
    """Away with it. To erase an address from everywhere: `lovla subscriptions forget`."""
    whole = _whole(acts_as, key, name)
    _send(acts_as, key, "DELETE", f"/v1/subscriptions/{whole}")
    typer.echo(f"{whole} is removed.")


@subscriptions.command("forget")
@told
def forget(
    address: Annotated[str, typer.Argument(help="Email address, phone number or https address.")],
    channel: ChannelOf = None,
    within_s: Annotated[float, typer.Option("--within", min=1, help="Seconds to wait until Kafka has compacted.")] = 180.0,
    acts_as: ActsAs = OPERATOR,
    key: KeyText = None,
    as_json: AsJson = False,
) -> None:
    """Erase an address, from Kafka's files too. A keyed hash stays, so that nobody writes to it again."""
    from services.alerts.addresses import BadAddress, Hasher, normalise
    from services.alerts.erasure import NotErased, erase

    settings = _settings()
    which = channel_of(address, channel)
    try:
        written = normalise(which, address)
    except BadAddress as error:
        raise Stop(f"{error}.") from error
    gone = _send(acts_as, key, "POST", "/v1/subscriptions/forget", {"channel": which, "address": written})["forgotten"]
    try:
        with bar() as progress:
            erase(settings, Hasher(settings.secret_key.get_secret_value().encode()).of(which, written), within_s, progress)
    except (NotErased, TimeoutError) as error:
        raise Stop(str(error)) from error
    if as_json:
        show([{"forgotten": gone, "erased": True}], (), True)
    else:
        what = f"subscriptions that had it: {gone}" if gone else "no subscription had it"
        typer.echo(f"Forgotten ({what}): nothing is sent to the address from now on.")


@subscriptions.command("allow")
@told
def allow(
    address: Annotated[str, typer.Argument(help="Email address, phone number or https address.")],
    channel: ChannelOf = None,
    acts_as: ActsAs = OPERATOR,
    key: KeyText = None,
) -> None:
    """Let an address be written to again, because its owner asked for it. It has to subscribe anew."""
    body = {"channel": channel_of(address, channel), "address": address}
    was = _send(acts_as, key, "POST", "/v1/subscriptions/allow", body)["was_suppressed"]
    typer.echo("It may be written to again." if was else "It was not suppressed.")


@subscriptions.command("missed")
@told
def missed(
    name: Id,
    since: Annotated[str | None, typer.Option(help="RFC 3339; else from its beginning.")] = None,
    after: Annotated[str | None, typer.Option(help="The cursor that an earlier answer gave.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 100,
    acts_as: ActsAs = OPERATOR,
    key: KeyText = None,
    as_json: AsJson = False,
) -> None:
    """What a webhook's receiver missed: its messages as they were posted, from a time or a cursor on."""
    asked = {"since": since, "after": after, "limit": str(limit)}
    query = "&".join(f"{word}={quote(value, safe='')}" for word, value in asked.items() if value is not None)
    page = _send(acts_as, key, "GET", f"/v1/subscriptions/{_whole(acts_as, key, name)}/messages?{query}")
    if as_json:
        show([page], (), True)
        return
    rows = [{"id": one["headers"]["webhook-id"], **json.loads(one["body"])} for one in page["messages"]]
    told_rows = [{"id": row["id"], "due": row["timestamp"], "subject": row["data"]["subject"]} for row in rows]
    show(told_rows, ("id", "due", "subject"), False)
    typer.echo(f"{'There is more' if page['more'] else 'That is all'}: go on with --after {page['next']}")


def _settings() -> AlertsSettings:
    from services.alerts.settings import AlertsSettings

    return AlertsSettings.load()


def _send(code: str, key: str | None, method: str, path: str, body: object = None) -> Any:
    from services.runtime.client import Client

    settings = _settings()
    file = key_file(settings.state_dir, code)
    if key is None and not file.exists():
        more = " --kind operator" if code == OPERATOR else " --scope alerts"
        raise Stop(f"No key for {code}: give --key, or make one with `lovla carriers add {code}{more}`.")
    content = None if body is None else json.dumps(body).encode()
    address = f"http://{settings.alerts_host}:{settings.alerts_port}"
    with Client(address, key or file.read_text().strip(), note=aside) as client:
        return client.send(method, path, content, {"Content-Type": "application/json"})


def _listed(code: str, key: str | None, state: str | None = None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    asked = f"/v1/subscriptions?limit=500{f'&state={state}' if state else ''}"
    path: str | None = asked
    while path is not None:
        page = _send(code, key, "GET", path)
        rows += page["subscriptions"]
        path = f"{asked}&after={quote(page['next'])}" if "next" in page else None
    return rows


def _whole(code: str, key: str | None, begin: str) -> str:
    """The id that begins so, ready for an address. Raises Stop where there is not exactly one."""
    from services.alerts.subscriptions import ID_LENGTH

    if len(begin) >= ID_LENGTH:
        return quote(begin, safe="")
    if len(begin) < 3:
        raise Stop(f"At least three letters of the id, please; see `{LIST}`")
    mine = (row["subscription"] for row in _listed(code, key))
    return quote(only_one(begin, mine, "subscriptions", LIST), safe="")


def _hours(text: str | None) -> list[str] | None:
    if text is None:
        return None
    begin, dash, end = text.partition("-")
    if not dash:
        raise Stop("Quiet hours are written HH:MM-HH:MM.")
    return [begin.strip(), end.strip()]


def _about(row: Mapping[str, Any]) -> str:
    """Its filters in a few words."""
    chosen = [" ".join(map(str, value)) for value in row["filters"].values() if isinstance(value, list) and value]
    return "; ".join([*chosen, f"{row['filters']['minimum_severity']} or worse"])


def _show_one(row: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        show([row], (), True)
        return
    named = {name: value for name, value in row.items() if name != "filters"} | {"about": _about(row)}
    show([{"field": name, "value": value} for name, value in named.items()], ("field", "value"), False)
