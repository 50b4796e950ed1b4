"""Read times that are plain numbers: compact dates, seconds since 1970, serial days.

A number may be a time or a mere count. Certain times are read; ambiguous ones are refused with the
`time_format` that settles it. The table of `lstmcore.series.times.column.read_times` states the
rules.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from lstmcore.series.times.calendar import find_calendar
from lstmcore.series.times.errors import AmbiguousTimesError, ImpossibleTimesError, MixedTimesError
from lstmcore.series.times.format import DAY, EXCEL_EPOCH, LONGEST_WHOLE, MICROSECONDS, Part

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
EPOCHS = {10: "s", 13: "ms", 16: "us", 19: "ns"}  # digits: unit, from 2001 to 2286
LATEST_EPOCH = 4_102_444_800  # seconds; the year 2100
COMPACT = {  # digits: format of strptime
    6: "%Y%m",
    8: "%Y%m%d",
    10: "%Y%m%d%H",
    12: "%Y%m%d%H%M",
    14: "%Y%m%d%H%M%S",
    17: "%Y%m%d%H%M%S%f",
}
WIDTHS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2, "f": 3, "y": 2, "G": 4, "V": 2, "j": 3}
LIMITS = {  # what a field of a compact time may be
    "Y": (1900, 2100), "m": (1, 12), "d": (1, 31), "H": (0, 24), "M": (0, 59), "S": (0, 59),
    "f": (0, 999), "y": (0, 99), "G": (1900, 2100), "V": (1, 53), "j": (1, 366),
}  # fmt: skip
AMBIGUOUS = {  # digits: formats of strptime that may also be counts
    6: (("%G%V", "a year and a week"), ("%y%m%d", "a date with two digits for the year")),
    7: (("%Y%j", "a year and a day of it"),),
}
YEAR_10000 = 253_402_300_800  # seconds
DECIMALS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
MOST = 0.5  # of the rows must be times for the others to be faults rather than a count
SERIAL_DAYS = 20_000, 80_000  # of a spreadsheet: the years 1954 to 2119
NAMED_FORMATS = ("number", "s", "ms", "us", "ns", "excel")  # other than those of strptime


def format_of(cells: np.ndarray, texts: Sequence[str]) -> str:
    """Return how a column whose first text is a number is to be read.

    Returns:
      One of NAMED_FORMATS, or a format of strptime such as "%Y%m%d".

    Raises:
      AmbiguousTimesError: numbers that may be times.
      ImpossibleTimesError: a number that is no time where the first is one.
    """
    whole, ending = cells, ""
    if np.strings.endswith(cells, b".0").all():  # integers that a missing value made floats
        whole, ending = _at_point(cells)[0], ".0"
    is_whole = bool(np.strings.isdigit(whole).all())
    if is_whole:
        lengths = np.strings.str_len(whole)
        digits = int(lengths[0])
        if (lengths == digits).all():
            form = _format_of_digits(whole, texts, digits)
            return form + ending if form.startswith("%") else form
        if digits in COMPACT and _fits(whole[:1], COMPACT[digits])[0]:
            raise _no_compact_time(texts, int((lengths != digits).argmax()), digits)
    if not is_whole and np.strings.find(cells, b".").max() == 10 and _are_seconds(cells):
        return "s"
    if re.fullmatch(rb"\d{4}\.\d\d?", cells[0]):
        return _format_of_decimals(cells, texts, year_first=True)
    if re.fullmatch(rb"\d\d?\.\d{4}", cells[0]):
        return _format_of_decimals(cells, texts, year_first=False)
    return "number"


def _format_of_digits(cells: np.ndarray, texts: Sequence[str], digits: int) -> str:
    """Return the format of numbers of equally many digits."""
    if digits in (4, 6) and _times_of_day(cells, digits):
        raise AmbiguousTimesError(
            "may be a time of day without a date, or a number: join it with the "
            "column of dates, or pass time_format='number'",
            0,
            texts[0],
        )
    if digits in (7, 6) and not (digits == 6 and _fits(cells[:1], "%Y%m")[0]):
        for form, words in AMBIGUOUS[digits]:
            if _fits(cells, form).all():
                raise AmbiguousTimesError(
                    f"may be {words} or a plain number: pass time_format={form!r} or 'number'",
                    0,
                    texts[0],
                )
    compact = COMPACT.get(digits, "")
    if compact and _fits(cells[:1], compact)[0] and _fits(cells, compact).all():
        return compact
    if digits in EPOCHS:
        count = _integers(cells, digits)
        scale = 10 ** (digits - 10)
        if (count >= 10**9 * scale).all() and (count < LATEST_EPOCH * scale).all():
            return EPOCHS[digits]
    if compact:
        fits = _fits(cells, compact)
        if fits[0] or fits.mean() > MOST:
            raise _no_compact_time(texts, int(fits.argmin()), digits)
    return "number"


def _no_compact_time(texts: Sequence[str], row: int, digits: int) -> ImpossibleTimesError:
    others = "'%G%V' of a year and a week, '%y%m%d' of a date, " if digits == 6 else ""
    return ImpossibleTimesError(
        f"is not a time as the other rows are ({COMPACT[digits]} of strptime): correct it, or pass "
        f"time_format={others}'number' if it only counts",
        row,
        texts[row],
    )


def _format_of_decimals(cells: np.ndarray, texts: Sequence[str], *, year_first: bool) -> str:
    """Return the format of numbers such as 2023.01 or 01.2023, which are months if all may be."""
    before, after = _at_point(cells)
    years, months = (before, after) if year_first else (after, before)
    if not (np.strings.isdigit(years).all() and np.strings.isdigit(months).all()):
        return "number"
    lengths = np.strings.str_len(months)
    if (np.strings.str_len(years) != 4).any() or (lengths > 2).any():
        return "number"
    year, month = years.astype(int), months.astype(int)
    fits = (year >= 1900) & (year <= 2100) & (month >= 1) & (month <= 12)
    if fits.mean() <= MOST:
        return "number"
    form, padded = ("%Y.%m", "2023-10") if year_first else ("%m.%Y", "10/2023")
    reason = "is not a month as the other rows are: correct it, or pass time_format='number'"
    ImpossibleTimesError.refuse(~fits, reason, texts)
    has_zeros = bool(np.strings.startswith(months, b"0").any())
    if (lengths == 2).all() and (year_first or has_zeros):
        return form
    row = int((lengths == 1).argmax())
    if year_first and has_zeros and (month[lengths == 1] == 1).all():
        reason = "may be October, its last zero lost, or January"
    else:
        reason = "may be a month of a year, or a plain number"
    raise AmbiguousTimesError(
        f"{reason}: write months as {padded}, or pass time_format={form!r} or 'number'",
        row,
        texts[row],
    )


def _times_of_day(cells: np.ndarray, digits: int) -> bool:
    form = "%H%M" if digits == 4 else "%H%M%S"
    return bool(np.strings.startswith(cells, b"0").any() and _fits(cells, form).all())


def _bytes(cells: np.ndarray) -> np.ndarray:
    """Return uint8 [rows, longest]; what is shorter ends with zeros."""
    return np.ascontiguousarray(cells).view(np.uint8).reshape(len(cells), -1)


def _integers(cells: np.ndarray, digits: int) -> np.ndarray:
    """Return cells of `digits` digits, at most 19, as int64 [rows]."""
    numbers = np.zeros(len(cells), np.int64)
    for column in _bytes(cells)[:, :digits].T:
        numbers = 10 * numbers + (column.astype(np.int64) - ord("0"))
    return numbers


def _fits(cells: np.ndarray, form: str) -> np.ndarray:
    """Return whether each number can be a time in a format of strptime, bool [rows]."""
    chars = _bytes(cells).astype(np.int64) - 48
    fits, start = np.ones(len(cells), bool), 0
    for directive in form[1::2]:
        number = np.zeros(len(cells), np.int64)
        for place in range(start, start + WIDTHS[directive]):
            number = number * 10 + chars[:, place]
        start += WIDTHS[directive]
        low, high = LIMITS[directive]
        fits &= (number >= low) & (number <= high)
    return fits


def _are_seconds(cells: np.ndarray) -> bool:
    """Return whether all are seconds since 1970 with decimals, from 2001 on."""
    whole, rest = _at_point(cells)
    if not (np.strings.isdigit(whole).all() and (np.strings.str_len(whole) == 10).all()):
        return False
    return bool((np.strings.isdigit(rest) | (rest == b"")).all())


def whole_epochs(cells: np.ndarray, unit: str) -> np.ndarray | None:
    """Read whole counts since 1970 that `TimeFormat` would format identically, as most are.

    Returns:
      datetime64[us] [rows]; None if some have a sign, decimals, zeros before them, or another
      number of digits than today's; and for nanoseconds, which are not all kept.
    """
    digits = next((digits for digits, name in EPOCHS.items() if name == unit), None)
    if digits != cells.dtype.itemsize or unit == "ns":
        return None
    chars = _bytes(cells)
    if not ((chars >= ord("0")) & (chars <= ord("9"))).all() or (chars[:, 0] == ord("0")).any():
        return None
    return (_integers(cells, digits) * MICROSECONDS[unit]).astype("M8[us]")


def read_named(
    cells: np.ndarray, texts: Sequence[str], time_format: str
) -> tuple[np.ndarray, tuple[Part, ...]]:
    """Read numbers as one of NAMED_FORMATS.

    Returns:
      (times datetime64[us] or float64 [rows], their format).

    Raises:
      MixedTimesError: a text that is no number.
      ImpossibleTimesError: a number that is not finite, or beyond the year 9999.
    """
    numbers = _as_floats(cells, texts)
    decimals = _decimals(cells)
    most = int(decimals.max())
    if time_format == "number":
        return numbers, (Part("number", _number_style(cells, decimals)),)
    if time_format == "excel":
        reason = "is not a serial day of Excel, from 61 (March 1900) to 2958465 (the year 9999)"
        ImpossibleTimesError.refuse((numbers < 61) | (numbers >= 2_958_466), reason, texts)
        return _from_serial_days(numbers, most), (Part("excel", str(most)),)
    whole, _ = _at_point(cells)
    limit = min(YEAR_10000 * 10 ** DECIMALS[time_format], LONGEST_WHOLE - 1024)
    far = (np.abs(numbers) >= limit) | (np.strings.str_len(whole) == 0)
    ImpossibleTimesError.refuse(far, "is not a time before the year 10000", texts)
    count = whole.astype(np.int64)
    if time_format == "ns":
        return (count // 1000).astype("M8[us]"), (Part("epoch", "ns 0"),)
    size = MICROSECONDS[time_format]
    fraction = np.rint((numbers - np.trunc(numbers)) * size).astype(np.int64)
    return (count * size + fraction).astype("M8[us]"), (Part("epoch", f"{time_format} {most}"),)


def check_serial_days(numbers: np.ndarray, cells: np.ndarray, texts: Sequence[str]) -> None:
    """Refuse numbers that are more regular as a spreadsheet's serial days than as numbers.

    Of business days, weekends would be taken for gaps; hours are fractions that no other count has.
    Elsewhere both readings have the same rows.

    Raises:
      AmbiguousTimesError: they are.
    """
    low, high = SERIAL_DAYS
    if len(numbers) < 3 or not (low <= numbers[0] and numbers[-1] < high):
        return
    if not (numbers[1:] > numbers[:-1]).all():
        return
    as_numbers = find_calendar(numbers)
    as_days = find_calendar(_from_serial_days(numbers, int(_decimals(cells).max())))
    if as_days is None:
        return
    if as_numbers is not None and as_numbers[1][-1] <= as_days[1][-1]:
        step = as_numbers[0].step
        are_minutes = as_days[0].unit == "microsecond" and as_days[0].step % 60_000_000 == 0
        if not are_minutes or abs(step - round(step, 3)) < 1e-6:
            return
    raise AmbiguousTimesError(
        f"may be a day as spreadsheets count them, {as_days[0].interval} from one row to the "
        "next, or a number: pass time_format='excel' or 'number'",
        0,
        texts[0],
    )


def _at_point(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the parts of cells before and after the point."""
    before, _, after = np.strings.partition(cells, np.bytes_(b"."))
    return before, after


def _decimals(cells: np.ndarray) -> np.ndarray:
    """Return how many digits follow the point, int [rows]."""
    point = np.strings.find(cells, b".")
    return np.where(point >= 0, np.strings.str_len(cells) - point - 1, 0)


def _as_floats(cells: np.ndarray, texts: Sequence[str]) -> np.ndarray:
    """Turn texts into finite numbers; `float` also takes 1_0, nan and inf."""
    allowed = np.zeros(256, bool)
    allowed[[0, *b"0123456789+-.eE"]] = True
    chars = _bytes(cells)
    is_number = allowed[chars].all(axis=1)
    numbers = np.zeros(len(cells))
    try:
        numbers[is_number] = cells[is_number].astype(float)
    except ValueError:
        is_number = np.array([NUMBER.fullmatch(text) is not None for text in texts])
        numbers[is_number] = cells[is_number].astype(float)
    if not is_number.all():
        row = int(is_number.argmin())
        if texts[row].lower() in ("nan", "nat", "inf", "-inf", ""):
            raise ImpossibleTimesError(
                "is not a time: remove the row, or write its time", row, texts[row]
            )
        raise MixedTimesError(
            f"is not a number as the rows before it are, such as {texts[0]}: write all times in "
            "one format",
            row,
            texts[row],
        )
    reason = "is not a time: it is too large a number"
    ImpossibleTimesError.refuse(~np.isfinite(numbers), reason, texts)
    return numbers


def _number_style(cells: np.ndarray, decimals: np.ndarray) -> str:
    """Return how numbers are written, for `format`; "" as they are, without needless zeros."""
    plain = not np.strings.startswith(cells, b"+").any()
    if np.strings.find(np.strings.lower(cells), b"e").max() >= 0 or not plain:
        return ""
    width = int(np.strings.str_len(cells).max())
    is_padded = (np.strings.str_len(cells) == width).all() and (
        np.strings.startswith(cells, b"0").any() and width > 1 + decimals[0]
    )
    if (decimals == decimals[0]).all() and (decimals[0] or is_padded):
        return f"{'0' if is_padded else ''}{width if is_padded else ''}.{decimals[0]}f"
    return ""


def _from_serial_days(days: np.ndarray, decimals: int) -> np.ndarray:
    """Take serial days to the roundest time within their decimals."""
    microseconds = days * DAY
    error = max(0.51 * 10.0**-decimals, 1e-9) * DAY
    for unit in (60_000_000, 1_000_000, 1_000, 1):
        rounded = np.rint(microseconds / unit) * unit
        if (np.abs(rounded - microseconds) <= error).all():
            break
    return EXCEL_EPOCH + rounded.astype(np.int64).astype("m8[us]")
