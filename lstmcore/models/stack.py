"""What the models share: LSTM layers on top of one another, named "encoder_0", "encoder_1", ...

run_stack          a whole sequence through every layer
run_bidirectional  the same, each layer in both directions
step_stack         one step through every layer, for loops that feed a prediction back

The rest checks what a model is given: hyperparameters and names of layers.

The models are written in operations that there are twice, in JAX (`lstmcore.ops`) and in NumPy
(`lstmcore.reference`); `ops` is one of the two. So nothing here imports JAX.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import lstmcore as lc
from lstmcore import checks
from lstmcore.display import displayed
from lstmcore.specs import Layer, direction_names
from lstmcore.types import Gates, LSTMParams, LSTMState, Trace

if TYPE_CHECKING:
    import jax

Edits = Mapping[str, Callable | None] | None
States = Mapping[str, LSTMState] | None


@displayed
class LayerDropout(NamedTuple):
    """Dropout masks of one layer, the same at every step (Gal & Ghahramani 2016).

    Attributes:
      x: [B, F], multiplied with the input.
      h: [B, H], multiplied with the previous hidden state, or None.
    """

    x: jax.Array
    h: jax.Array | None


DropoutMasks = Mapping[str, LayerDropout] | None  # by the name of the layer


def run_stack(
    ops: Any,
    params: Mapping,
    name: str,
    x: jax.Array,
    *,
    mask: jax.Array | None,
    edits: Edits,
    states: States = None,
    dropout_masks: DropoutMasks = None,
    residual: bool = False,
    reverse: bool = False,
    repeat: int | None = None,
    **activations: Any,
) -> tuple[list[LSTMState], jax.Array, dict[str, Trace]]:
    """Run layers name_0, name_1, ..., each on the hidden states of the one below.

    The parameters are those of `lc.lstm`, which has as many: this is one call of it per layer.

    Args:
      ops: `lc.ops` or `lc.reference`.
      params, name: layers are taken from `params` for as long as there is a `name_i`.
      x: [B, T, F]; with `repeat` [B, F].
      mask, reverse, activations: as in `lc.lstm`, for every layer.
      edits, states: by the name of the layer; a layer that `states` does not name starts from
        zeros.
      dropout_masks: by the name of the layer; None for no dropout. Not together with `repeat`.
      residual: each layer but the first adds its input to its hidden states.
      repeat: the number of steps at which the first layer reads the same x [B, F].

    Returns:
      (final state of each layer, output of the last layer [B, T, H], Trace of every layer).
    """
    finals: list[LSTMState] = []
    traces: dict[str, Trace] = {}
    while (layer := f"{name}_{len(finals)}") in params:
        state = (states or {}).get(layer)
        options = {"mask": mask, "reverse": reverse, "repeat": repeat, **activations}
        final, trace = _run_layer(ops, params, layer, x, state, edits, dropout_masks, options)
        repeat = None  # the layers above have a sequence to read
        x = add_residual(x, trace.h) if residual and finals else trace.h
        finals.append(final)
        traces[layer] = trace
    return finals, x, traces


def run_bidirectional(
    ops: Any,
    params: Mapping,
    name: str,
    x: jax.Array,
    *,
    mask: jax.Array | None,
    edits: Edits,
    merge: str,
    dropout_masks: DropoutMasks = None,
    residual: bool = False,
    **activations: Any,
) -> tuple[list[LSTMState], jax.Array, dict[str, Trace]]:
    """Run a stack of bidirectional layers, merging the two directions of each; see `run_stack`."""
    merged = partial(MERGE[merge], ops)
    finals: list[LSTMState] = []
    traces: dict[str, Trace] = {}
    for place in count():
        pair = direction_names(f"{name}_{place}")
        if pair[0] not in params:
            break
        results = []
        for layer, reverse in zip(pair, (False, True), strict=True):
            options = {"mask": mask, "reverse": reverse, **activations}
            results.append(_run_layer(ops, params, layer, x, None, edits, dropout_masks, options))
            traces[layer] = results[-1][1]
        (forward_final, forward), (backward_final, backward) = results
        finals.append(LSTMState(*map(merged, forward_final, backward_final)))
        h = merged(forward.h, backward.h)
        x = add_residual(x, h) if residual and place else h
    return finals, x, traces


MERGE: dict[str, Callable] = {
    "concat": lambda ops, a, b: ops.np.concatenate([a, b], axis=-1),
    "sum": lambda ops, a, b: a + b,
    "mean": lambda ops, a, b: (a + b) / 2,
    "mul": lambda ops, a, b: a * b,
}


def step_stack(
    ops: Any,
    params: Mapping,
    name: str,
    x_t: jax.Array,
    states: Sequence[LSTMState],
    *,
    t: Any,
    edits: Edits,
    keep: jax.Array | None = None,
    dropout_masks: DropoutMasks = None,
    residual: bool = False,
    **activations: Any,
) -> tuple[jax.Array, tuple[LSTMState, ...], dict[str, Gates]]:
    """Run one step of `run_stack`, x_t [B, F], from the state of each layer.

    Its parameters are those of `lc.lstm_step` and of `run_stack`.
    Where `keep`, bool [B, 1], is False, the step is padding, which changes nothing.

    Returns:
      (output of the last layer [B, H], state of each layer, Gates of every layer).
    """
    if keep is not None:
        x_t = ops.np.where(keep, x_t, 0)  # it may be NaN, and the gradient multiplies by it
    after, gates = [], {}
    for place, before in enumerate(states):
        layer = f"{name}_{place}"
        x, state = x_t, before
        if dropout_masks is not None:
            x, state = _apply_dropout(dropout_masks[layer], x_t, before)
        edit = (edits or {}).get(layer)
        with _naming(layer):
            new, used = ops.lstm_step(params[layer], x, state, edit=edit, t=t, **activations)
        if keep is not None:
            new = LSTMState(*map(partial(ops.np.where, keep), new, before))
            used = Gates(*(ops.np.where(keep, gate, 0) for gate in used))
        x_t = add_residual(x_t, new.h) if residual and place else new.h
        after.append(new)
        gates[layer] = used
    return x_t, tuple(after), gates


def traces_of_step(states: Sequence[LSTMState], gates: Mapping[str, Gates]) -> dict[str, Trace]:
    """Return the Trace of one step by layer, without a time axis, from what `step_stack` gives."""
    return {name: Trace(*state, gates[name]) for name, state in zip(gates, states, strict=True)}


def add_residual(x: jax.Array, h: jax.Array) -> jax.Array:
    """Return a layer's hidden states plus its input, where sizes agree (Wu et al. 2016)."""
    return h + x if h.shape == x.shape else h


def _run_layer(
    ops: Any,
    params: Mapping,
    layer: str,
    x: jax.Array,
    state: LSTMState | None,
    edits: Edits,
    dropout_masks: DropoutMasks,
    options: dict[str, Any],
) -> tuple[LSTMState, Trace]:
    """Run one layer, by name."""
    if dropout_masks is not None:
        masks = dropout_masks[layer]
        x, options["recurrent_dropout"] = x * masks.x[:, None], masks.h
    with _naming(layer):
        return ops.lstm(params[layer], x, state, edit=(edits or {}).get(layer), **options)


def _apply_dropout(
    masks: LayerDropout, x_t: jax.Array, state: LSTMState
) -> tuple[jax.Array, LSTMState]:
    """Multiply the input and the hidden state of one step by their dropout masks."""
    h = state.h if masks.h is None else state.h * masks.h
    return x_t * masks.x, state._replace(h=h)


@contextmanager
def _naming(layer: str) -> Iterator[None]:
    """Add to an error the name of the layer in which it was raised."""
    try:
        yield
    except (TypeError, ValueError) as error:
        error.add_note(f"(in layer {layer!r})")
        raise


def set_plain(model: Any, **values: Any) -> None:
    """Set fields of a frozen model to plain Python values, in its `__post_init__`.

    NumPy's numbers compare and hash as well as Python's, but cannot be written to a file.
    """
    for name, value in values.items():
        object.__setattr__(model, name, value)


def not_called(model: Any, *args: Any, **options: Any) -> NoReturn:
    """Stand as `__call__` of the models, for those who come from other libraries."""
    raise TypeError(
        f"{type(model).__name__} holds no weights and is not called: write params = "
        "model.init(key), then outputs, traces = model.apply(params, x)"
    )


def summary_html(model: Any) -> str | None:
    """Return the summary of a model for notebooks, as the `_repr_html_` of the models.

    None, for which a notebook shows the `repr`, where JAX is missing.
    """
    try:
        return lc.summary(model)._repr_html_()
    except ImportError:
        return None


def check_activations(model: Any) -> None:
    """Raise unless each activation of a model is a known name or a function."""
    for name, value in activations_of(model).items():
        if name != "output_activation" or value is not None:  # None follows `activation`
            checks.check_activation(name, value)


def activations_of(model: Any) -> dict[str, Any]:
    """Return a model's activations, as keyword arguments of `lc.lstm`."""
    return {name: getattr(model, name) for name in checks.ACTIVATION_ARGUMENTS}


def check_key(ops: Any, key: Any) -> None:
    """Raise unless `key` is a random key, and one can be used."""
    if not hasattr(ops, "random"):
        raise ValueError("the NumPy engine draws nothing at random: leave key out")
    ops.check_key(key)


def check_edits(
    given: Mapping | None, layers: Mapping[str, Layer], argument: str = "edits"
) -> None:
    """Raise unless `given`, edits or states, is a dict that names only LSTM layers."""
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(
            f"{argument} must be a dict by the name of the layer, got {type(given).__name__}"
        )
    recurrent = [name for name, layer in layers.items() if layer.kind is LSTMParams]
    for name in given or {}:
        if name not in recurrent:
            raise ValueError(
                f"{argument} names {name!r} but the LSTM layers are {', '.join(recurrent)}"
            )


def check_edit_shapes(
    edits: Edits, layers: Mapping[str, Layer], name: str, batch: int, steps: int
) -> None:
    """Raise if an edit of a layer name_0, name_1, ... was made for other sizes than these.

    `lc.lstm` checks this itself; a loop over `step_stack`, which sees one step alone, cannot.
    """
    for layer, edit in (edits or {}).items():
        if layer.startswith(f"{name}_"):
            checks.check_edit(edit, batch, steps, layers[layer].units)
