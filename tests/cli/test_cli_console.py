"""What is printed cannot do more than be read, whatever stands in names and cells."""

import io

import pytest
from rich.table import Table

from lstmcore.cli.console import PrintableConsole

HOSTILE = {  # what is printed: what is shown
    "\x1b[2Jgone": r"\x1b[2Jgone",
    "\x1b]0;title\x07": r"\x1b]0;title\x07",
    "\x9b31m red": r"\x9b31m red",
    "a\rb\x08": r"a\x0db\x08",
    "txt\u202e.exe\u2066": r"txt\u202e.exe\u2066",
    "caf\udce9.csv": r"caf\xe9.csv",
    "\ud800": r"\ud800",
}


@pytest.mark.parametrize("text", HOSTILE, ids=map(repr, HOSTILE))
def test_escapes_are_shown(text):
    console = PrintableConsole(file=io.StringIO(), width=80, highlight=False)
    grid = Table(text, title=text)
    grid.add_row(text)
    console.print(text)
    console.print(grid)
    printed = console.file.getvalue()
    printed.encode()
    assert printed.count(HOSTILE[text]) == 4
    assert not any(mark in printed for mark in "\x1b\x07\x9b\r\x08\u202e\u2066")


def test_other_text_is_as_it_is():
    console = PrintableConsole(file=io.StringIO(), width=80, highlight=False)
    console.print("[bold]größe[/bold] 負荷\t5 €\n✓")
    assert console.file.getvalue().split() == ["größe", "負荷", "5", "€", "✓"]
