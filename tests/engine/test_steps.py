"""Steps are numbered in the order in which they are taken."""

import jax.numpy as jnp
import numpy as np
import pytest

from lstmcore.engine.steps import Steps

same = np.testing.assert_array_equal
T = 5


@pytest.fixture(params=[False, True], ids=["forward", "reverse"])
def reverse(request):
    return request.param


@pytest.fixture
def array(rng):
    """One that has a time axis, [B, T, F]."""
    return rng.normal(size=(2, T, 3)).astype(np.float32)


def test_a_step_is_read_and_written_by_its_number(array, reverse):
    steps, in_order = Steps(T, reverse), array[:, ::-1] if reverse else array
    copy = np.zeros_like(array)
    for s in range(T):
        same(steps.at(array, s), in_order[:, s])
        copy = steps.write(copy, steps.at(array, s), s)
    same(copy, array)


@pytest.mark.parametrize(("first", "count"), [(0, T), (0, 2), (1, 3), (T - 1, 1)])
@pytest.mark.parametrize("index", [int, jnp.int32], ids=["known", "traced"])
def test_a_block_is_its_steps_in_order(array, reverse, first, count, index):
    steps, in_order = Steps(T, reverse), array[:, ::-1] if reverse else array
    block = steps.block(array, index(first), count)
    same(block, in_order[:, first : first + count])
    written = np.array(steps.write_block(array, np.zeros_like(block), index(first)))
    written = written[:, ::-1] if reverse else written
    expected = in_order.copy()
    expected[:, first : first + count] = 0
    same(written, expected)


def test_the_step_before_each_of_a_block(array, reverse):
    steps, in_order = Steps(T, reverse), array[:, ::-1] if reverse else array
    initial = np.full((2, 3), 7, np.float32)
    before = np.concatenate([initial[:, None], in_order[:, :-1]], axis=1)
    for count in range(1, T + 1):
        same(steps.block_before(array, initial, 0, count), before[:, :count])
    for first in range(1, T - 1):
        found = steps.block_before(array, initial, jnp.int32(first), 2)
        same(found, before[:, first : first + 2])
