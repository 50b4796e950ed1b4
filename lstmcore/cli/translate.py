"""`lstmcore translate`: train a translator on a file of pairs, and translate texts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

import lstmcore as lc
from lstmcore.apps import run_folder, translation
from lstmcore.apps.translation.pairs import read_pair_file
from lstmcore.cli import options
from lstmcore.cli.commands import HELP_OPTIONS, SUMMARIES, Command, Group
from lstmcore.cli.options import of_data, of_model
from lstmcore.cli.parameters import whole_numbers
from lstmcore.cli.settings_options import takes_settings, with_chosen
from lstmcore.cli.signals import INTERRUPTED
from lstmcore.cli.terminal import clear_errors, console, messages, print_notes, print_written, warn
from lstmcore.cli.translation_progress import ProgressPrinter, status
from lstmcore.formatting import count, shorten

KIND, OUTPUT = "lstmcore translate train", "lstmcore-translator"
SHOWN_TOKENS = 10  # unknown ones

app = typer.Typer(
    cls=Group,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings=HELP_OPTIONS,
    help=SUMMARIES["translate"],
)


@app.command(cls=Command)
@takes_settings(translation.Settings(), leave_out=("bidirectional",))
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
        of_data(
            metavar="NUMBERS",
            help="Columns of source and target, counted from 1, such as 2,4. "
            "[dim]\\[default: 1,2][/dim]",
        ),
    ] = None,
    one_direction: Annotated[
        bool,
        of_model(
            "--one-direction", help="Read the source from its start only, not in both directions."
        ),
    ] = False,
    force: options.Force = False,
    no_cache: options.NoCache = False,
    output: Annotated[Path | None, options.output(OUTPUT)] = None,
    *,
    chosen: dict[str, Any],
) -> None:
    """Train on pairs of texts; print losses, exact matches and samples after each epoch.

    The output folder receives the model, its vocabularies, settings.json,
    history.csv, validation.tsv (validation pairs with their translations), and
    figures of the loss, the attention and the gates.

    Pairs with the same source are in the same part, so no source of the
    validation pairs was trained on. Ctrl-C ends training early and saves the
    translator trained so far.
    """
    with clear_errors():
        from lstmcore.apps.translation import report  # imports sacrebleu and matplotlib

        in_one_direction = one_direction or chosen.get("reverse_source", False)
        settings = with_chosen(translation.Settings(bidirectional=not in_one_direction), chosen)
        place = run_folder.choose_folder(
            output, OUTPUT, KIND, resume=None, force=force, inputs=[pairs]
        )
        places = None if columns is None else whole_numbers(columns, "--columns", "NUMBERS")
        _train(pairs, settings, place, report, places)


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
    print_notes(notes)
    metrics, unfinished = None, None
    with output.open(warn) as staging:
        trained = _train_and_print(read, settings)
        report.write_translator(staging, trained, settings, source=path)
        diverged = isinstance(trained.stopped, lc.NonFiniteLossError)
        try:
            with status("translating the validation pairs, drawing ..."):
                metrics = None if diverged else report.write_translations(staging, trained)
        except (Exception, KeyboardInterrupt) as error:  # so that the translator is still saved
            unfinished = error
    if metrics is not None:
        console.print(
            f"\n{count(len(trained.validation), 'validation pair')}: exact match "
            f"[bold]{metrics['exact match']:.1%}[/bold], BLEU {metrics['BLEU']:.1f}, "
            f"chrF {metrics['chrF']:.1f}"
        )
    folder = output.folder
    console.print(f"\n{lc.summary(trained.translator.model)}\n", style="dim", soft_wrap=True)
    print_written(folder)
    if diverged:
        epoch = len(trained.history["loss"]) + 1
        raise ValueError(
            f"training diverged in epoch {epoch}: lower --learning-rate "
            f"({settings.learning_rate:g}); the last finite weights are saved in {folder}"
        )
    if isinstance(unfinished, KeyboardInterrupt):
        messages.print("[red]interrupted:[/red] the translator is saved, other results are missing")
        raise typer.Exit(INTERRUPTED)
    if unfinished is not None:
        raise unfinished
    command = f"lstmcore translate run {escape(str(folder))} TEXT"
    console.print(f"to use it: [bold]{command}[/bold]", soft_wrap=True)


def _train_and_print(pairs: list, settings: translation.Settings) -> translation.Trained:
    """Train, print the progress, pairs that were left out, and an interruption."""
    with status("compiling, which takes some seconds ...") as line:
        try:
            trained = translation.train(pairs, settings, callback=ProgressPrinter(line))
        except lc.NonFiniteLossError as error:
            raise ValueError(
                "training diverged in its first epoch: lower --learning-rate "
                f"({settings.learning_rate:g}); nothing was written"
            ) from error
    if trained.left_out:
        console.print(
            f"left out: {count(trained.left_out, 'pair')} with more than {settings.max_length} "
            "tokens"
        )
    if isinstance(trained.stopped, KeyboardInterrupt):
        done = len(trained.history["loss"])
        console.print(
            f"[red]interrupted[/red] after {count(done, 'epoch')}: the translator so far is saved"
        )
    return trained


@app.command(cls=Command)
def run(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A folder written by lstmcore translate train.",
            show_default=False,
        ),
    ],
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT...",
            help="Texts to translate. [dim]\\[default: the lines of standard input][/dim]",
            show_default=False,
        ),
    ] = None,
    beam: Annotated[
        int,
        typer.Option(
            min=1, help="Width of the beam search; 1 takes the most probable token each time."
        ),
    ] = 4,
    no_cache: options.NoCache = False,
) -> None:
    """Translate texts, or the lines of standard input; one translation per line.

    Tokens that were not in the training pairs are read as unknown, and listed
    on standard error. Put -- before texts that start with a dash.
    """
    with clear_errors():
        translator = translation.Translator.load(folder)
        if not texts and sys.stdin.isatty():
            messages.print("reading lines to translate until the end of the input (Ctrl-D)")
        # White space at the ends is dropped, as when pairs are read.
        given = [text.strip() for text in texts or sys.stdin]
        if unknown := translator.unknown(given):
            shown = ", ".join(map(repr, unknown[:SHOWN_TOKENS]))
            more = ", ..." if len(unknown) > SHOWN_TOKENS else ""
            messages.print(f"unknown to the model: {escape(shown)}{more}", soft_wrap=True)
        translations = iter(translator.translate([text for text in given if text], width=beam))
        for text in given:
            print(next(translations) if text else "")
