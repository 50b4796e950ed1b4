"""Training that continues from an earlier model: its weights and preprocessing are kept."""

from dataclasses import replace
from functools import cache

import jax
import numpy as np
import pytest

from lstmcore import anomalies, forecasting
from lstmcore.apps.forecasting.training import check_rows
from lstmcore.series import Preprocessing

ROWS = 160
KINDS = {
    "linear path": forecasting.Settings(window=6, horizon=2, units=3, epochs=3),
    "LSTM alone": forecasting.Settings(window=6, horizon=2, units=3, epochs=3, linear=False),
    "recursive": forecasting.Settings(window=6, horizon=2, units=3, epochs=3, mode="recursive"),
    "quantiles": forecasting.Settings(
        window=6, horizon=2, units=3, epochs=3, quantiles=(0.1, 0.5, 0.9)
    ),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def wave(rows=2 * ROWS):
    noise = np.random.default_rng(0).normal(size=rows)
    return np.sin(np.arange(rows) / 3) * np.linspace(3, 9, rows) + 0.3 * noise


@cache
def earlier(kind) -> forecasting.Trained:
    return forecasting.train(wave(ROWS), ["wave"], KINDS[kind])


def are_close(params, others, tolerance=0.0) -> bool:
    return jax.tree.all(
        jax.tree.map(lambda a, b: np.allclose(a, b, rtol=tolerance, atol=tolerance), params, others)
    )


@every_kind
def test_all_but_the_weights_is_kept(kind):
    trained = earlier(kind)
    later = forecasting.train(wave(), ["wave"], start=trained)
    assert later.preprocessor.to_json() == trained.preprocessor.to_json()
    kept = {"season": trained.settings.season, "search": False}
    assert later.settings == replace(trained.settings, **kept)
    assert later.split == check_rows(2 * ROWS, trained.settings)


@pytest.mark.parametrize("kind", ["LSTM alone", "recursive"])
def test_it_starts_from_the_weights_of_the_earlier_model(kind):
    """Steps of almost no size, without a validation part to choose by."""
    tiny = replace(earlier(kind).settings, epochs=1, learning_rate=1e-9, validation=0, patience=0)
    later = forecasting.train(wave(), ["wave"], tiny, start=earlier(kind))
    assert are_close(later.params, earlier(kind).params, 1e-5)
    assert not are_close(forecasting.train(wave(), ["wave"], tiny).params, later.params, 1e-2)


@every_kind
def test_it_is_no_worse_than_the_earlier_model_where_it_is_validated(kind):
    """Whatever a training with much too large steps does to the weights."""
    trained = earlier(kind)
    coarse = replace(trained.settings, learning_rate=10.0)
    later = forecasting.train(wave(), ["wave"], coarse, start=trained)
    part = later.split.validation
    rows = wave()[: part.stop]
    mse = [
        np.mean((one.evaluate(rows, start=part.start).actual
                 - one.evaluate(rows, start=part.start).forecast.point) ** 2)
        for one in (trained, later)
    ]  # fmt: skip
    if trained.settings.quantiles:  # validated by another loss
        assert np.isfinite(mse).all()
    else:
        assert mse[1] <= mse[0] * (1 + 1e-5)


def test_rows_that_the_earlier_model_was_trained_on_do_not_speak_for_it():
    """It would nearly always be better there."""
    whole = replace(KINDS["LSTM alone"], validation=0, test=0, epochs=30)
    trained = forecasting.train(wave(ROWS), ["wave"], whole)
    within = replace(trained.settings, validation=30, test=40, epochs=1, learning_rate=1e-9)
    later = forecasting.train(wave(ROWS + 20), ["wave"], within, start=trained)
    assert later.split.validation.stop <= ROWS
    assert later.params is not trained.params


def test_more_training_on_more_rows_helps():
    trained = earlier("LSTM alone")
    longer = replace(trained.settings, epochs=40)
    later = forecasting.train(wave(), ["wave"], longer, start=trained)
    errors = [one.evaluate(wave(), start=280).scores["model"].mae[0] for one in (trained, later)]
    assert errors[1] < 0.9 * errors[0]


@pytest.mark.parametrize(
    ("columns", "changes", "message"),
    [
        (["tide"], {}, "start was trained on the columns wave, but values has tide"),
        (
            ["wave"],
            {"units": (4,)},
            "settings describe another model or preprocessing than those of",
        ),
        (["wave"], {"season": 4}, "settings describe another model or preprocessing than those of"),
        (["wave"], {"preprocessing": Preprocessing("mean")}, "or preprocessing than those"),
        (["wave"], {"horizon": 3}, r"replace\(start.settings, epochs=5\)"),
    ],
)
def test_another_model(columns, changes, message):
    trained = earlier("linear path")
    with pytest.raises(ValueError, match=message):
        forecasting.train(wave(), columns, replace(trained.settings, **changes), start=trained)


@cache
def detector() -> anomalies.Detector:
    return anomalies.train(wave(ROWS), anomalies.Settings(window=6, units=(3,), epochs=3))


def test_a_detector_keeps_its_preprocessing_and_is_set_by_the_new_rows():
    settings = replace(detector().settings, epochs=1, learning_rate=1e-9, patience=0)
    later = anomalies.train(wave(), settings, start=detector())
    assert later.preprocessor.to_json() == detector().preprocessor.to_json()
    assert are_close(later.params, detector().params, 1e-5)
    np.testing.assert_allclose(later.training_errors, detector().errors(wave()), atol=1e-4)
    assert anomalies.train(wave(), start=detector()).settings == detector().settings


@pytest.mark.parametrize(
    "changes", [{"units": (4,)}, {"preprocessing": Preprocessing(scaling="minmax")}]
)
def test_another_detector(changes):
    settings = replace(detector().settings, **changes)
    with pytest.raises(ValueError, match="another model or preprocessing than those of start"):
        anomalies.train(wave(), settings, start=detector())


def test_a_detector_of_other_columns():
    with pytest.raises(
        ValueError, match="table has 2 columns but the preprocessor was fitted on 1"
    ):
        anomalies.train(np.stack([wave(), wave()], 1), start=detector())
