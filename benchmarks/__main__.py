"""Start one of the benchmarks: `python -m benchmarks NAME [options]`.

`python -m benchmarks` lists the names, `python -m benchmarks NAME --help` the options of one.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import NamedTuple


class Command(NamedTuple):
    """The module that holds a command, with its `main(arguments)`, and a line on what it does."""

    module: str
    summary: str


COMMANDS = {
    "speed": {
        "cores": Command("speed.cores", "time lc.fit on all cores beside one device"),
        "peers": Command("speed.comparison", "time lstmcore beside PyTorch, Keras, Flax, ..."),
        "formulations": Command("speed.formulations.command", "time other ways to write the loops"),
        "long": Command("speed.long", "measure memory and time of gradients of long sequences"),
        "memory": Command("speed.memory", "measure the memory that one training step adds"),
        "overhead": Command("speed.overhead", "time finiteness checks and checkpoints of lc.fit"),
        "stepping": Command("speed.stepping", "time one step of lc.stream beside lc.lstm_step"),
        "traces": Command("speed.traces", "time study.run beside the plain forward pass"),
        "tutorial": Command("speed.tutorial", "train the tutorial's autoencoder in one library"),
    },
    "studies": {
        "studies": Command("studies.command", "test findings of papers again"),
        "published": Command("studies.published", "train published autoencoders again"),
        "nab": Command("studies.nab", "detect anomalies in two series of the Numenta benchmark"),
    },
    "report": {
        "report": Command("report.speed", "write the tables of a run of `peers` into a page"),
        "figures": Command("report.figures", "draw the figures of the docs again"),
    },
}
WORKER = {"worker": Command("speed.worker", "measure one peer")}  # started by `peers` alone


def main(arguments: list[str] | None = None) -> int:
    """Run the named benchmark and return its exit status; without a name, list them."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        print(listing())
        return 0
    name, *options = arguments
    commands = {name: each for group in COMMANDS.values() for name, each in group.items()} | WORKER
    if name not in commands:
        print(f"there is no benchmark {name!r}\n\n{listing()}", file=sys.stderr)
        return 2
    # Imported only now: some commands time a new process, which is to load no other library.
    return import_module(f"benchmarks.{commands[name].module}").main(options) or 0


def listing() -> str:
    """Return the names, each with a line on what it does."""
    lines = ["usage: python -m benchmarks NAME [options]"]
    for folder, commands in COMMANDS.items():
        lines += ["", f"{folder}:"]
        lines += [f"  {name:<14}{command.summary}" for name, command in commands.items()]
    return "\n".join([*lines, "", "`python -m benchmarks NAME --help` lists the options."])


if __name__ == "__main__":
    sys.exit(main())
