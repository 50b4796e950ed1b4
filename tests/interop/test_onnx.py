"""LSTM nodes of ONNX: weights both ways, every attribute, in both engines, beside onnxruntime."""

import json

import jax
import numpy as np
import onnx_cases
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws import numeric_derivative
from onnx_cases import Case, onnxruntime_outputs, random_case
from strategies import assert_same

import lstmcore as lc
from lstmcore import reference, study
from lstmcore.interop import OnnxLSTM, dequantized, from_onnx, from_onnx_node, to_onnx
from lstmcore.interop.onnx.activations import DEFAULTS, OnnxActivation, spelled
from lstmcore.io.tensors import write_tensors
from lstmcore.types import LSTMParams

SEEDS = st.integers(0, 2**32 - 1)


def outputs(case: Case, ops=reference) -> tuple:
    model, params = from_onnx_node(case.attributes, **case.weights)
    return model.outputs(params, **case.data, layout=case.attributes.get("layout", 0), ops=ops)


def check(case: Case, ops=reference, expected=None, tolerance=1e-5) -> None:
    expected = onnxruntime_outputs(case) if expected is None else expected
    for name, ours, theirs in zip(("Y", "Y_h", "Y_c"), outputs(case, ops), expected, strict=True):
        assert ours.shape == theirs.shape, (name, case)
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(
            ours, theirs, rtol=tolerance, atol=tolerance, err_msg=f"{name} of {case}"
        )


@pytest.mark.parametrize("part", range(4))
def test_2000_random_nodes_agree_with_onnxruntime(part):
    for seed in range(500 * part, 500 * (part + 1)):
        check(random_case(np.random.default_rng(seed)))


def test_some_random_nodes_agree_through_jax():
    for seed in range(6):
        check(random_case(np.random.default_rng(seed)), lc.ops)


@pytest.mark.thorough
def test_100_random_nodes_agree_through_jax():
    for seed in range(100):
        check(random_case(np.random.default_rng(10_000 + seed)), lc.ops)


@pytest.mark.parametrize("ops", [reference, lc.ops], ids=["numpy", "jax"])
@pytest.mark.filterwarnings("ignore")  # cases of all operators are made, and some of them warn
def test_the_cases_of_onnx(ops):
    cases = onnx_cases.collected_cases()
    assert len(cases) >= 4  # 6 in newer versions
    for collected in cases:
        (node,) = collected.model.graph.node
        ((arrays, expected),) = collected.data_sets
        given = dict(zip([name for name in node.input if name], arrays, strict=True))
        names = {"W": "W", "R": "R", "B": "B", "P": "P", "X": "X"}
        named = dict(zip(("X", "W", "R", "B", "sequence_lens"), node.input, strict=False))
        rest = dict(zip(("initial_h", "initial_c", "P"), node.input[5:], strict=False))
        inputs = {name: given.get(at) if at else None for name, at in (named | rest).items()}
        every = dict.fromkeys([*names, "sequence_lens", "initial_h", "initial_c"]) | inputs
        found = outputs(Case(onnx_cases.attributes_of(node), every), ops)
        results = [y for y, name in zip(found, node.output, strict=False) if name]
        assert len(results) == len(expected), collected.name
        for ours, theirs in zip(results, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6, err_msg=collected.name)


@given(SEEDS)
def test_float64_agrees_with_the_equations(seed):
    """In double precision onnxruntime has no kernel; the equations are those of the operator."""
    case = random_case(np.random.default_rng(seed), plain=True)
    inputs = {
        name: a.astype(np.float64) if a is not None and a.dtype == np.float32 else a
        for name, a in case.inputs.items()
    }
    case = Case(case.attributes, inputs)
    check(case, expected=equations(case), tolerance=1e-10)


def equations(case: Case) -> list[np.ndarray]:
    """The operator as its page states it, step by step and gate by gate, without our cell."""
    a, n = case.attributes, case.inputs
    batch_major, clip = a["layout"], a.get("clip", np.inf)
    x = n["X"].swapaxes(0, 1) if batch_major else n["X"]
    steps, batch, units = *x.shape[:2], a["hidden_size"]
    directions = len(n["W"])
    lengths = n["sequence_lens"] if n["sequence_lens"] is not None else np.full(batch, steps)
    y = np.zeros((steps, directions, batch, units))
    finals = np.zeros((2, directions, batch, units))
    for d in range(directions):
        backward = a["direction"] == "reverse" or d == 1
        Wi, Wo, Wf, Wc = np.split(n["W"][d], 4)
        Ri, Ro, Rf, Rc = np.split(n["R"][d], 4)
        biases = np.zeros(8 * units) if n["B"] is None else n["B"][d]
        bi, bo, bf, bc = np.split(biases[: 4 * units] + biases[4 * units :], 4)
        Pi, Po, Pf = np.split(np.zeros(3 * units) if n["P"] is None else n["P"][d], 3)
        for b in range(batch):
            h, c = (
                np.zeros(units) if s is None else (s[b, d] if batch_major else s[d, b])
                for s in (n["initial_h"], n["initial_c"])
            )
            order = range(lengths[b])
            for t in reversed(order) if backward else order:

                def f(z):
                    return 1 / (1 + np.exp(-np.clip(z, -clip, clip)))

                i = f(x[t, b] @ Wi.T + h @ Ri.T + Pi * c + bi)
                forget = 1 - i if a["input_forget"] else f(x[t, b] @ Wf.T + h @ Rf.T + Pf * c + bf)
                g = np.tanh(np.clip(x[t, b] @ Wc.T + h @ Rc.T + bc, -clip, clip))
                c = forget * c + i * g
                o = f(x[t, b] @ Wo.T + h @ Ro.T + Po * c + bo)
                h = o * np.tanh(c)
                y[t, d, b] = h
            finals[:, d, b] = h, c
    if batch_major:
        return [y.transpose(2, 0, 1, 3), *finals.swapaxes(1, 2)]
    return [y, *finals]


@given(SEEDS, st.sampled_from(["float32", "float64"]), st.integers(1, 2), st.booleans())
def test_ours_to_onnx_to_ours_is_exact(seed, dtype, directions, peephole):
    rng = np.random.default_rng(seed)
    features, units = rng.integers(1, 5, 2)
    every = tuple(
        LSTMParams(
            rng.normal(size=(features, 4 * units)).astype(dtype),
            rng.normal(size=(units, 4 * units)).astype(dtype),
            rng.normal(size=4 * units).astype(dtype),
            rng.normal(size=(3, units)).astype(dtype) if peephole else None,
        )
        for _ in range(directions)
    )
    back = from_onnx(*to_onnx(every if directions == 2 else every[0]))
    assert len(back) == directions
    for ours, again in zip(every, back, strict=True):
        for array, same in zip(ours, again, strict=True):
            if array is None:
                assert same is None
            else:
                assert same.dtype == array.dtype
                assert (same == array).all()


def test_gradients_of_a_node_are_numeric():
    attributes = {"hidden_size": 3, "direction": "bidirectional", "input_forget": 1}
    rng = np.random.default_rng(0)
    W, R, P = (rng.normal(size=shape) for shape in ((2, 12, 2), (2, 12, 3), (2, 9)))
    model, params = from_onnx_node(attributes, W, R, P=P)
    x, mask = rng.normal(size=(2, 4, 2)), np.array([[1, 1, 1, 0], [1, 1, 1, 1]], bool)
    weights = rng.normal(size=(2, 4, 6))

    def loss(params, x, ops):
        return (model.apply(params, x, mask=mask, ops=ops)[0] * weights).sum()

    with jax.enable_x64(True):
        direction = jax.tree.map(lambda a: rng.normal(size=a.shape), (params, x))
        gradients = jax.grad(loss, (0, 1))(params, jax.numpy.asarray(x), lc.ops)
        products = jax.tree.map(lambda g, d: float((g * d).sum()), gradients, direction)
        numeric = numeric_derivative(
            lambda inputs: loss(*inputs, reference), (params, x), direction
        )
    assert sum(jax.tree.leaves(products)) == pytest.approx(numeric, rel=1e-6, abs=1e-7)


def test_the_two_conventions_at_the_end_of_a_sequence():
    """The output after the end is 0 in both; at length 0 onnxruntime forgets the initial state."""
    rng = np.random.default_rng(1)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    inputs = {"X": draw(4, 3, 2), "W": draw(1, 12, 2), "R": draw(1, 12, 3), "B": None, "P": None}
    state = {"initial_h": draw(1, 3, 3), "initial_c": draw(1, 3, 3)}
    lengths = np.array([4, 2, 0], np.int32)
    case = Case({"hidden_size": 3, "layout": 0}, inputs | state | {"sequence_lens": lengths})
    y, y_h, y_c = outputs(case)
    theirs = onnxruntime_outputs(case)
    assert (y[2:, 0, 1] == 0).all()
    np.testing.assert_allclose(y, theirs[0], atol=1e-6)
    assert (y_h[0, 2] == state["initial_h"][0, 2]).all()
    assert (y_c[0, 2] == state["initial_c"][0, 2]).all()
    assert (theirs[1][0, 2] == 0).all()
    np.testing.assert_allclose(y_h[0, :2], theirs[1][0, :2], atol=1e-6)


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("place", range(3))
def test_each_activation_in_each_place(name, place):
    rng = np.random.default_rng(place)
    names, constants = ["Sigmoid", "Tanh", "Tanh"], len(DEFAULTS[name])
    names[place] = name.upper()  # onnxruntime and the specification ignore case
    attributes = {"hidden_size": 2, "activations": names, "layout": 0}
    attributes |= {"activation_alpha": [0.3]} if constants else {}
    attributes |= {"activation_beta": [0.4]} if constants == 2 else {}
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    none = dict.fromkeys(("B", "P", "sequence_lens", "initial_h", "initial_c"))
    case = Case(attributes, none | {"X": draw(3, 2, 2), "W": draw(1, 8, 2), "R": draw(1, 8, 2)})
    check(case)


@pytest.mark.parametrize("name", DEFAULTS)
def test_an_activation_is_the_same_in_both_engines(name):
    z = np.linspace(-3, 3, 13, dtype=np.float32)
    function = OnnxActivation(name, (0.4, 0.3)[: len(DEFAULTS[name])], clip=2.0)
    np.testing.assert_allclose(jax.jit(function)(z), function(z), atol=1e-6)


def test_a_node_is_a_model_to_study_stream_and_save(tmp_path):
    rng = np.random.default_rng(0)
    attributes = {"hidden_size": 3, "activations": ["HardSigmoid", "Tanh", "Tanh"]}
    weights = rng.normal(size=(1, 12, 2)), rng.normal(size=(1, 12, 3))
    model, params = from_onnx_node(attributes, *(w.astype(np.float32) for w in weights))
    x = rng.normal(size=(2, 5, 2)).astype(np.float32)
    y, _ = model.apply(params, x)
    run = study.run(model, params, x, edits={"lstm_0": study.clamp("forget", 0.0)})
    assert (np.asarray(run["lstm_0"].gates.forget) == 0).all()
    assert np.abs(np.asarray(run.outputs) - y).max() > 1e-3
    stream = lc.stream(model, params, batch=2)
    for t in range(5):
        y_t, stream = stream.step(x[:, t])
        np.testing.assert_allclose(y_t, y[:, t], atol=1e-6)
    assert "lstm_0  LSTM  (None, 5, 3)" in str(lc.summary(model, timesteps=5))
    lc.save(tmp_path / "node.safetensors", model, params)
    again, same = lc.load(tmp_path / "node.safetensors", model=OnnxLSTM)
    assert again == model
    np.testing.assert_array_equal(again.apply(same, x)[0], y)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"W": np.ones((1, 12))}, r"W \[D, 4H, F\] and R \[D, 4H, H\] must have three axes"),
        ({"R": np.ones((1, 9, 3))}, r"W has shape \[1, 12, 2\], expected"),
        ({"R": np.ones((2, 12, 3))}, r"W has shape \[1, 12, 2\], expected \[2, 12, 2\]"),
        ({"B": np.ones((1, 12))}, r"B has shape \[1, 12\], expected \[1, 24\]"),
        ({"P": np.ones((1, 12))}, r"P has shape \[1, 12\], expected \[1, 9\]"),
        ({"W": np.ones((3, 12, 2)), "R": np.ones((3, 12, 3))}, "has 3 directions, expected 1 or 2"),
        ({"R": np.ones((1, 12, 3), np.float32)}, "float32"),
        ({"W": np.ones((1, 12, 2), np.int32), "R": np.ones((1, 12, 3), np.int32)}, "int32"),
    ],
)
def test_weights_that_do_not_fit(changed, message):
    weights = {"W": np.ones((1, 12, 2)), "R": np.ones((1, 12, 3))} | changed
    if "R" in changed and changed["R"].shape == (1, 9, 3):
        message = r"W has shape \[1, 12, 2\], expected|R has shape \[1, 9, 3\], expected"
    with pytest.raises(ValueError, match=message) as raised:
        from_onnx(**weights)
    assert str(raised.value).startswith("the LSTM node: ")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"hidden_size": 4}, "hidden_size is 4, but R has 3 units"),
        ({"direction": "sideways"}, "direction must be one of"),
        ({"direction": "bidirectional"}, r"'bidirectional' needs weights of 2 direction\(s\)"),
        ({"activations": ["Sigmoid", "Tanh"]}, "activations must be 3, three to a direction"),
        ({"activations": ["Gelu", "Tanh", "Tanh"]}, "activation 'Gelu' is not known: ONNX has"),
        ({"activations": ["Affine", "Tanh", "Tanh"]}, "Affine needs activation_alpha and"),
        ({"activations": ["Sigmoid", "Tanh", "Tanh"], "activation_alpha": [1.0]}, "has 1 more"),
        ({"clip": -1.0}, "clip must be above 0, got -1.0"),
        ({"clip": float("nan")}, "clip"),
        ({"activations": [1, 2, 3]}, "activation 1 is not known: ONNX has"),
        ({"layout": 2}, "layout must be one of 0, 1"),
        ({"output_sequence": 1}, "the attribute 'output_sequence' is not known: an LSTM has"),
    ],
)
def test_attributes_that_are_refused(attributes, message):
    with pytest.raises(ValueError, match=message) as raised:
        from_onnx_node(attributes, np.ones((1, 12, 2)), np.ones((1, 12, 3)))
    assert str(raised.value).startswith("the LSTM node: ")


def test_weights_that_onnx_cannot_hold():
    params = LSTMParams(np.ones((2, 12)), np.ones((2, 12)), np.ones(12), None, np.ones((3, 2)))
    with pytest.raises(ValueError, match="params has a projection, which the LSTM operator"):
        to_onnx(params)
    one, other = (LSTMParams(np.ones((n, 12)), np.ones((3, 12)), np.ones(12)) for n in (2, 3))
    with pytest.raises(ValueError, match="the directions of one node and must have equal shapes"):
        to_onnx((one, other))
    for wrong in (np.ones(3), (one, one, one)):
        with pytest.raises(TypeError, match="params must be LSTMParams or a pair of them"):
            to_onnx(wrong)


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_quantized_weights(dtype, columns):
    rng = np.random.default_rng(0)
    kind = np.iinfo(dtype)
    quantized = rng.integers(kind.min, kind.max, (2, 3, 8), dtype, endpoint=True)
    shape = (2, 8) if columns else (2,)
    scale = rng.uniform(0.01, 0.1, shape).astype(np.float32)
    zero_point = rng.integers(kind.min, kind.max, shape, dtype, endpoint=True)
    weights = dequantized(quantized, scale, zero_point)
    assert weights.dtype == np.float32
    for d, row, column in np.ndindex(2, 3, 8):
        at = (d, column) if columns else d
        expected = (int(quantized[d, row, column]) - int(zero_point[at])) * scale[at]
        assert weights[d, column, row] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_quantized_weights_beside_onnxruntime(direction, columns):
    """onnxruntime rounds x and h, too: near, and further from the layer before quantization."""
    rng = np.random.default_rng(0)
    directions, units, features = 1 + (direction == "bidirectional"), 16, 8
    attributes = {"hidden_size": units, "direction": direction}
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    W, R = draw(directions, 4 * units, features) / 3, draw(directions, 4 * units, units) / 4
    B, X = draw(directions, 8 * units) / 10, draw(20, 4, features)
    quantized = onnx_cases.quantized(W, columns) + onnx_cases.quantized(R, columns)
    theirs = onnx_cases.quantized_outputs(attributes, X, B, *quantized)

    def run(W, R):
        model, params = from_onnx_node(attributes, W, R, B)
        return model.outputs(params, X, ops=reference)[0]

    ours, before = run(dequantized(*quantized[:3]), dequantized(*quantized[3:])), run(W, R)
    assert 1e-4 < np.abs(ours - theirs).max() < 0.03
    assert np.square(ours - before).mean() < np.square(theirs - before).mean()


def test_quantized_weights_that_do_not_fit():
    with pytest.raises(ValueError, match=r"must be int8 or uint8 with the axes \[D, F, 4H\]"):
        dequantized(np.ones((1, 2, 4)), np.ones(1), np.ones(1))
    with pytest.raises(ValueError, match=r"scale has shape \[3\] but weights \[1, 2, 4\] need"):
        dequantized(np.ones((1, 2, 4), np.int8), np.ones(3), np.ones(3, np.int8))


def test_constants_are_taken_in_order():
    found = spelled(["LeakyRelu", "Tanh", "HardSigmoid"], alphas=[0.3, 0.4], betas=[0.6])
    assert found == (("LeakyRelu", (0.3,)), ("Tanh", ()), ("HardSigmoid", (0.4, 0.6)))


def saved_node(path):
    W, R = np.random.default_rng(0).normal(size=(2, 2, 12, 3)).astype(np.float32)
    attributes = {
        "direction": "bidirectional",
        "activations": ["HardSigmoid", "Tanh", "LeakyRelu"] * 2,
        "activation_alpha": [0.3, 0.1, 0.2, 0.01],
        "clip": 0.5,
        "input_forget": 1,
    }
    model, params = from_onnx_node(attributes, W, R)
    lc.save(path, model, params)
    return model, params


@pytest.mark.parametrize("load", [lc.load, lc.interop.read])
def test_a_node_that_is_saved_and_loaded(tmp_path, load):
    model, params = saved_node(path := tmp_path / "node.safetensors")
    again, weights, *_ = load(path)
    assert again == model
    assert_same(weights, params)


def test_a_saved_node_without_jax(tmp_path):
    model, params = saved_node(path := tmp_path / "node.safetensors")
    apply, weights = reference.load(path)
    x = np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32)
    np.testing.assert_array_equal(apply(weights, x)[0], model.apply(params, x, ops=reference)[0])


def test_a_model_of_ones_own_with_the_name_of_a_node(tmp_path):
    own = type("OnnxLSTM", (lc.StackedLSTM,), {})(2, 3, 1)
    with pytest.raises(ValueError, match="lstmcore has a OnnxLSTM of its own"):
        lc.save(tmp_path / "own.safetensors", own, own.init(jax.random.key(0)))


@pytest.mark.parametrize("name", ["from_onnx", "Imported", "read", "files", "os"])
def test_a_file_names_no_other_class(tmp_path, name):
    path = tmp_path / "other.safetensors"
    description = {"format": 1, "model": name, "hyperparameters": {}}
    write_tensors(path, {}, {"lstmcore": json.dumps(description)})
    with pytest.raises(ValueError, match=f"holds a model of the class '{name}', which is not"):
        lc.load(path)
