"""The event hash: the published examples, written here in other forms than there, and what must not change an event's id."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.readers.epcis_hash import event_hash, pre_hash
from services.ingest.readers.epcis_ids import gs1_id
from services.ingest.readers.epcis_words import Vocabulary

NS = Vocabulary([{"e": "https://ns.example.com/epcis/"}])

# The events are those of the reference implementation of GS1 Germany (github.com/RalphTro/epcis-event-hash-generator, 1.9.3,
# tests/examples), the hashes those that it publishes with them; the ids, words and times are written in other forms here.
PUBLISHED: dict[str, tuple[dict[str, Any], str]] = {
    "own members, nested and repeated": (
        {
            "type": "ObjectEvent",
            "e:myField3": {"e:mySubField3": ["1", "3"]},
            "e:myField2": 0,
            "e:myField1": {"e:mySubField2": "5.0", "e:mySubField1": "2"},
            "readPoint": {"id": "https://example.com/gln/4012345000115/254/987"},
            "bizStep": "urn:epcglobal:cbv:bizstep:departing",
            "action": "OBSERVE",
            "epcList": [
                f"https://example.com/sscc/{sscc}"
                for sscc in ("040123450000001112", "040123450000003338", "040123450000002225")
            ],
            "recordTime": "2021-01-01T00:00:00Z",
            "eventTimeZoneOffset": "+01:00",
            "eventTime": "2020-03-04T10:00:30Z",
        },
        "6ae96341e0acc6d7a261364751f60e68278a81cdf51da0abb6b4e617014e39d7",
    ),
    "what sensors say": (
        {
            "type": "ObjectEvent",
            "eventID": "urn:uuid:1",
            "eventTime": "2020-04-01T14:00:00.0000Z",
            "eventTimeZoneOffset": "+01:00",
            "action": "OBSERVE",
            "bizStep": "cbv:BizStep-inspecting",
            "epcList": ["https://id.gs1.org/01/4012345111118/ser/9876"],
            "readPoint": {"id": "https://id.gs1.org/414/4012345000054"},
            "sensorElementList": [
                {
                    "sensorReport": [
                        {"type": "gs1:Temperature", "value": 26.0, "sDev": 0.1, "uom": "CEL"},
                        {"type": "AbsoluteHumidity", "uom": "A93", "value": 12.1},
                        {
                            "type": "https://gs1.org/voc/Dimensionless",
                            "uom": "C35",
                            "value": "0.050",
                            "microorganism": "https://www.ncbi.nlm.nih.gov/taxonomy/1126011",
                        },
                        {
                            "type": "Dimensionless",
                            "uom": "C35",
                            "value": 0.18,
                            "chemicalSubstance": "https://identifiers.org/inchikey:CZMRCDWAGMRECN-UGDNZRGBSA-N",
                        },
                    ],
                    "sensorMetadata": {
                        "deviceMetadata": "urn:epc:id:giai:4000001.111",
                        "deviceID": "https://example.com/giai/4000001111",
                    },
                }
            ],
        },
        "49b13037c36e84ad9307c531671b00e901318c3957e4b1151f816ec49eb668da",
    ),
    "papers, parties and a member of one's own in the read point": (
        {
            "type": "ObjectEvent",
            "eventTime": "2020-03-04T10:00:30.000Z",
            "eventTimeZoneOffset": "+01:00",
            "action": "OBSERVE",
            "bizStep": "https://ref.gs1.org/cbv/BizStep-departing",
            "disposition": "urn:epcglobal:cbv:disp:in_transit",
            "epcList": ["https://id.gs1.org/gtin/614141111114/ser/987"],
            "readPoint": {"e:myField1": "AB-12", "id": "https://id.gs1.org/414/4012345000115"},
            "destinationList": [{"destination": "https://id.gs1.org/417/0614141000005", "type": "cbv:SDT-owning_party"}],
            "sourceList": [{"source": "https://id.gs1.org/party/4012345000009", "type": "urn:epcglobal:cbv:sdt:owning_party"}],
            "bizTransactionList": [{"bizTransaction": "https://id.gs1.org/gdti/4012345111118123", "type": "cbv:BTT-po"}],
            "e:userExt": "CD-34",
        },
        "a13cbe6c8bb6df3710b3edaeff760a1365ec8fd69ca1f4d7e0c10eb5189a883a",
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_hashes_that_are_published(name: str) -> None:
    event, published = PUBLISHED[name]

    assert event_hash(event, event["type"], NS) == f"ni:///sha-256;{published}?ver=CBV2.0"


@given(st.data(), st.sampled_from(sorted(PUBLISHED)))
def test_no_order_of_members_or_entries_changes_it(data: st.DataObject, name: str) -> None:
    event, published = PUBLISHED[name]

    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shuffled(value[key]) for key in data.draw(st.permutations(sorted(value)))}
        return [shuffled(one) for one in data.draw(st.permutations(value))] if isinstance(value, list) else value

    assert published in event_hash(shuffled(event), "ObjectEvent", NS)


@pytest.mark.parametrize(
    "changed",
    [
        {"eventTime": "2020-03-04T10:00:30.001Z"},
        {"eventTimeZoneOffset": "+02:00"},
        {"action": "ADD"},
        {"epcList": []},
        {"bizStep": "arriving"},
        {"disposition": None},
        {"readPoint": {"id": "https://id.gs1.org/414/4012345000115"}},
        {"bizLocation": {"id": "https://id.gs1.org/414/4012345000115"}},
        {"e:userExt": "CD-35"},
        {"sourceList": []},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_whatever_the_event_says_changes_it(changed: dict[str, Any]) -> None:
    event, published = PUBLISHED["papers, parties and a member of one's own in the read point"]

    assert published not in event_hash(event | changed, "ObjectEvent", NS)


@pytest.mark.parametrize(
    "more",
    [
        {"eventID": "x"},
        {"recordTime": "2020-01-01T00:00:00Z"},
        {"errorDeclaration": {"declarationTime": "2020-01-01T00:00:00Z"}},
        {"@context": {"x": "y"}},
        {"rdfs:comment": "by hand"},
        {"childEPCs": []},
        {"ilmd": None},
    ],
    ids=lambda more: next(iter(more)),
)
def test_what_is_about_the_record_does_not(more: dict[str, Any]) -> None:
    event, published = PUBLISHED["what sensors say"]

    assert published in event_hash(event | more, "ObjectEvent", NS)


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        ("2023-01-18T11:04:03.1415Z", "2023-01-18T11:04:03.142Z"),
        ("2023-01-18T11:04:03.1414Z", "2023-01-18T11:04:03.141Z"),
        ("2023-01-18T11:04:59.9996+01:00", "2023-01-18T10:05:00.000Z"),
        ("2023-01-18T11:04:03Z", "2023-01-18T11:04:03.000Z"),
        ("soon", "soon"),
    ],
)
def test_times_are_utc_to_the_millisecond(moment: str, written: str) -> None:
    assert pre_hash({"eventTime": moment}, "ObjectEvent", NS) == f"eventType=ObjectEventeventTime={written}"


def test_members_stand_in_the_standards_order() -> None:
    event = {
        "childQuantityList": [{"uom": "KGM", "quantity": 1.50, "epcClass": "urn:epc:class:lgtin:4012345.011111.L"}],
        "ilmd": {"cbvmda:itemExpirationDate": "2024-12-01", "e:x": True},
        "persistentDisposition": {"unset": ["recalled"], "set": ["damaged", "completeness_verified"]},
        "parentID": "urn:epc:id:grai:4012345.55555.987",
        "action": "ADD",
        "childEPCs": ["urn:epc:id:giai:4000001.12346", "urn:epc:id:giai:4000001.12345"],
        "certificationInfo": "https://example.com/c",
    }

    assert pre_hash(event, "AggregationEvent", NS) == (
        "eventType=AggregationEventcertificationInfo=https://example.com/cparentID=https://id.gs1.org/8003/04012345555554987"
        "childEPCsepc=https://id.gs1.org/8004/400000112345epc=https://id.gs1.org/8004/400000112346"
        "childQuantityListquantityElementepcClass=https://id.gs1.org/01/04012345111118/10/Lquantity=1.5uom=KGMaction=ADD"
        "persistentDispositionset=https://ref.gs1.org/cbv/Disp-completeness_verifiedset=https://ref.gs1.org/cbv/Disp-damaged"
        "unset=https://ref.gs1.org/cbv/Disp-recalled"
        "ilmd{https://ns.example.com/epcis/}x=true{urn:epcglobal:cbv:mda:}itemExpirationDate=2024-12-01"
    )


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(max_size=20)
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=8
)


@given(st.data(), st.sampled_from(sorted(PUBLISHED)))
def test_any_value_in_any_member_has_a_hash(data: st.DataObject, name: str) -> None:
    event = json.loads(json.dumps(PUBLISHED[name][0]))
    for key in data.draw(st.lists(st.sampled_from(sorted(event)), max_size=3)):
        event[key] = data.draw(anything)

    assert event_hash(event, "ObjectEvent", NS).startswith("ni:///sha-256;")


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("urn:epc:id:sgtin:0614141.112345.a%26b*c", "01/10614141123459/21/a%26b%2Ac"),
        ("urn:epc:idpat:sgtin:0614141.112345.*", "01/10614141123459"),
        ("urn:epc:class:lgtin:0614141.112345.L(1)", "01/10614141123459/10/L%281%29"),
        ("urn:epc:id:upui:0614141.112345.x", "01/10614141123459/235/x"),
        ("urn:epc:id:sscc:0614141.1234567890", "00/106141412345678908"),
        ("urn:epc:id:sgln:0614141.00777.0", "414/0614141007776"),
        ("urn:epc:id:sgln:0614141.00777.gate:1", "414/0614141007776/254/gate%3A1"),
        ("urn:epc:id:sgln:061414100777..0", "414/0614141007776"),
        ("urn:epc:id:pgln:0614141.00777", "417/0614141007776"),
        ("urn:epc:id:grai:0614141.12345.400", "8003/00614141123452400"),
        ("urn:epc:idpat:grai:0614141.12345.*", "8003/00614141123452"),
        ("urn:epc:id:giai:0614141.12345400", "8004/061414112345400"),
        ("urn:epc:id:gsrn:0614141.1234567890", "8018/061414112345678902"),
        ("urn:epc:id:gsrnp:0614141.1234567890", "8017/061414112345678902"),
        ("urn:epc:id:gdti:0614141.12345.400", "253/0614141123452400"),
        ("urn:epc:id:sgcn:4012345.67890.04711", "255/401234567890104711"),
        ("urn:epc:id:ginc:0614141.xyz47%2F11", "401/0614141xyz47%2F11"),
        ("urn:epc:id:gsin:0614141.123456789", "402/06141411234567890"),
        ("urn:epc:id:cpi:0614141.5PQ7%2FZ43.12345", "8010/06141415PQ7%2FZ43/8011/12345"),
        ("urn:epc:id:itip:4012345.012345.01.02.987", "8006/040123451234560102/21/987"),
        ("http://example.com/a/b/gtin/614141123452/cpv/2A/lot/L/ser/S?x=1#y", "01/00614141123452/21/S"),
        ("https://example.com/01/12345670", "01/00000012345670"),
        ("https://example.com/414/0614141007776/254/1/", "414/0614141007776/254/1"),
        ("urn:epc:id:sgtin:0614141.112345", None),
        ("urn:epc:id:sgtin:06141.1123456.1", None),
        ("urn:epc:id:sscc:0614141.123456789", None),
        ("urn:epc:id:sscc:0614141.12345678９0", None),
        ("urn:epc:idpat:sgtin:0614141.112345.400", None),
        ("urn:epc:id:nobody:0614141.1", None),
        ("urn:epc:raw:64.123", None),
        ("https://example.com/00/10614141234567890", None),
        ("https://example.com/01/10614141123459/10", None),
        ("https://example.com/01/10614141123459/3103/000195", None),
        ("https://example.com/po/12345678", None),
        ("https://", None),
        ("urn:epc:id:sscc:" + "1" * 100_000, None),
    ],
)
def test_gs1_keys_in_urns_and_links(text: str, link: str | None) -> None:
    found = gs1_id(text)

    assert (found and found.link) == (link and f"https://id.gs1.org/{link}")
