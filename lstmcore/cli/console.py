"""A console on which names and cells cannot do more than be read."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from lstmcore.formatting import printable


class PrintableConsole(Console):
    """A console of rich that shows what a terminal would obey, such as escape sequences, escaped.

    Column names, cells, file names and error messages come from other people's files.
    """

    def render_str(self, text: str, **options) -> Text:
        return super().render_str(printable(text), **options)
