"""The command `lstmcore`: `fit.py` trains a model on a table, `inspect.py` makes a page of one,
`translate.py` trains a translator on pairs of texts."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lstmcore._version import __version__
from lstmcore.cli.commands import HELP_OPTIONS, SUMMARIES, Commands
from lstmcore.cli.signals import signals_as_interrupts
from lstmcore.cli.streams import prepare_streams

app = typer.Typer(
    cls=Commands,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings=HELP_OPTIONS,
)
for name, summary in SUMMARIES.items():
    app.command(name, help=summary)(lambda: None)  # `Commands` puts the command in its place


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lstmcore {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and stop.",
            is_eager=True,
            callback=_print_version,
        ),
    ] = False,
) -> None:
    """The glass-box LSTM: train an LSTM on a table or on texts, and look at every gate.

    [bold]lstmcore fit[/bold]
        the tutorial series, in seconds: what an LSTM autoencoder is

    [bold]lstmcore fit --dataset sunspots[/bold]
        300 years of sunspots, which come with lstmcore

    [bold]lstmcore fit my.csv --mode prediction --window 48 --steps 12[/bold]
        your own table: read 48 rows, predict the next 12

    [bold]lstmcore forecast load.csv --horizon 24 --season 24[/bold]
        the next 24 rows of a table, with errors beside those of naive forecasts

    [bold]lstmcore anomalies load.csv --train normal.csv[/bold]
        the stretches of a table that are unlike the normal ones

    [bold]lstmcore inspect lstmcore-run[/bold]
        a page for the browser: look into the model that was trained

    [bold]lstmcore translate train pairs.tsv[/bold]
        an encoder-decoder with attention, from lines of source, tab, target

    Each command but inspect writes a folder with the model, its outputs and pictures.
    To use the model in Python: lstmcore.load("lstmcore-run/model.safetensors").
    """


def main() -> None:
    """Run the command and end the process with its exit status."""
    prepare_streams()
    with signals_as_interrupts():
        try:
            app(prog_name="lstmcore")
        except OSError as error:  # of printing the help: the commands tell their own
            sys.exit(f"error: {error}")
