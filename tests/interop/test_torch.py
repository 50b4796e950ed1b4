"""Weights under the names of PyTorch, which need not be installed here: see `peers` for its own."""

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

import lstmcore as lc
from lstmcore.interop import from_torch, to_torch


def random_stack(rng, layers, bidirectional, features, units, projection, dtype=np.float64):
    """Return {name: LSTMParams} of a stack that an nn.LSTM could have."""
    params = {}
    for k in range(layers):
        for direction in ("_forward", "_backward") if bidirectional else ("",):
            params[f"lstm_{k}{direction}"] = strategies.random_params(
                rng, features, units, dtype, projection=projection
            )
        features = (projection or units) * (2 if bidirectional else 1)
    return params


@pytest.fixture
def weights(rng):
    """The state dict of an nn.LSTM of two layers in both directions."""
    return to_torch(random_stack(rng, 2, True, 3, 4, None), "encoder")


@given(
    seed=strategies.seeds,
    layers=st.integers(1, 12),
    bidirectional=st.booleans(),
    features=st.integers(1, 4),
    units=st.integers(2, 4),
    projection=st.sampled_from([None, 1]),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    prefix=st.sampled_from(["", "encoder", "model.encoder."]),
)
def test_there_and_back_is_exact(
    seed, layers, bidirectional, features, units, projection, dtype, prefix
):
    params = random_stack(
        np.random.default_rng(seed), layers, bidirectional, features, units, projection, dtype
    )
    shuffled = {name: params[name] for name in sorted(params)}  # as JAX sorts a dict
    state_dict = to_torch(shuffled, prefix)
    again = from_torch(state_dict, prefix)
    assert list(again) == list(params)
    for name, layer in params.items():
        for field, array in layer._asdict().items():
            np.testing.assert_array_equal(getattr(again[name], field), array, strict=True)
    for name, array in state_dict.items():
        assert array.flags.c_contiguous, name
        assert array.flags.writeable, name


def test_the_two_biases_are_added(weights):
    weights["encoder.bias_hh_l1_reverse"] += 1
    expected = weights["encoder.bias_ih_l1_reverse"] + 1
    assert (from_torch(weights, "encoder")["lstm_1_backward"].bias == expected).all()


def test_without_biases_they_are_zeros(weights):
    weights = {name: array for name, array in weights.items() if "bias" not in name}
    assert not from_torch(weights, "encoder")["lstm_0_forward"].bias.any()


def test_a_cell_has_names_without_a_number(rng):
    params = random_stack(rng, 1, False, 3, 4, None)
    state_dict = to_torch(params, "cell", cell=True)
    assert list(state_dict) == [
        "cell.weight_ih", "cell.weight_hh", "cell.bias_ih", "cell.bias_hh"
    ]  # fmt: skip
    assert (from_torch(state_dict, "cell")["lstm_0"].kernel == params["lstm_0"].kernel).all()


def test_arrays_share_no_memory_with_the_tensors(weights):
    params = from_torch(weights, "encoder")
    assert not any(np.shares_memory(params["lstm_0_forward"].kernel, a) for a in weights.values())


def without(name, weights):
    return {other: array for other, array in weights.items() if other != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: without("encoder.weight_hh_l1", w), r"^encoder\.weight_hh_l1 is missing"),
        (lambda w: without("encoder.bias_hh_l0_reverse", w), r"bias_hh_l0_reverse is missing bes"),
        (
            lambda w: {n: a for n, a in w.items() if "_l1_reverse" not in n},
            r"^encoder\.weight_ih_l1_reverse is missing",
        ),
        (
            lambda w: {n: a for n, a in w.items() if "_l0" not in n},
            r"^encoder\.weight_ih_l0 is missing",
        ),
        (
            lambda w: {n: a for n, a in w.items() if "bias" not in n or "_l1" not in n},
            r"^encoder\.bias_hh_l1 is missing, but there is encoder\.bias_hh_l0: all layers",
        ),
        (
            lambda w: w | {"encoder.weight_ih_l0": np.ones((16, 3, 1))},
            r"^encoder\.weight_ih_l0 must have two axes, got shape \(16, 3, 1\)",
        ),
        (
            lambda w: w | {"encoder.weight_ih_l1": np.ones((16, 5))},
            r"^encoder\.weight_ih_l1 is of 5 features and 4 units, but encoder\.weight_ih_l0 of 3 ",
        ),
        (
            lambda w: w | {"encoder.bias_ih_l0": np.ones(4)},
            r"^encoder\.bias_ih_l0 has shape \(4,\) but encoder\.weight_ih_l0 needs \(16,\)",
        ),
        (
            lambda w: w | {"encoder.weight_hr_l0": np.ones((4, 2))},
            r"^encoder\.weight_hr_l0 has shape \(4, 2\) but encoder\.weight_hh_l0 \(16, 4\) needs ",
        ),
        (
            lambda w: w | {"encoder.weight_ih_l0": np.ones((12, 3))},
            r"^encoder\.weight_ih_l0 \(12, 3\) and encoder\.weight_hh_l0 \(16, 4\) do not fit: ",
        ),
        (
            lambda w: w | {"encoder.peephole": np.ones(4)},
            r"^encoder\.peephole is not a weight of an nn\.LSTM, which has encoder\.weight_ih_l0",
        ),
        (
            lambda w: w | {"encoder.weight_ih_l01": np.ones((16, 3))},
            r"^encoder\.weight_ih_l01 is not a weight of an nn\.LSTM",
        ),
        (
            lambda w: w | {"encoder.weight_ih_l9999": np.ones((16, 3))},
            r"^encoder\.weight_ih_l2 is missing",
        ),
        (
            lambda w: w | {"encoder.weight_ih": np.ones((16, 3))},
            r"^encoder\.weight_ih is of an nn\.LSTMCell and encoder\.weight_ih_l0 of an nn\.LSTM",
        ),
        (
            lambda w: {n: a.astype(int) for n, a in w.items()},
            r"must be floating point, got int64",
        ),
        (
            lambda w: {n: a.astype(np.float32 if "_l1" in n else float) for n, a in w.items()},
            r"^encoder\.weight_ih_l1 is float32, but encoder\.weight_ih_l0 float64: all layers of",
        ),
    ],
)
def test_weights_that_do_not_fit(weights, change, message):
    with pytest.raises(ValueError, match=message):
        from_torch(change(weights), "encoder")


@pytest.mark.parametrize(("gates", "kind"), [(3, r"nn\.GRU"), (1, r"nn\.RNN")])
def test_other_recurrent_layers_are_refused(gates, kind):
    weights = {"weight_ih_l0": np.ones((gates * 4, 3)), "weight_hh_l0": np.ones((gates * 4, 4))}
    with pytest.raises(ValueError, match=rf"^weight_ih_l0 .* are of an {kind}, not an LSTM"):
        from_torch(weights)


def test_a_wrong_prefix(weights):
    with pytest.raises(ValueError, match="under the prefix 'decoder': there is one under 'encod"):
        from_torch(weights, "decoder")
    with pytest.raises(ValueError, match=r"under the prefix '': there .* write prefix='encoder'$"):
        from_torch(weights)
    with pytest.raises(ValueError, match=r"called weight_ih_l0, \.\.\., but there is fc\.weight$"):
        from_torch({"fc.weight": np.ones((2, 2))})
    with pytest.raises(ValueError, match=r"but there is nothing$"):
        from_torch({})


def test_what_is_no_state_dict():
    with pytest.raises(TypeError, match=r"got list: write from_torch\(module.state_dict\(\)\)"):
        from_torch([1, 2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: {"a_1": p["lstm_0"]}, "named a_1: expected one name with numbers from 0"),
        (lambda p: {"lstm": p["lstm_0"]}, "named lstm: expected one name"),
        (lambda p: p | {"gru_0": p["lstm_0"]}, "named lstm_0, lstm_1 and gru_0: expected"),
        (lambda p: p | {"lstm_1_backward": p["lstm_1"]}, "lstm_1_backward: expected"),
        (
            lambda p: p | {"lstm_1": p["lstm_1"]._replace(peephole=np.ones((3, 4)))},
            r"^params\['lstm_1'\]\.peephole has no place in an nn\.LSTM",
        ),
        (
            lambda p: p | {"lstm_1": p["lstm_0"]},
            r"^params\['lstm_1'\]\.kernel is of 3 features and 4 units, but params\['lstm_0'\]\.ke",
        ),
        (
            lambda p: p | {"lstm_1": strategies.random_params(np.random.default_rng(0), 4, 2)},
            r"^params\['lstm_1'\]\.recurrent_kernel is of 4 features and 2 units, but .* of 3 feat",
        ),
        (
            lambda p: p | {"lstm_1": p["lstm_1"]._replace(projection=np.ones((4, 4)))},
            r"^params\['lstm_1'\]\.projection and params\['lstm_0'\]\.projection must both be",
        ),
    ],
)
def test_layers_that_pytorch_cannot_have(rng, change, message):
    with pytest.raises(ValueError, match=message):
        to_torch(change(random_stack(rng, 2, False, 3, 4, None)))


def test_a_cell_is_one_layer(rng):
    with pytest.raises(ValueError, match=r"one layer, one direction .* got lstm_0 and lstm_1"):
        to_torch(random_stack(rng, 2, False, 3, 4, None), cell=True)


def test_params_of_another_kind(rng):
    with pytest.raises(TypeError, match=r'got LSTMParams: write \{"lstm_0": params\}'):
        to_torch(strategies.random_params(rng, 3, 4))
    with pytest.raises(
        TypeError, match=r"params\['lstm_0'\] must be LSTMParams, got DenseParams: pass only the L"
    ):
        to_torch({"lstm_0": lc.DenseParams(np.ones((2, 2)), np.ones(2))})
