"""Both shapes of SMS provider over the simulator's HTTP: what is sent, what each answer means, what can be asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from deploy.local.mailbox import Fault
from services.alerts.delivery_settings import DeliverySettings
from services.alerts.providers_sms import SmsProvider, TwilioShaped, VonageShaped, provider
from tests.integration.alerts.mail import Mailbox, a_mailbox

NUMBER = "+12135550100"
SINCE = datetime.now(UTC) - timedelta(seconds=5)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Mailbox]:
    with a_mailbox(tmp_path) as found:
        yield found


@pytest.fixture(params=["twilio", "vonage"])
async def sms(request: pytest.FixtureRequest, box: Mailbox) -> SmsProvider:
    told = {"kafka": "nobody", **box.settings(), "sms_provider": request.param, "sms_timeout_s": 1}
    return provider(DeliverySettings.model_validate(told))


async def test_a_text_is_taken_and_can_be_asked_for_by_our_reference(sms: SmsProvider, box: Mailbox) -> None:
    assert await sms.find(NUMBER, "late", "ab" * 16, SINCE) is None
    sent = await sms.send(NUMBER, "late", "ab" * 16, "")
    assert sent.kind == "accepted" and sent.provider_ref
    assert box.texts(NUMBER) == ["late"]
    found = await sms.find(NUMBER, "late", "ab" * 16, SINCE)
    assert found is not None and found.kind == "accepted" and found.provider_ref == sent.provider_ref
    assert await sms.find(NUMBER, "another", "cd" * 16, SINCE) is None


@pytest.mark.parametrize(
    ("how", "kind", "reason"),
    [
        ("429", "away", "throttled"),
        ("500", "unknown", "server_error"),
        ("503", "away", "provider_busy"),
        ("hang", "unknown", "timeout"),
    ],
)
async def test_what_an_answer_means(sms: SmsProvider, box: Mailbox, how: str, kind: str, reason: str) -> None:
    box.faults.add(Fault("send", how, hang_s=2))
    answer = await sms.send(NUMBER, "late", "ab" * 16, "")
    assert (answer.kind, answer.reason) == (kind, reason)
    assert box.texts(NUMBER) == []
    assert (await sms.send(NUMBER, "late", "ab" * 16, "")).kind == "accepted"


async def test_a_text_that_was_taken_though_the_answer_was_lost_is_found(sms: SmsProvider, box: Mailbox) -> None:
    box.faults.add(Fault("send", "lose", hang_s=2))
    assert (await sms.send(NUMBER, "late", "ab" * 16, "")).kind == "unknown"
    found = await sms.find(NUMBER, "late", "ab" * 16, SINCE)
    assert found is not None and found.kind == "accepted"


async def test_a_provider_that_cannot_be_asked_is_no_no(sms: SmsProvider, box: Mailbox) -> None:
    box.faults.add(Fault("find", "500"))
    answer = await sms.find(NUMBER, "late", "ab" * 16, SINCE)
    assert answer is not None and answer.kind != "accepted"


async def test_who_said_stop_to_the_provider_is_suppressed_here_too(sms: SmsProvider, box: Mailbox) -> None:
    httpx.post(f"{box.sms_url}/local/reply", json={"from": NUMBER, "text": "Stop"})
    answer = await sms.send(NUMBER, "late", "ab" * 16, "")
    assert (answer.kind, answer.reason, answer.suppress) == ("refused", "opted_out", "opted_out")


async def test_a_provider_that_is_not_there_is_away() -> None:
    for shape in (TwilioShaped, VonageShaped):
        told = DeliverySettings.model_validate({"kafka": "nobody", "sms_url": "http://127.0.0.1:9", "sms_token": "token"})
        assert (await shape(told).send(NUMBER, "late", "ab" * 16, "")).kind == "away"


async def test_a_wrong_token_is_the_providers_trouble(box: Mailbox) -> None:
    for shape in (TwilioShaped, VonageShaped):
        told = DeliverySettings.model_validate({"kafka": "nobody", **box.settings(), "sms_token": "wrong"})
        answer = await shape(told).send(NUMBER, "late", "ab" * 16, "")
        assert (answer.kind, answer.reason) == ("away", "not_authenticated")
