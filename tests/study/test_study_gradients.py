"""Gradients of gates against finite differences, and attribution against interventions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from strategies import random_params, weights

import lstmcore as lc
from lstmcore import study

GATES = ("input", "forget", "candidate", "output")
B, T, F = 2, 4, 2
X = np.random.default_rng(2).normal(size=(B, T, F))
MASK = np.array([[0, 1, 1, 1], [1, 1, 0, 0]], bool)
AUTOENCODER = lc.Autoencoder(F, (3, 2), steps=3)
EDITS = {"encoder_1": study.compose(study.coupled, study.scale("output", 0.5, units=0))}


def loss(outputs):
    return sum((leaf**2).sum() for leaf in jax.tree.leaves(outputs))


def shifted(by):
    """An edit that adds `by`, Gates of [B, T, H]."""
    return lambda gates, t: lc.Gates(*(g + b[:, t] for g, b in zip(gates, by, strict=True)))


def moved(gates, change):
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape), gates)._replace(**change)


@pytest.mark.parametrize(
    "model",
    [
        AUTOENCODER,
        pytest.param(lc.CompositeAutoencoder(F, 2, steps=3), marks=pytest.mark.thorough),
    ],
)
def test_they_are_finite_differences(x64, rng, model):
    """At random places of every gate of every layer, with a mask and with edits in place."""
    params = weights(model, np.float64)
    edits = EDITS if model is AUTOENCODER else {}
    found = study.gate_gradients(loss, model.apply, params, X, mask=MASK, edits=edits)
    assert list(found) == [layer for layer in model.layers if "head" not in layer]

    @jax.jit
    def loss_of(pushes):
        pushed = {
            layer: study.compose(edits.get(layer, study.compose()), shifted(by))
            for layer, by in pushes.items()
        }
        return loss(model.apply(params, X, mask=MASK, edits=pushed)[0])

    still = jax.tree.map(lambda leaf: np.zeros(leaf.shape), found)
    step = 1e-6
    for layer, gate in [(layer, gate) for layer in found for gate in GATES]:
        gradient = np.asarray(getattr(found[layer], gate))
        for _ in range(2):
            place = tuple(rng.integers(gradient.shape))
            change = np.zeros(gradient.shape)
            change[place] = step
            ends = [
                loss_of(still | {layer: moved(found[layer], {gate: sign * change})})
                for sign in (1, -1)
            ]
            numeric = float(ends[0] - ends[1]) / (2 * step)
            np.testing.assert_allclose(gradient[place], numeric, rtol=1e-6, atol=1e-9)
    for leaf in found["encoder_0"]:
        assert (leaf[~MASK] == 0).all()
        assert (leaf[MASK] != 0).any()


@pytest.mark.parametrize("gate", GATES)
def test_they_are_the_slope_of_a_clamp_and_a_shift(x64, rng, gate):
    """Of the ready-made edits, at one unit and step, in a layer that runs backwards."""
    layer, params = study.SingleLayer(reverse=True), random_params(rng, F, 3, np.float64)
    place = {"units": 1, "steps": 2}
    _, traces = layer.apply(params, X)
    now = getattr(traces["lstm"].gates, gate)[:, 2, 1]
    value = jnp.broadcast_to(now[:, None], (B, 3))

    @jax.jit
    def ends(step):
        edits = [study.clamp(gate, value + step, **place), study.shift(gate, step, **place)]
        return [loss(layer.apply(params, X, edits={"lstm": edit})[0]) for edit in edits]

    up, down = np.array(ends(1e-6)), np.array(ends(-1e-6))
    found = study.gate_gradients(loss, layer.apply, params, X)["lstm"]
    slope = getattr(found, gate)[:, 2, 1].sum()
    np.testing.assert_allclose((up - down) / 2e-6, [slope, slope], rtol=1e-7)


def test_no_step_before_the_first_is_forgotten(rng):
    layer, params = study.SingleLayer(), random_params(rng, F, 3)
    found = study.gate_gradients(loss, layer.apply, params, X.astype(np.float32))
    assert found["lstm"].forget.dtype == np.float32
    assert (found["lstm"].forget[:, 0] == 0).all()
    last = study.gate_gradients(lambda h: h[:, 1].sum(), layer.apply, params, X.astype(np.float32))
    assert all((leaf[:, 2:] == 0).all() for leaf in last["lstm"])
    assert (last["lstm"].candidate[:, :2] != 0).all()


def test_attribution_is_gradient_times_difference(x64, rng):
    layer, params = study.SingleLayer(), random_params(rng, F, 3, np.float64)
    found = study.gate_gradients(loss, layer.apply, params, X)
    traces, other = (jax.jit(layer.apply)(params, x)[1] for x in (X, X[:1] + 1))
    shares = study.attribution(found, traces)["lstm"]
    differences = study.attribution(found, traces, other)["lstm"]
    for gate in GATES:
        slope, now = getattr(found["lstm"], gate), getattr(traces["lstm"].gates, gate)
        before = getattr(other["lstm"].gates, gate)
        np.testing.assert_allclose(getattr(shares, gate), slope * now, rtol=1e-12)
        expected = slope * (now - before)
        np.testing.assert_allclose(getattr(differences, gate), expected, rtol=1e-10, atol=1e-14)


@pytest.mark.thorough
def test_attribution_predicts_small_interventions(x64, rng):
    """Towards another run's gates by a share s: what it does not foresee shrinks as s^2."""
    params = weights(AUTOENCODER, np.float64)
    clean, corrupt = X, X + 0.5
    here, there = (AUTOENCODER.apply(params, x)[1] for x in (corrupt, clean))
    found = study.gate_gradients(loss, AUTOENCODER.apply, params, corrupt)
    sums = {
        layer: sum(float(leaf.sum()) for leaf in gates)
        for layer, gates in study.attribution(found, there, here).items()
    }

    @jax.jit
    def loss_at(share, chosen):
        edits = {}
        for layer in found:
            way = jax.tree.map(lambda a, b: a - b, there[layer].gates, here[layer].gates)
            by = share * chosen[layer]
            edits[layer] = shifted(jax.tree.map(lambda leaf, by=by: by * leaf, way))
        return loss(AUTOENCODER.apply(params, corrupt, edits=edits)[0])

    for layer in found:
        chosen = {name: float(name == layer) for name in found}
        unforeseen = [
            abs(float(loss_at(share, chosen) - loss_at(0.0, chosen)) - share * sums[layer])
            for share in (0.02, 0.01)
        ]
        assert unforeseen[0] / unforeseen[1] == pytest.approx(4, rel=0.1)
        assert unforeseen[1] < 0.1 * 0.01 * abs(sums[layer])


def test_attribution_has_the_sign_of_a_patch_sweep(x64, rng):
    """Its order of arguments: gates of the clean run, taken into the corrupt one."""
    model = lc.StackedLSTM(F, 3, outputs=1)
    params = weights(model, np.float64)
    clean, corrupt = X[:1], X[:1] + 1e-4

    def metric(y):
        return y[0, -1, 0]

    sweep = study.patch_sweep(model.apply, params, clean, corrupt, metric)
    there, here = (jax.jit(model.apply)(params, x)[1] for x in (clean, corrupt))
    found = study.gate_gradients(metric, model.apply, params, corrupt)
    foreseen = np.stack([leaf[0] for leaf in study.attribution(found, there, here)["lstm_0"]])
    assert np.abs(foreseen).max() > 1e-6
    np.testing.assert_allclose(foreseen, sweep.effect["lstm_0"], rtol=1e-3, atol=1e-12)


def gradients(loss=loss, **options):
    params = weights(AUTOENCODER)
    x = X.astype(np.float32)
    return study.gate_gradients(loss, AUTOENCODER.apply, params, x, **options)


def attributed(layer="encoder_0", steps=T, baseline=None):
    gates = lc.Gates(*np.ones((4, B, T, 3)))
    trace = lc.Trace(*np.ones((2, B, steps, 3)), lc.Gates(*np.ones((4, B, steps, 3))))
    return study.attribution({"encoder_0": gates}, {layer: trace}, baseline)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: gradients(lambda y: y),
            r"loss must return one number, got shape \(2, 3, 2\): take",
        ),
        (lambda: gradients(lambda y: None), "one number, got NoneType"),
        (lambda: gradients(lambda y: (y > 0).sum()), "loss must be floating point, got int32"),
        (lambda: gradients(edits={"lstm": study.coupled}), "edits names 'lstm'"),
        (lambda: gradients(mask=MASK[:, 1:]), "mask has shape"),
        (lambda: attributed("lstm"), "no layer 'encoder_0': use one of lstm"),
        (lambda: attributed(baseline={}), "no layer 'encoder_0'"),
        (lambda: attributed(steps=3), r"have shape \(2, 4, 3\) but its trace has \(2, 3, 3\)"),
    ],
)
def test_errors(call, text):
    with pytest.raises(ValueError, match=text):
        call()
