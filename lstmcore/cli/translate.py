"""`lstmcore translate`: from a file of pairs to a trained translator, and from texts to texts."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

import lstmcore as lc
from lstmcore.apps import run_folder, translation
from lstmcore.apps.translation.pairs import read_pair_file
from lstmcore.cli import options
from lstmcore.cli.commands import HELP_OPTIONS, SUMMARIES, Command, Group
from lstmcore.cli.signals import INTERRUPTED
from lstmcore.cli.terminal import clear_errors, console, messages, sizes, warn
from lstmcore.cli.watch import Watch, status
from lstmcore.formatting import count, shorten

KIND, OUTPUT = "lstmcore translate train", "lstmcore-translator"
SHOWN_TOKENS = 10  # that are unknown

app = typer.Typer(
    cls=Group,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings=HELP_OPTIONS,
    help=SUMMARIES["translate"],
)


def _option(help: str, field: str):
    """An option that stands for a field of `translation.Settings`."""
    default = getattr(translation.Settings(), field)
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
    shown = "off" if shown is None else shown
    name = field.replace("_", "-")
    return typer.Option(
        f"--{name}", help=f"{help} [dim]\\[default: {shown}][/dim]", metavar=name.upper()
    )


@app.command(cls=Command)
def train(
    pairs: Annotated[
        Path,
        typer.Argument(
            metavar="PAIRS.tsv",
            help="Text in UTF-8: in each line a source, a tab, and its target.",
            show_default=False,
        ),
    ],
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBERS",
            help="Columns of source and target, counted from 1, such as 2,4. "
            "[dim]\\[default: 1,2][/dim]",
        ),
    ] = None,
    level: Annotated[
        Literal["character", "word"] | None, _option("What a token is: character or word.", "level")
    ] = None,
    units: Annotated[
        str | None,
        _option("Sizes of the encoder's layers; the decoder has the same.", "units"),
    ] = None,
    embedding: Annotated[int | None, _option("Size of a token's vector.", "embedding")] = None,
    attention: Annotated[
        Literal["general", "additive", "dot", "none"] | None,
        _option(
            "How the decoder looks back at the source: general, additive, dot or none.", "attention"
        ),
    ] = None,
    one_direction: Annotated[
        bool,
        typer.Option(
            "--one-direction", help="Read the source from its start alone, not from both ends."
        ),
    ] = False,
    reverse_source: Annotated[
        bool, typer.Option("--reverse-source", help="Read the source from its end alone.")
    ] = False,
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
    force: options.Force = False,
    output: Annotated[Path | None, options.output(OUTPUT)] = None,
) -> None:
    """Train on pairs of texts; show losses, exact matches and samples meanwhile.

    The output folder receives the model, its vocabularies, settings.json,
    history.csv, held_out.tsv (held-out pairs with what the model writes),
    and pictures of the loss, of the attention and of the gates.

    Pairs with the same source are held out together: nothing that is measured
    on was trained on. Ctrl-C ends training early and keeps what was learned.
    """
    given: dict[str, Any] = {k: v for k, v in locals().items() if v is not None}
    with clear_errors():
        from lstmcore.apps.translation import report  # sacrebleu and matplotlib are for this alone

        if units is not None:
            given["units"] = sizes(units)
        names = {field.name for field in fields(translation.Settings)}
        given["bidirectional"] = not (one_direction or reverse_source)
        settings = translation.Settings(**{k: v for k, v in given.items() if k in names})
        place = run_folder.choose_folder(
            output, OUTPUT, KIND, resume=None, force=force, inputs=[pairs]
        )
        chosen = None if columns is None else sizes(columns, "--columns")
        _train(pairs, settings, place, report, chosen)


def _train(
    path: Path,
    settings: translation.Settings,
    output: run_folder.Output,
    report,
    columns: tuple | None,
) -> None:
    read, notes = read_pair_file(path, columns)
    first = " -> ".join(repr(shorten(text)) for text in read[0])
    console.print(
        f"[bold]{escape(str(path))}[/bold]: {count(len(read), 'pair')}, the first {escape(first)}",
        soft_wrap=True,
    )
    for note in notes:
        console.print(f"- {escape(note)}", soft_wrap=True)
    found, unfinished = None, None
    with output.open(say=warn) as staging:
        trained = _watched(read, settings)
        report.write_translator(staging, trained, settings, source=path)
        diverged = isinstance(trained.stopped, lc.NonFiniteLossError)
        try:
            with status("translating the held-out pairs, drawing ..."):
                found = None if diverged else report.write_translations(staging, trained)
        except (Exception, KeyboardInterrupt) as error:  # the translator itself must not be lost
            unfinished = error
    if found is not None:
        console.print(
            f"\n{count(len(trained.held_out), 'held-out pair')}: exact match "
            f"[bold]{found['exact match']:.1%}[/bold], BLEU {found['BLEU']:.1f}, "
            f"chrF {found['chrF']:.1f}"
        )
    folder = output.folder
    console.print(f"\n{lc.summary(trained.translator.model)}\n", style="dim", soft_wrap=True)
    console.print(f"wrote to [bold]{escape(str(folder))}[/bold]: {run_folder.listed(folder)}")
    if diverged:
        epoch = len(trained.history["loss"]) + 1
        raise ValueError(
            f"training diverged in epoch {epoch}: lower --learning-rate "
            f"({settings.learning_rate:g}); the last finite weights are saved in {folder}"
        )
    if isinstance(unfinished, KeyboardInterrupt):
        messages.print("[red]interrupted:[/red] the translator is kept, other results are missing")
        raise typer.Exit(INTERRUPTED)
    if unfinished is not None:
        raise unfinished
    command = f"lstmcore translate run {escape(str(folder))} TEXT"
    console.print(f"to use it: [bold]{command}[/bold]", soft_wrap=True)


def _watched(pairs: list, settings: translation.Settings) -> translation.Trained:
    """Train, show how it goes, and say what was special about it."""
    with status("compiling, which takes some seconds ...") as line:
        try:
            trained = translation.train(pairs, settings, callback=Watch(settings, line))
        except lc.NonFiniteLossError as error:
            raise ValueError(
                "training diverged in its first epoch: lower --learning-rate "
                f"({settings.learning_rate:g}); nothing was written"
            ) from error
    if trained.left_out:
        console.print(
            f"left out: {count(trained.left_out, 'pair')} of over {settings.max_length} tokens"
        )
    if isinstance(trained.stopped, KeyboardInterrupt):
        done = len(trained.history["loss"])
        console.print(
            f"[red]interrupted[/red] after {count(done, 'epoch')}: what was learned is kept"
        )
    return trained


@app.command(cls=Command)
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
        int,
        typer.Option(
            min=1, help="Width of the beam search; 1 takes the likeliest token each time."
        ),
    ] = 4,
) -> None:
    """Translate texts, or the lines of standard input; one translation a line.

    Tokens that were not in the training pairs are read as unknown, and named
    on standard error. Write -- before texts that start with a dash.
    """
    with clear_errors():
        translator = translation.Translator.load(folder)
        if not texts and sys.stdin.isatty():
            messages.print("reading lines to translate; an end of file (Ctrl-D) ends them")
        # White space at the ends is dropped, as when pairs are read.
        given = [text.strip() for text in texts or sys.stdin]
        if unknown := translator.unknown(given):
            shown = ", ".join(map(repr, unknown[:SHOWN_TOKENS]))
            more = ", ..." if len(unknown) > SHOWN_TOKENS else ""
            messages.print(f"unknown to the model: {escape(shown)}{more}", soft_wrap=True)
        written = iter(translator.translate([text for text in given if text], width=beam))
        for text in given:
            print(next(written) if text else "")
