"""The progress bar of training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(epochs: int, done: int = 0, name: str = "training") -> Iterator[Callable]:
    """Yield `report(epochs done, history)`, which draws the bar on stderr, leaving stdout clean.

    `done` epochs were trained earlier; they do not count for the estimate of the remaining time.
    `name` stands before the bar.
    """
    try:
        from rich import progress
        from rich.console import Console
    except ImportError as error:
        raise ImportError("progress=True needs rich: pip install rich") from error
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("epochs  {task.fields[losses]}"),
        progress.TimeRemainingColumn(elapsed_when_finished=True),
    )
    with progress.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=epochs, completed=done, losses="")

        def report(done: int, history: dict) -> None:
            losses = [
                f"{name.replace('_', ' ')} {values[-1]:.3g}"
                for name, values in history.items()
                if len(values)
            ]
            bar.update(task, completed=done, losses="  ".join(losses))

        yield report
