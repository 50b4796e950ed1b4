"""Random tables as text, beside what a person would read there."""

from __future__ import annotations

import gzip
import random
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

# What is no number to a person, though some parser or other takes it for one.
JUNK = [
    "1_0", "0x1F", "1e5.", "--5", "+-5", "5 5", "1.2.3", "inf", "-Infinity", "5L", "1d5", "1e",
    "e5", "TRUE", "1/2", "0b1", "5..", "(5)", "5;5", "1:30", "$5", "#DIV/0!", "abc", "٥", "1,,5",
    "1,23,4",
]  # fmt: skip
MISSING = ["", "NA", "nan", "NaN", "null", "N/A", "?", "-", "#N/A", "None"]


@dataclass
class Case:
    """A file, and the table that it holds.

    Attributes:
      content: of the file.
      names: of the columns of numbers.
      values: float64 [rows, columns]; infinite where no number may be read.
      labels: the times, as text; None if there are none.
      options: for `read_csv`.
      is_ambiguous: it may be refused.
    """

    content: bytes
    names: list[str]
    values: np.ndarray
    labels: list[str] | None
    options: dict = field(default_factory=dict)
    is_ambiguous: bool = False

    def check(self, table) -> None:
        """Compare a table with what a person would read."""
        notes = " ".join(table.notes)
        known = ~np.isnan(self.values).all(axis=1)
        rows = np.flatnonzero(known)
        expected = self.values[rows[0] : rows[-1] + 1] if len(rows) else self.values
        labels = self.labels and self.labels[rows[0] : rows[-1] + 1]
        if len(table.values) != len(expected):  # a column that was left out had more values
            read = self.values[:, [self.names.index(name) for name in table.columns]]
            rows = np.flatnonzero(~np.isnan(read).all(axis=1))
            expected = self.values[rows[0] : rows[-1] + 1]
            labels = self.labels and self.labels[rows[0] : rows[-1] + 1]
        for name, values in zip(table.columns, table.values.T, strict=True):
            np.testing.assert_array_equal(values, expected[:, self.names.index(name)], name)
        for name in set(self.names) - set(table.columns):
            assert name in notes, f"{name} is left out without a word"
        if labels is not None:
            assert list(table.labels) == labels


@st.composite
def any_table(draw) -> Case:
    """A clean table in a random dialect."""
    return _clean(random.Random(draw(st.integers(0, 2**32 - 1))))


def _clean(rng: random.Random) -> Case:
    rows, columns = rng.randint(3, 12), rng.randint(1, 4)
    separator = rng.choice([",", ";", "\t", "|"])
    decimal = "." if separator == "," else rng.choice(".,")
    thousands = {".": "", ",": rng.choice(["", "."])}[decimal] if separator == ";" else ""
    labels = _days(rng, rows) if rng.random() < 0.7 else None
    if columns == 1 and labels is None:
        thousands = ""  # no separator shows that 1.234 may be a thousand
    names = [f"{rng.choice(['load', 'Größe', 'a b', 'x (m/s)', 'q'])} {n}" for n in range(columns)]
    texts = [[_number(rng, decimal, thousands) for _ in names] for _ in range(rows)]
    values = np.array([[_value(t, decimal, thousands) for t in row] for row in texts])
    lines = [list(names), *texts]
    if labels:
        lines = [["date", *names]] + [[d, *row] for d, row in zip(labels, texts, strict=True)]
    quote = rng.choice(["never", "always"])
    text = "".join(
        separator.join(f'"{cell}"' if quote == "always" else cell for cell in line) + "\n"
        for line in lines
    )
    text = text.replace("\n", rng.choice(["\n", "\r\n"]))
    content = text.encode(rng.choice(["utf-8", "utf-8-sig", "utf-16", "cp1252"]))
    content = gzip.compress(content) if rng.random() < 0.2 else content
    options = {"decimal": decimal} if rng.random() < 0.5 else {}
    has_thousands = any(t.lstrip("+-").count(m) and len(t.split(m)[-1]) == 3
                        for row in texts for t in row for m in ".,")  # fmt: skip
    is_one = columns == 1 and labels is None and decimal == "," and quote == "never"
    return Case(content, names, values, labels, options, not options and (has_thousands or is_one))


def _number(rng: random.Random, decimal: str, thousands: str) -> str:
    number = rng.choice([rng.randint(0, 99), rng.randint(-(10**6), 10**6), rng.uniform(-99, 99)])
    if isinstance(number, int):
        text = f"{number:,}".replace(",", thousands)
    else:
        text = f"{number:.{rng.randint(1, 9)}f}".replace(".", decimal)
    return f"{float(number):e}".replace(".", decimal) if rng.random() < 0.1 else text


def _value(text: str, decimal: str, thousands: str) -> float:
    return float(text.replace(thousands or "\0", "").replace(decimal, "."))


def _days(rng: random.Random, rows: int) -> list[str]:
    start = np.datetime64("2023-12-25") + np.timedelta64(rng.randint(0, 300), "D")
    dates = (start + np.arange(rows) * np.timedelta64(1, "D")).tolist()
    form = rng.choice(["%Y-%m-%d", "%d %b %Y", "%Y/%m/%d", "%b %d %Y", "%Y-%m-%d 00:00", "%Y%m%d"])
    return [date.strftime(form) for date in dates]


def hostile_table(seed: int) -> Case:
    """A table with something wrong in it: to be refused, or read as a person would."""
    rng = random.Random(seed)
    rows, columns = rng.randint(3, 30), rng.randint(1, 4)
    separator = rng.choice([",", ";", "\t", " "])
    names = [f"v{place}" for place in range(columns)]
    texts = [[repr(rng.choice([rng.randint(0, 9), rng.uniform(0, 9)])) for _ in names]
             for _ in range(rows)]  # fmt: skip
    values = np.array([[float(text) for text in row] for row in texts])
    labels = [str(day) for day in np.datetime64("2024-01-01") + np.arange(rows).astype("m8[D]")]
    for _ in range(rng.randint(0, 3)):
        row, place = rng.randrange(rows), rng.randrange(columns)
        junk = rng.choice(JUNK + MISSING)
        texts[row][place] = junk
        values[row, place] = np.nan if junk in MISSING else np.inf
    if rng.random() < 0.2:  # a whole column of something else
        place = rng.randrange(columns)
        for row in range(rows):
            texts[row][place] = rng.choice(JUNK)
            values[row, place] = np.inf
    lines = [["date", *names]] + [[d, *row] for d, row in zip(labels, texts, strict=True)]
    for _ in range(rng.choice([0, 0, 1, 2])):
        _add_column(rng, lines)
    text = "".join(separator.join(_quoted(c, separator) for c in line) + "\n" for line in lines)
    content = _damaged(rng, text, separator).encode(rng.choice(["utf-8", "utf-8-sig", "utf-16"]))
    return Case(content, names, values, labels, is_ambiguous=True)


def _add_column(rng: random.Random, lines: list[list[str]]) -> None:
    """Put in a column that is no measurement."""
    rows = len(lines) - 1
    name, cells = rng.choice([
        ("", [str(row) for row in range(rows)]),
        ("No", [str(row + 1) for row in range(rows)]),
        ("note", [rng.choice(["ok", "a, b; c", '"no"', "two\nlines", ""]) for _ in range(rows)]),
        ("flag", [rng.choice(["True", "False"]) for _ in range(rows)]),
    ])  # fmt: skip
    if name in lines[0]:
        return
    place = rng.randint(0, len(lines[0]))
    for line, cell in zip(lines, [name, *cells], strict=True):
        line.insert(place, cell)


def _quoted(cell: str, separator: str) -> str:
    if cell == "" and separator == " ":
        return '""'
    if any(mark in cell for mark in (separator, '"', "\n", ",")):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _damaged(rng: random.Random, text: str, separator: str) -> str:
    """Something that happens to files: most must be refused, some mean nothing."""
    lines = text.splitlines(keepends=True)
    place = rng.randrange(1, len(lines))
    harmless = [
        lambda: "# a comment, of the logger\n" + text,
        lambda: text + "\n\n",
        lambda: "\n" + text,
        lambda: text.rstrip("\n"),
        lambda: text.replace("\n", "\r\n") if "two\nlines" not in text else text,
        lambda: text,
    ]
    refused = [
        lambda: "".join([*lines[:place], "\n", *lines[place:]]),
        lambda: "".join([*lines[:place], "1" + separator + "2\n", *lines[place:]]),
        lambda: "".join([*lines[:place], lines[place].rstrip("\n") + separator + "7\n"]),
        lambda: "".join([*lines[:place], '"', *lines[place:]]),
        lambda: "".join([*lines[:place], lines[place], *lines[place:]]),  # one time twice
        lambda: "".join([lines[0], *lines[:0:-1]]),
    ]
    return rng.choice(harmless * 2 + refused)()
