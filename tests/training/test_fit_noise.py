"""A loss that draws at random: a new key in each step of `fit`, none where it is only measured."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from chance import assert_drawn_from
from scipy import stats

import lstmcore as lc

PARAMS = {"w": jnp.zeros(3)}
X = np.ones((7, 6, 3), np.float32)
STILL = optax.sgd(0.0)
fit = partial(lc.fit, params=PARAMS, data=X, epochs=3, batch_size=2)


def drawn(params, batch, key=None):
    """Its value is what it drew, or 5."""
    return (params["w"] * batch).sum() * 0 + (5 if key is None else jax.random.uniform(key))


def drawn_from_pieces(params, piece, state, key=None):
    return drawn(params, piece, key=key), state


def test_each_step_draws_anew_and_measuring_does_not():
    history = fit(drawn, key=jax.random.key(0), validation=X).history
    assert (history["validation_loss"] == 5).all()
    assert len(set(history["loss"].tolist())) == 3
    again = fit(drawn, key=jax.random.key(0)).history["loss"]
    np.testing.assert_array_equal(again, history["loss"])
    assert (fit(drawn, key=jax.random.key(1)).history["loss"] != again).all()
    one = fit(drawn, key=jax.random.key(0), epochs=600, batch_size=1).history["loss"]
    assert_drawn_from(mean_of_uniforms(7), one)
    with pytest.raises(AssertionError):  # what one key for all steps of an epoch would give
        assert_drawn_from(mean_of_uniforms(7), jax.random.uniform(jax.random.key(0), 600))


def test_each_piece_draws_anew():
    start = lambda params, batch: jnp.zeros(len(batch))  # noqa: E731
    options = {"tbptt_steps": 1, "initial_state": start, "epochs": 600, "batch_size": 7}
    losses = fit(drawn_from_pieces, key=jax.random.key(0), **options).history["loss"]
    assert_drawn_from(mean_of_uniforms(6), losses)


def mean_of_uniforms(count):
    """The distribution of the mean of so many independent draws, very nearly."""
    return stats.norm(0.5, np.sqrt(1 / 12 / count))


def test_dropout_in_training_alone():
    """With a weight on each input, dropout of half of them is seen in the loss, on average not."""
    x = np.ones((512, 8), np.float32)

    def loss(params, batch, key=None):
        return (lc.dropout(key, batch, 0.5) @ params["w"]).mean()

    params = {"w": jnp.full(8, 0.125)}
    result = lc.fit(
        loss,
        params,
        x,
        epochs=1,
        batch_size=512,
        key=jax.random.key(0),
        validation=x,
        optimizer=STILL,
    )
    assert result.history["validation_loss"][0] == pytest.approx(1)
    assert result.history["loss"][0] != 1
    assert result.history["loss"][0] == pytest.approx(1, abs=0.1)


def needs_key(params, batch, key):
    return drawn(params, batch, key)


ERRORS = [
    (lambda: fit(needs_key, key=jax.random.key(0)), "the parameter key of loss must be key=None"),
    (lambda: fit(drawn), r"loss takes a random key: pass key=jax.random.key\(...\) to fit"),
    (
        lambda: fit(drawn, key=jax.random.key(0), devices=jax.devices()),
        "a loss with noise does not go together with devices",
    ),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
