"""Into which chunks `checkpoint_every` cuts the steps."""

import math

import jax
import numpy as np
import pytest
from strategies import random_params

import lstmcore as lc
from lstmcore import engine
from lstmcore.engine import fast


@pytest.fixture
def chunk_lengths(monkeypatch):
    """Steps of each kind of chunk that the implementation is run on, in order."""

    def lengths(timesteps, every, **options):
        seen = []

        def spy(params, x, *arguments, **more):
            seen.append(x.shape[1])
            return run(params, x, *arguments, **more)

        monkeypatch.setattr(fast, "run", spy)
        x = np.ones((1, timesteps, 2), np.float32)
        jax.eval_shape(lambda x: lc.lstm(params, x, checkpoint_every=every, **options), x)
        return list(dict.fromkeys(seen))

    params, run = random_params(np.random.default_rng(0), 2, 3), fast.run
    monkeypatch.setattr(engine, "_compiled", lambda run, *shapes: run)
    return lengths


@pytest.mark.parametrize("timesteps", [2, 3, 4, 5, 9, 10, 16, 17, 99])
def test_auto_is_the_square_root_of_the_number_of_steps(timesteps, chunk_lengths):
    """Rounded up; the last chunk has what is left, at least one step."""
    k = math.ceil(math.sqrt(timesteps))
    rest = (timesteps - 1) % k + 1
    assert chunk_lengths(timesteps, "auto") == list(dict.fromkeys([k, rest]))


def test_the_shorter_chunk_lies_at_the_end_of_the_time_axis(chunk_lengths):
    assert chunk_lengths(7, 3) == [3, 1]
    assert chunk_lengths(7, 3, reverse=True) == [1, 3]
    assert chunk_lengths(6, 3) == [3]  # no chunk of no steps


@pytest.mark.parametrize("every", [7, 8, 100])
def test_a_chunk_as_long_as_the_sequence_is_the_sequence(every, chunk_lengths):
    assert chunk_lengths(7, every) == [7]
