"""The options for reading a table, on the command line and in `read_csv`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

Duplicates = Literal["refuse", "mean", "first", "last"]

__all__ = ["Duplicates", "ReadOptions"]


@dataclass(frozen=True)
class ReadOptions:
    """Options for reading a table; what is None or empty is inferred from the file.

    Attributes:
      time: name of the column of times; several, separated by commas, if together they make up the
        times, such as "date,time".
      series: which of several series in the file to read: a value of the column that distinguishes
        them.
      day_first: dates such as 01-02-2024 have the day first (True) or the month (False).
      time_zone: zone of the clock that the times are from, such as Europe/Berlin.
      time_format: of times that are written as numbers: "number", "s", "ms", "us", "ns" (since
        1970) or "excel" (days); or of any, with the directives of strptime, such as "%d.%m.%y".
      sort: whether to sort the rows by time.
      duplicates: treatment of rows with the same time: refuse them, or take their mean, the first
        or the last.
      resample: an interval such as 5min, 1h or 1d to resample the rows to.
      aggregate: how rows within such an interval are combined: mean, sum, first, last, min or max;
        or by column, such as "rain=sum,level=last", mean for the others.
      consecutive: whether to take the rows as consecutive steps, whatever their times are.
      header: the first line holds names (True) or values (False).
      skip_lines: lines to leave out before the table begins.
      separator: character between cells.
      decimal: "." or ",".
      thousands: ".", ",", " " or "'".
      na: texts, or numbers such as -9999, that stand for a missing value, beside the usual ones.
      encoding: of the text, such as utf-16 or cp1252.

    Raises:
      ValueError: a value that is none of these.
    """

    time: str | None = None
    series: str | None = None
    day_first: bool | None = None
    time_zone: str | None = None
    time_format: str | None = None
    sort: bool = False
    duplicates: Duplicates = "refuse"
    resample: str | None = None
    aggregate: str = "mean"
    consecutive: bool = False
    header: bool | None = None
    skip_lines: int = 0
    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    na: tuple[str, ...] = ()
    encoding: str | None = None

    def __post_init__(self) -> None:
        if self.duplicates not in ("refuse", "mean", "first", "last"):
            raise ValueError(
                f"--duplicates must be refuse, mean, first or last, got {self.duplicates!r}"
            )
        if self.aggregate != "mean" and self.resample is None:
            raise ValueError(f"--aggregate {self.aggregate[:40]} is for --resample")
        if self.skip_lines < 0:
            raise ValueError(f"--skip-lines must be at least 0, got {self.skip_lines}")
        separators = {"tab": "\t", "\\t": "\t", "space": " "}
        if self.separator is not None:
            chosen = separators.get(self.separator, self.separator)
            if len(chosen) != 1 or chosen in '"\r\n\0' or chosen.isalnum():
                raise ValueError(
                    "--separator must be one character that is no letter or digit, tab or space, "
                    f"got {self.separator!r}"
                )
            object.__setattr__(self, "separator", chosen)
        for option, value, marks in (
            ("--decimal", self.decimal, ".,"),
            ("--thousands", self.thousands, "., '"),
        ):
            if value is not None and (len(value) != 1 or value not in marks):
                raise ValueError(
                    f"{option} must be one of {' '.join(map(repr, marks))}, got {value!r}"
                )
        if self.decimal is not None and self.decimal == self.thousands:
            raise ValueError(f"--decimal and --thousands are both {self.decimal!r}")
        object.__setattr__(self, "na", tuple(text.strip() for text in self.na))

    @property
    def decimal_mark(self) -> str | None:
        """Return the decimal mark that is asked for, if only by naming that of thousands."""
        return self.decimal or {".": ",", ",": "."}.get(self.thousands or "")

    @property
    def of_times(self) -> str | None:
        """Return the first option that is given and means nothing without times."""
        given = self.to_json()
        names = ("day_first", "time_zone", "time_format", "sort", "duplicates", "resample")
        first = next((name for name in names if name in given), None)
        if first == "day_first":
            return "--day-first" if self.day_first else "--month-first"
        return first and f"--{first.replace('_', '-')}"

    def updated(self, other: ReadOptions) -> ReadOptions:
        """Return these options, updated with what `other` sets."""
        return replace(self, **{name: getattr(other, name) for name in other.to_json()})

    def to_json(self) -> dict[str, Any]:
        """Return what differs from the defaults, for `json.dumps`."""
        usual = asdict(ReadOptions())
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if value != usual[name]
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> ReadOptions:
        """Return the options that `to_json` wrote.

        Raises:
          ValueError: it was not made by `to_json`.
        """
        known = {field.name: field.default for field in fields(cls)}
        for name, value in stored.items():
            if name not in known:
                raise ValueError(f"there is no option {name[:40]!r} for reading a table")
            usual = known[name]
            kind = (str, bool) if usual is None else (list,) if usual == () else (type(usual),)
            if not isinstance(value, kind):
                raise ValueError(f"option {name} cannot be {str(value)[:40]!r}")
        if not all(isinstance(text, str) for text in stored.get("na", [])):
            raise ValueError("option na must be texts")
        return cls(**{**stored, "na": tuple(stored.get("na", ()))})
