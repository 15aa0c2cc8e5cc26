"""latest.json and the table of docs/benchmarks.md: what was measured last, part by part, each with its machine and command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.harness import BEGIN, END, LATEST, PAGE
from benchmarks.measurements import MEASUREMENTS

__all__ = ["PAGE", "goal", "read", "render", "write"]


def read(latest: Path = LATEST) -> dict[str, Any]:
    """What was measured last, by part; {} if nothing was."""
    try:
        found = json.loads(latest.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    assert isinstance(found, dict)
    return found


def write(parts: dict[str, Any], latest: Path = LATEST, file: Path = PAGE) -> None:
    """The JSON, and the page's middle."""
    latest.parent.mkdir(parents=True, exist_ok=True)
    latest.write_text(json.dumps(parts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    text = file.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    file.write_text(f"{before}{BEGIN}\n{render(parts)}{END}{after}", encoding="utf-8")


def render(parts: dict[str, Any]) -> str:
    """Markdown: a section a part."""
    lines: list[str] = []
    for name, part in parts.items():
        machine = part["machine"]
        title = MEASUREMENTS[name].title if name in MEASUREMENTS else name
        lines += [
            "",
            f"### {title}",
            "",
            f"`{part['command']}`, {part['at']}, {part['took_s']} s. {machine['processor']}, {machine['cores']} cores, "
            f"{machine['memory_gb']} GB, load {machine['load_before']} before. Checked first: {part['checked']}.",
            "",
            "| what | median | range | unit | goal |",
            "| --- | ---: | ---: | --- | --- |",
        ]
        for one in part["figures"]:
            spread = f"{_number(one['low'])} to {_number(one['high'])}" if one["runs"] > 1 else ""
            lines.append(f"| {one['what']} | {_number(one['median'])} | {spread} | {one['unit']} | {goal(one)} |")
        lines += ["", *(f"- {note}" for note in part["notes"])]
    if parts:
        newest = max(parts.values(), key=lambda part: str(part["at"]))
        lines += ["", "Versions: " + ", ".join(f"{name} {version}" for name, version in newest["versions"].items()) + "."]
    return "\n".join(lines) + "\n"


def goal(figure: dict[str, Any]) -> str:
    """A figure's goal and whether it is met."""
    if "met" not in figure:
        return ""
    sign, value = (">=", figure["at_least"]) if "at_least" in figure else ("<=", figure["at_most"])
    return f"{sign} {_number(value)}: {'met' if figure['met'] else 'NOT met'}"


def _number(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
