"""Compiled programs live no longer than the functions that they were compiled for."""

import dataclasses
import gc
import weakref
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lstmcore as lc
from lstmcore import programs, study
from lstmcore.training.epochs import run_epochs

KEY = jax.random.key(0)
TABLE = jnp.zeros((7, 7))
X = np.ones((2, 4, 2), np.float32)
LAYER = lc.init_lstm(KEY, features=2, units=3)
MODEL = lc.StackedLSTM(features=2, units=3, outputs=1)
PARAMS = MODEL.init(KEY)


class Large:
    """Stands for what a function closes over, such as 10 MB of data."""

    def __init__(self):
        self.one = np.float32(1)


def fit(loss, **options):
    options = {"optimizer": optax.sgd(0.1), "epochs": 1, "batch_size": 2} | options
    return lc.fit(loss, {"w": jnp.ones(2)}, X, **options)


def mean(params, batch):
    return (params["w"] * batch).mean()


def loss(large):
    fit(lambda params, batch: mean(params, batch) * large.one)


def loss_that_is_partial(large):
    fit(partial(lambda large, params, batch: mean(params, batch) * large.one, large))


def first_state(large):
    def in_chunks(params, chunk, state):
        return mean(params, chunk) * state.mean(), state

    fit(
        in_chunks,
        tbptt_steps=2,
        initial_state=lambda params, batch: jnp.ones(len(batch)) * large.one,
    )


def optimizer(large):
    fit(mean, optimizer=optax.sgd(lambda count: large.one * 0.1))


def step(large):
    return lambda params, token, state: (params[token] * large.one, state)


def greedy(large):
    lc.greedy(step(large), TABLE, jnp.zeros(2), max_length=2)


def a_method(large):
    class Model:
        def step(self, params, token, state):
            return params[token] * large.one, state

    lc.greedy(Model().step, TABLE, jnp.zeros(2), max_length=2)


def sample(large):
    lc.sample(KEY, step(large), TABLE, jnp.zeros(2), max_length=2)


def beam_search(large):
    lc.beam_search(step(large), TABLE, jnp.zeros(2), max_length=2)


def rollout(large):
    halve = lambda params, x, state: (x * params * large.one, state)  # noqa: E731
    lc.rollout(halve, 0.5, jnp.zeros(2), jnp.ones((2, 1)), steps=2)


def edit(large):
    return lambda gates, t: gates._replace(forget=gates.forget * large.one)


def edit_of_a_layer(large):
    lc.lstm(LAYER, X, edit=edit(large))


def activation(large):
    return lambda z: jnp.tanh(z) * large.one


def activation_of_a_layer(large):
    lc.lstm(LAYER, X, activation=activation(large), checkpoint_every=2)


def activation_of_a_stream(large):
    model = lc.StackedLSTM(2, 3, 1, activation=activation(large))
    lc.stream(model, PARAMS, batch=2).step(X[:, 0])


def streamed_layer(large):
    lc.stream(partial(lc.lstm, activation=activation(large)), LAYER, batch=2).step(X[:, 0])


def activation_of_a_run(large):
    study.run(lc.StackedLSTM(2, 3, 1, activation=activation(large)), PARAMS, X)


def edit_of_a_run(large):
    study.run(MODEL, PARAMS, X, edits={"lstm_0": edit(large)})


def metric(large):
    study.patch_sweep(
        MODEL.apply, PARAMS, X, -X, lambda y: y.mean() * large.one, over=("layer", "gate")
    )


def loss_of_gate_gradients(large):
    study.gate_gradients(lambda y: y.mean() * large.one, MODEL.apply, PARAMS, X)


USES = [
    loss,
    loss_that_is_partial,
    first_state,
    optimizer,
    greedy,
    a_method,
    sample,
    beam_search,
    rollout,
    edit_of_a_layer,
    activation_of_a_layer,
    activation_of_a_stream,
    streamed_layer,
    activation_of_a_run,
    edit_of_a_run,
    metric,
    loss_of_gate_gradients,
]


@pytest.mark.thorough
@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_what_a_function_closes_over_is_let_go_with_it(use):
    large = Large()
    reference = weakref.ref(large)
    use(large)
    del large
    gc.collect()
    assert reference() is None


def test_what_a_loss_referred_to_before_is_let_go():
    """A model or data that are replaced in a notebook, while the loss stays."""
    large = Large()

    def loss(params, batch):
        return mean(params, batch) * large.one

    fit(loss)
    reference, large = weakref.ref(large), Large()
    fit(loss)
    gc.collect()
    assert reference() is None


@pytest.mark.thorough
def test_an_activation_of_ones_own_goes_with_its_latent_features():
    estimators = pytest.importorskip("lstmcore.apps.estimators")
    large = Large()
    reference = weakref.ref(large)
    model = lc.DenseAutoencoder(features=4, units=2, activation=activation(large))
    estimators.LatentFeatures(model, epochs=1).fit(X.reshape(4, 4))
    del large, model
    gc.collect()
    assert reference() is None


# The rest is of the cache itself, with functions that are cheap to compile.


@pytest.fixture
def traced():
    """Return a compiled function of (fixed, array), and what was traced, in order."""
    seen = []

    @programs.compiled
    def run(fixed, x):
        seen.append(fixed)
        return x + 1

    return run, seen


@dataclasses.dataclass(frozen=True)
class Sizes:
    units: int

    def method(self):
        return self.units


def plus(x, y):
    return x + y


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (3, 3, 4),
        (1, 1, True),  # equal, and yet not the same to a program
        (1, 1, 1.0),
        ("a", "a", b"a"),
        ((1, (2, None)), (1, (2, None)), (1, (2,))),
        (Sizes(3), Sizes(3), Sizes(4)),
        (Sizes(3), Sizes(3), Sizes(3.0)),
        (Sizes(3).method, Sizes(3).method, Sizes(4).method),
        (partial(plus, 1), partial(plus, 1), partial(plus, 2)),
        (partial(plus, y=Sizes(1)), partial(plus, y=Sizes(1)), partial(plus, y=Sizes(2))),
        (plus, plus, lambda x, y: x + y),
    ],
)
def test_values_are_known_by_value_and_functions_by_identity(traced, one, same, other):
    run, seen = traced
    for fixed in (one, same, other, one):
        run(fixed, jnp.zeros(1))
    assert len(seen) == 2 == run._cache_size()


def test_equal_lists_are_not_the_same(traced):
    run, seen = traced
    lists = [[1], [1]]
    for fixed in (*lists, *lists):
        run(fixed, jnp.zeros(1))
    assert len(seen) == 2


def test_a_new_function_is_never_taken_for_one_that_is_gone(traced):
    """Python gives its address to the next one."""
    run, seen = traced
    for number in range(50):
        factor = float(number)
        run(lambda factor=factor: factor, jnp.zeros(1))
        gc.collect(0)
    assert [fixed for fixed in seen if callable(fixed)] == seen
    assert len(seen) == 50
    seen.clear()
    gc.collect()
    assert run._cache_size() == 0


def test_the_latest_programs_stay(traced, monkeypatch):
    monkeypatch.setattr(programs, "LATEST", 3)
    run, seen = traced
    for size in (1, 2, 3, 1, 4, 1):  # 4 takes the place of 2, which was used longest ago
        run("any", np.zeros(size))
    assert (len(seen), run._cache_size()) == (4, 3)
    run("any", np.zeros(2))
    assert (len(seen), run._cache_size()) == (5, 3)


def test_an_error_leaves_no_function_behind():
    def wrong(large):
        return lambda params, token, state: (params[token, 0] * large.one, state)

    large = Large()
    reference = weakref.ref(large)
    with pytest.raises(ValueError, match="step must return logits"):
        lc.greedy(wrong(large), TABLE, jnp.zeros(2), max_length=2)
    del large
    gc.collect()
    assert reference() is None


def test_jax_clear_caches_drops_them_all():
    """The documented call that frees the memory at once."""
    fit(mean, optimizer=None)
    lc.lstm(LAYER, X)
    assert run_epochs._cache_size() > 0
    jax.clear_caches()
    assert run_epochs._cache_size() == 0
    assert fit(mean, optimizer=None).history["loss"].shape == (1,)
    assert lc.lstm(LAYER, X)[0].h.shape == (2, 3)
