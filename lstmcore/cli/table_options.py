"""Options for reading a table, the same for every command that reads one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Annotated, Any, Literal

import typer

from lstmcore.series import ReadOptions

PANEL = "Reading the table"

# In the order of the help. Each is a field of ReadOptions of that name.
OPTIONS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "time": (
        str | None,
        "Column of times, or several that form them: date,time. "
        "[dim]\\[default: found by name or contents][/dim]",
        {"metavar": "NAME"},
    ),
    "day_first": (
        bool | None,
        "Which number of 01-02-2024 is the day. [dim]\\[default: detected][/dim]",
        {"flags": "--day-first/--month-first"},
    ),
    "time_zone": (
        str | None,
        "Time zone of the times, such as Europe/Berlin.",
        {"metavar": "ZONE"},
    ),
    "time_format": (
        str | None,
        "Format of the times: number, s, ms, us or ns (since 1970), excel, or directives such as "
        "%d.%m.%y.",
        {"metavar": "FORMAT"},
    ),
    "series": (
        str | None,
        "Which of several series in the file to read; list prints their names.",
        {"metavar": "NAME"},
    ),
    "sort": (bool, "Sort the rows by time.", {"flags": "--sort"}),
    "duplicates": (
        Literal["refuse", "mean", "first", "last"],
        "Rows at the same time: refuse them, or take their mean, the first or the last.",
        {},
    ),
    "resample": (
        str | None,
        "Resample the rows to this interval: 30s, 5min, 1h, 1d, 1w, 1month.",
        {"metavar": "INTERVAL"},
    ),
    "aggregate": (
        str,
        "How --resample combines rows: mean, sum, first, last, min, max; or by column: "
        "rain=sum,level=last.",
        {"metavar": "HOW"},
    ),
    "consecutive": (
        bool,
        "Treat the rows as consecutive steps, whatever their times.",
        {"flags": "--consecutive"},
    ),
    "na": (
        str | None,
        "Texts that stand for a missing value, such as -9999, besides empty cells, NA, ? and -.",
        {"metavar": "TEXTS"},
    ),
    "decimal": (str | None, "Decimal mark, '.' or ','.", {"metavar": "MARK"}),
    "thousands": (str | None, "Mark between thousands: . , ' or a space.", {"metavar": "MARK"}),
    "separator": (
        str | None,
        "Separator of cells: a character, tab or space.",
        {"metavar": "MARK"},
    ),
    "header": (
        bool | None,
        "Read column names from the first line. [dim]\\[default: detected][/dim]",
        {"flags": "--header/--no-header"},
    ),
    "skip_lines": (int, "Lines to skip before the table.", {"metavar": "LINES"}),
    "encoding": (
        str | None,
        "Encoding of the text, such as utf-16 or gbk. [dim]\\[default: detected][/dim]",
        {"metavar": "NAME"},
    ),
}

__all__ = ["reads_table"]


def reads_table(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of ReadOptions, which it receives as `reading_options`."""
    signature = inspect.signature(command, eval_str=True)
    others = [p for name, p in signature.parameters.items() if name != "reading_options"]
    parameters = {parameter.name: parameter for parameter in others + _parameters()}

    @wraps(command)
    def run(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in OPTIONS}
        chosen["na"] = () if chosen["na"] is None else tuple(chosen["na"].split(","))
        try:
            options = ReadOptions(**chosen)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        command(**given, reading_options=options)

    # Typer reads the signature and the annotations.
    run.__signature__ = signature.replace(parameters=list(parameters.values()))  # type: ignore[attr-defined]
    run.__annotations__ = {name: p.annotation for name, p in parameters.items()}
    return run


def _parameters() -> list[inspect.Parameter]:
    defaults = {field.name: field.default for field in fields(ReadOptions)} | {"na": None}
    parameters = []
    for name, (kind, help, rest) in OPTIONS.items():
        rest = dict(rest)
        flags = rest.pop("flags", f"--{name.replace('_', '-')}")
        option = typer.Option(flags, help=help, rich_help_panel=PANEL, **rest)
        parameters.append(
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=defaults[name],
                annotation=Annotated[kind, option],
            )
        )
    return parameters
