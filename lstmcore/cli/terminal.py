"""What the commands share: where they print, and how they say what went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import typer
from rich.console import Console
from rich.markup import escape

from lstmcore import results

console = Console(highlight=False)
messages = Console(stderr=True, highlight=False)


@contextmanager
def clear_errors(folder: Path | None = None) -> Iterator[None]:
    """What the user can mend is said in a sentence, without a traceback.

    `folder` is that of the results: where a checkpoint is left in it, how to go on is said, too.
    """
    try:
        yield
    except KeyboardInterrupt:
        messages.print(f"[red]interrupted:[/red] {_left(folder)}", soft_wrap=True)
        raise typer.Exit(130) from None
    except (ValueError, OSError, ImportError, jax.errors.JaxRuntimeError) as error:
        messages.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from error


def _left(folder: Path | None) -> str:
    """What is left of a run that was interrupted."""
    checkpoint = None if folder is None else folder / results.UNFINISHED / results.CHECKPOINT
    if checkpoint is None or not checkpoint.exists():
        return "nothing was written"
    return (
        f"training so far is kept in {escape(str(checkpoint))}; the same command with --resume "
        "goes on from there"
    )


def sizes(text: str, option: str = "--units") -> tuple[int, ...]:
    """The numbers in an option such as `--units 128,64`."""
    try:
        return tuple(int(size) for size in text.split(","))
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a list of numbers such as 128,64", param_hint=option
        ) from None
