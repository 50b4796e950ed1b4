"""Sentences on a number of rows, which can be summed over the series of a table."""

from __future__ import annotations

from collections.abc import Sequence

from lstmcore.formatting import count


class RowsNote(str):
    """A sentence that begins with a number of rows, such as "9 rows cut to 5 by --since 2024".

    Attributes:
      rows: the number.
      rest: of the sentence. {kept} stands for the next number, and {have} for "has" or "have".
      kept: how many rows there are then; 0 where the sentence does not say it.

    Examples:
      >>> print(RowsNote(1, "{have} no value"), RowsNote(9, "cut to {kept}", 5), sep="; ")
      1 row has no value; 9 rows cut to 5
    """

    rows: int
    rest: str
    kept: int

    def __new__(cls, rows: int, rest: str, kept: int = 0) -> RowsNote:
        text = rest.replace("{kept}", f"{kept:,}", 1)
        text = text.replace("{have}", "has" if rows == 1 else "have", 1)
        note = super().__new__(cls, f"{count(rows, 'row')} {text}")
        note.rows, note.rest, note.kept = rows, rest, kept
        return note


def summed(notes: Sequence[str]) -> list[str]:
    """Return each sentence once; those on rows of several series with the sums of their rows.

    Examples:
      >>> summed([RowsNote(9, "cut to {kept}", 5), RowsNote(3, "cut to {kept}", 1), "sorted"])
      ['12 rows cut to 6, in 2 series', 'sorted']
    """
    alike: dict[str, list[str]] = {}
    for note in notes:
        alike.setdefault(note.rest if isinstance(note, RowsNote) else note, []).append(note)
    said = []
    for rest, same in alike.items():
        counted = [note for note in same if isinstance(note, RowsNote)]
        if not counted:
            said.append(rest)
            continue
        total = RowsNote(sum(n.rows for n in counted), rest, sum(n.kept for n in counted))
        said.append(total + (f", in {len(counted):,} series" if len(counted) > 1 else ""))
    return said
