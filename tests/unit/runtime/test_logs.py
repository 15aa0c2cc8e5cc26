"""Logs: one JSON line an event on stderr, libraries' too, and no secret in them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from services.runtime import logs

CANARY = "c4n4ry"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    out, err = capsys.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def test_a_line_says_service_event_time_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup("readers")
    logs.get("loop").info("loop.rebalanced", partitions=["a-0"])
    [line] = lines(capsys)
    assert {k: line[k] for k in ("service", "event", "level", "logger", "partitions")} == {
        "service": "readers",
        "event": "loop.rebalanced",
        "level": "info",
        "logger": "loop",
        "partitions": ["a-0"],
    }
    assert str(line["timestamp"]).endswith("Z")


@pytest.mark.parametrize(
    "say",
    [
        lambda log: log.info("x", password=CANARY),
        lambda log: log.info("x", request={"headers": {"Authorization": f"Bearer {CANARY}"}}),
        lambda log: log.info("x", text=f"Authorization: Bearer {CANARY}"),
        lambda log: log.info("x", text=f"LOVLA_CLICKHOUSE_WRITER_PASSWORD={CANARY}"),
        lambda log: log.info("x", text=f"Basic {CANARY}"),
        lambda log: log.info("x", items=[f"api_key={CANARY}&a=b"]),
        lambda log: log.info("x", url=f"http://user:{CANARY}@127.0.0.1/"),
        lambda log: log.info(f"token: '{CANARY}'"),
        lambda _: logging.getLogger("library").warning("password=%s", CANARY),
    ],
)
def test_no_secret_reaches_the_log(capsys: pytest.CaptureFixture[str], say: object) -> None:
    logs.setup("api")
    say(logs.get("api"))  # type: ignore[operator]  # one of the lambdas above
    text = json.dumps(lines(capsys))
    assert CANARY not in text
    assert logs.STRUCK in text


def test_a_traceback_is_struck_too_and_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup("api")
    try:
        raise ValueError(f"secret={CANARY}\nsecond line")
    except ValueError:
        logs.get("api").exception("failed")
    [line] = lines(capsys)
    assert "ValueError" in str(line["exception"]) and CANARY not in str(line)


def test_a_forged_line_stays_inside_its_field(capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup("api")
    logs.get("api").info("x", text='ok"}\n{"event": "forged"}')
    [line] = lines(capsys)
    assert line["event"] == "x"


def test_without_set_up_nothing_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    logs.get("cli").warning("cli.odd", text="x")
    assert capsys.readouterr().out == ""
