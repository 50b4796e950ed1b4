"""Errors of edits that do not fit, when they are made or when they are used."""

import numpy as np
import pytest
from strategies import random_params

import lstmcore as lc
from lstmcore import study

B, T, F, H = 3, 6, 2, 4
PARAMS = random_params(np.random.default_rng(0), F, H)
X = np.ones((B, T, F), np.float32)
_, TRACE = lc.lstm(PARAMS, X[:2])


@pytest.mark.parametrize(
    ("edit", "kind", "text"),
    [
        (
            lambda: study.clamp("forgot", 1),
            ValueError,
            "no gate 'forgot': use one of input, forget",
        ),
        (lambda: study.ablate("cell"), ValueError, "no gate 'cell'"),
        (lambda: study.patch(TRACE, "h"), ValueError, "no gate 'h'"),
        (lambda: study.patch(TRACE.h), TypeError, "trace must be a Trace"),
        (lambda: study.clamp("input", np.nan), ValueError, "clamp was given NaN"),
        (lambda: study.scale("input", "0.5"), TypeError, "scale needs a number"),
        (lambda: study.shift("input", None), TypeError, "shift needs a number"),
        (
            lambda: study.clamp("input", 1, units=4),
            ValueError,
            "there is no unit 4: units are 0 to 3",
        ),
        (lambda: study.clamp("input", 1, units=-5), ValueError, "there is no unit -5"),
        (lambda: study.clamp("input", 1, units=slice(2, 5)), ValueError, "there are 4"),
        (lambda: study.clamp("input", 1, units=slice(4, None)), ValueError, "units names slice"),
        (lambda: study.clamp("input", 1, units=slice(2, 2)), ValueError, "units is empty"),
        (lambda: study.clamp("input", 1, units=[]), ValueError, "units is empty"),
        (
            lambda: study.clamp("input", 1, units=1.5),
            TypeError,
            "whole numbers or a slice, got 1.5",
        ),
        (lambda: study.clamp("input", 1, units=[True]), TypeError, "whole numbers"),
        (
            lambda: study.clamp("input", 1, steps=6),
            ValueError,
            "there is no step 6: steps are 0 to 5",
        ),
        (lambda: study.clamp("input", 1, steps=slice(6, 9)), ValueError, "there are 6"),
        (lambda: study.clamp("input", 1, steps=-1), ValueError, "steps counts from 0, got -1"),
        (lambda: study.clamp("input", 1, steps=slice(6, None)), ValueError, "there are 6"),
        (lambda: study.clamp("input", 1, steps=slice(-2, 5)), ValueError, "slice counted from 0"),
        (
            lambda: study.clamp("input", np.ones(3)),
            ValueError,
            r"shape \(3,\) but the gate is \(3, 4\)",
        ),
        (lambda: study.clamp("input", np.ones((2, 3, 4))), ValueError, "one for each unit"),
        (lambda: study.patch(TRACE), ValueError, r"trace of shape \(2, 6, 4\) .* \(3, 6, 4\)"),
        (lambda: study.compose(study.coupled, "x"), TypeError, "edit must be a function"),
        (
            lambda: study.compose(study.coupled, study.clamp("input", 1, 9)),
            ValueError,
            "there is no unit 9",
        ),
        (lambda: study.compose(lambda g, t: None), TypeError, "must return Gates, got NoneType"),
        (
            lambda: study.compose(lambda g, t: g._replace(input=g.input[:, :1]), study.coupled),
            ValueError,
            r"gates\.input of shape \(3, 1\)",
        ),
    ],
)
def test_errors(edit, kind, text):
    with pytest.raises(kind, match=text):
        lc.lstm(PARAMS, X, edit=edit())


def test_a_chosen_step_needs_t():
    with pytest.raises(ValueError, match="pass t to"):
        lc.lstm_step(PARAMS, X[:, 0], lc.zero_state(B, H), edit=study.ablate("input", steps=0))
