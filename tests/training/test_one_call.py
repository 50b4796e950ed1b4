"""`lc.train`: the loss, the validation part and the metrics follow from the target."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lstmcore as lc
from lstmcore import chain as C

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 5, 2)).astype(np.float32)
LABELS = (X.sum(axis=(1, 2)) > 0).astype(int)
MASK = np.arange(5) < RNG.integers(1, 6, size=(40, 1))
CLASSIFIER = lc.Chain([C.LSTM(4, last=True), C.Dense(2)], features=2)
TAGGER = lc.Chain([C.LSTM(4), C.Dense(2)], features=2)
short = {"epochs": 3, "batch_size": 16}
fast = {"optimizer": optax.adam(0.03)}


def test_classes_are_learned_and_counted():
    trained = lc.train(CLASSIFIER, X, LABELS, epochs=40, **fast)
    assert trained.metrics["accuracy"] > 0.85
    assert trained.predict(X).shape == (40,)
    assert trained.outputs(X).shape == (40, 2)
    np.testing.assert_array_equal(trained.predict(X), trained.outputs(X).argmax(axis=-1))
    assert set(trained.metrics) == {
        "loss", "accuracy", "validation_loss", "validation_accuracy",
    }  # fmt: skip
    assert "validation_accuracy" in repr(trained)


def test_it_is_fit_with_the_usual_loss():
    def loss(params, batch):
        logits, _ = CLASSIFIER.apply(params, batch["x"])
        return lc.cross_entropy(logits[:, None], batch["y"][:, None])

    key, init_key = jax.random.split(jax.random.key(3))
    data = {"x": X, "y": LABELS}
    by_hand = lc.fit(loss, CLASSIFIER.init(init_key), data, key=key, **short)
    trained = lc.train(CLASSIFIER, X, LABELS, validation=0, seed=3, **short)
    np.testing.assert_allclose(trained.history["loss"], by_hand.history["loss"], rtol=1e-5)
    assert set(trained.metrics) == {"loss", "accuracy"}


def test_probabilities_have_the_loss_of_their_logits():
    softmax = lc.Chain([*CLASSIFIER.parts, C.Activation("softmax")], features=2)
    losses = [
        lc.train(model, X, LABELS, **short).history["loss"] for model in (CLASSIFIER, softmax)
    ]
    np.testing.assert_allclose(*losses, rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64])
def test_labels_of_any_integer_type(dtype):
    trained = lc.train(CLASSIFIER, X, LABELS.astype(dtype), **short)
    assert trained.classes
    assert trained.predict(X[:1]).shape == (1,)


def test_masked_steps_do_not_count():
    """Labels and inputs of masked steps may be anything."""
    tags = (X[..., 0] > 0).astype(int)
    results = []
    for noise in (0, 1):
        x = np.where(MASK[:, :, None], X, np.float32(7 * noise))
        y = np.where(MASK, tags, noise)
        results.append(lc.train(TAGGER, x, y, mask=MASK, **short))
    np.testing.assert_array_equal(*(result.history["validation_loss"] for result in results))
    assert results[0].metrics["accuracy"] == results[1].metrics["accuracy"]
    numbers = X[..., :1] * np.float32(2)
    regression = lc.Chain([C.LSTM(4), C.Dense(1)], features=2)
    losses = [
        lc.train(regression, X, np.where(MASK[:, :, None], numbers, v), mask=MASK, **short).history
        for v in (np.float32(0), np.float32(1e3))
    ]
    np.testing.assert_array_equal(losses[0]["loss"], losses[1]["loss"])


def test_autoencoders_reconstruct_without_a_target():
    model = lc.Autoencoder(2, 3)
    trained = lc.train(model, X, **short)
    x_hat, _ = model.apply(trained.params, X)
    np.testing.assert_allclose(trained.predict(X), x_hat, atol=1e-6)
    assert set(trained.metrics) == {"loss", "validation_loss"}
    flat = lc.train(lc.DenseAutoencoder(10, 3), X.reshape(40, 10), **short)
    assert flat.predict(X.reshape(40, 10)).shape == (40, 10)


def test_encoder_decoders_and_forecasters():
    tokens = RNG.integers(3, 7, size=(40, 4))
    model = lc.Seq2Seq(7, 7, 4, embedding=3)
    assert lc.train(model, tokens, tokens[:, ::-1], **short).history["loss"].shape == (3,)
    forecaster = lc.Forecaster(2, 4, horizon=2)
    trained = lc.train(forecaster, X[:, :3], X[:, 3:], **short)
    assert trained.predict(X[:, :3]).shape == (40, 2, 2)


def test_validation_is_held_out_and_ends_the_training():
    given = lc.train(CLASSIFIER, X[:30], LABELS[:30], validation=(X[30:], LABELS[30:]), **short)
    logits, _ = CLASSIFIER.apply(given.params, X[30:])
    expected = lc.cross_entropy(logits[:, None], LABELS[30:, None])
    np.testing.assert_allclose(given.metrics["validation_loss"], expected, rtol=1e-5)
    random = RNG.integers(0, 2, size=40)  # nothing to learn
    stopped = lc.train(CLASSIFIER, X, random, epochs=200, patience=3, **fast)
    assert len(stopped.history["loss"]) < 200


def test_a_target_without_steps_is_not_masked_by_steps():
    """Its size may be that of the time axis: five numbers, or five examples."""
    model = lc.Chain([C.Embedding(9, 3, padding=0), C.LSTM(4, last=True), C.Dense(5)])
    ids = RNG.integers(0, 2, size=(40, 5)) * 3
    y = RNG.normal(size=(40, 5)).astype(np.float32)
    trained = lc.train(model, ids, y, validation=0, **short)
    expected = np.mean((trained.outputs(ids) - y) ** 2)
    np.testing.assert_allclose(trained.metrics["loss"], expected, rtol=1e-5)


def test_two_classes_may_be_true_and_false_and_chains_need_no_lstm():
    trained = lc.train(
        lc.Chain([C.Dense(3, "tanh"), C.Dense(2)], features=2), X, X[..., 0] > 0, **short
    )
    assert trained.predict(X).shape == (40, 5)


def test_soft_targets_are_numbers():
    """A softmax is compared by its logarithm only with classes."""
    model = lc.Chain([C.LSTM(4, last=True), C.Dense(2, "softmax"), C.Dropout(0.1)], features=2)
    soft = 0.1 + 0.8 * np.eye(2, dtype=np.float32)[LABELS]
    trained = lc.train(model, X, soft, validation=0, **short)
    expected = np.mean((trained.outputs(X) - soft) ** 2)
    np.testing.assert_allclose(trained.metrics["loss"], expected, rtol=1e-5)
    assert model.gives_probabilities


def test_a_chain_that_reconstructs_leaves_padding_out():
    model = lc.Chain([C.LSTM(3, last=True), C.RepeatVector(5), C.LSTM(3), C.Dense(2)], features=2)
    losses = [
        lc.train(model, np.where(MASK[:, :, None], X, v), mask=MASK, **short).history["loss"]
        for v in (np.float32(100), np.float32(np.nan))
    ]
    np.testing.assert_array_equal(*losses)
    assert losses[0][0] < 3


def test_it_is_compiled_once():
    traced = 0

    @dataclass(frozen=True)
    class Counting(lc.StackedLSTM):
        def apply(self, params, x, **options):
            nonlocal traced
            traced += 1
            return super().apply(params, x, **options)

    counts = []
    for _ in range(2):
        lc.train(Counting(2, 3, outputs=1), X, X[..., :1], **short)
        counts.append(traced)
    assert counts[1] == counts[0] + 2  # abstractly, where shapes are checked


def test_a_translator_is_not_predicted_with():
    tokens = RNG.integers(3, 7, size=(10, 4))
    trained = lc.train(lc.Seq2Seq(7, 7, 4, embedding=3), tokens, tokens, **short)
    with pytest.raises(TypeError, match="Seq2Seq decodes a sequence: use lc"):
        trained.predict(tokens)


def test_equal_seeds_give_equal_results():
    first, again, other = (
        lc.train(CLASSIFIER, X, LABELS, seed=seed, **short).history["loss"] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: lc.train(lc.Chain, X), TypeError, "model must be a model such as"),
        (lambda: lc.train(CLASSIFIER, [1, 2]), TypeError, "x must be an array, got list"),
        (lambda: lc.train(CLASSIFIER, X, LABELS[:5]), ValueError, "x has 40 examples but y has 5"),
        (lambda: lc.train(TAGGER, X, LABELS), ValueError, "for one class per sequence hand on the"),
        (lambda: lc.train(TAGGER, X, LABELS[:, None, None]), ValueError, "for a regression write"),
        (lambda: lc.train(TAGGER, X, X[..., :1]), ValueError, r"shape \(.*2\) but y \(.*1\): they"),
        (lambda: lc.train(CLASSIFIER, X, LABELS * 1.0), ValueError, "classes are whole numbers"),
        (
            lambda: lc.train(CLASSIFIER, X, LABELS.astype(str)),
            TypeError,
            r"y must hold numbers, got texts: .*classes, y = np.unique\(y, return_inverse=True\)",
        ),
        (lambda: lc.train(CLASSIFIER, X, ["cat"] * 40), TypeError, "got texts: number the classes"),
        (lambda: lc.train(CLASSIFIER, X, [0] * 40), TypeError, "y must be an array, got list"),
        (
            lambda: lc.train(CLASSIFIER, X, LABELS.astype("datetime64[s]")),
            TypeError,
            "y must hold real numbers, got datetime64",
        ),
        (
            lambda: lc.train(CLASSIFIER, X, LABELS[:, None]),
            ValueError,
            r"output has shape \(40, 2\), which needs \(40,\): for classes write y\[..., 0\]",
        ),
        (
            lambda: lc.train(CLASSIFIER, X, np.eye(2, dtype=np.float32)[LABELS]),
            ValueError,
            r"y \(40, 2\) is one-hot, .*y.argmax\(axis=-1\)",
        ),
        (
            lambda: lc.train(TAGGER, X, np.eye(2, dtype=int)[(X[..., 0] > 0).astype(int)]),
            ValueError,
            "is one-hot",
        ),
        (
            lambda: lc.train(lc.Forecaster(2, 3, 2, future_covariates=1), X[:, :3], X[:, 3:, :1]),
            ValueError,
            r"Forecaster reads future covariates.*call lc.fit\(model.loss, .*\"future\": future",
        ),
        (lambda: lc.train(TAGGER, X, X[..., 0].astype(int), validation=0), ValueError, "the class"),
        (
            lambda: lc.train(lc.Chain([C.LSTM(3, last=True), C.Dense(1)], 2), X, LABELS),
            ValueError,
            "classes need one output each, at least two",
        ),
        (lambda: lc.train(CLASSIFIER, X, LABELS, validation=1.0), ValueError, "a fraction"),
        (
            lambda: lc.train(CLASSIFIER, X, LABELS, validation=(X,)),
            ValueError,
            "or .x, y, mask.",
        ),
        (
            lambda: lc.train(lc.Forecaster(2, 3, 2), X[:, :3], X[:, 3:], mask=MASK[:, :3]),
            ValueError,
            "mask was given, but the loss of Forecaster takes none",
        ),
        (
            lambda: lc.train(lc.CompositeAutoencoder(2, 3, 2), X),
            ValueError,
            "CompositeAutoencoder has several outputs, .* call lc.fit",
        ),
        (
            lambda: lc.train(CLASSIFIER, X, LABELS + 1),
            ValueError,
            "y holds the class 2, but the mo",
        ),
        (
            lambda: lc.train(CLASSIFIER, X, LABELS - 1),
            ValueError,
            "y holds the class -1, but the m",
        ),
        (
            lambda: lc.train(lc.Chain([C.Embedding(9, 2), C.LSTM(2)]), LABELS[:, None]),
            ValueError,
            "y is missing: tokens cannot be reconstructed",
        ),
        (lambda: lc.train(CLASSIFIER, X, LABELS, mask=MASK[:, :2]), ValueError, "mask has shape"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_what_looks_one_hot_may_be_right():
    """Tags of which one in each sequence is 1, and the reconstruction of one-hot rows."""
    tags = np.eye(5, dtype=int)[RNG.integers(0, 5, size=40)]
    assert lc.train(TAGGER, X, tags, epochs=1).classes
    rows = np.eye(2, dtype=np.float32)[RNG.integers(0, 2, size=(40, 5))]
    assert not lc.train(lc.Autoencoder(2, 3), rows, epochs=1).classes


def with_gaps(array, *places):
    array = array.copy()
    for place, value in places:
        array[place] = value
    return array


REGRESSION = lc.Chain([C.LSTM(4), C.Dense(1)], features=2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: lc.train(
                CLASSIFIER, with_gaps(X, ((7, 1, 0), np.nan), ((8, 0, 1), np.inf)), LABELS
            ),
            r"^x is NaN or infinite at 2 places, the first x\[7, 1, 0\]: fill them in",
        ),
        (
            lambda: lc.train(REGRESSION, X, with_gaps(X[..., :1], ((3, 2, 0), np.nan))),
            r"^y is NaN or infinite at 1 place, the first y\[3, 2, 0\]",
        ),
        (
            lambda: lc.train(
                REGRESSION, X, X[..., :1], validation=(X, with_gaps(X[..., :1], (39, np.inf)))
            ),
            r"^validation\[1\] is NaN or infinite at 5 places, the first validation\[1\]\[39, 0, 0",
        ),
        (
            lambda: lc.train(
                lc.Forecaster(2, 4, horizon=2), X[:, :3], with_gaps(X[:, 3:], ((2, 0, 1), np.nan))
            ),
            r"^y is NaN or infinite at 1 place, the first y\[2, 0, 1\]",
        ),
    ],
    ids=["x", "y", "validation", "forecaster"],
)
def test_gaps_are_found_before_training(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_model_may_cope_with_gaps():
    @dataclass(frozen=True)
    class Filling(lc.StackedLSTM):
        def apply(self, params, x, **options):
            return super().apply(params, jnp.nan_to_num(x), **options)

    trained = lc.train(
        Filling(2, 3, outputs=1), with_gaps(X, ((7, 1, 0), np.nan)), X[..., :1], **short
    )
    assert np.isfinite(trained.history["loss"]).all()


def test_a_class_whose_apply_is_replaced_is_compiled_anew(monkeypatch):
    @dataclass(frozen=True)
    class Scaled(lc.StackedLSTM):
        pass

    trained = lc.train(Scaled(2, 3, outputs=1), X, X[..., :1], epochs=1)
    before = trained.predict(X)

    def twice(self, params, x, **options):
        y, traces = lc.StackedLSTM.apply(self, params, x, **options)
        return 2 * y, traces

    monkeypatch.setattr(Scaled, "apply", twice)
    np.testing.assert_allclose(trained.predict(X), 2 * before, rtol=1e-6)
    again = lc.train(Scaled(2, 3, outputs=1), X, X[..., :1], epochs=1)
    assert again.history["loss"] != trained.history["loss"]


def test_it_returns_what_fit_returns():
    trained = lc.train(CLASSIFIER, X, LABELS, **short)
    assert set(trained.history) == {"loss", "validation_loss"}
    assert all(isinstance(leaf, jnp.ndarray) for leaf in jax.tree.leaves(trained.params))


def test_padding_alone():
    model = lc.Chain([C.Embedding(9, 3, padding=0), C.LSTM(4), C.Dense(2)])
    nothing = np.zeros((3, 4), int)
    with pytest.raises(ValueError, match="all steps are masked: there is nothing to train on"):
        lc.train(model, nothing, nothing, epochs=1)
