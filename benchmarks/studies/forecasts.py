"""Forecasts of sunspots and of CO2 in the air, beside simple forecasts and statistical models.

Two public-domain series: yearly sunspot numbers 1700-2008, which come with lstmcore, and weekly CO2
of Mauna Loa 1958-2001, which comes with statsmodels. The origin rolls: eight folds of 11 years at
the end of the one, twelve of 13 weeks at the end of the other, each forecast by a model that was
trained only on the rows before it (Tashman 2000).

Beside the LSTM stand the naive and the seasonal naive forecast, and an established model of
statsmodels, fitted anew for each origin, too: for sunspots an autoregression of 9 years (Yule 1927
began with 2; 9 is the usual order since), for CO2 exponential smoothing with trend and season
(Holt 1957; Winters 1960).

Then the lag check, on one forecast of every row of all folds, by the model of the first origin; and
on two forecasts that lag by design: the mean of the last two values, and the same LSTM trained to
repeat the last row of its window.

Expected, and refuted otherwise, stated before the runs:

1. On each series the LSTM has a lower MASE than both naive forecasts, in the mean over seeds.
2. On each series it has a lower MASE than the statistical model, likewise. (These series are short,
   so "no" would not surprise.)
3. The lag check finds no LSTM to lag at a horizon of one, and finds both lagging forecasts to lag,
   for every seed on each series.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

import lstmcore as lc
from benchmarks.studies.record import Claim
from lstmcore import forecasting, series
from lstmcore.series import read_dataset
from lstmcore.study.plots.style import COLOURS

TITLE = "Forecasts of sunspots and CO2"
SOURCE = (
    "public-domain series; rolling origin after Tashman 2000; MASE after Hyndman & Koehler 2006"
)
HYPOTHESIS = "A small LSTM forecasts both series better than the naive forecasts, and does not lag."
SEEDS = 3
MODELS = ("LSTM", "statistical", "seasonal naive", "naive")


class Case(NamedTuple):
    """A series and its models.

    read: () -> [rows, 1]
    settings: of the LSTM
    folds: number of origins
    classic: name of the statistical model
    fit: (past [rows], horizon) -> forecast [horizon] of the statistical model
    """

    read: Callable[[], np.ndarray]
    settings: forecasting.Settings
    folds: int
    classic: str
    fit: Callable[[np.ndarray, int], np.ndarray]


def sunspots() -> np.ndarray:
    """Return the yearly sunspot numbers."""
    return read_dataset("sunspots").values


def co2() -> np.ndarray:
    """Return weekly CO2, with gaps of up to 18 weeks filled by the last known value."""
    from statsmodels.datasets import co2

    values = co2.load_pandas().data.to_numpy(float)
    return series.fit_filling(values, "forward").transform(values)


def autoregression(past: np.ndarray, horizon: int) -> np.ndarray:
    """Forecast by autoregression of order 9."""
    from statsmodels.tsa.ar_model import AutoReg

    return np.asarray(AutoReg(past, 9).fit().forecast(horizon))


def smoothing(past: np.ndarray, horizon: int) -> np.ndarray:
    """Forecast by Holt-Winters smoothing with a season of 52 weeks."""
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    model = ExponentialSmoothing(past, trend="add", seasonal="add", seasonal_periods=52)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an optimizer that stops at a bound
        return np.asarray(model.fit().forecast(horizon))


CASES = {
    "sunspots": Case(
        sunspots,
        forecasting.Settings(
            window=33,
            horizon=11,
            season=11,
            units=(32,),
            epochs=60,
            preprocessing=series.Preprocessing(difference=(1,)),
            linear=False,  # the question is what the LSTM does by itself
            search=False,
            nonnegative=False,
        ),
        folds=8,
        classic="autoregression of 9 years",
        fit=autoregression,
    ),
    "CO2": Case(
        co2,
        forecasting.Settings(
            window=52,
            horizon=13,
            season=52,
            units=(32,),
            epochs=40,
            preprocessing=series.Preprocessing(difference=(52,)),
            linear=False,
            search=False,
            nonnegative=False,
        ),
        folds=12,
        classic="Holt-Winters smoothing",
        fit=smoothing,
    ),
}


def run(quick: bool = False) -> dict:
    """Run all cases with all seeds."""
    runs, classics = [], {}
    for name, case in CASES.items():
        values, folds = case.read(), 2 if quick else case.folds
        settings = replace(case.settings, epochs=1) if quick else case.settings
        classics[name] = _classic(case, values, folds)
        for seed in range(1 if quick else SEEDS):
            found = {"series": name, "seed": seed}
            found |= _measure(values, replace(settings, seed=seed), folds)
            print(f"  {found}", flush=True)
            runs.append(found)
    return {
        "units": 32,
        "folds": {name: case.folds for name, case in CASES.items()},
        "classic": classics,
        "runs": runs,
    }


def _classic(case: Case, values: np.ndarray, folds: int) -> dict:
    """Return the MASE of the statistical model, by fold."""
    horizon, season = case.settings.horizon, case.settings.season
    origins = len(values) - horizon * np.arange(folds, 0, -1)
    errors = []
    for origin in origins.tolist():
        past, future = values[:origin], values[origin : origin + horizon]
        scale = forecasting.mase_scale(past, season)
        forecast = case.fit(past[:, 0], horizon)[None, :, None]
        errors.append(float(forecasting.mase(future[None], forecast, scale)[0]))
    return {"model": case.classic, "mase": [round(error, 4) for error in errors]}


def _measure(values: np.ndarray, settings: forecasting.Settings, folds: int) -> dict:
    """Return MASE by fold, and the lag checks, of one seed."""
    back = forecasting.backtest(values, ["value"], settings, folds)
    mase = {name: scores.mase[:, 0].round(4).tolist() for name, scores in back.by_fold.items()}
    first = int(back.origins[0])
    trained = forecasting.train(values[:first], ["value"], replace(settings, test=0.0))
    origins = np.arange(first, len(values))
    actual, last = values[origins, 0], values[origins - 1, 0]
    means = (values[origins - 1, 0] + values[origins - 2, 0]) / 2
    forecasts = {
        "LSTM": trained.forecast(values, origins).point[:, 0, 0],
        "mean of the last two": means,
        "LSTM that echoes": _echo(values, first, origins, settings),
    }
    checks = {name: forecasting.lag_check(actual, one, last) for name, one in forecasts.items()}
    return {
        "mase": {"LSTM": mase["model"]} | {name: mase[name] for name in MODELS[2:]},
        "lag": {
            name: {
                "verdict": check.verdict,
                "follows": check.is_lagging,
                "best_lag": check.best_lag,
                "skill": round(check.skill, 3),
            }
            for name, check in checks.items()
        },
    }


def _echo(values, first: int, origins, settings: forecasting.Settings) -> np.ndarray:
    """Forecast one step with an LSTM that was trained to repeat the last row of its window."""
    scaler = series.fit_scaler(values[:first], "standard")
    scaled = scaler.transform(values).astype(np.float32)
    x = series.windows(scaled[:first], settings.window)
    model = lc.Forecaster(1, settings.units, horizon=1)
    init_key, key = jax.random.split(jax.random.key(settings.seed))
    result = lc.fit(
        model.loss,
        model.init(init_key),
        {"x": x, "target": x[:, -1:]},
        optimizer=optax.adam(settings.learning_rate),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        key=key,
    )
    read = scaled[origins[:, None] + np.arange(-settings.window, 0)]
    outputs, _ = model.apply(result.params, jnp.asarray(read))
    return scaler.inverse_transform(np.asarray(outputs))[:, 0, 0]


def mean_of(measured: dict, name: str, model: str) -> float:
    """Return the mean MASE over folds, and over seeds for the LSTM."""
    if model == "statistical":
        return float(np.mean(measured["classic"][name]["mase"]))
    return float(np.mean([run["mase"][model] for run in _runs(measured, name)]))


def _runs(measured: dict, name: str) -> list[dict]:
    return [run for run in measured["runs"] if run["series"] == name]


def check_claims(measured: dict) -> list[Claim]:
    """Apply the criteria of the docstring of this module."""
    claims = []
    for name in CASES:
        ours, classic, seasonal, naive = (mean_of(measured, name, model) for model in MODELS)
        claims += [
            Claim(
                f"{name}: the LSTM has a lower MASE than both naive forecasts",
                ours < min(seasonal, naive),
                f"{ours:.3f} against {seasonal:.3f} (seasonal naive) and {naive:.3f} (naive)",
            ),
            Claim(
                f"{name}: and than {CASES[name].classic}",
                ours < classic,
                f"{ours:.3f} against {classic:.3f}",
            ),
        ]
    honest = [run["lag"]["LSTM"] for run in measured["runs"]]
    lagging = [run["lag"][model] for run in measured["runs"] for model in list(run["lag"])[1:]]
    found = sum(check["follows"] for check in lagging)
    return [
        *claims,
        Claim(
            "the lag check says of no trained LSTM that it follows the last value",
            not any(check["follows"] for check in honest),
            "; ".join(
                f"{run['series']}, seed {run['seed']}: {run['lag']['LSTM']['verdict']}"
                for run in measured["runs"]
            ),
        ),
        Claim(
            "it says so of both lagging forecasts, for every seed on each series",
            found == len(lagging),
            f"{found} of {len(lagging)}",
        ),
    ]


def tables(measured: dict) -> str:
    """Return the MASE of each model, and the lag checks."""
    rows = [f"| MASE, mean over folds | {' | '.join(CASES)} |", "|---|" + "---:|" * len(CASES)]
    for model in MODELS:
        cells = []
        for name in CASES:
            if model == "LSTM":
                seeds = [np.mean(run["mase"]["LSTM"]) for run in _runs(measured, name)]
                cells.append(f"{np.mean(seeds):.3f} ({', '.join(f'{seed:.3f}' for seed in seeds)})")
            else:
                cells.append(f"{mean_of(measured, name, model):.3f}")
        label = {
            "LSTM": "LSTM, 32 units (by seed)",
            "statistical": "; ".join(case.classic for case in CASES.values()),
        }.get(model, model)
        rows.append(f"| {label} | {' | '.join(cells)} |")
    checks = [
        "| lag check, one step ahead | series | verdict by seed | skill over the last value |",
        "|---|---|---|---|",
    ]
    for model in measured["runs"][0]["lag"]:
        for name in CASES:
            found = [run["lag"][model] for run in _runs(measured, name)]
            verdicts = "; ".join(dict.fromkeys(check["verdict"] for check in found))
            skills = ", ".join(f"{check['skill']:.2f}" for check in found)
            checks.append(f"| {model} | {name} | {verdicts} | {skills} |")
    return "\n".join([*rows, "", *checks])


def draw(measured: dict) -> Figure:
    """Plot the MASE of each fold."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    panels = figure.subplots(1, len(CASES), squeeze=False)[0]
    for panel, name in zip(panels, CASES, strict=True):
        runs = _runs(measured, name)
        for number, model in enumerate(MODELS):
            if model == "statistical":
                folds, label = [measured["classic"][name]["mase"]], CASES[name].classic
            else:
                folds, label = [run["mase"][model] for run in runs], model
            for line, values in enumerate(folds if model == "LSTM" else folds[:1]):
                panel.plot(
                    range(1, len(values) + 1),
                    values,
                    color=COLOURS[number],
                    marker="o",
                    markersize=3,
                    label=None if line else label,
                )
        panel.set(title=name, xlabel="fold", ylabel="MASE", ylim=(0, None))
        panel.grid(alpha=0.3)
        panel.legend(frameon=False, fontsize="small")
    return figure
