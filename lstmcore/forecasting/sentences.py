"""What an evaluation says, in sentences for a reader who does not know its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstmcore.forecasting.evaluation import MODEL, NAIVE, SEASONAL, Evaluation
from lstmcore.forecasting.lag import AHEAD, LagCheck
from lstmcore.text import listed, shorten

RIVALS = {NAIVE: "the last value repeated", SEASONAL: "the last season repeated"}
MOST_TARGETS = 6  # that have a sentence each
MUCH = 2.0  # times the error of a rival, from which on percents are hard to read
NARROW = 0.15  # how far the coverage of an interval may be below its share
METRICS = (
    "MAE: mean absolute error, in the units of the column.",
    "RMSE: root of the mean squared error, likewise; large errors count for more.",
    "sMAPE: mean error in per cent of the values, from 0 to 200; it says little about values that "
    "can be near 0.",
    "MASE: the MAE, relative to that of repeating the last {unit} in the training part, one row "
    "ahead; it compares columns of different units.",
)


class Comparison(NamedTuple):
    """The mean absolute error of a target, beside that of the best naive forecast, called rival."""

    error: float
    rival: str
    rival_error: float

    @property
    def is_better(self) -> bool:
        """Whether the error is smaller; False where there is nothing to compare."""
        return self.error < self.rival_error


def compare(evaluation: Evaluation) -> dict[str, Comparison]:
    """A comparison for each target."""
    errors = {name: found.mae.tolist() for name, found in evaluation.scores.items()}
    ours = errors.pop(MODEL)
    found = {}
    for place, target in enumerate(evaluation.forecast.targets):
        rival = min(errors, key=lambda name: errors[name][place])
        found[target] = Comparison(ours[place], rival, errors[rival][place])
    return found


def is_good(evaluation: Evaluation) -> bool:
    """Whether every target is forecast better than naively, and none merely follows."""
    follows = (check.follows for checks in evaluation.lag.values() for check in checks)
    return all(one.is_better for one in compare(evaluation).values()) and not any(follows)


def sentences(evaluation: Evaluation) -> list[str]:
    """What a reader in a hurry should know: one for each target, one of the interval.

    Of many targets, one counts those that are forecast well, and the first few have their own.
    """
    compared = compare(evaluation)
    said = [
        f"{shorten(target)}: {_gain(found)} {_lag(evaluation.lag[target])}".strip()
        for target, found in list(compared.items())[:MOST_TARGETS]
    ]
    if len(compared) > MOST_TARGETS:
        better = sum(found.is_better for found in compared.values())
        follow = sum(any(check.follows for check in checks) for checks in evaluation.lag.values())
        said.insert(
            0,
            f"{better:,} of {len(compared):,} targets are forecast with less error than naively, "
            f"{follow:,} merely follow the last value. The first {MOST_TARGETS}:",
        )
    return [*said, *_coverage(evaluation)]


def explanations(season: int | None) -> list[str]:
    """What the names in a table of errors mean."""
    unit = "value" if season is None else f"season of {season} rows"
    rivals = [f"{name}: {words}." for name, words in RIVALS.items() if season or name == NAIVE]
    return [line.format(unit=unit) for line in METRICS] + rivals


def _gain(found: Comparison) -> str:
    error, rival, other = found
    words = RIVALS[rival]
    if np.isnan(error) or np.isnan(other):
        return "the test part holds no value of it to compare with."
    if other == 0:
        ours = "no error either" if error == 0 else f"a mean error of {error:.4g}"
        return f"in the test part, {words} makes no error, and the model {ours}."
    numbers = f"({error:.4g} against {other:.4g} on average)"
    ratio = error / other
    if ratio >= MUCH:
        return f"{ratio:.3g} times the error of {words} {numbers}."
    if abs(ratio - 1) < 0.005:
        return f"the same error as {words} {numbers}."
    return f"{abs(ratio - 1):.0%} {'less' if ratio < 1 else 'more'} error than {words} {numbers}."


def _lag(checks: Sequence[LagCheck]) -> str:
    """The verdicts of the lag check."""
    if not checks:
        return "The test part is too short for a lag check."
    follows = [check.step for check in checks if check.follows]
    ahead = [check.step for check in checks if check.verdict == AHEAD]
    said = []
    if follows:
        said.append(f"It merely follows the last value {_steps(follows, len(checks))}.")
    if ahead:
        where = _steps(ahead, len(checks))
        said.append(f"It is significantly better than the last value repeated {where}.")
    if not said:
        said.append("At no step is it significantly better than the last value repeated.")
    return " ".join(said)


def _steps(steps: Sequence[int], of: int) -> str:
    """Steps in words: "1 row ahead", "2 to 5 rows ahead", "at 7 of 24 steps"."""
    if len(steps) == of > 1:
        return "at every step"
    if len(steps) > 2 and steps[-1] - steps[0] == len(steps) - 1:
        return f"{steps[0]} to {steps[-1]} rows ahead"
    if len(steps) > 2:
        return f"at {len(steps)} of {of} steps"
    return f"{listed([str(step) for step in steps])} row{'s' * (list(steps) != [1])} ahead"


def _coverage(evaluation: Evaluation) -> list[str]:
    """Whether the interval holds what it should."""
    if evaluation.covered is None or evaluation.share is None:
        return []
    share = evaluation.share
    covered = dict(
        zip(evaluation.forecast.targets, evaluation.covered.tolist(), strict=True),
    )
    if len(covered) > MOST_TARGETS:
        low, high = min(covered.values()), max(covered.values())
        held = f"{low:.0%} to {high:.0%} of each of {len(covered):,} targets"
    else:
        held = listed([f"{part:.0%} of {shorten(target)}" for target, part in covered.items()])
    said = f"The interval of {share:.0%} held {held} in the test part"
    narrow = [target for target, part in covered.items() if part < share - NARROW]
    if narrow:
        which = "it is" if len(narrow) == len(covered) else f"for {listed(narrow)} it is"
        return [f"{said}: {which} too narrow to rely on."]
    return [f"{said}."]
