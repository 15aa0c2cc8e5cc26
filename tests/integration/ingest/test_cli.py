"""The verbs, as a person types them, against the real door."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.shipment_event_v1 import ControlRecord
from schemas.topics import DEAD_LETTERS, PARKED, RAW_MESSAGES, SHIPMENT_EVENTS
from services.ingest.retrying import UNPARK
from services.runtime import kafka
from services.runtime.register import write
from services.runtime.settings import Settings
from tests.integration.ingest.conftest import Lovla, Process, said
from tests.integration.ingest.records import read_all
from tests.integration.ingest.test_door import DCSA_EVENT
from tests.unit.ingest.test_api import DECLARATION
from tests.waiting import eventually


def test_a_carrier_is_added_pushes_and_is_revoked(lovla: Lovla, settings: Settings, tmp_path: Path) -> None:
    (made,) = said(lovla("carriers", "add", "CLIA", "--kind", "ocean_carrier", "--scac", "CLIA", "--json"))
    kept = settings.state_dir / "keys" / "CLIA"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert kept.read_text().strip() == made["key"]
    message = tmp_path / "event.json"
    message.write_text(json.dumps([DCSA_EVENT]))
    eventually(lambda: lovla("push", message, "--carrier", "CLIA").exit_code == 0)
    (taken,) = said(lovla("push", message, "--carrier", "CLIA", "--json"))
    assert taken["accepted"] == 1
    assert "discharged" in lovla("push", message, "--carrier", "CLIA").stdout
    assert lovla("carriers", "revoke", made["key"]).exit_code == 0
    eventually(lambda: lovla("push", message, "--carrier", "CLIA").exit_code == 1)
    assert "unknown, revoked or expired" in lovla("push", message, "--carrier", "CLIA").stderr


def test_a_senders_mailboxes_are_set_without_a_new_key_and_are_its_alone(lovla: Lovla) -> None:
    lovla("carriers", "add", "CLIM", "--kind", "trucker", "--edi-id", "ZZ:CLIM1", "--no-save")
    (was,) = [row for row in said(lovla("carriers", "list", "--json")) if row["code"] == "CLIM"]
    (now,) = said(lovla("carriers", "set", "CLIM", "--edi-id", "zz:clim1", "--edi-id", "555 12", "--json"))
    assert (was["edi_ids"], now["edi_ids"]) == (["ZZ:CLIM1"], ["ZZ:CLIM1", "555 12"])
    (row,) = [row for row in said(lovla("carriers", "list", "--json")) if row["code"] == "CLIM"]
    assert row["keys"] == was["keys"]
    refused = lovla("carriers", "add", "CLIN", "--kind", "trucker", "--edi-id", "555 12", "--no-save")
    assert refused.exit_code == 1 and "mailbox of CLIM" in refused.stderr
    assert lovla("carriers", "set", "CLIM", "--edi-id", "").exit_code == 0
    assert lovla("carriers", "set", "NOBODY", "--edi-id", "A").exit_code == 1


def test_two_keys_are_live_while_one_is_rotated_and_no_third(lovla: Lovla) -> None:
    lovla("carriers", "add", "CLIB", "--kind", "airline", "--no-save")
    assert lovla("carriers", "rotate", "CLIB", "--no-save").exit_code == 0
    refused = lovla("carriers", "rotate", "CLIB", "--no-save")
    assert refused.exit_code == 1
    assert "revoke one first" in refused.stderr
    (row,) = [row for row in said(lovla("carriers", "list", "--json")) if row["code"] == "CLIB"]
    assert len(row["keys"]) == 2


def test_a_buyer_registers_a_file_and_sees_what_became_of_it(lovla: Lovla, readers: Process, tmp_path: Path) -> None:
    lovla("carriers", "add", "CLIC", "--kind", "buyer")
    table = tmp_path / "consignments.csv"
    table.write_text("consignment,category,quantity,tier\nCLIC-1,gown,5,1\nCLIC-2,gown,5,9\n")
    eventually(lambda: lovla("register", table, "--as", "CLIC", "--wait", 0).exit_code == 0)
    (taken,) = said(lovla("register", table, "--as", "CLIC", "--json", "--wait", 0))
    assert (taken["accepted"], taken["rejected"]) == (1, 1)

    def state() -> str:
        (found,) = said(lovla("receipts", "show", taken["receipt"], "--as", "CLIC", "--json"))
        return str(found["state"])

    eventually(lambda: state() == "read")
    assert "row 3" in lovla("register", table, "--as", "CLIC", "--wait", 0).stdout


def test_people_act_with_the_operators_key(lovla: Lovla, tmp_path: Path) -> None:
    lovla("carriers", "add", "OPS", "--kind", "operator")
    body = tmp_path / "one.json"
    body.write_text(json.dumps(DECLARATION))
    eventually(lambda: lovla("register", body, "--wait", 0).exit_code == 0)
    now = datetime.now(UTC).isoformat()
    for words in (
        ("record", "LACDHS-0001", "arrived", "--at", now, "--unlocode", "USLAX", "--by", "José"),
        ("link", "LACDHS-0001", "booking", "BK100", "--wait", "0"),
        ("unlink", "LACDHS-0001", "booking", "BK100", "--wait", "0"),
        ("appoint", "LACDHS-0001", "trucker", "HBRT", "--wait", "0"),
        ("receive", "LACDHS-0001", "1=4,short=1", "--at", now, "--wait", "0"),
    ):
        result = lovla(*words, "--json")
        assert result.exit_code == 0, result.output + result.stderr
    assert lovla("record", "LACDHS-0001", "arrived", "--at", "2020-01-01T00:00:00").exit_code == 1


def test_a_load_begins_and_ends(lovla: Lovla) -> None:
    lovla("carriers", "add", "OPS2", "--kind", "operator")
    eventually(lambda: lovla("load", "begin", "--as", "OPS2").exit_code == 0)
    assert said(lovla("load", "end", "--as", "OPS2", "--json")) == [{"loading_since": None}]
    assert "No load has begun" in lovla("load", "end", "--as", "OPS2").stderr


def test_a_dcsa_callback_is_made_and_rotated(lovla: Lovla) -> None:
    lovla("carriers", "add", "CLID", "--kind", "ocean_carrier", "--no-save")
    (made,) = said(lovla("carriers", "callback", "CLID", "--json"))
    assert made["path"].startswith("/v2/dcsa/")
    (rotated,) = said(lovla("carriers", "callback", "CLID", "--rotate", "--json"))
    assert (rotated["subscription_id"], rotated["secret"] != made["secret"]) == (made["subscription_id"], True)


def test_the_demos_registers_are_imported(lovla: Lovla, settings: Settings) -> None:
    had = {file.name for file in (settings.state_dir / "keys").glob("*")}  # others made keys for senders of theirs
    for row in said(lovla("carriers", "list", "--json")):
        for key in (key for key in row["keys"] if row["code"] not in had and not key.endswith("dead)")):
            lovla("carriers", "revoke", key.partition("(")[0])
    data = Path(__file__).parents[3] / "demo" / "data"
    senders = said(lovla("carriers", "import", data / "senders.csv", "--keys", "--json"))
    facilities = said(lovla("facilities", "import", data / "facilities.csv", "--json"))
    assert len(said(lovla("facilities", "list", "--json"))) >= len(facilities) > 0
    assert all((row["key"] == "made and kept") == (row["code"] not in had) for row in senders)
    assert all(row["key"] == "" for row in said(lovla("carriers", "import", data / "senders.csv", "--keys", "--json")))


def test_what_is_wrong_is_one_sentence(lovla: Lovla, tmp_path: Path) -> None:
    for words in (
        ("push", tmp_path / "nothing.json", "--carrier", "NOBODY"),
        ("push", Path(__file__), "--carrier", "NOBODY"),
        ("carriers", "add", "NEW"),
        ("carriers", "add", "A-B", "--kind", "buyer"),
        ("carriers", "add", "lower", "--kind", "airline"),
        ("carriers", "add", "GOOD", "--kind", "airline", "--scope", "everything"),
        ("carriers", "revoke", "abcdefghij12"),
        ("carriers", "callback", "NOBODY"),
        ("receive", "LACDHS-1", "one=2"),
    ):
        result = lovla(*words)
        assert result.exit_code == 1, words
        assert result.stderr.startswith("lovla: "), words
        assert len(result.stderr.splitlines()) == 1
        assert "Traceback" not in result.output


def test_a_parked_sender_waits_aside_until_it_is_retried(
    lovla: Lovla, settings: Settings, folder: Path, tmp_path: Path
) -> None:
    lovla("carriers", "add", "CLIE", "--kind", "ocean_carrier")
    lovla("carriers", "add", "OPS", "--kind", "operator")
    parked = ControlRecord(control="parked", raw_partition=0, at=datetime.now(UTC), sender="CLIE")
    write(kafka.producer(settings, "lovla-test"), PARKED.name, "CLIE", parked)
    stage = Process("services.ingest.readers_stage", settings, folder / "parked.log")
    message = tmp_path / "event.json"
    message.write_text(json.dumps([DCSA_EVENT]))

    def values(topic: str) -> list[dict[str, Any]]:
        return [json.loads(record.value or b"") for record in read_all(settings, topic) if record.key == b"CLIE"]

    try:
        eventually(lambda: lovla("push", message, "--carrier", "CLIE").exit_code == 0)
        eventually(lambda: [letter["reason"] for letter in values(DEAD_LETTERS.name)] == ["parked"])
        assert values(SHIPMENT_EVENTS.name) == []
        (said_so,) = said(lovla("retry", "CLIE", "--json"))
        assert said_so["retried"] == 1
        eventually(lambda: len(values(SHIPMENT_EVENTS.name)) == 1)
        assert [record.value for record in read_all(settings, PARKED.name)][-1] is None
    finally:
        assert stage.stop() == 0
    first, again = (
        record for record in read_all(settings, RAW_MESSAGES.name) if record.key == b"CLIE" and record.value != UNPARK
    )
    received_at = datetime.fromisoformat(values(SHIPMENT_EVENTS.name)[0]["received_at"])
    assert received_at.timestamp() * 1000 == pytest.approx(first.timestamp_ms, abs=1)
    assert again.timestamp_ms > first.timestamp_ms
