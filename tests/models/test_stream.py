"""Streams: the whole sequence in any pieces, rows that start anew, files, and what is refused."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from safetensors.numpy import save as to_safetensors
from strategies import random_params, seeds, weights

import lstmcore as lc
from lstmcore.io.tensors import read_tensors, write_tensors
from lstmcore.models.streaming import _step

STACK = lc.StackedLSTM(2, (4, 3), outputs=2)
STACK_PARAMS = weights(STACK)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 6, 2)).astype(np.float32)
LAYERS = {
    "stack": (STACK, STACK_PARAMS),
    "layer": (partial(lc.lstm, activation="relu"), random_params(RNG, 2, 3)),
    "peephole and projection": (
        lc.lstm,
        random_params(RNG, 2, 4, peephole=True, projection=2),
    ),
    "bfloat16": (STACK, weights(STACK, jnp.bfloat16)),
}
close = partial(np.testing.assert_allclose, rtol=1e-5, atol=3e-6)


@pytest.fixture(params=LAYERS)
def of(request):
    return LAYERS[request.param]


def whole(model, params, x=X):
    """(output, traces) of one call."""
    if hasattr(model, "apply"):
        return model.apply(params, x)
    _, trace = model(params, x)
    return trace.h, trace


def fed(stream, x=X):
    """The outputs of step after step, and the stream behind them."""
    outputs = []
    for t in range(x.shape[1]):
        y, stream = stream.step(x[:, t])
        outputs.append(y)
    return jnp.stack(outputs, axis=1), stream


def assert_close(ours, theirs):
    jax.tree.map(lambda a, b: close(np.float32(a), np.float32(b)), ours, theirs)


@given(seed=seeds)
def test_any_pieces_give_the_outputs_and_traces_of_the_whole(seed):
    rng = np.random.default_rng(seed)
    model, params = LAYERS[rng.choice(list(LAYERS))]
    stream, t, outputs, traces = lc.stream(model, params, batch=3), 0, [], []
    while t < 6:
        size = min(int(rng.integers(1, 4)), 6 - t)
        piece = X[:, t : t + size]
        single = size == 1 and rng.random() < 0.5
        y, stream = stream.step(piece[:, 0] if single else piece)
        outputs.append(y[:, None] if single else y)
        traces.append(stream.traces)
        t += size
    joined = jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=1), *traces)
    expected = whole(model, params)
    assert_close((jnp.concatenate(outputs, axis=1), joined), expected)
    assert_close(stream.states, lc.final_states(expected[1]))


def test_a_row_that_is_reset_starts_afresh_and_the_others_go_on(of):
    _, stream = lc.stream(*of, batch=3).step(X[:, :3])
    y, _ = stream.reset([1]).step(X[:, 3:])
    going_on, _ = stream.step(X[:, 3:])
    fresh, _ = lc.stream(*of, batch=3).step(X[:, 3:])
    np.testing.assert_array_equal(y[1], fresh[1])
    np.testing.assert_array_equal(y[::2], going_on[::2])
    assert not np.array_equal(fresh[1], going_on[1])


@pytest.mark.parametrize(
    "rows", [1, -2, [1], slice(1, 2), np.array([False, True, False]), np.int64(1)]
)
def test_rows_are_named_as_in_numpy(rows):
    _, stream = lc.stream(STACK, STACK_PARAMS, batch=3).step(X[:, 0])
    h = stream.reset(rows).states["lstm_0"].h
    assert (h == 0).all(axis=1).tolist() == [False, True, False]
    assert not stream.reset(None).states["lstm_1"].c.any()
    assert stream.states["lstm_0"].h.all()


def test_a_saved_stream_goes_on_as_if_nothing_had_been(of, tmp_path):
    path = tmp_path / "state.safetensors"
    _, stream = lc.stream(*of, batch=3).step(X[:, :3])
    stream.save(path)
    restored = lc.load_stream(path, *of)
    for one, other in zip(
        jax.tree.leaves(restored.states), jax.tree.leaves(stream.states), strict=True
    ):
        assert one.dtype == other.dtype
    ours, theirs = (s.step(X[:, 3:])[0] for s in (restored, stream))
    np.testing.assert_array_equal(np.float32(ours), np.float32(theirs))
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "state.safetensors"
    stream = lc.stream(STACK, STACK_PARAMS)
    stream.save(path)
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        stream.step(X[:1, 0])[1].save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_row_without_input_waits():
    stream = lc.stream(STACK, STACK_PARAMS, batch=3)
    _, stream = stream.step(X[:, 0])
    _, later = stream.step(X[:, 1], mask=np.array([True, False, True]))
    moved = (later.states["lstm_0"].c != stream.states["lstm_0"].c).any(axis=1)
    assert moved.tolist() == [True, False, True]


def test_a_stream_can_be_carried_by_a_compiled_loop():
    def body(stream, x_t):
        y, stream = stream.step(x_t)
        return stream, (y, stream.traces["lstm_0"].gates.forget)

    stream = lc.stream(STACK, STACK_PARAMS, batch=3)
    last, (y, forget) = jax.jit(partial(jax.lax.scan, body))(stream, X.swapaxes(0, 1))
    expected, traces = whole(STACK, STACK_PARAMS)
    assert_close(y.swapaxes(0, 1), expected)
    assert_close(forget[:, :, 0].swapaxes(0, 1), traces["lstm_0"].gates.forget)
    assert last.model is STACK


def test_equal_models_share_one_compiled_step():
    fed(lc.stream(STACK, STACK_PARAMS, batch=3))
    compiled = _step._cache_size()
    again = lc.StackedLSTM(2, (4, 3), outputs=2)
    fed(lc.stream(again, weights(again), batch=3).reset(0))
    assert _step._cache_size() == compiled


def test_an_older_stream_stays_what_it_was():
    stream = lc.stream(STACK, STACK_PARAMS, batch=3)
    first, _ = stream.step(X[:, 0])
    again, _ = stream.step(X[:, 0])
    np.testing.assert_array_equal(first, again)
    assert repr(stream) == f"Stream({STACK!r}, batch=3)"


def test_a_model_of_ones_own_can_be_streamed():
    class Residual:
        def apply(self, params, x, *, mask=None, states=None):
            states, traces = states or {}, {}
            for name, layer in params.items():
                _, traces[name] = lc.lstm(layer, x, states.get(name), mask=mask)
                x = x + traces[name].h
            return x, traces

    params = {"a": random_params(RNG, 2, 2), "b": random_params(RNG, 2, 2)}
    y, _ = fed(lc.stream(Residual(), params, batch=3))
    assert_close(y, Residual().apply(params, X)[0])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lc.Autoencoder(2, 3), "Autoencoder cannot be streamed: nothing comes out before"),
        (lc.CompositeAutoencoder(2, 3, 4), "CompositeAutoencoder cannot be streamed: nothing"),
        (lc.Seq2Seq(2, 2, 3), "Seq2Seq cannot be streamed: .* with model.encode"),
        (partial(lc.lstm, reverse=True), "in reverse cannot be streamed: it starts at the end"),
        (lc.study.SingleLayer(), r"model must be an lc.StackedLSTM, lc.lstm, or have an apply\("),
        (lc.bidirectional, "model must be an lc.StackedLSTM, lc.lstm, or have"),
        (lc.StackedLSTM, "model must be an lc.StackedLSTM, lc.lstm, or have"),
    ],
)
def test_models_that_cannot_be_streamed(model, message):
    with pytest.raises(TypeError, match=message):
        lc.stream(model, STACK_PARAMS)


def test_errors_of_params_batch_and_rows():
    with pytest.raises(ValueError, match="params has the layers lstm_0 but the model has lstm_0, "):
        lc.stream(STACK, {"lstm_0": STACK_PARAMS["lstm_0"]})
    with pytest.raises(TypeError, match="params must be LSTMParams"):
        lc.stream(lc.lstm, STACK_PARAMS)
    with pytest.raises(ValueError, match="batch must be at least 1, got 0"):
        lc.stream(STACK, STACK_PARAMS, batch=0)
    with pytest.raises(ValueError, match=r"rows must be numbers from 0 to 2, a slice or bool \[3"):
        lc.stream(STACK, STACK_PARAMS, batch=3).reset([0, 3])


@pytest.mark.parametrize(
    ("x", "mask", "error", "message"),
    [
        (X[:2, 0], None, ValueError, "x has 2 rows but the stream has 3: lc.stream"),
        (
            X[0, 0],
            None,
            ValueError,
            r"x must have 3 axes \[batch, steps, features\], got shape \(2",
        ),
        (X[:, :0], None, ValueError, r"x must hold at least one step, got shape \(3, 0, 2\)"),
        (X[:, 0, :1], None, ValueError, "x has 1 feature but params.kernel expects 2"),
        ([1.0, 2.0], None, TypeError, "x must be an array"),
        (X[:, 0], np.ones((3, 1), bool), ValueError, r"mask must have 1 axes \[batch\]"),
        (X[:, 0], np.ones(3), ValueError, "mask must be bool"),
        (X[:, 0], np.ones(2, bool), ValueError, "mask has shape"),
    ],
)
def test_errors_of_a_step(x, mask, error, message):
    with pytest.raises(error, match=message):
        lc.stream(STACK, STACK_PARAMS, batch=3).step(x, mask)


def test_files_that_are_no_stream_of_this_model(tmp_path):
    path = tmp_path / "state.safetensors"
    with pytest.raises(FileNotFoundError, match="there is no file"):
        lc.load_stream(path, STACK, STACK_PARAMS)
    lc.save(path, STACK, STACK_PARAMS)
    with pytest.raises(ValueError, match="holds no stream: such files come from"):
        lc.load_stream(path, STACK, STACK_PARAMS)
    lc.stream(STACK, STACK_PARAMS).save(path)
    wider = lc.StackedLSTM(2, (4, 5), outputs=2)
    with pytest.raises(
        ValueError, match=r"lstm_1/h is float32\[1, 3\] there, but the model has float32\[1, 5\]"
    ):
        lc.load_stream(path, wider, weights(wider))
    with pytest.raises(ValueError, match="holds the stream of other weights of the same sizes"):
        lc.load_stream(path, STACK, jax.tree.map(jnp.cos, STACK_PARAMS))
    lower = lc.StackedLSTM(2, 4, outputs=2)
    with pytest.raises(ValueError, match=r"lstm_1/. is float32\[1, 3\] there, but .* none"):
        lc.load_stream(path, lower, weights(lower))
    with pytest.raises(ValueError, match=r"h is missing there, but the model has float32\[1, 4\]"):
        lc.load_stream(path, lc.lstm, STACK_PARAMS["lstm_0"])
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match="is not a complete safetensors file"):
        lc.load_stream(path, STACK, STACK_PARAMS)


def test_forged_files(tmp_path):
    """The shapes in the header are compared before memory is reserved, for [10**8, 0], say."""
    path = tmp_path / "state.safetensors"
    lc.stream(STACK, STACK_PARAMS).save(path)
    metadata, tensors = read_tensors(path)
    many = {name: np.zeros((10**8, 0), np.float32) for name in tensors}
    nobody = {name: tensor[:0] for name, tensor in tensors.items()}
    forged = {
        "lstm_0/. is float32.100000000, 0. there, but the model has float32.100000000, 4.": many,
        "its states do not agree on the number of rows": nobody,
        "its states do not agree on the number": tensors | {"lstm_0/h": np.zeros((2, 4), "f4")},
        "lstm_0/h is float64": {name: tensor.astype("f8") for name, tensor in tensors.items()},
    }
    for message, arrays in forged.items():
        write_tensors(path, arrays, metadata)
        with pytest.raises(ValueError, match=rf"state\.safetensors .*{message}"):
            lc.load_stream(path, STACK, STACK_PARAMS)
    for text, message in (('{"format": 7}', "not described in format 1"), ("[]", "list indices")):
        write_tensors(path, tensors, {"lstmcore_stream": text})
        with pytest.raises(ValueError, match=rf"state\.safetensors is damaged, or .*{message}"):
            lc.load_stream(path, STACK, STACK_PARAMS)


def test_a_file_of_before_there_were_digests(tmp_path):
    path = tmp_path / "state.safetensors"
    _, stream = fed(lc.stream(STACK, STACK_PARAMS, batch=3))
    stream.save(path)
    _, tensors = read_tensors(path)
    path.write_bytes(to_safetensors(tensors, {"lstmcore_stream": '{"format": 1}'}))
    assert_close(
        lc.load_stream(path, STACK, STACK_PARAMS).states["lstm_1"].c, stream.states["lstm_1"].c
    )


class Plain:
    """A model that is no dataclass, and so is compared by identity."""

    apply = lc.StackedLSTM.apply
    layers, residual = STACK.layers, False
    activation, recurrent_activation, output_activation = "tanh", "sigmoid", None


@pytest.mark.parametrize("model", [STACK, Plain()], ids=["dataclass", "plain"])
def test_a_class_whose_apply_is_replaced_is_compiled_anew(model, monkeypatch):
    before, _ = lc.stream(model, STACK_PARAMS, batch=3).step(X)
    original = type(model).apply

    def twice(self, params, x, mask=None, states=None):
        y, traces = original(self, params, x, mask=mask, states=states)
        return 2 * y, traces

    monkeypatch.setattr(type(model), "apply", twice)
    after, _ = lc.stream(model, STACK_PARAMS, batch=3).step(X)
    close(after, 2 * before)
