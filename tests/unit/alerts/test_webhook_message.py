"""Webhooks: the signature of the specification, and which addresses are nobody's business."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from services.alerts import webhook
from services.alerts.providers_webhook import Allowed, answer_of, is_public
from tests.integration.alerts.delivering import a_notification, a_subscription

HOOK = a_subscription("hook", "https://hospital.example/hook", "webhook")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_signature_is_the_specifications() -> None:
    """The example of Standard Webhooks' own reference libraries."""
    signed = webhook.signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_body_is_the_same_whenever_it_is_sent_and_the_timestamp_is_signed() -> None:
    late = a_notification(HOOK, "A-1", code="4711")
    content = webhook.body(late)
    first, second = (webhook.headers(SECRET, late, content, datetime(2026, 4, 1, 12, n, tzinfo=UTC)) for n in (0, 1))
    assert content == webhook.body(late) and b"4711" not in content
    assert first["webhook-id"] == second["webhook-id"]
    assert first["webhook-signature"] != second["webhook-signature"]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:db8::1",
    ],
)
def test_addresses_of_inner_networks_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_others_are(address: str) -> None:
    assert is_public(ip_address(address))


def test_an_allow_list_of_hosts_and_networks() -> None:
    allowed = Allowed("hooks.internal, 10.1.0.0/16")
    assert allowed.host("Hooks.Internal") and not allowed.host("other.internal")
    assert allowed.address(ip_address("10.1.2.3")) and not allowed.address(ip_address("10.2.2.3"))


@pytest.mark.parametrize(
    ("code", "kind", "suppress"),
    [
        (200, "accepted", None),
        (204, "accepted", None),
        (301, "later", None),
        (400, "later", None),
        (410, "refused", "opted_out"),
        (429, "later", None),
        (500, "later", None),
    ],
)
def test_what_a_status_means(code: int, kind: str, suppress: str | None) -> None:
    answer = answer_of(code, "", 30.0)
    assert (answer.kind, answer.suppress) == (kind, suppress)
