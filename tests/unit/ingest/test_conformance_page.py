"""The conformance page: a message pasted or uploaded, and everything that is said of it, safe to look at."""

from __future__ import annotations

import gzip
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from schemas.registers_v1 import Facility
from services.ingest.conformance_page import HEADERS, STATEMENTS_MOST
from services.ingest.limits import KIB, Limits
from tests.stack import ROOT
from tests.unit.ingest.fakes import NOW, House
from tests.unit.ingest.test_api import DCSA_EVENT, OWN_EVENT
from tests.unit.ingest.test_dry_run import X12
from tests.unit.readers.helpers import FIXTURES

FILES = sorted(file.name for file in FIXTURES.iterdir() if not file.name.endswith(".expected.json"))
AT = "2020-04-12T08:20:05Z"


class Strict(HTMLParser):
    """Notes elements, attributes and text; every element that opens is closed."""

    VOID = frozenset({"meta", "link", "input"})

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(response: httpx.Response) -> Strict:
    """A page as a browser takes it, checked for what must never be on it."""
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    for name, value in HEADERS.items():
        assert response.headers[name] == value
    page = Strict(response.text)
    known = {
        "html",
        "head",
        "meta",
        "title",
        "link",
        "body",
        "main",
        "h1",
        "h2",
        "h3",
        "p",
        "form",
        "label",
        "textarea",
        "input",
    }
    known |= {"button", "code", "a", "section", "dl", "dt", "dd", "ol", "ul", "li", "pre", "strong"}
    assert {tag for tag, _ in page.elements} <= known
    for _, attributes in page.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        for name in ("href", "src", "action"):
            assert (attributes.get(name) or "/").startswith("/")
    return page


async def sent(
    house: House,
    message: bytes | str = b"",
    key: dict[str, str] | None = None,
    *,
    file: tuple[str, bytes] | None = None,
    **more: str,
) -> httpx.Response:
    fields: dict[str, tuple[str | None, bytes]] = {"message": (None, message.encode() if isinstance(message, str) else message)}
    if key is not None:
        more["key"] = key["Authorization"].removeprefix("Bearer ")
    fields |= {name: (None, value.encode()) for name, value in more.items()}
    if file is not None:
        fields["file"] = file
    return await house.http.post("/conformance", files=fields)


async def test_the_page_opens_without_a_key_and_without_a_script(house: House) -> None:
    page = parsed(await house.http.get("/conformance"))
    assert {a.get("name") for tag, a in page.elements if tag in ("input", "textarea")} == {
        "message",
        "file",
        "key",
        "received_at",
    }
    assert next(a for tag, a in page.elements if a.get("name") == "key")["type"] == "password"
    labelled = {a["for"] for tag, a in page.elements if tag == "label"}
    assert labelled == {a["id"] for tag, a in page.elements if tag in ("input", "textarea")}
    style = await house.http.get("/conformance.css")
    assert style.headers["content-type"].startswith("text/css")
    assert "url(" not in style.text
    assert "@import" not in style.text


async def test_a_pasted_message_is_told_statement_by_statement(house: House) -> None:
    response = await sent(house, X12, house.add("COSU", "ocean_carrier", "push"), received_at=AT)
    assert response.status_code == 200
    text = parsed(response).text
    for said in (
        "5 of 7 statements understood",
        "Read as sent byCOSU",
        "Understood: discharged",
        "Not understood",
        "B403 Shipment Status Code",
        "Time2020-03-28T21:30:00-07:00",
        "Time zoneassumed",
        "container MRSU4371639",
        "A local time without a zone: that of the place was assumed.",
        "The acknowledgement that we would send",
        "ST*997*0001",
    ):
        assert said in text, said
    assert house.log.records == []


def banner(page: Strict) -> str | None:
    """The colour of the first section, which sums up."""
    return next(attributes["class"] for tag, attributes in page.elements if tag == "section")


@pytest.mark.parametrize(
    ("code", "said", "colour"),
    [
        ("VA", "understood", "accepted"),
        ("QX", "understood, 0 of them move anything", "warned"),
    ],
)
async def test_a_code_that_nobody_knows_is_no_success(house: House, code: str, said: str, colour: str) -> None:
    house.clock.advance((datetime(2026, 11, 18, tzinfo=UTC) - NOW).total_seconds())  # the day after it
    message = (ROOT / "docs" / "examples" / "arrival.315").read_text().replace("B4***VA*", f"B4***{code}*")
    page = parsed(await sent(house, message))
    assert f"1 of 1 statements {said}Standardx12" in page.text
    assert banner(page) == colour


@pytest.mark.parametrize("message", ["", " \r\n\r\n"])
async def test_without_a_message_it_asks_for_one(house: House, message: str) -> None:
    response = await sent(house, message)
    assert response.status_code == 422
    assert "There is no messagePaste or choose a message." in parsed(response).text


@pytest.mark.parametrize("name", FILES)
async def test_every_message_of_ours_makes_a_sound_page(house: House, name: str) -> None:
    content = (FIXTURES / name).read_bytes()
    response = await sent(house, file=(name, content), received_at=AT)
    assert response.status_code == 200
    page = parsed(response)
    tried = await house.http.post("/v1/messages?dry_run=1", content=content, headers=house.add("ANY", "operator", "push"))
    assert page.text.count("Where in the message") == sum(bool(one["where"]) for one in tried.json()["statements"])
    assert "Read as sent byUNKNOWN" in page.text


async def test_a_file_counts_rather_than_what_is_pasted_and_may_be_packed(house: House) -> None:
    body = json.dumps(DCSA_EVENT).encode()
    for content in (body, gzip.compress(body)):
        text = parsed(await sent(house, "nonsense", file=("m.bin", content))).text
        assert "understood" in text
        assert "EQUIPMENT/DISC" in text
    assert "0 of 1 statements understood" in parsed(await sent(house, "nonsense", file=("", b""))).text


HOSTILE = '</textarea></pre><script>alert(1)</script><img src=x onerror="a()">\'"&<b>'


@pytest.mark.parametrize(
    "message",
    [
        HOSTILE,
        json.dumps(DCSA_EVENT | {"eventID": HOSTILE, "equipmentReference": HOSTILE, "eventClassifierCode": HOSTILE}),
        json.dumps(OWN_EVENT | {"code": HOSTILE, "milestone": HOSTILE, HOSTILE: HOSTILE}),
        json.dumps(OWN_EVENT | {"code": HOSTILE, "reason": HOSTILE, "place": {"name": HOSTILE}}),
        X12.decode().replace("SHANGHAI", HOSTILE.replace("'", "")).replace("B4***UV", f"B4***{HOSTILE}"),
        "UNB+UNOA:1+" + HOSTILE.replace("'", "") + "'UNH+1+IFTSTA:D:00B:UN'" + HOSTILE.replace("'", "") + "'",
        "\x1b[2J\u202eevil\u0000\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
    ],
    ids=["text", "dcsa", "own", "own shown", "x12", "edifact", "steering"],
)
async def test_nothing_of_a_message_becomes_a_part_of_the_page(house: House, message: str) -> None:
    response = await sent(house, message, received_at=f"{HOSTILE}")
    parsed(response)
    response = await sent(house, message)
    page = parsed(response)
    assert "<script" not in response.text
    assert "<img" not in response.text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", page.text)


async def test_the_key_never_comes_back(house: House) -> None:
    key = house.add("COSU", "ocean_carrier", "push")
    secret = key["Authorization"].removeprefix("Bearer ")
    for given in (secret, secret[:-1] + "x"):
        response = await sent(house, X12, key={"Authorization": f"Bearer {given}"})
        assert given not in response.text
    assert (response.status_code, "No valid credential" in response.text) == (401, True)
    assert "B4***UV" in response.text  # what was pasted does


async def test_a_stranger_learns_nothing_of_whom_and_what_we_know(house: House) -> None:
    place = {"code": "SECRET-YARD", "kind": "terminal", "name": "Yard", "unlocode": "USLAX", "zone": "America/Los_Angeles"}
    house.registers.facilities["SECRET-YARD"] = Facility.model_validate(place | {"smdg": "LA-APMT"})
    key = house.add("COSU", "ocean_carrier", "push")
    house.add("MAEU", "ocean_carrier", "push")
    passed_on = X12.replace(b"COSU           ", b"MAEU           ").replace(b"*COSU*", b"*MAEU*")
    assert "SECRET-YARD" in (await sent(house, X12, key, received_at=AT)).text
    assert "that is MAEU" in (await sent(house, passed_on, key, received_at=AT)).text
    for message in (X12, passed_on):
        stranger = await sent(house, message, received_at=AT)
        assert "5 of 7 statements understood" in parsed(stranger).text
        assert "SECRET-YARD" not in stranger.text


async def test_a_sandbox_key_and_a_buyers_key_will_do(house: House) -> None:
    for key in (house.add("COSU", "ocean_carrier", "push", "sandbox"), house.add("LACDHS", "buyer", "register")):
        assert (await sent(house, X12, key)).status_code == 200


async def test_strangers_share_a_small_rate_and_do_not_slow_down_others(house: House) -> None:
    key = house.add("COSU", "ocean_carrier", "push")
    limits = Limits()
    statuses = [
        (await sent(house, X12)).status_code for _ in range(int(limits.stranger_requests_s * limits.stranger_burst_s) + 1)
    ]
    assert statuses == [200] * (len(statuses) - 1) + [429]
    refused = await sent(house, X12)
    assert int(refused.headers["retry-after"]) >= 1
    parsed(refused)
    guessed = {"Authorization": f"Bearer lovla_abcdefghij12_{'x' * 43}"}
    assert (await sent(house, X12, guessed)).status_code == 429
    assert (await sent(house, X12, key)).status_code == 200
    assert (await house.http.post("/v1/messages", content=X12, headers=key)).status_code == 202
    house.clock.advance(1)
    assert (await sent(house, X12)).status_code == 200


async def test_what_is_sent_is_bounded(house: House) -> None:
    limits = Limits()
    large = json.dumps([OWN_EVENT] * 900).encode() + b" " * limits.stranger_body_bytes
    refused = await sent(house, file=("m.json", large))
    assert (refused.status_code, "Without a key" in refused.text) == (413, True)
    assert (await sent(house, file=("m.json", large), key=house.add("MAEU", "ocean_carrier", "push"))).status_code == 200
    assert (await sent(house, file=("m.json", b"x" * limits.page_body_bytes))).status_code == 413
    assert house.log.records == []


async def test_a_long_message_is_shown_in_part(house: House) -> None:
    many = json.dumps([OWN_EVENT] * (STATEMENTS_MOST + 5)).encode()
    page = parsed(await sent(house, file=("m.json", many)))
    assert page.text.count("Where in the message") == STATEMENTS_MOST
    assert "And 5 more" in page.text
    assert len((await sent(house, file=("m.json", many))).content) < 2 * 1024 * KIB


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("multipart/form-data", b"", 422),
        ("multipart/form-data; boundary=x", b"--y\r\n", 422),
        ("multipart/form-data; boundary=x", b"--x\r\nbroken", 422),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--", 422),
        (
            "multipart/form-data; boundary=x",
            b"".join(b'--x\r\nContent-Disposition: form-data; name="a%d"\r\n\r\na\r\n' % n for n in range(9)) + b"--x--",
            422,
        ),
        ("application/x-www-form-urlencoded", b"message=a", 415),
        ("application/json", b"{}", 415),
    ],
)
async def test_what_is_no_form_of_ours_is_refused_as_a_page(house: House, content_type: str, body: bytes, status: int) -> None:
    response = await house.http.post("/conformance", content=body, headers={"Content-Type": content_type})
    assert response.status_code == status
    parsed(response)


async def test_before_the_registers_are_read_the_page_says_so(house: House) -> None:
    house.registers.ready = False
    response = await sent(house, X12)
    assert (response.status_code, "retry-after" in response.headers) == (503, True)
    parsed(response)
    assert (await house.http.get("/conformance")).status_code == 200


async def test_the_page_fits_what_is_told_of_a_slow_body(tmp_path: Path) -> None:
    house = House(tmp_path, Limits(page_body_bytes=100))
    assert (await sent(house, "x" * 200)).status_code == 413
    await house.http.aclose()
