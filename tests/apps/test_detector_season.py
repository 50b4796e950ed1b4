"""The season that a detector removes, and its drift: when they are found, and what that does."""

import json
from dataclasses import replace

import numpy as np
import pytest
from detectors import table, untrained
from manifests import forge
from untrained import no_training

from lstmcore import anomalies, series
from lstmcore.apps.anomalies.preprocessing import choose, limited

SEASON = 12
SETTINGS = anomalies.Settings(window=6, units=2, epochs=1, batch_size=256)


def days(rows=300, seed=0):
    """A pattern of 12 rows with a little noise, [rows, 1]."""
    pattern = np.random.default_rng(1).normal(size=SEASON)
    noise = np.random.default_rng(seed).normal(scale=0.1, size=rows)
    return (pattern[np.arange(rows) % SEASON] + noise)[:, None]


def test_a_season_is_found():
    with no_training():
        detector = anomalies.train(days(), SETTINGS)
        other = anomalies.train(days(), replace(SETTINGS, season=0))
    assert detector.settings.season == SEASON
    assert detector.settings.dropped_rows == SEASON
    assert other.settings.season is None
    assert np.isnan(detector.errors(days())[: SEASON + 6]).all()
    assert np.isfinite(detector.errors(days())[SEASON + 6 :]).all()


@pytest.mark.parametrize(
    ("values", "rows"),
    [
        (np.random.default_rng(0).normal(size=(300, 1)), None),
        (np.random.default_rng(0).normal(size=(300, 1)).cumsum(axis=0), None),
        (days(5 * SEASON), None),  # too few to compare with the median of five
        (days(), 5 * SEASON),  # too few rows to score
        # Smooth and noisy: the rows a season before say less than the one before.
        (np.sin(np.arange(900) * 2 * np.pi / 50)[:, None] + 0.3 * table(900, 1), None),
    ],
)
def test_a_season_that_is_not_removed(values, rows):
    assert choose(SETTINGS, values, rows=rows).season is None


DRIFT = 0.02 * np.arange(300)[:, None]


@pytest.mark.parametrize(
    ("values", "settings", "expected"),
    [
        (days() + DRIFT, SETTINGS, ()),  # the season goes with it
        (table(300, 1), SETTINGS, ()),
        (np.hstack([table(300, 1), DRIFT]), replace(SETTINGS, season=0), (1,)),
        (table(300, 1) + 5 * DRIFT, SETTINGS, (1,)),
        (table(300, 1) + 5 * DRIFT, replace(SETTINGS, search=False), ()),
        (
            table(300, 1) + 5 * DRIFT,
            replace(SETTINGS, preprocessing=series.Preprocessing(difference=(3,))),
            (3,),
        ),
        (np.ones((300, 1)), SETTINGS, ()),
        (np.arange(4.0)[:, None], SETTINGS, ()),  # of which a fifth is no row
    ],
)
def test_differences_of_what_drifts(values, settings, expected):
    assert choose(settings, values).preprocessing.difference == expected


def test_missing_values_are_filled_to_look_for_it():
    values = days()
    values[[30, 31, 100]] = np.nan
    filled = replace(SETTINGS, preprocessing=series.Preprocessing("forward"))
    assert choose(filled, values).season == SEASON
    with pytest.raises(ValueError, match="table has 3 missing values, the first in row 30"):
        choose(SETTINGS, values)
    with pytest.raises(ValueError, match="table has 3 missing values, the first in row 30"):
        untrained(replace(SETTINGS, season=SEASON), days()).errors(values)


def test_errors_are_those_of_what_is_left():
    """The model reads the series without its season, as if that were the table."""
    values = days()
    detector = untrained(replace(SETTINGS, season=SEASON), values)
    left = values[SEASON:] - series.seasonal_level(values, SEASON)
    alone = replace(detector, settings=replace(SETTINGS, season=None))
    np.testing.assert_allclose(detector.errors(values)[SEASON:], alone.errors(left))
    scale = detector.preprocessor.scaler.scale
    together = detector.outputs(values) + detector.errors(values) * scale
    np.testing.assert_allclose(together[SEASON + 6 :], values[SEASON + 6 :])
    rows, run = next(anomalies.gate_traces(detector, values, [(0, 30)]))
    assert rows.tolist() == list(range(SEASON, 30))
    np.testing.assert_allclose(
        run.inputs[0], detector.preprocessor.transform(left)[: 30 - SEASON], atol=1e-6
    )


def test_it_does_not_matter_at_which_phase_a_series_begins():
    values = days()
    detector = untrained(replace(SETTINGS, season=SEASON), values)
    whole, later = detector.errors(values), detector.errors(values[5:])
    np.testing.assert_allclose(later[6 * SEASON :], whole[5 + 6 * SEASON :], atol=1e-3)


def test_a_folder_with_and_without(tmp_path):
    values = days()
    detector = untrained(replace(SETTINGS, season=SEASON), values)
    detector = replace(detector, training_errors=detector.errors(values))
    detector.save(tmp_path)
    loaded = anomalies.Detector.load(tmp_path)
    assert loaded.settings == detector.settings
    np.testing.assert_array_equal(loaded.errors(values), detector.errors(values))
    # Of a version that removed none, and did not say so.
    path = tmp_path / "detector.json"
    stored = json.loads(path.read_text())
    del stored["settings"]["season"], stored["settings"]["search"]
    path.write_text(json.dumps(stored))
    forge(tmp_path)
    expected = replace(SETTINGS, season=None, search=False)
    assert anomalies.Detector.load(tmp_path).settings == expected


def test_series_that_are_too_short():
    detector = untrained(replace(SETTINGS, season=SEASON), days())
    with pytest.raises(ValueError, match="a season of 12 rows needs more of them, but values has"):
        detector.errors(days(SEASON))
    with pytest.raises(ValueError, match="and 12 dropped by season and differencing"):
        anomalies.train(days(18), replace(SETTINGS, season=SEASON, validation=0))


def test_values_that_are_far_from_all_others():
    values = np.random.default_rng(0).normal(size=(1000, 2))
    values[:, 1] = 3.0
    odd = values.copy()
    odd[500] = 1e6
    odd[7, 0] = np.nan
    found = limited(odd, 900)
    assert 5 < found[500, 0] < 9
    assert found[500, 1] == 1e6  # of what is always the same no usual distance is known
    others = np.delete(np.arange(1000), [7, 500])
    np.testing.assert_array_equal(found[others], values[others])
    assert np.isnan(found[7, 0])
    np.testing.assert_array_equal(limited(values, 1000), values)


def test_one_odd_row_changes_little_of_what_is_learnt():
    """Nor does it hide the season."""
    values, odd = days(), days()
    odd[100] += 1000
    with no_training():
        usual, detector = (anomalies.train(rows, SETTINGS) for rows in (values, odd))
    assert detector.settings.season == usual.settings.season == SEASON
    ratio = detector.preprocessor.scaler.scale / usual.preprocessor.scaler.scale
    assert 0.9 < ratio.item() < 1.2
