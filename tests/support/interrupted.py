"""The command in a process of its own, which is interrupted while it trains."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# It sends itself the signal once it has written a first checkpoint: at the same place each time,
# however busy the machine is.
STOPPED = """
import os, signal, sys
from lstmcore import cli
from lstmcore.training import checkpoint

write, number = checkpoint.write_tensors, int(sys.argv.pop(1))

def write_and_stop(*arguments):
    write(*arguments)
    checkpoint.write_tensors = write
    os.kill(os.getpid(), number)

checkpoint.write_tensors = write_and_stop
cli.main()
"""


def interrupt(how: signal.Signals, *arguments) -> tuple[int, str]:
    """Call the command, which gets a signal after its first checkpoint.

    Returns (exit status, what it said).
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "dumb", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, str(int(how)), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        check=False,
    )
    return done.returncode, done.stdout
