"""The record of a batch: its inputs and outputs, and the trace of every layer.

print(run)                              layers, shapes, saturation at a glance
run["encoder_0", "forget"]              [B, T, H]
run["encoder_0", "forget", 0, :, 5]     example 0, unit 5: [T]
run.measure(study.saturation)           any statistic, for each layer
run.to_frame("encoder_0")               a tidy data frame
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstmcore.display.html import sparkline, table, titled
from lstmcore.formatting import text_table
from lstmcore.series.frames import make_frame
from lstmcore.study import names
from lstmcore.study.statistics import saturation, time_scale
from lstmcore.types import Trace

HEADER = ("layer", "trace", "i <.1 >.9", "f <.1 >.9", "o <.1 >.9", "half-life in steps")


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["inputs", "mask", "outputs", "traces", "masks", "target", "attention"],
    meta_fields=["layers", "decoder"],
)
@dataclass(frozen=True, repr=False, eq=False)
class Run:
    """Inputs, outputs and traces of a model on one batch; a pytree.

    Attributes:
      inputs: [B, T, F], or [B, T] of tokens if the model embeds them.
      mask: bool [B, T] or None, as it was given; of an encoder-decoder, the one of its source.
      outputs: what the model's `apply` returned first.
      traces: Trace of each LSTM layer by name.
      masks: for each layer, bool [B, T'] of its real steps, or None if all are real; a decoder with
        steps of its own is not masked.
      layers: names of the LSTM layers, in reading order.
      target: of an encoder-decoder, the target of its decoder, [B, T'] or [B, T', F]; else None.
      attention: of an encoder-decoder with attention, its weights [B, T', T]; else None.
      decoder: of an encoder-decoder, names of the layers that run over the steps of the target.
    """

    inputs: jax.Array
    mask: jax.Array | None
    outputs: Any
    traces: dict[str, Trace]
    masks: dict[str, jax.Array | None]
    layers: tuple[str, ...]
    target: jax.Array | None = None
    attention: jax.Array | None = None
    decoder: tuple[str, ...] = ()

    def __post_init__(self):
        for name in ("traces", "masks"):  # JAX sorts the keys of a dict
            in_order = {layer: getattr(self, name)[layer] for layer in self.layers}
            object.__setattr__(self, name, in_order)

    @classmethod
    def unmasked(cls, inputs, outputs, traces: dict[str, Trace]) -> Run:
        """Return the run of a batch without padding, from its traces in reading order."""
        return cls(inputs, None, outputs, traces, dict.fromkeys(traces), tuple(traces))

    def __getitem__(self, key):
        """Return the Trace of a layer, `run[layer]`, or one quantity of it, `run[layer, quantity]`.

        A quantity is "input", "forget", "candidate", "output", "h" or "c", [B, T, H]; further
        indices index that array as in NumPy.

        Raises:
          ValueError: an unknown layer or quantity, or an index outside of the array.
        """
        layer, *rest = key if isinstance(key, tuple) else (key,)
        names.check_layer(layer, self.traces)
        if not rest:
            return self.traces[layer]
        quantity, *index = rest
        array = names.quantity_of(self.traces[layer], quantity)
        if len(index) > array.ndim:
            raise ValueError(f"{len(index)} indices for the 3 axes example, step, unit")
        for axis, place, size in zip(("example", "step", "unit"), index, array.shape, strict=False):
            if not isinstance(place, slice):
                names.places(axis, [None] if place is None else place, size)
        return array[tuple(map(_index, index))]

    def examples(self, chosen: names.Places) -> Run:
        """Return the run of some examples, given as a number, several, or a slice.

        The batch axis stays.

        Raises:
          ValueError: an example that does not exist.
        """
        rows = names.places("examples", chosen, self.inputs.shape[0])
        if rows is None:
            return self
        # A number, such as a loss among the outputs, is that of the whole batch.
        return jax.tree.map(lambda leaf: leaf[rows] if jnp.ndim(leaf) else leaf, self)

    def measure(self, statistic: Callable, **options) -> dict[str, Any]:
        """Return `statistic(trace, mask=mask, **options)` of each layer: {layer: result}."""
        return {
            layer: statistic(trace, mask=self.masks[layer], **options)
            for layer, trace in self.traces.items()
        }

    def to_frame(self, layer: str, library: str = "pandas") -> Any:
        """Return the trace of a layer as a tidy data frame: one row for each real step and unit.

        Its columns are example, step, unit, input, forget, candidate, output, h and c. Steps that
        were masked are left out. With a projection h has fewer units than the cell, and is NaN for
        the others.

        Args:
          layer: its name.
          library: "pandas", "polars", "pyarrow", or another one that narwhals knows.

        Raises:
          ImportError: narwhals or the library is not installed.
          ValueError: an unknown layer, or narwhals does not know the library.

        Examples:
          >>> import jax, jax.numpy as jnp, lstmcore as lc
          >>> from lstmcore import study
          >>> model = lc.StackedLSTM(features=2, units=4, outputs=1)
          >>> run = study.run(model, model.init(jax.random.key(0)), jnp.ones((5, 3, 2)))
          >>> frame = run.to_frame("lstm_0")
          >>> len(frame), round(float(frame.query("step == 2 and unit == 0")["forget"].mean()), 2)
          (60, 0.73)
        """
        trace, mask = self[layer], self.masks[layer]
        batch, timesteps, units = trace.c.shape
        real = np.ones((batch, timesteps), bool) if mask is None else np.asarray(mask, bool)
        example, step = np.nonzero(real)
        columns = {
            "example": np.repeat(example, units),
            "step": np.repeat(step, units),
            "unit": np.tile(np.arange(units), len(example)),
        }
        for quantity in names.QUANTITIES:
            array = np.asarray(names.quantity_of(trace, quantity))
            if array.shape[-1] < units:  # h of a projection
                array = np.pad(
                    array, [(0, 0), (0, 0), (0, units - array.shape[-1])], constant_values=np.nan
                )
            columns[quantity] = array[real].reshape(-1)
        return make_frame(columns, library)

    def __repr__(self) -> str:
        return _summary(self)

    def _repr_html_(self) -> str:
        return _summary_html(self)

    def _ipython_key_completions_(self) -> list:
        """Return what IPython offers after `run[`: layers, and after one of them quantities."""
        return [*self.layers, *product(self.layers, names.QUANTITIES)]


_saturation, _time_scale = jax.jit(saturation), jax.jit(time_scale)


def _summary(run: Run) -> str:
    """Summarise the layers of a run: shapes, saturation and memory."""
    title, rows = _title(run), _rows(run)
    return title + ("\n\n" + text_table(HEADER, rows, words=2) if rows else "")


def _summary_html(run: Run) -> str:
    """Return the summary with the mean forget gate of each layer at each step."""
    title, rows = _title(run), _rows(run)
    if not rows:
        return titled(title)
    plots = [sparkline(_mean_forget(run, layer), "mean forget gate") for layer in run.layers]
    cells = [(*row, plot) for row, plot in zip(rows, plots, strict=True)]
    return titled(title, table((*HEADER, "mean f by step"), cells, words=2))


def _mean_forget(run: Run, layer: str) -> np.ndarray:
    """Return the mean forget gate of a layer over units and examples, at the real steps [T]."""
    gate, mask = np.asarray(run[layer, "forget"], float), run.masks[layer]
    real = np.ones(gate.shape[:2]) if mask is None else np.asarray(mask, float)
    with np.errstate(invalid="ignore"):  # NaN at a step that is real in no example
        return (gate.mean(axis=2) * real).sum(axis=0) / real.sum(axis=0)


def _title(run: Run) -> str:
    axes = zip(run.inputs.shape, ("examples", "steps", "features"), strict=False)
    title = ", ".join(f"{size:,} {axis}" for size, axis in axes)
    if _is_traced(run):
        return f"Run of {title}, being traced"
    if run.mask is None:
        return f"Run of {title}"
    return f"Run of {title}, {np.sum(run.mask) / max(run.mask.size, 1):.0%} of the steps real"


def _is_traced(run: Run) -> bool:
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(run))


def _rows(run: Run) -> list[tuple[str, ...]]:
    """Return the cells of HEADER for each layer; none while the run is being traced.

    Saturation is the fraction of all real steps and units at which a gate is below 0.1 and above
    0.9; half-lives are those of the units.
    """
    rows: list[tuple[str, ...]] = []
    if _is_traced(run):
        return rows
    for layer, trace in run.traces.items():
        left, right = _saturation(trace, run.masks[layer])
        gates = [
            f"{np.mean(getattr(left, gate)):.0%} {np.mean(getattr(right, gate)):4.0%}"
            for gate in ("input", "forget", "output")
        ]
        half_lives = np.asarray(_time_scale(trace, run.masks[layer]).half_life)
        low, middle, high = half_lives.min(), np.median(half_lives), half_lives.max()
        spread = f"{low:.3g} to {high:.3g}, median {middle:.3g}"
        rows.append((layer, str(trace.c.shape), *gates, spread))
    return rows


def _index(place):
    return place if isinstance(place, slice) else jnp.asarray(place)
