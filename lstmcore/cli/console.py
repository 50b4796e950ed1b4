"""A console that prints control characters escaped."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from lstmcore.formatting import printable


class PrintableConsole(Console):
    """A console of rich on which names and cells cannot control the terminal.

    Column names, cells, file names and error messages come from files of others; control characters
    in them, such as escape sequences, are printed escaped.
    """

    def render_str(self, text: str, **options) -> Text:
        return super().render_str(printable(text), **options)
