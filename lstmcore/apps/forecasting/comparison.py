"""The verdict on a forecaster: is it better than the best of its rivals, as good, or worse?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lstmcore.apps.forecasting.metrics import mae
from lstmcore.apps.forecasting.paired import FEWEST, paired_test
from lstmcore.apps.forecasting.rivals import DESCRIPTIONS
from lstmcore.formatting import count

LEVEL = 0.05  # of significance, two-sided
BETTER, AS_GOOD, WORSE = "better", "as good", "worse"
UNDECIDED = f"undecided: fewer than {FEWEST} forecasts"
SAME = 1e-4  # of an error, by which two that differ by rounding to float32 may differ
MUCH = 2.0  # times another error, from which on percentages are hard to read


class Comparison(NamedTuple):
    """A forecast of one target beside the best of its rivals; printed, it is a sentence.

    The best rival is the one of the smallest mean absolute error in the test part. It is chosen in
    hindsight, which favours it: "better" holds with the confidence stated, while "worse" is given
    by chance more often than its p-value says, up to that times the number of rivals.

    Attributes:
      error: mean absolute error of the model, in units of the data; NaN if there is no truth.
      rival: name of the best rival, such as "linear map".
      rival_error: its mean absolute error.
      rivals: number of rivals that it was chosen from.
      p_value: of the difference, from `paired_test`; NaN with fewer than 20 forecasts.
      forecasts: number of forecasts whose truth is known; over many series, number of these.
      unit: "forecast" or "series", what is counted.
    """

    error: float
    rival: str
    rival_error: float
    rivals: int = 1
    p_value: float = np.nan
    forecasts: int = 0
    unit: str = "forecast"

    @property
    def verdict(self) -> str:
        """Return "better", "as good", "worse", or "undecided: fewer than 20 forecasts".

        (Over series: "undecided: too few series".)

        The first and the third are significant at 5 %. Where neither is known to differ from the
        other, or the errors are equal but for rounding, the model is "as good".
        """
        if np.isnan(self.p_value):
            return UNDECIDED if self.unit == "forecast" else f"undecided: too few {self.unit}"
        if self.p_value >= LEVEL or self._is_same:
            return AS_GOOD
        return BETTER if self.error < self.rival_error else WORSE

    @property
    def _is_same(self) -> bool:
        return abs(self.error - self.rival_error) <= SAME * self.rival_error

    @property
    def is_better(self) -> bool:
        """Return whether the model is significantly better than its best rival."""
        return self.verdict == BETTER

    def __str__(self) -> str:
        """Return a sentence; it begins with the rival where that is as good, or better."""
        error, rival, other = self.error, DESCRIPTIONS[self.rival], self.rival_error
        if np.isnan(error) or np.isnan(other):
            return "the test part holds no value of it to compare with."
        if other == 0:
            ours = "none either" if error == 0 else f"a mean error of {error:.4g}"
            return f"in the test part, {rival} has no error, and the model {ours}."
        is_undecided = np.isnan(self.p_value)
        if self.verdict == BETTER or (is_undecided and error < other):
            best = f"{rival}, the best of {self.rivals} simple methods" * (self.rivals > 1)
            numbers = f"{error:.4g} against {other:.4g} on average"
            return f"{_ratio(error, other)} {best or rival} ({numbers}{self._proof()})."
        says = "is better" if self.verdict == WORSE else "is as good"
        ratio = _ratio(other, error)
        if is_undecided and other < error and not ratio.startswith("the same"):
            says = "may be better"
        numbers = f"{other:.4g} against {error:.4g} on average"
        first = rival[0].upper() + rival[1:]
        return f"{first} {says}: {ratio} the model ({numbers}{self._proof()})."

    def _proof(self) -> str:
        """Return the result of the test as words for the end of a bracket."""
        if np.isnan(self.p_value):
            number, verb = self.forecasts, "is" if self.forecasts == 1 else "are"
            of = f"{number:,} series" if self.unit == "series" else count(number, self.unit)
            return f"; {of} {verb} too few for a test"
        if self._is_same:
            return ""
        confidence = 1 - self.p_value
        if self.verdict == AS_GOOD:
            return f"; no significant difference, confidence {np.floor(100 * confidence):.0f}%"
        return f"; significant, confidence {_percent(confidence)}"


def compare(
    actual, forecast, rivals: Mapping[str, np.ndarray], targets: Sequence[str]
) -> dict[str, Comparison]:
    """Compare a forecast of each target with the best of its rivals.

    Args:
      actual, forecast: [N, horizon, targets], in units of the data; steps whose truth is NaN are
        left out.
      rivals: {name: [N, horizon, targets]}; one that is NaN for a target is no rival there.
      targets: names.

    Returns:
      {target: Comparison}.

    Raises:
      ValueError, TypeError: as `paired_test`.

    Examples:
      >>> import numpy as np
      >>> rng = np.random.default_rng(0)
      >>> actual = rng.normal(size=(100, 1, 1)).cumsum(axis=0)
      >>> near, far = (actual + size * rng.normal(size=actual.shape) for size in (1, 2))
      >>> found = compare(actual, near, {"naive": far}, ["load"])["load"]
      >>> found.verdict, str(found).split("(")[0]
      ('better', '57% less error than the last value repeated ')
    """
    errors = {name: mae(actual, rival) for name, rival in rivals.items()}
    ours, compared = mae(actual, forecast), {}
    for place, target in enumerate(targets):
        those = {name: float(error[place]) for name, error in errors.items()}
        known = {name: error for name, error in those.items() if not np.isnan(error)} or those
        best = min(known, key=lambda name: known[name])
        one = slice(place, place + 1)
        test = paired_test(*(array[:, :, one] for array in (actual, forecast, rivals[best])))
        compared[target] = Comparison(
            float(ours[place]),
            best,
            known[best],
            len(known),
            float(test.p_value[0]),
            int(test.forecasts[0]),
        )
    return compared


def _ratio(error: float, other: float) -> str:
    """Return how an error compares with another one, up to "than" or "of"."""
    if other == 0:
        return f"a mean error of {error:.4g}, while there is none of"
    ratio = error / other
    if ratio >= MUCH:
        return f"{ratio:.3g} times the error of"
    if abs(ratio - 1) < 0.005:
        return "the same error as"
    return f"{abs(ratio - 1):.0%} {'less' if ratio < 1 else 'more'} error than"


def _percent(confidence: float) -> str:
    """Return a confidence of 95 % or more, rounded down."""
    if confidence >= 0.999:
        return "over 99.9%"
    return f"{np.floor(1000 * confidence) / 10:.3g}%"
