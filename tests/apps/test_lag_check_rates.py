"""How often the lag check errs, on simulated series for which the right verdict is known.

RATES is the table of docs/forecast.md. `python tests/apps/test_lag_check_rates.py` measures it
again, over 2,000 series for each line; the tests compare fewer series with it.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal, stats

from lstmcore.apps.forecasting import lag_check
from lstmcore.apps.forecasting.lag import BEATS, LAGS, NO_BETTER
from lstmcore.apps.forecasting.paired import standardised_mean, upper_tail

FALSE_ALARMS = 1e-9  # of a test here, if all rates are as stated
VERDICTS = (BEATS, NO_BETTER, LAGS)
ROWS = (60, 200, 1000)


# Series, and forecasts of each row from those before it.


def autoregressive(rng, rows, *weights):
    return signal.lfilter([1], [1, *(-weight for weight in weights)], rng.normal(size=rows))


SERIES = {
    "random walk": lambda rng, rows: rng.normal(size=rows).cumsum(),
    "AR(1), 0.5": lambda rng, rows: autoregressive(rng, rows, 0.5),
    "AR(1), 0.9": lambda rng, rows: autoregressive(rng, rows, 0.9),
    "AR(2), cyclic": lambda rng, rows: autoregressive(rng, rows, 1.5, -0.7),
    "season": lambda rng, rows: 5 * np.sin(np.arange(rows) * np.pi / 12) + rng.normal(size=rows),
    "white noise": lambda rng, rows: rng.normal(size=rows),
    "level and noise": lambda rng, rows: rng.normal(size=rows).cumsum() + 2 * rng.normal(size=rows),
}


def shifted(values, by=1):
    return np.concatenate([np.full(by, values[0]), values[:-by]])


def smoothed(values, weight):
    return shifted(signal.lfilter([weight], [1, weight - 1], values))


FORECASTS = {
    "last value": lambda y, rng: shifted(y),
    "last value and noise": lambda y, rng: shifted(y) + 0.5 * rng.normal(size=len(y)),
    "value before the last": lambda y, rng: shifted(y, 2),
    "smoothing, weight 0.5": lambda y, rng: smoothed(y, 0.5),
    "best smoothing": lambda y, rng: smoothed(y, 0.39),  # of level and noise: Muth (1960)
    "smoothing, weight 0.3": lambda y, rng: smoothed(y, 0.3),
    "mean": lambda y, rng: np.zeros(len(y)),
    "its equation, 0.5": lambda y, rng: 0.5 * shifted(y),
    "its equation, 0.9": lambda y, rng: 0.9 * shifted(y),
    "its equation": lambda y, rng: 1.5 * shifted(y) - 0.7 * shifted(y, 2),
    "last season": lambda y, rng: shifted(y, 24),
    "truth and noise": lambda y, rng: y + 0.5 * rng.normal(size=len(y)),
    "truth and much noise": lambda y, rng: y + 3 * rng.normal(size=len(y)),
}

# (series, forecast): the right verdict, and for each number of rows how often each is given, in %.
RATES = {
    ("random walk", "last value"): (
        LAGS, {60: (0, 0, 100), 200: (0, 0, 100), 1000: (0, 0, 100)},
    ),
    ("random walk", "last value and noise"): (
        LAGS, {60: (0, 0.1, 100), 200: (0, 0, 100), 1000: (0, 0, 100)},
    ),
    ("random walk", "value before the last"): (
        LAGS, {60: (0, 8.1, 92), 200: (0, 0, 100), 1000: (0, 0, 100)},
    ),
    ("random walk", "smoothing, weight 0.5"): (
        LAGS, {60: (0, 0.1, 99.8), 200: (0, 0, 100), 1000: (0, 0, 100)},
    ),
    ("AR(2), cyclic", "last value"): (
        LAGS, {60: (0, 0, 100), 200: (0, 0, 100), 1000: (0, 0, 100)},
    ),
    ("season", "last value"): (
        LAGS, {60: (0, 0, 100), 200: (0, 0, 100), 1000: (0, 0, 100)},
    ),
    ("white noise", "mean"): (
        NO_BETTER, {60: (0, 100, 0), 200: (0, 100, 0), 1000: (0, 100, 0)},
    ),
    ("white noise", "smoothing, weight 0.3"): (
        NO_BETTER, {60: (0, 99.5, 0.5), 200: (0, 100, 0), 1000: (0, 100, 0)},
    ),
    ("level and noise", "best smoothing"): (
        NO_BETTER, {60: (0, 78.2, 21.8), 200: (0, 99.3, 0.7), 1000: (0.1, 100, 0)},
    ),
    ("random walk", "truth and much noise"): (
        NO_BETTER, {60: (0, 100, 0), 200: (0, 100, 0), 1000: (0, 100, 0)},
    ),
    ("AR(2), cyclic", "its equation"): (
        BEATS, {60: (67.8, 31.3, 0.8), 200: (100, 0, 0), 1000: (100, 0, 0)},
    ),
    ("AR(1), 0.5", "its equation, 0.5"): (
        BEATS, {60: (8.9, 79.6, 11.5), 200: (70, 29.9, 0.1), 1000: (100, 0, 0)},
    ),
    ("AR(1), 0.9", "its equation, 0.9"): (
        BEATS, {60: (4.5, 31.9, 63.5), 200: (21.3, 42.2, 36.5), 1000: (96.5, 3.2, 0.3)},
    ),
    ("season", "last season"): (
        BEATS, {60: (26.2, 73.8, 0), 200: (85.3, 14.7, 0), 1000: (100, 0, 0)},
    ),
    ("random walk", "truth and noise"): (
        BEATS, {60: (99.1, 0.9, 0), 200: (100, 0, 0), 1000: (100, 0, 0)},
    ),
}  # fmt: skip


def verdicts(series, forecast, rows, seeds):
    found = []
    for seed in seeds:
        rng = np.random.default_rng([seed, rows])
        y = SERIES[series](rng, rows + 100)
        arrays = y, FORECASTS[forecast](y, rng), shifted(y)
        found.append(lag_check(*(values[100:] for values in arrays)).verdict)
    return found


def table(rates=None) -> list[str]:
    """Return the lines of the table in docs/forecast.md; the right verdict is in bold."""
    lines = []
    for (series, forecast), (right, of_rows) in (rates or RATES).items():
        cells = [
            " / ".join(
                f"**{rate:g}**" if verdict == right else f"{rate:g}"
                for verdict, rate in zip(VERDICTS, of_rows[rows], strict=True)
            )
            for rows in ROWS
        ]
        lines.append(f"| {series} | {forecast} | " + " | ".join(cells) + " |")
    return lines


def test_the_table_of_the_documentation_is_this_one():
    page = Path(__file__).parents[2] / "docs" / "forecast.md"
    found = [line for line in page.read_text().splitlines() if re.match(r"\|.*\d\** / ", line)]
    assert found == table()


@pytest.mark.parametrize("case", RATES, ids=" - ".join)
@pytest.mark.parametrize("rows", [60, 200, pytest.param(1000, marks=pytest.mark.thorough)])
def test_verdicts_are_as_frequent_as_stated(case, rows):
    """Each verdict, by a binomial test: 60 series against the rate of 2,000 others."""
    found = verdicts(*case, rows, range(10_000, 10_060))
    for verdict, rate in zip(VERDICTS, RATES[case][1][rows], strict=True):
        probability = np.clip(rate / 100, 0.005, 0.995)  # what 2,000 series leave open
        test = stats.binomtest(found.count(verdict), len(found), probability)
        assert test.pvalue > FALSE_ALARMS, (verdict, rate, found.count(verdict))


def test_errors_are_rare():
    """In the table: a false "beats" at most 1 %; with 1,000 rows the right verdict in 96 %."""
    for case, (right, of_rows) in RATES.items():
        for rows, rates in of_rows.items():
            of = dict(zip(VERDICTS, rates, strict=True))
            assert right == BEATS or of[BEATS] <= 1, (case, rows)
        assert of[right] >= 96, case
        assert right == LAGS or of[LAGS] <= 0.5, case


def test_nothing_made_from_the_past_of_a_walk_beats_persistence():
    """Of any smoothing and momentum: a false "beats" is as rare as its level, 1 %."""
    found = []
    for seed in range(400):
        rng = np.random.default_rng([seed, 7])
        walk = rng.normal(size=300).cumsum()
        last, weight, momentum = shifted(walk), rng.uniform(0.1, 1), rng.uniform(-0.2, 0.2)
        forecast = smoothed(walk, weight) + momentum * (last - shifted(walk, 2))
        found.append(lag_check(walk[100:], forecast[100:], last[100:]).verdict)
    assert stats.binom.sf(found.count(BEATS) - 1, len(found), 0.01) > FALSE_ALARMS


# Laws, on any series and any forecast.


@st.composite
def checked(draw):
    """A series, a forecast between the last value, the truth and noise, and the step."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, step = draw(st.integers(40, 150)), draw(st.integers(1, 4))
    y = SERIES[draw(st.sampled_from(sorted(SERIES)))](rng, rows + 100)
    last = shifted(y, step)
    known, noise = draw(st.floats(-0.5, 1)), draw(st.floats(0, 3))
    forecast = last + known * (y - last) + noise * rng.normal(size=len(y))
    return y[100:], forecast[100:], last[100:], step


@given(arrays=checked())
def test_a_forecast_significantly_better_than_persistence_never_lags(arrays):
    actual, forecast, last, step = arrays
    found = lag_check(*arrays)
    gain = (last - actual) ** 2 - (forecast - actual) ** 2
    p_value = upper_tail(standardised_mean(gain, step), len(gain))
    if p_value < 0.05 * (1 - 1e-9):
        assert not found.is_lagging
    if found.verdict == BEATS:
        assert p_value < 0.01 * (1 + 1e-9)
        assert min(found.skill, found.skill_over_smoothing) > 0


@given(arrays=checked())
def test_verdicts_are_one_of_three_and_the_flag_is_the_third(arrays):
    found = lag_check(*arrays)
    assert found.verdict in VERDICTS
    assert found.is_lagging == (found.verdict == LAGS)


@given(arrays=checked(), scale=st.floats(1e-3, 1e3), offset=st.floats(-10, 10))
def test_units_do_not_change_the_verdict(arrays, scale, offset):
    *series, step = arrays
    moved = [offset + scale * values for values in series]
    assert lag_check(*moved, step).verdict == lag_check(*series, step).verdict


@given(arrays=checked())
def test_the_last_value_and_its_smoothings_never_beat_persistence(arrays):
    actual, _, last, step = arrays
    assert lag_check(actual, last, last, step).verdict != BEATS
    assert lag_check(actual, np.full(len(last), last.mean()), last, step).verdict != BEATS


@given(arrays=checked())
def test_the_truth_beats_persistence(arrays):
    actual, _, last, step = arrays
    assert lag_check(actual, actual, last, step).verdict == BEATS


if __name__ == "__main__":
    measured = {}
    for case, (right, _) in RATES.items():
        measured[case] = right, {}
        for rows in ROWS:
            found = verdicts(*case, rows, range(2000))
            rates = tuple(round(100 * found.count(verdict) / 2000, 1) for verdict in VERDICTS)
            measured[case][1][rows] = rates
        print(f"    {case!r}: ({right!r}, {measured[case][1]}),", flush=True)
    print("\n".join(table(measured)))
