"""Options that several commands share, and the panels of the help that options are in."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from lstmcore.cli.parameters import takes
from lstmcore.series import ReadOptions

of_data = partial(typer.Option, rich_help_panel="Data")
of_model = partial(typer.Option, rich_help_panel="Model")
of_evaluation = partial(typer.Option, rich_help_panel="Evaluation")
of_output = partial(typer.Option, rich_help_panel="Output")

reads_table = takes(
    ReadOptions(),
    "reading_options",
    "Reading the table",
    flags={"day_first": "--day-first/--month-first", "header": "--header/--no-header"},
)

Source = Annotated[
    Path,
    typer.Argument(
        metavar="CSV",
        show_default=False,
        help="A table with one row per time step and one column per variable; - reads standard "
        "input.",
    ),
]
Sources = Annotated[
    list[Path],
    typer.Argument(
        metavar="CSV...",
        show_default=False,
        help="A table with one row per time step and one column per variable; - reads standard "
        "input. Of several files each is a series.",
    ),
]
Columns = Annotated[
    str | None,
    of_data(
        metavar="NAMES",
        help="Columns to use, separated by commas. [dim]\\[default: all numeric][/dim]",
    ),
]
Resume = Annotated[
    bool,
    of_output(
        "--resume",
        help="Continue the run in the output folder, stopped or ended; start one if there is none.",
    ),
]
NoCache = Annotated[  # taken by `commands.Command`, before the function of the command is called
    bool, of_output("--no-cache", help="Compile anew, without the programs of earlier runs.")
]
Force = Annotated[bool, of_output("--force", help="Replace an earlier run in the output folder.")]


def output(default: str) -> Any:
    """Return the option --output of a command whose results go to `default`, `default`-2, ..."""
    return of_output(
        "--output",
        "-o",
        metavar="FOLDER",
        show_default=False,
        help="Folder for the results, new or empty. "
        f"[dim]\\[default: {default}, or {default}-2, -3, ... if that is in use][/dim]",
    )
