"""What the commands share: where they print, and how they say what went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import jax
import typer
from rich.console import Console
from rich.markup import escape

console = Console(highlight=False)
messages = Console(stderr=True, highlight=False)


@contextmanager
def clear_errors() -> Iterator[None]:
    """What the user can mend is said in a sentence, without a traceback."""
    try:
        yield
    except KeyboardInterrupt:
        messages.print("[red]interrupted:[/red] nothing was written")
        raise typer.Exit(130) from None
    except (ValueError, OSError, ImportError, jax.errors.JaxRuntimeError) as error:
        messages.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from error


def sizes(units: str) -> tuple[int, ...]:
    """The sizes in an option such as `--units 128,64`."""
    try:
        return tuple(int(size) for size in units.split(","))
    except ValueError:
        raise typer.BadParameter(
            f"{units!r} is not a list of sizes such as 128,64", param_hint="--units"
        ) from None
