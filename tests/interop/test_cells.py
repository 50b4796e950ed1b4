"""Weights of the cells of JAX's libraries, which need not be installed here: see `peers`."""

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

import lstmcore as lc
from lstmcore.interop import (
    from_equinox,
    from_flax,
    from_haiku,
    from_jax_rnn,
    to_equinox,
    to_flax,
    to_haiku,
    to_jax_rnn,
    to_torch,
)

LAYOUTS = ["linen", "nnx", "nnx_optimized"]
WRITTEN = [lambda params, layout=layout: to_flax(params, layout) for layout in LAYOUTS]
BACK = {
    **{
        f"flax {layout}": (write, from_flax) for layout, write in zip(LAYOUTS, WRITTEN, strict=True)
    },
    "equinox": (to_equinox, from_equinox),
    "haiku": (to_haiku, from_haiku),
}


@pytest.mark.parametrize("name", BACK)
@given(
    seed=strategies.seeds,
    features=st.integers(1, 4),
    units=st.integers(1, 4),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
)
def test_there_and_back_is_exact(name, seed, features, units, dtype):
    rng = np.random.default_rng(seed)
    params = strategies.random_params(rng, features, units, dtype)
    params.bias[units : 2 * units] = 1  # see the next test
    write, read = BACK[name]
    weights = write(params)
    again = read(weights)
    for field in ("kernel", "recurrent_kernel", "bias"):
        array = getattr(again, field)
        np.testing.assert_array_equal(array, getattr(params, field), strict=True)
        assert not any(np.shares_memory(array, leaf) for leaf in leaves(weights))
    assert not any(np.shares_memory(a, leaf) for a in params[:3] for leaf in leaves(weights))


def leaves(tree):
    return [leaf for t in tree.values() for leaf in leaves(t)] if isinstance(tree, dict) else [tree]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("low", "high"), [(0.5, 1e5), (-0.5, 0.5), (-10, 10)])
def test_what_haiku_adds_to_the_forget_gate(rng, dtype, low, high):
    """From 0.5 on to the bit; below, the sum with 1 has no room for all digits."""
    params = strategies.random_params(rng, 3, 200, dtype)
    bias = rng.uniform(low, high, 200).astype(dtype)
    params.bias[200:400] = bias
    written = to_haiku(params)
    np.testing.assert_array_equal(written["lstm/linear"]["b"][400:600], bias - dtype(1))
    again = from_haiku(written).bias[200:400]
    if low == 0.5:
        np.testing.assert_array_equal(again, bias)
    else:
        assert (again != bias).any()
        assert (abs(again - bias) <= np.spacing(1 + abs(bias)) / 2).all()


def test_the_orders_of_gates():
    """Weights that say which gate they are of: i, f, g, o are 1, 2, 3, 4."""
    gates = np.repeat([1.0, 2.0, 3.0, 4.0], 2)
    params = lc.LSTMParams(np.tile(gates, (3, 1)), np.tile(gates, (2, 1)), gates)
    assert to_equinox(params)["bias"].tolist() == [1, 1, 2, 2, 3, 3, 4, 4]
    assert to_equinox(params)["weight_ih"][:, 0].tolist() == [1, 1, 2, 2, 3, 3, 4, 4]
    assert to_haiku(params)["lstm/linear"]["b"].tolist() == [1, 1, 3, 3, 1, 1, 4, 4]
    assert to_haiku(params)["lstm/linear"]["w"][4].tolist() == [1, 1, 3, 3, 2, 2, 4, 4]
    for layout in ("linen", "nnx"):
        tree = to_flax(params, layout)
        forget = "if_" if layout == "nnx" else "if"
        assert [tree[name]["kernel"][0, 0] for name in ("ii", forget, "ig", "io")] == [1, 2, 3, 4]
        assert [tree[name]["bias"][0] for name in ("hi", "hf", "hg", "ho")] == [1, 2, 3, 4]
    assert to_flax(params, "nnx_optimized")["dense_h"]["bias"].tolist() == gates.tolist()


def test_wrappers_of_flax(rng):
    tree = to_flax(strategies.random_params(rng, 3, 4))
    for wrapped in ({"params": tree}, {"params": {"cell": tree}}, {"cell": tree}):
        assert (from_flax(wrapped).kernel == from_flax(tree).kernel).all()


class Attributes:
    """A module with these attributes."""

    def __init__(self, **attributes):
        vars(self).update(attributes)


def test_modules_with_attributes(rng):
    params = strategies.random_params(rng, 3, 4)
    cell = Attributes(**to_equinox(params))
    assert (from_equinox(cell).kernel == params.kernel).all()
    cell = Attributes(**{n: Attributes(**leaf) for n, leaf in to_flax(params, "nnx").items()})
    assert (from_flax(cell).kernel == params.kernel).all()


def test_equinox_without_a_bias(rng):
    arrays = to_equinox(strategies.random_params(rng, 3, 4)) | {"bias": None}
    assert not from_equinox(arrays).bias.any()


SMALL = strategies.random_params(np.random.default_rng(0), 3, 4)


@pytest.mark.parametrize("write", [to_equinox, to_haiku, *WRITTEN])
def test_weights_that_a_cell_does_not_have(write):
    with pytest.raises(
        ValueError, match=r"^params\.peephole has no place in an? \w+ of \w+, which"
    ):
        write(SMALL._replace(peephole=np.ones((3, 4), np.float32)))
    projected = strategies.random_params(np.random.default_rng(0), 3, 4, projection=2)
    with pytest.raises(ValueError, match=r"^params\.projection has no place in"):
        write(projected)
    with pytest.raises(TypeError, match=r"params must be LSTMParams.* got tuple"):
        write(tuple(SMALL))


def test_wrong_weights_of_flax():
    tree = to_flax(SMALL)
    with pytest.raises(
        ValueError, match=r"^the cell has no 'hg', as an LSTMCell of Flax has, but i"
    ):
        from_flax({name: leaf for name, leaf in tree.items() if name != "hg"})
    with pytest.raises(ValueError, match=r"^hf has no 'bias', .* but kernel"):
        from_flax(tree | {"hf": {"kernel": tree["hf"]["kernel"]}})
    with pytest.raises(
        ValueError, match=r"^ig\.kernel has shape \(2, 4\), but ii\.kernel \(3, 4\)"
    ):
        from_flax(tree | {"ig": {"kernel": np.ones((2, 4))}})
    gru = {"dense_i": {"kernel": np.ones((3, 12))}, "dense_h": {"kernel": np.ones((4, 12))}}
    gru["dense_h"]["bias"] = np.ones(12)
    with pytest.raises(ValueError, match=r"^the cell: weights must have shapes"):
        from_flax(gru)
    with pytest.raises(TypeError, match=r"^cell must be a cell of Flax or its weights, got int"):
        from_flax(3)
    with pytest.raises(ValueError, match=r"^layout must be one of 'linen', 'nnx', 'nnx_optimized'"):
        to_flax(SMALL, "optimized")


def test_wrong_weights_of_equinox():
    with pytest.raises(
        TypeError, match=r"^cell must be an LSTMCell of Equinox .* without weight_ih"
    ):
        from_equinox(3)
    with pytest.raises(ValueError, match=r"^the cell: weights must have shapes"):
        from_equinox({"weight_ih": np.ones((12, 3)), "weight_hh": np.ones((12, 4))})


def test_wrong_weights_of_haiku():
    weights = to_haiku(SMALL, "net/~/lstm/linear")
    assert (from_haiku(weights, "net/~/lstm/linear").kernel == SMALL.kernel).all()
    with pytest.raises(
        ValueError, match=r"^there is no module 'lstm/linear', but net/~/lstm/linea"
    ):
        from_haiku(weights)
    with pytest.raises(ValueError, match=r"^'lstm/linear' is not a linear layer"):
        from_haiku({"lstm/linear": {"scale": np.ones(3)}})
    for w, b in (((7, 13), 13), ((4, 16), 16), ((7, 16), 12), ((7,), 7)):
        with pytest.raises(ValueError, match=r"^'lstm/linear' has w \(.*expected \(F \+ H, 4H\)"):
            from_haiku({"lstm/linear": {"w": np.ones(w), "b": np.ones(b)}})
    with pytest.raises(TypeError, match=r"^params must be a dict of modules, got ndarray"):
        from_haiku(np.ones(3))


@given(
    seed=strategies.seeds,
    layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    features=st.integers(1, 4),
    units=st.integers(1, 4),
)
def test_the_vector_of_jax(seed, layers, bidirectional, features, units):
    rng = np.random.default_rng(seed)
    params, size = {}, features
    for k in range(layers):
        for end in ("_forward", "_backward") if bidirectional else ("",):
            params[f"lstm_{k}{end}"] = strategies.random_params(rng, size, units)
        size = units * (2 if bidirectional else 1)
    vector = to_jax_rnn(params)
    again = from_jax_rnn(vector, features, units, layers, bidirectional)
    assert list(again) == list(params)
    for name, layer in params.items():
        for array, expected in zip(again[name][:3], layer[:3], strict=True):
            np.testing.assert_array_equal(array, expected, strict=True)
    weights = to_torch(params)
    first = [weights[f"weight_{each}_l0"].ravel() for each in ("ih", "hh")]
    assert vector[: sum(map(len, first))].tolist() == np.concatenate(first).tolist()
    last = "_reverse" if bidirectional else ""
    biases = [weights[f"bias_{each}_l{layers - 1}{last}"] for each in ("ih", "hh")]
    assert vector[-8 * units :].tolist() == np.concatenate(biases).tolist()


def test_vectors_of_another_size():
    with pytest.raises(
        ValueError, match=r"^weights has shape \(144,\), but input_size=3, .* \(288"
    ):
        from_jax_rnn(np.ones(144), 3, 4, 1, True)
    with pytest.raises(ValueError, match=r"^num_layers must be at most 1,000"):
        from_jax_rnn(np.ones(144), 3, 4, 10**9, True)
    projected = strategies.random_params(np.random.default_rng(0), 3, 4, projection=2)
    with pytest.raises(ValueError, match=r"^jax\.experimental\.rnn has no projections, but the la"):
        to_jax_rnn({"lstm_0": projected})
