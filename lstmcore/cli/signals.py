"""Signals that end a command: each saves what was learned, as Ctrl-C does."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["INTERRUPTED", "signals_as_interrupts"]

INTERRUPTED = 130  # the exit status after Ctrl-C: 128 and the number of the signal


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt; the exit status names the signal, as 143.

    SIGTERM is what ends a job of a cluster or a container, SIGHUP comes when the terminal is
    closed. One that is ignored from the start, as SIGHUP under `nohup`, stays so.
    """
    received = []

    def interrupt(number, frame) -> None:
        received.append(number)
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        yield
    except SystemExit as done:
        if received and done.code == INTERRUPTED:
            sys.exit(128 + received[-1])
        raise
