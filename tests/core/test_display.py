"""How values print: arrays by dtype, shape and range, models without their defaults."""

import copy
import pickle
import subprocess
import sys
import time
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

import lstmcore as lc
from lstmcore import series, study
from lstmcore.display import displayed
from lstmcore.display.arrays import MOST, array_text

PARAMS = lc.init_lstm(jax.random.key(0), features=2, units=4)
ZEROS = np.zeros((5, 4), np.float32)


def trace():
    steps = np.linspace(-0.25, 0.5, 60, dtype=np.float32).reshape(5, 3, 4)
    return lc.Trace(steps, 2 * steps, lc.Gates(*[steps + 0.25] * 4))


def test_a_trace_is_a_line_for_each_array():
    assert repr(trace()) == (
        "Trace(\n"
        "    h=float32[5, 3, 4] -0.25 to 0.5,\n"
        "    c=float32[5, 3, 4] -0.5 to 1,\n"
        "    gates=Gates(\n"
        "        input=float32[5, 3, 4] 0 to 0.75,\n"
        "        forget=float32[5, 3, 4] 0 to 0.75,\n"
        "        candidate=float32[5, 3, 4] 0 to 0.75,\n"
        "        output=float32[5, 3, 4] 0 to 0.75,\n"
        "    ),\n"
        ")"
    )


def test_what_fits_is_one_line_and_defaults_are_left_out():
    assert repr(lc.LSTMState(ZEROS, ZEROS + 1)) == (
        "LSTMState(h=float32[5, 4] all 0, c=float32[5, 4] all 1)"
    )
    small = lc.LSTMParams(ZEROS[:1], ZEROS[:1], ZEROS[0])
    assert "peephole" not in repr(small)
    assert "peephole=float32[3, 4] all 0" in repr(small._replace(peephole=ZEROS[:3]))


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([1.5, np.nan, np.nan, -2]), "float64[4] -2 to 1.5 (2 NaN)"),
        (np.array([1.0, np.nan, 1.0]), "float64[3] all 1 (1 NaN)"),
        (np.full((2, 3), np.nan), "float64[2, 3] all NaN"),
        (np.array([-np.inf, 0, np.inf]), "float64[3] -inf to inf"),
        (np.zeros((0, 3)), "float64[0, 3]"),
        (np.array(0.5), "float64[] 0.5"),
        (np.array(np.nan), "float64[] NaN"),
        (np.array([[True, False], [True, True]]), "bool[2, 2] 3 of 4 True"),
        (np.array([12_345, -7]), "int64[2] -7 to 12,345"),
        (np.array([0, 255], np.uint8), "uint8[2] 0 to 255"),
        (np.array(["a", "bc"]), "<U2[2]"),
        (np.array([None, {}]), "object[2]"),
        (np.array([1 + 2j]), "complex128[1]"),
        (np.array([(1, 2.0)], [("a", int), ("b", float)]), "[('a', '<i8'), ('b', '<f8')][1]"),
        (np.array([6e4, -6e4], np.float16), "float16[2] -6e+04 to 6e+04"),
        (jnp.array([1.5, -0.25], jnp.bfloat16), "bfloat16[2] -0.25 to 1.5"),
        (jnp.array([1, -7], jnp.int4), "int4[2] -7 to 1"),
        (jax.random.key(0), "key<fry>[]"),
        (jax.ShapeDtypeStruct((5, 3), jnp.int32), "int32[5, 3]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_array_in_a_few_words(array, expected):
    assert array_text(array) == expected


@pytest.mark.parametrize(
    ("leaf", "expected"),
    [
        (None, "h=None"),
        (2, "h=2"),
        (0.1234567891, "h=0.123457"),
        (np.float32(0.5), "h=0.5"),
        ("text", "h='text'"),
        ("x" * 10_000, "...xx"),
        (10**6000, "h=<int>"),
        (PartitionSpec("data"), "'data'"),
        (lc.lstm, "h=lstm"),
        (lc.LSTMState, "h=LSTMState"),
        ({"a": ZEROS}, "h={'a': float32[5, 4] all 0}"),
        ((ZEROS,), "h=(float32[5, 4] all 0,)"),
        ([1] * 9, "h=[1, 1, 1, 1, 1, 1, ... 3 more]"),
        ((lc.LSTMState(1, 2),), "h=(LSTMState(h=1, c=2),)"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 50 else "",
)
def test_a_pytree_may_hold_anything(leaf, expected):
    assert expected in repr(lc.LSTMState(leaf, None))


def test_a_value_whose_own_repr_fails_is_named_by_its_type():
    class Broken:
        def __repr__(self):
            raise RuntimeError("no")

    assert repr(lc.LSTMState(Broken(), 1)) == "LSTMState(h=<Broken>, c=1)"


def test_tracers_print_their_shapes_under_every_transformation():
    printed = []

    def loss(h):
        printed.append(repr(lc.LSTMState(h, 2 * h)))
        return (h**2).sum()

    jax.jit(loss)(ZEROS)
    jax.grad(loss)(ZEROS)
    jax.vmap(loss)(np.stack([ZEROS, ZEROS]))
    assert printed == ["LSTMState(h=float32[5, 4], c=float32[5, 4])"] * 3


def test_a_deleted_array_says_so():
    array = jnp.ones(3)
    array.delete()
    assert (
        repr(lc.LSTMState(array, array)) == "LSTMState(h=float32[3] deleted, c=float32[3] deleted)"
    )


def test_a_huge_array_costs_nothing():
    huge = np.broadcast_to(np.float32(1), (10**6, 10**5))  # 400 GB, if it were written out
    started = time.perf_counter()
    assert repr(lc.LSTMState(huge, ZEROS)).startswith("LSTMState(h=float32[1000000, 100000], c=")
    assert time.perf_counter() - started < 1
    assert array_text(np.zeros(MOST, np.int8)).endswith("all 0")


def test_a_print_does_not_change_what_a_pytree_is():
    value = trace()
    leaves, shape = jax.tree.flatten(value)
    assert len(leaves) == 6
    assert type(jax.tree.unflatten(shape, leaves)) is lc.Trace
    assert value._replace(h=None).h is None


def test_statistics_and_other_results_print_alike():
    statistic = study.saturation(trace())
    assert "left=Gates(\n        input=float32[4] all 0.133,\n" in repr(statistic)
    assert repr(study.time_scale(trace())).startswith("TimeScale(half_life=float32[4] ")
    fitted = series.Preprocessing().fit(np.arange(8.0)[:, None])
    assert "scaler=Scaler(offset=float64[1] 3.5, scale=float64[1] 2.29)" in repr(fitted)
    sweep = study.Sweep(("gate",), {"all": np.arange(4.0)}, ("forget",), baseline=0.5)
    assert "metric={'all': float64[4] 0 to 3}" in repr(sweep)


def test_a_class_keeps_the_table_that_it_makes_itself():
    @displayed
    class Own(NamedTuple):
        value: object

        def _repr_html_(self):
            return "mine"

    assert Own(ZEROS)._repr_html_() == "mine"
    assert repr(Own(ZEROS)).endswith("Own(value=float32[5, 4] all 0)")


MODELS = [
    (lc.Autoencoder(2, (128, 64)), "Autoencoder(features=2, units=(128, 64))"),
    (
        lc.CompositeAutoencoder(2, 8, steps=3),
        "CompositeAutoencoder(features=2, units=(8,), steps=3)",
    ),
    (lc.StackedLSTM(2, 8, 1), "StackedLSTM(features=2, units=(8,), outputs=1)"),
    (
        lc.DenseAutoencoder(6, 2, tied=True),
        "DenseAutoencoder(features=6, units=(2,), tied=True)",
    ),
    (
        lc.Forecaster(3, 8, horizon=4),
        "Forecaster(features=3, units=(8,), horizon=4, targets=3)",
    ),
    (lc.Seq2Seq(3, 2, 4), "Seq2Seq(source=3, target=2, units=(4,), decoder_units=(4,))"),
    (
        lc.Chain([lc.chain.LSTM(4, last=True), lc.chain.Dense(1)], 2),
        "Chain([LSTM(units=4, last=True), Dense(units=1)], features=2)",
    ),
    (study.SingleLayer(reverse=True), "SingleLayer(reverse=True)"),
]


@pytest.mark.parametrize(("model", "text"), MODELS, ids=lambda value: str(value)[:12])
def test_a_model_prints_what_differs_from_the_defaults_and_python_reads_it(model, text):
    assert repr(model) == text
    known = {"LSTM": lc.chain.LSTM, "Dense": lc.chain.Dense, "SingleLayer": study.SingleLayer}
    assert eval(text, {name: getattr(lc, name) for name in lc.__all__} | known) == model


def test_results_of_training_print_their_losses():
    history = {"loss": np.array([0.5, 0.25]), "validation_loss": np.array([0.75, 0.3])}
    model = lc.StackedLSTM(2, 4, 1)
    params = {"lstm_0": PARAMS}
    assert repr(lc.FitResult(params, history)) == (
        "FitResult(2 epochs: loss 0.5 to 0.25, validation_loss 0.75 to 0.3; 112 params)"
    )
    fitted = lc.Fitted(model, params, history, {"loss": 0.2}, False)
    assert repr(fitted) == (
        "Fitted(StackedLSTM(features=2, units=(4,), outputs=1), 2 epochs: loss 0.2)"
    )
    assert repr(lc.FitResult(params, {"loss": np.zeros(0)})) == "FitResult(0 epochs; 112 params)"


def test_a_summary_is_its_table_printed_and_in_a_session():
    summary = lc.summary(lc.StackedLSTM(2, 4, 1), timesteps=3)
    assert isinstance(summary, str)
    assert repr(summary) == str(summary)
    assert summary.startswith("layer   type")
    assert (summary.name, summary.total) == ("StackedLSTM", 117)
    assert summary.rows[0] == ("lstm_0", "LSTM", (None, 3, 4), 112)


def test_reports_of_forecasts_are_shown_in_a_session_too():
    from lstmcore.apps.forecasting.lag import lag_check

    walk = np.random.default_rng(0).normal(size=60).cumsum()
    check = lag_check(walk[1:], walk[:-1], walk[:-1])
    assert repr(check) == str(check)
    assert repr(check).startswith("1 ahead: lags")


@pytest.mark.parametrize("key", ["run[", 'run["lstm_0", '])
def test_a_run_offers_its_layers_and_quantities(key):
    model = lc.StackedLSTM(2, 4, 1)
    weights = jax.tree.map(jnp.zeros_like, model.init(jax.random.key(0)))
    run = jax.eval_shape(partial(study.run, model), weights, jnp.ones((2, 3, 2)))
    offered = run._ipython_key_completions_()
    assert ("lstm_0" if key == "run[" else ("lstm_0", "forget")) in offered
    assert len(offered) == 7


def test_a_summary_survives_a_copy():
    summary = lc.summary(lc.StackedLSTM(2, 4, 1))
    for twin in (pickle.loads(pickle.dumps(summary)), copy.deepcopy(summary)):
        assert (twin, twin.rows, twin.total) == (summary, summary.rows, summary.total)


def test_without_jax_a_model_and_its_params_print_too():
    code = (
        "import sys; sys.modules['jax'] = None\n"
        "import numpy as np, lstmcore as lc\n"
        "model = lc.Autoencoder(features=2, units=4)\n"
        "print(model, model._repr_html_(), lc.DenseParams(np.ones((2, 3)), None))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "Autoencoder(features=2, units=(4,)) None "
        "DenseParams(kernel=float64[2, 3] all 1, bias=None)\n"
    )


def test_a_repr_does_not_fail():
    endless: list = []
    endless.append(endless)
    assert repr(lc.DenseParams(endless, 0)) == "<DenseParams>"
    odd = type("Odd", (), {"shape": None, "dtype": "x", "__repr__": lambda self: "odd"})()
    assert repr(lc.DenseParams(odd, 0)) == "DenseParams(kernel=odd, bias=0)"
    assert "odd" in lc.DenseParams(odd, 0)._repr_html_()
