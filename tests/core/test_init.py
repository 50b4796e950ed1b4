"""The initial weights: from which range they are drawn, with which keys, and how many they are."""

import itertools

import jax
import numpy as np
import pytest

import lstmcore as lc
from lstmcore import checks


def test_uniform_weights_fill_the_range_of_glorot_and_bengio():
    """sqrt(6 / (rows + columns)); a peephole is a row of H by H, hence sqrt(3 / H)."""
    params = lc.init_lstm(jax.random.key(0), 30, 50, peephole=True, projection=40)
    limits = {"kernel": 6 / (30 + 200), "projection": 6 / (50 + 40), "peephole": 3 / 50}
    for name, square in limits.items():
        values, limit = np.ravel(getattr(params, name)), np.sqrt(square)
        assert 0.95 * limit < values.max() <= limit, name
        assert -limit <= values.min() < -0.95 * limit, name
        assert abs(values.mean()) < 0.15 * limit, name


def test_every_array_is_drawn_with_a_key_of_its_own():
    """Arrays of one shape, drawn with one key, would be multiples of each other."""
    params = lc.init_lstm(jax.random.key(0), 3, 3, peephole=True, projection=3)
    drawn = [params.kernel[:, :3], params.recurrent_kernel[:, :3], params.peephole]
    for one, other in itertools.combinations([*drawn, params.projection], 2):
        assert abs(np.corrcoef(np.ravel(one), np.ravel(other))[0, 1]) < 0.8


@pytest.mark.parametrize(
    "variant",
    [{}, {"projection": 5}, {"peephole": True}, {"peephole": True, "projection": 5}],
    ids=["plain", "projection", "peephole", "both"],
)
def test_weights_that_do_not_fit_into_memory_are_not_drawn(variant, monkeypatch):
    """The message counts all of them, those of a peephole and a projection too."""
    params = lc.init_lstm(jax.random.key(0), 2, 3, **variant)
    numbers = sum(leaf.size for leaf in jax.tree.leaves(params))
    monkeypatch.setattr(checks, "_memory", lambda: numbers * 4)
    lc.init_lstm(jax.random.key(0), 2, 3, **variant)
    monkeypatch.setattr(checks, "_memory", lambda: numbers * 4 - 1)
    with pytest.raises(ValueError, match=f"^{numbers} parameters take"):
        lc.init_lstm(jax.random.key(0), 2, 3, **variant)
