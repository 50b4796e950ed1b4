"""The command `lstmcore`. Each of its commands is a module of this package: `fit.py`, `inspect.py`,
`summary.py`, `convert.py`, `forecast.py`, `anomalies.py`, `translate.py`."""

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
    app.command(name, help=summary)(lambda: None)  # a placeholder, see `Commands`


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lstmcore {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """The glass-box LSTM: train an LSTM on a table or on texts, and look at every gate.

    [bold]lstmcore fit[/bold]
        an LSTM autoencoder on the tutorial series, in seconds

    [bold]lstmcore fit --dataset sunspots[/bold]
        309 years of sunspots, included in lstmcore

    [bold]lstmcore fit my.csv --mode prediction --window 48 --horizon 12[/bold]
        your own table: read 48 rows, predict the next 12

    [bold]lstmcore forecast load.csv --horizon 24[/bold]
        the next 24 rows of a table, with errors beside those of simple forecasts

    [bold]lstmcore forecast --model lstmcore-forecast new.csv[/bold]
        the same model on another table, without training

    [bold]lstmcore anomalies load.csv --train normal.csv[/bold]
        the segments of a table that differ from normal rows

    [bold]lstmcore inspect lstmcore-run[/bold]
        an HTML page of every gate of the trained model

    [bold]lstmcore inspect model.keras data.npy[/bold]
        the same of a network of Keras, ONNX or PyTorch (summary, convert)

    [bold]lstmcore translate train pairs.tsv[/bold]
        an encoder-decoder with attention, from lines of source, tab, target

    The commands that train write a folder with the model, its outputs and figures.
    To use the model in Python: lstmcore.load("lstmcore-run/model.safetensors").
    """


def main() -> None:
    """Run the command and end the process with its exit status."""
    prepare_streams()
    with signals_as_interrupts():
        try:
            app(prog_name="lstmcore")
        except OSError as error:  # from printing the help; commands print their own errors
            sys.exit(f"error: {error}")
