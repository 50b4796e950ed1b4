"""The forecast of the next rows as a table in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from lstmcore.apps.forecasting.forecast import Forecast
from lstmcore.apps.forecasting.verdict import LEVEL, interval
from lstmcore.cli.terminal import console, grid
from lstmcore.formatting import count, shorten

MOST_ROWS, SHOWN_ENDS = 12, 5  # of more rows, the first and the last are printed
MOST_COLUMNS = 6  # of numbers


def print_forecast(forecast: Forecast, labels: Sequence[str], label_name: str) -> None:
    """Print the forecast of the rows after the last, with its interval if it has one.

    Of many rows the first and the last are printed, of many targets the first; forecast.csv has
    all.
    """
    ends = interval(forecast)
    blocks = [forecast.point] if ends is None else [forecast.point, *ends]
    targets = forecast.targets[: MOST_COLUMNS // len(blocks)]
    header = [label_name]
    for target in targets:
        header += [shorten(target), *(["low", "high"] if ends is not None else [])]
    cells = [
        [
            label,
            *(_number(block[0, step, place]) for place in range(len(targets)) for block in blocks),
        ]
        for step, label in enumerate(labels)
    ]
    if len(cells) > MOST_ROWS:
        cells = [*cells[:SHOWN_ENDS], ["...", *[""] * (len(header) - 1)], *cells[-SHOWN_ENDS:]]
    grid("forecast" if ends is None else f"forecast, interval of {LEVEL:.0%}", header, cells)
    if hidden := len(forecast.targets) - len(targets):
        console.print(f"{count(hidden, 'more target')} in forecast.csv\n")


def _number(value: float) -> str:
    """Return a number with four digits, or with all before the point."""
    return f"{value:.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
