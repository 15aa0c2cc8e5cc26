"""What people read of a verb, in a terminal or through a pipe."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # verbs start faster without it
    from rich.console import Console, RenderableType

PIPED_WIDTH = 100_000
"""Columns: a pipe has no edge to wrap or cut at."""


def console() -> Console:
    """Standard output; COLUMNS says how wide a pipe is taken to be."""
    from rich.console import Console

    found = Console()
    return found if found.is_terminal else Console(width=shutil.get_terminal_size((PIPED_WIDTH, 24)).columns)


def printed(what: RenderableType, *notes: str) -> None:
    """Print it, notes below it; no line ends with blanks, which a table pads its lines with."""
    import typer
    from rich.text import Text

    out = console()
    with out.capture() as captured:
        out.print(what)
        for note in notes:
            out.print(Text(note, style="dim"))
    typer.echo("\n".join(line.rstrip(" ") for line in captured.get().rstrip("\n").split("\n")))
