"""Output of the commands: the consoles, tables, and error messages without tracebacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jax
import typer
from rich import box
from rich.markup import escape
from rich.table import Table as Grid

from lstmcore.apps import run_folder
from lstmcore.cli.console import PrintableConsole
from lstmcore.cli.signals import INTERRUPTED
from lstmcore.formatting import numeric
from lstmcore.training.fit import NonFiniteLossError

console = PrintableConsole(highlight=False)
messages = PrintableConsole(stderr=True, highlight=False)
PAGE = "report.html"


@dataclass
class Command:
    """A running command. output: where its results go, once that is known."""

    output: run_folder.Output | None = None


@contextmanager
def clear_errors() -> Iterator[Command]:
    """Print errors that the user can correct as a sentence, without a traceback, and exit.

    Yields a Command. If its run has left a checkpoint, the message also says how to continue.
    """
    command = Command()
    try:
        yield command
    except KeyboardInterrupt:
        left = _left(command.output) or "nothing was written"
        messages.print(f"[red]interrupted:[/red] {left}", soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None
    except NonFiniteLossError as error:
        epoch = len(error.result.history["loss"]) + 1
        messages.print(
            f"[red]error:[/red] training diverged in epoch {epoch}: lower --learning-rate, or "
            "scale the data",
            soft_wrap=True,
        )
        raise typer.Exit(1) from error
    except (ValueError, OSError, ImportError, MemoryError, jax.errors.JaxRuntimeError) as error:
        message = str(error)
        if isinstance(error, MemoryError) or message.startswith("RESOURCE_EXHAUSTED"):
            reason = f" ({message})" if message else ""
            message = (
                f"not enough memory{reason}: use fewer rows, smaller batches or a smaller model"
            )
        messages.print(f"[red]error:[/red] {escape(message)}", soft_wrap=True)
        # Whatever the error was, such as a full disk, the checkpoint is still there.
        if left := _left(command.output):
            messages.print(left, soft_wrap=True)
        raise typer.Exit(1) from error


def _left(output: run_folder.Output | None) -> str:
    """Return a sentence on the checkpoint of an unfinished run; empty if there is none."""
    checkpoint = None if output is None else run_folder.unfinished(output.folder)
    if checkpoint is None:
        return ""
    return (
        f"training so far is saved in {escape(str(checkpoint))}; the same command with --resume "
        "continues from there"
    )


def print_notes(notes: Iterable[str]) -> None:
    """Print sentences as a list."""
    for note in notes:
        console.print(f"- {escape(note)}", soft_wrap=True)


def print_written(folder: Path) -> None:
    """Print the names of the results in the folder of a run, and the page to open."""
    console.print(f"wrote to [bold]{escape(str(folder))}[/bold]: {run_folder.listed(folder)}")
    if (page := folder / PAGE).exists():
        console.print(f"open [bold]{escape(str(page))}[/bold] in a browser", soft_wrap=True)


def warn(sentence: str) -> None:
    """Print a sentence on standard error."""
    messages.print(escape(sentence), soft_wrap=True)


def grid(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; columns of numbers are flush right."""
    drawn = Grid(title=title, box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    for name, right in zip(header, numeric(header, rows), strict=True):
        drawn.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*map(escape, row))
    console.print(drawn)
