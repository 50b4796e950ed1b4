"""Hypothesis strategies: random layers over few shapes (a new shape costs a compilation)."""

from typing import NamedTuple

import jax
import numpy as np
from hypothesis import strategies as st

import lstmcore as lc

SMALL = lc.Autoencoder(2, (3,))  # for tests of files

batches = st.sampled_from([1, 3])
timesteps = st.sampled_from([1, 2, 5])
features = st.sampled_from([1, 3])
units = st.sampled_from([1, 4])
seeds = st.integers(0, 2**32 - 1)
activations = st.sampled_from(["tanh", "relu", "sigmoid", "hard_sigmoid", "softsign", "linear"])
gate_activations = st.sampled_from(["sigmoid", "hard_sigmoid"])
peepholes_and_projections = st.sampled_from([(True, None), (False, 2), (True, 2), (True, 1)])
mask_kinds = st.sampled_from(["none", "right", "left", "interior", "all-false row"])


class Case(NamedTuple):
    """One LSTM layer and something to run it on, as NumPy arrays.

    options: keyword arguments that `lc.lstm` and `reference.lstm` share (mask, reverse, ...)
    """

    params: lc.LSTMParams
    x: np.ndarray
    state: lc.LSTMState | None
    options: dict


def random_params(
    rng, features: int, units: int, dtype=np.float32, *, peephole=False, projection=None
) -> lc.LSTMParams:
    """Return weights that differ in every gate: constant ones would hide two gates swapped."""
    hidden = projection or units
    shapes = [(features, 4 * units), (hidden, 4 * units), (4 * units,)]
    shapes += [(3, units) if peephole else None, (units, hidden) if projection else None]
    draw = lambda shape: rng.normal(0, 0.5, shape).astype(dtype)  # noqa: E731
    return lc.LSTMParams(*(shape and draw(shape) for shape in shapes))


def random_state(rng, batch: int, units: int, dtype=np.float32, projection=None) -> lc.LSTMState:
    draw = lambda size: rng.normal(size=(batch, size)).astype(dtype)  # noqa: E731
    return lc.LSTMState(h=draw(projection or units), c=draw(units))


def random_mask(rng, kind: str, batch: int, steps: int) -> np.ndarray | None:
    """Return bool [B, T], False at the right, at the left, anywhere, or over a whole row."""
    if kind == "none":
        return None
    lengths = rng.integers(0, steps + 1, batch)
    right = np.arange(steps) < lengths[:, None]
    if kind == "right":
        return right
    if kind == "left":
        return right[:, ::-1].copy()
    mask = rng.random((batch, steps)) < 0.6
    if kind == "all-false row":
        mask[rng.integers(batch)] = False
    return mask


def random_dropout_mask(rng, batch: int, hidden: int, dtype=np.float32) -> np.ndarray:
    """Return zeros, and numbers that differ: equal ones could hide a mix-up."""
    scale = rng.uniform(0.5, 2, (batch, hidden))
    return (scale * (rng.random((batch, hidden)) < 0.7)).astype(dtype)


def random_zoneout(rng, batch, steps, units, dtype=np.float32, projection=None) -> lc.LSTMState:
    """Return rates in (0, 1): training's zeros and ones could hide which of the two is kept."""
    draw = lambda *shape: rng.random(shape).astype(dtype)  # noqa: E731
    return lc.LSTMState(draw(batch, steps, projection or units), draw(1, steps, units))


def random_like(rng, tree):
    """Return a cotangent: random numbers in the shape of `tree`."""
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype), tree)


@st.composite
def cases(draw, dtype=np.float32, variants=False, noise=False) -> Case:
    """Draw a layer and its inputs.

    variants: layers with a peephole, a projection or both, instead of layers with neither
    noise: with recurrent dropout, zoneout or both
    """
    rng = np.random.default_rng(draw(seeds))
    batch, steps, width, size = draw(batches), draw(timesteps), draw(features), draw(units)
    peephole, projection = draw(peepholes_and_projections) if variants else (False, None)
    options = {
        "mask": random_mask(rng, draw(mask_kinds), batch, steps),
        "reverse": draw(st.booleans()),
        "activation": draw(activations),
        "recurrent_activation": draw(gate_activations),
    }
    if noise:
        dropped, zoned = draw(st.sampled_from([(True, False), (False, True), (True, True)]))
        if dropped:
            options["recurrent_dropout"] = random_dropout_mask(
                rng, batch, projection or size, dtype
            )
        if zoned:
            options["zoneout"] = random_zoneout(rng, batch, steps, size, dtype, projection)
    return Case(
        params=random_params(rng, width, size, dtype, peephole=peephole, projection=projection),
        x=rng.normal(size=(batch, steps, width)).astype(dtype),
        state=random_state(rng, batch, size, dtype, projection) if draw(st.booleans()) else None,
        options=options,
    )


def weights(model, dtype=np.float32) -> dict:
    """Return random params in reading order, from NumPy: no test waits for a compilation."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    draw = lambda leaf: rng.normal(0, 0.5, leaf.shape).astype(dtype)  # noqa: E731
    return {name: jax.tree.map(draw, shapes[name]) for name in model.layers}


def assert_same(params, expected):
    assert set(params) == set(expected)
    for name, layer in expected.items():
        assert type(params[name]) is type(layer)
        assert jax.tree.structure(params[name]) == jax.tree.structure(layer)
        for leaf, expected_leaf in zip(*map(jax.tree.leaves, (params[name], layer)), strict=True):
            assert leaf.dtype == expected_leaf.dtype
            np.testing.assert_array_equal(leaf, expected_leaf)
