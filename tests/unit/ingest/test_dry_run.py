"""A dry run: what a message would become, line by line and in words, and nothing is written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.registers_v1 import Facility
from services.ingest.field_names import field_name
from services.ingest.limits import Limits
from services.ingest.readers.draft import FAULTS_MAX
from tests.unit.ingest.fakes import House
from tests.unit.ingest.test_api import DCSA_EVENT, OWN_EVENT, problem, signed
from tests.unit.readers.helpers import FIXTURES

X12 = (FIXTURES / "x12_315.edi").read_bytes()
EDIFACT = (FIXTURES / "edifact_iftsta.edi").read_bytes()
ADDRESS = "/v1/messages?dry_run=1"
X12_TYPE, EDIFACT_TYPE = "application/edi-x12", "application/edifact"


async def tried(house: House, content: bytes, key: dict[str, str] | None = None) -> dict[str, Any]:
    response = await house.http.post(ADDRESS, content=content, headers=key or house.add("COSU", "ocean_carrier", "push"))
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


async def test_a_dry_run_tells_each_statement_and_writes_nothing(house: House) -> None:
    said = await tried(house, json.dumps([DCSA_EVENT, {"eventType": "NOTHING"}]).encode())
    assert house.log.records == []
    assert (said["dry_run"], said["sender"], said["standard"]) == (True, "COSU", "dcsa.2.2")
    assert (said["accepted"], said["rejected"]) == (1, 1)
    first, second = said["statements"]
    assert (first["where"], first["code"], first["milestone"], first["classifier"]) == (
        "/0",
        "EQUIPMENT/DISC",
        "discharged",
        "actual",
    )
    assert (first["occurred_at"], first["zone_assumed"]) == ("2020-04-11T09:40:00-07:00", False)
    assert first["place"]["unlocode"] == "USLAX"
    assert {"kind": "container", "value": "MRSU4371639"} in first["references"]
    (finding,) = second["findings"]
    assert second["outcome"] == "rejected"
    assert (finding["severity"], finding["code"], finding["field"]) == ("problem", "bad_value", "eventType")
    assert finding["source"] == "NOTHING"


async def test_what_stands_in_a_message_that_json_wraps_is_shown_and_answered(house: House) -> None:
    alone, wrapped = await tried(house, X12), await tried(house, json.dumps([{"messageRaw": X12.decode()}]).encode())

    def findings(said: dict[str, Any]) -> list[tuple[Any, ...]]:
        every = [finding for statement in said["statements"] for finding in statement["findings"]] + said["findings"]
        return [(one["where"].removeprefix("/0/messageRaw "), one["code"], one["field"], one["source"]) for one in every]

    assert findings(wrapped) == findings(alone)
    assert [one["source"] for one in wrapped["statements"]] == [one["source"] for one in alone["statements"]]
    assert wrapped["acknowledgement"] == alone["acknowledgement"]


async def test_every_finding_names_the_standards_field_and_says_what_to_do(house: House) -> None:
    said = await tried(house, X12)
    findings = [finding for statement in said["statements"] for finding in statement["findings"]] + said["findings"]
    assert findings
    assert all(finding["means"] and finding["do"] and finding["text"] for finding in findings)
    named = {(finding["code"], finding["field"]) for finding in findings}
    assert ("zone_assumed", "DTM04 Time Code (DTM Date/Time Reference)") in named
    assert ("unmapped_code", "B403 Shipment Status Code (B4 Beginning Segment for Inquiry or Reply)") in named
    assert ("bad_count", "GE01 Number of Transaction Sets Included (GE Functional Group Trailer)") in named
    sources = {finding["source"] for finding in findings}
    assert "DTM*140*20200328*2130*LT" in sources


async def test_what_is_wrong_with_the_envelope_is_told_once_and_not_of_a_statement(house: House) -> None:
    said = await tried(house, X12)
    about_all = [(finding["where"], finding["code"]) for finding in said["findings"]]
    assert ("segment 34 (GE)", "bad_count") in about_all
    of_statements = {(f["where"], f["code"]) for statement in said["statements"] for f in statement["findings"]}
    assert of_statements.isdisjoint(about_all)


async def test_it_shows_the_acknowledgement_that_we_would_send(house: House) -> None:
    said = await tried(house, X12)
    assert said["acknowledgement"]["form"] == "997"
    assert "AK1*QO*" in said["acknowledgement"]["text"]
    said = await tried(house, EDIFACT)
    assert said["acknowledgement"]["form"] == "contrl"
    assert "UCI+" in said["acknowledgement"]["text"]
    said = await tried(house, json.dumps(DCSA_EVENT).encode())
    assert "no such acknowledgement" in said["acknowledgement"]["none"]


async def test_it_reads_with_the_registers_of_the_sender(house: House) -> None:
    place = {"code": "LA-APMT", "kind": "terminal", "name": "Pier 400", "unlocode": "USLAX", "zone": "America/Los_Angeles"}
    house.registers.facilities["LA-APMT"] = Facility.model_validate(place)
    said = await tried(house, X12)
    assert said["statements"][0]["place"]["facility"] == "LA-APMT"
    house.add("MAEU", "ocean_carrier", "push")
    other = await tried(house, X12.replace(b"COSU           ", b"MAEU           ").replace(b"*COSU*", b"*MAEU*"))
    assert {f["code"] for s in other["statements"] for f in s["findings"]} >= {"foreign_interchange"}


@pytest.mark.parametrize(
    "name", sorted(file.name for file in FIXTURES.iterdir() if not file.name.endswith(".expected.json")), ids=str
)
async def test_a_dry_run_says_the_same_as_the_push(house: House, name: str) -> None:
    key = house.add("HOUSE", "operator", "push", "register", "operator")
    content = (FIXTURES / name).read_bytes()
    said = await tried(house, content, key)
    pushed = (await house.http.post("/v1/messages", content=content, headers=key)).json()
    assert (said["accepted"], said["rejected"]) == (pushed["accepted"], pushed["rejected"])
    assert [s["where"] for s in said["statements"]] == [v["where"] for v in pushed["verdicts"]]
    assert [s.get("event_id") for s in said["statements"]] == [v.get("event_id") for v in pushed["verdicts"]]


@pytest.mark.parametrize(
    "name", sorted(file.name for file in FIXTURES.iterdir() if not file.name.endswith(".expected.json")), ids=str
)
async def test_the_answer_to_a_push_and_its_receipt_complain_in_the_words_of_the_dry_run(house: House, name: str) -> None:
    key = house.add("HOUSE", "operator", "push", "register", "operator")
    content = (FIXTURES / name).read_bytes()
    said = await tried(house, content, key)
    pushed = (await house.http.post("/v1/messages", content=content, headers=key)).json()
    receipt = (await house.http.get(f"/v1/receipts/{pushed['receipt']}", headers=key)).json()

    def complaints(answer: dict[str, Any]) -> list[tuple[Any, ...]]:
        told = [one for v in answer["verdicts"] for kind in ("problems", "warnings") for one in v.get(kind, ())]
        told += answer.get("warnings", [])
        words = answer.get("explained", {})
        return sorted({(o["where"], o["code"], o["text"], *words[o["code"]].values()) for o in told})

    findings = [finding for statement in said["statements"] for finding in statement["findings"]] + said["findings"]
    assert complaints(pushed) == sorted({tuple(f[n] for n in ("where", "code", "text", "means", "do")) for f in findings})
    assert complaints(receipt) == complaints(pushed)
    fields = {(finding["where"], finding["code"]): finding.get("field") for finding in findings}
    for verdict in pushed["verdicts"]:
        for one in (*verdict.get("problems", ()), *verdict.get("warnings", ())):
            assert one.get("field") in (fields[one["where"], one["code"]], None)


WRONG = {
    "a 315 of which nothing is right": (
        b"ISA*00*          *00*          *ZZ*COSU           *ZZ*LOVLA          *200330*0905*U*00401*000000091*0*P*>~"
        b"GS*QO*COSU*LOVLA*20200330*0905*91*X*004010~ST*315*0001~B4***XX*20203045*2561**!!*12~Q2*1234567****0***9*12W~"
        b"R4*D*UN*USLAX~DTM*139*20209901*1200~SE*9*0002~GE*1*91~IEA*1*000000091~",
        [
            ("bad_time", "B404 Date"),
            ("bad_time", "B405 Status Time"),
            ("bad_time", "DTM02 Date"),
            ("no_linking_reference", "B4 Beginning Segment for Inquiry or Reply"),
            ("unmapped_code", "B403 Shipment Status Code"),
            ("bad_count", "SE01 Number of Included Segments"),
            ("bad_control_number", "SE02 Transaction Set Control Number"),
        ],
    ),
    "a 315 without a code": (
        b"ISA*00*          *00*          *ZZ*COSU           *ZZ*LOVLA          *200330*0905*U*00401*000000091*0*P*>~"
        b"GS*QO*COSU*LOVLA*20200330*0905*91*X*004010~ST*315*0001~B4******~N9*BM*~SE*4*0001~GE*1*91~IEA*1*000000091~",
        [("missing_code", "B403 Shipment Status Code"), ("no_time", "B404 Date"), ("no_linking_reference", "B4 ")],
    ),
    "a 214": (
        b"ISA*00*          *00*          *ZZ*COSU           *ZZ*LOVLA          *200330*0905*U*00401*000000091*0*P*>~"
        b"GS*QM*COSU*LOVLA*20200330*0905*91*X*004010~ST*214*0001~B10***COSU~LX*1~AT7*****2020*7777~SE*5*0001~GE*1*91~"
        b"IEA*1*000000091~",
        [
            ("missing_code", "AT701 Shipment Status Code"),
            ("bad_time", "AT705 Date"),
            ("bad_time", "AT706 Time"),
            ("no_linking_reference", "AT7 Shipment Status Details"),
        ],
    ),
    "a 322": (
        b"ISA*00*          *00*          *ZZ*COSU           *ZZ*LOVLA          *200330*0905*U*00401*000000091*0*P*>~"
        b"GS*SO*COSU*LOVLA*20200330*0905*91*X*004010~ST*322*0001~Q5**2020**LT~N7*~SE*4*0001~GE*1*91~IEA*1*000000091~",
        [("missing_code", "Q501 Shipment Status Code"), ("bad_time", "Q502 Date"), ("no_linking_reference", "N7 ")],
    ),
    "an 856": (
        b"ISA*00*          *00*          *ZZ*COSU           *ZZ*LOVLA          *200330*0905*U*00401*000000091*0*P*>~"
        b"GS*SH*COSU*LOVLA*20200330*0905*91*X*004010~ST*856*0001~BSN*99~SE*3*0001~GE*1*91~IEA*1*000000091~",
        [("unknown_purpose", "BSN01 Transaction Set Purpose Code"), ("missing_code", "BSN02 Shipment Identification")],
    ),
    "an IFTSTA": (
        b"UNB+UNOA:2+COSU+LOVLA+200330:0905+91'UNH+1+IFTSTA:D:00B:UN'BGM+77+1+9'CNI+1'STS+1'DTM+334:2020:203'"
        b"EQD+CN+NOPE'UNT+7+1'UNZ+1+91'",
        [("missing_code", "STS, element 2"), ("bad_time", "DTM, element 1"), ("no_linking_reference", "STS Status")],
    ),
    "a COARRI": (
        b"UNB+UNOA:2+COSU+LOVLA+200330:0905+91'UNH+1+COARRI:D:95B:UN'BGM+44+1+9'EQD+CN+NOPE+45G1:102:5++3+5'"
        b"LOC+11+Nowhere:139:6'UNT+5+1'UNZ+1+91'",
        [("no_time", "EQD Equipment details"), ("no_linking_reference", "EQD Equipment details"), ("bad_unlocode", "LOC, ")],
    ),
    "a CODECO without anything": (
        b"UNB+UNOA:2+COSU+LOVLA+200330:0905+91'UNH+1+CODECO:D:95B:UN'UNT+2+1'UNZ+1+91'",
        [("missing_segment", "UNH Message header"), ("no_container", "UNH Message header")],
    ),
    "a DCSA event": (
        b'[{"eventType": "EQUIPMENT", "eventClassifierCode": "MAYBE", "eventDateTime": "soon"}]',
        [
            ("bad_value", "eventClassifierCode"),
            ("missing_field", "equipmentEventTypeCode"),
            ("bad_time", "eventDateTime"),
            ("no_linking_reference", "equipmentReference"),
        ],
    ),
    "an EPCIS event": (
        b'{"type": "ObjectEvent", "action": "OBSERVE", "eventTime": "soon", "epcList": [], "bizStep": "receiving"}',
        [("bad_time", "eventTime"), ("no_linking_reference", "epcList")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
async def test_all_that_is_wrong_with_a_statement_is_told_at_once(house: House, name: str) -> None:
    message, wrong = WRONG[name]
    said = await tried(house, message)
    (statement,) = said["statements"]
    assert statement["outcome"] == "rejected"
    told = [(finding["code"], finding["field"] or "") for finding in statement["findings"]]
    for code, field in wrong:
        assert any(said == code and named.startswith(field) for said, named in told), f"{code} {field}: {told}"
    assert all(finding["text"] and finding["means"] and finding["do"] for finding in statement["findings"])


async def test_nothing_of_a_refused_statement_is_said_to_be_kept(house: House) -> None:
    message, _ = WRONG["a 315 of which nothing is right"]
    (statement,) = (await tried(house, message))["statements"]
    (unmapped,) = [one for one in statement["findings"] if one["code"] == "unmapped_code"]
    assert unmapped["text"] == "the code XX is in no map; were it read, it would move nothing"
    kept = [one for one in (await tried(house, X12))["statements"] if one["outcome"] == "unmapped"]
    assert kept
    for statement in kept:
        (unmapped,) = [one for one in statement["findings"] if one["code"] == "unmapped_code"]
        assert unmapped["text"].endswith(" is in no map; the event is kept and moves nothing")


async def test_what_is_told_of_one_statement_is_bounded(house: House) -> None:
    head, tail = WRONG["a 315 of which nothing is right"][0].split(b"R4*D")
    ports = b"".join(b"R4*D*UN*US%03d~DTM*139*20209901*12%02d~" % (number, number) for number in range(60))
    said = await tried(house, head + ports + b"R4*D" + tail)
    (statement,) = said["statements"]
    assert sum(finding["severity"] == "problem" for finding in statement["findings"]) == FAULTS_MAX


async def test_what_cannot_be_read_at_all_is_told_in_words(house: House) -> None:
    said = await tried(house, b"%PDF-1.4 bill of lading")
    (statement,) = said["statements"]
    assert (said["standard"], statement["outcome"]) == (None, "rejected")
    assert statement["findings"][0]["code"] == "unsupported_standard"
    said = await tried(house, b"ISA*00*no")
    assert said["standard"] == "x12"
    assert said["statements"][0]["findings"][0]["means"]


async def test_a_gzip_body_is_shown_as_what_is_in_it(house: House) -> None:
    key = house.add("COSU", "ocean_carrier", "push") | {"Content-Encoding": "gzip"}
    said = await tried(house, gzip.compress(X12), key)
    assert said["statements"][0]["source"].startswith("B4*")
    said = await tried(house, b"no gzip", key)
    assert said["statements"][0]["findings"][0]["code"] == "bad_gzip"


async def test_our_own_events_can_be_tried_at_their_address(house: House) -> None:
    key = house.add("MAEU", "ocean_carrier", "push")
    response = await house.http.post("/v1/events?dry_run=true", json=[OWN_EVENT, {"code": "x"}], headers=key)
    assert (response.json()["accepted"], response.json()["rejected"]) == (1, 1)
    assert house.log.records == []


async def test_what_was_meant_to_be_tried_is_never_sent_for_good(house: House) -> None:
    key = house.add("MAEU", "buyer", "push", "register")
    for value in ("yes", "", "2", "TRUE"):
        answer = await house.http.post(f"/v1/messages?dry_run={value}", content=X12, headers=key)
        problem(answer, 400, "bad-parameter")
    path, names = house.add_callback("MAEU", "s3cret")
    body = json.dumps([DCSA_EVENT]).encode()
    problem(
        await house.http.post(f"{path}?dry_run=1", content=body, headers=names | signed(body, "s3cret")), 400, "bad-parameter"
    )
    declaration = {"consignment": "MAEU-1", "items": [{"line": 1, "category": "gown", "quantity": 5}]}
    problem(await house.http.post("/v1/consignments?dry_run=1", json=declaration, headers=key), 400, "bad-parameter")
    problem(await house.http.delete("/v1/consignments/MAEU-1?dry_run=1", headers=key), 400, "bad-parameter")
    assert house.log.records == []
    assert (await house.http.post("/v1/messages?dry_run=0", content=X12, headers=key)).status_code == 202


async def test_a_dry_run_needs_a_key_that_may_push(house: House) -> None:
    problem(await house.http.post(ADDRESS, content=X12), 401, "no-credential")
    buyer = house.add("LACDHS", "buyer", "register")
    problem(await house.http.post(ADDRESS, content=X12, headers=buyer), 403, "no-scope")


async def test_limits_are_refused_as_they_would_be(tmp_path: Path) -> None:
    house = House(tmp_path, Limits(body_bytes=100))
    key = house.add("MAEU", "ocean_carrier", "push")
    problem(await house.http.post(ADDRESS, content=b"x" * 101, headers=key), 413, "too-large")
    await house.http.aclose()
    house = House(tmp_path)
    key = house.add("MAEU", "ocean_carrier", "push")
    many = json.dumps([OWN_EVENT] * 1_001).encode()
    problem(await house.http.post(ADDRESS, content=many, headers=key), 422, "too-many-events")
    await house.http.aclose()


async def test_trying_does_not_use_up_the_live_feeds_rate(tmp_path: Path) -> None:
    for limits in (Limits(events_s=1, burst_s=1), Limits(requests_s=1, burst_s=1)):
        house = House(tmp_path, limits)
        key = house.add("COSU", "ocean_carrier", "push")
        assert (await house.http.post(ADDRESS, content=X12, headers=key)).status_code == 200
        assert (await house.http.post(ADDRESS, content=X12, headers=key)).status_code == 429
        assert (await house.http.post("/v1/messages", content=X12, headers=key)).status_code == 202
        await house.http.aclose()


# --- acknowledgements in the answer


async def acknowledged(house: House, accept: str, content: bytes = X12, address: str = "/v1/messages") -> httpx.Response:
    return await house.http.post(
        address, content=content, headers=house.add("COSU", "ocean_carrier", "push") | {"Accept": accept}
    )


@pytest.mark.parametrize(
    ("accept", "content", "begins", "media_type"),
    [
        (X12_TYPE, X12, "ISA*", X12_TYPE),
        (f"{X12_TYPE}; form=999", X12, "ISA*", X12_TYPE),
        (EDIFACT_TYPE, EDIFACT, "UNB+", EDIFACT_TYPE),
        (f"{X12_TYPE}, {EDIFACT_TYPE}", EDIFACT, "UNB+", EDIFACT_TYPE),
        (f"application/json;q=0.5, {X12_TYPE}", X12, "ISA*", X12_TYPE),
    ],
)
async def test_an_acknowledgement_is_answered_where_it_is_asked_for(
    house: House, accept: str, content: bytes, begins: str, media_type: str
) -> None:
    response = await acknowledged(house, accept, content)
    assert response.status_code == 202, response.text
    assert response.headers["content-type"] == media_type
    assert response.text.startswith(begins)
    assert ("ST*999*" in response.text) == ("999" in accept)
    receipt = response.headers["lovla-receipt"]
    assert response.headers["location"] == f"/v1/receipts/{receipt}"
    found = await house.http.get(f"/v1/receipts/{receipt}", headers=house.add("COSU", "ocean_carrier", "push"))
    assert found.json()["kind"] == "message"


@pytest.mark.parametrize(
    ("accept", "content"),
    [
        ("*/*", X12),
        ("application/json", X12),
        (f"application/json, {X12_TYPE};q=0.5", X12),
        (f"{X12_TYPE};q=0", X12),
        (f"{X12_TYPE};q=x", X12),
        (EDIFACT_TYPE, X12),
        (X12_TYPE, EDIFACT),
        (X12_TYPE, json.dumps(DCSA_EVENT).encode()),
        (X12_TYPE, b"nothing that is known"),
    ],
)
async def test_a_message_is_taken_and_answered_in_json_where_no_such_acknowledgement_fits(
    house: House, accept: str, content: bytes
) -> None:
    response = await acknowledged(house, accept, content)
    assert response.status_code == 202
    assert response.json()["receipt"] == response.headers["lovla-receipt"]
    assert len(house.log.records) == 1


async def test_a_form_that_does_not_exist_is_refused_before_anything_is_taken(house: House) -> None:
    problem(await acknowledged(house, f"{X12_TYPE}; form=998"), 400, "bad-header")
    assert house.log.records == []


async def test_each_record_is_acknowledged_under_a_number_of_its_own(house: House) -> None:
    numbers = [(await acknowledged(house, X12_TYPE)).text.split("*")[13] for _ in range(3)]
    assert len(set(numbers)) == 3


async def test_a_dry_run_answers_with_the_acknowledgement_alone_on_request(house: House) -> None:
    response = await acknowledged(house, X12_TYPE, X12, ADDRESS)
    assert (response.status_code, response.headers["content-type"]) == (200, X12_TYPE)
    assert response.text.startswith("ISA*")
    assert house.log.records == []


# --- names of fields


@pytest.mark.parametrize(
    ("standard", "where", "code", "text", "source", "name"),
    [
        (
            "x12.315",
            "segment 4 (B4)",
            "unmapped_code",
            "",
            "",
            "B403 Shipment Status Code (B4 Beginning Segment for Inquiry or Reply)",
        ),
        (
            "x12",
            "segment 9 (SE)",
            "bad_count",
            "SE01 says 8",
            "",
            "SE01 Number of Included Segments (SE Transaction Set Trailer)",
        ),
        ("x12", "segment 9 (ZZ)", "bad_value", "", "", "ZZ"),
        (
            "x12",
            "segment 9 (B10)",
            "bad_value",
            "",
            "",
            "B10 Beginning Segment for Transportation Carrier Shipment Status Message",
        ),
        ("x12.315", "segment 6 (Q2)", "bad_imo", "", "", "Q201 Vessel Code (Q2 Status Details (Ocean))"),
        ("x12.322", "segment 6 (V1)", "bad_imo", "", "", "V101 Vessel Code (V1 Vessel Identification)"),
        ("edifact.iftsta", "segment 7 (STS)", "unmapped_code", "", "", "STS, element 2 C555 Status, code (STS Status)"),
        ("edifact", "segment 8 (DTM)", "zone_assumed", "", "", "DTM, element 1 C507 Date/time/period (DTM Date/time/period)"),
        ("x12", "segment 8 (DTM)", "zone_assumed", "", "", "DTM04 Time Code (DTM Date/Time Reference)"),
        ("wrapped", "/messageRaw segment 7 (STS)", "bad_value", "", "", "STS Status"),
        ("dcsa.2.2", "/0/transportCall/modeOfTransport", "unknown_mode", "", "", "modeOfTransport"),
        ("dcsa.2.2", "/0/references/3", "bad_value", "", "", "references"),
        ("lovla.1", "line 3/occurred_at", "bad_time", "", "", "occurred_at"),
        ("one_record", "/1/https:~1~1onerecord.iata.org~1ns~1cargo#eventDate/0", "bad_time", "", "", "eventDate"),
        ("cargo_xml.xfsu", "line 12 (ReportedStatus 1)", "missing_field", "", "", "ReportedStatus"),
        ("cargo_imp.fsu", "line 3", "bad_time", "", "DEP/LH8402", "Status details (DEP)"),
        (
            "cargo_imp.fsu",
            "line 2",
            "bad_value",
            "",
            "020-12345675FRALAX/T10",
            "Consignment detail (air waybill, origin and destination, quantity)",
        ),
        ("mapped.csv", "row 3, column Gate out", "bad_time", "", "", "Gate out"),
        ("dcsa.2.2", "/0", "no_linking_reference", "", "", "equipmentReference, documentReferences"),
        ("dcsa.2.2", "/0", "outside_time_fence", "", "", "eventDateTime"),
        ("epcis.2.0", "/epcisBody/eventList/3", "outside_time_fence", "", "", "eventTime"),
        ("epcis.2.0", "/eventTime", "no_time", "", "", "eventTime"),
        ("cargo_xml.xfsu", "line 9 (ReportedStatus 2)", "outside_time_fence", "", "", "OccurrenceDateTime"),
        ("dcsa.2.2", "/0", "contradiction", "", "", None),
        (None, "", "empty", "", "", None),
    ],
)
def test_the_place_of_a_complaint_has_the_standards_name(
    standard: str | None, where: str, code: str, text: str, source: str, name: str | None
) -> None:
    assert field_name(standard, where, code, text, None, source) == name
