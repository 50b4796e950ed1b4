"""Figures of training and of runs: their panels, labels and scales, at small and large sizes."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from matplotlib import rc_context, rcParams
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from pictures import (
    a_run,
    assert_counts_axes,
    assert_drawable,
    assert_draws_into,
    colours_of,
    hatched,
    no_global_state,  # noqa: F401
    of_trace,
    ticks_of,
    titles_of,
    values_of,
)

from lstmcore.study import plots
from lstmcore.types import Gates, Trace

GATES = ["input gate i", "candidate g", "forget gate f", "cell state c", "output gate o"]
PANELS = ["input x", "input x", *GATES, "hidden state h"]
UNIT_PANELS = ["input x", "gates", "candidate g", "cell state c", "hidden state h"]


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


def test_losses_are_compared_by_colour_and_kinds_by_dashes():
    history = {"loss": np.array([1.0, 0.5]), "validation_loss": np.array([1.1, 0.7])}
    (axes,) = plots.plot_loss({"tanh": history, "relu, $": history}).axes
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert words[:2] == ["tanh loss", "tanh validation loss"]
    assert words[3] == r"relu, \$ validation loss"
    colours = [line.get_color() for line in axes.lines]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    assert [line.get_linestyle() for line in axes.lines] == ["-", "--", "-", "--"]


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


@pytest.mark.parametrize("shape", [(0, 1), (3,), (3, 2), (3, 0)])
def test_outputs_of_another_shape_are_refused(shape):
    names = ["a"] if shape != (3, 0) else []
    with pytest.raises(ValueError, match=r"actual must be \[T, F\], at least one row and column"):
        plots.plot_output(np.zeros(shape), np.zeros(shape), names)


def test_names_in_any_script_are_drawn_without_a_warning(tmp_path):
    """Where no font has a character, it becomes a box, in silence: warnings are errors here."""
    rows = np.zeros((3, 2))
    figure = plots.plot_output(
        rows, rows, ["温度 🙂", "负荷$"], labels=["一", "二", "三"], xlabel="时间"
    )
    figure.savefig(tmp_path / "picture.png", bbox_inches="tight")
    figure.savefig(tmp_path / "picture.svg")


def test_a_font_that_has_a_character_stands_in_for_one_that_has_not(tmp_path):
    rows = np.zeros((3, 1))
    with rc_context({"font.family": ["cmtt10"]}):  # which comes with matplotlib, without Cyrillic
        figure = plots.plot_output(rows, rows, ["Жж"], labels=["a", "б", "c"])
        figure.savefig(tmp_path / "picture.png")
        labels = [figure.axes[0].yaxis.label, figure.axes[0].get_xticklabels()[1]]
        for label in labels:
            usual, *others = label.get_fontfamily()
            assert usual == "cmtt10"
            fonts = [get_font(findfont(name)) for name in others]
            assert all(any(ord(c) in f.get_charmap() for f in fonts) for c in label.get_text())
    figure = plots.plot_output(rows, rows, ["plain"])
    figure.savefig(tmp_path / "picture.png")  # where nothing is missing, nothing changes
    assert figure.axes[0].yaxis.label.get_fontfamily() == rcParams["font.family"]


def test_steps_can_be_named(rng):
    values = rng.normal(size=(3, 1))
    (axes,) = plots.plot_output(values, values, ["a"], labels=[1700, 1701, 1702]).axes
    assert ticks_of(axes.xaxis) == [(0, "1700"), (1, "1701"), (2, "1702")]


def test_many_steps_do_not_crowd_the_axis(rng):
    values = rng.normal(size=(200, 1))
    (axes,) = plots.plot_output(values, values, ["a"], labels=range(1000, 1200)).axes
    ticks = ticks_of(axes.xaxis)
    assert len(ticks) <= 20
    assert (ticks[0], ticks[-1]) == ((0, "1000"), (180, "1180"))  # round numbers of steps
    assert all(word == str(1000 + int(place)) for place, word in ticks)


@pytest.mark.parametrize("width", [1, 4, 20])
def test_labels_fit_into_the_panel(width, rng):
    """Words that overlap cannot be read; a wide panel can have more of them."""
    values = rng.normal(size=(300, 1))
    for labels in (range(1700, 2000), [f"2026-01-01 {step:04}" for step in range(300)]):
        figure = Figure(figsize=(width, 3))
        plots.plot_output(values, values, ["a"], labels=labels, axes=figure.subplots())
        figure.canvas.draw()
        (axes,) = figure.axes
        places = [label.get_window_extent() for label in axes.get_xticklabels()]
        upright = axes.get_xticklabels()[0].get_rotation() == 0
        room = [after.x1 - before.x1 for before, after in itertools.pairwise(places)]
        needed = [place.width if upright else 15 for place in places[1:]]
        assert all(have > need for have, need in zip(room, needed, strict=True))
        assert len(places) >= width


# Gates.


@pytest.mark.thorough
@pytest.mark.parametrize(("steps", "units"), [(1, 8), (30, 1), (2, 512), (200, 512)])
@pytest.mark.parametrize("features", [1, 3])
def test_gates_have_a_panel_each_beside_what_they_gate(features, steps, units, rng):
    run = a_run(rng, steps, units, features=features)
    figure = plots.plot_gates(run, "lstm_0", 1, xlabel="row")
    assert figure.get_suptitle() == "lstm_0"
    assert titles_of(figure) == PANELS
    assert [axes.get_xlabel() for axes in figure.axes] == 6 * [""] + ["row", "row"]
    assert [axes.get_ylabel() for axes in figure.axes[2:]] == 3 * ["unit", "half-life (steps)"]
    assert [len(axes.lines) for axes in figure.axes[:2]] == 2 * [features]
    limits = {(*axes.get_xlim(), *axes.get_ylim()) for axes in figure.axes[2:]}
    assert limits == {(-0.5, steps - 0.5, units - 0.5, -0.5)}
    assert {axes.get_xlim() for axes in figure.axes[:2]} == {(-0.5, steps - 0.5)}
    assert all(len(axes.child_axes) == 1 for axes in figure.axes[2:])  # a colour bar for each
    assert_drawable(figure)


def test_the_example_is_the_one_asked_for(rng):
    run = a_run(rng, 4, 3)
    assert not np.array_equal(run.inputs[0], run.inputs[1])
    for example in (0, 1, -1):
        figure = plots.plot_gates(run, "lstm_0", example)
        np.testing.assert_array_equal(
            figure.axes[0].lines[0].get_ydata(), run.inputs[example, :, 0]
        )
        drawn, expected = values_of(figure.axes[7]), run["lstm_0", "h", example].T
        np.testing.assert_array_equal(np.sort(drawn, axis=0), np.sort(expected, axis=0))


def test_gates_share_a_scale_and_the_others_diverge_from_0(rng):
    """Else a colour would mean one number in one panel and another in the next."""
    run = a_run(rng, 10, 8)
    panels = plots.plot_gates(run, "lstm_0").axes
    assert [colours_of(panels[place]) for place in (2, 4, 6)] == 3 * [(0, 1)]
    assert {panels[place].images[0].get_cmap().name for place in (2, 4, 6)} == {"viridis"}
    for place, quantity in ((3, "candidate"), (5, "c"), (7, "h")):
        limit = np.abs(run["lstm_0", quantity, 0]).max()
        assert colours_of(panels[place]) == (-limit, limit)
        assert panels[place].images[0].get_cmap().name == "RdBu_r"


@pytest.mark.thorough
def test_one_runaway_cell_does_not_blank_the_others(rng):
    run = a_run(rng, 20, 50)
    c = np.clip(run["lstm_0", "c"], -1, 1)
    c[0, 3, 7] = 100
    figure = plots.plot_gates(of_trace(run["lstm_0"]._replace(c=c)), "lstm_0")
    assert colours_of(figure.axes[5]) == (-1, 1)
    assert [axes.child_axes[0].get_ylim() for axes in figure.axes[5:6]] == [(-1, 1)]
    assert_drawable(figure)


@pytest.mark.thorough
def test_a_silent_candidate_can_be_drawn():
    gates = Gates(*np.zeros((4, 1, 3, 2)))
    figure = plots.plot_gates(of_trace(Trace(gates.input, gates.input, gates)), "lstm_0")
    low, high = colours_of(figure.axes[3])
    assert low == -high < 0
    assert_drawable(figure)


def test_units_are_sorted_by_time_scale_in_every_panel():
    """Longest memory on top, over all examples; a row is the same unit in all six."""
    forget = np.array([[[0.25, 1.0, 0.5]], [[0.25, 1.0, 0.5]], [[0.75, 1.0, 2**-7]]])
    gates = Gates(forget / 2, forget, forget - 0.5, forget / 3)
    run = of_trace(Trace(forget * 3, forget * 2, gates))
    figure = plots.plot_gates(run, "lstm_0")
    trace = run["lstm_0"]
    drawn = (gates.input, gates.candidate, forget, trace.c, gates.output, trace.h)
    for axes, values in zip(figure.axes[2:], drawn, strict=True):
        np.testing.assert_array_equal(values_of(axes), values[0].T[[1, 0, 2]][:, :1])
    assert ticks_of(figure.axes[2].yaxis) == [(0, "1"), (1, "0"), (2, "2")]


def test_half_lives_stand_beside_the_units():
    keep = np.exp2(-1 / np.array([1, np.inf, 0.5, 1234.4, 12.34]))
    forget = keep[None, None]
    gates = Gates(*[forget] * 4)
    figure = plots.plot_gates(of_trace(Trace(forget, forget, gates)), "lstm_0")
    assert [word for _, word in ticks_of(figure.axes[3].yaxis)] == [
        "∞",
        "1234",
        "12.3",
        "1",
        "0.5",
    ]


@pytest.mark.thorough
def test_of_many_units_some_are_labelled(rng):
    figure = plots.plot_gates(a_run(rng, 5, 512), "lstm_0")
    for axes in figure.axes[2:]:
        assert [place for place, _ in ticks_of(axes.yaxis)] == list(range(0, 512, 64))


def test_many_units_are_averaged_not_sampled():
    """512 rows on some 100 pixels: one open unit must show however the picture is cut."""
    forget = np.zeros((1, 4, 512))
    forget[0, :, ::2] = 1
    gates = Gates(*[forget] * 4)
    figure = plots.plot_gates(of_trace(Trace(forget, forget, gates)), "lstm_0")
    for axes in figure.axes[2:]:
        assert axes.images[0].get_interpolation() == "hanning"
        assert axes.images[0].get_interpolation_stage() == "data"
        assert values_of(axes).shape == (1024, 1024)  # so that steps keep sharp edges


def test_windows_are_marked_in_the_gates(rng):
    run = a_run(rng, 6, 2)
    figure = plots.plot_gates(run, "lstm_0", breaks=[2, 4], labels=range(10, 16))
    for axes in figure.axes[2:]:
        assert [line.get_xdata()[0] for line in axes.lines] == [1.5, 3.5]
    stretches = [line.get_xdata().tolist() for line in figure.axes[0].lines]
    assert stretches == [[0, 1], [2, 3], [4, 5]]
    assert {tuple(axes.get_xticks()) for axes in figure.axes} == {(0, 1, 2, 3, 4, 5)}
    for axes in figure.axes[6:]:
        assert [word for _, word in ticks_of(axes.xaxis)] == ["10", "11", "12", "13", "14", "15"]


def test_masked_steps_are_hatched_and_blank(rng):
    mask = np.ones((2, 7), bool)
    mask[1, [0, 3, 4, 6]] = False
    run = a_run(rng, 7, 2, mask=mask)
    figure = plots.plot_gates(run, "lstm_0", 1)
    for axes in figure.axes:
        assert hatched(axes) == [(-0.5, 0.5), (2.5, 4.5), (5.5, 6.5)]
    for axes in figure.axes[2:]:
        assert np.isnan(values_of(axes)).all(axis=0).tolist() == (~mask[1]).tolist()
    assert np.isnan(figure.axes[0].lines[0].get_ydata()).tolist() == (~mask[1]).tolist()
    assert all(hatched(axes) == [] for axes in plots.plot_gates(run, "lstm_0", 0).axes)
    assert_drawable(figure)


@pytest.mark.thorough
def test_an_example_without_a_real_step_can_be_drawn(rng):
    mask = np.array([[True, True], [False, False]])
    figure = plots.plot_gates(a_run(rng, 2, 3, mask=mask), "lstm_0", 1)
    assert hatched(figure.axes[4]) == [(-0.5, 1.5)]
    assert_drawable(figure)


@pytest.mark.thorough
def test_a_decoder_has_its_own_steps(rng):
    """The input is drawn on its own axis; its mask is not the decoder's."""
    mask = np.array([[True, True, False], [True, True, True]])
    run = a_run(rng, 3, 2, mask=mask, written=5)
    figure = plots.plot_gates(run, "lstm_0", xlabel="written step")
    assert [axes.get_xlim() for axes in figure.axes] == 2 * [(-0.5, 2.5)] + 6 * [(-0.5, 4.5)]
    assert [axes.get_xlabel() for axes in figure.axes[:2]] == 2 * ["time step of the input"]
    assert [len(hatched(axes)) for axes in figure.axes] == [1, 1, 0, 0, 0, 0, 0, 0]
    assert_drawable(figure)


@pytest.mark.thorough
@pytest.mark.parametrize(("features", "lines", "images"), [(7, 7, 0), (8, 0, 1), (100, 0, 1)])
def test_many_features_become_a_heat_map(features, lines, images, rng):
    columns = [f"${number}" for number in range(features)]
    figure = plots.plot_gates(a_run(rng, 5, 2, features=features), "lstm_0", columns=columns)
    assert (len(figure.axes[0].lines), len(figure.axes[0].images)) == (lines, images)
    assert_drawable(figure)


def test_features_have_a_legend(rng):
    run = a_run(rng, 5, 2, features=2)
    for figure in (
        plots.plot_gates(run, "lstm_0", columns=["load", "$"], breaks=[2]),
        plots.plot_unit(run, "lstm_0", 0, columns=["load", "$"], breaks=[2]),
    ):
        words = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        assert words == ["load", r"\$"]


# One unit.


@pytest.mark.parametrize(
    ("steps", "units"), [(1, 1), (300, 512), pytest.param(30, 8, marks=pytest.mark.thorough)]
)
def test_a_unit_has_its_story_in_five_panels(steps, units, rng):
    run = a_run(rng, steps, units)
    unit = units - 1
    figure = plots.plot_unit(run, "lstm_0", unit, 1, xlabel="row")
    assert figure.get_suptitle() == f"lstm_0, unit {unit}"
    assert titles_of(figure) == UNIT_PANELS
    assert [axes.get_xlabel() for axes in figure.axes] == 4 * [""] + ["row"]
    assert {axes.get_xlim() for axes in figure.axes} == {(-0.5, steps - 0.5)}
    gates, candidate, cell, hidden = figure.axes[1:]
    for line, name in zip(gates.lines, ("input", "forget", "output"), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), run["lstm_0", name, 1, :, unit])
    for axes, name in ((candidate, "candidate"), (cell, "c"), (hidden, "h")):
        values = run["lstm_0", name, 1, :, unit]
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), values)
    words = [text.get_text() for text in gates.get_legend().get_texts()]
    assert words == ["$i$", "$f$", "$o$"]
    assert len({line.get_color() for line in gates.lines}) == 3
    assert_drawable(figure)


def test_the_bars_add_up_to_the_cell(rng):
    run = a_run(rng, 6, 2)
    _, _, candidate, cell, _ = plots.plot_unit(run, "lstm_0", 1).axes
    written, kept = ([bar.get_height() for bar in axes.patches] for axes in (candidate, cell))
    expected = run["lstm_0", "input", 0, :, 1] * run["lstm_0", "candidate", 0, :, 1]
    np.testing.assert_allclose(written, expected)
    np.testing.assert_allclose(np.add(written, kept), run["lstm_0", "c", 0, :, 1])


def test_masked_steps_of_a_unit_are_hatched(rng):
    mask = np.array([[True, False, True], [True, True, True]])
    figure = plots.plot_unit(a_run(rng, 3, 2, mask=mask), "lstm_0", 0)
    assert [hatched(axes) for axes in figure.axes] == 5 * [[(0.5, 1.5)]]
    for axes in figure.axes:
        assert np.isnan(axes.lines[0].get_ydata()).tolist() == [False, True, False]
    assert_drawable(figure)


def test_lines_of_a_unit_are_interrupted_between_windows(rng):
    figure = plots.plot_unit(a_run(rng, 4, 2), "lstm_0", 0, breaks=[2], labels="abcd")
    for axes, curves in zip(figure.axes, (1, 3, 1, 1, 1), strict=True):
        stretches = [list(line.get_xdata()) for line in axes.lines]
        assert stretches[: 2 * curves] == curves * [[0, 1], [2, 3]]
    assert ticks_of(figure.axes[-1].xaxis) == [(0, "a"), (1, "b"), (2, "c"), (3, "d")]


# Panels of the caller, and errors.


def test_axes_of_the_caller_are_drawn_into(rng):
    run, rows = a_run(rng, 5, 2), rng.normal(size=(3, 2))
    history = {"loss": np.array([1.0, 0.5])}
    assert_draws_into(lambda **axes: plots.plot_gates(run, "lstm_0", **axes), 4, 2)
    assert_draws_into(lambda **axes: plots.plot_unit(run, "lstm_0", 1, **axes), 5)
    assert_draws_into(lambda **axes: plots.plot_loss(history, **axes))
    assert_draws_into(lambda **axes: plots.plot_output(rows, rows, ["a", "b"], **axes), 2)


def test_axes_are_counted(rng):
    run, rows = a_run(rng, 5, 2), rng.normal(size=(3, 2))
    draw = lambda **axes: plots.plot_gates(run, "lstm_0", **axes)  # noqa: E731
    assert_counts_axes(draw, 8, "the input twice, then i and g, f and c, o and h")
    draw = lambda **axes: plots.plot_unit(run, "lstm_0", 0, **axes)  # noqa: E731
    assert_counts_axes(draw, 5, "input, gates, candidate, cell, hidden state")
    draw = lambda **axes: plots.plot_loss({"loss": rows}, **axes)  # noqa: E731
    assert_counts_axes(draw, 1, "the loss")
    draw = lambda **axes: plots.plot_output(rows, rows, ["a", "b"], **axes)  # noqa: E731
    assert_counts_axes(draw, 2, "one for each column")


def test_what_is_not_in_the_run_is_refused(rng):
    run = a_run(rng, 5, 3)
    for draw in (
        plots.plot_gates,
        lambda *where: plots.plot_unit(where[0], where[1], 0, *where[2:]),
    ):
        with pytest.raises(ValueError, match="there is no layer 'lstm_1': use one of lstm_0"):
            draw(run, "lstm_1")
        with pytest.raises(ValueError, match="there is no example 2: examples are 0 to 1"):
            draw(run, "lstm_0", 2)
        with pytest.raises(ValueError, match=r"example must be one number, got \[0, 1\]"):
            draw(run, "lstm_0", [0, 1])
        with pytest.raises(ValueError, match="example must be one number, got None"):
            draw(run, "lstm_0", None)
    with pytest.raises(ValueError, match="there is no unit 3: units are 0 to 2"):
        plots.plot_unit(run, "lstm_0", 3)


def test_names_of_another_number_are_refused(rng):
    run = a_run(rng, 5, 3, features=2)
    with pytest.raises(ValueError, match="columns has 1 name but the input has 2 columns"):
        plots.plot_gates(run, "lstm_0", columns=["a"])
    with pytest.raises(ValueError, match="labels has 2 names for 5 steps"):
        plots.plot_unit(run, "lstm_0", 0, labels=["a", "b"])


# A projection: h is of another size than the cell, and its numbers belong to no unit.


@pytest.mark.thorough
def test_a_projected_h_is_drawn_as_it_is(rng):
    mask = np.array([[True] * 6, [True] * 4 + [False] * 2])
    run = a_run(rng, 6, 4, mask=mask)
    run.traces["lstm_0"] = run["lstm_0"]._replace(h=rng.normal(size=(2, 6, 2)))
    expected = np.where(mask[1], run["lstm_0"].h[1].T, np.nan)
    gates = plots.plot_gates(run, "lstm_0", 1)
    unit = plots.plot_unit(run, "lstm_0", 3, 1)
    for figure in (gates, unit):
        hidden = figure.axes[-1]
        np.testing.assert_array_equal(values_of(hidden), expected)
        assert hidden.get_ylabel() == "projection"
        assert [name for _, name in ticks_of(hidden.yaxis)] == ["0", "1"]
        assert hatched(hidden) == [(3.5, 5.5)]
        assert_drawable(figure)
    assert unit.get_suptitle() == "lstm_0, unit 3"
    np.testing.assert_array_equal(unit.axes[3].lines[0].get_ydata()[:4], run["lstm_0"].c[1, :4, 3])
    with pytest.raises(ValueError, match="there is no unit 4: units are 0 to 3"):
        plots.plot_unit(run, "lstm_0", 4)


def test_tokens_are_one_line(rng):
    run = replace(a_run(rng, 5), inputs=np.arange(10).reshape(2, 5))
    for figure in (plots.plot_gates(run, "lstm_0", 1), plots.plot_unit(run, "lstm_0", 0, 1)):
        (line,) = figure.axes[0].lines
        assert line.get_ydata().tolist() == [5, 6, 7, 8, 9]
