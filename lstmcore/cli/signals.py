"""Signals that end a command: each saves what was learned, as Ctrl-C does."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer, main_thread

__all__ = ["INTERRUPTED", "signals_as_interrupts"]

INTERRUPTED = 130  # the exit status after Ctrl-C: 128 and the number of the signal
AGAIN = 0.05  # seconds after which an interrupt that was swallowed is repeated


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt; the exit status names the signal, as 143.

    SIGTERM is what ends a job of a cluster or a container, SIGHUP comes when the terminal is
    closed. One that is ignored from the start, as SIGHUP under `nohup`, stays so.

    An interrupt that reaches Python within a callback of the garbage collector, as JAX has one,
    is only printed and goes no further: it is repeated a moment later.
    """
    received = []

    def interrupt(number, frame) -> None:
        received.append(number)
        raise KeyboardInterrupt

    def repeat(swallowed) -> None:
        if not issubclass(swallowed.exc_type, KeyboardInterrupt):
            print_swallowed(swallowed)
            return
        number = received[-1] if received else signal.SIGINT
        again = Timer(AGAIN, _wake, [number])
        again.daemon = True
        again.start()

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)
    print_swallowed, sys.unraisablehook = sys.unraisablehook, repeat
    try:
        yield
    except SystemExit as done:
        if received and done.code == INTERRUPTED:
            sys.exit(128 + received[-1])
        raise
    finally:
        sys.unraisablehook = print_swallowed


def _wake(number: int) -> None:
    """Send the main thread a signal, which ends what it waits for."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)
