"""`lstmcore translate`: from a file of pairs to a trained translator, and from texts to texts."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape
from rich.table import Table as Grid

import lstmcore as lc
from lstmcore import results, translation
from lstmcore.cli.terminal import clear_errors, console, messages, sizes

SAMPLES = 3  # pairs shown while it trains
LOOKED_AT = 256  # held-out pairs that are translated after each epoch

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train an encoder-decoder with attention on pairs of texts, and translate with it.",
)


def _option(help: str, field: str, *names: str):
    """An option that stands for a field of `translation.Settings`."""
    default = getattr(translation.Settings(), field)
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
    shown = "off" if shown is None else shown
    return typer.Option(
        *(names or (f"--{field.replace('_', '-')}",)),
        help=f"{help} [dim]\\[default: {shown}][/dim]",
        show_default=False,
    )


@app.command()
def train(
    pairs: Annotated[
        Path,
        typer.Argument(
            metavar="PAIRS.tsv",
            help="Text in UTF-8: in each line a source, a tab, and its target.",
            show_default=False,
        ),
    ],
    level: Annotated[
        Literal["character", "word"] | None, _option("What a token is.", "level")
    ] = None,
    units: Annotated[
        str | None,
        _option("Sizes of the encoder's layers; the decoder has the same.", "units"),
    ] = None,
    embedding: Annotated[int | None, _option("Size of a token's vector.", "embedding")] = None,
    attention: Annotated[
        Literal["general", "additive", "dot", "none"] | None,
        _option("How the decoder looks back at the source.", "attention"),
    ] = None,
    bidirectional: Annotated[
        bool | None,
        _option(
            "Read the source in both directions.",
            "bidirectional",
            "--bidirectional/--one-direction",
        ),
    ] = None,
    reverse_source: Annotated[
        bool | None,
        _option(
            "With --one-direction: read the source from its end.",
            "reverse_source",
            "--reverse-source",
        ),
    ] = None,
    dropout: Annotated[float | None, _option("Rate of dropout, 0 to 1.", "dropout")] = None,
    epochs: Annotated[int | None, _option("Times through the pairs.", "epochs")] = None,
    patience: Annotated[
        int | None,
        _option("Stop after so many epochs without progress; keep the best.", "patience"),
    ] = None,
    batch_size: Annotated[int | None, _option("Pairs per gradient step.", "batch_size")] = None,
    learning_rate: Annotated[
        float | None, _option("Of Adam; it falls to 0 along a cosine.", "learning_rate")
    ] = None,
    validation: Annotated[
        float | None, _option("Fraction of the sources to hold out.", "validation")
    ] = None,
    max_length: Annotated[
        int | None, _option("Most tokens of a text; longer pairs are left out.", "max_length")
    ] = None,
    seed: Annotated[int | None, _option("Same seed, same result.", "seed")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path(
        "lstmcore-translator"
    ),
) -> None:
    """Train on pairs of texts; show losses, exact matches and samples while it does.

    The output folder receives the model, its vocabularies, settings.json, history.csv, held_out.tsv
    (each held-out pair with what the model writes), and pictures of the loss, of the attention and
    of the gates. Ctrl-C ends training early and keeps what was learned.
    """
    given: dict[str, Any] = {k: v for k, v in locals().items() if v is not None}
    with clear_errors():
        from lstmcore.translation import report  # sacrebleu and matplotlib are for this alone

        if units is not None:
            given["units"] = sizes(units)
        names = {field.name for field in fields(translation.Settings)}
        if reverse_source and bidirectional is None:
            given["bidirectional"] = False
        settings = translation.Settings(**{k: v for k, v in given.items() if k in names})
        results.refuse_to_overwrite(pairs, output, report.FILES)
        _train(pairs, settings, output, report)


def _train(path: Path, settings: translation.Settings, folder: Path, report) -> None:
    read = translation.read_pairs(path)
    console.print(f"[bold]{escape(str(path))}[/bold]: {len(read):,} pairs\n")
    with results.output_folder(folder, (*report.FILES, *report.PICTURES)) as staging:
        trained = translation.train(read, settings, watch=_Watch(settings))
        translator = trained.translator
        if trained.left_out:
            console.print(
                f"left out: {trained.left_out:,} pairs of over {settings.max_length} tokens"
            )
        if trained.stopped is not None:
            why = "interrupted" if isinstance(trained.stopped, KeyboardInterrupt) else "diverged"
            done = len(trained.history["loss"])
            console.print(f"[red]{why}[/red] after {done} epochs: what was learned is kept")
        found = report.write(staging, trained, settings, source=path)
        names = sorted(result.name for result in staging.iterdir())
    if found is not None:
        console.print(
            f"\n{len(trained.held_out):,} held-out pairs: exact match "
            f"[bold]{found['exact match']:.1%}[/bold], BLEU {found['BLEU']:.1f}, "
            f"chrF {found['chrF']:.1f}"
        )
    console.print(lc.summary(translator.model), style="dim")
    console.print(f"wrote to [bold]{escape(str(folder))}[/bold]: {', '.join(names)}")
    console.print(f"now: lstmcore translate run {escape(str(folder))} TEXT", soft_wrap=True)


@app.command()
def run(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="The folder that lstmcore translate train has written.",
            show_default=False,
        ),
    ],
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT...",
            help="What to translate. [dim]\\[default: the lines of standard input][/dim]",
            show_default=False,
        ),
    ] = None,
    beam: Annotated[
        int, typer.Option(help="Width of the beam search; 1 takes the likeliest token each time.")
    ] = 4,
) -> None:
    """Translate texts, or the lines of standard input; one translation a line.

    Tokens that were not in the training pairs are read as unknown, and named on standard error.
    """
    with clear_errors():
        translator = translation.Translator.load(folder)
        given = texts if texts else [line.rstrip("\r\n") for line in sys.stdin]
        unknown = translator.unknown(given)
        if unknown:
            shown = ", ".join(map(repr, unknown[:10])) + (", ..." if len(unknown) > 10 else "")
            messages.print(f"unknown to the model: {escape(shown)}", soft_wrap=True)
        for text in translator.translate(given, width=beam):
            print(text)


class _Watch:
    """What is printed after each epoch."""

    def __init__(self, settings: translation.Settings):
        self.epochs = settings.epochs

    def __call__(self, progress: translation.Progress) -> None:
        looked_at = progress.held_out[:LOOKED_AT]
        losses = "  ".join(
            f"{name.replace('_', ' ')} {value:.4f}" for name, value in progress.losses.items()
        )
        line = f"epoch {progress.epoch:>{len(str(self.epochs))}}/{self.epochs}  {losses}"
        if not looked_at:
            console.print(line)
            return
        written = progress.translator.translate([source for source, _ in looked_at])
        right = [text == target for text, (_, target) in zip(written, looked_at, strict=True)]
        console.print(f"{line}  exact match [bold]{sum(right) / len(right):.1%}[/bold]")
        grid = Grid.grid(padding=(0, 2))
        for text, (source, target), is_right in list(zip(written, looked_at, right, strict=True))[
            :SAMPLES
        ]:
            mark = "[green]=[/green]" if is_right else "[red]≠[/red]"
            grid.add_row("  ", escape(source), mark, escape(text), f"[dim]{escape(target)}[/dim]")
        if progress.epoch == self.epochs or progress.epoch % max(1, self.epochs // 5) == 0:
            console.print(grid)
