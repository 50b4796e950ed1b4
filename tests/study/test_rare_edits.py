"""Edits at chosen steps need to know the step."""

import numpy as np
import pytest

import lstmcore as lc
from lstmcore import study

PARAMS = lc.LSTMParams(
    np.ones((1, 8), np.float32), np.ones((2, 8), np.float32), np.ones(8, np.float32)
)
ONES = np.ones((1, 2), np.float32)
STATE, X = lc.LSTMState(ONES, ONES), np.ones((1, 1), np.float32)


def test_a_step_alone_must_say_which_it_is():
    edit = study.clamp("forget", 0, steps=[1])
    with pytest.raises(ValueError, match=r"acts at chosen steps: pass t to lc\.lstm_step"):
        lc.lstm_step(PARAMS, X, STATE, edit=edit)
    _, gates = lc.lstm_step(PARAMS, X, STATE, edit=edit, t=1)
    np.testing.assert_array_equal(gates.forget, np.zeros((1, 2)))


@pytest.mark.parametrize(
    ("steps", "message"),
    [([-1], "steps counts from 0, got -1"), (slice(-2, None), "steps must be a slice counted")],
)
def test_steps_counted_from_the_end(steps, message):
    with pytest.raises(ValueError, match=message):
        lc.lstm_step(PARAMS, X, STATE, edit=study.clamp("forget", 0, steps=steps), t=1)
