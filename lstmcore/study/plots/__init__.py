"""Pictures of training, of a run, of what statistics and sweeps found, of anomalies.

Each function returns a matplotlib Figure that belongs to no window and no global state; write it
with `figure.savefig(path)`. `axes=` draws into panels of your own instead, made for instance with
`figure.subplots(rows, columns)`; then the figure that they belong to is returned.

Colours are those of Okabe & Ito (2008), viridis and RdBu, which readers with any kind of colour
vision tell apart. Needs matplotlib (`lstmcore[plot]`).
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
