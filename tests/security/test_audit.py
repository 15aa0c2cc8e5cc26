"""The audit of our dependencies: what fails a build, what is let through, what is only a warning."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

import pytest

from deploy.setup import audit

TODAY = date(2026, 11, 21)
ENTRY = '[[allowed]]\nid = "CVE-2026-1"\nreason = "not called"\nuntil = 2026-11-21\n'


def report(*vulnerabilities: dict[str, Any]) -> dict[str, Any]:
    return {"dependencies": [{"name": "leaky", "version": "1.0", "vulns": list(vulnerabilities)}]}


KNOWN = {"id": "PYSEC-2026-9", "aliases": ["CVE-2026-1"], "fix_versions": ["1.1"], "description": "..."}


def test_a_known_vulnerability_fails_with_its_id() -> None:
    (failing,) = audit.judge(report(KNOWN), [], TODAY).failing
    assert failing == "leaky 1.0: PYSEC-2026-9 = CVE-2026-1 (fixed in 1.1)"


def test_one_that_is_let_through_with_a_reason_passes_until_its_last_day() -> None:
    let = audit.allowed(ENTRY)
    assert audit.judge(report(KNOWN), let, TODAY).failing == []
    assert "not called" in audit.judge(report(KNOWN), let, TODAY).let_through[0]
    (failing,) = audit.judge(report(KNOWN), let, date(2026, 11, 22)).failing
    assert "until 2026-11-21" in failing
    assert audit.judge(report(KNOWN | {"id": "PYSEC-2026-8", "aliases": []}), let, TODAY).failing != []


def test_an_entry_without_reason_or_last_day_is_refused() -> None:
    for line in ('reason = "not called"\n', "until = 2026-11-21\n"):
        with pytest.raises(KeyError):
            audit.allowed(ENTRY.replace(line, ""))


def test_packages_that_nobody_looked_up_are_not_called_sound() -> None:
    said = {"dependencies": [{"name": "a", "skip_reason": "not found"}, {"name": "b", "version": "1", "vulns": []}]}
    verdict = audit.judge(said, [], TODAY)
    assert (verdict.unknown, verdict.looked_up, verdict.failing) == (["a"], 1, [])


def test_what_is_let_through_today_is_well_formed() -> None:
    assert all(entry.reason and entry.until for entry in audit.allowed(audit.ALLOWED.read_text(encoding="utf-8")))


def test_the_bill_of_materials_lists_every_package_of_the_lock_with_its_hashes() -> None:
    lock = audit.LOCK.read_text(encoding="utf-8")
    parts = audit.bill_of_materials(lock)["components"]
    assert {f"{part['name']}=={part['version']}" for part in parts} == set(
        re.findall(r"^[A-Za-z0-9._-]+==[^ \\;]+", lock, re.M)
    )
    assert sum(len(part["hashes"]) for part in parts) == lock.count("--hash=sha256:")
    assert all(part["hashes"] for part in parts)
    assert json.dumps(audit.bill_of_materials(lock)) == json.dumps(audit.bill_of_materials(lock))


def test_the_auditor_itself_is_pinned_with_hashes() -> None:
    lock = audit.TOOL_LOCK.read_text(encoding="utf-8")
    assert re.search(r"^pip-audit==", lock, re.M)
    assert all(part["hashes"] for part in audit.bill_of_materials(lock)["components"])
