"""The chain behind a message on a real ClickHouse: from the sender's bytes to the provider's receipt."""

from __future__ import annotations

from datetime import timedelta

import pytest

from schemas.alerts_v1 import Delivery, Notification
from schemas.raw_message_v1 import RawMessage
from schemas.shipment_event_v1 import EXAMPLES as EVENTS
from schemas.shipment_event_v1 import ShipmentEvent
from services.alerts import backtest
from services.alerts.explain import History, Unknown, held
from services.alerts.matching import Told
from tests.integration.console.conftest import Books, books, console_settings  # noqa: F401  fixtures
from tests.unit.alerts.build import NOW, change, subscription


def made_of(told: list[Told]) -> Notification:
    (found,) = backtest.run(told, subscription(), {}).sent
    return found


def test_a_message_leads_to_the_bytes_behind_it_and_to_the_providers_receipt(books: Books) -> None:  # noqa: F811
    example = EVENTS[0]
    assert isinstance(example, ShipmentEvent)
    event = example.model_copy(update={"raw": example.raw.model_copy(update={"partition": 1, "offset": 17})})
    found = change(exception={"evidence": (event.event_id,)})
    made = made_of([Told(found, 0, 0, NOW)])
    books.write(event, found, made, at=NOW)
    books.write_raw(RawMessage(kind="message", sender="MAEU", sha256="ab" * 32, content_type="application/json"), b"{}", 17)
    attempt = Delivery(
        notification=made.notification,
        subscription=made.subscription,
        attempt=1,
        state="intent",
        address_hash="ab" * 32,
        at=NOW,
    )
    accepted = attempt.model_copy(update={"state": "accepted", "provider": "smtp", "provider_ref": "250 queued"})
    books.write(attempt, accepted, at=NOW)
    history = History(books.client)
    assert history.notification(made.notification[:8]) == made
    links = history.chain(made)
    assert [link.what for link in links] == ["bytes", "event", "change", "message", "delivery", "delivery"]
    assert links[0].text == "MAEU sent 2 bytes of application/json"
    assert links[0].where.startswith("raw.messages.v1 1:17")
    assert links[0].where.endswith("sha256 " + "ab" * 32)
    assert links[5].text == "attempt 1: accepted"
    assert links[5].where == "smtp 250 queued"


def test_every_change_of_a_consignment_was_told_by_a_message_or_held_back_by_a_rule(books: Books) -> None:  # noqa: F811
    opened, eased = change(), change("exception_changed", 2, severity="minor", at=NOW + timedelta(hours=1))
    made = made_of([Told(opened, 0, 0, NOW)])
    books.write(opened, at=NOW)
    books.write(eased, at=NOW + timedelta(hours=1))
    books.write(change(n=3, consignment="LACDHS-2"), made, at=NOW)
    history = History(books.client)
    changes = history.changes(NOW - timedelta(days=1), "LACDHS-1")
    assert [told.change for told in changes] == [opened, eased]
    assert [told.appended_at for told in changes] == [NOW, NOW + timedelta(hours=1)]
    sent = history.notifications(made.subscription, "LACDHS-1")
    assert sent == [made]
    links = held(changes, sent, subscription(), {})
    assert [(link.what, link.where) for link in links] == [("told", made.notification), ("held", "")]
    assert links[1].text.endswith("no worse than what was told")
    assert history.notifications(made.subscription, "LACDHS-2") == []


def test_an_id_that_nobody_knows_is_said_to_be_unknown(books: Books) -> None:  # noqa: F811
    with pytest.raises(Unknown, match="no notification has that id"):
        History(books.client).notification("abcdef")
