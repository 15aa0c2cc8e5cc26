"""Air cargo messages as an enemy or a bad line would send them: a reading, a problem or a refusal; never another error."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ingest.readers import Unreadable, read
from tests.unit.readers.damage import Damage, damaged, damages
from tests.unit.readers.helpers import FIXTURES, context_at, read_text
from tests.unit.readers.test_cargo_xml import steps
from tests.unit.readers.test_hostile import check

AT = context_at("2020-04-01T12:00:00Z", "LH")
CAREFUL = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
MESSAGES = {name: (FIXTURES / name).read_bytes() for name in ("fsu.txt", "fsu_split.txt", "xfsu.xml", "one_record.json")}
FAMILIES = {
    "fsu.txt": "cargo_imp.fsu",
    "fsu_split.txt": "cargo_imp.fsu",
    "xfsu.xml": "cargo_xml.xfsu",
    "one_record.json": "one_record",
}
EVENTS: list[dict[str, Any]] = json.loads(MESSAGES["one_record.json"])
LINES = MESSAGES["fsu.txt"].decode().splitlines()[4:] + MESSAGES["fsu_split.txt"].decode().splitlines()[15:]


@CAREFUL
@given(
    st.sampled_from(sorted(MESSAGES)),
    damages(20_000),
)
def test_a_message_that_was_damaged_on_its_way(name: str, harm: Sequence[Damage]) -> None:
    check(damaged(MESSAGES[name], harm), FAMILIES[name])


@CAREFUL
@given(st.lists(st.lists(st.sampled_from([part for line in LINES for part in line.split("/")]), max_size=9), max_size=6))
def test_status_lines_with_their_fields_in_any_order(lines: list[list[str]]) -> None:
    check(("FSU/14\n020-12345675FRALAX/T20K240\n" + "\n".join("/".join(line) for line in lines)).encode(), "cargo_imp.fsu")


NAMES = st.sampled_from(sorted(set(re.findall(r"<(?:ram|rsm):(\w+)", MESSAGES["xfsu.xml"].decode()))))
TIMES = ["2020-03-31T10:12:00", "2020-03-31T10:12:00Z", "yesterday"]
TEXTS = st.sampled_from(["8", "20", "P", "T", "FRA", "LAX", "LH456", "A", "E", "RCF", "DIS", "020-12345675", "", *TIMES])
elements = st.recursive(
    st.builds(lambda name, text: f"<{name}>{text}</{name}>", NAMES, TEXTS),
    lambda inner: st.builds(lambda name, parts: f"<{name}>{''.join(parts)}</{name}>", NAMES, st.lists(inner, max_size=5)),
    max_leaves=30,
)


@CAREFUL
@given(st.lists(elements, max_size=6))
def test_elements_of_the_standard_in_any_place(parts: list[str]) -> None:
    master = "<TransportContractDocument><ID>020-12345675</ID></TransportContractDocument>"
    statuses = "".join(f"<ReportedStatus><ReasonCode>DEP</ReasonCode>{part}</ReportedStatus>" for part in parts)
    text = f"<StatusMessage><MasterConsignment>{master}{statuses}{''.join(parts)}</MasterConsignment></StatusMessage>"
    check(text.encode(), "cargo_xml.xfsu")


KEYS = ["@id", "@type", "@value", "@context", "@graph", "waybill", "waybillNumber", "code", "eventCode", "eventFor"]
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=12))
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["@id", "@type", "@value", "@context", "@graph", "waybill", "waybillNumber", "code", "eventCode", "eventFor"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@CAREFUL
@given(st.data())
def test_linked_data_with_any_value_in_any_property(data: st.DataObject) -> None:
    event = dict(data.draw(st.sampled_from(EVENTS)))
    for key in data.draw(st.lists(st.sampled_from(sorted(event)), min_size=1, max_size=3)):
        event[key] = data.draw(values)
    check(json.dumps([event, data.draw(values)]).encode(), "one_record")


BULKS: dict[str, Callable[[int], str]] = {
    "statuses": lambda n: "RCF/LH456/31MAR1400/LAX/P8T20\n" * (n // 10),
    "continuations": lambda n: "RCF/LH456/31MAR1400/LAX\n" + "/A\n" * n,
    "units": lambda n: "RCF/LH456/31MAR1400/LAX\n" + "ULD/AKE12345LH\n" * n,
    "texts": lambda n: "RCF/LH456/31MAR1400/LAX\n" + "OSI/TEXT\n" * n,
    "customs": lambda n: "RCF/LH456/31MAR1400/LAX\nOCI" + "/US/CUS/C/9\n" * n,
    "bad lines": lambda n: "WHAT IS THIS\n" * (n // 10),
    "one line": lambda n: "RCF/LH456/31MAR1400/LAX " * (n // 10),
    "waybills": lambda n: "020-12345675FRALAX/T20\nRCF/LH456/31MAR1400/LAX\n" * (n // 10),
    "blocks": lambda n: "=HEADER\nRCV\n" * n,
}


@pytest.mark.parametrize("name", BULKS)
def test_work_grows_with_the_message(name: str) -> None:
    def work(n: int) -> int:
        text = "FSU/14\n020-12345675FRALAX/T20K240\n" + BULKS[name](n)
        if name == "one line":
            text = text.replace("\n", " ")
        return steps(lambda: read_text(text, AT))

    work(100)  # tables are loaded
    assert work(800) < 1.2 * 8 * work(100)


def test_nothing_of_a_message_is_dropped_in_silence() -> None:
    for name, content in MESSAGES.items():
        reading = read(content, None, None, AT if name != "fsu_split.txt" else context_at("2020-01-01T12:00:00Z", "LH"))
        assert reading.standard == FAMILIES[name]
        assert all((verdict.event is None) != (verdict.problem is None) for verdict in reading.verdicts)


def test_a_hint_is_believed_and_what_is_none_of_it_refused() -> None:
    for family in set(FAMILIES.values()):
        for content in (b"", b"\x00", b"{}", b"[]", b"<a/>", b"FSU", b"null"):
            try:
                reading = read(content, None, family, AT)
            except Unreadable as error:
                assert error.code and error.text
            else:
                assert reading.problems and not reading.events


LONG: dict[str, Callable[[int], bytes]] = {
    "lines of nothing": lambda n: b"FSU/14\n020-12345675FRALAX/T20\n" + b"A\n" * (n // 2),
    "empty lines": lambda n: b"FSU/14\n020-12345675FRALAX/T20\n" + b"\n" * n,
    "units": lambda n: b"FSU/14\n020-12345675FRALAX/T20\nRCF/LH456/31MAR1400/LAX\n" + b"ULD/AKE12345LH\n" * (n // 15),
    "continuations": lambda n: b"FSU/14\n020-12345675FRALAX/T20\nRCF/LH456/31MAR1400/LAX\n" + b"/\n" * (n // 2),
    "one line": lambda n: b"FSU/14 020-12345675FRALAX/T20 RCF/LH456/31MAR1400/LAX" + b" /A" * (n // 3),
    "messages": lambda n: b"FSU/14\n" * (n // 7),
    "pieces": lambda n: json.dumps(
        EVENTS[6] | {"cargo:eventFor": [{"@id": f"urn:{i}", "@type": "cargo:Piece"} for i in range(n // 40)]}
    ).encode(),
}


@pytest.mark.parametrize("name", LONG)
def test_memory_stays_in_proportion_to_the_message(name: str) -> None:
    """Beside the events themselves: a thousand, which is the most, take 8 MB."""
    content = LONG[name](200_000)
    read(MESSAGES["fsu.txt"], None, None, AT)  # tables are loaded
    tracemalloc.start()
    try:
        read(content, None, None, AT)
    except Unreadable:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak < 20 * len(content)
