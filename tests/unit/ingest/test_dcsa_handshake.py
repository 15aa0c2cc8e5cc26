"""The DCSA subscription handshake: the callback is asked for, subscribed to, and signed for with Base64's bytes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

from schemas.registers_v1 import Secret
from services.ingest.keys import SECRET_BYTES, SECRET_LEAST_BYTES, make_secret, rotate_secret, signing_keys
from tests.unit.ingest.fakes import SECRET_KEY, House
from tests.unit.ingest.test_api import DCSA_EVENT, problem, signed

BODY = json.dumps([DCSA_EVENT]).encode()


def by_bytes(secret: str) -> dict[str, str]:
    """A signature as DCSA's own implementation makes it: the key is what the Base64 holds."""
    digest = hmac.new(base64.b64decode(secret), BODY, hashlib.sha256).hexdigest()
    return {"Notification-Signature": f"sha256={digest}", "Content-Type": "application/json"}


async def test_a_publisher_finds_the_callback_before_there_is_a_subscription(house: House) -> None:
    path, _ = house.add_callback("MAEU", make_secret())
    answer = await house.http.head(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await house.http.head("/v2/dcsa/guessed/events")).status_code == 404
    (kept,) = house.registers.secrets.values()
    house.registers.secrets[kept.secret_id] = kept.model_copy(update={"revoked_at": house.clock.now()})
    assert (await house.http.head(path)).status_code == 404
    assert house.log.records == []


async def test_the_whole_handshake(house: House) -> None:
    house.add("MAEU", "ocean_carrier", "push")
    secret = make_secret()
    assert 32 <= len(base64.b64decode(secret, validate=True)) == SECRET_BYTES <= 64  # what DCSA's publishers take
    path, _ = house.add_callback("MAEU", secret)
    assert (await house.http.head(path)).status_code == 204
    theirs = "5aa4bc6d-1de8-4a1c-9a3a-4a5c1d1b0001"  # what the publisher answers to our POST /event-subscriptions
    problem(
        await house.http.post(path, content=BODY, headers=by_bytes(secret) | {"Subscription-ID": theirs}), 401, "no-credential"
    )
    (kept,) = house.registers.secrets.values()
    house.registers.secrets[kept.secret_id] = Secret.model_validate(kept.model_dump() | {"subscription_id": theirs})
    for signature in (by_bytes(secret), signed(BODY, secret)):
        answer = await house.http.post(path, content=BODY, headers=signature | {"Subscription-ID": theirs.upper()})
        assert (answer.status_code, answer.content) == (204, b"")
    assert len(house.log.records) == 2


async def test_a_rotated_secret_signs_by_its_bytes_too(house: House) -> None:
    house.add("MAEU", "ocean_carrier", "push")
    path, names = house.add_callback("MAEU", make_secret())
    (kept,) = house.registers.secrets.values()
    new, changed = rotate_secret(kept, SECRET_KEY)
    house.registers.secrets[kept.secret_id] = changed
    assert (await house.http.post(path, content=BODY, headers=names | by_bytes(new))).status_code == 204


def test_what_a_publisher_may_sign_with() -> None:
    secret = base64.b64encode(b"k" * 32).decode()
    assert list(signing_keys(secret)) == [b"k" * 32, secret.encode()]
    assert list(signing_keys("no base64!")) == [b"no base64!"]
    short = base64.b64encode(b"k" * (SECRET_LEAST_BYTES - 1)).decode()
    assert list(signing_keys(short)) == [short.encode()]
    assert list(signing_keys("")) == [b""]
