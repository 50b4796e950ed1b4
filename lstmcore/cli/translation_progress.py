"""The progress of training a translator, printed by `lstmcore translate train`."""

from __future__ import annotations

from contextlib import nullcontext

from rich.markup import escape
from rich.table import Table as Grid

from lstmcore.apps import translation
from lstmcore.cli.terminal import console

SAMPLES = 3  # pairs that are printed
MOST_TRANSLATED = 256  # validation pairs, after each epoch


def status(text: str):
    """Return a context that shows an animated line; without a terminal, print the text alone."""
    if console.is_terminal and not console.is_dumb_terminal:
        return console.status(text)
    console.print(text)
    return nullcontext()


class ProgressPrinter:
    """Callback of training that prints losses, exact match and samples after each epoch."""

    def __init__(self, line):
        self.line = line

    def __call__(self, progress: translation.Progress) -> None:
        if self.line is not None:
            self.line.update("training ...")
        pairs = progress.validation[:MOST_TRANSLATED]
        losses = "  ".join(
            f"{name.replace('_', ' ')} {value:#.4g}" for name, value in progress.losses.items()
        )
        epoch, epochs = progress.epoch, progress.epochs
        line = f"epoch {epoch:>{len(str(epochs))}}/{epochs}  {losses}"
        if not pairs:
            console.print(line)
            return
        try:
            translations = progress.translator.translate([source for source, _ in pairs])
        except ValueError:  # the weights may recover in later epochs
            console.print(f"{line}  [red]no finite logits[/red]")
            return
        exact = [text == target for text, (_, target) in zip(translations, pairs, strict=True)]
        console.print(f"{line}  exact match [bold]{sum(exact) / len(exact):.1%}[/bold]")
        if epoch in (1, epochs) or epoch % max(1, epochs // 5) == 0:
            console.print(samples(pairs[:SAMPLES], translations))


def samples(pairs: list, translations: list[str]) -> Grid:
    """Return a line per pair: source, translation and, if that is wrong, the target."""
    grid = Grid.grid(padding=(0, 1))
    widest = (console.width - 8) // 3  # beside the margin and the mark
    for _ in range(5):
        grid.add_column(no_wrap=True, overflow="ellipsis", max_width=widest)
    for (source, target), text in zip(pairs, translations, strict=False):
        mark, right = ("[green]=[/green]", "") if text == target else ("[red]≠[/red]", target)
        grid.add_row("  ", escape(source), mark, escape(text), f"[dim]{escape(right)}[/dim]")
    return grid
