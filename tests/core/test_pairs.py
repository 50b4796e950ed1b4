"""What `bidirectional` takes as a pair: one thing for each direction, neither more nor fewer."""

import jax
import numpy as np
import pytest
from strategies import random_dropout_mask, random_params, random_state

import lstmcore as lc


@pytest.mark.parametrize("number", [0, 1, 3])
def test_states_that_are_not_two(number, rng):
    params, x = random_params(rng, 2, 3), np.ones((1, 4, 2), np.float32)
    for kind in (tuple, list):
        states = kind([lc.zero_state(1, 3)] * number)
        with pytest.raises(TypeError, match=rf"state must be a pair .*, got {kind.__name__}"):
            lc.bidirectional(params, params, x, states)


def test_a_list_is_a_pair_and_an_array_of_two_examples_is_not(rng):
    params, x = random_params(rng, 2, 3), rng.normal(size=(2, 4, 2)).astype(np.float32)
    states = [random_state(rng, 2, 3), random_state(rng, 2, 3)]
    ours = lc.bidirectional(params, params, x, states)
    jax.tree.map(
        np.testing.assert_array_equal, ours, lc.bidirectional(params, params, x, tuple(states))
    )
    dropout_mask = random_dropout_mask(rng, 2, 3)
    one, both = (
        lc.bidirectional(params, params, x, recurrent_dropout=given)
        for given in (dropout_mask, (dropout_mask, dropout_mask))
    )
    jax.tree.map(np.testing.assert_array_equal, one, both)
