"""The summary of a model: a table of its layers, output shapes and parameter counts."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from lstmcore import checks
from lstmcore.formatting import text_table
from lstmcore.models.autoencoders import DenseAutoencoder
from lstmcore.models.forecaster import Forecaster
from lstmcore.models.seq2seq import Seq2Seq
from lstmcore.types import (
    AdditiveAttention,
    BiasParams,
    DenseParams,
    EmbeddingParams,
    GeneralAttention,
    LSTMParams,
)

__all__ = ["summary"]


def summary(model: Any, timesteps: int | None = None) -> str:
    """Return the layers of a model as a table, as Keras prints it.

    Nothing is computed: shapes and counts come from abstract evaluation, so it also works for a
    model that does not fit into memory.

    Args:
      model: one of lstmcore's models.
      timesteps: T, steps of the input; None leaves the time axis open. That of a Seq2Seq's target
        is always open; a dense autoencoder has none.

    Returns:
      The table as text; the last line is the total number of parameters.

    Raises:
      TypeError: not a model.
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
    if not (hasattr(model, "layers") and hasattr(model, "apply")):
        raise TypeError(f"model must be a model such as lc.Autoencoder, got {type(model).__name__}")
    if timesteps is not None:
        timesteps = checks.check_count("timesteps", timesteps)
    counts = {
        name: sum(math.prod(shape) for shape in layer.shapes().values())
        for name, layer in model.layers.items()
    }
    rows = [
        (name, kind, str(shape), f"{counts.get(name, 0):,}")
        for name, kind, shape in _rows(model, timesteps)
    ]
    header = ("layer", "type", "output shape", "params")
    total = ("total", "", "", f"{sum(counts.values()):,}")
    return text_table(header, rows, words=3, last=total)


def _rows(model: Any, timesteps: int | None) -> list[tuple[str, str, tuple]]:
    """Return (name, kind, output shape) of each layer, and of the inputs of each decoder."""
    if isinstance(model, Seq2Seq):
        return _rows_of_seq2seq(model, timesteps)
    if isinstance(model, DenseAutoencoder):
        return _rows_of_dense(model)
    if isinstance(model, Forecaster):
        return _rows_of_forecaster(model, timesteps)
    shapes = _output_shapes(model, timesteps)
    encoder = [name for name in shapes if name.startswith("encoder")]
    rows = []
    for name, shape in shapes.items():
        stack, _, position = name.rpartition("_")
        if encoder and position == "0" and stack != "encoder":
            repeat = "repeat" if stack == "decoder" else f"{stack}_repeat"
            code = model.layers[encoder[-1]].units
            rows.append((repeat, "RepeatVector", (*shape[:2], code)))
            if model.conditional:
                previous = "previous" if stack == "decoder" else f"{stack}_previous"
                rows.append((previous, "PreviousOutput", (*shape[:2], model.features)))
        if encoder and name == encoder[-1]:
            shape = (shape[0], shape[2])  # only its final state is passed on
        kind = "LSTM" if model.layers[name].kind is LSTMParams else "TimeDistributed(Dense)"
        rows.append((name, kind, shape))
    return rows


def _rows_of_dense(model: Any) -> list[tuple[str, str, tuple]]:
    """Return the rows of a DenseAutoencoder; a tied layer names the one whose kernel it shares."""
    rows = []
    for name, layer in model.layers.items():
        kind, place = "Dense", int(name.rpartition("_")[2])
        if layer.kind is BiasParams:
            kind = f"Dense, tied to encoder_{len(model.units) - 1 - place}"
        rows.append((name, kind, (None, layer.units)))
    return rows


def _rows_of_forecaster(model: Any, timesteps: int | None) -> list[tuple[str, str, tuple]]:
    """Return the rows of a Forecaster; a recursive one also runs over its own forecasts."""
    recursive = model.mode == "recursive"
    steps = timesteps + model.horizon - 1 if recursive and timesteps else timesteps
    *stack, head = model.layers.items()
    rows: list[tuple[str, str, tuple]] = [
        (name, "LSTM", (None, steps, layer.units)) for name, layer in stack
    ]
    if recursive:
        return [*rows, (head[0], "TimeDistributed(Dense)", (None, model.horizon, model.targets))]
    name, kind, (_, _, units) = rows[-1]
    rows[-1] = name, kind, (None, units)  # only its final state is passed on
    return [*rows, (head[0], "Dense", (None, head[1].units))]


def _rows_of_seq2seq(model: Any, timesteps: int | None) -> list[tuple[str, str, tuple]]:
    """Return the rows of a Seq2Seq; its target has another number of steps than `timesteps`."""
    rows = []
    for name, layer in model.layers.items():
        if name.startswith("bridge"):
            shape: tuple = (None, layer.units)
        elif name.startswith(("encoder", "source")) or name == "embedding":
            shape = (None, timesteps, layer.units)
        elif layer.kind in (GeneralAttention, AdditiveAttention):
            shape = (None, None, layer.features)  # the context
        else:
            shape = (None, None, layer.units)
        rows.append((name, KINDS[layer.kind], shape))
    if model.attention == "dot":
        place = [name for name, *_ in rows].index("combine")
        memory = model.layers["combine"].features - model.decoder_units[-1]
        rows.insert(place, ("attention", "DotAttention", (None, None, memory)))
    return rows


KINDS = {
    LSTMParams: "LSTM",
    DenseParams: "Dense",
    EmbeddingParams: "Embedding",
    GeneralAttention: "GeneralAttention",
    AdditiveAttention: "AdditiveAttention",
}


def _output_shapes(model: Any, timesteps: int | None) -> dict[str, tuple]:
    """Return the output shape of each layer; None for an axis that is left open.

    The model is traced on abstract inputs of two sizes: axes in which the results differ are open.
    """
    weights = {
        name: layer.kind(
            **{f: jax.ShapeDtypeStruct(shape, jnp.float32) for f, shape in layer.shapes().items()}
        )
        for name, layer in model.layers.items()
    }
    sizes = []
    for size in (2, 3):
        x = jax.ShapeDtypeStruct((size, timesteps or size, model.features), jnp.float32)
        outputs, traces = jax.eval_shape(model.apply, weights, x)
        heads = iter(jax.tree.leaves(outputs))
        sizes.append(
            {name: (traces[name].h if name in traces else next(heads)).shape for name in weights}
        )
    small, large = sizes
    return {
        name: tuple(a if a == b else None for a, b in zip(small[name], large[name], strict=True))
        for name in small
    }
