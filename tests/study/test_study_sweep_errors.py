"""Errors of sweeps that cannot be made, and a sweep over nothing."""

import jax.numpy as jnp
import numpy as np
import pytest
from strategies import weights

import lstmcore as lc
from lstmcore import study

B, T, F = 2, 4, 2
STACK = lc.StackedLSTM(F, (3, 3), outputs=1)
WRITER = lc.Autoencoder(F, (3, 2), steps=2)
ONES = np.ones((B, T, F), np.float32)


def test_nothing_to_sweep():
    sweep = patch(("layer", "step", "gate"), clean=np.ones((B, 0, F), np.float32))
    assert {values.shape for values in sweep.metric.values()} == {(0, 4)}
    assert sweep.rows() == []


def patch(over=("step",), metric=jnp.sum, corrupt=None, clean=ONES, **options):
    params = weights(STACK)
    corrupt = -clean if corrupt is None else corrupt
    return study.patch_sweep(STACK.apply, params, clean, corrupt, metric, over, **options)


def ablate(value):
    return study.ablation_sweep(
        STACK.apply, weights(STACK), np.ones((B, T, F), np.float32), jnp.sum, ("gate",), value=value
    )


def of_writer(over):
    x = np.ones((B, T, F), np.float32)
    return study.ablation_sweep(WRITER.apply, weights(WRITER), x, jnp.sum, over)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: patch(("layer", "time")),
            r"each of layer, gate, step, unit at most once, got .*time",
        ),
        (lambda: patch(("step", "step")), "at most once"),
        (lambda: patch(layers=["lstm_2"]), "no layer 'lstm_2': use one of lstm_0, lstm_1"),
        (lambda: patch(layers=[]), "layers is empty: name at least one of lstm_0, lstm_1"),
        (lambda: patch(gates=["cell"]), "no gate 'cell': use one of input"),
        (lambda: patch(gates=["input", "input"]), "gates names 'input' more than once"),
        (lambda: patch(gates=()), "gates is empty: name at least one of input"),
        (lambda: patch(corrupt=np.ones((B, 3, F))), r"one shape, got \(2, 4, 2\) and \(2, 3, 2\)"),
        (
            lambda: patch(metric=lambda y: y[0]),
            r"metric must return one number, got shape \(4, 1\)",
        ),
        (lambda: patch(metric=lambda y: None), "one number, got NoneType: take a mean"),
        (lambda: patch(metric=lambda y: y.sum() / 0), "metric of the baseline run is -?inf"),
        (lambda: patch(mask=np.ones((B, 3), bool)), "mask has shape"),
        (lambda: patch(corrupt=np.ones((B, T, F), np.float32)).recovered, "nothing to recover"),
        (lambda: of_writer(("unit",)), r"number of units \(\[2, 3\]\): add 'layer' to over"),
        (lambda: of_writer(("gate", "step")), r"number of steps \(\[2, 4\]\)"),
        (lambda: ablate("median"), "finite number, 'mean' or None, got 'median'"),
        (lambda: ablate(np.nan), "got nan"),
        (lambda: ablate([1.0]), r"got \[1.0\]"),
    ],
)
def test_errors(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_a_model_is_no_apply():
    text = r"apply must be a function such as model\.apply, got StackedLSTM: pass its apply"
    with pytest.raises(TypeError, match=text):
        study.patch_sweep(STACK, weights(STACK), ONES, -ONES, jnp.sum)
    with pytest.raises(TypeError, match=text):
        study.gate_gradients(jnp.sum, STACK, weights(STACK), ONES)
    with pytest.raises(TypeError, match=r"x must be an array .* got list"):
        study.patch_sweep(STACK.apply, weights(STACK), ONES.tolist(), ONES.tolist(), jnp.sum)
