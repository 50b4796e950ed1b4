"""Options for reading a table, the same for every command that reads one."""

from __future__ import annotations

from typing import Any

import typer

from lstmcore.cli.parameters import Command, given_values, options_of, with_options
from lstmcore.series import ReadOptions

FLAGS = {"day_first": "--day-first/--month-first", "header": "--header/--no-header"}
OPTIONS = options_of({"": ReadOptions()}, lambda _: "Reading the table", flags=FLAGS, unset="")


def reads_table(command: Command) -> Command:
    """Give a command the options of ReadOptions, which it receives as `reading_options`."""
    return with_options(command, OPTIONS, "reading_options", _read_options)


def _read_options(given: dict[str, Any]) -> ReadOptions:
    try:
        return ReadOptions(**given_values(ReadOptions, given))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
