"""A forecaster of many series: static features and learned vectors beside the last hidden state."""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest

import lstmcore as lc
from lstmcore import reference, study

B, T, H = 4, 5, 2
PLAIN = lc.Forecaster(3, 4, H, targets=1, future_covariates=1, linear_rows=3)
MODELS = {
    "static": replace(PLAIN, static=2),
    "series": replace(PLAIN, series=5, embedding=3),
    "both": replace(PLAIN, static=2, series=5, embedding=3, quantiles=(0.1, 0.5)),
}
every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
close = partial(np.testing.assert_allclose, rtol=1e-5, atol=2e-6)


def inputs(model, series=(0, 4, 2, 2)):
    """(x, future, {"static": ..., "series": ...}), as far as the model reads them."""
    rng = np.random.default_rng(0)
    x, future = (rng.normal(size=(B, steps, f)).astype("f") for steps, f in ((T, 3), (H, 1)))
    beside = {"static": rng.normal(size=(B, 2)).astype("f"), "series": np.array(series)}
    return x, future, {name: value for name, value in beside.items() if getattr(model, name)}


def drawn(model):
    return model.init(jax.random.key(0))


@every_model
def test_numpy_gives_the_same(model):
    x, future, beside = inputs(model, series=(0, 4, -1, 2))
    forecast, traces = model.apply(drawn(model), x, future, **beside)
    in_numpy, others = model.apply(drawn(model), x, future, **beside, ops=reference)
    close(forecast, in_numpy)
    close(traces["lstm_0"].h, others["lstm_0"].h)


@every_model
def test_they_only_shift_the_bias_of_the_head(model):
    x, future, beside = inputs(model)
    params = drawn(model)
    kernel, bias = params["head"]
    plain = replace(model, static=0, series=0, embedding=0)
    for example in range(B):
        own = [] if "static" not in beside else [beside["static"][example]]
        if "series" in beside:
            own.append(params["series"].table[beside["series"][example]])
        own = np.concatenate(own)
        head = lc.DenseParams(kernel[: -len(own)], bias + own @ kernel[-len(own) :])
        others = {name: layer for name, layer in params.items() if name != "series"}
        one = slice(example, example + 1)
        expected, _ = plain.apply(others | {"head": head}, x[one], future[one])
        of_example = {name: value[one] for name, value in beside.items()}
        close(model.apply(params, x[one], future[one], **of_example)[0], expected)


def test_an_unknown_series_has_the_mean_vector():
    model = MODELS["series"]
    x, future, _ = inputs(model)
    params = drawn(model)
    table = params["series"].table
    as_mean = params | {"series": lc.EmbeddingParams(table.at[0].set(table.mean(axis=0)))}
    unknown, _ = model.apply(params, x, future, series=np.full(B, -1))
    close(unknown, model.apply(as_mean, x, future, series=np.zeros(B, int))[0])


@every_model
def test_the_loss_is_that_of_apply_and_reaches_every_weight(model):
    x, future, beside = inputs(model)
    batch = {"x": x, "target": np.ones((B, H, 1), "f"), "future": future} | beside
    loss, gradients = jax.value_and_grad(model.loss)(drawn(model), batch)
    if not model.quantiles:
        forecast, _ = model.apply(drawn(model), x, future, **beside)
        close(loss, np.mean((np.asarray(forecast) - 1) ** 2))
    assert all(np.abs(weights).max() > 0 for weights in jax.tree.leaves(gradients))


@every_model
def test_files_and_summary(model, tmp_path):
    params = drawn(model)
    lc.save(tmp_path / "model.safetensors", model, params)
    loaded, same = lc.load(tmp_path / "model.safetensors")
    assert loaded == model
    jax.tree.map(np.testing.assert_array_equal, same, params)
    total = sum(weights.size for weights in jax.tree.leaves(params))
    summary = lc.summary(model)
    assert summary.total == total
    assert ("series  Embedding" in str(summary)) == bool(model.series)


def test_a_model_without_them_is_studied_as_before():
    model = lc.Forecaster(2, 4, H)
    run = study.run(model, drawn(model), np.ones((B, T, 2), "f"))
    assert run["lstm_0", "forget"].shape == (B, T, 4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"series": np.zeros(B, int)}, r"static is missing: the model has static=2, pass static"),
        ({"static": np.zeros((B, 2), "f")}, r"series is missing: the model has series=5"),
        (
            {"static": np.zeros((B, 3), "f"), "series": np.zeros(B, int)},
            r"static has shape \(4, 3\) but the model and x need \(4, 2\)",
        ),
        (
            {"static": np.zeros((B, 2), "f"), "series": np.zeros(B)},
            r"series must hold whole numbers, got float64",
        ),
        (
            {"static": np.zeros((B, 2), "f"), "series": np.full(B, 5)},
            r"ids",
        ),
    ],
)
def test_errors_of_apply(given, message):
    model = MODELS["both"]
    x, future, _ = inputs(model)
    with pytest.raises(ValueError, match=message):
        model.apply(drawn(model), x, future, **given)


def test_what_a_model_does_not_read_is_refused():
    x, future, beside = inputs(MODELS["both"])
    for name, value in beside.items():
        with pytest.raises(ValueError, match=f"{name} was given but the model has {name}=0"):
            PLAIN.apply(drawn(PLAIN), x, future, **{name: value})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"series": 3}, r"series is 3 and embedding 0: give the number of series and the size"),
        ({"embedding": 3}, r"series is 0 and embedding 3"),
        ({"static": 1, "mode": "recursive"}, r"mode='recursive' reads rows alone"),
        ({"static": -1}, r"static must be at least 0"),
    ],
)
def test_hyperparameters_that_do_not_fit(given, message):
    with pytest.raises(ValueError, match=message):
        lc.Forecaster(2, 4, H, **given)
