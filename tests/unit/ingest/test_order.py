"""Whatever is asked of a consignment, by whomever, goes into one raw partition: that of its buyer."""

from __future__ import annotations

import pytest

from tests.unit.ingest.fakes import House
from tests.unit.ingest.test_api import DECLARATION, OWN_EVENT

RECEIPT = {"occurred_at": "2020-04-12T00:00:00Z", "lines": [{"line": 1, "good": 5}]}
LINK = {"command": "link", "reference": {"kind": "booking", "value": "BK1"}}


async def test_commands_go_where_their_consignments_buyer_writes(house: House) -> None:
    buyer, dock = house.add("LACDHS", "buyer", "register"), house.add("H-HARBOR", "consignee", "push")
    operator = house.add("OPS", "operator", "operator") | {"If-Match": "*"}
    at = "/v1/consignments/LACDHS-0001"
    await house.http.post("/v1/consignments", json=[DECLARATION], headers=buyer)
    await house.http.post(f"{at}/dock-receipt", json=RECEIPT, headers=dock)
    await house.http.post(f"{at}/actions", json=LINK, headers=operator)
    await house.http.put(at, json=DECLARATION, headers=operator)
    await house.http.request("DELETE", at, headers=operator)
    await house.http.post("/v1/consignments", json=DECLARATION, headers=operator)
    rows = "consignment,category,quantity\r\nLACDHS-7,gown,5\r\n"
    await house.http.post("/v1/consignments", content=rows, headers=operator | {"Content-Type": "text/csv"})
    assert [key for _, key, _, _ in house.log.records] == [b"LACDHS"] * 7


async def test_messages_go_where_their_sender_writes(house: House) -> None:
    key = house.add("MAEU", "ocean_carrier", "push")
    await house.http.post("/v1/events", json=OWN_EVENT, headers=key)
    assert [key for _, key, _, _ in house.log.records] == [b"MAEU"]


@pytest.mark.parametrize("partition", [0, 3])
async def test_what_was_put_aside_comes_back_where_it_stood_behind_an_unparking(house: House, partition: int) -> None:
    key, operator = house.add("MAEU", "ocean_carrier", "push"), house.add("OPS", "operator", "operator")
    await house.http.post("/v1/events", json=OWN_EVENT, headers=key)
    body = {"positions": [[partition, 0]]}
    assert (await house.http.post("/v1/senders/MAEU/retry", json=body, headers=operator)).json()["retried"] == 1
    there = [value for where, _, value, _ in house.log.records[1:] if where == partition]
    assert [b"unpark" in value for value in there] == [True, False]
