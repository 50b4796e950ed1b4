"""The command `lstmcore`: `fit.py` trains a model on a table, `inspect.py` makes a page of one,
`translate.py` trains a translator on pairs of texts."""

from __future__ import annotations

import signal
import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from lstmcore import __version__
from lstmcore.cli.anomalies import anomalies
from lstmcore.cli.fit import fit
from lstmcore.cli.forecast import forecast
from lstmcore.cli.inspect import inspect
from lstmcore.cli.terminal import console
from lstmcore.cli.translate import app as translate

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """The glass-box LSTM: train an LSTM autoencoder on a series and look at every gate of it.

    [bold]lstmcore fit[/bold]
        the tutorial series, in seconds: what an LSTM autoencoder is

    [bold]lstmcore fit --dataset sunspots[/bold]
        300 years of sunspots, which come with lstmcore

    [bold]lstmcore fit my.csv --mode prediction --window 48 --steps 12[/bold]
        your own table: read 48 rows, predict the next 12

    [bold]lstmcore inspect lstmcore-run[/bold]
        a page for the browser: look into the model that was trained

    [bold]lstmcore translate train pairs.tsv[/bold]
        an encoder-decoder with attention, from lines of source, tab, target

    fit writes a folder with the model, its outputs, the loss and pictures of the gates.
    To use the model in Python: lstmcore.load("lstmcore-run/model.safetensors").
    """
    if version:
        console.print(f"lstmcore {__version__}")
        raise typer.Exit


app.command()(anomalies)
app.command()(fit)
app.command()(forecast)
app.command()(inspect)
app.add_typer(translate, name="translate")


def main() -> None:
    """Entry point of the command `lstmcore`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may know no box-drawing characters
    # What ends a job of a cluster or a container is to save as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(app())
