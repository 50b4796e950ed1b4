"""Numbers for people: three digits, and the unit that fits."""

from __future__ import annotations


def time_or_size(value: float, unit: str) -> str:
    """`time_or_size(0.0123, "s")` is "12.3 ms"; sizes stay in MiB."""
    if unit != "s":
        return f"{_three_digits(value)} {unit}"
    name, factor = next(
        (name, factor)
        for name, factor in (("s", 1), ("ms", 1e3), ("µs", 1e6))
        if value * factor >= 1 or name == "µs"
    )
    return f"{_three_digits(value * factor)} {name}"


def ratio(value: float) -> str:
    """`ratio(1.2345)` is "1.23"."""
    return _three_digits(value) if value >= 10 else f"{value:.2f}"


def percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _three_digits(value: float) -> str:
    for limit, digits in ((9.995, 2), (99.95, 1)):
        if value < limit:
            return f"{value:.{digits}f}"
    return f"{value:.0f}"
