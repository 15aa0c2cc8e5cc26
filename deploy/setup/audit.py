"""`make audit`: is any package of the lock known to be vulnerable? And the list of what is in it (SBOM). Standard library only.

pip-audit runs in an environment of its own (`.venv/audit`, from audit.lock with hashes), so that nothing of it is among what
we ship. A known vulnerability fails, unless audit.allowed.toml names it with a reason and a last day. No network, no
registry, or packages that nobody could look up: a warning that says so, since that is no fault of the change under test.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
LOCK = ROOT / "requirements.lock"
TOOL_LOCK = Path(__file__).with_name("audit.lock")
ALLOWED = Path(__file__).with_name("audit.allowed.toml")
ENVIRONMENT = ROOT / ".venv" / "audit"
SBOM = ROOT / "build" / "sbom.cdx.json"
PATIENCE_S = 180
"""A registry that hangs must not hold up the build."""


class NoAnswer(Exception):
    """The audit could not be made; the text says why."""


@dataclass(frozen=True)
class Allowed:
    """A vulnerability that does not fail the build until `until`, and why."""

    id: str
    reason: str
    until: date


@dataclass(frozen=True)
class Finding:
    """A known vulnerability of a pinned package. `names`: its id and aliases."""

    package: str
    version: str
    names: tuple[str, ...]
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        mend = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "no fixed release"
        return f"{self.package} {self.version}: {' = '.join(self.names)} ({mend})"


@dataclass(frozen=True)
class Verdict:
    """What the report says: what fails, what was let through, and which packages nobody looked up."""

    failing: Sequence[str]
    let_through: Sequence[str]
    unknown: Sequence[str]
    looked_up: int


def main() -> int:
    """Exit code 1 if a vulnerability is known; 0 otherwise, with a warning where it could not be told."""
    SBOM.parent.mkdir(exist_ok=True)
    SBOM.write_text(json.dumps(bill_of_materials(LOCK.read_text(encoding="utf-8")), indent=1) + "\n", encoding="utf-8")
    try:
        verdict = judge(_report(), allowed(ALLOWED.read_text(encoding="utf-8")), datetime.now(UTC).date())
    except NoAnswer as error:
        _say(f"warning: nothing was audited: {error}")
        return 0
    for line in verdict.let_through:
        _say(f"let through: {line}")
    for line in verdict.failing:
        _say(f"VULNERABLE: {line}")
    if verdict.unknown:
        some = ", ".join(verdict.unknown[:3])
        _say(f"warning: {len(verdict.unknown)} packages could not be looked up ({some}, ...)")
    _say(
        f"{verdict.looked_up} packages looked up, {len(verdict.failing)} vulnerabilities; list of all: {SBOM.relative_to(ROOT)}"
    )
    return 1 if verdict.failing else 0


def allowed(text: str) -> Sequence[Allowed]:
    """The entries of audit.allowed.toml; each has an id, a reason and a last day."""
    entries = tomllib.loads(text).get("allowed", [])
    return [Allowed(str(entry["id"]), str(entry["reason"]), entry["until"]) for entry in entries]


def judge(report: Mapping[str, Any], let: Iterable[Allowed], today: date) -> Verdict:
    """Of pip-audit's JSON report: what fails and what does not."""
    known = {entry.id: entry for entry in let}
    failing, let_through, unknown = [], [], []
    packages = report["dependencies"]
    for package in packages:
        if "skip_reason" in package:
            unknown.append(str(package["name"]))
            continue
        for said in package["vulns"]:
            names = (said["id"], *said.get("aliases", ()))
            finding = Finding(package["name"], package["version"], names, tuple(said.get("fix_versions", ())))
            entry = next((known[name] for name in names if name in known), None)
            if entry is None:
                failing.append(str(finding))
            elif today > entry.until:
                failing.append(f"{finding}; it was let through until {entry.until} ({entry.reason})")
            else:
                let_through.append(f"{finding} until {entry.until}: {entry.reason}")
    return Verdict(failing, let_through, unknown, len(packages) - len(unknown))


def bill_of_materials(lock: str) -> dict[str, Any]:
    """CycloneDX 1.6 of the lock: each package with its release and the hashes that may be installed."""
    parts = []
    for found in re.finditer(
        r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ \\;]+)(?P<rest>(?:.*\\\n|.*\n    --hash.*)*.*)", lock, re.M
    ):
        hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})", found["rest"])
        purl = f"pkg:pypi/{found['name']}@{found['version']}"
        parts.append(
            {
                "type": "library",
                "bom-ref": purl,
                "name": found["name"],
                "version": found["version"],
                "purl": purl,
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in hashes],
            }
        )
    number = uuid.UUID(bytes=hashlib.sha256(lock.encode()).digest()[:16], version=4)  # the same lock, the same number
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{number}",
        "version": 1,
        "components": parts,
    }


def _report() -> Mapping[str, Any]:
    """pip-audit's report on the lock; raises NoAnswer."""
    _install()
    command = [str(ENVIRONMENT / "bin" / "pip-audit"), "-r", str(LOCK), "--require-hashes", "--disable-pip"]
    done = _run([*command, "--progress-spinner", "off", "--format", "json"])
    try:
        report: Mapping[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise NoAnswer(_last_line(done)) from None
    return report


def _install() -> None:
    stamp, wanted = ENVIRONMENT / ".installed", hashlib.sha256(TOOL_LOCK.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    pip = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)],
        [*pip, "--quiet", "--require-hashes", "-r", str(TOOL_LOCK)],
    ):
        done = _run(command)
        if done.returncode != 0:
            raise NoAnswer(_last_line(done))
    stamp.write_text(wanted, encoding="utf-8")


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603  commands of our own making
            command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoAnswer(str(error)) from error


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1][:300] if lines else f"exit code {done.returncode} without a word"


def _say(text: str) -> None:
    sys.stdout.write(f"audit: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
