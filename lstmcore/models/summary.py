"""The summary of a model: a table of its layers, output shapes and parameter counts."""

from __future__ import annotations

import inspect
import math
from typing import Any

import jax
import jax.numpy as jnp

from lstmcore import checks
from lstmcore.display.html import table, titled
from lstmcore.formatting import text_table
from lstmcore.series.frames import make_frame
from lstmcore.specs import KINDS, Layer
from lstmcore.types import DenseParams, EmbeddingParams, Trace

__all__ = ["Summary", "summary"]

HEADER = ("layer", "type", "output shape", "params")


class Summary(str):
    """The table of `summary` as text, which notebooks show as a table.

    Attributes:
      name: of the model's class.
      rows: (name, type, output shape, number of params) of each layer.
      total: number of params of the model. A layer that two rows share counts once.
    """

    name: str
    rows: list[tuple[str, str, tuple, int]]
    total: int

    @classmethod
    def of(cls, name: str, rows: list[tuple[str, str, tuple, int]], total: int) -> Summary:
        """Return the summary of these layers."""
        last = ("total", "", "", f"{total:,}")
        summary = cls(text_table(HEADER, _cells(rows), words=3, last=last))
        summary.name, summary.rows, summary.total = name, rows, total
        return summary

    def to_frame(self, library: str = "pandas") -> Any:
        """Return a data frame with one row for each layer; the total is left out.

        Its columns are layer, type, output_shape (as text) and params.

        Args:
          library: "pandas", "polars", "pyarrow", or another one that narwhals knows.

        Raises:
          ImportError: narwhals or the library is not installed.
          ValueError: narwhals does not know the library.

        Examples:
          >>> import lstmcore as lc
          >>> frame = lc.summary(lc.StackedLSTM(features=2, units=4, outputs=1)).to_frame()
          >>> frame["params"].tolist()
          [112, 5]
        """
        names, kinds, shapes, counts = zip(*self.rows, strict=True)
        columns = {"layer": names, "type": kinds, "output_shape": map(str, shapes)}
        return make_frame({k: list(v) for k, v in columns.items()} | {"params": counts}, library)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        last = ("total", "", "", f"{self.total:,}")
        return titled(self.name, table(HEADER, _cells(self.rows), words=3, last=last))


def _cells(rows: list[tuple[str, str, tuple, int]]) -> list[tuple[str, ...]]:
    return [(name, kind, str(shape), f"{count:,}") for name, kind, shape, count in rows]


def summary(model: Any, timesteps: int | None = None) -> Summary:
    """Return the layers of a model as a table, as Keras prints it.

    Nothing is computed: shapes and counts come from abstract evaluation, so it also works for a
    model that does not fit into memory.

    Args:
      model: one of lstmcore's models, or your own with `layers` and `apply`. Where its layers do
        not all run at every step, it may have `summary_rows(timesteps)`, which returns (name, type,
        output shape) of each.
        Of a model without it, a shape that does not follow from its traces and outputs is open,
        "(None, ..., 8)".
      timesteps: T, steps of the input; None leaves the time axis open. That of a Seq2Seq's target
        is always open; a dense autoencoder has none.

    Returns:
      Summary: the table as text, whose last line is the total number of parameters.

    Raises:
      TypeError: not a model, or one whose `layers` are no `lc.Layer`.
      ValueError: `timesteps` below 1.

    Examples:
      >>> import lstmcore as lc
      >>> print(lc.summary(lc.Autoencoder(features=2, units=(128, 64)), timesteps=3))
      layer      type                    output shape     params
      ──────────────────────────────────────────────────────────
      encoder_0  LSTM                    (None, 3, 128)   67,072
      encoder_1  LSTM                    (None, 64)       49,408
      repeat     RepeatVector            (None, 3, 64)         0
      decoder_0  LSTM                    (None, 3, 64)    33,024
      decoder_1  LSTM                    (None, 3, 128)   98,816
      head       TimeDistributed(Dense)  (None, 3, 2)        258
      ──────────────────────────────────────────────────────────
      total                                              248,578
    """
    if isinstance(model, type) or not (hasattr(model, "layers") and hasattr(model, "apply")):
        raise TypeError(
            f"model must be one of lstmcore's, or have layers and apply, got {type(model).__name__}"
        )
    for name, layer in model.layers.items():
        if not isinstance(layer, Layer):
            raise TypeError(
                f"layer {name!r} of {type(model).__name__} must be an lc.Layer, got "
                f"{type(layer).__name__}: write lc.Layer(lc.LSTMParams, features, units)"
            )
    if timesteps is not None:
        timesteps = checks.check_count("timesteps", timesteps)
    counts = {
        name: sum(math.prod(shape) for shape in layer.shapes().values())
        for name, layer in model.layers.items()
    }
    rows = [
        (name, kind, shape, counts.get(name, 0)) for name, kind, shape in _rows(model, timesteps)
    ]
    return Summary.of(type(model).__name__, rows, sum(counts.values()))


def _rows(model: Any, timesteps: int | None) -> list[tuple[str, str, Any]]:
    """Return (name, type, output shape) of each layer; None for an axis that is left open."""
    if hasattr(model, "summary_rows"):
        return model.summary_rows(timesteps)
    shapes = _output_shapes(model, timesteps)
    rows = []
    for name, layer in model.layers.items():
        kind, shape = KINDS[layer.kind], shapes.get(name)
        if layer.kind is DenseParams and shape is not None and len(shape) == 3:
            kind = "TimeDistributed(Dense)"
        rows.append((name, kind, f"(None, ..., {layer.units})" if shape is None else shape))
    return rows


def _output_shapes(model: Any, timesteps: int | None) -> dict[str, tuple]:
    """Return the output shapes that are known, by layer: see `_shapes_of_call`.

    The model is traced on abstract inputs of two sizes: axes in which the results differ are open.
    """
    try:
        small, large = (_shapes_of_call(model, size, timesteps or size) for size in (2, 3))
    except Exception:  # it reads something else, or no sequence: its layers are known all the same
        return {}
    return {
        name: tuple(a if a == b else None for a, b in zip(small[name], large[name], strict=True))
        for name in small
        if name in large and len(small[name]) == len(large[name])
    }


def _shapes_of_call(model: Any, batch: int, timesteps: int) -> dict[str, tuple]:
    """Return output shapes: of LSTM layers by their traces, of a first embedding, and of the heads.

    The heads are the last layers, one for each output of the model, if their sizes agree.
    """
    layers = list(model.layers.items())
    name, first = layers[0]
    weights = {
        name: layer.kind(
            **{f: jax.ShapeDtypeStruct(shape, jnp.float32) for f, shape in layer.shapes().items()}
        )
        for name, layer in layers
    }
    shapes: dict[str, tuple] = {}
    x = jax.ShapeDtypeStruct((batch, timesteps, first.features), jnp.float32)
    if first.kind is EmbeddingParams:
        x = jax.ShapeDtypeStruct((batch, timesteps), jnp.int32)
        shapes[name] = (batch, timesteps, first.units)
    options = {}
    key = inspect.signature(model.apply).parameters.get("key")
    if key is not None and key.default is key.empty:
        options["key"] = jax.eval_shape(lambda: jax.random.key(0))
    outputs, traces = jax.eval_shape(model.apply, weights, x, **options)
    shapes |= {name: t.h.shape for name, t in (traces or {}).items() if isinstance(t, Trace)}
    heads = [leaf.shape for leaf in jax.tree.leaves(outputs) if leaf.shape]
    last = layers[-len(heads) :] if heads else []
    if [layer.units for _, layer in last] == [shape[-1] for shape in heads]:
        shapes |= {name: shape for (name, _), shape in zip(last, heads, strict=True)}
    return shapes
