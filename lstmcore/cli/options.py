"""Options that the commands share: which table, how it is prepared, how long training takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

from lstmcore import series
from lstmcore.cli.terminal import sizes

AnySettings = TypeVar("AnySettings")

Source = Annotated[
    Path,
    typer.Argument(
        metavar="CSV",
        show_default=False,
        help="A table with one row per time step and one column per variable; - is the standard "
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
Missing = Annotated[
    Literal["refuse", "forward", "mean"],
    typer.Option(
        help="Missing values, and rows left out in time: refuse; forward, the last known value; "
        "mean, that of the training part."
    ),
]
Difference = Annotated[
    str | None,
    typer.Option(
        metavar="LAGS",
        help="Differences to take, in this order: 1 against a trend, 24 against a season of 24 "
        "rows, 24,1 both. [dim]\\[default: none][/dim]",
    ),
]
Scaling = Annotated[
    Literal["standard", "minmax", "none"],
    typer.Option(
        help="How each column is scaled, fitted on the training part; results keep its units."
    ),
]
Stride = Annotated[
    str,
    typer.Option(
        metavar="ROWS",
        help="Rows from one window to the next; auto: 1, or what it takes for at most 20,000 "
        "windows.",
    ),
]
Window = Annotated[int, typer.Option(metavar="ROWS", help="Rows that the model reads.")]
Units = Annotated[
    str, typer.Option(metavar="SIZES", help="Sizes of the LSTM layers, separated by commas.")
]
Epochs = Annotated[int, typer.Option(help="Most passes through the training part.")]
BatchSize = Annotated[int, typer.Option(help="Windows per gradient step.")]
LearningRate = Annotated[float, typer.Option(help="Step size of Adam.")]
Patience = Annotated[
    int,
    typer.Option(help="Stop after this many epochs without progress and keep the best; 0: never."),
]
Seed = Annotated[
    int, typer.Option(help="Seed for weights and batch order; same seed, same result.")
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
    """The option --output of a command whose results go to `default` and its successors."""
    return typer.Option(
        "--output",
        "-o",
        metavar="FOLDER",
        show_default=False,
        help="Folder for the results: a new or an empty one. "
        f"[dim]\\[default: {default}, or {default}-2, -3, ... if that is in use][/dim]",
    )


def names(text: str | None) -> tuple[str, ...]:
    """The names in an option such as `--columns load,temperature`."""
    return () if text is None else tuple(name.strip() for name in text.split(","))


def preprocessing(missing: str, difference: str | None, scaling: str) -> series.Preprocessing:
    """The three options of preprocessing as one."""
    lags = () if difference is None else sizes(difference, "--difference")
    return series.Preprocessing(missing, lags, scaling)


def stride(text: str) -> int | str:
    """The number in `--stride 5`, or the word auto."""
    try:
        return text if text == "auto" else int(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is neither a number of rows nor auto", param_hint="--stride"
        ) from None


def settings(preset: AnySettings, given: Mapping[str, Any]) -> AnySettings:
    """`preset` with what was given on the command line; a patience of 0 is none."""
    known = {field.name for field in fields(preset)}  # type: ignore[arg-type]
    chosen = {name: value for name, value in given.items() if name in known}
    if chosen.get("patience") == 0:
        chosen["patience"] = None
    return replace(preset, **chosen)  # type: ignore[type-var]
