"""Gradients with respect to gates and states: which gate mattered, and for how long.

`gate_gradients` differentiates a loss by every gate at every step, and `attribution` makes of these
gradients what each gate adds to the loss. `gradient_flow` follows the last hidden state of a layer
back through time, and `forget_product` the same along the cell alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstmcore import checks
from lstmcore.cell import lstm_step
from lstmcore.display import displayed
from lstmcore.dtypes import as_arrays
from lstmcore.sequence import lstm
from lstmcore.study.edits import compose
from lstmcore.study.names import check_layer, check_returns_number, check_trace, shapes_of
from lstmcore.types import Gates, LSTMParams, LSTMState, Trace


@displayed
class GradientFlow(NamedTuple):
    """Norms of the gradients of the last hidden state with respect to each earlier state.

    Attributes:
      h: [B, T], Frobenius norm of the Jacobian d h_T / d h_t (c_t held): sqrt(H) at the last step,
        sqrt(P) with a projection.
      c: [B, T], Frobenius norm of d h_T / d c_t (h_t held): 0 at the last step, where h_T has been
        computed from c_T already.
      forget_product: [B, T, H], product of the forget gates after step t: d c_T / d c_t along the
        cell alone.
    """

    h: jax.Array
    c: jax.Array
    forget_product: jax.Array


def gate_gradients(
    loss: Callable,
    apply: Callable,
    params,
    x: jax.Array,
    *,
    mask: jax.Array | None = None,
    edits: Mapping[str, Callable] | None = None,
) -> dict[str, Gates]:
    """Compute d loss / d gate for every gate of every layer, in one backward pass.

    Each gate is an independent variable: its gradient says how the loss would change if this gate
    alone, at this step alone, were slightly larger and later gates reacted to it.

    Args:
      loss: `loss(outputs) -> number`, a function of what `apply` returns first.
      apply: `apply(params, x, mask=..., edits=...) -> (outputs, traces)`, such as `model.apply`.
      params: its weights.
      x: [B, T, F].
      mask: bool [B, T], True = real step; gradients at other steps are 0.
      edits: edits by layer, applied before the gates are varied.

    Returns:
      {layer: Gates [B, T, H]}.

    Raises:
      ValueError: a loss that is not a single floating-point number, shapes that do not fit.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> from lstmcore import study
      >>> model = lc.StackedLSTM(features=1, units=4, outputs=1)
      >>> params = model.init(jax.random.key(0))
      >>> loss = lambda y: (y**2).mean()
      >>> d = study.gate_gradients(loss, model.apply, params, jnp.ones((2, 6, 1)))
      >>> d["lstm_0"].forget.shape, float(jnp.abs(d["lstm_0"].forget[:, 0]).max())
      ((2, 6, 4), 0.0)
    """
    edits = dict(edits or {})
    params, x, mask = as_arrays(params=params, x=x, mask=mask)
    outputs, traces = shapes_of(apply, params, x, mask, edits)
    number = check_returns_number("loss", loss, outputs)
    checks.check_floating("loss", number)
    zeros = {
        layer: jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), trace.gates)
        for layer, trace in traces.items()
    }

    def loss_of(offsets, params, x):
        shifted = {
            layer: compose(*filter(None, [edits.get(layer)]), _add(offset))
            for layer, offset in offsets.items()
        }
        return loss(apply(params, x, mask=mask, edits=shifted)[0])

    gradients = jax.jit(jax.grad(loss_of))(zeros, params, x)
    return {layer: gradients[layer] for layer in traces}  # JAX sorts the keys of a dict


def attribution(
    gradients: Mapping[str, Gates],
    traces: Mapping[str, Trace],
    baseline: Mapping[str, Trace] | None = None,
) -> dict[str, Gates]:
    """Multiply gradient by activation: to first order, what each gate adds to the loss.

    With a baseline, gradient times difference: to first order, how much the loss rises if this gate
    goes from its value in `baseline` to that in `traces` (attribution patching: Nanda 2023).

    So `attribution(gradients, clean, corrupt)`, with gradients of the corrupt run, approximates the
    `effect` of `study.patch_sweep`, which is exact but costs one run for each place.

    Args:
      gradients: what `gate_gradients` returned, for the run in `traces` or that in `baseline`.
      traces: Trace by layer of the run whose gates are attributed.
      baseline: Trace by layer of the run to compare with; None stands for gates of 0.

    Returns:
      {layer: Gates [B, T, H]}: gradient * (gate - baseline's gate).

    Raises:
      ValueError: traces that lack a layer or have another shape.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> from lstmcore import study
      >>> model = lc.StackedLSTM(features=1, units=4, outputs=1)
      >>> params, x = model.init(jax.random.key(0)), jnp.ones((2, 6, 1))
      >>> gradients = study.gate_gradients(lambda y: y.mean(), model.apply, params, x)
      >>> study.attribution(gradients, study.run(model, params, x).traces)["lstm_0"].input.shape
      (2, 6, 4)
    """
    result = {}
    for layer, gradient in gradients.items():
        for given in (traces, *([baseline] if baseline is not None else [])):
            check_layer(layer, given)
            _check_shape(layer, gradient, given[layer])
        result[layer] = jax.tree.map(lambda d, gate: d * gate, gradient, traces[layer].gates)
        if baseline is not None:
            subtract = jax.tree.map(lambda d, gate: d * gate, gradient, baseline[layer].gates)
            result[layer] = jax.tree.map(jnp.subtract, result[layer], subtract)
    return result


def gradient_flow(
    params: LSTMParams,
    x: jax.Array,
    state: LSTMState | None = None,
    *,
    mask: jax.Array | None = None,
    reverse: bool = False,
    edit=None,
    **activations,
) -> GradientFlow:
    """Compute the Jacobians of the last hidden state with respect to every earlier state.

    Hochreiter (1991) and Bengio et al. (1994) showed that in a simple RNN the norms of these
    Jacobians shrink (or grow) exponentially; along the cell of an LSTM they shrink by the forget
    gates only. A masked step changes nothing, so its state has the same norms as the one before.

    It takes one backward pass for each unit of h: for wide layers, pass few examples.

    Args:
      params: LSTMParams of one layer.
      x: [B, T, F], the input of that layer.
      state, mask, reverse, edit, **activations: as in `lc.lstm`.

    Returns:
      GradientFlow; its time axis is that of x, and T is the step that the layer took last.

    Raises:
      ValueError, TypeError: as `lc.lstm`.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> from lstmcore import study
      >>> params = lc.init_lstm(jax.random.key(0), features=2, units=4)
      >>> study.gradient_flow(params, jnp.ones((1, 5, 2))).h[0, -1].tolist()
      2.0
    """
    params, x, state, mask = as_arrays(params=params, x=x, state=state, mask=mask)
    options = {"edit": edit, **activations}
    final, trace = lstm(params, x, state, mask=mask, reverse=reverse, **options)
    start = LSTMState(jnp.zeros_like(final.h), jnp.zeros_like(final.c))
    if state is not None:
        start = jax.tree.map(lambda leaf, like: jnp.asarray(leaf, like.dtype), state, start)
    x = jnp.asarray(x, params.kernel.dtype)
    last_h = partial(_last_h, params, x, start, mask, reverse, options)
    zeros = LSTMState(*(jnp.zeros_like(leaf.swapaxes(0, 1)) for leaf in (trace.h, trace.c)))
    _, pull_back = jax.vjp(last_h, zeros)

    def row_norms(unit):
        (gradient,) = pull_back(jnp.broadcast_to(unit, final.h.shape))
        return jax.tree.map(lambda leaf: _norm(leaf, axis=-1), gradient)

    each = jax.lax.map(row_norms, jnp.eye(final.h.shape[1], dtype=final.h.dtype), batch_size=16)
    h, c = (_norm(leaf, axis=0).T for leaf in each)
    return GradientFlow(h, c, forget_product(trace, mask, reverse=reverse))


def forget_product(trace: Trace, mask: jax.Array | None = None, *, reverse: bool = False):
    """Return what is left of each step's cell at the end: the product of later forget gates.

    Args:
      trace: Trace [B, T, H].
      mask: bool [B, T], True = real step; other steps forget nothing.
      reverse: whether the layer ran from the last step to the first.

    Returns:
      [B, T, H]; 1 at the step that the layer took last.

    Raises:
      ValueError: a mask of another shape.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> from lstmcore import study
      >>> params = lc.init_lstm(jax.random.key(0), features=2, units=3)
      >>> _, trace = lc.lstm(params, jnp.ones((1, 4, 2)), edit=study.clamp("forget", 0.5))
      >>> study.forget_product(trace)[0, :, 0].tolist()
      [0.125, 0.25, 0.5, 1.0]
    """
    batch, timesteps = check_trace(trace)
    keep = trace.gates.forget
    if mask is not None:
        mask = checks.check_mask(mask, batch, timesteps)
        keep = jnp.where(mask[:, :, None], keep, 1)
    last = jnp.ones_like(keep[:, :1])
    if reverse:
        return jnp.cumprod(jnp.concatenate([last, keep[:, :-1]], axis=1), axis=1)
    later = jnp.concatenate([keep[:, 1:], last], axis=1)
    return jnp.cumprod(later[:, ::-1], axis=1)[:, ::-1]


def _check_shape(layer: str, gradient: Gates, trace: Trace) -> None:
    expected, found = gradient.forget.shape, trace.gates.forget.shape
    if found not in (expected, (1, *expected[1:])):
        raise ValueError(
            f"the gradients of layer {layer!r} have shape {expected} but its trace has {found}: "
            "take the trace of the same layer, over as many steps, with as many examples or one"
        )


def _add(offset: Gates):
    """Return an edit that adds `offset` [B, T, H] to the gates."""

    def edit(gates: Gates, t) -> Gates:
        at_step = (jax.lax.dynamic_index_in_dim(leaf, t, 1, keepdims=False) for leaf in offset)
        return Gates(*map(jnp.add, gates, at_step))

    return edit


def _last_h(params, x, state, mask, reverse: bool, options: dict, offsets: LSTMState):
    """Run a layer and return its last h, [B, H], with `offsets` added to the state after each step.

    Args:
      params, x, state, mask, reverse: as in `lc.lstm`.
      options: other arguments of `lstm_step`.
      offsets: LSTMState of [T, B, H].
    """

    def body(state, inputs):
        x_t, t, keep, offset = inputs
        if keep is None:
            new, _ = lstm_step(params, x_t, state, t=t, **options)
        else:  # a masked row steps from zeros, or an overflow would reach the gradient
            real = jax.tree.map(lambda leaf: jnp.where(keep[:, None], leaf, 0), state)
            new, _ = lstm_step(params, x_t, real, t=t, **options)
            new = jax.tree.map(lambda a, b: jnp.where(keep[:, None], a, b), new, state)
        return LSTMState(new.h + offset.h, new.c + offset.c), None

    if mask is not None:
        x = jnp.where(mask[:, :, None], x, 0)
    keep = None if mask is None else jnp.asarray(mask).T
    inputs = x.swapaxes(0, 1), jnp.arange(x.shape[1]), keep, offsets
    return jax.lax.scan(body, state, inputs, reverse=reverse)[0].h


def _norm(array, axis: int):
    """Return the Euclidean norm, also where the squares would be too small for the dtype."""
    largest = jnp.abs(array).max(axis=axis, keepdims=True)
    scale = jnp.where(largest > 0, largest, 1)
    return jnp.linalg.norm(array / scale, axis=axis) * scale.squeeze(axis)
