"""Figures of statistics and sweeps: their marks, scales and values beyond the scale."""

import itertools

import numpy as np
import pytest
from pictures import (
    assert_counts_axes,
    assert_drawable,
    assert_draws_into,
    bars_of,
    colours_of,
    no_global_state,  # noqa: F401
    ticks_of,
    titles_of,
    values_of,
)
from strategies import random_params, weights

import lstmcore as lc
from lstmcore import study
from lstmcore.study import GradientFlow, Saturation, Sweep, TimeScale, plots
from lstmcore.study.names import GATES
from lstmcore.types import Gates, Trace

GATE_TITLES = ["input gate i", "forget gate f", "candidate g", "output gate o"]

# Saturation.


def saturated(rng, units: int) -> Saturation:
    forget = rng.uniform(size=(3, 50, units))
    return study.saturation(Trace(forget, forget, Gates(*[forget] * 4)), low=0.2, high=0.7)


@pytest.mark.parametrize("units", [1, 8, 512])
def test_saturation_has_a_dot_per_unit_below_the_diagonal(units, rng):
    found = saturated(rng, units)
    figure = plots.plot_saturation(found)
    assert titles_of(figure) == ["input gate i", "forget gate f", "output gate o"]
    for axes, gate in zip(figure.axes, ("input", "forget", "output"), strict=True):
        (dots,) = axes.collections
        expected = np.transpose([getattr(found.right, gate), getattr(found.left, gate)])
        np.testing.assert_allclose(dots.get_offsets(), expected)
        (diagonal,) = axes.lines
        np.testing.assert_array_equal(diagonal.get_xydata(), [[0, 1], [1, 0]])
        assert axes.get_xlim() == axes.get_ylim()
        assert axes.get_xlabel() == "fraction right-saturated (open)"
    assert figure.axes[0].get_ylabel() == "fraction left-saturated (closed)"
    assert_drawable(figure)


def test_units_that_are_never_saturated_are_counted():
    """Their dots lie on one another."""
    zeros, some = np.zeros(4), np.array([0, 0.5, 1, 0])
    left = Gates(zeros, zeros, zeros, some)
    right = Gates(zeros, some, zeros, np.array([0, 0.5, 0, 1]))
    figure = plots.plot_saturation(Saturation(left, right))
    words = [axes.texts[0].get_text() for axes in figure.axes]
    assert words == [f"never saturated: {count} of 4" for count in (4, 2, 1)]


# Time scales.


def scales(*half_lives) -> TimeScale:
    half_life = np.array(half_lives, float)
    return TimeScale(half_life, keep=np.exp2(-1 / np.maximum(half_life, 1e-3)))


def test_each_unit_is_counted_in_the_bin_of_its_half_life():
    (axes,) = plots.plot_time_scales(scales(0.11, 1.01, 1.01, 99, 101)).axes
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "half-life (steps)"
    assert axes.get_ylabel() == "number of units"
    counted = {bar.get_x(): bar.get_height() for bar in axes.containers[0] if bar.get_height()}
    edges = [0.1, 1, 10**1.75, 100]  # four bins to a decade
    assert list(counted) == pytest.approx(edges)
    assert list(counted.values()) == [1, 2, 1, 1]


def test_what_never_forgets_has_a_labelled_bin_behind_a_gap():
    (axes,) = plots.plot_time_scales(scales(2, 999, 1001, 1e9, np.inf)).axes
    last = max(axes.containers[0], key=lambda bar: bar.get_x())
    assert last.get_height() == 3
    assert last.get_x() > 1000 * 10**0.2
    place, word = ticks_of(axes.xaxis)[-1]
    assert word.split() == [">", "1000", "or", "∞"]
    assert last.get_x() < place < last.get_x() + last.get_width()
    assert sum(bar.get_height() for bar in axes.containers[0]) == 5


def test_what_forgets_at_once_is_in_the_first_bin():
    (axes,) = plots.plot_time_scales(scales(0.0001, 0.0, 5)).axes
    first = min(axes.containers[0], key=lambda bar: bar.get_x())
    assert (first.get_x(), first.get_height()) == (pytest.approx(0.1), 2)
    assert ticks_of(axes.xaxis)[0][1] == "≤ 0.1"


def test_units_without_a_half_life_are_left_out():
    """All their steps were masked."""
    (axes,) = plots.plot_time_scales(scales(np.nan, 3)).axes
    assert sum(bar.get_height() for bar in axes.containers[0]) == 1
    (axes,) = plots.plot_time_scales(scales(np.nan)).axes
    assert axes.get_legend().get_texts()[0].get_text() == "median unknown"


@pytest.mark.parametrize("units", [8, 512])
def test_time_scales_are_compared_side_by_side(units, rng):
    layers = {f"lstm_{place}": scales(*rng.lognormal(2, 2, units)) for place in range(3)}
    figure = plots.plot_time_scales(layers)
    (axes,) = figure.axes
    assert [sum(bar.get_height() for bar in bars) for bars in axes.containers] == 3 * [units]
    for first, second, third in zip(*axes.containers, strict=True):
        assert second.get_x() == pytest.approx(first.get_x() + first.get_width())
        assert third.get_x() == pytest.approx(second.get_x() + second.get_width())
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert words[0] == f"lstm_0: median {np.median(layers['lstm_0'].half_life):.3g} steps"
    assert len({bars[0].get_facecolor() for bars in axes.containers}) == 3
    assert_drawable(figure)


def test_more_layers_than_colours_are_all_drawn():
    layers = {f"lstm_{place}": scales(place + 1) for place in range(9)}
    assert len(plots.plot_time_scales(layers).axes[0].containers) == 9


# Gradient flow.


def a_flow(norms, *, reverse=False) -> GradientFlow:
    norms = np.asarray(norms, float)
    product = np.full((*norms.shape, 2), 0.5)
    cell = norms * 10
    last = 0 if reverse else -1
    product[:, last], cell[:, last] = 1, 0
    return GradientFlow(norms, cell, product)


def test_gradient_flow_counts_steps_back_from_the_end():
    figure = plots.plot_gradient_flow(a_flow([[0.1, 0.2, 0.4], [0.01, 0.1, 0.4], [0.5, 0.3, 0.4]]))
    (axes,) = figure.axes
    (line,) = axes.lines
    np.testing.assert_allclose(line.get_xydata(), [[0, 0.4], [1, 0.2], [2, 0.1]])  # medians
    (shade,) = axes.collections
    corners = shade.get_paths()[0].vertices
    assert corners[corners[:, 0] == 2][:, 1].min() == 0.01
    assert corners[corners[:, 0] == 2][:, 1].max() == 0.5
    assert axes.get_yscale() == "log"
    assert axes.get_xlabel().startswith("steps back from the end")
    assert "h_T" in axes.get_ylabel()
    assert axes.get_legend() is None
    assert_drawable(figure)


def test_gradient_flow_of_the_cell():
    (axes,) = plots.plot_gradient_flow(a_flow([[0.1, 0.2, 0.3]]), of="c").axes
    assert axes.lines[0].get_xydata().tolist() == [[1, 2], [2, 1]]  # 0 at the last step
    assert "c_t" in axes.get_ylabel()
    assert len(axes.collections) == 0  # one example has no range


def test_the_past_of_a_reversed_layer_is_on_the_other_side():
    (axes,) = plots.plot_gradient_flow(a_flow([[3, 2, 1]], reverse=True)).axes
    assert axes.lines[0].get_ydata().tolist() == [3, 2, 1]


@pytest.mark.thorough
def test_the_cell_of_a_single_step_has_no_curve(rng):
    flow = study.gradient_flow(random_params(rng, 2, 3), np.ones((2, 1, 2), np.float32))
    (axes,) = plots.plot_gradient_flow(flow, of="c").axes
    assert axes.lines[0].get_ydata().size == 0
    assert_drawable(axes.figure)


@pytest.mark.thorough
def test_the_past_of_a_reversed_layer_without_forget_gate_is_found_by_its_cell(rng):
    params, x = random_params(rng, 2, 3), rng.normal(size=(2, 5, 2)).astype("float32")
    mask = np.arange(5) < [[5], [3]]
    options = {"mask": mask, "reverse": True, "edit": study.ablate("forget")}
    flow = study.gradient_flow(params, x, **options)
    (axes,) = plots.plot_gradient_flow(flow, mask=mask).axes
    assert axes.lines[0].get_ydata()[0] == pytest.approx(np.sqrt(3))


def test_masked_steps_are_no_steps_back():
    norms = [[1, 2, 9, 3, 9], [4, 5, 6, 7, 8], [9, 9, 9, 9, 9]]
    mask = np.array([[1, 1, 0, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]], bool)
    (axes,) = plots.plot_gradient_flow(a_flow(norms), mask=mask).axes
    medians = [(3 + 8) / 2, (2 + 7) / 2, (1 + 6) / 2, 5, 4]
    assert axes.lines[0].get_ydata().tolist() == medians


def test_flows_are_compared_and_what_vanishes_falls_off_the_axis():
    long, short = np.geomspace(1e-3, 1, 100), np.geomspace(1e-50, 1, 40)
    short[:10] = 0
    flows = {"LSTM": a_flow([long, long / 2]), "simple RNN": a_flow([short, short / 2])}
    figure = plots.plot_gradient_flow(flows)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(flows)
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == 2
    assert [len(line.get_xdata()) for line in axes.lines] == [100, 40]
    assert 0 < axes.get_ylim()[0] < 1e-30
    assert_drawable(figure)


@pytest.mark.thorough
def test_a_true_flow_of_a_masked_batch_can_be_drawn(rng):
    params = random_params(rng, 2, 3)
    x, mask = rng.normal(size=(3, 6, 2)).astype("float32"), np.arange(6) < [[2], [6], [4]]
    flow = study.gradient_flow(params, x, mask=mask)
    (axes,) = plots.plot_gradient_flow({"$": flow}, mask=mask).axes
    assert axes.lines[0].get_ydata()[0] == pytest.approx(np.sqrt(3))  # the identity, of 3 units


# Sweeps.


def a_sweep(rng, over, sizes=(4, 6, 3), *, layers=("encoder_0", "decoder_0"), **numbers) -> Sweep:
    """Random effects, their largest in unit 1."""
    named = dict(zip(("gate", "step", "unit"), sizes, strict=True))
    shape = [named[axis] for axis in over if axis != "layer"]
    metric = {layer: rng.normal(size=shape) for layer in layers}
    if "unit" in over:
        place = [axis for axis in over if axis != "layer"].index("unit")
        for values in metric.values():
            np.moveaxis(values, place, 0)[1] *= 100
    return Sweep(tuple(over), metric, GATES, **{"baseline": 0.5, "target": 2.0} | numbers)


SUBSETS = [
    ("layer", *rest)
    for size in range(4)
    for rest in itertools.combinations(("gate", "step", "unit"), size)
]


CASES = [(over, value) for value in ("effect", "recovered") for over in SUBSETS]
# The full sweep, all kinds of picture, and both values.
QUICK = [(SUBSETS[0], "effect"), (SUBSETS[3], "recovered"), (SUBSETS[4], "effect"), CASES[-1]]


@pytest.mark.parametrize(
    ("over", "value"),
    [
        pytest.param(*case, id="-".join((*case[0], case[1])), marks=[pytest.mark.thorough] * long)
        for case in CASES
        for long in [case not in QUICK]
    ],
)
def test_every_subset_of_a_sweep_has_its_picture(over, value, rng):
    sweep = a_sweep(rng, over)
    figure = plots.plot_sweep(sweep, value=value)
    swept = over[1:]
    panels = {3: 8, 2: 2, 1: 2 if swept == ("unit",) else 1, 0: 1}[len(swept)]
    assert len(figure.axes) == panels
    assert all(axes.has_data() for axes in figure.axes)
    label = {"effect": "change of the metric", "recovered": "recovered fraction"}[value]
    bars = [bar for axes in figure.axes for bar in axes.child_axes]
    written = [bar.get_ylabel() for bar in bars]
    written += [word for axes in figure.axes for word in (axes.get_xlabel(), axes.get_ylabel())]
    assert label in written
    assert_drawable(figure)


def test_a_full_sweep_has_a_row_per_layer_and_a_panel_per_gate(rng):
    sweep = a_sweep(rng, ("layer", "gate", "step", "unit"))
    figure = plots.plot_sweep(sweep)
    layers = ("encoder_0", "decoder_0")
    assert titles_of(figure) == [f"{layer}: {title}" for layer in layers for title in GATE_TITLES]
    panels = iter(figure.axes)
    for layer, gate in itertools.product(layers, range(4)):
        axes = next(panels)
        order = [int(word) for _, word in ticks_of(figure.axes[4 * layers.index(layer)].yaxis)]
        assert order[0] == 1  # the largest effect on top, in the same order for all gates
        np.testing.assert_allclose(values_of(axes), sweep.effect[layer][gate].T[order])
        assert axes.get_xlabel() == "time step"


def test_axes_of_a_sweep_may_come_in_any_order(rng):
    sweep = a_sweep(rng, ("gate", "step", "unit"), layers=("all",))
    turned = Sweep(
        ("unit", "gate", "step"), {"all": sweep.metric["all"].transpose(2, 0, 1)}, GATES, 0.5
    )
    for first, second in zip(
        plots.plot_sweep(sweep).axes, plots.plot_sweep(turned).axes, strict=True
    ):
        np.testing.assert_array_equal(values_of(first), values_of(second))


def test_effects_diverge_from_0_on_one_scale(rng):
    sweep = a_sweep(rng, ("layer", "gate", "step"))
    figure = plots.plot_sweep(sweep)
    limit = max(np.abs(values).max() for values in sweep.effect.values())
    assert {colours_of(axes) for axes in figure.axes} == {(-limit, limit)}
    assert figure.axes[0].images[0].get_cmap().name == "RdBu_r"


def test_recovered_is_on_a_scale_from_0_to_1(rng):
    figure = plots.plot_sweep(a_sweep(rng, ("layer", "step")), value="recovered")
    (axes,) = figure.axes
    assert colours_of(axes) == (0, 1)
    assert axes.images[0].get_cmap().name == "viridis"


def test_layers_over_steps_may_differ_in_steps(rng):
    metric = {"encoder_0": rng.normal(size=5), "decoder_0": rng.normal(size=3)}
    (axes,) = plots.plot_sweep(Sweep(("layer", "step"), metric, GATES, 0.0)).axes
    assert [word for _, word in ticks_of(axes.yaxis)] == ["encoder_0", "decoder_0"]
    np.testing.assert_array_equal(values_of(axes)[0], metric["encoder_0"])
    np.testing.assert_array_equal(values_of(axes)[1], [*metric["decoder_0"], np.nan, np.nan])


@pytest.mark.thorough
def test_layers_stand_in_reading_order():
    """Not in the order of the alphabet, in which JAX returns a dict."""
    model = lc.Autoencoder(1, (2,))
    over = ("layer", "gate")
    x = np.ones((1, 2, 1), "float32")
    sweep = study.ablation_sweep(model.apply, weights(model), x, lambda y: y.sum(), over)
    (axes,) = plots.plot_sweep(sweep).axes
    assert [word for _, word in ticks_of(axes.yaxis)] == ["encoder_0", "decoder_0"]


def test_only_the_gates_that_were_swept_are_drawn(rng):
    metric = {"lstm_0": rng.normal(size=(2, 5, 3))}
    sweep = Sweep(("layer", "gate", "step", "unit"), metric, ("forget", "output"), 0.0)
    titles = titles_of(plots.plot_sweep(sweep))
    assert titles == ["lstm_0: forget gate f", "lstm_0: output gate o"]
    sweep = Sweep(("layer", "gate"), {"lstm_0": np.ones(2)}, ("forget", "output"), 0.0)
    (axes,) = plots.plot_sweep(sweep).axes
    assert [word for _, word in ticks_of(axes.xaxis)] == ["forget gate $f$", "output gate $o$"]


def test_one_layer_can_be_drawn_alone(rng):
    sweep = a_sweep(rng, ("layer", "step", "unit"))
    (axes,) = plots.plot_sweep(sweep, "decoder_0").axes
    assert titles_of(axes.figure) == ["decoder_0"]
    (axes,) = plots.plot_sweep(a_sweep(rng, ("layer",)), "decoder_0").axes
    assert len(axes.patches) == 1


def test_bars_of_units_share_their_scale(rng):
    sweep = a_sweep(rng, ("layer", "unit"), layers=("lstm_0", "lstm_1"))
    figure = plots.plot_sweep(sweep)
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    for axes, effect in zip(figure.axes, sweep.effect.values(), strict=True):
        order = [int(word) for _, word in ticks_of(axes.xaxis)]
        assert order == np.argsort(-np.abs(effect)).tolist()
        np.testing.assert_allclose(bars_of(axes), effect[order])


@pytest.mark.thorough
@pytest.mark.parametrize("over", [over for over in SUBSETS if "unit" in over], ids="-".join)
def test_512_units_can_be_drawn(over, rng):
    figure = plots.plot_sweep(a_sweep(rng, over, (4, 30, 512)), "encoder_0")
    places = figure.axes[0].xaxis if "step" not in over else figure.axes[0].yaxis
    assert 8 <= len(ticks_of(places)) <= 16
    assert_drawable(figure)


def test_a_sweep_without_any_effect_can_be_drawn():
    for over, shape in ((("layer", "step"), 3), (("layer", "unit"), 3), (("layer",), ())):
        assert_drawable(plots.plot_sweep(Sweep(over, {"lstm_0": np.ones(shape)}, GATES, 1.0)))


# Panels of the caller, and errors.


def test_axes_of_the_caller_are_drawn_into(rng):
    found, flow, sweep = saturated(rng, 8), a_flow([[1, 2]]), a_sweep(rng, SUBSETS[-1])
    assert_draws_into(lambda **axes: plots.plot_saturation(found, **axes), 1, 3)
    assert_draws_into(lambda **axes: plots.plot_time_scales(scales(1, 2), **axes))
    assert_draws_into(lambda **axes: plots.plot_gradient_flow(flow, **axes))
    assert_draws_into(lambda **axes: plots.plot_sweep(sweep, **axes), 2, 4)


def test_axes_are_counted(rng):
    found, flow, sweep = saturated(rng, 8), a_flow([[1, 2]]), a_sweep(rng, SUBSETS[-1])
    draw = lambda **axes: plots.plot_saturation(found, **axes)  # noqa: E731
    assert_counts_axes(draw, 3, "input, forget and output gate")
    draw = lambda **axes: plots.plot_time_scales(scales(1), **axes)  # noqa: E731
    assert_counts_axes(draw, 1, "the histogram")
    assert_counts_axes(lambda **axes: plots.plot_gradient_flow(flow, **axes), 1, "the norms")
    assert_counts_axes(lambda **axes: plots.plot_sweep(sweep, **axes), 8, "a row for each layer")
    draw = lambda **axes: plots.plot_sweep(a_sweep(rng, ("layer", "step")), **axes)  # noqa: E731
    assert_counts_axes(draw, 1, "one for all layers")


def test_errors_name_the_choices(rng):
    sweep = a_sweep(rng, ("layer", "step"))
    with pytest.raises(ValueError, match="no layer 'lstm_0': use one of encoder_0, decoder_0"):
        plots.plot_sweep(sweep, "lstm_0")
    with pytest.raises(ValueError, match="value must be one of effect, recovered, got 'metric'"):
        plots.plot_sweep(sweep, value="metric")
    with pytest.raises(ValueError, match="an ablation has no clean run to recover: use effect"):
        plots.plot_sweep(a_sweep(rng, ("layer", "step"), target=None), value="recovered")
    with pytest.raises(ValueError, match="time_scales is empty: pass a TimeScale"):
        plots.plot_time_scales({})
    with pytest.raises(ValueError, match="flows is empty: pass a GradientFlow"):
        plots.plot_gradient_flow({})
    with pytest.raises(ValueError, match="of must be 'h' or 'c', got 'forget'"):
        plots.plot_gradient_flow(a_flow([[1, 2]]), of="forget")
    with pytest.raises(ValueError, match="mask leaves no real step: there is nothing to draw"):
        plots.plot_gradient_flow(a_flow([[1, 2]]), mask=np.zeros((1, 2), bool))
    with pytest.raises(ValueError, match=r"mask has shape \(1, 3\) but x needs \(1, 2\)"):
        plots.plot_gradient_flow(a_flow([[1, 2]]), mask=np.ones((1, 3), bool))
