"""The sentences on an evaluation follow from its numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from strategies import seeds

from lstmcore.apps.forecasting import Comparison, LagCheck, compare, mae, paired_test
from lstmcore.apps.forecasting.comparison import AS_GOOD, BETTER, UNDECIDED, WORSE
from lstmcore.apps.forecasting.evaluation import Evaluation
from lstmcore.apps.forecasting.forecast import Forecast
from lstmcore.apps.forecasting.lag import BEATS, LAGS, NO_BETTER
from lstmcore.apps.forecasting.rivals import DESCRIPTIONS
from lstmcore.apps.forecasting.verdict import explanations, is_good, summary


def check(step, verdict):
    nothing = np.zeros(1)
    return LagCheck(verdict, verdict == LAGS, step, nothing, nothing, nothing, 0, 0, 0, 0, 0)


CLEAR = Comparison(1.5, "naive", 2.0, 4, 0.001, 100)


def evaluation(comparison=CLEAR, verdicts=(), covered=None, notes=()):
    """Of one target, "load"; verdicts: one for each step."""
    lag = {"load": tuple(check(step, one) for step, one in enumerate(verdicts, start=1))}
    level = None if covered is None else 0.8
    covers = None if covered is None else np.array([covered])
    nothing = np.zeros((1, 1, 1))
    forecast = Forecast(np.zeros(1, int), ("load",), nothing)
    compared = {"load": comparison}
    return Evaluation(nothing, forecast, {}, {}, {}, lag, 7, level, covers, compared, notes)


# (error, rival, its error, number of rivals, p-value, forecasts), verdict, sentence
WON = [
    ((1.5, "naive", 2.0, 4, 0.0123, 50), BETTER,
     "25% less error than the last value repeated, the best of 4 simple methods (1.5 against 2 on "
     "average; significant, confidence 98.7%)."),
    ((1.5, "naive", 2.0, 1, 1e-9, 50), BETTER,
     "25% less error than the last value repeated (1.5 against 2 on average; significant, "
     "confidence over 99.9%)."),
    ((1.5, "linear map", 1.6, 4, 0.37, 50), AS_GOOD,
     "A linear map of the window is as good: 7% more error than the model (1.6 against 1.5 on "
     "average; no significant difference, confidence 63%)."),
    ((1.5, "linear map", 1.4, 4, 0.0501, 50), AS_GOOD,
     "A linear map of the window is as good: 7% less error than the model (1.4 against 1.5 on "
     "average; no significant difference, confidence 94%)."),
    ((1.001, "naive", 1.0, 4, 0.9, 50), AS_GOOD,
     "The last value repeated is as good: the same error as the model (1 against 1.001 on "),
    ((1.0, "naive", 1.0, 4, 0.0, 50), AS_GOOD, "The last value repeated is as good: the same err"),
    ((42.6301, "linear map", 42.63, 4, 1e-9, 6000), AS_GOOD,  # the same map in float32
     "A linear map of the window is as good: the same error as the model (42.63 against 42.63 on "
     "average)."),
    ((2.0, "Holt-Winters", 1.0, 4, 0.04, 50), WORSE,
     "Holt-Winters smoothing is better: 50% less error than the model (1 against 2 on average; "
     "significant, confidence 96%)."),
    ((1.0, "naive", 2.5, 4, np.nan, 9), UNDECIDED,
     "60% less error than the last value repeated, the best of 4 simple methods (1 against 2.5 on "
     "average; 9 forecasts are too few for a test)."),
    ((3.0, "seasonal naive", 2.0, 4, np.nan, 1), UNDECIDED,
     "The last season repeated may be better: 33% less error than the model (2 against 3 on "
     "average; 1 forecast is too few for a test)."),
    ((3.0, "naive", 3.0, 4, np.nan, 9), UNDECIDED, "The last value repeated is as good: the same"),
    ((1.0, "naive", 2.0, 4, 0.5, 50), AS_GOOD, "is as good: 2 times the error of the model (2 ag"),
    ((0.0, "naive", 1.0, 4, 0.5, 50), AS_GOOD,
     "is as good: a mean error of 1, while there is none of the model"),
    ((0.5, "naive", 0.0, 4, 0.01, 50), WORSE,
     "in the test part, the last value repeated has no error, and the model a mean error of 0.5."),
    ((0.0, "naive", 0.0, 4, 1.0, 50), AS_GOOD, "has no error, and the model none either."),
    ((np.nan, "naive", np.nan, 4, np.nan, 0), UNDECIDED,
     "the test part holds no value of it to compare with."),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "verdict", "words"), WON)
def test_the_sentence_says_who_won_and_by_how_much(fields, verdict, words):
    comparison = Comparison(*fields)
    assert comparison.verdict == verdict
    (sentence,) = summary(evaluation(comparison, [BEATS]))
    assert words in sentence
    assert sentence.startswith("load: ")
    assert "nan" not in sentence
    assert "inf" not in sentence
    assert is_good(evaluation(comparison)) == comparison.is_better == (verdict == BETTER)
    if verdict in (AS_GOOD, WORSE) and fields[2] > 0:  # the simple method comes first
        name = DESCRIPTIONS[fields[1]]
        assert sentence.startswith(f"load: {name[0].upper()}{name[1:]} is ")


@given(seed=seeds, size=st.floats(0.1, 3))
def test_the_comparison_is_with_the_best_rival(seed, size):
    rng = np.random.default_rng(seed)
    actual = rng.normal(size=(60, 2, 2))
    noisy = lambda noise: actual + noise * rng.normal(size=actual.shape)  # noqa: E731
    model, rivals = noisy(size), {"naive": noisy(1.0), "linear map": noisy(1.1)}
    rivals["Holt-Winters"] = noisy(0.01)
    rivals["Holt-Winters"][:, :, 0] = np.nan  # could not be fitted to this target
    found = compare(actual, model, rivals, ["a", "b"])
    assert found["b"].rival == "Holt-Winters"
    assert (found["a"].rivals, found["b"].rivals) == (2, 3)
    errors = {name: mae(actual, one)[0] for name, one in rivals.items()}
    best = min(("naive", "linear map"), key=errors.get)
    assert (found["a"].rival, found["a"].rival_error) == (best, errors[best])
    assert found["a"].error == mae(actual, model)[0]
    test = paired_test(actual, model, rivals[best])
    assert found["a"].p_value == test.p_value[0]
    assert found["b"].verdict == WORSE


def test_equal_models_are_seldom_said_to_be_better():
    """Than the best of four rivals, of the same kind: it is lucky, so rarer than 2.5 %."""
    verdicts = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        actual = rng.normal(size=(100, 1, 1)).cumsum(axis=0)
        model, *four = (actual + rng.normal(size=actual.shape) for _ in range(5))
        rivals = dict(zip(DESCRIPTIONS, four, strict=True))
        verdicts.append(compare(actual, model, rivals, ["load"])["load"].verdict)
    assert stats.binom.sf(verdicts.count(BETTER) - 1, len(verdicts), 0.025) > 1e-9
    assert stats.binom.sf(verdicts.count(WORSE) - 1, len(verdicts), 4 * 0.025) > 1e-9


NONE = "no better than a smoothing of the last values"
CHECKS = [
    ([BEATS], "The model beats persistence 1 row ahead."),
    ([BEATS] * 3, "The model beats persistence at every step."),
    (
        [NO_BETTER, BEATS, BEATS, BEATS],
        f"The model is {NONE} 1 row ahead; it beats persistence 2 to 4 rows ahead.",
    ),
    ([BEATS, NO_BETTER, BEATS], "; it beats persistence 1 and 3 rows ahead."),
    ([BEATS, NO_BETTER, BEATS, BEATS], "; it beats persistence at 3 of 4 steps."),
    ([NO_BETTER] * 2, f"The model is {NONE} at every step."),
    (
        [LAGS, NO_BETTER],
        f"The model lags (no better than persistence) 1 row ahead; it is {NONE} 2 rows ahead.",
    ),
    ([LAGS, BEATS], "1 row ahead; it beats persistence 2 rows ahead."),
]


@pytest.mark.parametrize(("verdicts", "words"), CHECKS)
def test_the_lag_check(verdicts, words):
    found = evaluation(verdicts=verdicts)
    assert words in summary(found)[0]
    assert is_good(found) == (LAGS not in verdicts)


@pytest.mark.parametrize(
    ("covered", "words"),
    [
        (0.8, "The interval of 80% covered 80% of load in the test part."),
        (0.5, "covered 50% of load in the test part: it is too narrow to rely on."),
        (0.99, "covered 99% of load in the test part: it is much wider than need be."),
    ],
)
def test_the_interval(covered, words):
    assert words in summary(evaluation(covered=covered))[1]


def test_without_a_known_truth_there_is_no_coverage():
    one = evaluation(covered=np.nan)
    assert not [sentence for sentence in summary(one) if "covered" in sentence]


def test_a_rival_that_was_left_out_is_named():
    note = "Holt-Winters is left out: it needs the package statsmodels"
    assert f"{note}." in summary(evaluation(notes=(note,)))


def test_of_many_targets_those_where_a_simple_method_is_as_good_come_first():
    one = evaluation(verdicts=[LAGS])
    names = [f"t{place}" for place in range(8)]
    others = CLEAR._replace(p_value=0.5)
    compared = {name: others if place < 3 else CLEAR for place, name in enumerate(names)}
    lag = dict.fromkeys(names, one.lag["load"])
    said = summary(one._replace(comparisons=compared, lag=lag))
    assert said[0] == (
        "For 3 of 8 targets the model is not shown to be better than a simple method; for the "
        "other 5 it is significantly better. It lags (no better than persistence) for 8. "
        "The first 6:"
    )
    assert len(said) == 7
    for p_value, words in (
        (0.5, "For none of 8 targets"),
        (1e-9, "for all 8 targets."),
    ):
        same = dict.fromkeys(names, CLEAR._replace(p_value=p_value))
        said = summary(one._replace(comparisons=same, lag=dict.fromkeys(names, ())))
        assert words in said[0]
        assert "lags" not in said[0]  # as there are too few rows to know
        assert said[-1] == "The test part is too short for a lag check."


def test_each_name_in_the_table_is_explained():
    for season in (None, 7):
        words = " ".join(explanations(season))
        assert all(f"{name}:" in words for name in ("MAE", "RMSE", "sMAPE", "MASE", "naive"))
        assert ("seasonal naive:" in words) == (season is not None)
        assert "linear map:" in words
        assert ("Holt-Winters:" in " ".join(explanations(season, ["naive"]))) is False
        assert ("a season of 7 rows" in words or "season of 7 rows" in words) == bool(season)
