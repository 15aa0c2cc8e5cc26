"""The wire: headers say what a record is, and come back as they went."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import alerts_v1, consignment_command_v1, dead_letter_v1, raw_message_v1, registers_v1, shipment_event_v1
from schemas.raw_message_v1 import RawMessage
from schemas.shipment_event_v1 import ShipmentEvent
from services.runtime import wire

AT = datetime(2020, 4, 11, 18, 2, 5, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_headers_name_the_contract_and_its_version() -> None:
    made = dict(wire.headers(ShipmentEvent, id="abc", source="readers", time=AT, traceparent=TRACE))
    assert made == {
        "ce_specversion": b"1.0",
        "ce_id": b"abc",
        "ce_source": b"/lovla/readers",
        "ce_type": b"lovla.shipment_event.v1",
        "ce_time": b"2020-04-11T18:02:05Z",
        "ce_dataschema": b"urn:lovla:schema:shipment_event.v1",
        "content-type": b"application/json",
        "traceparent": TRACE.encode(),
    }


@pytest.mark.parametrize(
    "example",
    [
        *shipment_event_v1.EXAMPLES,
        *consignment_command_v1.EXAMPLES,
        *dead_letter_v1.EXAMPLES,
        *registers_v1.EXAMPLES,
        *alerts_v1.EXAMPLES,
    ],
    ids=lambda example: type(example).__name__,
)
def test_a_value_comes_back_as_it_went_and_holds_no_null(example: ShipmentEvent) -> None:
    value = wire.dump(example)
    assert type(example).model_validate_json(value) == example
    assert b":null" not in value


def test_what_has_no_version_has_no_type() -> None:
    from schemas.base import Contract

    with pytest.raises(wire.WireError):
        wire.type_name(Contract)


@pytest.mark.parametrize("example", [e for e in raw_message_v1.EXAMPLES if isinstance(e, RawMessage)], ids=lambda e: e.kind)
def test_what_we_know_of_raw_bytes_travels_in_headers(example: RawMessage) -> None:
    assert wire.raw_meta(wire.raw_headers(example)) == example


@given(st.text(max_size=128))
def test_text_in_headers_comes_back_or_is_refused_by_the_contract(text: str) -> None:
    try:
        meta = RawMessage(
            kind="action", sender="A", sha256="ab" * 32, recorded_by=text, scopes=("push", "operator"), if_match=0
        )
    except ValueError:
        return
    assert wire.raw_meta(wire.raw_headers(meta)) == meta


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ([], "lovla-kind"),
        ([("lovla-kind", b"message"), ("lovla-sender", b"A"), ("lovla-sha256", b"short")], "lovla-sha256"),
        ([("lovla-kind", b"\xff")], "lovla-kind"),
    ],
)
def test_wrong_headers_are_named(headers: wire.Headers, named: str) -> None:
    with pytest.raises(wire.WireError, match=named):
        wire.raw_meta(headers)


@pytest.mark.parametrize(
    "value", [b"", b"garbage", b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01", TRACE.upper().encode(), b"\xff", b"x" * 9999]
)
def test_a_malformed_traceparent_is_ignored(value: bytes) -> None:
    assert wire.traceparent_of([("traceparent", value)]) is None


def test_the_next_step_of_a_trace_is_the_same_each_time() -> None:
    child = wire.child_traceparent(TRACE, "event-1")
    assert child == wire.child_traceparent(TRACE, "event-1") != wire.child_traceparent(TRACE, "event-2")
    assert wire.traceparent_of([("traceparent", (child or "").encode())]) == child
    assert (child or "").split("-")[1] == TRACE.split("-")[1]
    assert wire.child_traceparent(None, "event-1") is None
