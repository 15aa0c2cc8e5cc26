"""Keys and signatures: forged, cut, another's, replayed, revoked; and that the time of a check tells nothing."""

from __future__ import annotations

import ast
import hashlib
import hmac
import json
import secrets
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.raw_message_v1 import RawMessage
from schemas.registers_v1 import Account, Sender
from schemas.shipment_event_v1 import ShipmentEvent
from schemas.topics import RAW_MESSAGES
from services.ingest import auth
from services.ingest.auth import by_key
from services.ingest.keys import make_key, rotate_secret
from services.ingest.problems import Problem
from services.ingest.readers_stage import Readers
from services.runtime.loop import Record
from services.runtime.wire import raw_headers
from tests.stack import ROOT
from tests.unit.ingest.fakes import NOW, SECRET_KEY, House
from tests.unit.ingest.test_api import DCSA_EVENT, DECLARATION, OWN_EVENT, problem, signed

BODY = json.dumps([DCSA_EVENT]).encode()
DIGEST = hmac.new(b"s3cret", BODY, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "sha256=",
        DIGEST,
        f"sha256={DIGEST[:-1]}",
        f"sha256={DIGEST[:32]}",
        f"sha256={DIGEST}00",
        f"sha256={DIGEST[:-1]}{'0' if DIGEST[-1] != '0' else '1'}",
        f"sha256={'0' * 64}",
        f"sha1={hmac.new(b's3cret', BODY, hashlib.sha1).hexdigest()}",
        f"sha512={hmac.new(b's3cret', BODY, hashlib.sha512).hexdigest()}",
        f"none={DIGEST}",
        f"sha256={hashlib.sha256(BODY).hexdigest()}",
        f"sha256={hmac.new(b'', BODY, hashlib.sha256).hexdigest()}",
        f"sha256={hmac.new(b's3cret', b'', hashlib.sha256).hexdigest()}",
        f"sha256={DIGEST}, sha256={DIGEST}",
        f"sha256={DIGEST}\u00e9",
    ],
)
async def test_a_forged_signature_is_refused_and_nothing_kept(house: House, signature: str) -> None:
    house.add("MAEU", "ocean_carrier", "push")
    path, names = house.add_callback("MAEU", "s3cret")
    good = names | signed(BODY, "s3cret")
    forged = [(name.encode(), value.encode()) for name, value in (good | {"Notification-Signature": signature}).items()]
    problem(await house.http.post(path, content=BODY, headers=forged), 401, "no-credential")
    assert house.log.records == []
    assert (await house.http.post(path, content=BODY, headers=good)).status_code == 204, "the true one is taken"


async def test_one_publishers_secret_opens_no_other_publishers_callback(house: House) -> None:
    house.add("MAEU", "ocean_carrier", "push")
    house.add("CMDU", "ocean_carrier", "push")
    mine, my_names = house.add_callback("MAEU", "mine")
    other, other_names = house.add_callback("CMDU", "others")
    for path, names, secret in (
        (other, other_names, "mine"),
        (other, my_names, "mine"),
        (mine, other_names, "mine"),
        (mine, my_names, "others"),
        (other, my_names, "others"),
    ):
        problem(await house.http.post(path, content=BODY, headers=names | signed(BODY, secret)), 401, "no-credential")
    assert house.log.records == []


async def test_a_signature_is_over_the_exact_bytes(house: House) -> None:
    house.add("MAEU", "ocean_carrier", "push")
    path, names = house.add_callback("MAEU", "s3cret")
    for changed in (BODY + b"\n", BODY.replace(b"DISC", b"LOAD"), BODY.replace(b'": ', b'":'), BODY[:-1], b""):
        response = await house.http.post(path, content=changed, headers=names | signed(BODY, "s3cret"))
        problem(response, 401, "no-credential")


async def test_a_replayed_request_says_nothing_new_and_ends_with_the_secret(house: House) -> None:
    """DCSA signs the body alone: no time, no nonce. A copy is taken and is the same event; it cannot be another's or newer."""
    house.add("MAEU", "ocean_carrier", "push")
    path, names = house.add_callback("MAEU", "s3cret")
    headers = names | signed(BODY, "s3cret")
    for _ in range(2):
        assert (await house.http.post(path, content=BODY, headers=headers)).status_code == 204
        house.clock.advance(3 * 86_400)
    first, again = (events(house, index) for index in (0, 1))
    assert [(event.event_id, event.revision) for event in first] == [(event.event_id, event.revision) for event in again]
    assert first[0].occurred_at == again[0].occurred_at
    (kept,) = house.registers.secrets.values()
    for new in ("second", "third"):  # the old secret is the older of two, then out
        _, kept = rotate_secret(kept, SECRET_KEY, new)
        house.registers.secrets[kept.secret_id] = kept
    problem(await house.http.post(path, content=BODY, headers=headers), 401, "no-credential")
    house.registers.secrets[kept.secret_id] = kept.model_copy(update={"revoked_at": house.clock.now()})
    problem(await house.http.post(path, content=BODY, headers=names | signed(BODY, "third")), 401, "no-credential")


def events(house: House, index: int) -> list[ShipmentEvent]:
    """What the readers make of the record at `index`, received when the clock said so."""
    meta, content = house.kept(index)
    received = int((NOW + timedelta(days=3 * index)).timestamp() * 1000)
    record = Record(RAW_MESSAGES.name, 0, index, received, b"", content, raw_headers(RawMessage.model_validate(meta)))
    return [ShipmentEvent.model_validate_json(output.value or b"") for output in Readers(house.registers).process([record])]


async def test_replays_count_against_the_publishers_rate(house: House) -> None:
    house.add("MAEU", "ocean_carrier", "push")
    path, names = house.add_callback("MAEU", "s3cret")
    headers = names | signed(BODY, "s3cret")
    answers = [(await house.http.post(path, content=BODY, headers=headers)).status_code for _ in range(150)]
    assert answers.count(204) <= 101, "50 a second, two seconds' worth at once"
    assert set(answers) == {204, 429}


def wrong_keys(good: str) -> list[str]:
    """Keys that are not quite `good`."""
    head, secret = good[:19], good[19:]
    return [
        good[:-1],
        good + "A",
        head + secret[::-1],
        head + secrets.token_urlsafe(32),
        f"lovla_{'a' * 12}_{secret}",
        good.upper(),
        good.replace("lovla_", "LOVLA_"),
        head,
        secret,
        f"{good} {good}",
        f"{good},",
        good[:-1] + "\u0435",
        "",
    ]


async def test_a_key_that_is_not_quite_right_opens_nothing(house: House) -> None:
    good = house.add("MAEU", "ocean_carrier", "push")["Authorization"].removeprefix("Bearer ")
    for wrong in [f"Bearer {key}" for key in wrong_keys(good)] + [good, f"Basic {good}", f"Bearer\t{good}", f"bearer: {good}"]:
        response = await house.http.post("/v1/events", json=OWN_EVENT, headers=[(b"authorization", wrong.encode())])
        problem(response, 401, "no-credential")
    for place in ({"X-Api-Key": good}, {"Cookie": f"key={good}"}):
        problem(await house.http.post("/v1/events", json=OWN_EVENT, headers=place), 401, "no-credential")
    problem(await house.http.post(f"/v1/events?key={good}", json=OWN_EVENT), 401, "no-credential")


SCOPES = ("push", "register", "backfill", "operator", "sandbox")
NEEDS: dict[tuple[str, str], set[str]] = {
    ("POST", "/v1/events"): {"push", "operator"},
    ("POST", "/v1/messages"): {"push", "operator"},
    ("POST", "/v1/consignments"): {"register", "operator"},
    ("PUT", "/v1/consignments/LACDHS-1"): {"register", "operator"},
    ("DELETE", "/v1/consignments/LACDHS-1"): {"register", "operator"},
    ("POST", "/v1/consignments/LACDHS-1/actions"): {"register", "operator"},
    ("POST", "/v1/consignments/LACDHS-1/dock-receipt"): {"register", "push", "operator"},
    ("POST", "/v1/load/begin"): {"operator"},
    ("POST", "/v1/load/end"): {"operator"},
    ("POST", "/v1/senders/LACDHS/retry"): {"operator"},
    ("POST", "/v1/acknowledgements"): {"operator"},
    ("POST", "/v1/work-acts"): {"operator"},
}


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_scope_opens_its_own_addresses_and_no_other(house: House, scope: str) -> None:
    key = house.add("LACDHS", "buyer", scope) | {"If-Match": "*"}  # type: ignore[arg-type]  # the words of Scope
    for (method, path), needed in NEEDS.items():
        refused = (await house.http.request(method, path, json=DECLARATION, headers=key)).status_code == 403
        assert refused == (scope not in needed), (method, path)
    past = key | {"Lovla-Received-At": "2020-03-01T00:00:00Z"}
    answer = await house.http.post("/v1/events", json=OWN_EVENT, headers=past)
    assert answer.status_code == 403, "only push and backfill together set the time of receipt"


def test_every_address_that_changes_something_is_in_the_table_of_scopes(house: House) -> None:
    described = house_paths(house)
    open_ones = {
        ("POST", "/v2/dcsa/{token}/events"),  # a credential of its own
        ("HEAD", "/v2/dcsa/{token}/events"),
        ("POST", "/conformance"),  # tries, and moves nothing
    }
    named = {(method, path.replace("LACDHS-1", "{consignment}").replace("LACDHS", "{sender}")) for method, path in NEEDS}
    assert {one for one in described if one[0] != "GET"} - open_ones == named


def house_paths(house: House) -> set[tuple[str, str]]:
    app = house.http._transport.app  # type: ignore[attr-defined]  # httpx's ASGI transport keeps the application there
    return {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}


def comparisons(source: str) -> list[str]:
    """Every `==` and `!=` that names something secret."""
    marks = ("secret", "signature", "digest", "seal", "token", "hash")
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq | ast.In) for op in node.ops):
            text = ast.unparse(node).lower()
            if any(mark in text for mark in marks):
                found.append(ast.unparse(node))
    return found


def test_secrets_are_compared_in_constant_time_only() -> None:
    for name in ("services/ingest/auth.py", "services/ingest/keys.py", "services/runtime/receipts.py"):
        source = (ROOT / name).read_text(encoding="utf-8")
        allowed = {"secret.subscription_id.lower() == subscription", "text not in self._decrypted"}  # neither is a secret
        assert set(comparisons(source)) - allowed == set(), name
    assert comparisons("if account.secret_sha256 == given: pass") != [], "the search itself finds one"
    assert Path(auth.__file__).read_text(encoding="utf-8").count("compare_digest") >= 3


def test_the_time_of_a_refusal_does_not_tell_how_much_of_a_key_was_right() -> None:
    """Interleaved, the medians of many rounds; a comparison that stops at the first difference, or skips the hash for an
    unknown id, differs by far more than what is allowed here."""
    key, account = make_key("MAEU", ("push",), NOW)
    senders = {"MAEU": Sender(code="MAEU", kind="ocean_carrier", name="Maersk")}
    accounts: dict[str, Account] = {account.key_id: account}
    tries = {
        "unknown id": f"Bearer lovla_{'a' * 12}_{key[19:]}",
        "wrong from the first letter": f"Bearer {key[:19]}{'-' * 43}",
        "wrong in the last letter": f"Bearer {key[:-1]}{'-' if key[-1] != '-' else '_'}",
    }

    def refuse(text: str) -> None:
        for _ in range(200):
            with pytest.raises(Problem):
                by_key(text, accounts, senders, NOW)

    times = interleaved({name: lambda text=text: refuse(text) for name, text in tries.items()}, rounds=15)  # type: ignore[misc]  # a default binds the loop's value
    middle = {name: statistics.median(found) for name, found in times.items()}
    assert max(middle.values()) < 2 * min(middle.values()), middle


def interleaved(tries: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each, taken in turns, so that a busy machine slows all alike."""
    times: dict[str, list[float]] = {name: [] for name in tries}
    for _ in range(rounds):
        for name, one in tries.items():
            began = time.process_time()
            one()
            times[name].append(time.process_time() - began)
    return times
