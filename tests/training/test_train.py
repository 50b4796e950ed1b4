"""Training: exactness against a plain loop, determinism, stopping, and failure without loss."""

import dataclasses
import pickle
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lstmcore as lc
from lstmcore.training import fit as fit_module
from lstmcore.training.epochs import ByExample

RNG = np.random.default_rng(0)
X = RNG.normal(size=(7, 3)).astype(np.float32)
Y = (X @ np.array([[1.0], [-2.0], [0.5]], np.float32)) + 0.1
DATA = {"x": X, "y": Y}
START = lc.DenseParams(np.zeros((3, 1), np.float32), np.zeros(1, np.float32))
ADAM = optax.adam(0.05)


def squared_error(params, batch):
    return jnp.mean((lc.dense(params, batch["x"]) - batch["y"]) ** 2)


def fit(**changes):
    arguments = {"optimizer": ADAM, "epochs": 6, "batch_size": 3} | changes
    return lc.fit(squared_error, START, arguments.pop("data", DATA), **arguments)


def plain_loop(orders, batch_size, data=DATA, optimizer=ADAM):
    """The same training as Python would write it."""
    params, state, losses = START, optimizer.init(START), []
    for order in orders:
        total = 0.0
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            batch = {name: leaf[rows] for name, leaf in data.items()}
            value, gradient = jax.value_and_grad(squared_error)(params, batch)
            with jax.numpy_dtype_promotion("standard"):
                updates, state = optimizer.update(gradient, state, params)
                params = optax.apply_updates(params, updates)
            total += float(value) * len(rows)
        losses.append(total / len(order))
    return params, np.array(losses)


def assert_trees_close(ours, theirs, **tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), ours, theirs)


@pytest.mark.parametrize(
    "batch_size", [3, 100, *(pytest.param(n, marks=pytest.mark.thorough) for n in (1, 7))]
)
def test_fit_is_the_plain_loop_with_its_last_partial_batch(batch_size):
    params, losses = plain_loop([np.arange(7)] * 6, batch_size)
    result = fit(batch_size=batch_size)
    assert_trees_close(result.params, params, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(result.history["loss"], losses, rtol=1e-4)
    assert isinstance(result.history["loss"], np.ndarray)


@pytest.mark.parametrize("batch_size", [3, 7])
def test_a_loss_for_each_example_trains_as_its_mean(batch_size):
    rows = set()

    def for_each(params, batch):
        rows.add(len(batch["x"]))
        return jnp.mean((lc.dense(params, batch["x"]) - batch["y"]) ** 2, axis=1)

    options = {"optimizer": ADAM, "epochs": 6, "batch_size": batch_size, "patience": 4}
    options |= {"key": jax.random.key(1), "validation": {"x": X[:4], "y": -Y[:4]}}
    mean = lc.fit(squared_error, START, DATA, **options)
    each = lc.fit(ByExample(for_each), START, DATA, **options)
    assert_trees_close(each.params, mean.params, rtol=1e-5)
    assert_trees_close(each.history, mean.history, rtol=1e-5)
    assert rows == {batch_size, min(batch_size, 4)}  # the last batch of 1 is no shape of its own


def test_a_key_shuffles_anew_in_each_epoch():
    seen = []

    def watching(params, batch):
        jax.debug.callback(lambda rows: seen.append(rows[0]), batch[:, 0], ordered=True)
        return jnp.sum(params * 0.0)

    rows = np.arange(6.0, dtype=np.float32)[:, None]
    params = jnp.zeros(1)
    lc.fit(watching, params, rows, epochs=3, batch_size=1, key=jax.random.key(0))
    epochs = np.array(seen).reshape(3, 6)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(6), (3, 1)))
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_same_key_same_result_bit_for_bit():
    one, two = (fit(key=jax.random.key(1), epochs=20) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, one, two)
    other = fit(key=jax.random.key(2), epochs=20)
    assert not np.array_equal(one.params.kernel, other.params.kernel)


def test_the_result_does_not_depend_on_how_the_run_is_cut(monkeypatch):
    whole = fit(key=jax.random.key(1), epochs=50)
    monkeypatch.setattr(fit_module, "SECONDS_PER_CALL", 0.0)  # one epoch per call
    jax.tree.map(np.testing.assert_array_equal, whole, fit(key=jax.random.key(1), epochs=50))


def test_arguments_are_not_changed():
    before = jax.tree.map(np.copy, (START, DATA))
    fit(validation=DATA, patience=1)
    jax.tree.map(np.testing.assert_array_equal, (START, DATA), before)


def test_validation_loss_is_measured_after_each_epoch():
    half = jax.tree.map(lambda leaf: leaf[:4], DATA)
    result = fit(validation=half, epochs=1)
    np.testing.assert_allclose(
        result.history["validation_loss"], [squared_error(result.params, half)], rtol=1e-5
    )


def test_patience_stops_and_keeps_the_best():
    far = {"x": X, "y": -Y}  # what is learned makes this worse, from some epoch on
    result = fit(validation=far, patience=4, epochs=500, optimizer=optax.adam(0.01))
    losses = result.history["validation_loss"]
    best = int(losses.argmin())
    assert len(losses) == best + 1 + 4
    np.testing.assert_allclose(squared_error(result.params, far), losses[best], rtol=1e-4)


def test_patience_without_validation_compares_the_params_themselves():
    """A loss measured on the way belongs to params of before; with momentum it passes its best."""

    def square(params, batch):
        return jnp.mean((params - 1.0) ** 2) + 0.0 * batch.sum()

    optimizer = optax.sgd(0.2, momentum=0.9)
    result = lc.fit(
        square, jnp.zeros(1), X, optimizer=optimizer, epochs=99, batch_size=7, patience=4
    )
    assert square(result.params, X) <= result.history["loss"].min() + 1e-6
    assert len(result.history["loss"]) < 99


def test_the_default_optimizer_is_adam():
    default, adam = fit(optimizer=None), fit(optimizer=optax.adam(1e-3))
    jax.tree.map(np.testing.assert_array_equal, default, adam)


def in_dtype(dtype):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), START)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_the_default_optimizer_trains_narrow_params(dtype):
    """In float16 the eps of Adam, 1e-8, is 0, and so is the square of a small gradient."""

    def small(params, x):
        return 1e-3 * squared_error(params, x)

    params = in_dtype(dtype)
    data = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), DATA)
    result = lc.fit(small, params, data, epochs=300, batch_size=7)
    assert {leaf.dtype for leaf in result.params} == {jnp.dtype(dtype)}
    assert result.history["loss"][-1] < 0.8 * result.history["loss"][0]


def test_an_optimizer_of_ones_own_in_float16_is_told_what_helps():
    data = jax.tree.map(np.float16, DATA | {"x": X * [1, 1, 0]})  # a gradient of 0 for one weight
    options = {"data": data, "epochs": 3, "batch_size": 7}
    with pytest.raises(
        lc.NonFiniteLossError, match=r"raise the optimizer's eps .*optax.adam\(1e-3, eps=1e-4\)"
    ):
        lc.fit(squared_error, in_dtype(jnp.float16), optimizer=optax.adam(1e-3), **options)
    advised = optax.adam(1e-3, eps=1e-4)
    result = lc.fit(squared_error, in_dtype(jnp.float16), optimizer=advised, **options)
    assert result.history["loss"][-1] < result.history["loss"][0]


def test_optimizers_that_search_along_a_line():
    """They measure the loss at params of their own: `optax.lbfgs` solves least squares at once."""
    result = fit(optimizer=optax.lbfgs(), epochs=12, batch_size=7)
    np.testing.assert_allclose(result.params.kernel.ravel(), [1, -2, 0.5], atol=1e-3)
    np.testing.assert_allclose(result.params.bias, [0.1], atol=1e-3)


@pytest.mark.thorough
def test_a_search_along_a_line_sees_the_loss_of_its_batch_alone():
    search = optax.scale_by_backtracking_linesearch(max_backtracking_steps=5)
    optimizer = optax.chain(optax.sgd(1.0), search)
    params, state = START, optimizer.init(START)
    for rows in (slice(0, 4), slice(4, 7)):
        batch = {name: leaf[rows] for name, leaf in DATA.items()}
        value, gradient = jax.value_and_grad(squared_error)(params, batch)
        with jax.numpy_dtype_promotion("standard"):
            updates, state = optimizer.update(
                gradient,
                state,
                params,
                value=value,
                grad=gradient,
                value_fn=lambda params, batch=batch: squared_error(params, batch),
            )
            params = optax.apply_updates(params, updates)
    found = fit(optimizer=optimizer, epochs=1, batch_size=4)
    assert_trees_close(found.params, params, rtol=1e-5, atol=1e-6)

    def in_pieces(params, piece, state):
        return squared_error(params, jax.tree.map(lambda leaf: leaf[:, 0], piece)), state

    steps = jax.tree.map(lambda leaf: np.repeat(leaf[:, None], 2, axis=1), DATA)
    once, twice = (
        lc.fit(
            in_pieces,
            START,
            data,
            tbptt_steps=1,
            initial_state=lambda params, batch: jnp.zeros(()),
            **options,
        )
        for data, options in (
            (steps, {"optimizer": optimizer, "epochs": 1, "batch_size": 7}),
            (
                jax.tree.map(lambda leaf: leaf[:, :1], steps),
                {"optimizer": optimizer, "epochs": 2, "batch_size": 7},
            ),
        )
    )
    assert_trees_close(once.params, twice.params, rtol=1e-5, atol=1e-6)


def test_optimizers_see_the_params():
    decayed = fit(optimizer=optax.adamw(0.0, weight_decay=1.0))
    assert decayed.params.kernel.shape == (3, 1)


def test_a_changed_model_is_never_trained_as_the_old_one():
    model = lc.StackedLSTM(3, 2, outputs=1)
    x = X[:, None, :]

    def loss(params, x):
        return jnp.mean(model.apply(params, x)[0] ** 2)

    params = model.init(jax.random.key(0))
    first = lc.fit(loss, params, x, epochs=2, batch_size=7)
    model = lc.StackedLSTM(3, 2, outputs=1, activation="relu")
    second = lc.fit(loss, params, x, epochs=2, batch_size=7)
    assert not np.array_equal(first.history["loss"], second.history["loss"])


def test_a_loss_may_refer_to_things_that_cannot_be_hashed():
    @dataclasses.dataclass(frozen=True)
    class Weights:
        of_outputs: np.ndarray

    weights = Weights(np.ones(1, np.float32))

    def weighted(params, batch):
        return squared_error(params, batch) * weights.of_outputs.sum()

    ours = lc.fit(weighted, START, DATA, optimizer=ADAM, epochs=6, batch_size=3)
    assert_trees_close(ours.params, fit().params, rtol=1e-5, atol=1e-7)


def test_runs_longer_than_the_buffer_of_a_call():
    whole = fit(epochs=2100, optimizer=optax.sgd(1e-3))
    assert whole.history["loss"].shape == (2100,)
    assert (np.diff(whole.history["loss"]) < 0).all()


def test_schedules_and_clipping_are_part_of_the_optimizer():
    schedule = optax.piecewise_constant_schedule(0.1, {6: 0.0})  # 3 steps an epoch: 2 epochs
    optimizer = optax.chain(optax.clip_by_global_norm(0.01), optax.sgd(schedule))
    after_two, after_six = (fit(optimizer=optimizer, epochs=n) for n in (2, 6))
    jax.tree.map(np.testing.assert_array_equal, after_two.params, after_six.params)
    moved = np.hypot(*(np.linalg.norm(leaf) for leaf in after_two.params))  # it started at 0
    assert 0 < moved <= 6 * 0.1 * 0.01 * 1.001


def test_optimizers_that_watch_the_loss():
    """Without the loss this one would believe that nothing ever improves, and stop moving."""
    plateau = optax.contrib.reduce_on_plateau(patience=2, factor=0.01)
    result = fit(optimizer=optax.chain(optax.sgd(0.01), plateau), epochs=30, batch_size=7)
    assert (np.diff(result.history["loss"]) < 0).all()


@pytest.mark.parametrize("validation", [None, DATA])
def test_divergence_names_the_epoch_and_keeps_finite_params(validation):
    with pytest.raises(
        lc.NonFiniteLossError, match=r"in epoch \d+ of 400: lower the learning"
    ) as e:
        fit(optimizer=optax.sgd(30.0), epochs=400, validation=validation)
    result = e.value.result
    assert all(np.isfinite(leaf).all() for leaf in result.params)
    assert len(result.history["loss"]) < 400
    assert np.isfinite(result.history["loss"]).all()
    assert f"epoch {len(result.history['loss']) + 1} of" in str(e.value)
    copy = pickle.loads(pickle.dumps(e.value))
    assert (str(copy), len(copy.result.history)) == (str(e.value), len(result.history))


def test_divergence_with_patience_keeps_the_best():
    with pytest.raises(lc.NonFiniteLossError) as error:
        fit(optimizer=optax.sgd(30.0), epochs=400, validation=DATA, patience=300)
    losses = error.value.result.history["validation_loss"]
    kept = squared_error(error.value.result.params, DATA)
    np.testing.assert_allclose(kept, losses.min(), rtol=1e-4)


def test_nan_in_the_validation_data_stops_too():
    bad = {"x": np.where(np.arange(7)[:, None] == 5, np.nan, X), "y": Y}
    with pytest.raises(lc.NonFiniteLossError, match="look for NaN in data and validation"):
        fit(validation=bad)


def test_nan_in_the_data_stops_in_the_step_that_meets_it():
    bad = {"x": np.where(np.arange(7)[:, None] == 5, np.nan, X), "y": Y}
    with pytest.raises(lc.NonFiniteLossError, match="in epoch 1 of 6") as error:
        fit(data=bad)
    first_batch, _ = plain_loop([np.arange(3)], 3)
    assert_trees_close(error.value.result.params, first_batch, rtol=1e-5, atol=1e-7)


def test_a_gradient_that_is_not_finite_is_caught_though_the_loss_is():
    def kinked(params, batch):
        return jnp.sqrt(jnp.sum(params**2)) + 0.0 * batch.sum()  # d sqrt(0) is infinite

    with pytest.raises(lc.NonFiniteLossError, match="in epoch 1") as error:
        lc.fit(kinked, jnp.zeros(2), np.ones((3, 1), np.float32), epochs=2, batch_size=3)
    np.testing.assert_array_equal(error.value.result.params, 0)


def test_one_compilation_serves_runs_with_other_data_and_keys():
    traced = []

    def counting(params, batch):
        traced.append(1)
        return squared_error(params, batch)

    optimizer = optax.adam(0.1)
    arguments = {"optimizer": optimizer, "epochs": 5, "batch_size": 3}
    lc.fit(counting, START, DATA, key=jax.random.key(0), **arguments)
    checked_and_compiled = len(traced)
    assert checked_and_compiled >= 2
    lc.fit(counting, START, DATA, key=jax.random.key(1), **arguments)
    assert len(traced) <= checked_and_compiled + 1  # the check of its return value at most


def test_progress_shows_epochs_and_losses(capsys):
    fit(progress=True, validation=DATA)
    captured = capsys.readouterr()
    assert "6/6" in captured.err
    assert "loss" in captured.err
    assert "training" in captured.err
    assert captured.out == ""
    fit(progress="a second model")
    assert "a second model" in capsys.readouterr().err


def test_training_in_float64_and_bfloat16(x64):
    for dtype in (np.float64, jnp.bfloat16):
        start, data = jax.tree.map(partial(jnp.asarray, dtype=dtype), (START, DATA))
        result = lc.fit(squared_error, start, data, epochs=30, batch_size=3)
        assert {leaf.dtype for leaf in result.params} == {jnp.dtype(dtype)}
        assert result.history["loss"][-1] < result.history["loss"][0]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs must be at least 1, got 0"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"batch_size": 2.0}, TypeError, "batch_size must be a whole number, got 2.0"),
        ({"patience": 0}, ValueError, "patience must be at least 1, got 0"),
        ({"data": {"x": X, "y": Y[:3]}}, ValueError, r"data hold \[3, 7\] examples: they must a"),
        ({"data": {"x": X[:0], "y": Y[:0]}}, ValueError, "data holds no examples"),
        ({"data": {}}, ValueError, "data must be an array or a pytree of arrays"),
        ({"data": {"x": 1.0}}, ValueError, "data must be an array or a pytree of arrays"),
        ({"validation": {"x": X[:0], "y": Y[:0]}}, ValueError, "validation holds no examples"),
    ],
)
def test_errors(changes, error, message):
    with pytest.raises(error, match=message):
        fit(**changes)


def test_errors_of_loss_and_params():
    with pytest.raises(
        ValueError, match=r"loss must return a scalar, got shape \(3,\): take its m"
    ):
        lc.fit(lambda params, x: x[:, 0] * params, jnp.ones(()), X, epochs=1, batch_size=3)
    with pytest.raises(ValueError, match="loss must return a scalar, got tuple"):
        lc.fit(lambda params, x: (x.sum(), x), jnp.ones(()), X, epochs=1, batch_size=3)
    with pytest.raises(TypeError, match="optimizer must be one of optax, got str: write for inst"):
        fit(optimizer="adam")
    with pytest.raises(TypeError, match="key must be a random key, got int"):
        fit(key=0)
    with pytest.raises(TypeError, match=r"params\['n'\] must be a floating-point array, got int32"):
        lc.fit(squared_error, {"n": jnp.arange(3)}, DATA, epochs=1, batch_size=3)


def test_a_loss_that_is_infinite_only_after_the_last_step_is_seen_with_patience():
    def loss(params, x):
        w = params["w"][0]
        return jnp.where(w < -0.5, jnp.inf, w) + 0 * x.mean()

    start = {"w": jnp.zeros(1)}
    with pytest.raises(lc.NonFiniteLossError, match="epoch 1 of 1") as caught:
        lc.fit(
            loss,
            start,
            np.ones((4, 1), np.float32),
            optimizer=optax.sgd(1.0),
            epochs=1,
            batch_size=4,
            patience=1,
        )
    assert caught.value.result.params == start
