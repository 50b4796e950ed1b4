"""The sentences on an evaluation follow from its numbers."""

import numpy as np
import pytest

from lstmcore.apps.forecasting import LagCheck
from lstmcore.apps.forecasting.evaluation import MODEL, NAIVE, SEASONAL, Evaluation, Scores
from lstmcore.apps.forecasting.forecast import Forecast
from lstmcore.apps.forecasting.lag import BEATS, LAGS, NO_BETTER
from lstmcore.apps.forecasting.report import compare, explanations, is_good, summary


def check(step, verdict):
    nothing = np.zeros(1)
    return LagCheck(verdict, verdict == LAGS, step, nothing, nothing, nothing, 0, 0, 0, 0, 0)


def evaluation(errors, verdicts=(), covered=None):
    """errors: {forecast: mean absolute error of "load"}; verdicts: one for each step."""
    scores = {name: Scores(*4 * [np.array([error])]) for name, error in errors.items()}
    lag = {"load": tuple(check(step, one) for step, one in enumerate(verdicts, start=1))}
    level = None if covered is None else 0.8
    covers = None if covered is None else np.array([covered])
    nothing = np.zeros((1, 1, 1))
    forecast = Forecast(np.zeros(1, int), ("load",), nothing)
    return Evaluation(nothing, forecast, {}, scores, scores, lag, 7, level, covers)


GAINS = [
    ({MODEL: 1.5, NAIVE: 2.0}, "25% less error than the last value repeated (1.5 against 2 on"),
    ({MODEL: 1.5, NAIVE: 2.0, SEASONAL: 3.0}, "25% less error than the last value repeated"),
    ({MODEL: 1.5, NAIVE: 2.0, SEASONAL: 1.0}, "50% more error than the last season repeated"),
    ({MODEL: 2.0, NAIVE: 1.0}, "2 times the error of the last value repeated (2 against 1 on"),
    ({MODEL: 1.001, NAIVE: 1.0}, "the same error as the last value repeated"),
    ({MODEL: 0.5, NAIVE: 0.0}, "in the test part, the last value repeated has no error, and the "
                               "model a mean error of 0.5."),
    ({MODEL: 0.0, NAIVE: 0.0}, "has no error, and the model none either."),
    ({MODEL: np.nan, NAIVE: np.nan}, "the test part holds no value of it to compare with."),
]  # fmt: skip


@pytest.mark.parametrize(("errors", "words"), GAINS)
def test_the_error_beside_that_of_the_best_naive_forecast(errors, words):
    (sentence,) = summary(evaluation(errors))
    assert sentence.startswith("load: ")
    assert words in sentence
    assert "nan" not in sentence
    assert "inf" not in sentence
    is_better = errors[MODEL] < min(error for name, error in errors.items() if name != MODEL)
    assert is_good(evaluation(errors)) == is_better
    assert compare(evaluation(errors))["load"].is_better == is_better


CHECKS = [
    ([], "The test part is too short for a lag check."),
    ([BEATS], "It beats persistence 1 row ahead."),
    ([BEATS] * 3, "It beats persistence at every step."),
    ([NO_BETTER, BEATS, BEATS, BEATS], "It beats persistence 2 to 4 rows ahead."),
    ([BEATS, NO_BETTER, BEATS], "It beats persistence 1 and 3 rows ahead."),
    ([BEATS, NO_BETTER, BEATS, BEATS], "It beats persistence at 3 of 4 steps."),
    ([NO_BETTER] * 2, "It beats persistence at no step."),
    ([LAGS, NO_BETTER], "It lags (no better than persistence) 1 row ahead."),
    ([LAGS, BEATS], "1 row ahead. It beats persistence 2 rows ahead."),
]


@pytest.mark.parametrize(("verdicts", "words"), CHECKS)
def test_the_lag_check(verdicts, words):
    found = evaluation({MODEL: 1.0, NAIVE: 2.0}, verdicts)
    assert words in summary(found)[0]
    assert is_good(found) == (LAGS not in verdicts)


@pytest.mark.parametrize(
    ("covered", "words"),
    [
        (0.8, "The interval of 80% covered 80% of load in the test part."),
        (0.5, "covered 50% of load in the test part: it is too narrow to rely on."),
    ],
)
def test_the_interval(covered, words):
    assert words in summary(evaluation({MODEL: 1.0, NAIVE: 2.0}, covered=covered))[1]


def test_each_name_in_the_table_is_explained():
    for season in (None, 7):
        words = " ".join(explanations(season))
        assert all(f"{name}:" in words for name in ("MAE", "RMSE", "sMAPE", "MASE", "naive"))
        assert ("seasonal naive:" in words) == (season is not None)
        assert ("a season of 7 rows" in words or "season of 7 rows" in words) == bool(season)
