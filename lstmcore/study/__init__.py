"""Study gate internals: inspect, measure, edit and plot. Built on the public core alone.

inspect  run                    a model's outputs and the trace of every layer
measure  statistics, gradients  saturation, time-scales, correlations, gradient flow
         tables                 statistics as tidy tables
edit     edits                  clamp, scale, ablate, patch; other cells
         sweeps                 which gate, step and unit made the difference
plot     plots, inspector       figures (extra `plot`) and an interactive page (extra `inspect`)
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

from lstmcore.study.edits import (
    VARIANTS,
    Edit,
    ablate,
    clamp,
    compose,
    coupled,
    patch,
    scale,
    shift,
    simple_rnn,
)
from lstmcore.study.gradients import (
    GradientFlow,
    attribution,
    forget_product,
    gate_gradients,
    gradient_flow,
)
from lstmcore.study.record import Run
from lstmcore.study.run import SingleLayer, run
from lstmcore.study.statistics import (
    Contributions,
    Correlation,
    Moments,
    Saturation,
    TimeScale,
    contributions,
    correlation,
    moments,
    saturation,
    time_scale,
)
from lstmcore.study.sweeps import Sweep, ablation_sweep, patch_sweep
from lstmcore.study.tables import rows

# Loaded on use: they need matplotlib.
_LATER = {"plots": "lstmcore.study.plots", "inspect": "lstmcore.study.inspector"}


def __getattr__(name):
    if name not in _LATER:
        raise AttributeError(f"module 'lstmcore.study' has no attribute {name!r}")
    module = _import_module(_LATER[name])
    return getattr(module, name, module)


if _TYPE_CHECKING:
    from lstmcore.study import plots
    from lstmcore.study.inspector import inspect

__all__ = [
    "VARIANTS",
    "Contributions",
    "Correlation",
    "Edit",
    "GradientFlow",
    "Moments",
    "Run",
    "Saturation",
    "SingleLayer",
    "Sweep",
    "TimeScale",
    "ablate",
    "ablation_sweep",
    "attribution",
    "clamp",
    "compose",
    "contributions",
    "correlation",
    "coupled",
    "forget_product",
    "gate_gradients",
    "gradient_flow",
    "inspect",
    "moments",
    "patch",
    "patch_sweep",
    "plots",
    "rows",
    "run",
    "saturation",
    "scale",
    "shift",
    "simple_rnn",
    "time_scale",
]
