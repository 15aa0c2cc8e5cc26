"""`lovla demo`, small: planted trouble goes in through the HTTP API and comes out of ClickHouse, all of it and nothing else;
who wants to know is told by real mail and SMS, once, and whatever was told or held back can be explained. One stack for all.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from demo import world
from demo.build import build
from demo.messages import speak
from demo.news import News, releases
from demo.push import Pusher
from deploy.local import environment
from services.cli import assemble
from services.runtime.clickhouse import ClickHouse, connect
from services.runtime.settings import Settings
from tests.stack import ROOT
from tests.waiting import eventually

SIZE = 60
PHONES, MAILS = 9, 7
EXPLAINED = 50
NEWS = "SELECT notification FROM notifications WHERE has({ids:Array(String)}, subscription) AND length(changes) > 0"
"""The messages that tell the crowd something."""


@dataclass
class Ran:
    """A demo that ran, its stack still up, and the verbs on it (in this process: a process each would cost minutes)."""

    folder: Path
    result: dict[str, Any]
    since: datetime
    started: dict[str, str] = field(default_factory=dict)

    def __call__(self, *words: str, code: int = 0) -> str:
        environment = {"LOVLA_STATE_DIR": str(self.folder), "NO_COLOR": "1", "COLUMNS": "300"}
        done = CliRunner().invoke(assemble(words[0]), [*words], env=environment)
        assert done.exit_code == code, f"lovla {' '.join(words)}: {done.exit_code} {done.output} {done.exception}"
        return done.output

    def rows(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self(*words, "--json").splitlines() if line.startswith("{")]

    @property
    def settings(self) -> Settings:
        return Settings.load(self.folder)

    def mail(self, to: str) -> list[dict[str, Any]]:
        return [one for one in self.rows("mailbox", "--last", "1000", "--to", to) if one["to"] == to]

    def subscription(self, address: str) -> dict[str, Any]:
        (found,) = [one for one in self.rows("subscriptions", "list", "--as", world.OPERATOR) if one["address"] == address]
        return found


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("demo") / "demo"
    environment_ = os.environ | {"NO_COLOR": "1"}
    lovla = [sys.executable, "-c", "from services.cli import main; main()", "demo"]
    try:
        words = ["--size", str(SIZE), "--no-live", "--json", "--state-dir", str(folder)]
        since = datetime.now(UTC)
        done = subprocess.run([*lovla, *words], cwd=ROOT, env=environment_, capture_output=True, text=True, timeout=400)
        assert "{" in done.stdout, done.stdout[-3000:] + done.stderr[-3000:]
        result = json.loads(done.stdout[done.stdout.index("{") :])
        assert done.returncode == 0, json.dumps(result["misses"] + result["alerts"])[:3000] + done.stderr[-3000:]
        yield Ran(folder, result, since)
    finally:
        subprocess.run([*lovla, "down", "--state-dir", str(folder)], cwd=ROOT, env=environment_, check=False, timeout=120)


def until(condition: Callable[[], Any], what: str) -> None:
    eventually(condition, what)


@pytest.mark.stack
@pytest.mark.timeout(420)
def test_the_demo_finds_every_planted_exception_and_no_other(ran: Ran) -> None:
    result = ran.result
    assert result["good"] and result["misses"] == []
    assert sum(kind["found"] for kind in result["kinds"]) > 40
    assert result["dead_letters"]["found"] == result["dead_letters"]["expected"] > 0


@pytest.mark.stack
@pytest.mark.timeout(60)
def test_everybody_was_told_once_by_real_mail_and_sms_and_the_rest_were_held_back_by_a_rule(ran: Ran) -> None:
    rows = ran.result["alerts"]
    assert all(row["wrong"] == [] for row in rows)
    assert {row["fate"] for row in rows if row["why"]} == {"stopped", "digest", "quiet", "paused", "unconfirmed"}
    assert {row["channel"] for row in rows if row["due"]} == {"email", "sms"}
    for row in rows:
        asked, *told = [one for one in ran.mail(row["address"]) if "stopped" not in one["text"]]
        assert "confirm" in asked["subject"] or "your code is" in asked["text"]
        assert len(told) == len(row["messages"])
        assert bool(told) == bool(row["due"])
        for one in told:
            assert one["kind"] == ("email" if row["channel"] == "email" else "sms_out")
            if row["channel"] == "email":
                assert one["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "for H-" in ran("mailbox")


def decided_again(ran: Ran, name: str) -> list[dict[str, Any]]:
    """What the backtest says of each change for a subscription."""
    return ran.rows("rules", "backtest", "--subscription", name, "--since", ran.since.isoformat(), "--why")


def agree(ran: Ran, clickhouse: ClickHouse, name: str) -> None:
    """Waits until what was told to a subscription is what the backtest tells. The demo goes on: what becomes due between the
    two questions is in both when they are asked again."""

    def differing() -> set[str]:
        told = "SELECT arrayJoin(changes) AS change FROM notifications WHERE subscription = {name:String}"
        really = {one["change"] for one in clickhouse.query(told, {"name": name})}
        return really ^ {one["change_id"] for one in decided_again(ran, name) if one["notification"]}

    eventually(lambda: not differing(), lambda: f"told, or told by the backtest, and not both: {sorted(differing())}")


@pytest.mark.stack
@pytest.mark.timeout(400)
def test_what_was_decided_live_is_decided_so_again_by_the_backtest(ran: Ran) -> None:
    """Each change, told or not; and by messages of the very same ids where no wait was cut differently."""
    clickhouse, asked = connect(ran.settings, "reader"), 0
    try:
        for row in ran.result["alerts"]:
            if row["fate"] != "told":
                continue
            name = ran.subscription(row["address"])["subscription"]
            agree(ran, clickhouse, name)
            why = decided_again(ran, name)
            assert len([one for one in why if one["notification"] is None]) > 100, "nothing of the loaded history is news"
            asked += 1
    finally:
        clickhouse.close()
    assert asked >= 4


def says(page: str, words: str) -> bool:
    """Whether a page of the console holds these words."""
    return words in httpx.get(page, trust_env=False, timeout=30).text


@pytest.mark.stack
@pytest.mark.timeout(300)
def test_any_of_fifty_notifications_can_be_explained_sent_or_suppressed(ran: Ran) -> None:
    """More people, more news; some are paused while the kill switch holds their messages back, some have a small budget."""
    crowd = Crowd(ran)
    first, second = crowd.news[:2]
    crowd.subscribe()
    crowd.say(first)
    until(lambda: crowd.told() >= len(crowd.ids), "the first news is sent to all")
    ran("alerts", "pause", "a test")
    console = f"http://127.0.0.1:{environment.read(ran.folder)['LOVLA_CONSOLE_PORT']}"
    for page in ("/health", "/messages"):
        until(functools.partial(says, console + page, "PAUSED since"), f"{page} says so")
    status = CliRunner().invoke(assemble("status"), ["status", "--state-dir", str(ran.folder)])
    assert "alerts: PAUSED since" in status.output, status.output
    crowd.say(second)
    until(lambda: crowd.made() >= 2 * len(crowd.ids), "the second news is due to all")
    for name in crowd.ids[:4]:
        ran("subscriptions", "pause", name, "--as", world.OPERATOR)
    ran("alerts", "resume")
    until(lambda: crowd.told() + crowd.suppressed() >= 2 * len(crowd.ids), "the second news is sent, or held back")

    rows = crowd.ask("SELECT DISTINCT notification FROM notifications ORDER BY notification")
    chosen = random.Random(4711).sample([row["notification"] for row in rows], EXPLAINED)
    states = set()
    for notification in chosen:
        links = ran.rows("explain", notification)
        kinds = [link["what"] for link in links]
        (message,) = [link for link in links if link["what"] == "message"]
        if message["text"].startswith(("alert", "digest")):
            assert {"bytes", "change", "delivery"} <= set(kinds), links
            assert kinds[0] == "bytes" and re.search(r"sha256 [0-9a-f]{64}$", links[0]["where"]), links
        else:
            assert {"consent", "delivery"} <= set(kinds), links
        states.add(links[-1]["text"].partition(": ")[2])
    assert any(state.startswith("suppressed (") for state in states), states
    assert states & {"accepted", "delivered"}, states

    for row in ran.result["alerts"]:
        if row["fate"] in ("digest", "quiet", "paused", "unconfirmed"):
            links = ran.rows("explain", second.consignments[0].name, "--for", ran.subscription(row["address"])["subscription"])
            assert links and {link["what"] for link in links} == {"held"}, links
    became = {row["subscription"]: row for row in ran.rows("explain", second.consignments[0].name)}
    assert any(row["messages"] for row in became.values()), became
    assert all(row["messages"] or row["why"] for row in became.values()), became
    for one in (ran.mail(crowd.addresses[-1])[-1], ran.mail(crowd.addresses[0])[-1]):
        assert "delivery" in [link["what"] for link in ran.rows("explain", one["ref"])], "what is in hand leads to the chain"


@pytest.mark.stack
@pytest.mark.timeout(60)
def test_an_sms_takes_care_a_stop_stops_and_start_takes_it_back(ran: Ran) -> None:
    (trucker,) = [row for row in ran.result["alerts"] if row["fate"] == "told" and row["channel"] == "sms"]
    assert "noted" in ran("mailbox", "reply", trucker["address"], "ACK 4711"), "the alerts' door told it to the way in"
    assert "stopped" in ran("mailbox", "reply", trucker["address"], "Stop texting me please")
    stopped = ran.subscription(trucker["address"])
    assert (stopped["state"], stopped["suppressed"]) == ("stopped", "stopped")
    assert "begin again" in ran("mailbox", "reply", trucker["address"], "START")
    assert ran.subscription(trucker["address"])["state"] == "active"


class Crowd:
    """People who want to know when customs release something, by SMS and by mail."""

    def __init__(self, ran: Ran) -> None:
        told = json.loads((ran.folder / "demo.json").read_text())
        self.ran, self.ids = ran, list[str]()
        self.news = releases(build(told["seed"], told["size"], datetime.fromisoformat(told["now"])).scenario)
        self.addresses = [f"+1213555{n:04}" for n in range(200, 200 + PHONES)] + [f"c{n}@crowd.example" for n in range(MAILS)]
        self.keys = {file.name: file.read_text().strip() for file in (ran.folder / "keys").iterdir()}
        self.clickhouse: ClickHouse = connect(ran.settings, "reader")

    def subscribe(self) -> None:
        known = self.known()
        names = [name for news in self.news[:2] for name in (news.consignments[0].name,)]
        options = [word for name in names for word in ("--consignment", name)] + ["--as", world.OPERATOR]
        for address in self.addresses:
            (made,) = self.ran.rows("subscriptions", "add", address, *options)
            self.ids.append(made["subscription"])
        until(lambda: all(self.ran.mail(address) for address in self.addresses), "all are asked to confirm")
        port = environment.read(self.ran.folder)["LOVLA_ALERTS_PORT"]
        for address, name in zip(self.addresses, self.ids, strict=True):
            (asked,) = self.ran.mail(address)
            if asked["kind"] == "sms_out":
                code = re.search(r"\b\d{6}\b", asked["text"])
                assert code is not None
                self.ran("subscriptions", "confirm", name, code[0], "--as", world.OPERATOR)
            else:
                link = re.search(r"https?://\S+(/confirm/\S+)", asked["text"])
                assert link is not None
                until(lambda path=link[1]: httpx.post(f"http://127.0.0.1:{port}{path}").is_success, "confirmed")  # type: ignore[misc]  # a default of a lambda has no type
        until(
            lambda: self.known() >= known + len(self.ids), "the worker knows of them all: what comes sooner is no news to them"
        )

    def known(self) -> int:
        """How many active subscriptions the worker has read."""
        port = environment.read(self.ran.folder)["LOVLA_STACK_ALERTS_WORKER_PORT"]
        page = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
        found = re.search(r'^lovla_alerts_subscriptions\{state="active"\} ([0-9.]+)$', page, re.M)
        return int(float(found[1])) if found else 0

    def say(self, news: News) -> None:
        async def push() -> None:
            pusher = Pusher(f"http://{self.ran.settings.api_host}:{self.ran.settings.api_port}", self.keys)
            try:
                for message in speak(news.at(datetime.now(UTC)), datetime.now(UTC)):
                    await pusher.push(message, backfill=False)
            finally:
                await pusher.close()

        asyncio.run(push())

    def made(self) -> int:
        return self._count(f"SELECT uniqExact(notification) AS n FROM ({NEWS})")

    def told(self) -> int:
        """Messages that the provider has."""
        return self._handed("accepted")

    def suppressed(self) -> int:
        return self._handed("suppressed")

    def ask(self, sql: str) -> list[dict[str, Any]]:
        return self.clickhouse.query(sql, {"ids": self.ids})

    def _handed(self, state: str) -> int:
        return self._count(
            f"SELECT uniqExact(notification) AS n FROM deliveries WHERE state = '{state}' AND notification IN ({NEWS})"
        )

    def _count(self, sql: str) -> int:
        return int(self.ask(sql)[0]["n"])
