"""The whole stack as a user has it: every step through `lovla` and HTTP; then each process is killed once."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.process import Running
from deploy.local.stack import Stack as Deployed
from services.console.settings import ConsoleSettings
from services.runtime.clickhouse import connect
from services.runtime.settings import Settings
from tests import forks
from tests.stack import ROOT
from tests.waiting import eventually

LOG_TABLES = ("raw_messages", "shipment_events", "consignment_commands", "journey_changes", "dead_letters")
PARTS = ("api", "readers", "tracker", "sink", "kafka", "clickhouse")

X12_315 = """ISA*00*          *00*          *ZZ*MAEU           *ZZ*LOVLA          *{yymmdd}*1120*U*00401*000000001*0*P*>~
GS*QO*MAEU*LOVLA*{day}*1600*1*X*004010~
ST*315*00001~
B4***VA*{day}*0807**MRSU*437163*L**USLAX*UN*9~
N9*BM*MAEU203990011~
Q2*9321483********015E***L*EXAMPLE~
R4*L*UN*CNSHA*SHANGHAI*CN~
R4*D*UN*USLAX*LOS ANGELES*US~
DTM*140*{day}*0807*LT~
SE*8*00001~
GE*1*1~
IEA*1*000000001~
"""


class Lovla:
    """The command, on a state folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"LOVLA_STATE_DIR": str(folder), "NO_COLOR": "1"}

    def __call__(self, *words: str, check: bool = True, said: str | None = None) -> str:
        """What the verb printed; `said`: what it is told on its standard input."""
        command = [sys.executable, "-c", "from services.cli import main; main()", *words]
        done = forks.run(command, cwd=ROOT, env=self.environment, timeout=170, input=said)
        assert not check or done.returncode == 0, f"lovla {' '.join(words)}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def rows(self, *words: str) -> list[dict[str, Any]]:
        """What a verb says with --json: one object a line."""
        return [json.loads(line) for line in self(*words, "--json", check=False).splitlines() if line.startswith("{")]

    def states(self) -> dict[str, str]:
        """What `lovla status` says of each part, without its questions to Kafka: they are asked over and over here."""
        return {part.name: part.state for part in Deployed(self.folder).status()}

    @property
    def settings(self) -> Settings:
        return Settings.load(self.folder)


@pytest.fixture(scope="module")
def lovla(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lovla]:
    command = Lovla(tmp_path_factory.mktemp("pipeline") / "state")
    try:
        command("up")
        command("facilities", "import", str(ROOT / "demo/data/facilities.csv"))
        command("carriers", "import", str(ROOT / "demo/data/senders.csv"), "--keys", "--scope", "push,register")
        yield command
    finally:
        command("down", check=False)


def consignment(number: str, references: list[dict[str, str]]) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "consignment": f"LACDHS-{number}",
        "items": [{"line": 1, "category": "n95_respirator", "quantity": 240000}],
        "parties": {"carrier": "MAEU", "trucker": "HBRT", "consignee": "H-HARBOR"},
        "route": {
            "mode": "sea",
            "origin": "CNSHA",
            "port_of_discharge": "USLAX",
            "terminal": "LA-APMT",
            "place_of_delivery": "H-HARBOR",
        },
        "plan": {
            "departed": (now - timedelta(days=20)).isoformat(),
            "arrived": (now - timedelta(days=6)).isoformat(),
            "delivered": (now + timedelta(days=1)).isoformat(),
        },
        "tier": 1,
        "references": references,
    }


def until(condition: Callable[[], Any], what: str) -> None:
    eventually(condition, what)


@pytest.mark.stack
@pytest.mark.timeout(300)
def test_a_pushed_315_answers_in_show_within_seconds_and_the_delay_is_found(lovla: Lovla, tmp_path: Path) -> None:
    registration = tmp_path / "consignment.json"
    references = [
        {"kind": "bill_of_lading", "value": "MAEU203990011"},
        {"kind": "container", "value": "MRSU4371639"},
    ]
    registration.write_text(json.dumps(consignment("0001", references)))
    lovla("register", str(registration), "--as", "LACDHS")
    message = tmp_path / "arrival.315"
    day = (datetime.now(UTC) - timedelta(days=2)).strftime("%Y%m%d")
    message.write_text(X12_315.format(day=day, yymmdd=day[2:]))
    lovla("push", str(message), "--carrier", "MAEU")
    pushed = time.monotonic()

    def shown() -> bool:
        rows = lovla.rows("show", "LACDHS-0001")
        return any('"arrived"' in json.dumps(row) and "MAEU" in json.dumps(row) for row in rows)

    until(shown, "the arrival in `lovla show`")
    assert time.monotonic() - pushed < 30
    # that nobody had said so ends with the message; that it is late opens at the next tick, up to 5 s later
    until(
        lambda: any(row["consignment"] == "LACDHS-0001" and "Arrived" in row["sentence"] for row in lovla.rows("delayed")),
        "the late arrival in `lovla delayed`",
    )
    assert "LACDHS-0001" in lovla("find", "MRSU4371639")


@pytest.mark.stack
@pytest.mark.timeout(300)
def test_a_ship_notice_tells_more_of_what_its_buyer_declared_and_a_second_one_nothing(lovla: Lovla, tmp_path: Path) -> None:
    registration, notice = tmp_path / "consignment.json", tmp_path / "notice.856"
    declared = consignment("0042", [{"kind": "bill_of_lading", "value": "MAEU203990042"}])
    registration.write_text(json.dumps(declared))
    lovla("register", str(registration), "--as", "LACDHS", "--wait", "60")
    notice.write_text((ROOT / "tests/unit/readers/fixtures/x12_856.edi").read_text())

    def outcomes() -> list[tuple[str, int | None, str | None]]:
        taken = json.loads(lovla("push", str(notice), "--carrier", "LACDHS", "--json"))
        found: list[dict[str, Any]] = []

        def judged() -> bool:
            found[:] = json.loads(lovla("receipts", "show", taken["receipt"], "--as", "LACDHS", "--json"))["verdicts"]
            return not any(verdict["outcome"] == "queued" for verdict in found)

        until(judged, "the outcome of the notice")
        return [(v["outcome"], v.get("declared_version"), v.get("reason")) for v in found[:2]]

    assert outcomes() == [("accepted", 2, None), ("accepted", 1, None)]
    assert outcomes() == [("accepted", 2, "unchanged"), ("accepted", 1, "unchanged")]

    def shown() -> bool:
        (row,) = lovla.rows("show", "LACDHS-0042")
        items = row["declaration"]["items"]
        return row["declaration"]["tier"] == 1 and [item.get("lot") for item in items] == ["A17", "G-9"]

    until(shown, "lots in `lovla show`, and the tier that was declared")
    until(lambda: lovla.rows("interchanges"), "the control number that came twice")
    (row,) = lovla.rows("interchanges")
    assert (row["sender"], row["control"], row["times"], row["contents"]) == ("LACDHS", "000000856", 2, 1)


@pytest.mark.stack
@pytest.mark.timeout(300)
def test_people_are_told_what_the_tracker_made_of_what_they_asked(lovla: Lovla, tmp_path: Path) -> None:
    file = tmp_path / "consignment.json"
    declared = consignment("0009", [{"kind": "bill_of_lading", "value": "MAEU203990099"}])

    def asked(*words: str) -> tuple[int, dict[str, Any]]:
        command = [sys.executable, "-c", "from services.cli import main; main()", *words, "--json", "--wait", "60"]
        done = forks.run(command, cwd=ROOT, env=lovla.environment, timeout=170)
        (verdict,) = json.loads(done.stdout)["verdicts"]
        return done.returncode, verdict

    file.write_text(json.dumps(declared))
    assert asked("register", str(file), "--as", "LACDHS")[1]["outcome"] == "accepted"
    file.write_text(json.dumps(declared | {"tier": 2}))
    code, verdict = asked("register", str(file), "--as", "LACDHS")
    assert (code, verdict["outcome"], verdict["reason"]) == (1, "refused", "exists")
    code, verdict = asked("amend", str(file), "--as", "LACDHS", "--if-match", "7")
    assert (code, verdict["reason"]) == (1, "version_mismatch")
    code, verdict = asked("amend", str(file), "--as", "LACDHS", "--if-match", "1")
    assert (code, verdict["declared_version"]) == (0, 2)
    assert asked("receive", "LACDHS-0009", "9=5", "--as", "LACDHS")[1]["reason"] == "no_such_line"
    assert asked("link", "LACDHS-9999", "booking", "BK1", "--as", "LACDHS")[0] == 1
    assert asked("cancel", "LACDHS-0009", "--as", "LACDHS")[1]["outcome"] == "accepted"


@pytest.mark.stack
@pytest.mark.timeout(300)
def test_what_a_planner_does_in_the_console_is_seen_there_and_audited(lovla: Lovla, tmp_path: Path) -> None:
    """Console -> way in -> Kafka -> tracker and sink -> ClickHouse -> console."""
    file, name = tmp_path / "consignment.json", "LACDHS-0010"
    file.write_text(json.dumps(consignment("0010", [{"kind": "bill_of_lading", "value": "MAEU203990010"}])))
    lovla("register", str(file), "--as", "LACDHS", "--wait", "60")
    lovla("carriers", "add", "OPS", "--scope", "operator,push,register")
    lovla("users", "add", "ana", "--role", "planner", said="a password that is long\n")
    until(lambda: name in lovla("delayed", "--json"), "an open exception")
    settings = ConsoleSettings.load(lovla.folder)
    address = f"http://{settings.console_host}:{settings.console_port}"
    with httpx.Client(base_url=address, follow_redirects=True, timeout=30, trust_env=False) as ana:
        ana.post("/sign-in", data={"name": "ana", "password": "a password that is long"})

        def does(page: str, to: str, **fields: str) -> str:
            shown = ana.get(page).text
            own = {key: re.search(f'name="{key}" value="([^"]+)"', shown)[1] for key in ("csrf", "once", "shown_at")}  # type: ignore[index]  # there
            answer = ana.post(to, data=own | {"next": page} | fields)
            assert answer.status_code == 200, answer.text
            return re.search('id="did"><span>(.*?)</span>', answer.text)[1]  # type: ignore[index]  # what became of it

        def row() -> dict[str, Any]:
            found = ana.get("/api/v1/delayed", params={"exception": "any", "q": name}).json()["rows"]
            return next(one for one in found if one["consignment"] == name)

        until(lambda: does("/delayed", "/act", acknowledge=" ".join([name, *row()["keys"]])) and row()["acknowledged_by"], "it")
        assert row()["acknowledged_by"] == "ana"
        assert does("/delayed", "/act", act="note", row=name, text="called") == f"Noted on {name}."
        assert row()["note"] == "called"
        page = f"/consignments/{name}"
        assert "is linked." in does(page, f"{page}/do", do="link", kind="booking", value="BK77")
        until(lambda: "BK77" in ana.get(page).text, "the link")
        assert "line 9 is not declared" in does(page, f"{page}/do", do="receive", good_9="5")
        does(page, f"{page}/do", do="record", milestone="departed", told_by="Jo")
        until(lambda: "(ana, told by Jo)" in ana.get(page).text, "what was phoned in")
    found = {line["topic"]: line for line in lovla.rows("audit")}
    assert "work.acts.v1" in json.dumps(found)


OFTEN_S, SELDOM_S = 0.05, 0.5
"""Between two events: when something is killed, so that some are under way at every stage; and while it is away, or begins, so
that some come meanwhile. Each costs the whole pipeline a transaction a stage."""


class Carrier(threading.Thread):
    """Pushes single events, each until it is answered 202; remembers which were. Bounded by `last`."""

    def __init__(self, lovla: Lovla, last: int) -> None:
        super().__init__(daemon=True)
        settings = lovla.settings
        self.url = f"http://{settings.api_host}:{settings.api_port}/v1/events"
        self.key = (lovla.folder / "keys" / "MAEU").read_text().strip()
        self.last = last
        self.every_s = OFTEN_S
        self.receipts: dict[str, str] = {}
        self.done = threading.Event()

    def run(self) -> None:
        with httpx.Client(timeout=20) as client:
            for n in range(self.last):
                self._push(client, f"kill-{n}", n)
                if self.done.wait(self.every_s):
                    return

    def await_more(self, count: int) -> None:
        """Until so many events more were answered 202."""
        heard = len(self.receipts)
        until(lambda: len(self.receipts) > heard + count, "events flow")

    def _push(self, client: httpx.Client, ident: str, n: int) -> None:
        event = {
            "id": ident,
            "milestone": "arrived",
            "classifier": "estimated",
            "occurred_at": (datetime.now(UTC) + timedelta(days=2, minutes=n)).isoformat(),
            "created_at": datetime.now(UTC).isoformat(),
            "references": [{"kind": "container", "value": "MSCU6639870"}],
            "place": {"unlocode": "USLAX"},
        }
        while not self.done.is_set():
            try:
                answer = client.post(self.url, json=event, headers={"Authorization": f"Bearer {self.key}"})
                if answer.status_code == 202:
                    self.receipts[ident] = answer.json()["receipt"]
                    return
                assert answer.status_code in (429, 503), answer.text
            except httpx.HTTPError:
                pass  # the door is away: the same event again
            time.sleep(0.2)


def kill(lovla: Lovla, name: str) -> None:
    """kill -9, and `lovla status` says so."""
    running = Running.load(lovla.folder / "run" / f"{name}.json")
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    until(lambda: lovla.states()[name] == "died", f"status says that {name} died")


@pytest.mark.stack
@pytest.mark.timeout(600)
def test_each_process_is_killed_once_and_nothing_is_lost_or_doubled(lovla: Lovla, tmp_path: Path) -> None:
    registration = tmp_path / "consignment.json"
    registration.write_text(json.dumps(consignment("0002", [{"kind": "container", "value": "MSCU6639870"}])))
    lovla("register", str(registration), "--as", "LACDHS")
    carrier = Carrier(lovla, last=5_000)
    carrier.start()
    for name in PARTS:
        carrier.every_s = OFTEN_S
        carrier.await_more(10)
        kill(lovla, name)
        carrier.every_s = SELDOM_S
        lovla("up")
        until(lambda: set(lovla.states().values()) == {"running"}, "all parts serve again")
    carrier.every_s = OFTEN_S
    carrier.await_more(5)
    carrier.done.set()
    carrier.join(60)

    told = set(carrier.receipts)
    clickhouse = connect(lovla.settings, "reader")

    def ids() -> set[str]:
        rows = clickhouse.query("SELECT DISTINCT source_id FROM shipment_events WHERE source_id LIKE 'kill-%'")
        return {row["source_id"] for row in rows}

    try:
        until(lambda: told <= ids(), "every event that was answered 202 is in ClickHouse")
    except AssertionError:
        missing = sorted(told - ids(), key=lambda ident: int(ident.removeprefix("kill-")))
        raise AssertionError(
            f"{len(missing)} of {len(told)} events are not in ClickHouse, first {missing[:5]}: {lovla('status', check=False)}"
        ) from None
    until(lambda: journey_events(clickhouse) >= len(told), "the journey has them all")
    assert journey_events(clickhouse) == len(ids()), "each counts once, however often it had to be pushed"
    for table in LOG_TABLES:
        (row,) = clickhouse.query(f"SELECT count() AS n, uniqExact(k_topic, k_partition, k_offset) AS u FROM {table}")
        assert row["n"] == row["u"], f"{table} holds rows twice"
    twice = clickhouse.query("SELECT change_id FROM journey_changes GROUP BY change_id HAVING count() > 1")
    assert twice == []
    assert len(set(carrier.receipts.values())) == len(told)
    clickhouse.close()


def journey_events(clickhouse: Any) -> int:
    rows = clickhouse.query("SELECT events FROM journeys FINAL WHERE consignment = 'LACDHS-0002'")
    return int(rows[0]["events"]) if rows else 0
