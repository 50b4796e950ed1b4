"""Figures of forecasts and of the lag check: their lines, labels and scales, at all sizes."""

import numpy as np
import pandas as pd
import polars
import pytest
from pictures import (
    assert_counts_axes,
    assert_drawable,
    assert_draws_into,
    no_global_state,  # noqa: F401
)

from lstmcore.apps.forecasting import lag_check
from lstmcore.study.plots import plot_forecast, plot_lag_check

PAST, AHEAD, CAME = np.array([1.0, 3, 2]), np.array([4.0, 5]), np.array([3.0, 7])


def curves(panel):
    """{label: (steps, values)} of lines that have one; the truth's second part is "_child..."."""
    return {
        line.get_label(): ([*map(float, line.get_xdata())], [*map(float, line.get_ydata())])
        for line in panel.lines
    }


def words(panel):
    return [text.get_text() for text in panel.get_legend().get_texts()]


def test_a_forecast_starts_from_the_last_value():
    figure = plot_forecast(PAST, AHEAD, CAME, others={"naive, $": [2, 2]}, ylabel="load, $")
    (panel,) = figure.axes
    found = curves(panel)
    assert found["truth"] == ([0, 1, 2], [1, 3, 2])
    assert found["forecast"] == ([2, 3, 4], [2, 4, 5])
    assert ([2, 3, 4], [2, 3, 7]) in found.values()
    assert found[r"naive, \$"] == ([2, 3, 4], [2, 2, 2])
    assert words(panel) == ["truth", r"naive, \$", "forecast"]
    assert panel.get_ylabel() == "load, $"
    origin = panel.lines[-1]
    assert list(origin.get_xdata()) == [2, 2]
    assert_drawable(figure)


DAYS = pd.date_range("2026-01-01", periods=3)
LOAD = pd.Series(PAST, DAYS, name="load")


@pytest.mark.parametrize(
    "history",
    [LOAD, LOAD.to_frame(), polars.DataFrame({"day": DAYS, "load": PAST})],
    ids=["series", "frame", "polars"],
)
def test_names_go_on_from_those_of_a_data_frame(history):
    (panel,) = plot_forecast(history, pd.Series(AHEAD), polars.Series(CAME)).axes
    assert (panel.get_ylabel(), panel.get_xlabel()) == ("load", "time")
    assert [text.get_text() for text in panel.get_xticklabels()] == [
        f"2026-01-0{day}" for day in range(1, 6)
    ]
    assert curves(panel)["forecast"] == ([2, 3, 4], [2, 4, 5])
    (panel,) = plot_forecast(history, AHEAD, ylabel="a", xlabel="b", labels=range(5)).axes
    assert (panel.get_ylabel(), panel.get_xlabel()) == ("a", "b")


def test_steps_whose_names_nobody_knows_are_numbered():
    (panel,) = plot_forecast(LOAD.set_axis(["a", "b", "c"]), AHEAD).axes
    assert panel.get_xlabel() == "time step"
    (panel,) = plot_forecast(polars.Series("load", PAST), AHEAD).axes
    assert (panel.get_ylabel(), panel.get_xlabel()) == ("load", "time step")
    with pytest.raises(ValueError, match=r"history must be .*, of one column, got shape \(3, 2\)"):
        plot_forecast(LOAD.to_frame().assign(temp=1.0), AHEAD)


def test_the_interval_is_a_band_over_the_horizon():
    figure = plot_forecast(PAST, AHEAD, interval=([3, 4], [6, 8]))
    (band,) = figure.axes[0].collections
    corners = band.get_paths()[0].vertices
    assert {tuple(corner) for corner in corners} >= {(3, 3), (3, 6), (4, 4), (4, 8)}
    assert_drawable(figure)


@pytest.mark.parametrize(("past", "horizon"), [(1, 1), (1, 200), (500, 1)])
def test_sizes_of_forecasts(past, horizon, rng):
    labels = [f"row {row}" for row in range(past + horizon)]
    history, ahead = rng.normal(size=past), rng.normal(size=horizon)
    figure = plot_forecast(history, ahead, ahead[:1], labels=labels, xlabel="day")
    assert figure.axes[0].get_xlabel() == "day"
    assert_drawable(figure)


def test_a_forecast_in_axes_of_ones_own():
    assert_draws_into(lambda axes: plot_forecast(PAST, AHEAD, axes=axes), 1, 1, squeeze=False)
    assert_counts_axes(lambda axes: plot_forecast(PAST, AHEAD, axes=axes), 1, "the forecast")


def checked(forecast, rows=100, step=1):
    """(check, actual, forecast, last) of a random walk; forecast(actual, last, rng)."""
    rng = np.random.default_rng(0)
    walk = rng.normal(size=rows + step).cumsum()
    actual, last = walk[step:], walk[:-step]
    written = forecast(actual, last, rng)
    return lag_check(actual, written, last, step), actual, written, last


@pytest.mark.parametrize("step", [1, 3])
def test_a_follower_lies_on_the_truth_when_it_is_moved_back(step):
    given = checked(lambda actual, last, rng: last, step=step)
    figure = plot_lag_check(*given, ylabel="price")
    overlay, correlation, changes = figure.axes
    assert overlay.get_title(loc="left") == f"{step} ahead: lags (no better than persistence)"
    assert overlay.get_ylabel() == "price"
    rows = "1 row" if step == 1 else "3 rows"
    assert words(overlay) == ["truth", "forecast", f"forecast, {rows} back"]
    found = curves(overlay)
    truth = dict(zip(*found["truth"], strict=True))
    for place, value in zip(*found[f"forecast, {rows} back"], strict=True):
        assert value == truth[place]
    heights = [bar.get_height() for bar in correlation.patches]
    assert int(np.argmax(heights)) == step
    assert [text.get_text() for text in correlation.texts] == [f"lag {step}"]
    assert changes.get_title(loc="left") == "0% anticipated"
    (cloud,) = [line for line in changes.lines if line.get_marker() == "."]
    assert not cloud.get_ydata().any()
    assert changes.get_xlim() == changes.get_ylim()
    assert_drawable(figure)


def test_a_good_forecast_is_not_moved():
    given = checked(lambda actual, last, rng: actual + 0.2 * rng.normal(size=len(actual)))
    overlay, correlation, changes = plot_lag_check(*given).axes
    assert words(overlay) == ["truth", "forecast"]
    assert [text.get_text() for text in correlation.texts] == ["lag 0"]
    (cloud,) = [line for line in changes.lines if line.get_marker() == "."]
    np.testing.assert_allclose(cloud.get_xdata(), given[1] - given[3])
    np.testing.assert_allclose(cloud.get_ydata(), given[2] - given[3])


def test_the_stretch_that_is_drawn():
    given = checked(lambda actual, last, rng: actual)
    assert curves(plot_lag_check(*given).axes[0])["truth"][0] == list(range(20, 100))
    found = plot_lag_check(*given, segment=slice(5, 9))
    assert curves(found.axes[0])["truth"][0] == [5, 6, 7, 8]


@pytest.mark.parametrize("rows", [20, 5000])
def test_sizes_of_lag_checks(rows):
    assert_drawable(plot_lag_check(*checked(lambda actual, last, rng: last, rows)))


@pytest.mark.thorough
def test_what_never_changes_can_be_drawn():
    ones = np.ones(30)
    for actual, forecast in ((ones, ones), (ones, ones + 1), (np.arange(30.0), ones)):
        check = lag_check(actual, forecast, ones)
        assert_drawable(plot_lag_check(check, actual, forecast, ones))


def test_a_lag_check_with_holes():
    """The bar that stands out is that of the lag that the first panel moves by."""
    _, actual, written, last = checked(lambda actual, last, rng: last)
    actual = actual.copy()  # which shares memory with the last values
    actual[::7] = np.nan
    figure = plot_lag_check(lag_check(actual, written, last), actual, written, last)
    assert_drawable(figure)
    assert np.isfinite(figure.axes[2].get_xlim()).all()
    line = np.arange(40.0)  # of which there is no correlation, but a distance
    overlay, correlation, _ = plot_lag_check(
        lag_check(line[1:], line[:-1], line[:-1]), line[1:], line[:-1], line[:-1]
    ).axes
    assert "forecast, 1 row back" in words(overlay)
    assert [text.get_text() for text in correlation.texts] == ["lag 1"]


def test_a_lag_check_in_axes_of_ones_own():
    given = checked(lambda actual, last, rng: last)
    draw = lambda axes: plot_lag_check(*given, axes=axes)  # noqa: E731
    assert_draws_into(draw, 1, 3)
    assert_counts_axes(draw, 3, "overlay, correlation, changes")


CHECK = checked(lambda actual, last, rng: last)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot_forecast(PAST[:, None], AHEAD), r"history must be \[steps\], of one column,"),
        (lambda: plot_forecast(PAST, []), "history and forecast must each hold at least one num"),
        (lambda: plot_forecast(PAST, AHEAD, PAST), "actual has 3 steps but the forecast 2"),
        (lambda: plot_forecast(PAST, AHEAD, interval=(AHEAD, PAST)), r"interval must be \(2,\)"),
        (lambda: plot_forecast(PAST, AHEAD, others={"a": [1]}), r"others\['a'\] must be \(2,\)"),
        (lambda: plot_forecast(PAST, AHEAD, labels=["a"]), "labels has 1 name for 5 st"),
        (lambda: plot_lag_check(*CHECK[:3], PAST), r"last must be \(100,\), of one column, got sh"),
        (lambda: plot_lag_check(*CHECK, segment=slice(0, 0)), "holds none of 100 steps"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
