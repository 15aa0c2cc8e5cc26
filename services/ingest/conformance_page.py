"""The conformance page: paste or upload a message, see what it becomes. HTML without any script, one style sheet of our own.

Pure: what was asked and found in, a page out. Everything that comes from a message, a key or a header is escaped here, and text
that could steer is marked (services/ingest/legible.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib.resources import files
from typing import Any, Final

from services.ingest.conformance import Finding, Report, Statement
from services.ingest.legible import shown
from services.ingest.limits import KIB, Limits
from services.ingest.problems import KINDS, Problem

STATEMENTS_MOST: Final = 200  # shown of one message; the dry run tells all
PASTED_MOST: Final = 64 * KIB  # of a pasted message that is given back in the form
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_WORDS: Final[Mapping[str, str]] = {
    "accepted": "Understood",
    "unmapped": "Kept, moves nothing",
    "registers": "Registers a consignment",
    "rejected": "Not understood",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What stands in the form, to be given back with the answer; never the key."""

    message: str = ""
    received_at: str = ""


def style_sheet() -> str:
    """The page's own style sheet."""
    return files("services.ingest").joinpath("conformance.css").read_text(encoding="utf-8")


def page(limits: Limits, asked: Asked | None = None, report: Report | None = None, problem: Problem | None = None) -> bytes:
    """The whole page."""
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<title>Try a message: LoVLA</title>",
        '<link rel="stylesheet" href="/conformance.css"></head><body><main>',
        "<h1>Try a message</h1>",
        "<p>What would LoVLA make of it? Nothing that is sent here is kept, and nothing moves.</p>",
    ]
    if problem is not None:
        parts.extend(_problem(problem))
    if report is not None:
        parts.extend(_report(report))
    parts.extend(_form(limits, asked or Asked()))
    parts.append("</main></body></html>\n")
    return "".join(parts).encode("utf-8", "replace")


def _form(limits: Limits, asked: Asked) -> Iterator[str]:
    again = "Try it again" if asked.message else "Your message"
    yield f'<h2 id="form">{again}</h2>'
    yield '<form method="post" action="/conformance" enctype="multipart/form-data" accept-charset="utf-8">'
    yield '<label for="message">Paste a message: X12, EDIFACT, Cargo-IMP, Cargo-XML, DCSA, EPCIS, ONE Record, our JSON</label>'
    yield f'<textarea id="message" name="message" rows="14" spellcheck="false">\n{_text(asked.message)}</textarea>'
    yield '<label for="file">or choose a file (plain or gzip); it counts rather than what is pasted</label>'
    yield '<input id="file" type="file" name="file">'
    yield '<label for="key">Your key, so that your own codes and our registers count (optional; a sandbox key will do)</label>'
    yield '<input id="key" type="password" name="key" autocomplete="off" maxlength="200">'
    yield '<label for="received_at">As if received at (optional, for old messages), as 2020-04-12T08:20:05Z</label>'
    yield f'<input id="received_at" type="text" name="received_at" maxlength="40" value="{_text(asked.received_at)}">'
    yield '<button type="submit">Read it</button></form>'
    yield f"<p>At most {limits.page_body_bytes // KIB:,} KiB; without a key {limits.stranger_body_bytes // KIB:,} KiB, and all"
    yield f" strangers together {limits.stranger_requests_s:g} messages a second. The same for machines:"
    yield ' <code>POST /v1/messages?dry_run=1</code>; <a href="/docs">all addresses</a>.</p>'


def _problem(problem: Problem) -> Iterator[str]:
    yield f'<section class="rejected"><h2>{_text(KINDS[problem.kind][1])}</h2><p>{_text(problem.detail)}</p>'
    for place in problem.errors[:20]:
        yield f"<p>{_text(place['where'] or 'The whole message')}: {_text(place['text'])}</p>"
    yield "</section>"


def _report(report: Report) -> Iterator[str]:
    understood, moving = len(report.statements) - report.counted("rejected"), sum(map(_moves, report.statements))
    is_well = moving and not report.counted("rejected", "unmapped")
    state = "rejected" if not understood else "accepted" if is_well else "warned"
    of_these = f", {moving} of them move{'s' if moving == 1 else ''} anything" if moving < understood else ""
    yield f'<section class="{state}"><h2>{understood} of {len(report.statements)} statements understood{of_these}</h2><dl>'
    yield from _pairs(
        ("Standard", report.standard or "none that we know"),
        ("Read as sent by", report.sender),
        ("Received at", _moment(report.received_at)),
        ("Moves nothing", str(understood - moving) if moving < understood else None),
    )
    yield "</dl></section>"
    if report.findings:
        yield "<section><h2>About the whole of it</h2>"
        yield from _findings(report.findings)
        yield "</section>"
    yield "<h2>Statement by statement</h2><ol>"
    for statement in report.statements[:STATEMENTS_MOST]:
        yield from _statement(statement)
    yield "</ol>"
    if len(report.statements) > STATEMENTS_MOST:
        left = len(report.statements) - STATEMENTS_MOST
        yield f"<p>And {left:,} more: <code>POST /v1/messages?dry_run=1</code> tells all of them.</p>"
    yield "<section><h2>The acknowledgement that we would send</h2>"
    answer = report.acknowledgement
    yield f"<pre>{_text(answer.text)}</pre>" if answer.form is not None else f"<p>None: {_text(answer.text)}.</p>"
    yield "</section>"


def _moves(statement: Statement) -> bool:
    """Whether it changes what is known of a consignment: a code that is known, or kept, may say nothing of that."""
    said = statement.event or {}
    return statement.outcome == "registers" or any(said.get(name) for name in ("milestone", "hold", "retracts", "retracted"))


def _statement(statement: Statement) -> Iterator[str]:
    said = statement.event or {}
    title = said.get("milestone") or said.get("code") or statement.consignment or statement.where or "the whole message"
    yield f'<li class="{statement.outcome}"><h3>{_text(_WORDS[statement.outcome])}: {_text(str(title))}</h3>'
    if statement.source is not None:
        yield f"<pre>{_text(statement.source)}</pre>"
    place, hold, pieces = said.get("place", {}), said.get("hold", {}), said.get("pieces", {})
    yield "<dl>"
    yield from _pairs(
        ("Where in the message", statement.where),
        ("Code", said.get("code")),
        ("Milestone", said.get("milestone", "none" if said else None)),
        ("Planned, estimated or actual", said.get("classifier")),
        ("Time", said.get("occurred_at")),
        ("Time zone", None if not said else "assumed" if said.get("zone_assumed") else "as sent"),
        ("Place", _joined(place)),
        ("From", _joined(said.get("origin", {}))),
        ("To", _joined(said.get("destination", {}))),
        ("References", "; ".join(f"{one['kind']} {one['value']}" for one in said.get("references", ()))),
        ("By", _joined({"mode": said.get("mode", "")} | said.get("transport", {}))),
        ("Loaded", None if "empty" not in said else "empty" if said["empty"] else "loaded"),
        ("Pieces", " of ".join(str(pieces[name]) for name in ("this", "total") if name in pieces)),
        ("Hold", " ".join(hold.values())),
        ("Withdraws", said.get("retracts") or ("itself" if said.get("retracted") else None)),
        ("Reason", said.get("reason")),
        ("Consignment", statement.consignment),
    )
    yield "</dl>"
    yield from _findings(statement.findings)
    yield "</li>"


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    if not findings:
        return
    yield "<ul>"
    for finding in findings:
        label = "Problem" if finding.severity == "problem" else "Warning"
        yield f'<li class="{finding.severity}"><p><strong>{label}: {_text(finding.means)}</strong> {_text(finding.do)}</p><dl>'
        yield from _pairs(
            ("Found", finding.text),
            ("Field", finding.field),
            ("Where", finding.where),
            ("There stands", finding.source),
            ("Our code", finding.code),
        )
        yield "</dl></li>"
    yield "</ul>"


def _pairs(*pairs: tuple[str, str | None]) -> Iterator[str]:
    for name, value in pairs:
        if value:
            yield f"<dt>{name}</dt><dd>{_text(value)}</dd>"


def _joined(fields: Mapping[str, Any]) -> str:
    return ", ".join(str(value) for value in fields.values() if value)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _text(text: str) -> str:
    """Fit for a page: escaped, and nothing in it steers; line breaks stay."""
    return escape("\n".join(shown(line, PASTED_MOST) for line in text[:PASTED_MOST].split("\n")), quote=True)
