"""Anomalies in separate series: nothing reaches from one into another; whole ones are judged."""

from dataclasses import replace

import numpy as np
import pandas
import pytest

from lstmcore import anomalies, series
from lstmcore.apps.anomalies import Settings, adaptive
from lstmcore.apps.anomalies.detection import Detection
from lstmcore.apps.anomalies.examples import prepare_separate, training_windows
from lstmcore.apps.anomalies.levels import fit_levels, own_levels_fit

STEPS = 32
FAST = {"units": 8, "learning_rate": 0.02, "epochs": 30}
SETTINGS = {
    "whole windows": Settings(window=STEPS - 1, **FAST),
    "parts of windows": Settings(window=8, horizon=2, **FAST),
    "reconstruction": Settings(method="reconstruction", window=STEPS, **FAST),
}


def beats(count, seed=0, odd=()):
    """Pulses of about the same shape, [count, STEPS, 1]; odd ones are upside down."""
    rng = np.random.default_rng(seed)
    place = np.arange(STEPS) - 12 + rng.normal(0, 0.3, (count, 1))
    pulse = np.exp(-0.5 * (place / 2) ** 2) * rng.uniform(0.9, 1.1, (count, 1))
    pulse[list(odd)] *= -1
    return (pulse + 0.05 * rng.normal(size=pulse.shape))[:, :, None]


@pytest.fixture(scope="module", params=SETTINGS)
def detector(request):
    return anomalies.train(beats(230), SETTINGS[request.param])


# Whole windows.


def test_odd_beats_are_found_and_few_others(detector):
    odd = [3, 50]
    result = anomalies.detect(detector, beats(100, 1, odd))
    assert result.flags[odd].all()
    assert result.flags.sum() <= 2 + 8
    assert all(result[place].events for place in odd)
    frame = result.to_frame()
    assert list(frame.columns) == [
        "series", "score", "is_anomalous", "events", "rows", "flagged_rows",
    ]  # fmt: skip
    assert frame["rows"].eq(STEPS).all()
    assert set(odd) <= set(result.events_to_frame()["series"])
    assert "odd as a whole" in repr(result)
    assert "<table" in result._repr_html_()


def test_the_threshold_is_of_held_out_windows(detector):
    held_out = 23
    assert detector.validation_start == (230 - held_out) * STEPS
    assert detector.lengths == (STEPS,) * 230
    assert sorted(map(int, detector.ids)) == list(range(230))
    assert list(detector.ids[:207]) != sorted(detector.ids[:207], key=int)[:206]
    result = anomalies.detect(detector, beats(4), score="mean", threshold="maximum")
    errors = np.split(detector.validation_errors, held_out)
    means = [np.nanmean(np.abs(each)) for each in errors]
    assert result.threshold.value == pytest.approx(max(means))
    assert result[0].threshold.value == pytest.approx(np.nanmax(np.abs(detector.validation_errors)))
    assert result.held_out.rows == held_out
    assert 1 <= result.held_out.flagged <= 5  # the largest of all, and others in their fifths
    assert result[0].held_out.rows == np.isfinite(detector.validation_errors).all(axis=1).sum()


def test_models_of_whole_windows_score_every_row_but_the_first(detector):
    errors = detector.errors_of({"a": beats(1)[0]})[0]
    unscored = {"prediction": 1, "reconstruction": 0}[detector.settings.method]
    if detector.settings.window == 8:
        unscored = 8
    np.testing.assert_array_equal(np.isnan(errors[:, 0]), np.arange(STEPS) < unscored)


# Nothing reaches from one into another.


def test_each_window_is_scored_as_if_it_were_alone(detector):
    values = beats(70, 2)
    together = anomalies.detect(detector, values)
    for place in (0, 1, 69):
        alone = anomalies.detect(detector, values[place])
        np.testing.assert_allclose(together[place].scores, alone.scores, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(
            together[place].contributions, alone.contributions, rtol=1e-3, atol=1e-4
        )
    backward = anomalies.detect(detector, values[::-1])
    np.testing.assert_allclose(backward.scores[::-1], together.scores, rtol=1e-4)


def test_a_huge_window_changes_no_other(detector):
    values = beats(5, 3)
    before = anomalies.detect(detector, values)
    values[2] += 1000
    after = anomalies.detect(detector, values)
    for place in (0, 1, 3, 4):
        np.testing.assert_allclose(after[place].scores, before[place].scores, rtol=1e-3, atol=1e-4)
    assert after.flags[2]


def test_no_training_window_or_difference_reaches_over_an_end():
    tables = {
        name: np.full((20, 1), float(level))
        for name, level in zip("abcd", (0, 5, 9, 50), strict=True)
    }
    for table in tables.values():
        table += np.arange(20)[:, None] % 2 * 0.1
    preprocessing = series.Preprocessing(difference=(1,), scaling="none")
    settings = Settings(window=3, season=0, validation=0.25, preprocessing=preprocessing)
    data = prepare_separate(tables, settings, has_names=False)
    assert np.abs(data.training).max() < 0.11  # a difference from one to another is 4 or more
    assert len(data.training) == 3 * (20 - 1 - 4 + 1)
    assert data.validation.shape == (20 - 1 - 4 + 1, 4, 1)
    assert list(data.tables)[:3] == sorted(list(data.tables)[:3])
    ends = training_windows([np.zeros((6, 1)), np.ones((9, 1))], settings)
    assert len(ends) == 3 + 6
    assert (np.ptp(ends, axis=1) == 0).all()


def test_lists_of_different_lengths_and_long_series():
    rng = np.random.default_rng(0)
    lengths = [60, 90, 1100, 75]
    values = [np.sin(np.arange(n) / 3)[:, None] + 0.1 * rng.normal(size=(n, 1)) for n in lengths]
    detector = anomalies.train(values, Settings(window=12, season=0, **FAST | {"epochs": 2}))
    assert sorted(detector.lengths) == sorted(lengths)
    found = anomalies.detect(detector, values)
    for place, table in enumerate(values):
        expected = detector.errors(table)
        score = anomalies.detect(detector, table).score
        np.testing.assert_allclose(found[place].scores, score(expected), rtol=1e-2, atol=1e-3)


def test_an_adaptive_score_of_separate_series_begins_each_with_the_same_memory():
    rng = np.random.default_rng(0)
    errors = rng.normal(size=(400, 1))
    score = anomalies.fit_adaptive(errors, 8, [40] * 10)
    assert score.long == 40
    assert score.memory.shape == (48,)
    parts = np.concatenate(
        [adaptive._counted(score, np.abs(e[:, 0])) for e in np.split(errors, 10)]
    )
    assert np.nanmax((parts - score.medians) / score.units) >= 1
    with pytest.raises(ValueError, match="lengths add up to 30 but errors has 400 rows"):
        anomalies.fit_adaptive(errors, 8, [10] * 3)


def test_windows_that_all_end_far_out_do_not_drift():
    rng = np.random.default_rng(0)
    values = (np.arange(30.0) + rng.normal(size=(40, 30)))[:, :, None]
    settings = Settings(window=12, units=2, epochs=1)
    windows = prepare_separate(dict(enumerate(values)), settings, has_names=False)
    assert windows.settings.preprocessing.difference == ()
    machines = prepare_separate(dict(zip(map(str, range(40)), values, strict=True)), settings)
    assert machines.settings.preprocessing.difference == (1,)
    whole = replace(settings, window=29)
    fitting = prepare_separate(dict(zip(map(str, range(40)), values, strict=True)), whole)
    assert fitting.settings.preprocessing.difference == ()


# Ids, and levels.


def machines(rows=120, apart=100.0, seed=0):
    """A long data frame of three machines that run at different loads."""
    rng = np.random.default_rng(seed)
    frames = []
    for place, name in enumerate(["lathe", "mill", "press"]):
        wave = np.sin(np.arange(rows) * 2 * np.pi / 12 + place)
        load = place * apart + (1 + place) * (wave + 0.1 * rng.normal(size=rows))
        times = pandas.date_range("2026-01-01", periods=rows, freq="h")
        frames.append(pandas.DataFrame({"machine": name, "time": times, "load": load}))
    return pandas.concat(frames).sort_values("time", kind="stable").reset_index(drop=True)


@pytest.fixture(scope="module")
def by_machine():
    return anomalies.train(machines(), Settings(window=12, season=0, **FAST), id="machine")


def test_a_long_frame_by_its_ids(by_machine):
    assert by_machine.settings.levels == "own"
    assert set(by_machine.ids) == {"lathe", "mill", "press"}
    later = machines(seed=1)
    place = later.index[later["machine"] == "mill"][60]
    later.loc[place, "load"] += 30
    result = anomalies.detect(by_machine, later, id="machine")
    assert list(result.series) == ["lathe", "mill", "press"]
    assert any(event.start <= 60 < event.stop for event in result["mill"].events)
    events = result.events_to_frame()
    row = events[events["machine"] == "mill"].iloc[0]
    assert str(row["first"]).startswith("2026-01-03")


def test_the_series_of_a_file_by_their_ids(by_machine, tmp_path):
    path = tmp_path / "machines.csv"
    machines().to_csv(path, index=False)
    read = series.read_many(path, "machine")
    detector = anomalies.train(read, replace(by_machine.settings, epochs=1, levels="own"))
    assert set(detector.ids) == {"lathe", "mill", "press"}
    result = anomalies.detect(by_machine, read)
    expected = anomalies.detect(by_machine, machines(), id="machine")
    np.testing.assert_allclose(result.scores, expected.scores, rtol=1e-4)
    assert list(result.to_frame()["machine"]) == ["lathe", "mill", "press"]
    table = machines().assign(site="a")
    both = anomalies.detect(
        anomalies.train(table, Settings(window=12, units=2, epochs=1), id=("site", "machine")),
        table,
        id=("site", "machine"),
    )
    assert list(both.to_frame()["site,machine"]) == ["a/lathe", "a/mill", "a/press"]


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_times_of_events_are_those_of_each_series(by_machine, zone):
    table = machines(seed=1)
    table.loc[table["machine"].isin(["mill", "press"]) & (table.index % 40 == 0), "load"] += 30
    table["time"] = table["time"].dt.tz_localize(zone)
    for given in (table, table.set_index("time")):
        result = anomalies.detect(by_machine, given, id="machine")
        events = result.events_to_frame()
        assert events["first"].dtype.kind == "M"
        for name, of_one in events.groupby("machine"):
            alone = result[name].events_to_frame()
            for column in alone:
                assert of_one[column].tolist() == alone[column].tolist()
                assert of_one[column].dtype.kind == alone[column].dtype.kind
    mixed = {name: {"load": np.arange(40.0)} for name in ("mill", "lathe")}
    mixed["mill"] = table.loc[table["machine"] == "mill", ["time", "load"]]
    with pytest.raises(ValueError, match="some series have times and others none"):
        anomalies.detect(by_machine, mixed).events_to_frame()


@pytest.mark.parametrize("name", ["score", "events", "rows"])
def test_ids_are_not_lost_under_another_column(by_machine, name):
    result = anomalies.detect(by_machine, machines().rename(columns={"machine": name}), id=name)
    if name != "events":
        with pytest.raises(ValueError, match=f"two columns '{name}': rename that of the ids"):
            result.events_to_frame()
    with pytest.raises(ValueError, match=f"two columns '{name}': rename that of the ids"):
        result.to_frame()


def test_outputs_are_in_units_of_the_series(by_machine):
    table = machines()
    for name in ("lathe", "press"):
        values = table.loc[table["machine"] == name, ["load"]].to_numpy()
        outputs = by_machine.outputs(values, name)
        assert np.nanmean(np.abs(outputs - values)) < 1.5
        errors = by_machine.errors(values, name) * by_machine.preprocessor.scaler.scale
        np.testing.assert_allclose(
            values - outputs, errors * by_machine.levels.of(name)[1], rtol=1e-3, atol=1e-3
        )


def test_a_detector_of_separate_series_survives_its_files(by_machine, tmp_path):
    by_machine.save(tmp_path / "detector")
    loaded = anomalies.Detector.load(tmp_path / "detector")
    assert (loaded.ids, loaded.lengths) == (by_machine.ids, by_machine.lengths)
    again = anomalies.detect(loaded, machines(seed=2), id="machine")
    before = anomalies.detect(by_machine, machines(seed=2), id="machine")
    np.testing.assert_array_equal(again.scores, before.scores)


def test_training_goes_on_with_known_and_new_series(by_machine):
    more = machines(seed=3)
    more["machine"] = more["machine"].replace("lathe", "saw")
    updated = anomalies.train(
        more, replace(by_machine.settings, epochs=1), id="machine", start=by_machine
    )
    for name in ("mill", "press"):
        np.testing.assert_array_equal(updated.levels.of(name)[0], by_machine.levels.of(name)[0])
    assert np.isfinite(updated.levels.of("saw")).all()
    assert updated.preprocessor is by_machine.preprocessor


def test_machines_that_are_alike_are_scaled_in_common():
    tables = [part for _, part in machines(apart=0)[["machine", "load"]].groupby("machine")]
    noise = np.random.default_rng(0)
    assert not own_levels_fit([noise.normal(size=(100, 2)) for _ in range(8)])
    assert own_levels_fit([table[["load"]].to_numpy() + 50 * n for n, table in enumerate(tables)])
    assert not own_levels_fit([noise.normal(size=(5, 1)) + 9 * n for n in range(8)])


def test_levels_of_columns_that_do_not_change_or_are_missing():
    still, gone = np.full((30, 1), 7.0), np.full((30, 1), np.nan)
    moving = np.random.default_rng(0).normal(size=(30, 1))
    levels = fit_levels("abc", [still, gone, moving])
    np.testing.assert_array_equal(levels.scales[:2, 0], levels.scales[2, 0])
    assert levels.offsets[0] == 7
    assert np.isfinite(levels.offsets).all()


# A stream, and a single series.


def test_a_stream_is_scored_as_a_window():
    detector = anomalies.train(beats(40), Settings(window=STEPS - 1, **FAST | {"epochs": 2}))
    values = beats(1, 5)[0]
    result = anomalies.detect(detector, values)
    online, found = anomalies.OnlineDetector.of(detector, result.threshold, result.score), []
    for row in values:
        score, online = online.step(row)
        found.append(score)
    np.testing.assert_allclose(found, result.scores, atol=1e-3)


def test_what_a_model_reads_is_chosen_for_windows_of_one_length():
    detector = anomalies.train(beats(12)[:, :6])
    assert detector.settings.window == 5


# What is refused.


@pytest.mark.parametrize(
    ("values", "settings", "message"),
    [
        (beats(1), Settings(window=8), "values has 1 series, of which 1 would be held out"),
        (
            beats(4),
            Settings(window=40),
            "series '0' has 32 rows; 4 of 4 series have fewer than the 41",
        ),
        (
            [np.zeros((40, 1)), np.zeros((40, 2))],
            Settings(),
            "series '1': values has 2 columns but",
        ),
        (beats(4), Settings(window=8, levels="own"), "needs series with ids that are met again"),
        ({1: beats(1)[0], "1": beats(1)[0]}, Settings(window=8), "ids that are written alike"),
        (
            [np.zeros((40, 1))] * 3 + [np.full((40, 1), np.nan)],
            Settings(),
            "series '3': .* missing",
        ),
        ([np.zeros((40, 1)), np.full((40, 1), np.inf)], Settings(), "series '1': .* infinite"),
    ],
)
def test_what_cannot_be_trained_on(values, settings, message):
    with pytest.raises(ValueError, match=message):
        anomalies.train(values, settings)


def test_what_cannot_be_scored(by_machine, detector):
    one = anomalies.train(np.sin(np.arange(80) / 3), Settings(window=8, units=2, epochs=1))
    with pytest.raises(
        ValueError, match="values are separate series, but the detector was trained"
    ):
        anomalies.detect(one, beats(3))
    with pytest.raises(
        ValueError, match="series 'saw': the detector scales each series by its own"
    ):
        anomalies.detect(by_machine, {"saw": {"load": np.arange(40.0)}})
    with pytest.raises(ValueError, match="one without an id but on"):
        anomalies.detect(by_machine, {"load": np.arange(40.0)})
    with pytest.raises(ValueError, match="which a stream does not name"):
        anomalies.OnlineDetector.of(by_machine, 1.0)
    with pytest.raises(ValueError, match="series '1': values has no rows"):
        anomalies.detect(detector, [beats(1)[0], beats(1)[0][:0]])


def test_series_without_a_window_to_read(detector):
    values = [beats(1)[0], beats(1)[0][:5]]
    if detector.settings.method == "reconstruction":
        with pytest.raises(ValueError, match="series '1': a window of 32 rows does not fit"):
            anomalies.detect(detector, values)
    else:
        result = anomalies.detect(detector, values)
        assert np.isnan(result[1].scores[: detector.unread_rows]).all()


def test_the_rule_for_whole_series_is_that_for_rows():
    scores = np.arange(1.0, 101)
    assert Detection(threshold="maximum").threshold_of_series(scores).value == 100
    gaussian = Detection(score="mahalanobis", threshold="gaussian", level=0.1)
    assert gaussian.threshold_of_series(scores).value == pytest.approx(np.quantile(scores, 0.9))


def test_whole_series_are_judged_if_ten_normal_ones_are_there():
    rng = np.random.default_rng(0)
    detector = anomalies.train(beats(4), Settings(window=8, units=2, epochs=1, season=0))
    for number in (9, 10):
        known = replace(
            detector,
            training_errors=rng.normal(size=(number * STEPS, 1)),
            validation_start=(number - 2) * STEPS,
            lengths=(STEPS,) * number,
            ids=tuple(map(str, range(number))),
        )
        result = anomalies.detect(known, beats(3) * 100)
        assert result.has_verdict == (number == 10)
        assert result.flags.all() == (number == 10)
        assert result[0].events  # of rows there are enough
        if number == 9:
            assert result.threshold.value == np.inf
            assert "9 normal series, and it takes 10" in result.threshold.how
            assert result.held_out == (0, 0)
            assert "too few series to say which are odd as a whole" in repr(result)
            assert "9 normal series" in result._repr_html_()
        else:
            assert "3 of them are odd as a whole" in repr(result)


@pytest.mark.parametrize("separate", [False, True])
def test_the_rate_of_false_alarms_that_is_stated_is_the_true_one(separate):
    """Of errors like those of training, for a threshold that one in twenty of them exceeds."""
    rng = np.random.default_rng(0)
    values = np.sin(np.arange(40) / 3)[:, None]
    settings = Settings(window=8, units=2, epochs=1, season=0)
    detector = anomalies.train(values, settings)
    rows = 300 * 20
    detector = replace(
        detector,
        training_errors=rng.standard_t(4, size=(rows, 1)),
        validation_start=rows - 2000,
        lengths=(20,) * 300 if separate else (),
        ids=tuple(map(str, range(300))) if separate else (),
    )
    result = anomalies.detect(detector, values, score="mean", threshold="quantile", level=0.95)
    later = result.score(rng.standard_t(4, size=(20_000, 1))) > result.threshold.value
    assert result.held_out.rows == 2000
    assert result.held_out.flagged / 2000 == pytest.approx(later.mean(), abs=0.015)
    assert later.mean() == pytest.approx(0.05, abs=0.015)
