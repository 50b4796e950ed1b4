"""Statistics of a trace, compared with plain loops over examples, steps and units in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from strategies import random_mask, random_params, random_state

import lstmcore as lc
from lstmcore import study
from lstmcore.types import Gates, Trace

KINDS = ["none", "right", "left", "interior", "all-false row"]
SHAPE = B, T, F, H = 3, 7, 2, 4
SIGNAL = np.random.default_rng(5).normal(size=(B, T))
GATES = ("input", "forget", "candidate", "output")
QUANTITIES = (*GATES, "h", "c")

STATISTICS = {
    "saturation": study.saturation,
    "moments": study.moments,
    "time_scale": study.time_scale,
    "contributions": study.contributions,
    "correlation": lambda trace, mask: study.correlation(trace, SIGNAL, mask),
    "forget_product": study.forget_product,
}
JITTED = {name: jax.jit(function) for name, function in STATISTICS.items()}
each_mask = pytest.mark.parametrize("kind", KINDS)


def make(rng, kind="none", dtype=np.float64):
    """(params, x, mask) with weights that differ in every gate and unit."""
    params = random_params(rng, F, H, dtype)
    return params, rng.normal(size=(B, T, F)).astype(dtype), random_mask(rng, kind, B, T)


def made(rng, kind="none", dtype=np.float64, **options):
    params, x, mask = make(rng, kind, dtype)
    return lc.lstm(params, x, mask=mask, **options)[1], mask


def samples(trace, mask, name):
    """[(numbers of unit 0), ...]: what one quantity was at every real step, one by one."""
    array = np.asarray(getattr(trace.gates if name in GATES else trace, name))
    places = [(b, t) for b in range(B) for t in range(T) if mask is None or mask[b, t]]
    return [[float(array[b, t, unit]) for b, t in places] for unit in range(array.shape[2])]


def of(result, name):
    return getattr(result.gates if name in GATES else result, name)


def close(ours, theirs, tolerance=1e-12):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), ours, theirs
    )


@each_mask
def test_saturation_counts(x64, rng, kind):
    trace, mask = made(rng, kind)
    left, right = study.saturation(trace, mask, low=0.4, high=0.6)
    for name in GATES:
        low, high = (-0.2, 0.2) if name == "candidate" else (0.4, 0.6)
        for unit, numbers in enumerate(samples(trace, mask, name)):
            below = sum(number < low + 1e-15 for number in numbers) / len(numbers)
            above = sum(number > high + 1e-15 for number in numbers) / len(numbers)
            close(getattr(left, name)[unit], below)
            close(getattr(right, name)[unit], above)


def test_saturation_thresholds_are_strict_and_the_candidate_has_its_own(x64):
    on_the_line = np.array([0.25, 0.75, 0.2, 0.8])[None, None]  # [1, 1, 4]
    candidate = np.array([-0.5, 0.5, -0.6, 0.6])[None, None]
    gates = Gates(on_the_line, on_the_line, candidate, on_the_line)
    left, right = study.saturation(Trace(on_the_line, on_the_line, gates), low=0.25, high=0.75)
    for name in GATES:
        assert getattr(left, name).tolist() == [0, 0, 1, 0]
        assert getattr(right, name).tolist() == [0, 0, 0, 1]
    default, _ = study.saturation(Trace(on_the_line, on_the_line, gates))
    assert default.input.tolist() == [0, 0, 0, 0]


def test_saturation_of_a_gate_that_is_nan(x64, rng):
    """Not "never saturated": nothing is known of it. Masked steps still do not count."""
    trace, _ = made(rng, "none")
    forget = trace.gates.forget.at[1, 2, 0].set(np.nan)
    broken = trace._replace(gates=trace.gates._replace(forget=forget))
    for side in study.saturation(broken):
        assert np.isnan(side.forget).tolist() == [True, *[False] * (H - 1)]
        assert np.isfinite(side.input).all()
    real = np.ones(trace.c.shape[:2], bool)
    real[1, 2] = False
    close(study.saturation(broken, real), study.saturation(trace, real))


@each_mask
def test_moments_of_every_quantity(x64, rng, kind):
    trace, mask = made(rng, kind)
    mean, std = JITTED["moments"](trace, mask)
    for name in QUANTITIES:
        for unit, numbers in enumerate(samples(trace, mask, name)):
            middle = sum(numbers) / len(numbers)
            variance = sum((number - middle) ** 2 for number in numbers) / len(numbers)
            close(of(mean, name)[unit], middle)
            close(of(std, name)[unit], variance**0.5)


@each_mask
def test_time_scale_is_that_of_the_mean_forget_gate(x64, rng, kind):
    trace, mask = made(rng, kind)
    half_life, keep = JITTED["time_scale"](trace, mask)
    for unit, numbers in enumerate(samples(trace, mask, "forget")):
        close(keep[unit], sum(numbers) / len(numbers))
        close(keep[unit] ** half_life[unit], 0.5)


@pytest.mark.parametrize(
    ("forget", "steps"), [(0.5, 1), (2**-0.1, 10), (0.0, 0), (1.0, np.inf), (1.5, np.inf)]
)
def test_half_life_of_a_constant_gate(x64, rng, forget, steps):
    trace, mask = made(rng, "right")
    gate = jnp.where(mask[:, :, None], forget, jnp.zeros_like(trace.c))
    trace = trace._replace(gates=trace.gates._replace(forget=gate))
    half_life, keep = JITTED["time_scale"](trace, mask)
    close(half_life, np.full(H, float(steps)))
    close(keep, np.full(H, forget))


def test_a_cell_that_is_cleared_once_still_has_a_half_life(x64, rng):
    trace, _ = made(rng)
    forget = trace.gates.forget
    cleared = trace._replace(gates=trace.gates._replace(forget=forget.at[0, 3, 1].set(0)))
    before, after = (JITTED["time_scale"](each, None).half_life for each in (trace, cleared))
    assert 0 < after[1] < before[1]
    close(np.delete(after, 1), np.delete(before, 1))


def test_half_life_of_a_gate_that_is_nan(x64, rng):
    trace, _ = made(rng)
    forget = trace.gates.forget
    broken = trace._replace(gates=trace.gates._replace(forget=forget.at[0, 0, 2].set(jnp.nan)))
    assert np.isnan(JITTED["time_scale"](broken, None).half_life).tolist() == [
        False,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize("reverse", [False, True])
@each_mask
def test_contributions_sum_to_the_cell(x64, rng, kind, reverse):
    params, x, mask = make(rng, kind)
    state = random_state(rng, B, H, np.float64)
    _, trace = lc.lstm(params, x, state, mask=mask, reverse=reverse)
    old, new = study.contributions(trace, mask, state=state, reverse=reverse)
    for b in range(B):
        before = state.c[b]
        for t in reversed(range(T)) if reverse else range(T):
            gates = jax.tree.map(lambda gate, b=b, t=t: np.asarray(gate[b, t]), trace.gates)
            real = mask is None or mask[b, t]
            close(old[b, t], gates.forget * before if real else np.zeros(H))
            close(new[b, t], gates.input * gates.candidate)
            before = np.asarray(trace.c[b, t])
    real = np.ones((B, T), bool) if mask is None else mask
    close(np.asarray(old + new)[real], np.asarray(trace.c)[real])


def test_contributions_of_a_projected_layer_from_its_own_state(x64, rng):
    params = random_params(rng, F, H, np.float64, projection=2)
    state = random_state(rng, B, H, np.float64, projection=2)
    _, trace = lc.lstm(params, rng.normal(size=(B, T, F)), state)
    terms = study.contributions(trace, state=state)
    close(terms.old + terms.new, trace.c)
    close(terms.old[:, 0], trace.gates.forget[:, 0] * state.c)


def test_contributions_start_from_zeros(x64, rng):
    trace, mask = made(rng, "left")
    zeros = lc.zero_state(B, H, np.float64)
    close(study.contributions(trace, mask), study.contributions(trace, mask, state=zeros))


@pytest.mark.parametrize("name", STATISTICS)
def test_jit_float32_and_no_mask(x64, rng, name):
    """Compiled = not compiled; float32 = float64; a mask that is all True = none."""
    trace, mask = made(rng, "interior")
    expected = STATISTICS[name](trace, mask)
    close(JITTED[name](trace, mask), expected)
    narrow = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), trace)
    result = JITTED[name](narrow, mask)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(result)} == {"float32"}
    if name != "saturation":  # a gate next to a threshold may fall on its other side
        close(result, expected, 2e-5)
    close(STATISTICS[name](trace, np.ones((B, T), bool)), STATISTICS[name](trace, None))


@pytest.mark.parametrize("name", ["saturation", "moments", "time_scale"])
def test_padding_does_not_count(x64, rng, name):
    """Padded with NaN, a batch has the statistics of its sequences one after the other."""
    params, x, _ = make(rng)
    lengths = [7, 3, 5]
    mask = np.arange(T) < np.array(lengths)[:, None]
    _, padded = lc.lstm(params, np.where(mask[:, :, None], x, np.nan), mask=mask)
    short = [lc.lstm(params, x[b : b + 1, :n])[1] for b, n in enumerate(lengths)]
    joined = jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=1), *short)
    close(JITTED[name](padded, mask), JITTED[name](joined, None))


def test_nothing_real_is_nan(rng):
    trace, _ = made(rng, dtype=np.float32)
    nowhere = np.zeros((B, T), bool)
    for name in ("saturation", "moments", "time_scale", "correlation"):
        assert all(np.isnan(leaf).all() for leaf in jax.tree.leaves(JITTED[name](trace, nowhere)))


@pytest.mark.parametrize("name", ["moments", "time_scale", "contributions", "correlation"])
def test_gradients_are_those_of_finite_differences(x64, rng, name):
    """Also where masked gates are 0, whose logarithm has none."""
    trace, mask = made(rng, "interior")
    check_grads(lambda trace: STATISTICS[name](trace, mask), (trace,), 1, ("rev",), eps=1e-6)


def test_gradients_stay_finite_where_nothing_changes(x64, rng):
    trace, mask = made(rng, "right", edit=study.clamp("forget", 1.0, units=0))

    def total(trace):
        r = study.correlation(trace, SIGNAL, mask).r
        return (
            sum(leaf.sum() for leaf in jax.tree.leaves(r))
            + study.time_scale(trace, mask).keep.sum()
        )

    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.grad(total)(trace)))


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda t: study.saturation(t, low=0.9, high=0.1), ValueError, "0 <= low <= high <= 1"),
        (lambda t: study.saturation(t, high=1.1), ValueError, "got low=0.1, high=1.1"),
        (lambda t: study.moments({"lstm": t}), TypeError, "for a run, name the layer"),
        (lambda t: study.moments(jax.tree.map(lambda a: a[0], t)), ValueError, "3 axes"),
        (lambda t: study.moments(t._replace(h=t.h[:, 1:])), ValueError, "same batch and steps"),
        (lambda t: study.time_scale(t, np.ones((B, T))), ValueError, "mask must be bool"),
        (lambda t: study.moments(t, np.ones((T, B), bool)), ValueError, r"mask has shape \(7, 3\)"),
        (lambda t: study.correlation(t, SIGNAL[:, 1:]), ValueError, r"signal has shape \(3, 6\)"),
        (lambda t: study.correlation(t, SIGNAL[0]), ValueError, "one number for each step"),
        (lambda t: study.correlation(t, [1, 2]), TypeError, "signal must be an array"),
        (lambda t: study.contributions(t, state=lc.zero_state(B, 9)), ValueError, "the 4 units"),
        (lambda t: study.forget_product(t, SIGNAL), ValueError, "mask must be bool"),
    ],
)
def test_errors(rng, call, kind, text):
    with pytest.raises(kind, match=text):
        call(made(rng, dtype=np.float32)[0])


@pytest.mark.thorough
def test_statistics_of_bfloat16_layers_are_float32(rng):
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), random_params(rng, 2, H))
    _, trace = lc.lstm(params, rng.normal(size=(2, 5, 2)).astype(np.float32))
    assert trace.h.dtype == jnp.bfloat16
    for result in (study.moments(trace), study.correlation(trace, np.ones((2, 5)))):
        assert {leaf.dtype for leaf in jax.tree.leaves(result)} == {jnp.dtype(jnp.float32)}
    np.testing.assert_allclose(
        study.moments(trace).mean.h, np.mean(trace.h, axis=(0, 1), dtype=np.float32), rtol=1e-5
    )
