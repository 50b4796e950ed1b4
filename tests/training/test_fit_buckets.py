"""`fit` on buckets, and its callback and progress bar."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lstmcore as lc
from lstmcore.batching import Buckets
from lstmcore.training import fit as fit_module
from lstmcore.training.epochs import ByExample

RNG = np.random.default_rng(0)
ADAM = optax.adam(0.05)
START = lc.DenseParams(np.zeros((3, 1), np.float32), np.zeros(1, np.float32))
PARTS = tuple(
    {
        "x": RNG.normal(size=(examples, steps, 3)).astype(np.float32),
        "y": RNG.normal(size=(examples, steps, 1)).astype(np.float32),
    }
    for examples, steps in ((5, 2), (4, 3), (1, 4))
)


def buckets(*parts):
    """As if `lc.buckets` had made them."""
    return Buckets(parts, order=np.arange(sum(map(len, jax.tree.leaves(parts)))), padding=0.0)


DATA = buckets(*PARTS)


def squared_error(params, batch):
    return jnp.mean((lc.dense(params, batch["x"]) - batch["y"]) ** 2)


def fit(data=DATA, **changes):
    arguments = {"optimizer": ADAM, "epochs": 6, "batch_size": 3} | changes
    return lc.fit(squared_error, START, data, **arguments)


def assert_same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize("key", [None, 0])
def test_a_loss_for_each_example_trains_as_its_mean(key):
    def for_each(params, batch):
        return jnp.mean((lc.dense(params, batch["x"]) - batch["y"]) ** 2, axis=(1, 2))

    options = {"epochs": 3, "batch_size": 3, "validation": DATA}
    options |= {"key": None if key is None else jax.random.key(key)}
    mean, each = (
        lc.fit(loss, START, DATA, **options) for loss in (squared_error, ByExample(for_each))
    )
    for a, b in zip(jax.tree.leaves(mean), jax.tree.leaves(each), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_without_a_key_bucket_follows_bucket_and_each_example_weighs_the_same():
    gradient = jax.jit(jax.value_and_grad(squared_error))
    params, state, losses = START, ADAM.init(START), []
    for _ in range(6):
        total = 0.0
        for part in PARTS:
            for row in range(0, len(part["x"]), 3):
                batch = jax.tree.map(lambda leaf, row=row: leaf[row : row + 3], part)
                value, gradients = gradient(params, batch)
                with jax.numpy_dtype_promotion("standard"):
                    updates, state = ADAM.update(gradients, state, params)
                    params = optax.apply_updates(params, updates)
                total += float(value) * len(batch["x"])
        losses.append(total / 10)
    result = fit()
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), result.params, params
    )
    np.testing.assert_allclose(result.history["loss"], losses, rtol=1e-4)


def test_with_a_key_the_batches_of_all_buckets_are_mixed():
    seen = []

    def watching(params, batch):
        jax.debug.callback(lambda rows: seen.append(rows), batch[:, 0], ordered=True)
        return jnp.mean(batch) + jnp.sum(params * 0.0)

    numbers = np.split(np.arange(16.0, dtype=np.float32), [9, 14])  # 9, 5 and 2 examples
    parts = tuple(np.tile(part[:, None], steps) for steps, part in enumerate(numbers, start=2))
    result = lc.fit(
        watching,
        jnp.zeros(1),
        buckets(*parts),
        epochs=4,
        batch_size=2,
        key=jax.random.key(0),
    )
    epochs = np.array_split(np.arange(len(seen)), 4)  # 5 + 3 + 1 batches in each
    orders = [np.concatenate([seen[batch] for batch in epoch]) for epoch in epochs]
    visited = [[np.searchsorted([9, 14], seen[b][0], side="right") for b in e] for e in epochs]
    for order in orders:
        assert sorted(order) == list(range(16))
    for batch in seen:
        assert len(np.unique(np.searchsorted([9, 14], batch, side="right"))) == 1
    assert len({tuple(order) for order in orders}) == 4
    assert any(numbers != sorted(numbers) for numbers in visited)
    np.testing.assert_allclose(result.history["loss"], 7.5)


def test_training_on_buckets_repeats_bit_for_bit_however_it_is_cut(monkeypatch):
    whole = fit(key=jax.random.key(1), epochs=20)
    monkeypatch.setattr(fit_module, "SECONDS_PER_CALL", 0.0)
    assert_same(whole, fit(key=jax.random.key(1), epochs=20))


def test_validation_may_be_buckets_of_other_sizes():
    held_out = buckets(*PARTS[1:])
    result = fit(PARTS[0], validation=held_out, epochs=2, patience=5)
    values = [squared_error(result.params, part) for part in PARTS[1:]]
    expected = (4 * values[0] + values[1]) / 5
    best = result.history["validation_loss"].min()
    np.testing.assert_allclose(best, expected, rtol=1e-5)


def test_errors_of_buckets():
    with pytest.raises(ValueError, match=r"data holds no buckets: make it with lc.buckets\("):
        fit(buckets())
    with pytest.raises(ValueError, match=r"data.parts\[1\] holds no examples"):
        fit(buckets(PARTS[0], jax.tree.map(lambda leaf: leaf[:0], PARTS[1])))
    with pytest.raises(ValueError, match=r"validation.parts\[1\] differs from validation.parts\[0"):
        fit(validation=buckets(PARTS[0], {"x": PARTS[1]["x"]}))
    with pytest.raises(ValueError, match=r"data.parts\[1\] differs from data.parts\[0\] in more t"):
        fit(buckets(PARTS[0], jax.tree.map(np.float16, PARTS[1])))


def test_callback_sees_every_epoch_and_changes_nothing():
    seen = []
    validation = PARTS[1]
    result = fit(callback=lambda *call: seen.append(call), validation=validation)
    assert_same(result, fit(validation=validation))
    epochs, params, losses = zip(*seen, strict=True)
    assert epochs == (1, 2, 3, 4, 5, 6)
    assert_same(params[-1], result.params)
    assert_same(params[1], fit(epochs=2).params)
    for name, values in result.history.items():
        np.testing.assert_array_equal([epoch[name] for epoch in losses], values)


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError])
def test_what_callback_raises_carries_the_training_so_far(failure):
    def callback(epoch, params, losses):
        if epoch == 3:
            raise failure("enough")

    with pytest.raises(failure, match="enough") as error:
        fit(callback=callback)
    assert_same(error.value.result, fit(epochs=3))
    assert error.value.__notes__ == ["(params after epoch 3 are in this error's .result)"]


@pytest.mark.parametrize("complete", [0, 2])
def test_ctrl_c_in_the_middle_of_an_epoch_loses_that_epoch_alone(complete, monkeypatch):
    run_epochs = fit_module.run_epochs

    def interrupted(training, until, **arguments):
        if training.epoch == complete:
            raise KeyboardInterrupt
        return run_epochs(training, training.epoch + 1, **arguments)

    monkeypatch.setattr(fit_module, "run_epochs", interrupted)
    monkeypatch.setattr(fit_module, "SECONDS_PER_CALL", 0.0)
    with pytest.raises(KeyboardInterrupt) as error:
        fit(PARTS[0], validation=PARTS[1], patience=1)
    monkeypatch.undo()
    result = error.value.result
    assert [len(values) for values in result.history.values()] == [complete, complete]
    if complete:
        expected = fit(PARTS[0], validation=PARTS[1], patience=1, epochs=2)
        assert_same(result, expected)
    else:
        assert_same(result.params, START)


def test_callback_is_not_called_for_an_epoch_that_went_wrong():
    seen = []
    with pytest.raises(lc.NonFiniteLossError):
        fit(
            PARTS[0],
            optimizer=optax.sgd(30.0),
            epochs=400,
            callback=lambda epoch, params, losses: seen.append(losses["loss"]),
        )
    assert 0 < len(seen) < 400
    assert np.isfinite(seen).all()


def test_callback_must_be_a_function():
    with pytest.raises(
        TypeError, match=r"callback must be a function \(epoch, params, losses\), got"
    ):
        fit(callback=True)
