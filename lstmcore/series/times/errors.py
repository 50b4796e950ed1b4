"""The errors of a column of times, one for each kind of fault."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LONGEST_TEXT = 40  # characters of a text that a message repeats


class TimesError(ValueError):
    """A column of times that is refused.

    Attributes:
      kind: "ambiguous", "duplicate", "impossible", "irregular", "mixed" or "unsorted".
      row: position of the first text that is at fault, counted from 0.
      text: that text, shortened if it is long.
      reason: the message without the row and its text, for callers that name the row differently,
        such as by the line of a file.

    Examples:
      >>> from lstmcore import series
      >>> try:
      ...     series.check_times(["2024-01-31", "2024-02-30"])
      ... except series.TimesError as error:
      ...     print(error.kind, error.row, error.text)
      impossible 1 2024-02-30
    """

    kind = ""
    quotes = False  # the text in the message, where it cannot be read

    def __init__(self, reason: str, row: int, text: str):
        if len(text) > LONGEST_TEXT:
            text = f"{text[: LONGEST_TEXT - 3]}..."
        self.reason, self.row, self.text = reason, int(row), text
        super().__init__(f"row {self.row} ({repr(text) if self.quotes else text}) {reason}")

    @classmethod
    def refuse(cls, bad: np.ndarray, reason: str, texts: Sequence[str]) -> None:
        """Raise an error of this kind about the first row that is `bad`, if there is one."""
        if bad.any():
            row = int(bad.argmax())
            raise cls(reason, row, str(texts[row]))


class AmbiguousTimesError(TimesError):
    """A text that may mean several times; the message names them, and what settles it."""

    kind = "ambiguous"


class DuplicateTimesError(TimesError):
    """A time that occurs in several rows."""

    kind = "duplicate"


class UnsortedTimesError(TimesError):
    """A time that is earlier than that of the row before."""

    kind = "unsorted"


class IrregularTimesError(TimesError):
    """A step that is not a multiple of the usual one, or more missing rows than present ones."""

    kind = "irregular"


class ImpossibleTimesError(TimesError):
    """A date or a time of day that does not exist, such as 2024-02-30."""

    kind = "impossible"
    quotes = True


class MixedTimesError(TimesError):
    """A text in another format than the rows before it."""

    kind = "mixed"
    quotes = True
