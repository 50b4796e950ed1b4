"""The forecast in the terminal: short, whatever its length and width."""

import re

import numpy as np
import pytest

from lstmcore.apps.forecasting import Forecast
from lstmcore.cli import forecast_table, terminal
from lstmcore.cli.console import PrintableConsole


def printed(monkeypatch, rows, targets, levels=()):
    console = PrintableConsole(width=200, highlight=False)
    for module in (forecast_table, terminal):
        monkeypatch.setattr(module, "console", console)
    point = np.arange(float(rows * targets)).reshape(1, rows, targets) * 1000
    names = tuple(f"target {place}" for place in range(targets))
    quantiles = point[..., None] + [-1, 0, 1] if levels else None
    forecast = Forecast(np.array([9]), names, point, levels, quantiles)
    with console.capture() as captured:
        forecast_table.print_forecast(forecast, [f"row {step}" for step in range(rows)], "time")
    return [line.strip() for line in captured.get().splitlines() if line.strip()]


def test_few_rows_are_all_there(monkeypatch):
    title, header, _, *lines = printed(monkeypatch, 12, 1)
    assert title == "forecast"
    assert header.split() == ["time", "target", "0"]
    assert lines[0].split() == ["row", "0", "0"]
    assert lines[-1].split() == ["row", "11", "11000"]
    assert len(lines) == 12


def test_of_many_rows_the_first_and_the_last_are(monkeypatch):
    *_, first, between, last, _, _, _, _ = printed(monkeypatch, 500, 1)
    assert first.startswith("row 4 ")
    assert between == "..."
    assert last.startswith("row 495 ")


@pytest.mark.parametrize(("levels", "shown"), [((), 6), ((0.1, 0.5, 0.9), 2)])
def test_of_many_targets_the_first_are(levels, shown, monkeypatch):
    title, header, _, line, *_, last = printed(monkeypatch, 3, 10, levels)
    assert re.findall(r"target \d", header) == [f"target {place}" for place in range(shown)]
    assert header.count("low") == header.count("high") == (shown if levels else 0)
    assert title.endswith("interval of 80%") == bool(levels)
    assert last == f"{10 - shown} more targets in forecast.csv"
    assert line.split()[2:5] == (["0", "-1", "1"] if levels else ["0", "1000", "2000"])
