"""Odd, deep and swollen JSON at every address that takes some; numbers that no table could hold; letters that deceive."""

from __future__ import annotations

import gzip
import json
import random
import unicodedata
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.consignment_command_v1 import QUANTITY_MOST
from schemas.raw_message_v1 import RawMessage
from schemas.shipment_event_v1 import Warning_
from schemas.topics import CONSIGNMENT_COMMANDS, SHIPMENT_EVENTS
from services.ingest.commands import read_commands
from services.ingest.readers_stage import HEADROOM_BYTES
from services.ingest.reading import read_message
from services.runtime import wire
from tests.unit.ingest.fakes import NOW, FakeRegisters, House
from tests.unit.ingest.test_api import DECLARATION, OWN_EVENT, problem, signed

RECEIPT = {"occurred_at": "2020-04-12T00:00:00Z", "lines": [{"line": 1, "good": 5}]}
LINK = {"command": "link", "reference": {"kind": "booking", "value": "BK1"}}
ADDRESSES: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "events": ("POST", "/v1/events", OWN_EVENT),
    "messages": ("POST", "/v1/messages", OWN_EVENT),
    "register": ("POST", "/v1/consignments", DECLARATION),
    "amend": ("PUT", "/v1/consignments/LACDHS-0001", DECLARATION),
    "cancel": ("DELETE", "/v1/consignments/LACDHS-0001", {"reason": "late"}),
    "dock_receipt": ("POST", "/v1/consignments/LACDHS-0001/dock-receipt", RECEIPT),
    "act": ("POST", "/v1/consignments/LACDHS-0001/actions", LINK),
    "retry": ("POST", "/v1/senders/MAEU/retry", {"positions": []}),
    "acknowledge": ("POST", "/v1/acknowledgements", {"subscription": "s" * 16}),
}
ODD = {
    "NaN": b'{"x": NaN, ',
    "Infinity": b'{"x": [-Infinity], ',
    "1e999": b'{"x": 1e999, ',
    "an integer past 64 bits": b'{"x": 9223372036854775808, ',
    "a huge integer": b'{"x": ' + b"9" * 5_000 + b", ",
    "a key twice": b'{"x": 1, "x": 2, ',
    "a key twice, once escaped": b'{"x": 1, "\\u0078": 2, ',
    "NUL": b'{"x": "\\u0000", ',
    "a raw control character": b'{"x": "\x01", ',
    "a lone surrogate": b'{"x": "\\ud800", ',
    "Latin-1": b'{"x": "\xe9", ',
    "overlong UTF-8": b'{"x": "\xc0\xaf", ',
    "33 levels": b'{"x": ' + b"[" * 33 + b"]" * 33 + b", ",
    "100,000 levels": b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b", ",
    "100,000 levels left open": b"[" * 100_000,
    "100,000 objects": b'{"x":' * 100_000,
    "a comment": b"{/* x */ ",
    "a trailing comma": b'{"x": [1,], ',
    "two values": b"{} {",
}
OWN_WORDS = {"bad_number", "duplicate_key", "bad_character", "not_json", "not_utf8", "too_deep"}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    made.add("MAEU", "ocean_carrier", "push")
    yield made
    await made.http.aclose()


@pytest.fixture
def key(house: House) -> dict[str, str]:
    return house.add("OPS", "operator", "operator", "push", "register") | {"Content-Type": "application/json", "If-Match": "*"}


async def ask(house: House, address: str, key: dict[str, str], body: bytes) -> httpx.Response:
    method, path, _ = ADDRESSES[address]
    return await house.http.request(method, path, content=body, headers=key)


@pytest.mark.parametrize("address", ADDRESSES)
async def test_what_each_address_takes_is_taken(house: House, key: dict[str, str], address: str) -> None:
    body = json.dumps(ADDRESSES[address][2]).encode()
    assert (await ask(house, address, key, body)).status_code in (200, 202)
    assert (await ask(house, address, key, b"\xef\xbb\xbf" + body)).status_code in (200, 202), "a byte order mark is no harm"


@pytest.mark.parametrize("address", ADDRESSES)
async def test_odd_json_is_refused_everywhere(house: House, key: dict[str, str], address: str) -> None:
    sound = json.dumps(ADDRESSES[address][2]).encode()
    for odd, start in ODD.items():
        is_beginning = start.endswith((b", ", b"{", b"{/* x */ "))
        house.clock.advance(1)  # within the sender's rate
        response = await ask(house, address, key, start + sound[1:] if is_beginning else start)
        if address == "messages":  # bytes of any standard are kept, and what is wrong is said
            (verdict,) = response.json()["verdicts"]
            assert verdict["outcome"] == "rejected"
            errors = verdict["problems"]
        else:
            errors = problem(response, 422, "invalid")["errors"]
            assert house.log.records == []
        assert errors[0]["code"] in OWN_WORDS, f"{odd}: refused, but for another reason"


async def test_the_same_holds_for_what_a_publisher_signs(house: House) -> None:
    path, names = house.add_callback("MAEU", "s3cret")
    for odd in ODD.values():
        response = await house.http.post(path, content=odd, headers=names | signed(odd, "s3cret"))
        assert response.status_code == 204
        receipt = await house.http.get(
            f"/v1/receipts/{response.headers['lovla-receipt']}", headers=house.add("OPS", "operator", "operator")
        )
        assert [verdict["outcome"] for verdict in receipt.json()["verdicts"]] == ["rejected"]


NUMBERS: Mapping[str, Callable[[int], dict[str, Any]]] = {
    "a quantity": lambda n: {"items": [{"line": 1, "category": "gown", "quantity": n}]},
    "a line": lambda n: {"items": [{"line": n, "category": "gown", "quantity": 1}]},
    "a packed quantity": lambda n: {
        "items": [{"line": 1, "category": "gown", "quantity": 1}],
        "packing": [{"line": 1, "unit": {"kind": "container", "value": "MRSU4371639"}, "quantity": n}],
    },
    "a tier": lambda n: {"items": [], "tier": n},
    "hours": lambda n: {"items": [], "silent_after_h": n},
}


@pytest.mark.parametrize("what", NUMBERS)
async def test_numbers_that_no_table_can_hold_are_refused(house: House, key: dict[str, str], what: str) -> None:
    for number in (-1, 2**32 * 10_000, 2**63 - 1, 2**63, 2**64):
        body = DECLARATION | NUMBERS[what](number)
        problem(await house.http.post("/v1/consignments", json=body, headers=key), 422, "invalid")


async def test_a_dock_cannot_count_what_no_table_can_hold(house: House, key: dict[str, str]) -> None:
    for field in ("line", "good", "short", "damaged"):
        body = RECEIPT | {"lines": [{"line": 1, "good": 5} | {field: QUANTITY_MOST + 1}]}
        problem(await house.http.post(ADDRESSES["dock_receipt"][1], json=body, headers=key), 422, "invalid")


WIDE = "\N{FACE WITH MEDICAL MASK}"  # four bytes of UTF-8, and a pair of escapes in JSON


def test_the_largest_command_that_can_be_declared_fits_its_topic() -> None:
    """So the door need not know that a topic refuses large records: what the contract allows is never too large."""
    unit = {"kind": "container", "value": "M" * 64}
    declaration = {
        "consignment": "LACDHS-" + "1" * 60,
        "items": [
            {
                "line": line,
                "category": "hand_sanitizer",
                "quantity": QUANTITY_MOST,
                "unit": "pallet",
                "description": WIDE * 128,
                "lot": WIDE * 20,
                "expires_on": "2020-04-11",
            }
            for line in range(9_501, 10_001)
        ],
        "packing": [{"line": 10_000, "unit": unit, "quantity": QUANTITY_MOST}] * 1_000,
        "references": [{"kind": "purchase_order", "value": "P" * 64}] * 64,
        "note": WIDE * 500,
    }
    content = json.dumps([declaration]).encode()
    meta = RawMessage(kind="registration", sender="LACDHS", scopes=("register",), sha256="ab" * 32, recorded_by=WIDE * 128)
    (row,) = read_commands(meta, content, NOW)
    assert row.command is not None, row.problems
    assert len(wire.dump(row.command)) <= CONSIGNMENT_COMMANDS.max_message_bytes - HEADROOM_BYTES


def test_the_largest_event_that_can_be_stated_fits_its_topic() -> None:
    place = {"name": WIDE * 128, "role": WIDE * 128}
    event = OWN_EVENT | {
        "id": WIDE * 128,
        "code": WIDE * 128,
        "reason": WIDE * 500,
        "place": place,
        "origin": place,
        "destination": place,
        "transport": dict.fromkeys(("vessel", "voyage", "flight", "vehicle", "next_carrier"), WIDE * 128),
        "references": [{"kind": "container", "value": f"MRSU43716{n:02}"} for n in range(32)],
    }
    meta = RawMessage(kind="message", sender="MAEU", sha256="ab" * 32, standard="lovla.1", recorded_by=WIDE * 128)
    (stated,) = read_message(meta, json.dumps(event).encode(), NOW, FakeRegisters().known()).events
    warning = Warning_(code="c" * 64, where=WIDE * 128, text=WIDE * 500)
    most = wire.dump(stated.model_copy(update={"warnings": (warning,) * 64}))
    assert len(most) <= SHIPMENT_EVENTS.max_message_bytes - HEADROOM_BYTES


DECEIVING = {
    "right-to-left override": "\u202e",
    "isolate": "\u2066",
    "zero width space": "\u200b",
    "zero width joiner": "\u200d",
    "byte order mark": "\ufeff",
    "line separator": "\u2028",
    "soft hyphen": "\u00ad",
    "tag": "\U000e0041",
}


@pytest.mark.parametrize("mark", DECEIVING)
async def test_marks_that_nobody_sees_are_no_part_of_an_id(house: House, key: dict[str, str], mark: str) -> None:
    letter = DECEIVING[mark]
    body = DECLARATION | {"consignment": f"LACDHS-00{letter}01"}
    problem(await house.http.post("/v1/consignments", json=body, headers=key), 422, "invalid")
    event = OWN_EVENT | {"references": [{"kind": "container", "value": f"MRSU{letter}4371639"}]}
    verdict = (await house.http.post("/v1/messages", json=event, headers=key)).json()["verdicts"][0]
    assert verdict["outcome"] == ("accepted" if letter.isspace() else "rejected"), (
        "a reference that looks like another's is not that other's"
    )


@pytest.mark.parametrize("letter", ["\u0410", "\uff21", "\u0391", "\u00c5", "A\u030a"])
async def test_letters_that_look_like_ascii_are_not_taken_for_it(house: House, key: dict[str, str], letter: str) -> None:
    body = DECLARATION | {"consignment": f"L{letter}CDHS-0001"}
    response = await house.http.post("/v1/consignments", json=body, headers=key)
    assert response.status_code == 422, "Cyrillic, full width, Greek or composed: an id is ASCII"


STRANGE = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=()), max_size=40)


@given(name=STRANGE, mark=st.sampled_from(sorted(DECEIVING.values())))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_names_are_composed_and_steer_nothing(name: str, mark: str) -> None:
    stated = OWN_EVENT | {
        "place": {"name": name + mark + "e\u0301"},
        "transport": {"vessel": mark + name},
        "reason": name + "\u009b31m" + mark,
    }
    meta = RawMessage(kind="message", sender="MAEU", sha256="ab" * 32, standard="lovla.1")
    read = read_message(meta, json.dumps(stated).encode(), NOW, FakeRegisters().known())
    for event in read.events:
        assert event.place is not None and event.transport is not None
        for text in (event.place.name, event.transport.vessel, event.reason):
            assert text is None or is_plain(text), ascii(text)
    for problem_ in read.problems:
        assert is_plain(problem_.text) and is_plain(problem_.where), ascii(problem_)


def is_plain(text: str) -> bool:
    """Nothing in it steers a terminal or the direction of writing, and it is composed."""
    seen = all(unicodedata.category(letter) not in ("Cc", "Cs") for letter in text)
    return seen and not set(text) & set("".join(DECEIVING.values())) and unicodedata.is_normalized("NFC", text)


async def test_a_note_is_kept_composed_and_without_what_is_not_seen(house: House, key: dict[str, str]) -> None:
    body = DECLARATION | {"note": "Jose\u0301 \u202egnik\u202c \u009bwaits"}
    who = (b"Lovla-Recorded-By", "Jose\u0301\u200b".encode())
    by = [who, *((name.encode(), value.encode()) for name, value in key.items())]
    assert (await house.http.post("/v1/consignments", json=body, headers=by)).status_code == 202
    meta = RawMessage.model_validate(house.kept()[0])
    (row,) = read_commands(meta, house.kept()[1], NOW)
    assert row.command is not None and row.command.command == "register"
    assert (row.command.declaration.note, row.command.recorded_by) == ("José gnik waits", "José")
    for steering in ("\x1b[31m", "\r", "\x00"):
        response = await house.http.post("/v1/consignments", json=DECLARATION | {"note": f"a{steering}b"}, headers=key)
        problem(response, 422, "invalid")


async def test_the_ratio_is_twenty_to_one_and_gzip_is_undone_once(house: House, key: dict[str, str]) -> None:
    headers = key | {"Content-Encoding": "gzip", "Content-Type": "application/octet-stream"}
    noise, blanks = random.Random(1).randbytes(100_000), b" " * 1_000_000
    for times, status in ((1, 202), (3, 413)):  # 1.1 MB of some 100 kB: 11 to 1; 3.1 MB: 31 to 1
        body = gzip.compress(noise + blanks * times)
        assert (await house.http.post("/v1/messages", content=body, headers=headers)).status_code == status
    twice = gzip.compress(gzip.compress(json.dumps(OWN_EVENT).encode()))
    (verdict,) = (await house.http.post("/v1/messages", content=twice, headers=headers)).json()["verdicts"]
    assert verdict["outcome"] == "rejected"
    bomb = gzip.compress(gzip.compress(b"\0" * 50_000_000))  # a bomb in a parcel: the parcel alone is opened
    (verdict,) = (await house.http.post("/v1/messages", content=bomb, headers=headers)).json()["verdicts"]
    assert verdict["outcome"] == "rejected"
