"""The protocols of the library: models, decoders and losses take the same arguments, in one order.

What is asserted here is what lets a reader of one model read every other, and `lc.summary`,
`lc.save`, `lc.stream` and `lc.fit` work with all of them.
"""

import dataclasses
import functools
import inspect

import jax
import jax.numpy as jnp
import pytest

import lstmcore as lc
from lstmcore.io.model_file import is_model
from lstmcore.specs import Layer

KEY = jax.random.key(0)
X = jnp.ones((3, 5, 2))
TOKENS = jnp.array([[4, 5, 2], [5, 2, 0], [4, 2, 0]])

# One of each model, and positional inputs for its `apply`.
CALLS = {
    lc.Autoencoder(2, (4, 3)): (X,),
    lc.CompositeAutoencoder(2, (4, 3), steps=2): (X,),
    lc.DenseAutoencoder(2, (4, 3)): (X[:, 0],),
    lc.StackedLSTM(2, (4, 3), outputs=1): (X,),
    lc.Forecaster(2, (4, 3), horizon=2, targets=1, future_covariates=1): (X, jnp.ones((3, 2, 1))),
    lc.Seq2Seq(6, 6, 4, embedding=3, attention="dot"): (TOKENS, TOKENS),
    lc.Chain([lc.chain.LSTM(4), lc.chain.LSTM(3), lc.chain.Dense(1)], 2): (X,),
}
KINDS = [type(model) for model in CALLS]
models = pytest.mark.parametrize("model", CALLS, ids=[kind.__name__ for kind in KINDS])
kinds = pytest.mark.parametrize("kind", KINDS, ids=[kind.__name__ for kind in KINDS])

# The keyword arguments of `apply` and `encode`, in the order in which each model takes some.
OPTIONS = [
    *("mask", "source_mask", "target_mask", "edits", "calendar", "static", "series"),
    *("target", "states", "key", "sampling", "ops"),
]

DECODERS = [lc.greedy, lc.sample, lc.beam_search, lc.rollout]
decoders = pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.__name__)


def arguments(function, kind) -> list[str]:
    """The names of the positional or of the keyword-only arguments, in order, without self."""
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind is kind and p.name != "self"]


def positional(function) -> list[str]:
    return arguments(function, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def keyword_only(function) -> list[str]:
    return arguments(function, inspect.Parameter.KEYWORD_ONLY)


def in_order(names: list[str], order: list[str]) -> bool:
    return names == [name for name in order if name in names]


def test_every_model_is_here():
    assert set(KINDS) == {value for value in map(lc.__getattr__, lc.__all__) if is_model(value)}


@kinds
def test_a_model_is_a_frozen_dataclass_with_a_size_in_and_the_units(kind):
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen
    fields = [field.name for field in dataclasses.fields(kind)]
    assert fields[0] in ("features", "source", "parts")
    assert "units" in fields[:3] or kind is lc.Chain
    activations = [name for name in fields if name.endswith("activation")]
    order = ["activation", "recurrent_activation", "output_activation"]
    assert activations in (order, order[:1], [])


@kinds
def test_init_takes_key_and_dtype(kind):
    signature = inspect.signature(kind.init)
    assert positional(kind.init) == ["key", "dtype"]
    assert signature.parameters["dtype"].default == "float32"
    assert not keyword_only(kind.init)


@kinds
def test_apply_takes_params_then_inputs_then_options_in_one_order(kind):
    first, *inputs = positional(kind.apply)
    assert first == "params"
    assert tuple(inputs) in [("x",), ("x", "future"), ("source", "target")]
    options = keyword_only(kind.apply)
    assert in_order(options, OPTIONS)
    if kind is not lc.DenseAutoencoder:  # without time and gates
        assert options.index("edits") == (2 if "source_mask" in options else 1)
    defaults = [inspect.signature(kind.apply).parameters[name].default for name in options]
    assert all(default in (None, (None, None)) for default in defaults[:-1])
    assert (options[-1], defaults[-1]) == ("ops", lc.ops)


@pytest.mark.parametrize(
    "kind",
    [kind for kind in KINDS if hasattr(kind, "encode")],
    ids=lambda kind: kind.__name__,
)
def test_encode_takes_what_apply_takes_of_the_first_input(kind):
    names = positional(kind.encode)
    assert names == positional(kind.apply)[:2]
    options = keyword_only(kind.encode)
    assert in_order(options, ["mask", "edits", "key", "ops"])
    assert {"edits", "key"} & set(options) <= set(keyword_only(kind.apply))


def test_a_step_takes_params_input_and_state_as_the_decoders_call_it():
    assert positional(lc.Seq2Seq.step) == ["params", "token", "state"]
    assert keyword_only(lc.Seq2Seq.step) == ["edits", "ops"]


def test_a_loss_takes_params_batch_and_key_as_fit_calls_it():
    assert positional(lc.Forecaster.loss) == ["params", "batch", "key"]
    assert inspect.signature(lc.Forecaster.loss).parameters["key"].default is None


def traced(check):
    """Return the test run within a trace: arrays have no values and nothing is compiled."""

    @functools.wraps(check)
    def test(model):
        jax.eval_shape(lambda: check(model))

    return test


@models
@traced
def test_layers_describe_the_params_in_reading_order(model):
    layers = model.layers
    params = model.init(KEY)
    assert all(isinstance(layer, Layer) for layer in layers.values())
    assert list(params) == list(layers)
    assert [type(layer) for layer in params.values()] == [layer.kind for layer in layers.values()]


@models
def test_a_model_that_is_called_says_what_to_write(model):
    with pytest.raises(TypeError, match=r"is not called: write params = model\.init\(key\), then"):
        model(X)


@models
def test_init_draws_in_the_given_dtype(model):
    leaves = jax.tree.leaves(jax.eval_shape(lambda: model.init(KEY, jnp.bfloat16)))
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype(jnp.bfloat16)}


@models
@traced
def test_apply_returns_outputs_and_what_to_look_at_by_layer(model):
    params = model.init(KEY)
    result = model.apply(params, *CALLS[model])
    assert type(result) is tuple
    _, traces = result
    assert type(traces) is dict
    recurrent = [
        name for name, layer in model.layers.items() if layer.kind is lc.LSTMParams
    ] or list(model.layers)
    assert [name for name in traces if name != "attention"] == recurrent
    for name in traces:
        kind = jax.Array if isinstance(model, lc.DenseAutoencoder) else lc.Trace
        assert name == "attention" or isinstance(traces[name], kind)


@pytest.mark.parametrize(
    "model", [model for model in CALLS if hasattr(model, "encode")], ids=lambda m: type(m).__name__
)
@traced
def test_encode_returns_a_code_and_the_first_traces_of_apply(model):
    params = model.init(KEY)
    result = model.encode(params, CALLS[model][0])
    assert type(result) is tuple
    _, traces = model.apply(params, *CALLS[model])
    assert list(result[1]) == list(traces)[: len(result[1])]
    assert all(name.startswith("encoder") for name in result[1])


@decoders
def test_decoders_take_step_params_and_state(decoder):
    names = positional(decoder)
    assert names in (
        ["step", "params", "state"],
        ["key", "step", "params", "state"],  # what draws at random takes its key first, as JAX does
        ["step", "params", "state", "first"],  # numbers have no start token
    )
    assert (names[0] == "key") == (decoder is lc.sample)
    assert ("first" in names) == (decoder is lc.rollout)


@pytest.mark.parametrize(
    "decoder", [lc.greedy, lc.sample, lc.beam_search], ids=lambda decoder: decoder.__name__
)
def test_decoders_of_tokens_take_a_length_and_the_ids_around_it(decoder):
    names = keyword_only(decoder)
    assert (names[0], names[-2:]) == ("max_length", ["start", "end"])
    parameters = inspect.signature(decoder).parameters
    assert parameters["max_length"].default is inspect.Parameter.empty
    assert (parameters["start"].default, parameters["end"].default) == (lc.START, lc.END)


def test_the_cell_a_layer_and_two_directions_take_the_same_options():
    step, layer, both = map(keyword_only, (lc.lstm_step, lc.lstm, lc.bidirectional))
    assert in_order([name for name in step if name in layer], layer)
    assert set(step) - set(layer) == {"t"}
    assert positional(lc.lstm) == ["params", "x", "state"]
    assert positional(lc.lstm_step) == ["params", "x_t", "state"]
    assert positional(lc.bidirectional)[:3] == ["forward_params", "backward_params", "x"]
    assert in_order([name for name in both if name in layer], layer)


def test_what_draws_at_random_takes_its_key_first():
    drawn = [lc.init_lstm, lc.init_dense, lc.init_embedding, lc.init_attention, lc.sample]
    drawn += [lc.dropout, lc.dropout_mask, lc.zoneout, lc.corrupt]
    assert {positional(function)[0] for function in drawn} == {"key"}
