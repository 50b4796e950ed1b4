"""Training shared by the applications: enough steps, and gradients that are clipped."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstmcore as lc
from lstmcore.apps import anomalies, autoencoding, forecasting, translation
from lstmcore.apps.settings import PATIENCE_STEPS, STEPS, TrainingSettings
from lstmcore.apps.training import adam, batches_of, fit_model
from lstmcore.training.fit import NonFiniteLossError

ALL = (autoencoding.Settings, forecasting.Settings, anomalies.Settings, translation.Settings)
MODEL = lc.StackedLSTM(1, (2,), 1)


def loss(model, params, batch):
    output, _ = model.apply(params, batch)
    return jnp.mean((output - batch) ** 2)


def windows(examples: int) -> np.ndarray:
    return np.sin(np.arange(examples * 3, dtype=np.float32)).reshape(examples, 3, 1)


@given(batches=st.integers(1, 10_000))
def test_auto_makes_enough_steps_in_no_more_epochs_than_these_need(batches):
    for kind in ALL:
        epochs, fewest = kind().epochs_for(batches), kind().fewest_epochs
        assert epochs >= fewest
        assert epochs * batches >= STEPS
        assert epochs == fewest or (epochs - 1) * batches < STEPS
    patience = TrainingSettings().patience_for(batches)
    assert patience >= 10
    assert patience * batches >= PATIENCE_STEPS
    assert patience == 10 or (patience - 1) * batches < PATIENCE_STEPS


@pytest.mark.parametrize("kind", ALL)
def test_a_number_of_epochs_is_that_number(kind):
    assert kind(epochs=3, patience=2).epochs_for(batches=1) == 3
    assert kind(epochs=3, patience=2).patience_for(batches=1) == 2
    assert kind(patience=0).patience_for(batches=1) is None
    for name in ("epochs", "patience"):
        message = rf'{name} must be .*: give "auto" or a number of epochs'
        with pytest.raises((TypeError, ValueError), match=message):
            kind(**{name: "many"})


def test_a_small_table_is_trained_for_as_many_steps_as_a_larger_one():
    settings = TrainingSettings(patience=None, batch_size=4)
    result = fit_model(MODEL, settings, partial(loss, MODEL), windows(6))  # 2 batches
    assert len(result.history["loss"]) == STEPS // 2


def test_batches_are_counted_over_all_buckets():
    groups = lc.buckets({"x": [np.ones((n, 1), np.float32) for n in (2, 2, 2, 9, 9)]}, count=2)
    sizes = [len(part["x"]) for part in groups.parts]
    assert batches_of(groups, 2) == sum(-(-size // 2) for size in sizes)
    assert batches_of(windows(5), 2) == 3


def test_one_odd_example_moves_the_moments_no_further_than_any_other():
    params = {"w": jnp.zeros(4)}
    optimizer = adam(1e-3)
    with jax.numpy_dtype_promotion("standard"):
        _, state = optimizer.update({"w": jnp.full(4, 1e6)}, optimizer.init(params), params)
    (moments,) = [s for s in jax.tree.leaves(state, is_leaf=is_adam) if is_adam(s)]
    np.testing.assert_allclose(optax.tree.norm(moments.mu) / 0.1, 1.0, rtol=1e-5)


def is_adam(state) -> bool:
    return isinstance(state, optax.ScaleByAdamState)


def test_clipping_hides_no_loss_that_is_not_finite():
    data = np.full((4, 3, 1), np.inf, np.float32)
    with pytest.raises(NonFiniteLossError, match="epoch 1 of 2"):
        fit_model(MODEL, TrainingSettings(epochs=2), partial(loss, MODEL), data)
