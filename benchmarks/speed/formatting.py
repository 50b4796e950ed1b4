"""Numbers as text: three digits, and a fitting unit."""

from __future__ import annotations

from benchmarks.speed.timing import Sample


def time_or_size(value: float, unit: str) -> str:
    """Return seconds in a fitting unit (0.0123 as "12.3 ms"), or a size in MiB."""
    if unit != "s":
        return f"{_three_digits(value)} {unit}"
    name, factor = next(
        (name, factor)
        for name, factor in (("s", 1), ("ms", 1e3), ("µs", 1e6))
        if value * factor >= 1 or name == "µs"
    )
    return f"{_three_digits(value * factor)} {name}"


def ratio(value: float) -> str:
    """Return a ratio with two decimals, or three digits from 10 on."""
    return _three_digits(value) if value >= 10 else f"{value:.2f}"


def spread(sample: Sample) -> str:
    """Return the median of a ratio, its quartiles and the number of pairs."""
    return f"{sample.median:.2f} ({sample.low:.2f} to {sample.high:.2f}, {sample.runs} pairs)"


def percent(value: float) -> str:
    """Return a fraction in percent."""
    return f"{100 * value:.0f} %"


def _three_digits(value: float) -> str:
    for limit, digits in ((9.995, 2), (99.95, 1)):
        if value < limit:
            return f"{value:.{digits}f}"
    return f"{value:.0f}"
