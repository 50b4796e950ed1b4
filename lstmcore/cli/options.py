"""Options shared by the commands, besides those of settings: the table, the output folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Source = Annotated[
    Path,
    typer.Argument(
        metavar="CSV",
        show_default=False,
        help="A table with one row per time step and one column per variable; - reads standard "
        "input.",
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Columns to use, separated by commas. [dim]\\[default: all numeric][/dim]",
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Continue the run in the output folder, stopped or ended; start one if there is none.",
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Replace an earlier run in the output folder.")
]


def output(default: str) -> Any:
    """Return the option --output of a command whose results go to `default`, `default`-2, ..."""
    return typer.Option(
        "--output",
        "-o",
        metavar="FOLDER",
        show_default=False,
        help="Folder for the results, new or empty. "
        f"[dim]\\[default: {default}, or {default}-2, -3, ... if that is in use][/dim]",
    )
