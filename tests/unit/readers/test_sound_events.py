"""What readers give without asking the contract is, to the byte and the type, what the contract would have given."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from schemas.shipment_event_v1 import Hold, Pieces, Place, ShipmentEvent
from schemas.words import Classifier, Milestone, Mode, ReferenceKind
from services.ingest.readers import Context, Registers, Unreadable, statements
from services.ingest.readers.draft import Bad, Draft
from tests.security import fuzz
from tests.unit.readers.helpers import context_at

NOW = datetime(2020, 4, 12, 8, 20, tzinfo=UTC)
DAMAGED = 40  # messages a reader
SOUND = datetime(2020, 4, 1, 9, 30, tzinfo=timezone(timedelta(hours=-7)))
TEXTS = st.one_of(
    st.text(max_size=140), st.sampled_from(["x" * 128, "x" * 129, "x" * 600, "\x85", "a\u202eb", "\ud800", " ", "", "4711"])
)
MOMENTS = st.sampled_from(
    [
        None,
        SOUND,
        SOUND.astimezone(UTC),
        SOUND.replace(tzinfo=None),
        datetime(1969, 12, 31, 23, tzinfo=UTC),
        datetime(2200, 1, 1, tzinfo=UTC),
    ]
)
ODD = st.fixed_dictionaries(
    {},
    optional={
        "position": TEXTS,
        "code": TEXTS,
        "source_id": TEXTS,
        "reason": TEXTS,
        "occurred_at": MOMENTS,
        "created_at": MOMENTS,
        "updated_at": MOMENTS,
        "classifier": st.sampled_from(get_args(Classifier)),
        "milestone": st.sampled_from([None, *get_args(Milestone)]),
        "mode": st.sampled_from([None, *get_args(Mode), "canoe"]),
        "retracts": st.sampled_from(["a" * 32, "b"]),
        "empty": st.booleans(),
        "transport": st.dictionaries(st.sampled_from(["vessel", "voyage", "vehicle", "imo", "scac"]), TEXTS, max_size=2),
    },
).filter(lambda odd: len(odd) <= 3)
"""What of a draft is not as in most messages."""


def assert_as_validated(event: ShipmentEvent) -> None:
    validated = ShipmentEvent.model_validate(event.model_dump())
    assert validated == event
    assert validated.model_dump_json() == event.model_dump_json()
    assert repr(validated) == repr(event)
    assert list(shape(validated)) == list(shape(event))
    assert copy.deepcopy(event) == event.model_copy() == event
    assert event.model_copy(update={"code": "another"}) != event


def shape(value: object) -> Iterator[object]:
    """The types of a record's parts, their order, and what pydantic keeps beside them."""
    yield type(value)
    if isinstance(value, BaseModel):
        yield list(value.__dict__)
        yield value.__pydantic_extra__
        yield value.__pydantic_private__
        for part in value.__dict__.values():
            yield from shape(part)
    elif isinstance(value, tuple):
        for part in value:
            yield from shape(part)


@pytest.mark.parametrize("reader", fuzz.READERS)
def test_every_event_of_sound_and_of_damaged_messages_is_as_its_contract_makes_it(reader: str) -> None:
    context = context_at("2020-04-12T08:20:00Z", fuzz.SENDER, fuzz.KnowsMappings().known(), raw_partition=1, raw_offset=7)
    messages, found = fuzz.corpus(reader), 0
    for body in (*messages, *(fuzz.damaged(3, number, messages)[0] for number in range(DAMAGED))):
        with contextlib.suppress(Unreadable):
            for verdict in statements(body, None, None, context):
                if verdict.event is not None:
                    assert_as_validated(verdict.event)
                    found += 1
    assert found > 20


@given(
    odd=ODD,
    references=st.lists(st.tuples(st.sampled_from(get_args(ReferenceKind)), TEXTS), max_size=40),
    sender=st.sampled_from(["MAEU"] * 9 + ["maeu", "x" * 40]),
)
@settings(max_examples=400, deadline=None)
def test_whatever_a_reader_drafts_is_refused_or_as_its_contract_makes_it(
    odd: dict[str, Any], references: list[tuple[ReferenceKind, str]], sender: str
) -> None:
    context = Context(sender, NOW.astimezone(timezone(timedelta(hours=2))), Registers.empty(), "ab" * 32, fence=False)
    draft = Draft(context, "lovla.1", 1, "line 3", "ARRI", mode="sea", occurred_at=SOUND, created_at=SOUND, source_id="4711")
    draft.place, draft.pieces = Place(unlocode="USLAX", name="Los Angeles"), Pieces(this=1, total=2)
    draft.hold, draft.parent = Hold(kind="customs", state="placed"), ("container", "MRSU4371639")
    for name, value in odd.items():
        setattr(draft, name, value)
    draft.refer("container", "MRSU4371639")
    for kind, text in references:
        draft.refer(kind, text)
    try:
        event = draft.finish("0123456789abcdef" * 2)
    except Bad:
        return
    assert_as_validated(event)
