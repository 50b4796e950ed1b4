"""A model at a glance: the table of its layers, shapes and parameters."""

from __future__ import annotations

import math

import jax

from lstmcore import checks

__all__ = ["summary"]


def summary(model, timesteps: int | None = None) -> str:
    """The layers of a model as a table, in the manner of Keras.

    Nothing is computed: shapes and counts come from abstract evaluation, so a model that does
    not fit into memory can be looked at, too.

    Args:
      model: one of lstmcore's models.
      timesteps: T, steps of the input; None leaves the time axis open.

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
    if not (hasattr(model, "layers") and hasattr(model, "init")):
        raise TypeError(f"model must be a model such as lc.Autoencoder, got {type(model).__name__}")
    if timesteps is not None:
        timesteps = checks.check_count("timesteps", timesteps)
    params = jax.eval_shape(model.init, jax.random.key(0))
    counts = {
        name: sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(layer))
        for name, layer in params.items()
    }
    rows = [
        (name, kind, str(shape), f"{counts.get(name, 0):,}")
        for name, kind, shape in model.layers(timesteps)
    ]
    header = ("layer", "type", "output shape", "params")
    total = ("total", "", "", f"{sum(counts.values()):,}")
    widths = [max(map(len, column)) for column in zip(header, *rows, total, strict=True)]
    lines = [_line(row, widths) for row in (header, *rows, total)]
    rule = "─" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def _line(row, widths) -> str:
    *words, number = row
    *word_widths, number_width = widths
    cells = [word.ljust(width) for word, width in zip(words, word_widths, strict=True)]
    return "  ".join([*cells, number.rjust(number_width)])
