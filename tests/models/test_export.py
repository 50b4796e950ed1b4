"""A model as a file that JAX runs without lstmcore."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from strategies import weights

import lstmcore as lc

C = lc.chain
MODELS = {
    "stack": lc.StackedLSTM(2, (4, 3), outputs=1),
    "autoencoder": lc.Autoencoder(2, (4, 3)),
    "dense": lc.DenseAutoencoder(2, (3,)),
    "tagger": lc.Chain(
        [C.Embedding(9, 3, padding=0), C.LSTM(4, direction="bidirectional"), C.Dense(2)]
    ),
}
close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)


def input_of(name, batch, steps, rng):
    if name == "tagger":
        return rng.integers(0, 9, size=(batch, steps)).astype(np.int32)
    shape = (batch, 2) if name == "dense" else (batch, steps, 2)
    return rng.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("name", MODELS)
def test_it_computes_the_same_for_any_size(name, tmp_path, rng):
    model, params = MODELS[name], weights(MODELS[name])
    lc.export(model, params, tmp_path / "model.jaxexport")
    program = jax.export.deserialize((tmp_path / "model.jaxexport").read_bytes())
    assert program.platforms == ("cpu", "cuda", "tpu")
    for batch, steps in ((3, 5), (1, 2)):
        x = input_of(name, batch, steps, rng)
        close(program.call(x), model.apply(params, x)[0])


def test_it_runs_without_lstmcore_and_shows_its_gates(tmp_path, rng):
    model, params = MODELS["stack"], weights(MODELS["stack"])
    lc.export(model, params, tmp_path / "model.jaxexport", gates=True, timesteps=5)
    x = input_of("stack", 3, 5, rng)
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys; sys.modules['lstmcore'] = None\n"
        "import numpy as np, pathlib, jax.export\n"
        "run = jax.export.deserialize(pathlib.Path('model.jaxexport').read_bytes()).call\n"
        "y, traces = run(np.load('x.npy'))\n"
        "np.save('y.npy', y); np.save('forget.npy', traces['lstm_0']['forget'])\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    y, traces = model.apply(params, x)
    close(np.load(tmp_path / "y.npy"), y)
    close(np.load(tmp_path / "forget.npy"), traces["lstm_0"].gates.forget)


def test_choices_for_the_cpu_are_not_exported_for_any_batch():
    """With as many units as this, a CPU transposes the rows [x_t, h] of a step."""
    model = lc.StackedLSTM(2, 512, outputs=1)
    abstract = jax.eval_shape(model.init, jax.random.key(0))
    run = jax.jit(lambda params, x: model.apply(params, x)[0])

    def transposes_rows(shape):
        x = jax.ShapeDtypeStruct(shape, jnp.float32)
        return "optimization_barrier" in jax.export.export(run)(abstract, x).mlir_module()

    assert not transposes_rows(jax.export.symbolic_shape("b, t, 2"))
    assert transposes_rows((16, 5, 2))


def test_params_and_traces_can_be_part_of_any_export():
    params, x = weights(MODELS["stack"])["lstm_0"], jnp.ones((3, 5, 2))
    exported = jax.export.export(jax.jit(lc.lstm))(params, x)
    again = jax.export.deserialize(exported.serialize())
    state, trace = again.call(params, x)
    assert isinstance(state, lc.LSTMState)
    close(trace.gates.forget, lc.lstm(params, x)[1].gates.forget)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda f: lc.export(MODELS["stack"], {}, f),
            ValueError,
            r"params has the layers \(none\)",
        ),
        (
            lambda f: lc.export(MODELS["stack"], weights(MODELS["stack"]), f, platforms=["npu"]),
            ValueError,
            r"platforms must be a list of cpu, cuda, tpu, such as \['cuda'\], got \['npu'\]",
        ),
        (
            lambda f: lc.export(MODELS["stack"], weights(MODELS["stack"]), f, platforms="cuda"),
            ValueError,
            "platforms must be a list .* got 'cuda'",
        ),
        (
            lambda f: lc.export(MODELS["stack"], weights(MODELS["stack"]), f, platforms=()),
            ValueError,
            r"platforms must be a list .* got \(\)",
        ),
        (
            lambda f: lc.export(lc.Seq2Seq(2, 2, 3), {}, f),
            TypeError,
            "Seq2Seq reads source and target, and export takes models of one input",
        ),
    ],
)
def test_errors(make, error, message, tmp_path):
    with pytest.raises(error, match=message):
        make(tmp_path / "model.jaxexport")
    assert not list(tmp_path.iterdir())


def test_without_flatbuffers(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "jax._src.export.serialization", None)
    with pytest.raises(ImportError, match="export needs flatbuffers: pip install flatbuffers"):
        lc.export(MODELS["stack"], weights(MODELS["stack"]), Path(tmp_path / "m"))


def test_a_program_takes_a_mask_on_request(tmp_path, rng):
    model = lc.Chain([lc.chain.LSTM(3, last=True), lc.chain.Dense(2)], features=2)
    params, x = model.init(jax.random.key(0)), rng.normal(size=(4, 6, 2)).astype(np.float32)
    mask = np.arange(6) < np.array([[6], [3], [1], [0]])
    lc.export(model, params, tmp_path / "masked", mask=True, platforms=["cpu"])
    program = jax.export.deserialize((tmp_path / "masked").read_bytes())
    expected = model.apply(params, x, mask=mask)[0]
    np.testing.assert_allclose(program.call(x, mask), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(TypeError, match=r"Dense\w*.apply takes no mask: leave mask out of export"):
        lc.export(lc.DenseAutoencoder(4, 2), {}, tmp_path / "none", mask=True)
