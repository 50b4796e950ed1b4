"""A model of the user's own, ten lines long, has everything that lstmcore's models have."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from strategies import assert_same

import lstmcore as lc
from lstmcore import reference, study

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (4, 5, 2))


@dataclass(frozen=True)
class Gated:
    features: int
    units: int

    @property
    def layers(self):
        return {
            "reader": lc.Layer(lc.LSTMParams, self.features, self.units),
            "head": lc.Layer(lc.DenseParams, self.units, 1),
        }

    def init(self, key):
        return lc.init_layers(key, self.layers)

    def apply(self, params, x, *, mask=None, edits=None, states=None, ops=lc.ops):
        start, edit = (states or {}).get("reader"), (edits or {}).get("reader")
        _, trace = ops.lstm(params["reader"], x, start, mask=mask, edit=edit)
        return ops.dense(params["head"], trace.h), {"reader": trace}


MODEL = Gated(2, 3)
PARAMS = MODEL.init(KEY)


def test_summary():
    assert lc.summary(MODEL, timesteps=5).splitlines()[2:4] == [
        "reader  LSTM                    (None, 5, 3)      72",
        "head    TimeDistributed(Dense)  (None, 5, 1)       4",
    ]


def test_files_and_the_numpy_engine(model_path):
    lc.save(model_path, MODEL, PARAMS)
    loaded, params = lc.load(model_path, model=Gated)
    assert loaded == MODEL
    assert_same(params, PARAMS)
    apply, arrays = reference.load(model_path, model=Gated)
    expected = jax.tree.map(np.asarray, MODEL.apply(PARAMS, X))
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)  # noqa: E731
    jax.tree.map(close, apply(arrays, np.asarray(X)), expected)


@dataclass(frozen=True)
class Other(Gated):
    pass


@dataclass(frozen=True)
class WithList(Gated):
    sizes: object = None


@pytest.mark.parametrize("load", [lc.load, reference.load])
def test_a_file_never_says_what_is_imported(load, model_path):
    lc.save(model_path, MODEL, PARAMS)
    with pytest.raises(ValueError, match=r"of the class 'Gated', which is not .* model=\.\.\."):
        load(model_path)
    with pytest.raises(ValueError, match="holds a model of the class Gated, not Other"):
        load(model_path, model=Other)
    with pytest.raises(TypeError, match="model must be the class of a model, got 'Gated'"):
        load(model_path, model="Gated")


@dataclass(frozen=True)
class Short(Gated):
    def apply(self, params, x):
        return super().apply(params, x)


def test_an_apply_of_two_arguments_is_enough_for_much(model_path):
    model = Short(2, 3)
    lc.save(model_path, model, PARAMS)
    assert lc.load(model_path, model=Short)[0] == model
    assert study.run(model, PARAMS, X)["reader", "forget"].shape == (4, 5, 3)
    assert "72" in lc.summary(model)
    with pytest.raises(TypeError, match="the apply of Short takes no `ops`"):
        reference.load(model_path, model=Short)


def test_hyperparameters_that_no_file_can_hold(model_path):
    with pytest.raises(TypeError, match="sizes is set, which a file cannot hold"):
        lc.save(model_path, WithList(2, 3, {1}), PARAMS)
    with pytest.raises(ValueError, match="sizes is a function of your own"):
        lc.save(model_path, WithList(2, 3, print), PARAMS)
    with pytest.raises(TypeError, match="or a dataclass with layers and apply, got dict"):
        lc.save(model_path, {}, PARAMS)


def test_study_compiles_it_once():
    traced = 0

    @dataclass(frozen=True)
    class Counting(Gated):
        def apply(self, params, x, **options):
            nonlocal traced
            traced += 1
            return super().apply(params, x, **options)

    for _ in range(3):
        run = study.run(Counting(2, 3), PARAMS, X)
    assert traced == 1
    assert run["reader", "forget"].shape == (4, 5, 3)
    study.run(Counting(2, 3), PARAMS, X[:, :3])
    assert traced == 2


def test_streams():
    stream = lc.stream(MODEL, PARAMS, batch=4)
    first, stream = stream.step(X[:, :2])
    last, _ = stream.step(X[:, 2:])
    whole, _ = MODEL.apply(PARAMS, X)
    np.testing.assert_allclose(np.concatenate([first, last], axis=1), whole, atol=1e-6)


def test_fit_and_sweeps():
    def loss(params, batch):
        return jnp.mean((MODEL.apply(params, batch)[0] - batch[..., :1]) ** 2)

    options = {"optimizer": optax.adam(0.05), "epochs": 15, "batch_size": 4}
    result = lc.fit(loss, PARAMS, X, **options)
    assert result.history["loss"][-1] < result.history["loss"][0]
    swept = study.ablation_sweep(
        MODEL.apply, PARAMS, X, metric=lambda y: jnp.mean(y**2), over=("layer", "gate")
    )
    assert swept.metric["reader"].shape == (4,)
    assert np.ptp(swept.metric["reader"]) > 0


# Mistakes in a class of one's own that would otherwise show nothing.


@dataclass(frozen=True)
class Backward(Gated):
    """Reads in reverse and does not say so."""

    def apply(self, params, x, *, states=None):
        _, trace = lc.lstm(params["reader"], x, (states or {}).get("reader"), reverse=True)
        return lc.dense(params["head"], trace.h), {"reader": trace}


@dataclass(frozen=True)
class Causal(Gated):
    """The least that can be streamed."""

    def apply(self, params, x, *, states=None):
        _, trace = lc.lstm(params["reader"], x, (states or {}).get("reader"))
        return lc.dense(params["head"], trace.h), {"reader": trace}


@dataclass(frozen=True)
class Tagger:
    """Masks padding, token 0, by itself; with `masks` it would say so."""

    @property
    def layers(self):
        return {
            "tokens": lc.Layer(lc.EmbeddingParams, 5, 2),
            "reader": lc.Layer(lc.LSTMParams, 2, 3),
            "head": lc.Layer(lc.DenseParams, 3, 2),
        }

    def init(self, key):
        return lc.init_layers(key, self.layers)

    def apply(self, params, x, *, mask=None):
        vectors, known = lc.embedding(params["tokens"], x, padding=0)
        mask = known if mask is None else known & mask
        _, trace = lc.lstm(params["reader"], vectors, mask=mask)
        return lc.dense(params["head"], trace.h), {"reader": trace}


class SaysSo(Tagger):
    def masks(self, x, mask=None):
        return {"reader": (x != 0) if mask is None else (x != 0) & mask}


def test_a_stream_compares_whether_a_model_reads_later_steps():
    with pytest.raises(TypeError, match="Backward cannot be streamed: its output at a step depend"):
        lc.stream(Backward(2, 3), PARAMS)
    stream = lc.stream(Causal(2, 3), PARAMS, batch=4)
    outputs, _ = stream.step(X)
    np.testing.assert_allclose(outputs, MODEL.apply(PARAMS, X)[0], rtol=1e-5, atol=1e-6)
    with pytest.raises(TypeError, match=r"Causal.apply takes no mask: leave mask out"):
        stream.step(X, jnp.ones((4, 5), bool))


def test_an_edit_that_apply_does_not_use_is_an_error():
    class Deaf(Gated):
        def apply(self, params, x, *, edits=None):
            _, trace = lc.lstm(params["reader"], x)
            return trace.h, {"reader": trace}

    message = "Deaf.apply takes edits but does not use the one of 'reader': pass edit="
    with pytest.raises(ValueError, match=message):
        study.run(Deaf(2, 3), PARAMS, X, edits={"reader": study.clamp("forget", 1.0)})


def test_training_warns_of_padding_that_counts_in_the_loss():
    tokens = np.array([[1, 2, 3], [4, 1, 0], [2, 0, 0], [3, 3, 1]])
    options = {"epochs": 1, "validation": 0}
    message = r"'reader' was masked by the model itself at 3 of 12 steps, .* Tagger a method masks"
    with pytest.warns(UserWarning, match=message):
        unmasked = lc.train(Tagger(), tokens, tokens % 2, **options)
    # Without a warning, which would be an error:
    said = lc.train(SaysSo(), tokens, tokens % 2, **options)
    given = lc.train(Tagger(), tokens, tokens % 2, mask=tokens != 0, **options)
    assert said.metrics["loss"] == pytest.approx(given.metrics["loss"])
    assert said.metrics["loss"] != pytest.approx(unmasked.metrics["loss"])


@pytest.mark.parametrize("use", [lambda m: lc.summary(m), lambda m: lc.export(m, {}, "x")])
def test_a_class_without_layers(use):
    class Bare:
        def apply(self, params, x):
            return x, {}

    with pytest.raises(TypeError, match="one of lstmcore's, or have layers and apply, got Bare"):
        use(Bare())


def test_edits_that_are_no_function_are_refused_and_none_changes_nothing():
    model = study.SingleLayer()
    run = study.run(model, PARAMS["reader"], X, edits={"lstm": None})
    np.testing.assert_array_equal(run.outputs, study.run(model, PARAMS["reader"], X).outputs)
    with pytest.raises(TypeError, match=r"edit must be a function \(gates, t\) -> gates, got int"):
        study.run(model, PARAMS["reader"], X, edits={"lstm": 3})
