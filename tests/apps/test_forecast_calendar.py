"""Forecasts that read the calendar from the times of a table."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from manifests import forge

import lstmcore as lc
from lstmcore import series
from lstmcore.apps.forecasting import Settings, Trained, backtest, linear, train
from lstmcore.apps.forecasting.settings import build
from lstmcore.series.row_index import clock_of, first_rows

# A week of 56 rows, of which the maps read 8.
SMALL = Settings(window=8, horizon=4, units=2, epochs=1, batch_size=512, season=0, test=0.2)
STEP = "3h"


def weekly(rows=56 * 12, seed=0):
    """Another level for each of the 56 rows of a week, in no order that 8 rows would show."""
    rng = np.random.default_rng(seed)
    pattern = rng.normal(size=56) * 3
    return pattern[np.arange(rows) % 56] + 0.5 * rng.normal(size=rows) + 20


def frame_of(values, first="2024-01-01", freq=STEP, **options):
    times = pd.date_range(first, periods=len(values), freq=freq, name="time", **options)
    return pd.DataFrame({"load": values}, index=times)


@pytest.fixture(scope="module")
def frame():
    return frame_of(weekly())


@pytest.fixture(scope="module")
def trained(frame):
    return train(frame, settings=SMALL)


def error(trained, table):
    return trained.evaluate(table).scores["model"].mae[0]


def test_a_pattern_longer_than_the_window_is_found_by_the_calendar(frame, trained):
    without = train(frame, settings=replace(SMALL, calendar="off"))
    assert dict(trained.cycles) == {"week": 28}
    assert error(trained, frame) < 0.5 * error(without, frame)
    assert any("is read" in sentence for sentence in trained.choices())
    assert not without.cycles
    assert not any("times of the rows" in sentence for sentence in without.choices())


@pytest.mark.parametrize("kind", ["noise", "walk"])
def test_of_noise_and_random_walks_it_is_left_out(kind):
    noise = np.random.default_rng(0).normal(size=400)
    noise = noise.cumsum() if kind == "walk" else noise
    trained = train(frame_of(noise), settings=SMALL)
    assert trained.cycles == ()
    assert trained.model.calendar == 0
    assert any("is not read" in sentence for sentence in trained.choices())


def test_it_can_be_asked_for():
    noise = np.random.default_rng(0).normal(size=400)
    for search in (True, False):
        asked = train(frame_of(noise), settings=replace(SMALL, calendar="on", search=search))
        assert dict(asked.cycles) == {"week": 28}


def test_forecasts_follow_the_times_not_the_rows(frame, trained):
    """Rows that begin three days later go on in another part of the week."""
    values = weekly()
    shifted = frame.iloc[24:]
    expected = trained.forecast(frame).point
    np.testing.assert_allclose(trained.forecast(shifted).point, expected, rtol=1e-5)
    elsewhere = frame_of(values, first="2024-01-04")
    assert np.abs(trained.forecast(elsewhere).point - expected).max() > 0.5


def test_frames_of_other_libraries_and_tables_give_the_same(frame, trained, tmp_path):
    expected = trained.forecast(frame)
    polars = pl.from_pandas(frame.reset_index())
    path = tmp_path / "load.csv"
    frame.to_csv(path)
    for table in (polars, series.read_csv(path)):
        np.testing.assert_allclose(trained.forecast(table).point, expected.point, rtol=1e-5)
    again = train(table, settings=SMALL)
    assert again.cycles == trained.cycles
    np.testing.assert_allclose(again.forecast(table).point, expected.point, rtol=1e-3)
    assert expected.to_frame().index[0] == frame.index[-1] + pd.Timedelta(STEP)


def test_saved_and_loaded_it_forecasts_another_table(frame, trained, tmp_path):
    trained.save(tmp_path / "model")
    loaded = Trained.load(tmp_path / "model")
    assert loaded.cycles == trained.cycles
    assert loaded.candidates == trained.candidates
    later = frame_of(weekly(56 * 14)).iloc[100:]
    origins = [len(later) - 2, len(later)]
    np.testing.assert_array_equal(
        loaded.forecast(later, origins).point, trained.forecast(later, origins).point
    )


def test_files_of_earlier_versions_know_no_calendar(frame, tmp_path):
    trained = train(frame.to_numpy(), ["load"], replace(SMALL, linear_rows=8, search=False))
    trained.save(tmp_path)
    place = tmp_path / "forecast.json"
    stored = json.loads(place.read_text())
    assert stored["candidates"]
    del stored["cycles"], stored["settings"]["calendar"]
    stored["candidates"] = [one[:5] for one in stored["candidates"]] + [[8, [], 0.5]]
    place.write_text(json.dumps(stored))
    forge(tmp_path)
    loaded = Trained.load(tmp_path)
    assert loaded.settings.calendar == "off"
    assert loaded.candidates == trained.candidates


def test_tables_without_times_are_refused(frame, trained):
    match = "values has no times, but the model reads the time of the week"
    for table in (frame.to_numpy(), frame.reset_index(drop=True), {"load": weekly()}):
        with pytest.raises(ValueError, match=match):
            trained.forecast(table)
    with pytest.raises(ValueError, match=match):
        train(frame.to_numpy(), ["load"], start=trained)
    with pytest.raises(ValueError, match="needs the times of the rows"):
        train(frame.to_numpy(), ["load"], replace(SMALL, calendar="on"))


def test_arrays_have_no_calendar(frame):
    trained = train(frame.to_numpy(), ["load"], SMALL)
    assert trained.cycles == ()
    assert len(trained.forecast(frame.to_numpy()).point) == 1


def test_errors_of_a_calendar_that_cannot_be_read():
    with pytest.raises(ValueError, match="calendar='on' needs a linear map"):
        replace(SMALL, calendar="on", linear=False)
    with pytest.raises(ValueError, match="does not show a day, a week or a year twice"):
        train(
            frame_of(np.arange(60.0), freq="YS", first="1900"),
            settings=replace(SMALL, calendar="on"),
        )


def test_it_goes_with_future_covariates(frame):
    rng = np.random.default_rng(1)
    plan = rng.normal(size=len(frame) + 4)
    table = frame.assign(load=frame["load"] + 2 * plan[:-4], plan=plan[:-4])
    trained = train(table, settings=replace(SMALL, future_covariates=("plan",)))
    assert trained.cycles
    low = trained.forecast(table, future=plan[-4:, None]).point
    high = trained.forecast(table, future=plan[-4:, None] + 1).point
    np.testing.assert_allclose(high - low, 2, atol=0.3)
    assert error(trained, table) < 1


def test_training_goes_on_with_the_same_calendar(trained):
    longer = frame_of(weekly(56 * 13))
    again = train(longer, start=trained)
    assert again.cycles == trained.cycles
    assert error(again, longer) < 1


def test_quantiles_read_it_too(frame):
    settings = replace(SMALL, quantiles=(0.1, 0.5, 0.9), search=False, calendar="on")
    trained = train(frame, settings=settings)
    assert trained.cycles
    assert error(trained, frame) < 1


def test_a_backtest_reads_it(frame):
    result = backtest(frame, settings=replace(SMALL, search=False, calendar="on"), folds=2)
    assert result.trained.cycles
    assert result.scores["model"].mae[0] < 1


def test_traces_come_with_the_forecast_in_model_units(frame, trained):
    run = trained.run(frame)
    scale, offset = trained.preprocessor.scaler.scale, trained.preprocessor.scaler.offset
    np.testing.assert_allclose(
        np.asarray(run.outputs) * scale + offset, trained.forecast(frame).point, rtol=1e-4
    )


def test_the_local_clock_is_read_where_clocks_change():
    values = np.arange(24.0 * 10)
    berlin = frame_of(values, "2024-03-28", "h", tz="Europe/Berlin")
    clock = clock_of(berlin, np.arange(len(berlin) + 2))
    assert clock[:48].tolist() == frame_of(values, "2024-03-28", "h").index[:48].to_list()
    assert (clock[100] - clock[0]) / np.timedelta64(1, "h") == 101  # an hour was left out
    assert clock[-1].astype("M8[h]") == np.datetime64("2024-04-07T02", "h")


def test_times_of_several_offsets_have_no_calendar_without_their_zone(tmp_path):
    """Their local clock is not known; in UTC a day would begin an hour earlier in summer."""
    hours = pd.date_range("2024-03-01", periods=24 * 50, freq="h", tz="Europe/Berlin")
    level = 5 * np.random.default_rng(0).normal(size=24)
    path = tmp_path / "berlin.csv"
    pd.DataFrame({"time": hours, "load": level[hours.hour]}).to_csv(path, index=False)
    settings = replace(SMALL, horizon=6, window=6, calendar="on")
    both = series.read_csv(path)
    with pytest.raises(ValueError, match=r"several offsets from UTC.*--time-zone Europe/Berlin"):
        train(both, settings=settings)
    assert train(both, settings=replace(settings, calendar="auto")).cycles == ()
    by_zone = train(series.read_csv(path, time_zone="Europe/Berlin"), settings=settings)
    assert by_zone.cycles
    with pytest.raises(ValueError, match="several offsets from UTC"):
        by_zone.forecast(both)


def test_rows_at_irregular_times_have_no_calendar(tmp_path):
    """It is said before training that the times of the next rows are not known."""
    rng = np.random.default_rng(0)
    seconds = (np.arange(400) * 10_800 + rng.integers(9_000, size=400)).astype("m8[s]")
    path = tmp_path / "events.csv"
    times = np.datetime64("2024-01-01", "s") + seconds
    pd.DataFrame({"time": times, "load": rng.normal(size=400)}).to_csv(path, index=False)
    table = series.read_csv(path, consecutive=True)
    assert train(table, settings=SMALL).cycles == ()
    with pytest.raises(ValueError, match=r"do not say what comes next.*--calendar off"):
        train(table, settings=replace(SMALL, calendar="on"))


@pytest.mark.parametrize("rows", [3, 240])
def test_first_rows_keep_their_times(rows):
    frame = frame_of(weekly(rows))
    table = series.Table(("load",), frame.to_numpy(), range(rows))
    tables = [frame, pl.from_pandas(frame.reset_index()), {"load": weekly(rows)}, table]
    for one in [*tables, frame["load"]]:
        some = first_rows(one, 2)
        clock = clock_of(one, np.arange(2))
        if clock is not None:
            assert clock_of(some, np.arange(2)).tolist() == clock.tolist()
        assert len(some.values if isinstance(one, series.Table) else some) in (1, 2)


# The map, and the model.


@pytest.mark.parametrize("towards", linear.TOWARDS)
@pytest.mark.parametrize("lags", [(), (1,), (3, 1)])
def test_the_map_of_rows_and_calendar_equals_the_regression(towards, lags):
    """What follows from the calendar alone is forecast exactly."""
    angles = np.arange(120) * 2 * np.pi / 40
    calendar = np.stack([np.sin(angles), np.cos(angles)], axis=1)
    values = 5 + 3 * calendar[:, :1] + np.random.default_rng(0).normal(size=(120, 2)) * [0, 1]
    rows = linear.Rows(values, horizon=3, targets=1, calendar=calendar)
    fitted = linear.fit_linear(rows, 2, lags, towards, calendar=True)
    origins = rows.origins(2 + sum(lags))
    forecast = linear.outputs_of(fitted, rows, origins)
    np.testing.assert_allclose(forecast, rows.truth(origins), atol=1e-3)
    without = linear.fit_linear(rows, 2, lags, towards)
    assert without.kernel.shape == fitted.kernel.shape
    assert not np.any(without.kernel[-2:])


def test_a_map_of_several_tables_reads_the_calendar_of_each():
    rng, tables = np.random.default_rng(0), []
    for rows, start in ((70, 0), (2, 5), (90, 13)):  # the second is too short for differences
        angles = (start + np.arange(rows)) * 2 * np.pi / 40
        calendar = np.stack([np.sin(angles), np.cos(angles)], axis=1)
        values = 5 + 3 * calendar[:, :1] + rng.normal(size=(rows, 2)) * [0, 1]
        tables.append(linear.Rows(values, horizon=3, targets=1, calendar=calendar))
    rows = linear.stacked(tables)
    for one, table in zip(rows.tables, tables, strict=True):
        np.testing.assert_array_equal(one.values, table.values)
        np.testing.assert_array_equal(one.calendar, table.calendar)
    fitted = linear.fit_linear(rows, 2, (3,), calendar=True)
    origins = rows.origins(2 + 3)
    np.testing.assert_allclose(
        linear.outputs_of(fitted, rows, origins), rows.truth(origins), atol=1e-3
    )


def test_the_linear_path_reads_the_calendar_but_not_what_tells_series_apart():
    import jax

    model = lc.Forecaster(
        1, 2, 2, linear_rows=4, future_covariates=0, calendar=3, static=2, series=5, embedding=4
    )
    assert model.layers["head"].features == 2 + 3 + 2 + 4
    assert model.layers["linear"].features == 4 + 3
    params, x = model.init(jax.random.key(0)), np.ones((6, 4, 1), np.float32)
    params["head"] = jax.tree.map(np.zeros_like, params["head"])  # what is left is linear
    given = {
        "calendar": np.ones((6, 3), np.float32),
        "static": np.ones((6, 2), np.float32),
        "series": np.arange(6) % 5,
    }
    whole = model.apply(params, x, **given)[0]
    for name, is_read in (("calendar", True), ("static", False), ("series", False)):
        changed = model.apply(params, x, **given | {name: 0 * given[name]})[0]
        assert (np.abs(changed - whole).max() > 1e-3) == is_read
    batch = {"x": x, "target": whole, **given}
    np.testing.assert_allclose(model.loss(params, batch), 0, atol=1e-12)


def test_the_model_reads_its_calendar_in_the_head_and_the_linear_path():
    settings = replace(SMALL, horizon=2)
    model = build(settings, ["load"], calendar=3)
    assert model.layers["head"].features == 2 + 3
    assert model.layers["linear"].features == 8 + 3
    import jax

    params, x = model.init(jax.random.key(0)), np.ones((5, 8, 1), np.float32)
    some = [model.apply(params, x, calendar=np.full((5, 3), n, np.float32))[0] for n in (0, 1)]
    assert np.abs(some[0] - some[1]).max() > 1e-3
    with pytest.raises(ValueError, match=r"calendar is missing.*\(5, 3\)"):
        model.apply(params, x)
    with pytest.raises(ValueError, match=r"calendar has shape \(5, 2\) but must be \(5, 3\)"):
        model.apply(params, x, calendar=np.ones((5, 2), np.float32))
    plain = build(settings, ["load"])
    with pytest.raises(ValueError, match="the model has calendar=0"):
        plain.apply(plain.init(jax.random.key(0)), x, calendar=np.ones((5, 3), np.float32))
    with pytest.raises(ValueError, match="no head of all rows, which reads the calendar"):
        lc.Forecaster(1, 2, 3, mode="recursive", calendar=2)
