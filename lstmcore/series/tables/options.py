"""The options for reading a table, on the command line and in `read_csv`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Annotated, Any, Literal

Duplicates = Literal["refuse", "mean", "first", "last"]

# Types of options, and the placeholders of their values in the help of a command.
Name = Annotated[str | None, "NAME"]
Mark = Annotated[str | None, "MARK"]


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """Options for reading a table; what is None or empty is inferred from the file.

    Attributes:
      time: column of times, or several that form them: date,time; found by name or contents if not
        given.
      day_first: which number of 01-02-2024 is the day; detected if not given. True is the first,
        False the second.
      time_zone: time zone of the times, such as Europe/Berlin.
      time_format: format of the times: number, s, ms, us or ns (since 1970), excel, or directives
        such as %d.%m.%y.
      series: which of several series in the file to read; list prints their names. A value of the
        column that distinguishes them.
      since: first row to read: a time as in the table, or the number of a row, counted from 0.
        2024-03 is the whole month.
      until: last row to read, likewise.
      sort: sort the rows by time.
      duplicates: rows at the same time: refuse them, or take their mean, the first or the last.
      resample: resample the rows to this interval: 30s, 5min, 1h, 1d, 1w, 1month.
      aggregate: how resampling combines rows: mean, sum, first, last, min, max; or by column:
        rain=sum,level=last. The mean for columns that are not named.
      consecutive: treat the rows as consecutive steps, whatever their times.
      na: texts that stand for a missing value, such as -9999, besides empty cells, NA, ? and -.
      decimal: decimal mark, '.' or ','.
      thousands: mark between thousands: a point, a comma, an apostrophe or a space.
      separator: separator of cells: a character, tab or space.
      header: read column names from the first line; detected if not given. False takes that line
        for values.
      skip_lines: lines to skip before the table.
      encoding: encoding of the text, such as utf-16 or gbk; detected if not given.

    Raises:
      ValueError: a value that is none of these.
    """

    time: Name = None
    day_first: bool | None = None
    time_zone: Annotated[str | None, "ZONE"] = None
    time_format: Annotated[str | None, "FORMAT"] = None
    series: Name = None
    since: Annotated[str | None, "WHEN"] = None
    until: Annotated[str | None, "WHEN"] = None
    sort: bool = False
    duplicates: Duplicates = "refuse"
    resample: Annotated[str | None, "INTERVAL"] = None
    aggregate: Annotated[str, "HOW"] = "mean"
    consecutive: bool = False
    na: Annotated[tuple[str, ...], "TEXTS"] = ()
    decimal: Mark = None
    thousands: Mark = None
    separator: Mark = None
    header: bool | None = None
    skip_lines: Annotated[int, "LINES"] = 0
    encoding: Name = None

    def __post_init__(self) -> None:
        if self.duplicates not in ("refuse", "mean", "first", "last"):
            raise ValueError(
                f"--duplicates must be refuse, mean, first or last, got {self.duplicates!r}"
            )
        if self.aggregate != "mean" and self.resample is None:
            raise ValueError(f"--aggregate {self.aggregate[:40]} needs --resample")
        if self.skip_lines < 0:
            raise ValueError(f"--skip-lines must be at least 0, got {self.skip_lines}")
        separators = {"tab": "\t", "\\t": "\t", "space": " "}
        if self.separator is not None:
            chosen = separators.get(self.separator, self.separator)
            if len(chosen) != 1 or chosen in '"\r\n\0' or chosen.isalnum():
                raise ValueError(
                    "--separator must be tab, space, or one character other than a letter or "
                    f"digit, got {self.separator!r}"
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

    def of_another_table(self) -> ReadOptions:
        """Return these options for another table, of which no part is chosen."""
        return replace(self, since=None, until=None)

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
