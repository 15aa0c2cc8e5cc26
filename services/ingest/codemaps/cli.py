"""`lovla codemaps`: check a code map before it is used, and see which are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.runtime.verbs import AsJson, show

codemaps = typer.Typer(no_args_is_help=True, help="What partners' own status codes mean (docs/standards/codemaps.md).")


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(codemaps, name="codemaps")


@codemaps.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Code maps (TOML).")], as_json: AsJson = False
) -> None:
    """Whether files are code maps, and what each of their codes becomes. Exit code 1 if one is none."""
    from services.ingest.codemaps.files import BadCodeMap, read_map
    from services.ingest.readers.tables import becomes

    rows, wrong = [], False
    for file in files:
        try:
            made = read_map(file)
        except (BadCodeMap, OSError) as error:
            typer.echo(f"lovla: {error}", err=True)
            wrong = True
            continue
        for code, meaning in made.codes.items():
            more = meaning.classifier if meaning.classifier in ("estimated", "planned") else ""
            rows.append(
                {
                    "partner": made.partner,
                    "standard": made.standard,
                    "version": made.version,
                    "agency": made.agency,
                    "code": code,
                    "becomes": becomes(meaning.milestone, meaning.hold, more),
                    "means": meaning.text,
                }
            )
    if rows:
        show(rows, list(rows[0]), as_json)
    if wrong:
        raise typer.Exit(1)


@codemaps.command("list")
def list_maps(
    folder: Annotated[Path | None, typer.Option(help="A folder of them; default: as the services take it.")] = None,
    as_json: AsJson = False,
) -> None:
    """The maps that the readers use, an operator's own first."""
    from services.ingest.codemaps.files import BadCodeMap, folder_of, load
    from services.runtime.settings import Settings, SettingsError

    try:
        if folder is None:
            settings = Settings.load()
            folder = folder_of(settings.codemaps, settings.state_dir)
        elif not folder.is_dir():
            raise BadCodeMap(f"{folder} is no folder")
        held = load(folder)
    except (SettingsError, OSError) as error:
        typer.echo(f"lovla: {error}", err=True)
        raise typer.Exit(1) from None
    rows = [
        {
            "partner": one.partner,
            "standard": one.standard,
            "agency": one.agency,
            "version": one.version,
            "from": one.valid_from and one.valid_from.date().isoformat(),
            "codes": len(one.codes),
            "source": one.source,
            "file": one.file,
        }
        for _, versions in sorted(held.maps.items())
        for one in versions
    ]
    if rows or as_json:
        show(rows, list(rows[0]) if rows else [], as_json)
    else:
        typer.echo("No code maps; a folder `codemaps` in the state dir holds them (docs/standards/codemaps.md).")
