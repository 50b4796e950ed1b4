"""Functions that need values name the argument that JAX is tracing, in place of JAX's own error."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstmcore as lc
from lstmcore import reference, study

MODEL = lc.StackedLSTM(2, 3, outputs=1)
PARAMS = MODEL.init(jax.random.key(0))
X = jnp.ones((4, 5, 2))
LAYER = jax.tree.map(np.asarray, PARAMS["lstm_0"])


def run(x):
    return study.run(MODEL, PARAMS, x)


def stepped(x):
    return lc.stream(MODEL, PARAMS, batch=4).step(x)[1]


CALLS = {
    "x": lambda x: study.ablation_sweep(MODEL.apply, PARAMS, x, jnp.mean, ("gate",)),
    "corrupt": lambda x: study.patch_sweep(MODEL.apply, PARAMS, X, x, jnp.mean, ("gate",)),
    "result": lambda x: study.rows(run(x).measure(study.saturation)),
    "run": lambda x: study.inspect(run(x), "never.html"),
    "the stream": lambda x: stepped(x).save("never"),
    "rows": lambda x: stepped(x).reset(x[0, 0, 0].astype(int)),
    "sequences": lambda x: lc.buckets({"a": [x[0], x[1]]}),
    "trace": lambda x: reference.lstm_backward(LAYER, np.asarray(X), None, run(x)["lstm_0"]),
    "ids": lambda x: lc.Vocabulary(["a"]).decode(x[0, :, 0].astype(int)),
}
PLOTS = {
    "run": lambda x: study.plots.plot_gates(run(x), "lstm_0", 0),
    "saturation": lambda x: study.plots.plot_saturation(study.saturation(run(x)["lstm_0"])),
    "time_scales": lambda x: study.plots.plot_time_scales(study.time_scale(run(x)["lstm_0"])),
    "forecast": lambda x: study.plots.plot_forecast([1.0, 2.0], x[0, :, 0]),
    "output": lambda x: study.plots.plot_output(np.ones((5, 2)), x[0], ["a", "b"]),
}


@pytest.mark.parametrize(
    ("name", "call"), [*CALLS.items(), *PLOTS.items()], ids=[*CALLS, *(f"plot {n}" for n in PLOTS)]
)
def test_the_argument_is_named(name, call):
    if call in PLOTS.values():
        pytest.importorskip("matplotlib")
    with pytest.raises(TypeError, match=rf"^{name} is being traced by JAX, .* outside of jax.jit"):
        jax.eval_shape(call, X)
