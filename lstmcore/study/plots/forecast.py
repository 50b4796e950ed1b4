"""Pictures of forecasts: beside the truth, and what shows whether one merely follows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstmcore.formatting import shorten
from lstmcore.study.plots.style import COLOURS, LONGEST_NAME, panels, plain
from lstmcore.study.plots.timeline import label_steps

TRUTH, FORECAST, OTHER = COLOURS[6], COLOURS[1], COLOURS[0]
STRETCH = 80  # steps of the overlay


def plot_forecast(
    history,
    forecast,
    actual=None,
    *,
    interval: tuple | None = None,
    others: dict | None = None,
    ylabel: str = "",
    xlabel: str = "time step",
    labels: Sequence = (),
    axes=None,
) -> Figure:
    """One forecast of one column: what was before, what was forecast, what came.

    Args:
      history: [T], the rows up to the origin, in units of the data.
      forecast: [horizon].
      actual: [horizon], or fewer as yet; None if nothing is known.
      interval: (low [horizon], high [horizon]), see `Forecast.interval`.
      others: {name: [horizon]}, forecasts to compare, such as the naive one.
      ylabel: name of the column.
      xlabel: of the time axis.
      labels: [T + horizon] names of the steps; empty counts from 0.
      axes: the Axes to draw into.

    Raises:
      ValueError: arrays that have no single axis or whose lengths do not fit.
      TypeError: `axes` that are none.

    Examples:
      >>> figure = plot_forecast(np.arange(5.0), [5.0, 6.0], [5.0, 7.0], ylabel="load")
      >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
      ['truth', 'forecast']
    """
    past, ahead = _line("history", history), _line("forecast", forecast)
    horizon = len(ahead)
    if not (len(past) and horizon):
        raise ValueError("history and forecast must each hold at least one number")
    figure, grid = panels(axes, 1, 1, "the forecast", figsize=(8, 3.6))
    panel = grid[0, 0]
    origin = len(past) - 1
    later = origin + 1 + np.arange(horizon)

    def draw(values, **style):
        """A line that starts from the last value."""
        steps = np.arange(origin, origin + 1 + len(values))
        panel.plot(steps, [past[-1], *values], **style)

    if interval is not None:
        low, high = (_line("interval", end, horizon) for end in interval)
        panel.fill_between(later, low, high, color=FORECAST, alpha=0.2, linewidth=0)
    panel.plot(past, color=TRUTH, linewidth=1.2, label="truth")
    if actual is not None:
        came = _line("actual", actual)
        if len(came) > horizon:
            raise ValueError(f"actual has {len(came)} steps but the forecast {horizon}")
        draw(came, color=TRUTH, linewidth=1.2)
    for number, (name, values) in enumerate((others or {}).items()):
        colour = (COLOURS[0], *COLOURS[2:6])[number % 5]
        line = _line(f"others[{name!r}]", values, horizon)
        draw(line, color=colour, linewidth=1, linestyle=":", label=plain(name))
    marker = "." if horizon < STRETCH else None
    draw(ahead, color=FORECAST, linewidth=1.6, marker=marker, label="forecast")
    panel.axvline(origin, color="0.5", linewidth=0.8, linestyle="--")
    label_steps(panel, xlabel, labels, len(past) + horizon)
    panel.set_ylabel(shorten(ylabel, LONGEST_NAME), parse_math=False)
    panel.grid(alpha=0.3)
    panel.legend(frameon=False, ncols=4, loc="lower right", bbox_to_anchor=(1, 1))
    return figure


def plot_lag_check(
    check,
    actual,
    forecast,
    last,
    *,
    stretch: slice | None = None,
    ylabel: str = "",
    axes=None,
) -> Figure:
    """Whether a forecast merely follows the last value, in three panels.

    First the truth and the forecast over a stretch, and the forecast moved back by the lag at which
    it fits best: one that follows then lies on the truth. Then how the changes of the forecast
    correlate with those of the truth at each lag: one that follows has its peak at a lag above 0.
    Then the change that was forecast over the one that came: one that follows is a flat cloud, one
    that is right lies along the diagonal.

    Args:
      check: from `lag_check(actual, forecast, last, step)`.
      actual, forecast, last: [N], as given to it; what is NaN is left out.
      stretch: steps of the first panel; None takes the last 80.
      ylabel: name of the column.
      axes: three Axes to draw into, as from `figure.subplots(1, 3)`.

    Raises:
      ValueError: arrays that have no single axis or unequal lengths, a stretch without steps, or
        `axes` that are more or fewer than three.
      TypeError: `axes` that are none.

    Examples:
      >>> from lstmcore.forecasting import lag_check
      >>> walk = np.random.default_rng(0).normal(size=101).cumsum()
      >>> series = walk[1:], walk[:-1], walk[:-1]
      >>> plot_lag_check(lag_check(*series), *series).axes[0].get_title(loc="left")
      '1 ahead: follows the last value'
    """
    truth = _line("actual", actual)
    written, before = (
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
    steps = np.arange(len(truth))[slice(-STRETCH, None) if stretch is None else stretch]
    if not len(steps):
        raise ValueError(f"stretch {stretch} holds none of {len(truth)} steps")
    _draw_overlay(overlay, check, truth, written, steps)
    overlay.set_title(f"{check.step} ahead: {check.verdict}", loc="left", fontsize="medium")
    overlay.set_ylabel(shorten(ylabel, LONGEST_NAME), parse_math=False)
    _draw_correlation(correlation, check)
    _draw_changes(changes, check, truth - before, written - before)
    return figure


def _draw_overlay(panel: Axes, check, truth, written, steps) -> None:
    panel.plot(steps, truth[steps], color=TRUTH, linewidth=1.4, label="truth")
    panel.plot(steps, written[steps], color=FORECAST, linewidth=1.2, label="forecast")
    if lag := check.best_lag:
        moved = steps[steps + lag < len(written)]
        rows = "row" if lag == 1 else "rows"
        panel.plot(
            moved,
            written[moved + lag],
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
    heights = np.nan_to_num(check.correlation)  # of what never changes there is none
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
    panel.set(xlabel="rows back", ylabel="correlation of changes")
    panel.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    panel.set_title("forecast with earlier truth", loc="left", fontsize="medium")


def _draw_changes(panel: Axes, check, came, expected) -> None:
    panel.axline((0, 0), slope=1, color="0.6", linewidth=0.8, linestyle="--")
    panel.axhline(0, color="0.6", linewidth=0.8)
    alpha = float(np.clip(30 / np.sqrt(len(came)) / 3, 0.15, 0.8))
    panel.plot(came, expected, ".", color=FORECAST, markersize=4, alpha=alpha)
    if np.isfinite(check.anticipation):
        panel.axline((0, 0), slope=check.anticipation, color=OTHER, linewidth=1.4)
        title = f"{check.anticipation:.0%} anticipated"
    else:
        title = "nothing changes"
    # One scale for both, so that the diagonal is one, and a flat cloud flat.
    limit = 1.08 * max(np.nanmax(np.abs(came)), np.nanmax(np.abs(expected))) or 1.0
    panel.set(xlim=(-limit, limit), ylim=(-limit, limit))
    panel.set(xlabel="change that came", ylabel="change that was forecast")
    panel.set_title(title, loc="left", fontsize="medium")


def _line(name: str, values, length: int | None = None) -> np.ndarray:
    line = np.asarray(values, dtype=float)
    if line.ndim != 1 or (length is not None and len(line) != length):
        expected = "[steps]" if length is None else f"({length},)"
        raise ValueError(f"{name} must be {expected}, of one column, got shape {line.shape}")
    return line
