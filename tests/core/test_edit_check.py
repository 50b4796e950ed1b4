"""The method `check` of an edit learns the sizes of the layer, once, before any step."""

import numpy as np
from strategies import random_params, random_state

import lstmcore as lc


class Recorded:
    """An edit that changes nothing."""

    def __init__(self):
        self.checked, self.calls = [], 0

    def check(self, batch, timesteps, units):
        assert self.calls == 0
        self.checked.append((batch, timesteps, units))

    def __call__(self, gates, t):
        self.calls += 1
        return gates


def test_of_one_step_and_of_all(rng):
    params, x = random_params(rng, 2, 4, projection=3), np.ones((5, 6, 2), np.float32)
    state = random_state(rng, 5, 4, projection=3)
    of_step, of_sequence, of_repeat = Recorded(), Recorded(), Recorded()
    lc.lstm_step(params, x[:, 0], state, edit=of_step)
    lc.lstm(params, x, state, edit=of_sequence)
    lc.lstm(params, x[:, 0], state, edit=of_repeat, repeat=6)
    assert of_step.checked == [(5, None, 4)]
    assert of_sequence.checked == of_repeat.checked == [(5, 6, 4)]
    assert of_step.calls == 1
    assert of_sequence.calls > 0
