"""A bar for long work, the same for every verb."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

Progress = Callable[[str, int, int], None]
"""(what is being done, done, in all)"""


def silent(_doing: str, _done: int, _total: int) -> None:
    """For those who do not look."""


@contextlib.contextmanager
def bar() -> Iterator[Progress]:
    """On stderr, if that is a terminal: what is being done, how much of it, how long it will take."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("", total=None)
        yield lambda doing, done, total: bars.update(task, description=doing, completed=done, total=total)
