"""Run a model on a batch and keep its inputs, its outputs and the trace of every layer.

run = study.run(model, params, x)
print(run)                              layers, shapes, saturation at a glance
run["encoder_0", "forget"]              [B, T, H]
run["encoder_0", "forget", 0, :, 5]     example 0, unit 5: [T]
run.measure(study.saturation)           any statistic, for each layer
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstmcore.activations import Activation, name_of
from lstmcore.display.html import sparkline, table, titled
from lstmcore.display.text import given_fields
from lstmcore.dtypes import as_arrays
from lstmcore.formatting import text_table
from lstmcore.programs import compiled
from lstmcore.sequence import lstm, masked_steps
from lstmcore.series.frames import make_frame
from lstmcore.specs import takes_target
from lstmcore.study import names
from lstmcore.study.statistics import saturation, time_scale
from lstmcore.types import LSTMParams, Trace


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


@dataclass(frozen=True, repr=False)
class SingleLayer:
    """A model with one layer, "lstm": its weights are an LSTMParams, its output is h.

    Attributes:
      activation, recurrent_activation, output_activation, reverse: as in `lc.lstm`.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> from lstmcore import study
      >>> weights = lc.init_lstm(jax.random.key(0), features=2, units=3)  # or of a Keras layer
      >>> run = study.run(study.SingleLayer(), weights, jnp.ones((5, 7, 2)))
      >>> run["lstm", "forget"].shape
      (5, 7, 3)
    """

    activation: Activation = "tanh"
    recurrent_activation: Activation = "sigmoid"
    output_activation: Activation | None = None
    reverse: bool = False

    __repr__ = given_fields

    def apply(
        self,
        params: LSTMParams,
        x: jax.Array,
        *,
        mask: jax.Array | None = None,
        edits: Mapping[str, Callable] | None = None,
    ) -> tuple[jax.Array, dict[str, Trace]]:
        """Run the layer; errors as in `lc.lstm`.

        Returns:
          (h [B, T, H], {"lstm": Trace}).
        """
        for name in edits or {}:
            names.check_layer(name, ["lstm"])
        _, trace = lstm(
            params,
            x,
            mask=mask,
            reverse=self.reverse,
            activation=self.activation,
            recurrent_activation=self.recurrent_activation,
            output_activation=self.output_activation,
            edit=(edits or {}).get("lstm"),
        )
        return trace.h, {"lstm": trace}


def run(
    model,
    params,
    x: jax.Array,
    mask: jax.Array | None = None,
    edits: Mapping[str, Callable] | None = None,
    *,
    target: jax.Array | None = None,
) -> Run:
    """Run a model on a batch and keep its inputs, its outputs and the trace of every layer.

    The run is compiled once for each shape and each model that is a frozen dataclass; of other
    models, with edits or with an activation function of your own, at every call: what functions
    capture may change between two calls.

    Args:
      model: one of lstmcore's models, `study.SingleLayer()` for the weights of one layer, or
        anything with `apply(params, x, mask=..., edits=...) -> (outputs, traces by name)`. One that
        masks steps by itself, such as padding, may say where: `masks(x, mask=...)` returns for each
        traced layer bool [B, T] or None.
      params: its weights.
      x: [B, T, F], or whatever the model reads, such as [B, T] of tokens.
      mask: bool [B, T], True = real step.
      edits: for any layer by name, a function `(gates, t) -> gates`; see `lstmcore.study.edits`.
      target: for `lc.Seq2Seq`, the target of the decoder, or the tokens that it decoded.

    Returns:
      Run.

    Raises:
      ValueError: shapes that do not fit, an unknown layer in `edits`, one whose edit the model does
        not use, or an edit that makes a gate NaN.
      TypeError: not a model, or an encoder-decoder without `target`.

    Warns:
      UserWarning: a model of your own masked steps that `mask` does not mask, so that statistics
        would count them.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> from lstmcore import study
      >>> model = lc.Autoencoder(features=2, units=(8, 4))
      >>> run = study.run(model, model.init(jax.random.key(0)), jnp.ones((5, 3, 2)))
      >>> run.layers
      ('encoder_0', 'encoder_1', 'decoder_0', 'decoder_1')
      >>> run["encoder_0", "forget", 0].shape
      (3, 8)
    """
    params, x, mask, target = as_arrays(params=params, x=x, mask=mask, target=target)
    _check_model(model, x, target)
    if edits or not _is_value(model):
        result = jax.jit(partial(_run, model, edits=edits))(params, x, mask, target)
    else:
        result = _cached_run(model, params, x, mask, target)
    for layer, trace in result.traces.items():
        if edits and layer in edits:
            _refuse_nan(layer, trace)
        elif not (hasattr(model, "masks") or type(model).__module__.startswith("lstmcore.")):
            _warn_of_padding(layer, trace, result.masks[layer])
    return result


def _check_model(model, x, target) -> None:
    """Raise an error unless `model` can be studied, with a target if it is an encoder-decoder."""
    if isinstance(model, type) or not hasattr(model, "apply"):
        raise TypeError(
            f"model must be a model such as lc.Autoencoder(...), got {type(model).__name__}: for "
            "the weights of one layer pass study.SingleLayer()"
        )
    kinds = {layer.kind for layer in getattr(model, "layers", {}).values()}
    if kinds and LSTMParams not in kinds:
        raise TypeError(
            f"{type(model).__name__} has no gates to study: the outputs of its layers are the "
            "second thing that model.apply(params, x) returns"
        )
    if takes_target(model):
        if target is None:
            raise TypeError("an encoder-decoder needs a target: pass target=, padded tokens")
        if hasattr(model, "check_sequences"):
            model.check_sequences(x, target)  # once compiled, it cannot refuse unknown tokens
        return
    if hasattr(model, "check_input"):
        model.check_input(x)
    if target is not None:
        raise TypeError(f"target is for an encoder-decoder, which {type(model).__name__} is not")


def _run(model, params, x, mask, target, edits=None) -> Run:
    inputs = (x,) if target is None else (x, target)
    watched = None if edits is None else {name: _Watched(edit) for name, edit in edits.items()}
    given = {"mask" if target is None else "source_mask": mask, "edits": watched}
    options = {name: value for name, value in given.items() if value is not None}
    _check_takes(model, options)
    outputs, traces = model.apply(params, *inputs, **options)
    attention = None
    if not isinstance(traces.get("attention"), Trace):
        attention = traces.get("attention")
        traces = {name: trace for name, trace in traces.items() if name != "attention"}
    names.check_edited_layers(edits, traces)
    _check_used(model, watched or {})
    if hasattr(model, "masks"):
        known = model.masks(*inputs, mask=mask)
        masks = {layer: known.get(layer) for layer in traces}
        mask = next(iter(masks.values()), None) if mask is None else mask
    else:
        masks = {layer: mask_of(trace, mask) for layer, trace in traces.items()}
    decoder = () if target is None else _decoder_layers(model, params, x, target, traces)
    return Run(x, mask, outputs, traces, masks, tuple(traces), target, attention, decoder)


class _Watched:
    """An edit that knows whether it was called."""

    def __init__(self, edit: Callable):
        self.edit, self.was_called = edit, False

    def __call__(self, gates, t):
        self.was_called = True
        return self.edit(gates, t)

    def __getattr__(self, name: str):  # such as `check`, which an edit may have
        return getattr(self.edit, name)


def _check_used(model, edits: Mapping[str, _Watched]) -> None:
    for layer, edit in edits.items():
        if not edit.was_called:
            raise ValueError(
                f"{type(model).__name__}.apply takes edits but does not use the one of {layer!r}: "
                f"pass edit=(edits or {{}}).get({layer!r}) to its layer"
            )


def _check_takes(model, options: Mapping) -> None:
    """Raise TypeError if the `apply` of a model does not take what it should be given."""
    parameters = inspect.signature(model.apply).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for name in options:
        if name not in parameters:
            raise TypeError(
                f"{name} was given, but the apply of {type(model).__name__} takes none: give it an "
                f"argument {name}=None, and hand it on to lc.lstm"
            )


def _decoder_layers(model, params, source, target, traces) -> tuple[str, ...]:
    """Return the names of the layers that run over the target: a longer one makes them longer."""
    batch, steps, *rest = target.shape
    longer = jax.ShapeDtypeStruct((batch, steps + 1, *rest), target.dtype)
    try:
        _, of_longer = jax.eval_shape(partial(model.apply, params, source), longer)
        lengths = {name: of_longer[name].h.shape[1] - 1 for name in traces}
    except Exception:  # a model for targets of one length: told by its steps alone
        lengths = dict.fromkeys(traces, steps if steps != source.shape[1] else -1)
    return tuple(name for name, trace in traces.items() if trace.h.shape[1] == lengths[name])


_cached_run = compiled(_run)


def _is_value(model) -> bool:
    """Return whether `model` is equal to another only if it computes the same.

    That is so for frozen dataclasses of numbers, texts and named functions: a function without a
    name may capture what changes between two calls.
    """
    if isinstance(model, int | float | str | bytes | None):
        return True
    if isinstance(model, tuple):
        return all(map(_is_value, model))
    parameters = getattr(model, "__dataclass_params__", None)
    if parameters is None or isinstance(model, type):
        return callable(model) and name_of(model) is not None
    names = [field.name for field in fields(model)]
    only_fields = set(getattr(model, "__dict__", ())) <= set(names)
    return parameters.frozen and only_fields and all(_is_value(getattr(model, n)) for n in names)


def mask_of(trace: Trace, mask):
    """Return the mask under which a layer ran: the model's, or None.

    A model decides by itself which of its layers are masked. The gates of a masked step are 0.
    """
    if mask is None or mask.shape != trace.c.shape[:2]:
        return None
    was_masked = (masked_steps(trace) | mask).all()
    return mask | ~was_masked


def _refuse_nan(layer: str, trace: Trace) -> None:
    if isinstance(trace.c, jax.core.Tracer):
        return
    is_nan = np.isnan(np.stack(trace.gates))
    if is_nan.any():
        gate, example, step, unit = min(np.argwhere(is_nan), key=lambda place: place[2])
        raise ValueError(
            f"with its edit, the {names.GATES[gate]} gate of layer {layer!r} is NaN, first at step "
            f"{step} (example {example}, unit {unit}): does the edit divide by 0, or is x NaN?"
        )


def _warn_of_padding(layer: str, trace: Trace, mask) -> None:
    """Warn of steps that the model masked by itself, at which all gates would count as closed."""
    if isinstance(trace.c, jax.core.Tracer):
        return
    is_zero = np.asarray(masked_steps(trace))
    padding = int((is_zero if mask is None else is_zero & np.asarray(mask)).sum())
    if padding:
        warnings.warn(
            f"layer {layer!r} was masked by the model itself at {padding} of {is_zero.size} steps: "
            "its gates are 0 there, and statistics count them as closed. Pass mask= (bool, True = "
            "real step) to study.run, so that they are left out",
            stacklevel=3,
        )


def end_to_end(model, params: dict, x) -> Run:
    """Join the encoder's traces of the windows x [N, T, F] into one example of N * T steps.

    Each window is read from the zero state, so that the state is reset where a new one begins.
    """
    whole = run(model, params, jnp.asarray(x))

    def joined(leaf):
        return np.asarray(leaf).reshape(1, -1, leaf.shape[-1])

    encoder = [name for name in whole.layers if name.startswith("encoder")]
    traces = {name: jax.tree.map(joined, whole[name]) for name in encoder}
    return Run.unmasked(joined(x), None, traces)


_saturation, _time_scale = jax.jit(saturation), jax.jit(time_scale)


HEADER = ("layer", "trace", "i <.1 >.9", "f <.1 >.9", "o <.1 >.9", "half-life in steps")


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
