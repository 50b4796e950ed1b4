"""JAX's stricter settings: what is asked of a program that is set to raise, we fulfil."""

import jax
import jax.numpy as jnp
import pytest

import lstmcore as lc

KEY = jax.random.key(0)
X = jnp.ones((2, 4, 3))
MASK = jnp.array([[True, True, True, False]] * 2)
TOKENS = jnp.array([[3, 4, 2, 0]] * 2)


def layer(**options):
    deep = {name: options.pop(name) for name in ("peephole", "projection") if name in options}
    params = lc.init_lstm(KEY, 3, 4, **deep)
    x = X[:, 0] if "repeat" in options else X
    return jax.grad(lambda params: lc.lstm(params, x, **options)[1].h.sum())(params)


def model(model):
    params = model.init(KEY)
    return jax.grad(lambda params: model.apply(params, X, mask=MASK)[0].sum())(params)


def translator(attention, sampling):
    sizes = {"embedding": 3, "attention": attention, "dropout": 0.1, "recurrent_dropout": 0.1}
    model = lc.Seq2Seq(9, 9, 4, **sizes)
    params = model.init(KEY)
    logits, _ = model.apply(params, TOKENS, TOKENS, key=KEY, sampling=sampling)
    state, _ = model.encode(params, TOKENS)
    beams = lc.beam_search(model.step, params, state, max_length=3, width=2)
    return lc.cross_entropy(logits, TOKENS, mask=TOKENS != 0), beams


def forecaster(**options):
    model = lc.Forecaster(3, 4, horizon=2, targets=2, future_covariates=1, dropout=0.1, **options)
    batch = {"x": X, "target": jnp.ones((2, 2, 2)), "future": jnp.ones((2, 2, 1))}
    return jax.grad(model.loss)(model.init(KEY), batch, KEY)


CALLS = {
    "lstm": lambda: layer(mask=MASK),
    "scan": lambda: layer(edit=lambda gates, t: gates, peephole=True, projection=2),
    "chunks": lambda: layer(checkpoint_every=2, recurrent_dropout=jnp.ones((2, 4))),
    "zoneout": lambda: layer(zoneout=lc.zoneout(KEY, 2, 4, 4, h=0.1, c=0.1)),
    "repeat": lambda: layer(repeat=4),
    "repeat, scan": lambda: layer(repeat=4, edit=lambda gates, t: gates),
    "Autoencoder": lambda: model(lc.Autoencoder(3, (4, 2))),
    "conditional": lambda: model(lc.Autoencoder(3, 4, conditional=True)),
    "StackedLSTM": lambda: model(lc.StackedLSTM(3, (4, 4), outputs=2, residual=True)),
    "translator": lambda: translator("additive", None),
    "sampling": lambda: translator("general", 0.5),
    "forecaster": lambda: forecaster(),
    "recursive": lambda: forecaster(mode="recursive"),
    "quantiles": lambda: forecaster(quantiles=(0.1, 0.9)),
    "dense": lambda: lc.dense(lc.init_dense(KEY, 3, 2), X),
    "corrupt": lambda: lc.corrupt(KEY, X, masking=0.5, gaussian=0.1),
}


@pytest.mark.parametrize("name", CALLS)
def test_no_rank_is_promoted_silently(name):
    with jax.numpy_rank_promotion("raise"):
        jax.eval_shape(CALLS[name])
