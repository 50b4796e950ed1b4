"""Statistics as tidy tables: a list of dicts, one row for each observation (Wickham 2014).

`pandas.DataFrame(study.rows(...))` makes a data frame of it; `csv.DictWriter` a file.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lstmcore.arrays import check_known
from lstmcore.study.gradients import GradientFlow
from lstmcore.study.names import GATES, QUANTITIES, quantity_of
from lstmcore.study.statistics import Contributions, Correlation, Moments, Saturation, TimeScale
from lstmcore.study.sweeps import Sweep
from lstmcore.types import Gates, Trace

# The axes of the arrays in each result.
AXES = {
    Saturation: ("unit",),
    Moments: ("unit",),
    TimeScale: ("unit",),
    Correlation: ("unit",),
    Contributions: ("example", "step", "unit"),
    GradientFlow: ("example", "step"),
}


def rows(result, /, **labels) -> list[dict]:
    """Return one statistic as a tidy table.

    Args:
      result: what a function of `lstmcore.study` returned (a NamedTuple of statistics, a Sweep), or
        a dict of them by layer, such as `run.measure(...)`.
      **labels: columns to add to every row.

    Returns:
      A list of dicts with the columns: the labels, "layer" if `result` is a dict, "gate" or
      "quantity" where there is one, the axes (example, step, unit), then one for each field.
      The forget_product of a GradientFlow is averaged over the units.

    Raises:
      TypeError: `result` is not one of `lstmcore.study`.
      ValueError: several results in one, as from `jax.vmap`.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> from lstmcore import study
      >>> model = lc.Autoencoder(features=2, units=(8, 4))
      >>> run = study.run(model, model.init(jax.random.key(0)), jnp.ones((5, 3, 2)))
      >>> table = study.rows(run.measure(study.saturation))
      >>> len(table), table[0]
      (96, {'layer': 'encoder_0', 'gate': 'input', 'unit': 0, 'left': 0.0, 'right': 0.0})
    """
    if isinstance(result, Mapping):
        return [row for name, part in result.items() for row in rows(part, **labels, layer=name)]
    if isinstance(result, Sweep):
        return [{**labels, **row} for row in result.rows()]
    if type(result) not in AXES:
        raise TypeError(
            f"result must come from lstmcore.study, or be a dict of such by layer, got "
            f"{type(result).__name__}"
        )
    check_known("result", result)
    axes = AXES[type(result)]
    table = []
    for name, fields in _by_name(result):
        _check_axes(result, next(iter(fields.values())), axes)
        arrays = [_averaged(np.asarray(array), len(axes)) for array in fields.values()]
        for place in np.ndindex(arrays[0].shape):
            values = (array[place].item() for array in arrays)
            table.append(
                {**labels, **name}
                | dict(zip(axes, place, strict=True))
                | dict(zip(fields, values, strict=True))
            )
    return table


def _by_name(result):
    """Yield ({"gate": name} or {"quantity": name} or {}, {field: array}) for each kind of row."""
    fields = result._asdict()
    kind = type(result[0])
    if kind is Gates:
        for name in GATES:
            yield {"gate": name}, {key: getattr(part, name) for key, part in fields.items()}
    elif kind is Trace:
        for name in QUANTITIES:
            yield {"quantity": name}, {key: quantity_of(part, name) for key, part in fields.items()}
    else:
        yield {}, fields


def _check_axes(result, array, axes: tuple[str, ...]) -> None:
    if np.ndim(array) != len(axes):
        raise ValueError(
            f"rows needs one {type(result).__name__} with arrays [{', '.join(axes)}], got shape "
            f"{np.shape(array)}: for several results of jax.vmap, take one at a time with "
            "jax.tree.map(lambda leaf: leaf[0], result)"
        )


def _averaged(array: np.ndarray, axes: int) -> np.ndarray:
    return array.mean(axis=tuple(range(axes, array.ndim))) if array.ndim > axes else array
