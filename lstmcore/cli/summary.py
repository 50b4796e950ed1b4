"""`lstmcore summary`: the layers of a network in a file."""

from __future__ import annotations

from typing import Annotated

from rich.markup import escape

import lstmcore as lc
from lstmcore.cli import networks
from lstmcore.cli.networks import File, LayerName
from lstmcore.cli.options import of_data
from lstmcore.cli.terminal import clear_errors, console, print_notes

Timesteps = Annotated[
    int | None,
    of_data("--timesteps", metavar="STEPS", help="Steps of the input, for the shapes of outputs."),
]


def summary(file: File, layer: LayerName = None, timesteps: Timesteps = None) -> None:
    """Print the layers of a network, the shapes of their outputs, and the number of their weights.

    Below the table are what the network reads, and notes on what differs from the framework that
    wrote the file.
    """
    with clear_errors():
        network = networks.read(file, layer)
        console.print(escape(str(lc.summary(network.model, timesteps))), soft_wrap=True)
        console.print(f"reads {escape(networks.input_of(network.model))}", soft_wrap=True)
        print_notes(network.notes)
