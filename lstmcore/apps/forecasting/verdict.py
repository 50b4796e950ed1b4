"""The verdict on a forecast in words: for the terminal, the page and whoever reads either."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import numpy as np

from lstmcore.apps.forecasting.comparison import AS_GOOD, WORSE, Comparison
from lstmcore.apps.forecasting.evaluation import Evaluation
from lstmcore.apps.forecasting.forecast import Forecast
from lstmcore.apps.forecasting.lag import BEATS, LAGS, NO_BETTER, LagCheck
from lstmcore.apps.forecasting.paired import FEWEST
from lstmcore.apps.forecasting.predictor import Trained
from lstmcore.apps.forecasting.rivals import DESCRIPTIONS, HOLT_WINTERS, LINEAR, NAIVE, SEASONAL
from lstmcore.formatting import few, listed, shorten

EXPLANATIONS = (
    "MAE: mean absolute error, in the units of the column.",
    "RMSE: root of the mean squared error, likewise; large errors count for more.",
    "sMAPE: mean error in per cent of the values, from 0 to 200; it says little about values that "
    "can be near 0.",
    "MASE: the MAE, relative to that of repeating the last {unit} in the training part, one row "
    "ahead; it compares columns of different units.",
)
TESTED = (
    "Whether the model is better than the best of these simple methods is decided by a paired test "
    "of their mean absolute errors (Diebold and Mariano 1995; Harvey, Leybourne and Newbold 1997): "
    "significant means a confidence of at least 95%. The best of them is chosen in hindsight, in "
    "its favour. All are fitted to the training part alone."
)
RIVALS = {
    NAIVE: f"{NAIVE}: {DESCRIPTIONS[NAIVE]} (persistence).",
    SEASONAL: f"{SEASONAL}: {DESCRIPTIONS[SEASONAL]}.",
    LINEAR: f"{LINEAR}: each forecast row is a sum of the rows and columns that the model reads, "
    "each times a weight (ridge regression).",
    HOLT_WINTERS: f"{HOLT_WINTERS}: exponential smoothing of {{smoothed}}.",
}
LEVEL = 0.8  # of the interval
FAR = 0.15  # how far the coverage of an interval may be from its level
MOST_TARGETS = 6  # that have a sentence each


def interval(forecast: Forecast) -> tuple[np.ndarray, np.ndarray] | None:
    """Return (low, high) [N, horizon, targets] of the interval at LEVEL, if there is one."""
    if forecast.samples is None and forecast.quantiles is None:
        return None
    return forecast.interval(LEVEL)


def explanations(season: int | None, names: Sequence[str] = tuple(RIVALS)) -> list[str]:
    """Return a sentence on each name in a table of errors; `names` are those of the rivals."""
    unit = "value" if season is None else f"season of {season} rows"
    smoothed = "level, damped trend and season" if season else "level and damped trend"
    rivals = [
        line for name, line in RIVALS.items() if name in names and (season or name != SEASONAL)
    ]
    return [line.format(unit=unit, smoothed=smoothed) for line in [*EXPLANATIONS, *rivals]]


def is_good(evaluation: Evaluation) -> bool:
    """Return whether all targets are forecast better than by every rival, and no forecast lags.

    "Better" is significant: see `Comparison`.
    """
    lagging = (check.is_lagging for checks in evaluation.lag.values() for check in checks)
    return all(one.is_better for one in evaluation.comparisons.values()) and not any(lagging)


def verdict(evaluation: Evaluation | None, trained: Trained) -> list[str]:
    """Return `summary`, and a sentence on the LSTM where it has no part in the forecast."""
    said = [] if evaluation is None else summary(evaluation)
    if trained.uses_lstm:
        return said
    if trained.is_lstm_trained:
        said.append(
            "The LSTM has no part in this forecast: it was not shown to lower the validation error "
            "of the model's own linear map, so the model is that map alone"
            f"{_without_effect(trained)}."
        )
    else:
        said.append(
            f"The LSTM has no part in this forecast and was not trained: the validation part holds "
            f"fewer than the {FEWEST} forecasts that it takes to show that it lowers the error of "
            f"the model's own linear map, so the model is that map alone{_without_effect(trained)}."
        )
    return said


def _without_effect(trained: Trained) -> str:
    """Return what is to be said of options of the LSTM, if it has no part in the forecast."""
    settings = trained.settings
    named = [f"--ensemble {settings.ensemble}"] * (settings.ensemble > 1)
    named += [f"--dropout {settings.dropout:g}"] * (settings.dropout > 0)
    if not named:
        return ""
    has = "has" if len(named) == 1 else "have"
    return f", and {listed(named)} {has} no effect (--no-linear is the LSTM alone)"


def summary(evaluation: Evaluation) -> list[str]:
    """Return a sentence for each target, one on the interval, and those on rivals left out.

    A sentence begins with the best rival where that is as good as the model, or better. Of many
    targets the first few have a sentence, after one that counts those forecast well.
    """
    compared = evaluation.comparisons
    said = {target: f"{comparison}" for target, comparison in compared.items()}
    has_lags = any(evaluation.lag.values())
    if has_lags:
        said = {target: f"{said[target]} {_lag(evaluation.lag[target])}" for target in said}
    sentences = [
        f"{shorten(target)}: {sentence}" for target, sentence in list(said.items())[:MOST_TARGETS]
    ]
    if len(compared) > MOST_TARGETS:
        sentences.insert(0, f"{_counted(compared)} {_lagging(evaluation)}The first {MOST_TARGETS}:")
    sentences += [*_coverage(evaluation), *(f"{note}." for note in evaluation.notes)]
    return sentences if has_lags else [*sentences, "The test part is too short for a lag check."]


def _counted(compared: Mapping[str, Comparison]) -> str:
    """Return a sentence on how many of many targets are forecast well."""
    of, better = len(compared), sum(comparison.is_better for comparison in compared.values())
    if better == of:
        return f"The model is significantly better than every simple method for all {of:,} targets."
    if not better:
        return f"For none of {of:,} targets is the model shown to be better than a simple method."
    return (
        f"For {of - better:,} of {of:,} targets the model is not shown to be better than a simple "
        f"method; for the other {better:,} it is significantly better."
    )


def _lagging(evaluation: Evaluation) -> str:
    """Return a sentence on how many targets lag."""
    lagging = sum(any(c.is_lagging for c in checks) for checks in evaluation.lag.values())
    return f"It lags (no better than persistence) for {lagging:,}. " if lagging else ""


def _lag(checks: Sequence[LagCheck]) -> str:
    """Return the verdicts of the lag check as a sentence."""
    if not checks:
        return "It has too few values in the test part for a lag check."
    steps = {
        verdict: [check.step for check in checks if check.verdict == verdict]
        for verdict in (LAGS, NO_BETTER, BEATS)
    }
    clauses = [
        f"{'is ' * (verdict == NO_BETTER)}{verdict} {_steps(those, len(checks))}"
        for verdict, those in steps.items()
        if those
    ]
    return f"The model {'; it '.join(clauses)}."


def _steps(steps: Sequence[int], of: int) -> str:
    """Return steps as text: "1 row ahead", "2 to 5 rows ahead", "at 7 of 24 steps"."""
    if len(steps) == of > 1:
        return "at every step"
    if len(steps) > 2 and steps[-1] - steps[0] == len(steps) - 1:
        return f"{steps[0]} to {steps[-1]} rows ahead"
    if len(steps) > 2:
        return f"at {len(steps)} of {of} steps"
    return f"{listed([str(step) for step in steps])} row{'s' * (list(steps) != [1])} ahead"


def _coverage(evaluation: Evaluation) -> list[str]:
    """Return a sentence on the coverage of the interval, if there is one."""
    if evaluation.covered is None or evaluation.level is None:
        return []
    level = evaluation.level
    measured = zip(evaluation.forecast.targets, evaluation.covered.tolist(), strict=True)
    covered = {target: part for target, part in measured if not np.isnan(part)}
    if not covered:
        return []
    if len(covered) > MOST_TARGETS:
        low, high = min(covered.values()), max(covered.values())
        values = f"{low:.0%} to {high:.0%} of each of {len(covered):,} targets"
    else:
        values = listed([f"{part:.0%} of {shorten(target)}" for target, part in covered.items()])
    sentence = f"The interval of {level:.0%} covered {values} in the test part"
    kinds = {
        "too narrow to rely on": [t for t, part in covered.items() if part < level - FAR],
        "much wider than need be": [t for t, part in covered.items() if part > level + FAR],
    }
    remarks = [
        f"{'it is' if len(those) == len(covered) else f'for {few(those)} it is'} {kind}"
        for kind, those in kinds.items()
        if those
    ]
    return [f"{sentence}: {', and '.join(remarks)}." if remarks else f"{sentence}."]


def bounded(forecast: Forecast | None, names: Container[str]) -> list[str]:
    """Return a sentence on the targets whose forecast, or its interval, ends at the bound of 0.

    names: of the targets with that bound
    """
    return [] if forecast is None else bound_reached(at_bound(forecast, names))


def at_bound(forecast: Forecast, names: Container[str]) -> list[str]:
    """Return the targets among these names whose forecast, or its interval, ends at 0."""
    ends = (forecast.point, *(interval(forecast) or ()))
    return [
        target
        for place, target in enumerate(forecast.targets)
        if target in names and any((end[:, :, place] == 0).any() for end in ends)
    ]


def bound_reached(targets: Sequence[str]) -> list[str]:
    """Return a sentence on the targets from `at_bound`, if there are any."""
    if not targets:
        return []
    have = "has" if len(targets) == 1 else "have"
    return [
        f"{few(targets)} {have} never been negative, so the forecast does not go below 0 "
        "(--no-nonnegative allows it to)"
    ]


def shortcomings(evaluation: Evaluation) -> dict[str, str]:
    """Return {target: verdict} of the targets whose forecast is no better than a simple method.

    A target whose test part is too short for a verdict is not among them.
    """
    found = {}
    for target, comparison in evaluation.comparisons.items():
        if any(check.is_lagging for check in evaluation.lag[target]):
            found[target] = LAGS
        elif comparison.verdict == AS_GOOD:
            found[target] = f"is no better than {DESCRIPTIONS[comparison.rival]}"
        elif comparison.verdict == WORSE:
            found[target] = f"is worse than {DESCRIPTIONS[comparison.rival]}"
    return found
