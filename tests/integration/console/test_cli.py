"""The verbs as a user types them: tables, JSON, kind words for nothing, one sentence for trouble."""

from __future__ import annotations

import json
import os
import re
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import typer
from typer.testing import CliRunner, Result

from schemas.dead_letter_v1 import EXAMPLES as LETTERS
from schemas.journey_v1 import Clock
from schemas.raw_message_v1 import RawMessage
from schemas.registers_v1 import Facility, Sender
from schemas.shipment_event_v1 import EXAMPLES as EVENTS
from schemas.shipment_event_v1 import ShipmentEvent
from services.console import cli
from services.console.questions import Questions
from services.ingest.codemaps.model import CodeMap, CodeMaps, Meaning
from services.ingest.readers import Context, Registers, read
from services.runtime.clickhouse import connect
from services.runtime.settings import Settings
from services.sink import migrate
from tests import forks
from tests.integration.console.conftest import Books
from tests.unit.readers.helpers import FIXTURES
from tests.unit.sink.examples import exception, journey

LA = ZoneInfo("America/Los_Angeles")


@pytest.fixture
def told(console_settings: Settings) -> dict[str, str]:
    """The environment of a user whose stack is up."""
    return {
        "LOVLA_KAFKA": "127.0.0.1:1",
        "COLUMNS": "300",
        "LOVLA_CLICKHOUSE_HOST": console_settings.clickhouse_host,
        "LOVLA_CLICKHOUSE_PORT": str(console_settings.clickhouse_port),
        "LOVLA_CLICKHOUSE_READER_PASSWORD": console_settings.clickhouse_reader_password.get_secret_value(),
    }


@pytest.fixture
def shared(console_settings: Settings) -> Iterator[Books]:
    """The database that the reader may read; other tests write there too, so each uses ids of its own."""
    migrate.apply(console_settings)
    client = connect(console_settings, "admin")
    yield Books(client)
    client.close()


def lovla(environment: dict[str, str], *words: str) -> Result:
    app = typer.Typer()
    cli.register(app)
    return CliRunner().invoke(app, words, env=environment)


def late_consignment(books: Books) -> str:
    consignment = f"LACDHS-{uuid.uuid4().hex[:8]}"
    books.write(
        Facility(code="H-HARBOR", kind="hospital", name="Harbor-UCLA Medical Center", zone=LA.key),
        journey(
            consignment,
            declared={"references": [{"kind": "purchase_order", "value": consignment[7:].upper()}]},
            carrier="ZZTOP",
            exceptions=[exception(sentence="Discharged [red]18 h[/red] after the plan.", severity="critical")],
        ),
    )
    return consignment


def test_delayed_shows_a_table_in_the_hospitals_own_time(shared: Books, told: dict[str, str]) -> None:
    consignment = late_consignment(shared)
    answer = lovla(told, "delayed", "--hospital", "harbor", "--limit", "1000")
    assert answer.exit_code == 0, answer.output
    line = next(line for line in answer.stdout.splitlines() if consignment in line)
    assert "Harbor-UCLA Medical Center" in line
    assert "Sat 11 Apr 2020 05:00" in line
    assert "[red]18 h[/red]" in line, "a sender's text is no markup"
    assert "240,000 n95_respirator" in line


def test_delayed_gives_json_lines_in_utc(shared: Books, told: dict[str, str]) -> None:
    consignment = late_consignment(shared)
    answer = lovla(told, "delayed", "--carrier", "ZZTOP", "--json", "--limit", "1000")
    rows = {row["consignment"]: row for row in map(json.loads, answer.stdout.splitlines())}
    assert rows[consignment]["since"] == "2020-04-11T12:00:00Z"
    assert rows[consignment]["hours_late"] == 18.0


def test_nothing_is_said_kindly_of_what_is_known(shared: Books, told: dict[str, str]) -> None:
    shared.write(
        Facility(code="H-QUIET", kind="hospital", name="Quiet Hospital", zone=LA.key),
        Facility(code="LA-QUIET", kind="terminal", name="Quiet Pier", zone=LA.key),
        Sender(code="QUIET", kind="ocean_carrier", name="Quiet Line"),
    )
    for words, said in (
        (("delayed", "--hospital", "H-QUIET"), "No such consignment is late"),
        (("delayed", "--hospital", "quiet hosp"), "No such consignment is late"),
        (("delayed", "--carrier", "quiet"), "No such consignment is late"),
        (("delayed", "--carrier", "QUIET", "--json"), ""),
        (("delayed", "--exception", "On Hold", "--carrier", "QUIET", "--item", "N95-respirator"), "No such exception is open"),
        (("inbound", "--hospital", " h quiet "), "Nothing is expected"),
        (("dwell", "--terminal", "la-quiet"), "No unit has been discharged at LA-QUIET"),
        (("feeds", "--carrier", "quiet"), "Quiet Line"),
        (("score", "quiet"), "QUIET sent nothing"),
        (("interchanges", "--carrier", "QUIET"), "No control number came twice"),
        (
            ("unmatched", "--carrier", "QUIET"),
            "Every event of the last 30 days names a reference by which a consignment has it",
        ),
        (("find", "NOTHING-LIKE-IT"), "Nothing is known"),
    ):
        answer = lovla(told, *words)
        assert answer.exit_code == 0, (words, answer.stderr)
        assert said in answer.stdout, words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("delayed", "--hospital", "H-HARBUR"), "no hospital H-HARBUR is known; did you mean H-HARBOR (Harbor-UCLA "),
        (("delayed", "--hospital", "Harbour"), "no hospital Harbour is known; did you mean H-HARBOR (Harbor-UCLA Medical"),
        (("delayed", "--hospital", "LA-QUAY"), "no hospital LA-QUAY is known"),
        (("delayed", "--carrier", "ZZTOPP"), "no carrier or party ZZTOPP is known; did you mean ZZTOP"),
        (("delayed", "--terminal", "H-HARBOR"), "no terminal or airport H-HARBOR is known"),
        (("delayed", "--terminal", "Some Quay"), "did you mean LA-QUAY (Some Quay of Ours)?"),
        (("delayed", "--vessel", "MAERSK EXAMPEL"), "no vessel or flight MAERSK EXAMPEL is known; did you mean MAERSK EXAMPLE"),
        (("delayed", "--item", "n59_respirator"), "no item category n59_respirator is known; did you mean n95_respirator"),
        (("delayed", "--exception", "lates"), "no kind of exception lates is known; did you mean late"),
        (("delayed", "--exception", ""), "no kind of exception"),
        (("delayed", "--hospital", "H-HARBUR", "--json"), "no hospital H-HARBUR is known"),
        (("inbound", "--hospital", "H-HARBUR"), "no hospital H-HARBUR is known"),
        (("inbound", "--item", "goggle"), "did you mean goggles?"),
        (("dwell", "--terminal", "NOPE"), "no terminal or airport NOPE is known"),
        (("feeds", "--carrier", "ZZTOPP"), "no carrier or party ZZTOPP is known"),
        (("feeds", "--carrier", "ZZTOPP", "--codes"), "no carrier or party ZZTOPP is known"),
        (("score", "ZZTOPP"), "no carrier or party ZZTOPP is known"),
        (("interchanges", "--carrier", "ZZTOPP"), "no carrier or party ZZTOPP is known"),
        (("unmatched", "--carrier", "ZZTOPP"), "no carrier or party ZZTOPP is known"),
    ],
)
def test_what_nobody_knows_is_an_error_and_never_good_news(
    shared: Books, told: dict[str, str], words: tuple[str, ...], said: str
) -> None:
    late_consignment(shared)
    shared.write(Facility(code="LA-QUAY", kind="terminal", name="Some Quay of Ours", zone=LA.key))
    answer = lovla(told, *words)
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert said in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1


def test_a_tier_that_there_is_not_is_refused(told: dict[str, str]) -> None:
    for tier in ("0", "6"):
        assert lovla(told, "delayed", "--tier", tier).exit_code == 2


def test_find_and_show_tell_the_same_time_and_say_in_which_zone(shared: Books, told: dict[str, str]) -> None:
    consignment = late_consignment(shared)
    for zone, said, there in (
        ((), "Thu 16 Apr 2020 10:00", ("each hospital’s own zone", LA.key)),
        (("--zone", "UTC"), "Thu 16 Apr 2020 17:00", ("UTC", "UTC")),
    ):
        for words, where in zip((("find", consignment), ("show", consignment)), there, strict=True):
            answer = lovla(told, *words, *zone)
            assert said in answer.stdout, answer.output
            assert f"times in {where}" in answer.stdout


def test_show_leads_from_the_consignment_to_the_bytes(shared: Books, told: dict[str, str]) -> None:
    consignment = late_consignment(shared)
    answer = lovla(told, "show", consignment)
    assert answer.exit_code == 0, answer.output
    for said in (
        "Harbor-UCLA Medical Center (H-HARBOR)",
        "Journey",
        "1 of 1",
        "MRSU4371639",
        "learned from event",
        "1/17 @/0",
        "Sat 11 Apr 2020 09:40",
    ):
        assert said in answer.stdout, said
    assert json.loads(lovla(told, "show", consignment, "--json").stdout)["consignment"] == consignment


def test_show_raw_prints_the_bytes_and_nothing_else(shared: Books, told: dict[str, str]) -> None:
    example = EVENTS[0]
    assert isinstance(example, ShipmentEvent)
    offset = uuid.uuid4().int % 10**9 + 10**6
    raw = example.raw.model_copy(update={"partition": 3, "offset": offset})
    event = example.model_copy(update={"event_id": uuid.uuid4().hex, "raw": raw})
    shared.write(event)
    body = b"ISA*00*\xff\r\n~"
    waiting = lovla(told, "show", "--raw", event.event_id)
    assert waiting.exit_code == 1
    assert "has not come yet" in waiting.stderr
    shared.write_raw(RawMessage(kind="message", sender="MAEU", sha256="ab" * 32), body, offset=offset, partition=3)
    assert lovla(told, "show", "--raw", event.event_id).stdout_bytes == body
    unknown = lovla(told, "show", "--raw", "00" * 16)
    assert unknown.exit_code == 1
    assert "no event" in unknown.stderr


def test_show_raw_takes_the_beginning_of_an_id_and_a_place_in_the_topic(shared: Books, told: dict[str, str]) -> None:
    offset = uuid.uuid4().int % 10**9 + 10**6
    example = LETTERS[0]
    letter = example.model_copy(update={"letter_id": uuid.uuid4().hex, "raw_partition": 2, "raw_offset": offset})
    shared.write(letter, letter.model_copy(update={"letter_id": letter.letter_id[:31] + "x", "raw_offset": offset}))
    shared.write_raw(RawMessage(kind="message", sender="MAEU", sha256="ab" * 32), b"not JSON", offset=offset, partition=2)
    assert lovla(told, "show", "--raw", f"2/{offset}").stdout_bytes == b"not JSON"
    assert lovla(told, "show", "--raw", letter.letter_id).stdout_bytes == b"not JSON"
    several = lovla(told, "show", "--raw", letter.letter_id[:12])
    assert several.exit_code == 1
    assert "several ids begin with" in several.stderr
    assert lovla(told, "show", "--raw", letter.letter_id[:5]).exit_code == 1, "too little of it"


def test_a_limited_table_says_of_how_many(shared: Books, told: dict[str, str]) -> None:
    late_consignment(shared)
    late_consignment(shared)
    answer = lovla(told, "delayed", "--carrier", "ZZTOP", "--limit", "1")
    total = len(lovla(told, "delayed", "--carrier", "ZZTOP", "--limit", "1000", "--json").stdout.splitlines())
    assert f"the first 1 of {total} lines" in answer.stdout
    assert "late: it happened, later than planned" in answer.stdout


@pytest.mark.parametrize("columns", ["80", "200"])
def test_no_line_is_wider_than_asked_and_no_id_is_broken(shared: Books, told: dict[str, str], columns: str) -> None:
    consignment = late_consignment(shared)
    for words in (("delayed", "--carrier", "ZZTOP", "--limit", "1000"), ("show", consignment), ("feeds",)):
        answer = lovla(told | {"COLUMNS": columns}, *words)
        lines = answer.stdout.splitlines()
        assert max(map(len, lines)) <= int(columns), words
        assert all(line == line.rstrip() for line in lines), "no blanks at the ends"
    assert consignment in lovla(told | {"COLUMNS": columns}, "delayed", "--carrier", "ZZTOP", "--limit", "1000").stdout


def test_a_tracker_that_stands_still_is_told(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    questions = Questions(books.client)
    now = datetime.now(UTC)

    def told_when_judged(ago: timedelta, version: int) -> str:
        books.write(Clock(consignment="clock:0", version=version, ticks={"0/shipment.events.v1/0": now - ago}))
        moment, as_of = cli._now(questions)
        assert abs(moment - (now - ago)) < timedelta(seconds=1)
        assert as_of == f"as of {moment:%Y-%m-%d %H:%M} UTC"
        return capsys.readouterr().err

    assert told_when_judged(timedelta(seconds=10), 1) == ""
    said = told_when_judged(timedelta(minutes=26), 2)
    assert "known 26 min ago: what came after is not in it yet; see `lovla status`" in said
    assert len(said.splitlines()) == 1
    assert told_when_judged(timedelta(0), 3) == ""
    books.write(EVENTS[0], at=now + timedelta(hours=2))
    assert "known 2 h ago" in told_when_judged(timedelta(0), 4), "by the broker's clock, whatever this machine's says"


def test_find_by_a_purchase_order(shared: Books, told: dict[str, str]) -> None:
    consignment = late_consignment(shared)
    answer = lovla(told, "find", consignment[7:], "--json")
    assert [json.loads(line)["consignment"] for line in answer.stdout.splitlines()] == [consignment]


def test_every_question_has_a_table(shared: Books, told: dict[str, str]) -> None:
    late_consignment(shared)
    now = datetime.now(UTC)
    shared.write(journey(f"LACDHS-{uuid.uuid4().hex[:8]}", expected_delivery=(now + timedelta(days=1)).isoformat()))
    for words in (
        ("inbound",),
        ("dwell", "--days", "400"),
        ("feeds",),
        ("unmatched",),
        ("delayed", "--all"),
    ):
        answer = lovla(told, *words)
        assert answer.exit_code == 0, (words, answer.stdout)
        for line in lovla(told, *words, "--json").stdout.splitlines():
            json.loads(line)


def test_a_carriers_own_code_that_is_in_no_map_is_named_with_its_count_and_an_example(
    shared: Books, told: dict[str, str]
) -> None:
    """What the readers make of an IFTSTA, without a code map and with one, as `lovla feeds` tells it."""
    now = datetime.now(UTC)
    sender = f"C{uuid.uuid4().hex[:7].upper()}"
    text = (
        (FIXTURES / "edifact_iftsta.edi")
        .read_text()
        .replace("STS+1+VD::87:Vessel", "STS+1+VQ::87:Ship")
        .replace("202003", "202002")
    )
    text = text.replace(":205'", ":203'").replace("?+0800", "")
    text = re.sub(r"20200229[0-9]{4}EDT:303", f"{now - timedelta(hours=2):%Y%m%d%H%M}UTC:303", text)
    made = CodeMap(sender, "edifact.iftsta", 1, "87", None, {"VQ": Meaning("departed", "departed")}, "a test", "x")

    def read_with(*maps: CodeMap) -> ShipmentEvent:
        context = Context(sender, now, Registers.of([], [], CodeMaps.of(maps)), "ab" * 32, 0, 7)
        events = read(text.encode(), None, None, context).events
        return next(event for event in events if event.code == "87/VQ")

    shared.write(read_with())
    table = lovla(told, "feeds", "--carrier", sender)
    assert table.exit_code == 0, table.output
    (line,) = [line for line in table.stdout.splitlines() if "87/VQ" in line]
    assert line.split()[:5] == [sender, "edifact.iftsta", "87/VQ", "Ship", "departed"]
    assert line.rstrip().endswith("0/7 segment 38 (STS)")
    (row,) = [json.loads(line) for line in lovla(told, "feeds", "--codes", "--json", "--carrier", sender).stdout.splitlines()]
    assert (row["code"], row["words"], row["events"]) == ("87/VQ", "Ship departed", 1)
    raw = lovla(told, "feeds", "--json", "--carrier", sender)
    assert json.loads(raw.stdout)["unmapped"] == 1

    shared.write(read_with(made))
    assert "is in a map" in lovla(told, "feeds", "--codes", "--carrier", sender).stdout
    assert json.loads(lovla(told, "feeds", "--json", "--carrier", sender).stdout)["unmapped"] == 0


def test_below_the_feeds_stands_whose_interchanges_came_again(shared: Books, told: dict[str, str]) -> None:
    sender, now = f"C{uuid.uuid4().hex[:7].upper()}", datetime.now(UTC)
    shared.write(EVENTS[0].model_copy(update={"sender": sender, "event_id": uuid.uuid4().hex, "received_at": now}))
    payload = f"UNB+UNOC:3+{sender}+LOVLA+200329:1205+REF1'".encode()
    meta = RawMessage(kind="message", sender=sender, sha256="ab" * 32)
    first = uuid.uuid4().int % 2**40
    for offset in (first, first + 1):
        assert "lovla interchanges" not in lovla(told, "feeds", "--carrier", sender).stdout
        shared.write_raw(meta, payload, offset, at_ms=int(now.timestamp() * 1000))

    assert f"from {sender}: `lovla interchanges` lists them" in lovla(told, "feeds", "--carrier", sender).stdout


def test_the_drivers_own_log_does_not_stand_before_the_sentence(told: dict[str, str]) -> None:
    """In a process of its own: pytest's log handlers would hide it."""
    words = [sys.executable, "-c", "from services.cli import main; main()", "delayed"]
    environment = os.environ | told | {"LOVLA_CLICKHOUSE_PORT": "1"}
    answer = forks.run(words, env=environment, timeout=120)
    assert answer.returncode == 1
    assert answer.stderr.splitlines() == [
        "lovla: ClickHouse does not answer; is the stack up? See `lovla status`, or start it: `lovla up`."
    ]


def test_trouble_is_one_sentence_that_says_what_to_do(told: dict[str, str], tmp_path: object) -> None:
    for environment, words, said in (
        (told | {"LOVLA_CLICKHOUSE_PORT": "1"}, ("delayed",), "lovla up"),
        (told | {"LOVLA_CLICKHOUSE_DATABASE": "not_there"}, ("delayed",), "lovla migrate apply"),
        ({"LOVLA_STATE_DIR": str(tmp_path)}, ("delayed",), "lovla up"),
        (told, ("delayed", "--zone", "Mars/Olympus"), "no IANA time zone"),
        (told, ("show", "LACDHS-NOT-THERE"), "no consignment"),
    ):
        answer = lovla(environment, *words)
        assert answer.exit_code == 1, (words, answer.stderr)
        assert said in answer.stderr
        assert len(answer.stderr.strip().splitlines()) == 1, answer.stderr
