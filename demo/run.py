"""One run of the demo, step by step: a stack of its own, registers and keys, the history, the check, the simulator."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from demo import world
from demo.alerts import Heard, People, Subscriber, Unheard, cast
from demo.build import Demo, build
from demo.check import Comparison, Counts, Questions, compare
from demo.live import go_on
from demo.messages import Message, speak
from demo.news import News, Scene, found
from demo.push import Callback, Pusher, Refused
from deploy.local import environment
from deploy.local.errors import StackError
from deploy.local.kafka import SHORT_LIVED
from deploy.local.lag import lags
from deploy.local.stack import KAFKA_JVM, Stack
from services.cli import assemble
from services.runtime.settings import Settings, SettingsError
from services.runtime.terminal import PIPED_WIDTH

MARKER = "demo.json"
CALLBACK_SENDER = "ONEY"
"""Pushes by DCSA callback once live; a callback cannot say when a message was received, so its history goes by key."""
SCOPES, OPERATOR_SCOPES = "push,register,backfill,alerts", "operator,push,register"
PATIENCE_S = 300.0
STEADY_S = 20.0
"""Without any change for this long after all has arrived, what is missing is missing."""
POLL_S = 1.0
MARKERS = 4
"""A group that has read everything still counts as behind by the last transaction's end marker in each partition."""
QUIET_S = 1.5
"""After all that is due came: time for what must not come."""
ASKED_S = 10.0
"""What did not come by then is asked after."""
COLLECTED_S = 360.0
"""A message that waits for more of the same cause comes within five minutes (docs/alerts.md, rule 5), and some for itself."""
COLLECTED = "more of the same cause is collected"
SHOWN = 10
"""Lines of each table; each says below how many more there are, and in whose zone its times are."""


class Stop(Exception):
    """The demo cannot go on; the text is one sentence that says what to do."""


def run(state_dir: Path, size: int, seed: int, live: bool, as_json: bool) -> bool:
    """The whole demo; whether exactly what was planted was found, and everybody told what they should. Raises Stop."""
    try:
        return _Run(state_dir, size, seed, as_json).all(live)
    except (Refused, Unheard, SettingsError, ConnectionError, OSError) as error:
        raise Stop(str(error)) from error
    except ExceptionGroup as group:
        raise Stop(str(group.exceptions[0])) from group


def go_live(state_dir: Path, every_s: float, hours: float) -> None:
    """The simulator, until its time is over. Raises Stop when the stack is down."""
    try:
        told = json.loads((state_dir / MARKER).read_text())
        settings = Settings.load(state_dir)
        made = build(told["seed"], told["size"], datetime.fromisoformat(told["now"]))
    except (FileNotFoundError, SettingsError, ValueError, KeyError):
        raise Stop(f"there is no demo in {state_dir}; run `lovla demo` first") from None

    async def simulate() -> None:
        pusher = Pusher(_address(settings), _keys(state_dir), _callbacks(state_dir))
        try:
            await go_on(
                made.scenario, pusher, _now, every_s, hours * 3600, lambda line: typer.echo(f"{_now():%H:%M:%S} {line}")
            )
        finally:
            await pusher.close()

    with contextlib.suppress(KeyboardInterrupt):
        try:
            asyncio.run(simulate())
        except Refused as error:
            raise Stop(f"the simulator ends: {error}") from None


def stop(state_dir: Path) -> None:
    """End the simulator and the stack of the demo in `state_dir`. Raises Stop if the stack does not end."""
    _end_live(state_dir)
    if _start(state_dir, "down").wait() != 0:
        raise Stop(f"the stack in {state_dir} does not stop; see `lovla status --state-dir {state_dir}`")


def _end_live(state_dir: Path) -> None:
    if not (state_dir / MARKER).exists():
        raise Stop(f"there is no demo in {state_dir}")
    with contextlib.suppress(FileNotFoundError, ValueError, psutil.Error):
        process = psutil.Process(int((state_dir / "live.pid").read_text()))
        if {"demo", "live"} <= set(process.cmdline()):  # the number may be somebody else's by now
            process.terminate()
            process.wait(10)


def _start(state_dir: Path, *verb: str, **options: object) -> subprocess.Popen[str]:
    """A verb of `lovla` as a process of its own, on the demo's folder; its talk goes to stderr unless it is captured."""
    told = os.environ | {"LOVLA_STATE_DIR": str(state_dir), "LOVLA_CONSOLE_DEMO": "1"}  # whoever comes is its planner
    command = [sys.executable, "-c", "from services.cli import main; main()", *verb]
    talk: dict[str, object] = {"stdout": sys.stderr} | options
    return subprocess.Popen(command, env=told, text=True, **talk)  # type: ignore[call-overload,no-any-return]  # noqa: S603  # our own verbs


def _said(state_dir: Path, *verb: str) -> tuple[int, str]:
    """The exit code of a verb of `lovla` on the demo's folder, and what it said, as through a pipe. It runs in this process,
    which has most of what verbs need: one of its own costs a second more of CPU."""
    with (
        _environment(LOVLA_STATE_DIR=str(state_dir), COLUMNS=str(PIPED_WIDTH)),
        contextlib.redirect_stdout(io.StringIO()) as said,
    ):
        code = assemble(verb[0])(list(verb), prog_name="lovla", standalone_mode=False)
    return code or 0, said.getvalue()


@contextlib.contextmanager
def _environment(**settings: str) -> Iterator[None]:
    """The environment with these settings, for as long as the block."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _now() -> datetime:
    return datetime.now(UTC)


def _address(settings: Settings) -> str:
    return f"http://{settings.api_host}:{settings.api_port}"


def _keys(state_dir: Path) -> dict[str, str]:
    """The keys that `lovla carriers import --keys` kept."""
    return {file.name: file.read_text().strip() for file in (state_dir / "keys").iterdir()}


def _callbacks(state_dir: Path) -> dict[str, Callback]:
    file = state_dir / "callback.json"
    return {CALLBACK_SENDER: Callback(**json.loads(file.read_text()))} if file.exists() else {}


def _as_row(one: Heard, why: Mapping[str, str]) -> dict[str, object]:
    by, address = one.subscriber.channel, one.subscriber.address
    told = {"who": one.subscriber.who, "fate": one.subscriber.fate, "channel": by, "address": address, "due": sorted(one.due)}
    return told | {"messages": [message.number for message in one.messages], "why": why.get(address), "wrong": list(one.wrong)}


def at_hand(state_dir: Path, prefix: str = sys.prefix) -> Sequence[str]:
    """What to type first, in whatever folder one is: so that the shell finds `lovla` (if it does not yet), and the verbs this
    stack. `prefix`: where Python is installed."""
    activate = Path(prefix) / "bin" / "activate"
    found = shutil.which("lovla")
    known = found is not None and Path(found).parent == activate.parent
    find = () if known or not activate.exists() else (f". {shlex.quote(str(activate))}   # so that your shell finds `lovla`",)
    return (*find, f"export LOVLA_STATE_DIR={shlex.quote(str(state_dir.resolve()))}   # so that the verbs ask this stack")


class _Run:
    """One run, step by step."""

    def __init__(self, state_dir: Path, size: int, seed: int, as_json: bool) -> None:
        self.state_dir, self.size, self.seed, self.as_json = state_dir, size, seed, as_json
        self.console = Console(stderr=True, highlight=False)
        self.began = time.monotonic()

    def all(self, live: bool) -> bool:
        """Every step in order; whether exactly what was planted was found, and everybody told what they should."""
        self.empty()
        self.step("starting the stack")
        # where it serves is said at the end, with what is the demo's own: no sign-in, another way to stop
        stack = _start(self.state_dir, "up", stdout=subprocess.DEVNULL)
        self.step(f"drawing {self.size} consignments (seed {self.seed})")
        with ThreadPoolExecutor(1, "registers") as aside:  # whoever draws computes, whoever registers waits for servers
            registered = aside.submit(self.registers_of, stack)
            made = build(self.seed, self.size, _now() - timedelta(minutes=1))
            self.remember(made)
            registered.result()
        settings = Settings.load(self.state_dir)
        self.step(f"pushing {sum(len(m.says) for m in made.messages)} events in {len(made.messages)} messages")
        scene = found(made.scenario)
        people = self.people(scene) if scene is not None else None
        loaded_at = asyncio.run(self.push(settings, made, scene, people))
        comparison, counts = self.wait(settings, made, loaded_at)
        heard = [] if scene is None or people is None else asyncio.run(self.alerts(settings, scene, people))
        why = {} if scene is None or people is None else self.why_not(scene, people)
        self.tell(made, comparison, counts, heard, why)
        if live:
            self.leave_live()
        self.look_further(settings, people, live)
        return comparison.good and counts.letters == made.letters and not any(one.wrong for one in heard)

    def step(self, text: str) -> None:
        self.console.print(f"{time.monotonic() - self.began:6.1f} s  {text}", markup=False)

    def empty(self) -> None:
        """Stop and wipe what an earlier demo left in the folder; refuse a folder that no demo made."""
        if self.state_dir.exists() and any(self.state_dir.iterdir()):
            if not (self.state_dir / MARKER).exists():
                raise Stop(f"{self.state_dir} was not made by a demo; give another folder with --state-dir")
            self.step(f"stopping and emptying {self.state_dir}, the demo of before")
            _end_live(self.state_dir)
            try:
                Stack(self.state_dir).discard()
            except StackError as error:
                raise Stop(str(error)) from None
        self.state_dir.mkdir(parents=True, exist_ok=True)
        (self.state_dir / MARKER).write_text("{}")
        environment.write(self.state_dir, {KAFKA_JVM: " ".join(SHORT_LIVED)})  # `up` adds the rest

    def remember(self, made: Demo) -> None:
        """What `lovla demo live` needs to draw the same scenario."""
        kept = {"seed": self.seed, "size": self.size, "now": made.scenario.now.isoformat()}
        (self.state_dir / MARKER).write_text(json.dumps(kept))

    def ask(self, *verbs: tuple[str, ...]) -> list[str]:
        """What verbs say, one after the other; raises Stop if one fails."""
        said = []
        for verb in verbs:
            code, text = _said(self.state_dir, *verb)
            if code != 0:
                raise Stop(f"`lovla {' '.join(verb)}` failed; its own words stand above")
            said.append(text)
        return said

    def registers_of(self, stack: subprocess.Popen[str]) -> None:
        """Once it serves: facilities, senders with their keys, the callback, through the same verbs that a user has."""
        if stack.wait() != 0:
            raise Stop("the stack did not start; its own words stand above, and `lovla doctor` looks for the cause")
        self.step("registering facilities and senders, making keys")
        header, *rows = (world.DATA / "senders.csv").read_text(encoding="utf-8").splitlines()
        operators = [row for row in rows if row.split(",")[1] == "operator"]
        verbs: list[tuple[str, ...]] = [("facilities", "import", str(world.DATA / "facilities.csv"))]
        for name, chosen, scopes in (
            ("senders.csv", [row for row in rows if row not in operators], SCOPES),
            ("operators.csv", operators, OPERATOR_SCOPES),
        ):
            file = self.state_dir / name
            file.write_text("\n".join([header, *chosen]) + "\n", encoding="utf-8")
            verbs.append(("carriers", "import", str(file), "--keys", "--scope", scopes))
        self.ask(*verbs)
        (said,) = self.ask(("carriers", "callback", CALLBACK_SENDER, "--json"))
        told = json.loads(said)
        kept = {"path": told["path"], "subscription_id": told["subscription_id"], "secret": told["secret"]}
        file = self.state_dir / "callback.json"
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(kept, out)

    def people(self, scene: Scene) -> People:
        """Who will subscribe."""
        told = environment.read(self.state_dir)
        door, provider = (f"http://127.0.0.1:{told[name]}" for name in ("LOVLA_ALERTS_PORT", "LOVLA_STACK_MAILBOX_PORT"))
        return People(self.state_dir / "mailbox", door, provider, _keys(self.state_dir), cast(scene, _now()))

    async def push(self, settings: Settings, made: Demo, scene: Scene | None, people: People | None) -> datetime:
        """Load begin, the history, load end; the moment after which the pipeline's time must have come.

        What carriers told goes first, registrations when it is read: so a consignment is judged once, on all its news, and
        nobody is told of an overdue that half a history seems to show; the journeys would end the same either way. A dock's
        receipt comes after that: the tracker refuses what is said of a consignment that it does not know.

        People subscribe meanwhile: what is loaded is history, and nobody may be told of it. The first news follows at once; it
        opens no exception.
        """
        pusher = Pusher(_address(settings), _keys(self.state_dir), _callbacks(self.state_dir))
        try:
            await pusher.operate("/v1/load/begin", world.OPERATOR)
            async with asyncio.TaskGroup() as group:
                if people is not None:
                    group.create_task(people.subscribe())
                await self.push_history(pusher, made, settings.kafka)
            loaded_at = _now()
            await pusher.operate("/v1/load/end", world.OPERATOR)
            if scene is not None:
                await self.say(pusher, scene.released)
        finally:
            await pusher.close()
        return loaded_at

    async def push_history(self, pusher: Pusher, made: Demo, kafka: str) -> None:
        with self.bar() as progress:
            bar = progress.add_task("pushing", total=len(made.messages))

            def done(_: Message) -> None:
                progress.advance(bar)

            for kind in ("message", "registration", "dock_receipt"):
                await pusher.push_all((m for m in made.messages if m.kind == kind), backfill=True, done=done)
                self.step(f"each {kind.replace('_', ' ')} is pushed; waiting until all of them are read")
                await asyncio.to_thread(self.await_readers, kafka)

    async def say(self, pusher: Pusher, *news: News) -> None:
        """Carriers say it now."""
        for one in news:
            self.step(f"news: {one.title}")
            for message in speak(one.at(_now()), _now()):
                await pusher.push(message, backfill=False)

    async def alerts(self, settings: Settings, scene: Scene, people: People) -> list[Heard]:
        """The first news is heard, STOP is said, the rest is said and heard."""
        missing = list[tuple[Subscriber, str]]()
        pusher = Pusher(_address(settings), _keys(self.state_dir), _callbacks(self.state_dir))
        try:
            if await people.until(lambda: not people.missing(scene.released)):
                await people.stop()
            news = (scene.slip, scene.hold, scene.released_later)
            await self.say(pusher, *news)
            # what a busy machine hears of in two parts is told in two messages, the second when its cause's window ends
            deadline, told = time.monotonic() + COLLECTED_S, False
            while missing := people.missing(*news):
                if await people.until(lambda: not people.missing(*news), ASKED_S):
                    break
                if await asyncio.to_thread(self.collected, people, missing) or time.monotonic() > deadline:
                    break
                if not told:
                    told = True
                    self.step("some news came late: it goes with a second message of its cause, within five minutes")
            await asyncio.sleep(QUIET_S)
        finally:
            await pusher.close()
        collected = bool(missing) and await asyncio.to_thread(self.collected, people, missing)
        return people.heard(scene, missing if collected else ())

    def collected(self, people: People, missing: Sequence[tuple[Subscriber, str]]) -> bool:
        """Whether all that nobody was told of yet goes with a second message of the same cause (docs/alerts.md, rule 5)."""
        words = (("explain", name, "--for", people.ids[one.address], "--json") for one, name in missing)
        return all(COLLECTED in said for said in self.ask(*words))

    def why_not(self, scene: Scene, people: People) -> dict[str, str]:
        """Address -> the rule that held something back, in the words of `lovla explain`, of those who were not told at once."""
        asked = [(one, about) for one in people.cast if (about := one.left_out_of(scene)) is not None]
        said = self.ask(*(("explain", about.name, "--for", people.ids[one.address], "--json") for one, about in asked))
        held: dict[str, str] = {}
        for (one, _), lines in zip(asked, said, strict=True):
            links = [json.loads(line) for line in lines.splitlines() if line]
            reasons = [link["text"] for link in links if link["what"] == "held"]
            if reasons:
                held[one.address] = reasons[-1].rpartition(": ")[2]
        return held

    def await_readers(self, bootstrap: str) -> None:
        """Until neither readers nor tracker are behind, twice in a row. Raises Stop if that takes too long."""
        deadline, still = time.monotonic() + PATIENCE_S, 0
        while time.monotonic() < deadline:
            with contextlib.suppress(StackError):  # too busy to answer at once
                behind = [one.behind for one in lags(bootstrap, of=("ingest.", "tracker"))]
                still = still + 1 if behind and max(behind) <= MARKERS else 0
                if still == 2:
                    return
            time.sleep(POLL_S / 4)
        raise Stop(f"the readers did not get through the history in {PATIENCE_S:.0f} s; see `lovla status` and the logs")

    def bar(self) -> Progress:
        columns = (TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        return Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)

    def wait(self, settings: Settings, made: Demo, loaded_at: datetime) -> tuple[Comparison, Counts]:
        """Ask until all is there and as expected, or until nothing has changed for a while."""
        self.step("waiting until the tracker has judged and ClickHouse has it")
        questions = Questions(settings)
        deadline, steady, last = time.monotonic() + PATIENCE_S, time.monotonic(), None
        total = len(made.messages) + len(made.consignments)
        try:
            with self.bar() as progress:
                bar = progress.add_task("arrived", total=total)
                while True:
                    counts = questions.counts()
                    progress.update(bar, completed=min(total, counts.raw + counts.journeys))
                    caught_up = (
                        counts.t is not None
                        and counts.t >= loaded_at
                        and counts.raw >= len(made.messages)
                        and counts.journeys >= len(made.consignments)
                        and counts.letters >= made.letters
                    )
                    seen = questions.seen() if caught_up else {}
                    comparison = compare(made.expected, seen)
                    state = (counts.raw, counts.journeys, counts.letters, caught_up, len(comparison.misses))
                    if state != last:
                        steady, last = time.monotonic(), state
                    settled = caught_up and (comparison.good or time.monotonic() - steady > STEADY_S)
                    if settled or time.monotonic() > deadline:
                        return comparison, counts
                    time.sleep(POLL_S)
        finally:
            questions.close()

    def tell(self, made: Demo, comparison: Comparison, counts: Counts, heard: Sequence[Heard], why: Mapping[str, str]) -> None:
        """The tables, and each miss with how to look."""
        seconds = round(time.monotonic() - self.began, 1)
        letters_good = counts.letters == made.letters
        if self.as_json:
            said = {
                "good": comparison.good and letters_good and not any(one.wrong for one in heard),
                "seconds": seconds,
                "consignments": len(made.consignments),
                "messages": len(made.messages),
                "events": sum(len(m.says) for m in made.messages),
                "dead_letters": {"expected": made.letters, "found": counts.letters},
                "kinds": [
                    {"kind": r.kind, "expected": r.expected, "found": r.found, "spurious": r.spurious} for r in comparison.rows
                ],
                "misses": [miss.sentence() for miss in comparison.misses],
                "alerts": [_as_row(one, why) for one in heard],
            }
            sys.stdout.write(json.dumps(said) + "\n")
            return
        table = Table("exception", "expected", "found", "spurious", "told and withdrawn", "", title="Found against planted")
        for row in comparison.rows:
            good = row.found == row.expected and not row.spurious
            mark = "[green]ok[/]" if good else "[red]wrong[/]"
            table.add_row(row.kind, str(row.expected), str(row.found), str(row.spurious), str(row.withdrawn), mark)
        table.add_row(
            "(unreadable)", str(made.letters), str(counts.letters), "", "", "[green]ok[/]" if letters_good else "[red]wrong[/]"
        )
        out = Console()
        out.print(table)
        for miss in comparison.misses[:40]:
            out.print(miss.sentence(), markup=False, soft_wrap=True)
        if len(comparison.misses) > 40:
            out.print(f"... and {len(comparison.misses) - 40} more (all with --json)")
        planted, found = sum(r.expected for r in comparison.rows), sum(r.found for r in comparison.rows)
        share = 100 * found / planted if planted else 100.0
        out.print(f"{found} of {planted} planted exceptions found ({share:.1f} %) after {seconds} s")
        if not heard:
            out.print("Nobody was told anything: too little is under way for news; take a larger --size.")
            return
        table = Table("subscriber", "by", "told of", "messages", "why not", "", title="Who was told what")
        for one in heard:
            mark = "[green]ok[/]" if not one.wrong else "[red]wrong[/]"
            by, names = one.subscriber.channel, ", ".join(sorted(one.due))
            reason = why.get(one.subscriber.address, "")
            table.add_row(one.subscriber.who, by, Text(names), str(len(one.messages)), Text(reason), mark)
        out.print(table)
        for one in heard:
            for text in one.wrong:
                out.print(f"{text}; look: lovla mailbox --to {one.subscriber.address}", markup=False, soft_wrap=True)

    def leave_live(self) -> None:
        """Start the simulator and leave it."""
        with (self.state_dir / "live.log").open("w") as log:
            process = _start(
                self.state_dir,
                "demo",
                "live",
                "--state-dir",
                str(self.state_dir),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (self.state_dir / "live.pid").write_text(str(process.pid))

    def look_further(self, settings: Settings, people: People | None, live: bool) -> None:
        """What the verbs say now, and what else to ask."""
        out = Console(stderr=self.as_json)
        for verb in ("delayed", "dwell", "feeds"):
            with contextlib.redirect_stderr(io.StringIO()):
                code, text = _said(self.state_dir, verb, "--limit", str(SHOWN))
            if code == 0:
                out.rule(f"lovla {verb}")
                out.print(text.rstrip("\n"), markup=False, soft_wrap=True)
        out.rule("look further")
        said: Sequence[str] = (
            *at_hand(self.state_dir),
            "lovla delayed --hospital H-HARBOR      lovla show CONSIGNMENT      lovla find CONTAINER",
            "lovla inbound      lovla dwell      lovla feeds      lovla unmatched",
            "lovla mailbox      lovla mailbox show NUMBER      lovla mailbox reply +12135550101 STOP      lovla alerts status",
            "lovla subscriptions list      lovla explain MESSAGE-ID      lovla explain CONSIGNMENT",
            *([f"Subscribe: {people.door}/subscribe"] if people is not None else []),
            f"API: {_address(settings)}/docs (OpenAPI: /openapi.json)",
            f"Console: http://127.0.0.1:{environment.read(self.state_dir)['LOVLA_CONSOLE_PORT']}/   # you are its demo planner",
            "lovla demo down   # stops all of it; data stays until the next demo",
        )
        out.print("\n".join(said), markup=False, soft_wrap=True)
        if live:
            out.print(f"Simulated carriers go on for 8 hours: {self.state_dir / 'live.log'}", markup=False, soft_wrap=True)
