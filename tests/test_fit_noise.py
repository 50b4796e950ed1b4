"""A loss that draws at random: a new key in each step of `fit`, none where it is only measured."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

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
    one = fit(drawn, key=jax.random.key(0), epochs=100, batch_size=1).history["loss"]
    assert 0.48 < one.mean() < 0.52  # of 700 draws
    # The mean of 7 independent draws varies as it should: keys of steps are not all alike.
    assert 0.08 < one.std() < 0.14
    assert np.sqrt(1 / 12 / 7) == pytest.approx(0.109, abs=1e-3)


def test_each_piece_draws_anew():
    start = lambda params, batch: jnp.zeros(len(batch))  # noqa: E731
    options = {"chunk": 1, "start": start, "epochs": 60, "batch_size": 7}
    losses = fit(drawn_from_pieces, key=jax.random.key(0), **options).history["loss"]
    assert 0.4 < losses.mean() < 0.6
    assert 0.08 < losses.std() < 0.16  # the mean of 6 draws: sqrt(1 / 12 / 6) = 0.118


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
