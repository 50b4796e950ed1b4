"""What `lstmcore translate train` shows while it trains."""

from __future__ import annotations

from contextlib import nullcontext

from rich.markup import escape
from rich.table import Table as Grid

from lstmcore.apps import translation
from lstmcore.cli.terminal import console

SAMPLES = 3  # pairs shown
LOOKED_AT = 256  # held-out pairs that are translated after each epoch


def status(words: str):
    """A line that moves while something takes long; where nothing can move, the words alone."""
    if console.is_terminal and not console.is_dumb_terminal:
        return console.status(words)
    console.print(words)
    return nullcontext()


class Watch:
    """What is printed after each epoch."""

    def __init__(self, settings: translation.Settings, status):
        self.epochs, self.status = settings.epochs, status

    def __call__(self, progress: translation.Progress) -> None:
        if self.status is not None:
            self.status.update("training ...")
        looked_at = progress.held_out[:LOOKED_AT]
        losses = "  ".join(
            f"{name.replace('_', ' ')} {value:#.4g}" for name, value in progress.losses.items()
        )
        line = f"epoch {progress.epoch:>{len(str(self.epochs))}}/{self.epochs}  {losses}"
        if not looked_at:
            console.print(line)
            return
        try:
            written = progress.translator.translate([source for source, _ in looked_at])
        except ValueError:  # as far as it has been trained; later epochs may find back
            console.print(f"{line}  [red]no finite logits[/red]")
            return
        right = [text == target for text, (_, target) in zip(written, looked_at, strict=True)]
        console.print(f"{line}  exact match [bold]{sum(right) / len(right):.1%}[/bold]")
        if progress.epoch in (1, self.epochs) or progress.epoch % max(1, self.epochs // 5) == 0:
            console.print(samples(looked_at[:SAMPLES], written))


def samples(pairs: list, written: list[str]) -> Grid:
    """Source, what the model writes and, where that is wrong, the target; a pair a line."""
    grid = Grid.grid(padding=(0, 1))
    widest = (console.width - 8) // 3  # beside the margin and the mark
    for _ in range(5):
        grid.add_column(no_wrap=True, overflow="ellipsis", max_width=widest)
    for (source, target), text in zip(pairs, written, strict=False):
        mark, right = ("[green]=[/green]", "") if text == target else ("[red]≠[/red]", target)
        grid.add_row("  ", escape(source), mark, escape(text), f"[dim]{escape(right)}[/dim]")
    return grid
