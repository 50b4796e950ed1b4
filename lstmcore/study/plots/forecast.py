"""Draw forecasts beside the truth, and whether one just lags behind it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstmcore.arrays import check_known, frame_library
from lstmcore.formatting import shorten
from lstmcore.series.arguments import column_names
from lstmcore.study.plots.style import COLOURS, DATA, LONGEST_NAME, MODEL, RIVALS, panels, plain
from lstmcore.study.plots.timeline import label_steps, numbers, row_names

TRUTH, FORECAST, OTHER = DATA, MODEL, COLOURS[1]
SEGMENT = 80  # steps of the overlay


# Three arrays are drawn; the others are optional parts of the same panel and its labels.
def plot_forecast(
    history,
    forecast,
    actual=None,
    *,
    interval: tuple | None = None,
    others: dict | None = None,
    ylabel: str = "",
    xlabel: str | None = None,
    labels: Sequence = (),
    axes=None,
) -> Figure:
    """Draw one forecast of one column after its history, and the actual values if known.

    Args:
      history: [T], the rows up to the origin, in units of the data: an array, a series, or a data
        frame of one column.
      forecast: [horizon].
      actual: [horizon], or fewer if the rest is not known yet; None if nothing is known.
      interval: (low [horizon], high [horizon]), see `Forecast.interval`.
      others: {name: [horizon]}, forecasts to compare, such as the naive one.
      ylabel: name of the column; if empty, that of a data frame.
      xlabel: label of the time axis; None is "time" for times of a data frame, else "time step".
      labels: [T + horizon] names of the steps; if empty, they go on from those of a data frame, and
        other steps are numbered from 0.
      axes: the Axes to draw into.

    Raises:
      ValueError: arrays with more than one axis, or whose lengths do not fit.
      TypeError: `axes` that are not Axes.
      TimesError: a data frame whose times do not rise by equal steps.

    Examples:
      >>> figure = plot_forecast(np.arange(5.0), [5.0, 6.0], [5.0, 7.0], ylabel="load")
      >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
      ['truth', 'forecast']
    """
    past, predicted = _line("history", history), _line("forecast", forecast)
    horizon = len(predicted)
    if not len(labels):
        labels, are_times = row_names(history, horizon)
        xlabel = "time" if xlabel is None and are_times else xlabel
    ylabel = ylabel or next(iter(column_names(history) or ()), "")
    if not (len(past) and horizon):
        raise ValueError("history and forecast must each hold at least one number")
    figure, grid = panels(axes, 1, 1, "the forecast", figsize=(8, 3.6))
    panel = grid[0, 0]
    if interval is not None:
        low, high = (_line("interval", end, horizon) for end in interval)
        steps = len(past) + np.arange(horizon)
        panel.fill_between(steps, low, high, color=FORECAST, alpha=0.2, linewidth=0)
    panel.plot(past, color=TRUTH, linewidth=1.2, label="truth")
    if actual is not None:
        truth = _line("actual", actual)
        if len(truth) > horizon:
            raise ValueError(f"actual has {len(truth)} steps but the forecast {horizon}")
        _continue(panel, past, truth, color=TRUTH, linewidth=1.2)
    for number, (name, values) in enumerate((others or {}).items()):
        style = {"color": RIVALS[number % len(RIVALS)], "linestyle": ":"}
        line = _line(f"others[{name!r}]", values, horizon)
        _continue(panel, past, line, **style, linewidth=1, label=plain(name))
    marker = "." if horizon < SEGMENT else None
    _continue(
        panel, past, predicted, color=FORECAST, linewidth=1.6, marker=marker, label="forecast"
    )
    panel.axvline(len(past) - 1, color="0.5", linewidth=0.8, linestyle="--")
    label_steps(panel, "time step" if xlabel is None else xlabel, labels, len(past) + horizon)
    panel.set_ylabel(shorten(ylabel, LONGEST_NAME), parse_math=False)
    panel.grid(alpha=0.3)
    panel.legend(frameon=False, ncols=4, loc="lower right", bbox_to_anchor=(1, 1))
    return figure


def _continue(panel: Axes, past: np.ndarray, values: np.ndarray, **style) -> None:
    """Draw a line that starts from the last value of the past."""
    steps = np.arange(len(past) - 1, len(past) + len(values))
    panel.plot(steps, [past[-1], *values], **style)


def plot_lag_check(
    check, actual, forecast, last, *, segment: slice | None = None, ylabel: str = "", axes=None
) -> Figure:
    """Draw three panels that show whether a forecast just lags behind the truth.

    The first panel shows the truth and the forecast over a segment, and the forecast shifted back
    by the lag at which it fits best: one that lags then lies on the truth. The second shows how the
    changes of the forecast correlate with those of the truth at each lag: one that lags has its
    peak above 0. The third shows the forecast change over the actual one: a forecast that lags is a
    flat cloud, one that is right lies along the diagonal.

    Args:
      check: from `lag_check(actual, forecast, last, step)`.
      actual, forecast, last: [N], as given to it; NaN is left out.
      segment: steps of the first panel; None takes the last 80.
      ylabel: name of the column.
      axes: three Axes to draw into, as from `figure.subplots(1, 3)`.

    Raises:
      ValueError: arrays with more than one axis or of unequal lengths, a segment without steps, or
        more or fewer than three `axes`.
      TypeError: `axes` that are not Axes.

    Examples:
      >>> from lstmcore import forecasting
      >>> walk = np.random.default_rng(0).normal(size=101).cumsum()
      >>> series = walk[1:], walk[:-1], walk[:-1]
      >>> figure = plot_lag_check(forecasting.lag_check(*series), *series)
      >>> [axes.get_xlabel() for axes in figure.axes]
      ['step', 'lag (rows)', 'actual change']
    """
    truth = _line("actual", actual)
    predicted, before = (
        _line(name, values, len(truth)) for name, values in (("forecast", forecast), ("last", last))
    )
    figure, grid = panels(
        axes,
        1,
        3,
        "overlay, correlation, changes",
        figsize=(11, 3.4),
        gridspec_kw={"width_ratios": [2, 1, 1]},
    )
    overlay, correlation, changes = grid[0]
    steps = np.arange(len(truth))[slice(-SEGMENT, None) if segment is None else segment]
    if not len(steps):
        raise ValueError(f"segment {segment} holds none of {len(truth)} steps")
    _draw_overlay(overlay, check, truth, predicted, steps)
    overlay.set_title(f"{check.step} ahead: {check.verdict}", loc="left", fontsize="medium")
    overlay.set_ylabel(shorten(ylabel, LONGEST_NAME), parse_math=False)
    _draw_correlation(correlation, check)
    _draw_changes(changes, check, truth - before, predicted - before)
    return figure


def _draw_overlay(panel: Axes, check, truth, predicted, steps) -> None:
    panel.plot(steps, truth[steps], color=TRUTH, linewidth=1.4, label="truth")
    panel.plot(steps, predicted[steps], color=FORECAST, linewidth=1.2, label="forecast")
    if lag := check.best_lag:
        shifted = steps[steps + lag < len(predicted)]
        rows = "row" if lag == 1 else "rows"
        panel.plot(
            shifted,
            predicted[shifted + lag],
            color=OTHER,
            linewidth=1,
            linestyle="--",
            label=f"forecast, {lag} {rows} back",
        )
    panel.set_xlabel("step")
    panel.margins(x=0.01)
    panel.grid(alpha=0.3)
    low, high = panel.get_ylim()
    panel.set_ylim(low, high + 0.22 * (high - low))  # room for the legend
    panel.legend(frameon=False, fontsize="small", ncols=3, loc="upper left")


def _draw_correlation(panel: Axes, check) -> None:
    heights = np.nan_to_num(check.correlation)  # undefined for a constant series
    peak = check.best_lag
    colours = [FORECAST if lag == peak else "0.7" for lag in check.lags]
    panel.bar(check.lags, heights, color=colours, width=0.7)
    panel.axhline(0, color="0.3", linewidth=0.8)
    panel.annotate(
        f"lag {peak}",
        (peak, heights[peak]),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        fontsize="small",
        color=FORECAST,
    )
    panel.set_ylim(min(-0.25, heights.min() - 0.05), max(1.15, heights.max() + 0.15))
    panel.set(xlabel="lag (rows)", ylabel="correlation of changes")
    panel.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    panel.set_title("forecast with earlier truth", loc="left", fontsize="medium")


def _draw_changes(panel: Axes, check, actual, predicted) -> None:
    panel.axline((0, 0), slope=1, color="0.6", linewidth=0.8, linestyle="--")
    panel.axhline(0, color="0.6", linewidth=0.8)
    alpha = float(np.clip(30 / np.sqrt(len(actual)) / 3, 0.15, 0.8))
    panel.plot(actual, predicted, ".", color=FORECAST, markersize=4, alpha=alpha)
    if np.isfinite(check.anticipation):
        panel.axline((0, 0), slope=check.anticipation, color=OTHER, linewidth=1.4)
        title = f"{check.anticipation:.0%} anticipated"
    else:
        title = "nothing changes"
    # One scale for both axes, so that a slope of 1 is a diagonal.
    limit = 1.08 * max(np.nanmax(np.abs(actual)), np.nanmax(np.abs(predicted))) or 1.0
    panel.set(xlim=(-limit, limit), ylim=(-limit, limit))
    panel.set(xlabel="actual change", ylabel="forecast change")
    panel.set_title(title, loc="left", fontsize="medium")


def _line(name: str, values, length: int | None = None) -> np.ndarray:
    check_known(name, values)
    line = numbers(values).astype(float)
    line = line[:, 0] if frame_library(values) and line.shape[1:] == (1,) else line
    if line.ndim != 1 or (length is not None and len(line) != length):
        expected = "[steps]" if length is None else f"({length},)"
        raise ValueError(f"{name} must be {expected}, of one column, got shape {line.shape}")
    return line
