"""The standard streams of a command: closed ones, readers that leave, terminals without Unicode."""

from __future__ import annotations

import errno
import io
import os
import sys

GONE = {errno.EPIPE, errno.EIO}  # of a reader that has ended, of a terminal that was closed


def prepare_streams() -> None:
    """Replace the standard streams by ones that cannot end a run.

    Characters that cannot be encoded are replaced, and output to a closed pipe is dropped. A stream
    that was closed becomes the null device: otherwise the next file to be opened would take its
    number, and output of libraries to that number would end up in the file.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            setattr(sys, name, open(null, "r" if name == "stdin" else "w", closefd=False))  # noqa: SIM115
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            continue
        if os.name != "posix":  # Windows has a class of its own for its console
            stream.reconfigure(errors="replace")
            continue
        lasting = io.TextIOWrapper(
            io.BufferedWriter(_LastingFile(stream)),
            encoding=stream.encoding,
            errors="replace",  # a terminal may know no box-drawing characters
            line_buffering=stream.line_buffering or stream.write_through,
        )
        setattr(sys, name, lasting)


class _LastingFile(io.FileIO):
    """The file of a stream, which becomes the null device once it cannot be written to."""

    def __init__(self, stream: io.TextIOWrapper):
        super().__init__(stream.fileno(), "w", closefd=False)
        self._stream = stream  # which would close the file if it were dropped

    def write(self, data) -> int:
        try:
            return super().write(data)
        except OSError as error:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            if error.errno not in GONE:
                raise  # such as a full disk, which is reported once
            return memoryview(data).nbytes
