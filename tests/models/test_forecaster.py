"""The forecaster: against a plain loop and NumPy, its traces, noise, losses and errors."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chance import assert_means
from hypothesis import given
from laws import along, numeric_derivative
from strategies import mask_kinds, random_mask, seeds, weights

import lstmcore as lc
from lstmcore import reference, study

KEY = jax.random.key(0)
B, T, H = 3, 5, 4  # H: the horizon

MODELS = {
    "direct": lc.Forecaster(2, (4, 3), H),
    "direct, covariates": lc.Forecaster(4, (4, 3), H, targets=2, future_covariates=1),
    "direct, quantiles": lc.Forecaster(3, 4, H, targets=2, quantiles=(0.1, 0.5, 0.9)),
    "recursive": lc.Forecaster(2, (4, 3), H, mode="recursive"),
    "recursive, covariates": lc.Forecaster(3, (4, 3), H, future_covariates=1, mode="recursive"),
    "recursive, one step": lc.Forecaster(2, 4, 1, mode="recursive"),
}
LINEAR = {  # these take no mask
    "linear path": lc.Forecaster(2, 3, H, linear_rows=3),
    "linear path, covariates": lc.Forecaster(3, 3, H, 1, 1, linear_rows=T),
    "linear path, quantiles": lc.Forecaster(2, 3, H, 1, quantiles=(0.1, 0.5), linear_rows=1),
}
every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
RECURSIVE = {name: model for name, model in MODELS.items() if model.mode == "recursive"}
recursive_models = pytest.mark.parametrize(
    "model",
    [
        pytest.param(model, marks=[pytest.mark.thorough] * (name == "recursive"))
        for name, model in RECURSIVE.items()
    ],
    ids=RECURSIVE,
)
close = partial(np.testing.assert_allclose, rtol=1e-5, atol=2e-6)


def sequences(model, rng, dtype=np.float32):
    """(x, future or None)."""
    x = rng.normal(size=(B, T, model.features)).astype(dtype)
    future = rng.normal(size=(B, model.horizon, model.future_covariates)).astype(dtype)
    return x, future if model.future_covariates else None


def batch_of(model, rng, dtype=np.float32):
    x, future = sequences(model, rng, dtype)
    target = rng.normal(size=(B, model.horizon, model.targets)).astype(dtype)
    return {"x": x, "target": target} | ({} if future is None else {"future": future})


def in_numpy(model, params, *arguments, **options):
    return model.apply(params, *arguments, **options, ops=reference)


def closed_from(step):
    """An edit, for JAX and for NumPy: the output gate is closed from this step on."""

    def edit(gates, t):
        where = jnp.where if isinstance(t, jax.Array) else np.where
        return gates._replace(output=where(t < step, gates.output, 0))

    return edit


@partial(jax.jit, static_argnums=0)
def compiled(model, params, x, future, mask=None, key=None):
    """Once for each model and shapes."""
    edits = {"lstm_0": closed_from(T - 1)} if mask is not None else None
    return model.apply(params, x, future, mask=mask, edits=edits, key=key)


# What it computes.


@every_model
@given(seed=seeds, kind=mask_kinds)
def test_numpy_gives_the_same(model, seed, kind):
    """The reference reads everything again for each row that a recursive one forecasts."""
    rng = np.random.default_rng(seed)
    x, future = sequences(model, rng)
    mask = np.ones((B, T), bool) if kind == "none" else random_mask(rng, kind, B, T)
    edits = {"lstm_0": closed_from(T - 1)}
    params = weights(model)
    ours = compiled(model, params, x, future, mask)
    theirs = in_numpy(model, params, x, future, mask=mask, edits=edits)
    assert ours[0].shape[:3] == (B, model.horizon, model.targets)
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    jax.tree.map(close, ours, theirs)


@pytest.mark.parametrize("model", LINEAR.values(), ids=LINEAR)
def test_a_linear_path_is_added_to_the_forecast_of_the_stack(model, rng):
    x, future = sequences(model, rng)
    params = weights(model)
    ours = compiled(model, params, x, future)
    jax.tree.map(close, ours, in_numpy(model, params, x, future))
    bare = lc.Forecaster(**vars(model) | {"linear_rows": 0, "quantiles": ()})
    levels = max(1, len(model.quantiles))
    kernel, bias = params["linear"]
    read = [*x[:, -model.linear_rows :].swapaxes(0, 1)]  # row by row, the oldest first
    read += [] if future is None else [*future.swapaxes(0, 1)]
    added = (np.concatenate(read, axis=1) @ kernel + bias).reshape(B, H, -1, levels)
    for level in range(levels):
        head = jax.tree.map(lambda array, level=level: array[..., level::levels], params["head"])
        alone, _ = in_numpy(bare, {"lstm_0": params["lstm_0"], "head": head}, x, future)
        added[..., level] += alone
    expected = np.sort(added, axis=-1) if model.quantiles else added[..., 0]
    close(ours[0], expected)
    rows = [line.split()[:2] for line in str(lc.summary(model, timesteps=T)).splitlines()]
    assert rows[2:5] == [["lstm_0", "LSTM"], ["head", "Dense"], ["linear", "Dense"]]


def test_lstm_rows_are_all_that_the_stack_reads(rng):
    whole = lc.Forecaster(2, 3, H)
    model = replace(whole, lstm_rows=2)
    params, (x, _) = weights(model), sequences(model, rng)
    mask = rng.random((B, T)) < 0.7
    ours = model.apply(params, x, mask=mask)
    jax.tree.map(close, ours, in_numpy(whole, params, x[:, -2:], mask=mask[:, -2:]))
    np.testing.assert_array_equal(model.masks(x, mask=mask)["lstm_0"], mask[:, -2:])
    both = replace(model, linear_rows=T)
    forecast, traces = in_numpy(both, weights(both), x)
    assert traces["lstm_0"].h.shape == (B, 2, 3)
    first = x.copy()
    first[:, 0] += 1  # which the linear path alone reads
    other, same = in_numpy(both, weights(both), first)
    jax.tree.map(np.testing.assert_array_equal, same, traces)
    assert np.abs(other - forecast).min() > 0
    assert "(None, 2, 3)" not in str(lc.summary(both, timesteps=T))  # the final state is read
    deep = lc.Forecaster(2, (4, 3), H, linear_rows=T, lstm_rows=2)
    assert "(None, 2, 4)" in str(lc.summary(deep, timesteps=T))


@pytest.mark.parametrize(
    ("model", "key"),
    [
        pytest.param(MODELS["recursive"], None, marks=pytest.mark.thorough),
        (MODELS["recursive, covariates"], KEY),
    ],
)
def test_recursive_is_a_loop_of_one_step_forecasts(model, key, rng):
    """Each forecast becomes the next row, whatever noise there is: one draw holds throughout."""
    model = lc.Forecaster(**vars(model) | {"dropout": 0.4, "horizon": 3})
    single = lc.Forecaster(**vars(model) | {"horizon": 1})
    params, (x, future) = weights(model), sequences(model, rng)
    forecast, traces = compiled(model, params, x, future, key=key)
    rows = x
    for step in range(model.horizon):
        covariates = None if future is None else future[:, step : step + 1]
        following, their_traces = compiled(single, params, rows, covariates, key=key)
        close(following[:, 0], forecast[:, step])
        row = following if covariates is None else np.concatenate([following, covariates], axis=2)
        rows = np.concatenate([rows, row], axis=1)
    jax.tree.map(close, traces, their_traces)
    assert traces["lstm_0"].h.shape == (B, T + model.horizon - 1, 4)


def test_the_future_of_known_columns_acts_from_its_own_row_on(rng):
    model = MODELS["recursive, covariates"]
    params, (x, future) = weights(model), sequences(model, rng)
    forecast = compiled(model, params, x, future)[0]
    for step in range(H):
        changed = future.copy()
        changed[:, step:] += 1
        other = compiled(model, params, x, changed)[0]
        np.testing.assert_array_equal(other[:, :step], forecast[:, :step])
        assert (other[:, step] != forecast[:, step]).any()


@every_model
def test_padding_changes_nothing(model, rng):
    """Rows that are none, before, between or after, whatever they hold."""
    params, (x, future) = weights(model), sequences(model, rng)
    expected = in_numpy(model, params, x[:, :2], future)[0]
    run = jax.jit(lambda x, mask: model.apply(params, x, future, mask=mask)[0])
    for places in ([0, 1], [3, 4], [1, 3]):
        padded, mask = np.full_like(x, np.nan), np.zeros((B, T), bool)
        padded[:, places], mask[:, places] = x[:, :2], True
        close(run(padded, mask), expected)


@pytest.mark.thorough
@every_model
def test_compiled_and_in_float64(model, x64, rng):
    params = weights(model, np.float64)
    x, future = sequences(model, rng, np.float64)
    ours = compiled(model, params, x, future)
    assert ours[0].dtype == np.float64
    tight = partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-12)
    jax.tree.map(tight, ours, in_numpy(model, params, x, future))


def test_quantiles_do_not_cross(rng):
    model = MODELS["direct, quantiles"]
    x, _ = sequences(model, rng)
    forecast, _ = model.apply(weights(model), x)
    assert forecast.shape == (B, H, 2, 3)
    assert (np.diff(forecast, axis=-1) >= 0).all()


# Look and touch.


@recursive_models
def test_edits_reach_the_steps_that_read_forecasts(model, rng):
    """A patch from another run covers reading and writing, and then nothing else matters."""
    params = weights(model)
    (x, future), (other, _) = sequences(model, rng), sequences(model, rng)
    wanted, traces = model.apply(params, other, future)
    patches = {name: study.patch(trace) for name, trace in traces.items()}
    found, their_traces = model.apply(params, x, future, edits=patches)
    close(found, wanted)
    jax.tree.map(close, their_traces, traces)
    found, their_traces = model.apply(params, x, future, edits={"lstm_0": closed_from(T)})
    np.testing.assert_array_equal(their_traces["lstm_0"].h[:, T:], 0)
    assert (their_traces["lstm_0"].h[:, :T] != 0).all()
    if model.horizon > 1:
        short = study.patch(jax.tree.map(lambda leaf: leaf[:, :T], traces["lstm_0"]))
        with pytest.raises(ValueError, match="patch was given a trace of shape"):
            model.apply(params, x, future, edits={"lstm_0": short})


def test_study_runs_it(rng):
    model = MODELS["recursive"]
    x, _ = sequences(model, rng)
    run = study.run(model, weights(model), x)
    assert run["lstm_1", "forget"].shape == (B, T + H - 1, 3)


# Dropout.


def test_dropout_needs_a_key_and_a_rate(rng):
    params, (x, _) = weights(MODELS["direct"]), sequences(MODELS["direct"], rng)
    noisy = lc.Forecaster(2, (4, 3), H, dropout=0.5)
    plain = noisy.apply(params, x)[0]
    np.testing.assert_array_equal(plain, MODELS["direct"].apply(params, x, key=KEY)[0])
    drawn = [noisy.apply(params, x, key=jax.random.key(seed))[0] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()
    assert (drawn[0] != plain).any()


def test_dropout_never_drops_the_data():
    """With all hidden states dropped, the layer still reads its input, the head the covariates."""
    model = lc.Forecaster(2, 3, 1, targets=1, future_covariates=1, dropout=0.999999)
    params = weights(model)
    x, future = np.ones((1, 1, 2), np.float32), np.ones((1, 1, 1), np.float32)
    forecast, traces = model.apply(params, x, future, key=KEY)
    assert (traces["lstm_0"].h != 0).all()
    close(forecast[0, 0], params["head"].kernel[3] + params["head"].bias)


def test_dropout_keeps_the_mean_of_what_the_head_reads():
    """One step from a state of zeros: the head is linear, so the mean over keys is the output."""
    model = lc.Forecaster(1, 8, 1, dropout=0.3)
    params, x = weights(model), np.ones((1, 1, 1), np.float32)
    keys = jax.random.split(KEY, 4000)
    drawn = jax.vmap(lambda key: model.apply(params, x, key=key)[0])(keys)
    plain = model.apply(params, x)[0]
    assert_means(drawn, plain)


# Losses.


def loss_by_hand(model, params, batch):
    """In NumPy, one number at a time or one forecast at a time."""
    x, target, future = batch["x"], batch["target"], batch.get("future")
    if model.mode == "direct":
        forecast, _ = in_numpy(model, params, x, future)
        if not model.quantiles:
            return np.mean((forecast - target) ** 2)
        costs = []
        for place, level in enumerate(model.quantiles):
            for y, f in zip(target.ravel(), forecast[..., place].ravel(), strict=True):
                costs.append(level * (y - f) if y > f else (1 - level) * (f - y))
        return np.mean(costs)
    covariates = np.zeros((B, model.horizon, 0)) if future is None else future
    rows = np.concatenate([x, np.concatenate([target, covariates], axis=2)], axis=1).astype(x.dtype)
    single, errors = lc.Forecaster(**vars(model) | {"horizon": 1}), []
    for t in range(1, rows.shape[1]):
        following = rows[:, t : t + 1, model.targets :] if model.future_covariates else None
        forecast, _ = in_numpy(single, params, rows[:, :t], following)
        errors.append((forecast[:, 0] - rows[:, t, : model.targets]) ** 2)
    return np.mean(errors)


@pytest.mark.parametrize("model", [*MODELS.values(), *LINEAR.values()], ids=[*MODELS, *LINEAR])
def test_losses_and_their_gradients(model, x64, rng):
    params, batch = weights(model, np.float64), batch_of(model, rng, np.float64)
    loss, gradient = jax.jit(jax.value_and_grad(model.loss))(params, batch)
    np.testing.assert_allclose(loss, loss_by_hand(model, params, batch), rtol=1e-10)
    direction = weights(model, np.float64)
    slope = numeric_derivative(partial(loss_by_hand, model, batch=batch), params, direction)
    np.testing.assert_allclose(along(gradient, direction), slope, rtol=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize("mode", ["direct", "recursive"])
def test_it_learns_what_is_known_in_advance(mode, rng):
    """The next row is its own future covariate: only a model that reads it can forecast it."""
    covariate = rng.normal(size=(400, 1)).astype(np.float32)
    x, target = lc.windows(np.concatenate([covariate, covariate], axis=1), 3, 2)
    model = lc.Forecaster(2, 8, 2, future_covariates=1, mode=mode)
    batch = {"x": x, "target": target[:, :, :1], "future": target[:, :, 1:]}
    import optax

    result = lc.fit(
        model.loss,
        model.init(KEY),
        batch,
        optimizer=optax.adam(1e-2),
        epochs=30,
        batch_size=32,
        key=KEY,
    )
    forecast, _ = model.apply(result.params, batch["x"], batch["future"])
    assert np.mean((forecast - batch["target"]) ** 2) < 0.05


# Errors.

X = np.ones((B, T, 3), np.float32)
FUTURE = np.ones((B, H, 1), np.float32)
MODEL = lc.Forecaster(3, 4, H, future_covariates=1)
PARAMS = weights(MODEL)
make = partial(lc.Forecaster, 3, 4)


def masked(model, mask):
    return model.apply(weights(model), X, FUTURE, mask=mask)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: make(0), ValueError, "horizon must be at least 1, got 0"),
        (lambda: make(1, targets=0), ValueError, "targets must be at least 1, got 0"),
        (
            lambda: make(1, future_covariates=-1),
            ValueError,
            "future_covariates must be at least 0, got -1",
        ),
        (
            lambda: make(1, future_covariates=3),
            ValueError,
            "future_covariates is 3 of 3 features, which leaves none to fo",
        ),
        (
            lambda: make(1, 2, 2),
            ValueError,
            "2 targets and 2 future covariates are more than the 3",
        ),
        (lambda: make(1, mode="both"), ValueError, "mode must be one of 'direct', 'recursive'"),
        (
            lambda: make(1, 1, 1, "recursive"),
            ValueError,
            r"nobody forecasts the last 1 of the 2 columns .*: use mode='direct', or forecast them",
        ),
        (
            lambda: make(1, mode="recursive", quantiles=(0.5,)),
            ValueError,
            "feeds one number back, .*: use mode='direct', or dropout and samples",
        ),
        (
            lambda: make(1, mode="recursive", linear_rows=2),
            ValueError,
            "mode='recursive' has no linear path: use mode='direct', or linear_rows=0",
        ),
        (
            lambda: make(1, mode="recursive", lstm_rows=2),
            ValueError,
            "mode='recursive' reads all rows of x: use mode='direct', or lstm_rows=None",
        ),
        (
            lambda: make(1, lstm_rows=0),
            ValueError,
            "lstm_rows must be at least 1, got 0",
        ),
        (
            lambda: make(1, linear_rows=-1),
            ValueError,
            "linear_rows must be at least 0, got -1",
        ),
        (
            lambda: masked(make(H, 2, 1, linear_rows=2), np.ones((B, T), bool)),
            ValueError,
            "mask was given, but the linear path reads the last rows of x, which must be real",
        ),
        (
            lambda: masked(make(H, 2, 1, linear_rows=T + 1), None),
            ValueError,
            "x has 5 steps, but the linear path reads the last 6 rows",
        ),
        (lambda: make(1, quantiles=(0.5, 0.5)), ValueError, r"quantiles must rise, between 0 and"),
        (lambda: make(1, quantiles=(0.0, 0.5)), ValueError, r"quantiles must rise, between 0 and"),
        (lambda: make(1, quantiles=0.5), TypeError, r"quantiles must be numbers such as \(0.1"),
        (lambda: make(1, dropout=1), ValueError, "dropout must be at least 0 and below 1, got 1"),
        (lambda: make(1, activation="rellu"), ValueError, "activation 'rellu' is not known"),
        (
            lambda: MODEL.apply(PARAMS, X),
            ValueError,
            r"future is missing: the last 1 columns .* 4,",
        ),
        (
            lambda: MODEL.apply(PARAMS, X, FUTURE[:, 1:]),
            ValueError,
            r"future has shape \(3, 3, 1\) but the model and x need \(3, 4, 1\)",
        ),
        (
            lambda: make(H).apply(weights(make(H)), X, FUTURE),
            ValueError,
            "future was given but the model has future_covariates=0: leave it out",
        ),
        (
            lambda: MODEL.apply(PARAMS, X[..., :2], FUTURE),
            ValueError,
            "x has 2 features but params.kernel expects 3",
        ),
        (lambda: MODEL.apply(PARAMS, X[:, :0], FUTURE), ValueError, "x has no steps: a forecast"),
        (lambda: MODEL.apply(PARAMS, X.tolist(), FUTURE), TypeError, "x must be an array"),
        (lambda: MODEL.apply(PARAMS, X, FUTURE, key=3), TypeError, "key must be a random key"),
        *(
            (partial(masked, model, mask), error, message)
            for model in (MODEL, RECURSIVE["recursive, covariates"])
            for mask, error, message in (
                (np.ones((B, T + 1), bool), ValueError, r"mask has shape \(3, 6\) but x needs"),
                (np.ones((B, T)), ValueError, "mask must be bool"),
                ([[True] * T] * B, TypeError, "mask must be an array"),
            )
        ),
        (
            lambda: MODEL.apply(PARAMS, X, FUTURE, edits={"head": None}),
            ValueError,
            "edits names 'head' but the LSTM layers are lstm_0",
        ),
        (
            lambda: MODEL.loss(PARAMS, {"x": X, "future": FUTURE, "target": FUTURE}),
            ValueError,
            r"target has shape \(3, 4, 1\) but must be \(3, 4, 2\)",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


# The loss of quantiles.


@given(seed=seeds)
def test_quantile_loss_against_scikit_learn(seed):
    from sklearn.metrics import mean_pinball_loss

    rng = np.random.default_rng(seed)
    levels = (0.1, 0.5, 0.8)
    forecast, target = rng.normal(size=(4, 2, 3)), rng.normal(size=(4, 2))
    expected = np.mean(
        [
            mean_pinball_loss(target.ravel(), forecast[..., i].ravel(), alpha=level)
            for i, level in enumerate(levels)
        ]
    )
    assert lc.quantile_loss(forecast, target, levels) == pytest.approx(expected, rel=1e-5)


def test_the_best_constant_is_the_quantile(rng):
    target = jnp.asarray(rng.normal(size=501), jnp.float32)
    grid = np.linspace(-2, 2, 401, dtype=np.float32)
    for level in (0.1, 0.5, 0.8):
        losses = [
            lc.quantile_loss(np.full((501, 1), guess), target, (level,)) for guess in grid[::10]
        ]
        assert abs(grid[::10][np.argmin(losses)] - np.quantile(target, level)) <= 0.11


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((X, X, (0.5,)), ValueError, r"forecast has shape .* 1 quantiles need \(3, 5, 3, 1\)"),
        ((X[..., :1].astype(int), X[..., 0], (0.5,)), ValueError, "forecast must be floating poi"),
        (([1.0], X, (0.5,)), TypeError, "forecast must be an array, got list"),
        ((X, X[..., 0], (0.5, 0.4, 0.6)), ValueError, "quantiles must rise"),
    ],
)
def test_errors_of_quantile_loss(arguments, error, message):
    with pytest.raises(error, match=message):
        lc.quantile_loss(*arguments)
