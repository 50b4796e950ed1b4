"""What tells the series of one forecaster apart: static features, and a learned vector of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lstmcore import checks

if TYPE_CHECKING:
    import jax


def check_series(
    model: Any, ops: Any, batch: int, static: jax.Array | None, series: jax.Array | None
) -> tuple[jax.Array | None, jax.Array | None]:
    """Return static and series as arrays; raise unless they fit the model.

    Args:
      model: a forecaster.
      ops: `lc.ops` or `lc.reference`.
      batch: number of examples.
      static, series: as `lc.Forecaster.apply` takes them.

    Raises:
      ValueError: one is missing, or not expected, or of another shape or type.
    """
    given = {"static": ops.as_array("static", static), "series": ops.as_array("series", series)}
    shapes = {"static": (batch, model.static), "series": (batch,)}
    for name, array in given.items():
        size, shape = getattr(model, name), shapes[name]
        if array is None:
            if size:
                raise ValueError(
                    f"{name} is missing: the model has {name}={size}, pass {name} {list(shape)}"
                )
        elif not size:
            raise ValueError(f"{name} was given but the model has {name}=0: leave it out")
        elif tuple(array.shape) != shape:
            raise ValueError(
                f"{name} has shape {tuple(array.shape)} but the model and x need {shape}"
            )
    if given["static"] is not None:
        checks.check_floating("static", given["static"])
    if given["series"] is not None and not ops.np.issubdtype(given["series"].dtype, ops.np.integer):
        raise ValueError(
            f"series must hold whole numbers, got {given['series'].dtype}: pass the number of the "
            "series of each example"
        )
    return given["static"], given["series"]


def series_features(
    ops: Any, params: dict, dtype: Any, static: jax.Array | None, series: jax.Array | None
) -> list[jax.Array]:
    """Return what the head reads of each example's series, [B, ...] each.

    A series below 0 has no vector of its own, and is given the mean of all.
    """
    features = [] if static is None else [ops.np.asarray(static, dtype)]
    if series is not None:
        own, _ = ops.embedding(params["series"], ops.np.maximum(series, 0))
        mean = ops.np.asarray(params["series"].table).mean(axis=0)
        features.append(ops.np.where((series < 0)[:, None], mean, own))
    return features
