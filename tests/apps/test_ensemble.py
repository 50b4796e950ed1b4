"""An ensemble of forecasters: its members learn alone, and are then joined into one model."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstmcore as lc
from lstmcore.apps import forecasting
from lstmcore.apps.forecasting.ensemble import Ensemble
from lstmcore.apps.training import adam

MEMBERS, BATCH = 3, 4
EVERYTHING = {
    "targets": 2,
    "future_covariates": 1,
    "calendar": 3,
    "static": 2,
    "series": 5,
    "embedding": MEMBERS * 2,
}
MODELS = {
    "one layer": lc.Forecaster(1, MEMBERS * 4, horizon=2),
    "two layers": lc.Forecaster(2, (MEMBERS * 4, MEMBERS * 3), horizon=2),
    "everything": lc.Forecaster(4, (MEMBERS * 2, MEMBERS * 4), horizon=2, **EVERYTHING),
}
SETTINGS = forecasting.Settings(
    window=6, horizon=2, units=2, epochs=3, linear=False, search=False, season=0, ensemble=MEMBERS
)


def drawn(ensemble, seed=0):
    """Draw stacked params without compiling anything."""
    rng = np.random.default_rng(seed)
    return {
        name: layer.kind(
            *(jnp.asarray(rng.normal(size=(MEMBERS, *shape))) for shape in layer.shapes().values())
        )
        for name, layer in ensemble.member.layers.items()
    }


def inputs_of(model, steps=5):
    rng = np.random.default_rng(1)
    known = {"x": rng.normal(size=(BATCH, steps, model.features))}
    if model.future_covariates:
        known["future"] = rng.normal(size=(BATCH, model.horizon, model.future_covariates))
        known["calendar"] = rng.normal(size=(BATCH, model.calendar))
        known["static"] = rng.normal(size=(BATCH, model.static))
        known["series"] = np.array([0, 4, 2, -1])
    return known


def wave(rows=160):
    noise = np.random.default_rng(0).normal(size=rows)
    return np.sin(np.arange(rows) / 3) + 0.3 * noise


@cache
def trained(**changes) -> forecasting.Trained:
    return forecasting.train(wave(), ["wave"], replace(SETTINGS, **changes))


def member_of(params, place):
    return jax.tree.map(lambda array: np.asarray(array)[place], params)


def numbers(params) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(params)])


@pytest.mark.parametrize("kind", MODELS)
def test_the_joined_forecast_is_the_mean_of_those_of_the_members(kind):
    ensemble = Ensemble(MODELS[kind], MEMBERS)
    stacked, known = drawn(ensemble), inputs_of(MODELS[kind])
    members = [
        ensemble.member.apply(member_of(stacked, place), **known, ops=lc.reference)
        for place in range(MEMBERS)
    ]
    joined, traces = ensemble.joined.apply(ensemble.join(stacked), **known, ops=lc.reference)
    np.testing.assert_allclose(joined, np.mean([one for one, _ in members], axis=0), atol=1e-5)
    for name, trace in traces.items():  # of the members, side by side
        gates = [of_member[name].gates.forget for _, of_member in members]
        np.testing.assert_allclose(trace.gates.forget, np.concatenate(gates, axis=-1), atol=1e-5)


@pytest.mark.parametrize("kind", MODELS)
def test_split_is_the_inverse_of_join(kind):
    ensemble = Ensemble(MODELS[kind], MEMBERS)
    stacked = drawn(ensemble)
    joined = ensemble.join(stacked)
    again = ensemble.split(joined)
    np.testing.assert_allclose(numbers(ensemble.join(again)), numbers(joined), atol=1e-6)
    layers = [name for name in stacked if name != "head"]
    for name in layers:
        assert jax.tree.all(jax.tree.map(np.array_equal, again[name], stacked[name]))
    units = ensemble.member.units[-1]
    kernels = [params["head"].kernel[:, :units] for params in (again, stacked)]
    np.testing.assert_allclose(*kernels, atol=1e-6)


def test_each_member_learns_as_if_it_were_alone():
    """The same batches, of which one with large values has a gradient that is clipped."""
    ensemble = Ensemble(lc.Forecaster(1, MEMBERS * 2, horizon=2), MEMBERS)
    rng = np.random.default_rng(0)
    data = {name: rng.normal(size=(12, rows, 1)) for name, rows in (("x", 5), ("target", 2))}
    data["target"][3] *= 100
    data = {name: values.astype(np.float32) for name, values in data.items()}
    running = {"epochs": 4, "batch_size": 4, "key": jax.random.key(1)}
    start = ensemble.init(jax.random.key(0))
    optimizer = adam(0.01, members=MEMBERS)
    together = lc.fit(ensemble.loss, start, data, optimizer=optimizer, **running)
    alone = [
        lc.fit(ensemble.member.loss, member_of(start, place), data, optimizer=adam(0.01), **running)
        for place in range(MEMBERS)
    ]
    for place, one in enumerate(alone):
        found = member_of(together.params, place)
        np.testing.assert_allclose(numbers(found), numbers(one.params), atol=1e-3)
    means = np.mean([one.history["loss"] for one in alone], axis=0)
    np.testing.assert_allclose(together.history["loss"], means, rtol=1e-4)


def test_members_differ_after_training_and_no_weight_leads_between_them():
    model, params = trained().model, trained().params
    assert model.units == (MEMBERS * 2,)
    ensemble = Ensemble(model, MEMBERS)
    stacked = ensemble.split(params)
    assert np.unique(np.asarray(stacked["lstm_0"].kernel), axis=0).shape[0] == MEMBERS
    np.testing.assert_array_equal(
        ensemble.join(stacked)["lstm_0"].recurrent_kernel, params["lstm_0"].recurrent_kernel
    )


def test_an_ensemble_of_one_is_the_network_alone():
    model = lc.Forecaster(1, 3, horizon=2)
    ensemble = Ensemble(model, 1)
    params = ensemble.init(jax.random.key(0))
    assert ensemble.member == model
    assert ensemble.join(params) is params
    assert ensemble.split(params) is params
    np.testing.assert_array_equal(numbers(params), numbers(model.init(jax.random.key(0))))


def test_it_is_saved_as_any_other_forecaster(tmp_path):
    trained().save(tmp_path / "saved")
    loaded = forecasting.Trained.load(tmp_path / "saved")
    assert loaded.settings.ensemble == MEMBERS
    assert loaded.model == trained().model
    point = loaded.forecast(wave()).point
    np.testing.assert_array_equal(point, trained().forecast(wave()).point)
    assert loaded.run(wave()).traces["lstm_0"].h.shape == (1, 6, MEMBERS * 2)


def test_training_continues_with_all_members():
    """Steps of almost no size, without a validation part to choose by."""
    tiny = replace(trained().settings, epochs=1, learning_rate=1e-9, validation=0, patience=0)
    seen = []

    def callback(epoch, params, losses):
        seen.append(params)

    later = forecasting.train(wave(), ["wave"], tiny, start=trained(), callback=callback)
    np.testing.assert_allclose(numbers(later.params), numbers(trained().params), atol=1e-5)
    np.testing.assert_array_equal(numbers(seen[-1]), numbers(later.params))
    other = replace(trained().settings, units=MEMBERS, ensemble=2)  # as many units in all
    with pytest.raises(ValueError, match="settings describe another model or preprocessing"):
        forecasting.train(wave(), ["wave"], other, start=trained())


@pytest.mark.parametrize(
    "changes",
    [
        {"quantiles": (0.1, 0.5, 0.9)},
        {"dropout": 0.2, "linear": True},
    ],
)
def test_every_kind_of_forecast_has_ensembles(changes):
    model = trained(**changes)
    samples = 5 if model.model.dropout else 0
    forecast = model.forecast(wave(), samples=samples)
    assert np.isfinite(forecast.point).all()
    if model.model.quantiles or samples:
        low, high = forecast.interval()
        assert (low < high).all()


def test_many_series_have_vectors_in_every_member():
    waves = {f"wave {place}": wave(90)[: 80 + place] for place in range(3)}
    many = forecasting.train_many(waves, ["height"], SETTINGS)
    assert many.model.units == (MEMBERS * 2,)
    assert many.embedding % MEMBERS == 0
    assert np.isfinite(many.forecast(waves)["wave 1"].point).all()


def test_an_ensemble_has_at_least_one_member():
    with pytest.raises(ValueError, match="ensemble must be at least 1, got 0"):
        forecasting.Settings(ensemble=0)


def test_networks_that_would_read_forecasts_of_their_own_are_refused():
    with pytest.raises(ValueError, match="ensemble=2 needs mode='direct'"):
        forecasting.Settings(mode="recursive", ensemble=2)


def test_many_series_continue_with_as_many_networks():
    waves = {f"wave {place}": wave(90)[: 80 + place] for place in range(2)}
    many = forecasting.train_many(waves, ["height"], SETTINGS, embedding=0)
    other = replace(many.settings, units=MEMBERS * 2, ensemble=1)  # as many units in all
    with pytest.raises(ValueError, match="settings describe another model or preprocessing"):
        forecasting.train_many(waves, ["height"], other, start=many)
