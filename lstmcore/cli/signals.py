"""Signals that end a command: they are handled like Ctrl-C, which saves the training so far."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer, main_thread

INTERRUPTED = 130  # the exit status after Ctrl-C: 128 and the number of the signal
AGAIN = 0.05  # seconds after which an interrupt that was swallowed is repeated


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt, and name the signal by the exit status.

    SIGTERM ends a job of a cluster or a container; SIGHUP is sent when the terminal is closed. A
    signal that is ignored from the start, such as SIGHUP under `nohup`, stays ignored. The exit
    status is 128 and the number of the signal, such as 143.

    An interrupt within a callback of the garbage collector, such as that of JAX, is only printed
    and does not propagate: it is repeated a moment later.
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
    """Send the main thread a signal, which interrupts a blocking call."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)
