"""Pictures: their panels, labels and scales, at the smallest and the largest sizes."""

import io

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

from lstmcore import plots
from lstmcore.types import Gates, Trace

PANELS = ["input", "input i", "forget f", "candidate g", "output o"]


@pytest.fixture(autouse=True)
def _no_global_state():
    """Nothing is left behind in pyplot, whichever picture was drawn."""
    settings = dict(mpl.rcParams)
    yield
    assert pyplot.get_fignums() == []
    assert dict(mpl.rcParams) == settings


def a_trace(rng, steps: int, units: int) -> Trace:
    shape = (steps, units)
    i, f, o = rng.uniform(0.2, 0.7, (3, *shape))
    gates = Gates(i, f, rng.uniform(-0.4, 0.2, shape), o)
    return Trace(rng.normal(size=shape), rng.normal(size=shape), gates)


def assert_drawable(figure):
    """It is a figure, and it becomes a picture without a warning."""
    assert isinstance(figure, Figure)
    file = io.BytesIO()
    figure.savefig(file, dpi=40)
    file.seek(0)
    assert pyplot.imread(file).std() > 0


def panels_of(figure) -> list:
    """The axes without the colour bars."""
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]


def ticks_of(axes) -> list[tuple[float, str]]:
    words = [label.get_text() for label in axes.get_xticklabels()]
    return list(zip(axes.get_xticks(), words, strict=True))


# The loss.


@pytest.mark.parametrize("epochs", [1, 2, 300])
def test_loss_has_one_curve_per_kind(epochs, rng):
    loss, validation = rng.uniform(0.1, 1, (2, epochs))
    figure = plots.plot_loss({"loss": loss, "validation_loss": validation})
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_yscale()) == ("epoch", "loss", "log")
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["loss", "validation loss"]
    for line, values in zip(axes.lines, (loss, validation), strict=True):
        assert line.get_xdata().tolist() == list(range(1, epochs + 1))
        np.testing.assert_array_equal(line.get_ydata(), values)
        assert epochs > 1 or line.get_marker() == "o"  # a line through one point is invisible
    assert_drawable(figure)


def test_loss_without_validation():
    (axes,) = plots.plot_loss({"loss": np.array([1.0, 0.1])}).axes
    assert len(axes.lines) == len(axes.get_legend().get_texts()) == 1


def test_a_loss_of_zero_can_be_drawn():
    """A series that never changes is learnt perfectly, and zero has no place on the log axis."""
    assert_drawable(plots.plot_loss({"loss": np.zeros(3)}))


# Output against input.


@pytest.mark.parametrize("steps", [1, 2, 40])
@pytest.mark.parametrize("columns", [["a"], ["a", "speed, m/s", "Größe"]])
def test_output_has_one_panel_per_column(columns, steps, rng):
    actual, output = rng.normal(size=(2, steps, len(columns)))
    figure = plots.plot_output(actual, output, columns, xlabel="row")
    assert [axes.get_ylabel() for axes in figure.axes] == columns
    assert [axes.get_xlabel() for axes in figure.axes] == [""] * (len(columns) - 1) + ["row"]
    legend = figure.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["actual", "output"]
    for column, axes in enumerate(figure.axes):
        curves = [line.get_ydata() for line in axes.lines if len(line.get_ydata())]
        np.testing.assert_array_equal(curves, [actual[:, column], output[:, column]])
    assert_drawable(figure)


def test_output_lines_are_interrupted_between_windows(rng):
    actual, output = rng.normal(size=(2, 6, 1))
    (axes,) = plots.plot_output(actual, output, ["a"], breaks=[2, 4]).axes
    stretches = [line.get_xdata().tolist() for line in axes.lines if len(line.get_xdata())]
    assert stretches == 2 * [[0, 1], [2, 3], [4, 5]]


def test_windows_of_one_step_are_joined(rng):
    actual, output = rng.normal(size=(2, 3, 1))
    (axes,) = plots.plot_output(actual, output, ["a"], breaks=[1, 2]).axes
    stretches = [line.get_xdata().tolist() for line in axes.lines if len(line.get_xdata())]
    assert stretches == 2 * [[0, 1, 2]]


@pytest.mark.parametrize("name", ["$x^$", "$x^", "a_b", "_hidden", "[red]", r"\frac"])
def test_names_are_not_taken_for_formulas(name):
    figure = plots.plot_output(np.zeros((2, 1)), np.ones((2, 1)), [name])
    assert_drawable(figure)
    assert figure.axes[0].get_ylabel().replace("\\$", "$") == name


def test_steps_can_be_named(rng):
    values = rng.normal(size=(3, 1))
    (axes,) = plots.plot_output(values, values, ["a"], labels=[1700, 1701, 1702]).axes
    assert ticks_of(axes) == [(0, "1700"), (1, "1701"), (2, "1702")]


def test_many_steps_do_not_crowd_the_axis(rng):
    values = rng.normal(size=(200, 1))
    (axes,) = plots.plot_output(values, values, ["a"], labels=range(1000, 1200)).axes
    ticks = ticks_of(axes)
    assert len(ticks) <= 20
    assert (ticks[0], ticks[-1]) == ((0, "1000"), (180, "1180"))  # round numbers of steps
    assert all(word == str(1000 + int(place)) for place, word in ticks)


# Gates.


@pytest.mark.parametrize(("steps", "units"), [(1, 8), (30, 1), (2, 512)])
@pytest.mark.parametrize("features", [1, 3])
def test_gates_have_one_panel_each(features, steps, units, rng):
    x = rng.normal(size=(steps, features))
    figure = plots.plot_gates(a_trace(rng, steps, units), x, title="layer", xlabel="row")
    panels = panels_of(figure)
    assert len(figure.axes) - len(panels) == 4  # a colour bar for each gate
    assert [axes.get_ylabel().split("\n")[0] for axes in panels] == PANELS
    assert [axes.get_xlabel() for axes in panels] == ["", "", "", "", "row"]
    assert panels[0].get_title() == "layer"
    assert len(panels[0].lines) == features
    assert [axes.images[0].get_array().shape for axes in panels[1:]] == 4 * [(units, steps)]
    assert_drawable(figure)


def test_gates_share_a_scale_and_the_candidate_is_centred(rng):
    """Else a colour would mean one number in one panel and another in the next."""
    trace = a_trace(rng, 10, 8)
    scales = [
        axes.images[0].get_clim()
        for axes in panels_of(plots.plot_gates(trace, np.ones((10, 1))))[1:]
    ]
    limit = np.abs(trace.gates.candidate).max()
    assert scales == [(0, 1), (0, 1), (-limit, limit), (0, 1)]


def test_a_silent_candidate_can_be_drawn():
    gates = Gates(*np.zeros((4, 3, 2)))
    figure = plots.plot_gates(Trace(gates.input, gates.input, gates), np.zeros((3, 1)))
    low, high = panels_of(figure)[3].images[0].get_clim()
    assert low == -high < 0
    assert_drawable(figure)


def test_units_are_sorted_by_their_forget_gate_in_every_panel():
    """Longest memory on top, and a row is the same unit in all four."""
    forget = np.array([[0.1, 0.9, 0.5], [0.3, 0.7, 0.5]])
    gates = Gates(forget / 2, forget, forget - 0.5, forget / 3)
    figure = plots.plot_gates(Trace(forget, forget, gates), np.ones((2, 1)))
    for axes, gate in zip(panels_of(figure)[1:], gates, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), gate.T[[1, 2, 0]])


def test_windows_are_marked_in_the_gates(rng):
    x = rng.normal(size=(6, 1))
    figure = plots.plot_gates(a_trace(rng, 6, 2), x, breaks=[2, 4], labels=range(10, 16))
    panels = panels_of(figure)
    for axes in panels[1:]:
        assert [line.get_xdata()[0] for line in axes.lines] == [1.5, 3.5]
    assert [line.get_xdata().tolist() for line in panels[0].lines] == [[0, 1], [2, 3], [4, 5]]
    assert ticks_of(panels[-1])[0] == (0, "10")
