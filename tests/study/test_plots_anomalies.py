"""The figure of a series, its scores and the events detected in it."""

from functools import partial

import numpy as np
import pandas as pd
import polars
import pytest
from matplotlib.colors import to_rgba
from pictures import assert_counts_axes, assert_drawable, assert_draws_into, no_global_state  # noqa: F401

from lstmcore import series
from lstmcore.apps.anomalies import Event, thresholds
from lstmcore.study import plots
from lstmcore.study.plots.anomalies import DETECTED, LABELLED

SCORES = np.array([0.0, np.nan, 3.0, 4.0, 0.0, 0.0, 5.0, 0.0])
VALUES = np.stack([SCORES, -SCORES], axis=1)
FOUND = [Event(2, 4, 3, 4.0), Event(6, 7, 6, 5.0)]
LABELS = np.array([0, 0, 0, 1, 1, 0, 0, 0])
draw = partial(plots.plot_anomalies, VALUES, SCORES, 2.5, FOUND)


def spans(axes, colour):
    """(left, right, height) of what is shaded in a colour; the height is a share of the panel's."""
    found = []
    for shaded in axes.collections:
        assert shaded.get_transform() == axes.get_xaxis_transform()
        for path in shaded.get_paths():
            (left, low), (right, high) = path.get_extents().get_points()
            if (shaded.get_facecolor()[0, :3] == to_rgba(colour)[:3]).all():
                found.append((left, right, high - low))
    return found


def test_panels_lines_and_events():
    figure = draw(LABELS, columns=["$ load", "wind"])
    assert_drawable(figure)
    assert [axes.get_ylabel() for axes in figure.axes] == [r"\$ load", "wind", "score"]
    for axes, expected in zip(figure.axes, [*VALUES.T, SCORES], strict=True):
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), expected)
        assert spans(axes, DETECTED) == [(1.5, 3.5, 1), (5.5, 6.5, 1)]
        ((left, right, height),) = spans(axes, LABELLED)
        assert (left, right) == (2.5, 4.5)
        assert height < 0.1  # so that it does not hide what was detected
        assert axes.get_xlim() == (-0.5, 7.5)
    limit = figure.axes[-1].lines[1]
    np.testing.assert_array_equal(limit.get_ydata(), [2.5, 2.5])
    assert figure.axes[-1].get_xlabel() == "row"


def names(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_the_legend_names_what_is_there():
    usual = ["series", "score", "threshold", "detected"]
    assert names(draw()) == usual
    assert names(draw(LABELS.astype(bool))) == [*usual, "labelled"]
    figure = draw(outputs=VALUES + 1)
    assert names(figure) == ["series", "model", *usual[1:]]
    np.testing.assert_array_equal(figure.axes[1].lines[1].get_ydata(), VALUES[:, 1] + 1)


def test_a_threshold_says_how_it_came_about():
    limit = thresholds.maximum(SCORES)
    figure = plots.plot_anomalies(VALUES, SCORES, limit, [])
    title = "threshold: the largest of 7 scores of normal rows"
    assert figure.axes[-1].get_title(loc="left") == title
    assert_drawable(figure)


def test_names_of_the_rows():
    figure = draw(times=[f"day {row}" for row in range(8)], xlabel="2014")
    words = [label.get_text() for label in figure.axes[-1].get_xticklabels()]
    assert words[0] == "day 0"
    assert figure.axes[-1].get_xlabel() == "2014"


def test_panels_of_the_caller():
    assert_draws_into(draw, 3)
    assert_counts_axes(draw, 3, "one for each column, one for the score")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"scores": SCORES[:3]},
            r"scores has shape \(3,\) but values of shape \(8, 2\) need \(8,\)",
        ),
        ({"labels": LABELS[:, None]}, r"labels has shape \(8, 1\)"),
        ({"outputs": VALUES[:, :1]}, r"outputs has shape \(8, 1\).*need \(8, 2\)"),
        ({"values": SCORES}, r"values must be \[rows, features\], got shape \(8,\)"),
        ({"columns": ["a"]}, "columns has 1 name but values has 2 columns"),
        ({"times": ["a"]}, "labels has 1 name for 8 steps"),
    ],
)
def test_what_does_not_fit(change, message):
    usual = {"values": VALUES, "scores": SCORES, "threshold": 2.5, "detected": FOUND}
    with pytest.raises(ValueError, match=message):
        plots.plot_anomalies(**usual | change)


HOURS = pd.date_range("2026-01-01 20:00", periods=8, freq="h", tz="Europe/Berlin", name="when")
FRAME = pd.DataFrame(VALUES, HOURS, ["load", "wind"])
ENDS = "2026-01-01 20:00", "2026-01-02 03:00"


@pytest.mark.parametrize(
    ("frame", "ends", "xlabel"),
    [
        (FRAME, ENDS, "time"),
        (polars.from_pandas(FRAME.reset_index()), ENDS, "time"),
        (
            FRAME.set_axis(pd.date_range("2026-01-01", periods=8)),
            ("2026-01-01", "2026-01-08"),
            "time",
        ),
        (
            FRAME.set_axis(pd.period_range("2026Q1", periods=8, freq="Q")),
            ("2026Q1", "2027Q4"),
            "time",
        ),
        (FRAME.set_axis(list("abcdefgh")), ("a", "h"), "row"),
        (FRAME.reset_index(drop=True), None, "row"),
    ],
    ids=["pandas", "polars", "days", "quarters", "texts", "numbers"],
)
def test_a_data_frame_names_columns_and_rows(frame, ends, xlabel):
    figure = plots.plot_anomalies(frame, SCORES, 2.5, FOUND, outputs=frame)
    assert [axes.get_ylabel() for axes in figure.axes] == ["load", "wind", "score"]
    for axes, expected in zip(figure.axes, VALUES.T, strict=False):
        for line in axes.lines[:2]:
            np.testing.assert_array_equal(line.get_ydata(), expected)
    assert figure.axes[-1].get_xlabel() == xlabel
    labels = [text.get_text() for text in figure.axes[-1].get_xticklabels()]
    assert ends is None or (labels[0], labels[-1]) == ends


def test_names_that_are_given_come_before_those_of_a_data_frame():
    names = [f"row {row}" for row in range(8)]
    figure = plots.plot_anomalies(FRAME, SCORES, 2.5, [], columns="ab", times=names, xlabel="x")
    assert [axes.get_ylabel() for axes in figure.axes] == ["a", "b", "score"]
    assert figure.axes[-1].get_xlabel() == "x"
    assert figure.axes[-1].get_xticklabels()[0].get_text() == "row 0"
    with pytest.raises(series.TimesError, match="comes after a gap"):
        plots.plot_anomalies(FRAME.iloc[[0, 1, 2, 3, 4, 6, 7]], SCORES[1:], 2.5, [])
