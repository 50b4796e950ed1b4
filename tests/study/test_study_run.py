"""A run: its contents, its indices, and when it is compiled."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from keras_parity import built, call, fresh_weights
from strategies import random_params, weights

import lstmcore as lc
from lstmcore import study

B, T, F = 3, 5, 2
X = np.random.default_rng(1).normal(size=(B, T, F)).astype(np.float32)
MASK = np.array([[1, 1, 1, 0, 0], [0, 1, 0, 1, 1], [0, 0, 0, 0, 0]], bool)
MODELS = {
    "autoencoder": lc.Autoencoder(F, (4, 3)),
    "as many steps": lc.Autoencoder(F, 3, steps=T),
    "fewer steps": lc.Autoencoder(F, 3, "softsign", steps=2),
    "composite": lc.CompositeAutoencoder(F, 3, steps=2),
    "composite, as many steps": lc.CompositeAutoencoder(F, 3, steps=T),
    "stack": lc.StackedLSTM(F, (4, 3), outputs=1),
}
MASKED = {  # layers that run under the model's mask
    "autoencoder": ["encoder_0", "encoder_1", "decoder_0", "decoder_1"],
    "as many steps": ["encoder_0"],
    "fewer steps": ["encoder_0"],
    "composite": ["encoder_0", "reconstruction_0"],
    "composite, as many steps": ["encoder_0", "reconstruction_0"],
    "stack": ["lstm_0", "lstm_1"],
}
STACK, STACK_WEIGHTS = MODELS["stack"], weights(MODELS["stack"])


def close(ours, theirs, tolerance=1e-6):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), ours, theirs
    )


@pytest.fixture
def calls(monkeypatch):
    """How often `StackedLSTM.apply` was run by Python, which is once for each compilation."""
    seen, apply = [], lc.StackedLSTM.apply

    def counted(self, *arguments, **options):
        seen.append(self)
        return apply(self, *arguments, **options)

    monkeypatch.setattr(lc.StackedLSTM, "apply", counted)
    return seen


QUICK = ("autoencoder", "fewer steps")


@pytest.mark.parametrize(
    "name",
    [*QUICK, *(pytest.param(n, marks=pytest.mark.thorough) for n in MODELS if n not in QUICK)],
)
def test_it_keeps_what_apply_returns_and_the_masks(name):
    model = MODELS[name]
    params = weights(model)
    run = study.run(model, params, X, MASK)
    close((run.outputs, run.traces), jax.jit(model.apply)(params, X, mask=MASK))
    assert run.layers == tuple(run.traces) == tuple(run.masks)
    assert run.layers == tuple(layer for layer in model.layers if "head" not in layer)
    np.testing.assert_array_equal(run.inputs, X)
    np.testing.assert_array_equal(run.mask, MASK)
    for layer, trace in run.traces.items():
        real = run.masks[layer]
        if real is None:
            assert trace.h.shape[1] != T
        else:
            np.testing.assert_array_equal(real, MASK | (layer not in MASKED[name]))
    unmasked = study.run(model, params, X)
    assert unmasked.mask is None
    assert set(unmasked.masks.values()) == {None}


def test_a_single_layer_runs_weights_of_keras():
    layer = built(keras.layers.LSTM(4, return_sequences=True, go_backwards=True), (None, T, F))
    params = lc.LSTMParams(*fresh_weights(layer))
    run = study.run(study.SingleLayer(reverse=True), params, X)
    close(run.outputs[:, ::-1], call(layer, params, X), 1e-5)
    assert run.layers == ("lstm",)
    close(run["lstm", "h"], run.outputs)
    _, trace = lc.lstm(params, X, mask=MASK, activation="relu", output_activation="tanh")
    model = study.SingleLayer("relu", "sigmoid", "tanh")
    close(study.run(model, params, X, MASK)["lstm"], trace)
    with pytest.raises(ValueError, match="no layer 'lstm_0': use one of lstm"):
        study.run(model, params, X, edits={"lstm_0": study.coupled})


def test_a_single_layer_hands_its_activation_on_as_it_is(rng):
    class Counted:
        calls = 0

        def __call__(self, z):
            self.calls += 1
            return jnp.tanh(z)

    activation = Counted()
    study.run(study.SingleLayer(activation), random_params(rng, F, 3), X)
    assert activation.calls > 0


def test_compiled_once_for_each_model_and_shape(calls):
    model = lc.StackedLSTM(F, (2, 5), outputs=1)
    params = weights(model)
    for _ in range(3):
        study.run(model, params, X)
        study.run(lc.StackedLSTM(F, (2, 5), 1), jax.tree.map(lambda a: a + 1, params), -X)
    assert len(calls) == 1
    study.run(model, params, X[:, :4])
    study.run(model, params, X, MASK)
    assert len(calls) == 3
    study.run(model, params, X, ~MASK)
    study.run(model, params, X, edits={})
    assert len(calls) == 3


def test_functions_of_your_own_are_not_cached():
    factor = 1.0
    model = lc.StackedLSTM(F, 3, outputs=1, activation=lambda z: factor * jnp.tanh(z))
    edits = {"lstm_0": lambda gates, t: gates._replace(forget=factor)}
    params = weights(model)
    first = study.run(model, params, X)
    first_edited = study.run(STACK, STACK_WEIGHTS, X, edits=edits)
    factor = 0.5
    close(
        study.run(model, params, X)["lstm_0", "candidate", :, 0],
        first["lstm_0", "candidate", :, 0] / 2,
    )
    assert (first_edited["lstm_0", "forget"] == 1).all()
    assert (study.run(STACK, STACK_WEIGHTS, X, edits=edits)["lstm_0", "forget"] == 0.5).all()


def test_indexing_is_that_of_numpy():
    run = study.run(STACK, STACK_WEIGHTS, X, MASK)
    arrays = {"forget": run["lstm_0"].gates.forget, "h": run["lstm_0"].h, "c": run["lstm_0"].c}
    for name, array in arrays.items():
        array = np.asarray(array)
        np.testing.assert_array_equal(run["lstm_0", name], array)
        np.testing.assert_array_equal(run["lstm_0", name, 1], array[1])
        np.testing.assert_array_equal(run["lstm_0", name, -1, :, 2], array[-1, :, 2])
        np.testing.assert_array_equal(run["lstm_0", name, :, 1:3, [0, -1]], array[:, 1:3, [0, -1]])
        np.testing.assert_array_equal(run["lstm_0", name, [2, 0], np.int64(4)], array[[2, 0], 4])


@pytest.mark.parametrize(
    ("chosen", "rows"),
    [(2, [2]), ([2, 0], [2, 0]), (slice(1, 3), [1, 2]), (-1, [2]), (None, [0, 1, 2])],
)
def test_examples_are_a_run_of_fewer(chosen, rows):
    run = study.run(MODELS["composite"], weights(MODELS["composite"]), X, MASK)
    some = run.examples(chosen)
    assert isinstance(some, study.Run)
    assert some.layers == run.layers
    for leaf, whole in zip(jax.tree.leaves(some), jax.tree.leaves(run), strict=True):
        np.testing.assert_array_equal(leaf, np.asarray(whole)[rows])


def test_measure_is_the_statistic_of_every_layer():
    run = study.run(MODELS["as many steps"], weights(MODELS["as many steps"]), X, MASK)
    measured = run.measure(study.saturation, low=0.3)
    assert list(measured) == ["encoder_0", "decoder_0"]
    close(measured["encoder_0"], study.saturation(run["encoder_0"], MASK, low=0.3))
    close(measured["decoder_0"], study.saturation(run["decoder_0"], low=0.3))


def test_examples_keep_a_number_of_the_whole_batch():
    run = study.run(STACK, STACK_WEIGHTS, X)
    some = replace(run, outputs={"y": run.outputs, "loss": jnp.float32(0.5)}).examples(1)
    assert some.outputs["y"].shape == (1, T, 1)
    assert float(some.outputs["loss"]) == 0.5


def test_measure_hands_options_on_by_name():
    run = study.run(STACK, STACK_WEIGHTS, X, MASK)
    measured = run.measure(study.correlation, signal=X[:, :, 0])
    close(measured["lstm_1"], study.correlation(run["lstm_1"], X[:, :, 0], MASK))


def test_a_model_may_read_tokens():
    class Reader:
        def apply(self, params, tokens, *, mask=None, edits=None):
            x = jnp.take(params["embedding"], tokens, axis=0)
            edit = (edits or {}).get("lstm")
            _, trace = lc.lstm(params["lstm"], x, mask=mask, edit=edit)
            return trace.h, {"lstm": trace}

    params = {"embedding": X[0], "lstm": STACK_WEIGHTS["lstm_0"]}
    run = study.run(Reader(), params, np.array([[0, 1, 4], [2, 2, 3]]))
    assert repr(run).startswith("Run of 2 examples, 3 steps\n")
    assert run.examples(1)["lstm", "h"].shape == (1, 3, 4)


def test_a_run_is_a_pytree_inside_and_outside_of_jit():
    model = lc.StackedLSTM(F, (2,) * 12, outputs=1)  # lstm_10 would be sorted before lstm_2
    params = weights(model)

    @jax.jit
    def doubled(params):
        run = study.run(
            model, params, X, MASK, {"lstm_11": study.clamp("forget", params["head"].bias[0])}
        )
        assert "being traced" in repr(run)
        return jax.tree.map(lambda leaf: leaf, run), run["lstm_11", "forget"].sum()

    run, total = doubled(params)
    assert run.layers == tuple(run.traces) == tuple(f"lstm_{n}" for n in range(12))
    close(total, MASK.sum() * 2 * params["head"].bias[0])
    leaves, structure = jax.tree.flatten(run)
    assert jax.tree.unflatten(structure, leaves).layers == run.layers


def run_with(edit=None, **changed):
    arguments = {"model": STACK, "params": STACK_WEIGHTS, "x": X} | changed
    return study.run(**arguments, edits=edit and {"lstm_0": edit})


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda run: run["lstm_9"], ValueError, "no layer 'lstm_9': use one of lstm_0, lstm_1"),
        (lambda run: run["lstm_0", "cell"], ValueError, "no 'cell': use one of input, .*, h, c"),
        (
            lambda run: run["lstm_0", "h", 3],
            ValueError,
            "there is no example 3: examples are 0 to 2",
        ),
        (lambda run: run["lstm_0", "h", 0, 5], ValueError, "there is no step 5"),
        (lambda run: run["lstm_0", "h", 0, 0, -5], ValueError, "there is no unit -5: units are 0"),
        (lambda run: run["lstm_0", "h", 0, 0, 0, 0], ValueError, "4 indices for the 3 axes"),
        (lambda run: run["lstm_0", "h", None], TypeError, "example must be whole numbers"),
        (lambda run: run["lstm_0", "h", ...], TypeError, "example must be whole numbers"),
        (lambda run: run.examples(3), ValueError, "there is no example 3: examples are 0 to 2"),
        (lambda run: run.examples([]), ValueError, "examples is empty"),
        (lambda run: run.examples("0"), TypeError, "whole numbers or a slice, got '0'"),
        (lambda _: run_with(model=lc.StackedLSTM), TypeError, "must be a model .* got type"),
        (lambda _: run_with(model=STACK_WEIGHTS), TypeError, "got dict: .* study.SingleLayer"),
        (lambda _: run_with(x=X[..., :1]), ValueError, "x has 1 feature but"),
        (lambda _: run_with(mask=MASK[:2]), ValueError, r"mask has shape \(2, 5\)"),
        (lambda _: run_with(study.clamp("input", 0, units=4)), ValueError, "there is no unit 4"),
        (
            lambda _: run_with(lambda g, t: g._replace(input=g.input[0])),
            ValueError,
            r"shape \(4,\)",
        ),
        (
            lambda _: study.run(STACK, STACK_WEIGHTS, X, edits={"lstm_2": study.coupled}),
            ValueError,
            "edits names 'lstm_2' but the LSTM layers are lstm_0, lstm_1",
        ),
    ],
)
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call(study.run(STACK, STACK_WEIGHTS, X))


def test_nan_is_told_of_where_the_edit_made_it():
    """Not of the gates after it, nor of the layer above, which see NaN on account of it."""

    def broken(gates, t):
        return gates._replace(output=gates.output / jnp.where(t == 3, 0, 1) * 0)

    text = r"the output gate of layer 'lstm_0' is NaN, first at step 3 \(example 0, unit 0\)"
    with pytest.raises(ValueError, match=text):
        study.run(STACK, STACK_WEIGHTS, X, edits={"lstm_1": study.coupled, "lstm_0": broken})
