"""Figures of training, of a run, of statistics and sweeps, of forecasts and anomalies.

Each function returns a matplotlib Figure that belongs to no window and no global state; save it
with `figure.savefig(path)`. With `axes=` it draws into panels of your own, made for instance with
`figure.subplots(rows, columns)`, and returns the figure that they belong to.

Colours are those of Okabe & Ito (2008), viridis and RdBu, which readers with any kind of colour
vision can tell apart. Needs matplotlib (`lstmcore[plot]`).
"""

from lstmcore.study.plots.anomalies import plot_anomalies
from lstmcore.study.plots.attention import plot_attention
from lstmcore.study.plots.forecast import plot_forecast, plot_lag_check
from lstmcore.study.plots.gates import plot_gates
from lstmcore.study.plots.statistics import plot_gradient_flow, plot_saturation, plot_time_scales
from lstmcore.study.plots.sweeps import plot_sweep
from lstmcore.study.plots.training import plot_loss, plot_output
from lstmcore.study.plots.unit import plot_unit

__all__ = [
    "plot_anomalies",
    "plot_attention",
    "plot_forecast",
    "plot_gates",
    "plot_gradient_flow",
    "plot_lag_check",
    "plot_loss",
    "plot_output",
    "plot_saturation",
    "plot_sweep",
    "plot_time_scales",
    "plot_unit",
]
