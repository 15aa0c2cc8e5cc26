"""Registrations, amendments, cancellations, actions and dock receipts become commands, row by row."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.consignment_command_v1 import (
    AmendConsignment,
    AppointParty,
    CancelConsignment,
    LinkReference,
    ReceiveGoods,
    RegisterConsignment,
)
from schemas.raw_message_v1 import RawKind, RawMessage
from schemas.words import Scope
from services.ingest.commands import COLUMNS, ROWS_MAX, Row, command_id, owns, read_commands
from services.ingest.reading import explained, row_verdict

NOW = datetime(2020, 3, 20, 16, tzinfo=UTC)
DOCS = Path(__file__).parents[3] / "docs"
DECLARATION: dict[str, Any] = {
    "consignment": "LACDHS-0001",
    "items": [{"line": 1, "category": "n95_respirator", "quantity": 240000}],
    "parties": {"carrier": "MAEU"},
    "plan": {"arrived": "2020-04-10T06:00:00-07:00"},
    "references": [{"kind": "container", "value": "mrsu 437163-9"}],
    "packing": [{"line": 1, "unit": {"kind": "container", "value": "MRSU4371639"}, "quantity": 240000}],
}


def read(
    kind: RawKind,
    content: object,
    *,
    content_type: str = "application/json",
    consignment: str | None = None,
    scopes: tuple[Scope, ...] = ("register",),
    if_match: int | None = None,
) -> tuple[Row, ...]:
    meta = RawMessage(
        kind=kind,
        sender="LACDHS",
        scopes=scopes,
        sha256="ab" * 32,
        content_type=content_type,
        consignment=consignment,
        if_match=if_match,
    )
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return read_commands(meta, body, NOW, 2, 7)


def only(rows: tuple[Row, ...]) -> Row:
    (row,) = rows
    return row


def test_one_declaration_is_one_registration_that_leads_back_to_its_bytes() -> None:
    row = only(read("registration", DECLARATION))
    assert isinstance(row.command, RegisterConsignment)
    assert row.command.command_id == command_id(2, 7, 0)
    assert (row.command.raw.partition, row.command.raw.offset, row.command.raw.position) == (2, 7, "")
    assert row.command.received_at == NOW


def test_declared_references_are_written_as_readers_write_them() -> None:
    command = only(read("registration", DECLARATION)).command
    assert isinstance(command, RegisterConsignment)
    assert command.declaration.references[0].value == "MRSU4371639"


def test_a_bad_row_does_not_refuse_the_others_and_is_named_by_its_place() -> None:
    good, bad = read("registration", [DECLARATION, DECLARATION | {"consignment": "LACDHS-2", "tier": 9}])
    assert good.command is not None
    assert bad.command is None
    assert bad.problems[0]["where"] == "/1/tier"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"consignment": "OTHER-1"}, "/consignment"),
        ({"surprise": 1}, "/surprise"),
        ({"plan": {"arrived": "2020-04-10T06:00:00"}}, "/plan/arrived"),
        ({"items": [{"line": 1, "category": "n95_respirator", "quantity": 1}] * 2}, "/items"),
        ({"packing": [{"line": 9, "unit": {"kind": "container", "value": "X1"}, "quantity": 1}]}, "/packing"),
        ({"references": [{"kind": "container", "value": f"C{n}"} for n in range(33)]}, "/references"),
    ],
)
def test_what_is_wrong_is_named_by_a_json_pointer(change: dict[str, Any], where: str) -> None:
    row = only(read("registration", DECLARATION | change))
    assert row.command is None
    assert row.problems[0]["where"] == where


def test_what_may_be_a_typing_error_is_taken_and_told() -> None:
    items = [
        {"line": 1, "category": "n95_respirator", "quantity": 1, "description": "N95 TC-84A-12345"},
        {"line": 2, "category": "n95_respirator", "quantity": 1, "description": "N95 TC-84A-1234"},
        {"line": 3, "category": "gown", "quantity": 1},
    ]
    row = only(read("registration", DECLARATION | {"items": items, "route": {"origin": "ZZSHA", "via": ["KRPUS", "QQPUS"]}}))
    assert isinstance(row.command, RegisterConsignment)
    assert row.command.declaration.route.origin == "ZZSHA", "kept as it was sent"
    assert [(one["where"], one["code"]) for one in row.warnings] == [
        ("/items/0/description", "niosh_approval"),
        ("/route/origin", "unknown_country"),
        ("/route/via", "unknown_country"),
    ]
    verdict = row_verdict(row, "ab" * 16)
    assert verdict["warnings"] == list(row.warnings)
    assert set(explained([verdict])) == {"niosh_approval", "unknown_country"}


def test_in_a_table_such_a_doubt_has_its_row_and_column() -> None:
    table = "consignment,mode,category,quantity,description\nLACDHS-1,sea,n95_respirator,5,TC84A-1234\n"
    row = only(read("registration", table.encode(), content_type="text/csv"))
    assert row.command is not None
    assert [(one["where"], one["code"]) for one in row.warnings] == [("row 2, column description", "niosh_approval")]


def test_nobody_registers_in_another_buyers_name_but_an_operator() -> None:
    foreign = DECLARATION | {"consignment": "CEDARS-1"}
    assert only(read("registration", foreign)).problems[0]["code"] == "not_yours"
    assert only(read("registration", foreign, scopes=("operator",))).command is not None


def test_the_code_before_the_first_hyphen_owns_a_consignment() -> None:
    assert owns("LACDHS", "LACDHS-1-2")
    assert not owns("LAC", "LACDHS-1")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": 1, "a": 2}',
        b'{"a": "\\ud800"}',
        b'{"a": "\\u0000"}',
        b"[" * 40 + b"]" * 40,
    ],
)
def test_what_is_no_strict_json_is_one_bad_row(body: bytes) -> None:
    row = only(read("registration", body))
    assert row.command is None
    assert row.problems


def test_too_many_rows_are_refused_as_a_whole() -> None:
    assert only(read("registration", [{}] * (ROWS_MAX + 1))).problems[0]["code"] == "too_many_rows"


def test_an_amendment_takes_its_consignment_from_the_address() -> None:
    body = {name: value for name, value in DECLARATION.items() if name != "consignment"}
    command = only(read("amendment", body, consignment="LACDHS-0001", if_match=3)).command
    assert isinstance(command, AmendConsignment)
    assert (command.declaration.consignment, command.if_match) == ("LACDHS-0001", 3)


def test_an_amendment_that_names_another_consignment_than_its_address_is_refused() -> None:
    row = only(read("amendment", DECLARATION, consignment="LACDHS-0002"))
    assert row.problems[0]["code"] == "other_consignment"


def test_a_cancellation_needs_no_body() -> None:
    command = only(read("cancellation", b"", consignment="LACDHS-0001")).command
    assert isinstance(command, CancelConsignment)
    assert command.reason is None


def test_a_sender_cannot_set_what_the_door_sets() -> None:
    row = only(read("cancellation", {"reason": "twice", "operator": True}, consignment="LACDHS-0001"))
    assert row.problems[0] == {"where": "/operator", "code": "extra_forbidden", "text": "this field is not known here"}


def test_actions_link_and_appoint() -> None:
    link = {"command": "link", "reference": {"kind": "air_waybill", "value": "02012345675"}}
    appoint = {"command": "appoint", "role": "trucker", "party": "HBRT"}
    linked, appointed = read("action", [link, appoint], consignment="LACDHS-0001")
    assert isinstance(linked.command, LinkReference)
    assert linked.command.reference.value == "020-12345675"
    assert isinstance(appointed.command, AppointParty)


def test_an_unknown_action_is_named() -> None:
    assert only(read("action", {"command": "burn"}, consignment="LACDHS-0001")).problems[0]["code"] == "unknown_command"


def test_a_dock_counts_goods_of_a_consignment_that_is_not_its_own() -> None:
    body = {"occurred_at": "2020-03-20T10:00:00-07:00", "lines": [{"line": 1, "good": 5, "short": 1}]}
    command = only(read("dock_receipt", body, consignment="CEDARS-1", scopes=("push",))).command
    assert isinstance(command, ReceiveGoods)
    assert command.lines[0].short == 1


def test_a_count_from_the_future_is_refused() -> None:
    body = {"occurred_at": "2020-04-20T10:00:00-07:00", "lines": [{"line": 1, "good": 5}]}
    assert only(read("dock_receipt", body, consignment="LACDHS-1")).problems[0]["code"] == "outside_time"


CSV = """\
consignment,tier,category,quantity,party_carrier,plan_arrived,ref_container,packed_in,place_of_delivery
LACDHS-1,1,gown,100,MAEU,2020-04-10T06:00:00-07:00,MRSU4371639,MRSU4371639,H-HARBOR
LACDHS-1,,glove,50,,,TCLU1234568,TCLU1234568=50,
LACDHS-2,7,gown,10,,,,,
"""


def test_csv_rows_of_one_consignment_are_one_declaration() -> None:
    first, second = read("registration", CSV.encode(), content_type="text/csv; charset=utf-8")
    assert isinstance(first.command, RegisterConsignment)
    declaration = first.command.declaration
    assert [(item.line, item.category, item.quantity) for item in declaration.items] == [(1, "gown", 100), (2, "glove", 50)]
    assert {reference.value for reference in declaration.references} == {"MRSU4371639", "TCLU1234568"}
    assert [(packing.line, packing.quantity) for packing in declaration.packing] == [(1, 100), (2, 50)]
    assert declaration.route.place_of_delivery == "H-HARBOR"
    assert second.problems[0]["where"] == "row 4, column tier"


def test_csv_rows_of_one_consignment_must_not_contradict_each_other() -> None:
    row = only(read("registration", b"consignment,tier\nLACDHS-1,1\nLACDHS-1,2\n", content_type="text/csv"))
    assert row.problems[0]["where"] == "row 3, column tier"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"consignment,color\nLACDHS-1,red\n", "bad_header"),
        (b"tier\n1\n", "bad_header"),
        (b'consignment\n"LACDHS-1\n', "not_csv"),
        (b"consignment\n\xff\n", "not_utf8"),
        (b"consignment\nLACDHS-1,1,2\n", "surplus_cells"),
    ],
)
def test_a_table_that_cannot_be_read_says_where(text: bytes, code: str) -> None:
    assert only(read("registration", text, content_type="text/csv")).problems[0]["code"] == code


def test_every_column_is_known_once_and_explained() -> None:
    assert len(set(COLUMNS)) == len(COLUMNS)
    explained = set(re.findall(r"`([a-z_]+)`", (DOCS / "registering.md").read_text()))
    assert [name for name in COLUMNS if name not in explained] == []


def test_the_table_of_the_documentation_can_be_read() -> None:
    rows = read("registration", (DOCS / "examples" / "consignments.csv").read_bytes(), content_type="text/csv")
    assert [row.problems for row in rows] == [(), ()]
    assert [row.consignment for row in rows] == ["LACDHS-0002", "LACDHS-0003"]


def test_a_strange_column_is_answered_with_the_one_that_may_be_meant() -> None:
    row = only(read("registration", b"consignment,container\nLACDHS-1,MRSU4371639\n", content_type="text/csv"))
    assert row.problems[0]["text"] == "unknown column 'container', perhaps ref_container; docs/registering.md lists the columns"


def test_packed_in_may_name_the_kind_of_unit() -> None:
    text = b"consignment,category,quantity,packed_in\nLACDHS-1,gown,9,container:MRSU4371639;rail_car:TTX123456=3\n"
    command = only(read("registration", text, content_type="text/csv")).command
    assert isinstance(command, RegisterConsignment)
    assert [(one.unit.kind, one.quantity) for one in command.declaration.packing] == [("container", 9), ("rail_car", 3)]


def test_a_wrong_quantity_is_told_once() -> None:
    text = b"consignment,category,quantity,packed_in\nLACDHS-1,gown,many,MRSU4371639\n"
    assert [one["where"] for one in only(read("registration", text, content_type="text/csv")).problems] == [
        "row 2, column quantity"
    ]
