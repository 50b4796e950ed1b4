"""The command as a process of its own, which is stopped while it trains."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from lstmcore.io.staging import CHECKPOINT, staging_of

ROOT = Path(__file__).parents[1]
MAIN = "from lstmcore.cli import main; main()"
LONGEST = 120  # seconds to wait for a checkpoint


def interrupt(how: signal.Signals, *arguments) -> tuple[int, str]:
    """Call the command; once it has written a checkpoint, send it a signal.

    Its last argument is the folder that it is to write to. Returns (exit status, what it said).
    """
    command = [sys.executable, "-c", MAIN, *map(str, arguments)]
    checkpoint = staging_of(Path(arguments[-1])) / CHECKPOINT
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "dumb", "COLUMNS": "200"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        start = time.monotonic()
        while not checkpoint.exists() and process.poll() is None:
            if time.monotonic() - start > LONGEST:
                process.kill()
            time.sleep(0.01)
        process.send_signal(how)
        said, _ = process.communicate()
    return process.returncode, said
