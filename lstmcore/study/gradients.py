"""Which gate mattered? The gradient of a loss with respect to every gate at every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from lstmcore import checks
from lstmcore.study.edits import compose
from lstmcore.study.names import check_layer
from lstmcore.study.shapes import check_returns_number, shapes_of
from lstmcore.types import Gates, Trace

__all__ = ["attribution", "gate_gradients"]


def gate_gradients(
    loss: Callable,
    apply: Callable,
    params,
    x: jax.Array,
    *,
    mask: jax.Array | None = None,
    edits: Mapping[str, Callable] | None = None,
) -> dict[str, Gates]:
    """d loss / d gate, for every gate of every layer: one backward pass for all of them.

    Each gate is taken as a variable of its own: how the loss moves if just this gate, at just this
    step, were a little larger and the gates after it reacted as they do.

    Args:
      loss: `loss(outputs) -> number`, a function of what `apply` returns first.
      apply: `apply(params, x, mask=..., edits=...) -> (outputs, traces)`, such as `model.apply`.
      params: its weights.
      x: [B, T, F].
      mask: bool [B, T], True = real step; at others the gradients are 0.
      edits: edits by layer, made before the gates are varied.

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
    outputs, traces = shapes_of(apply, params, x, mask, edits)
    number = check_returns_number("loss", loss, outputs)
    checks.check_floating("loss", number)
    still = {
        layer: jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), trace.gates)
        for layer, trace in traces.items()
    }

    def loss_of(pushes, params, x):
        pushed = {
            layer: compose(*filter(None, [edits.get(layer)]), _push(by))
            for layer, by in pushes.items()
        }
        return loss(apply(params, x, mask=mask, edits=pushed)[0])

    found = jax.jit(jax.grad(loss_of))(still, params, x)
    return {layer: found[layer] for layer in traces}  # JAX sorts the keys of a dict


def attribution(
    gradients: Mapping[str, Gates],
    traces: Mapping[str, Trace],
    baseline: Mapping[str, Trace] | None = None,
) -> dict[str, Gates]:
    """Gradient times activation: to first order, what each gate adds to the loss.

    With a baseline, gradient times difference: to first order, by how much the loss rises if this
    gate goes from the value in `baseline` to that in `traces` (attribution patching: Nanda 2023).

    So `attribution(gradients, clean, corrupt)`, with the gradients and traces of the corrupt run
    and the traces of the clean one, approximates the `effect` of `study.patch_sweep`, which
    measures it exactly, at the cost of one run for each place.

    Args:
      gradients: what `gate_gradients` returned, for the run in `traces` or that in `baseline`.
      traces: Trace by layer of the run whose gates are attributed.
      baseline: Trace by layer of the run that it is compared with; None stands for gates of 0.

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


def _check_shape(layer: str, gradient: Gates, trace: Trace) -> None:
    expected, found = gradient.forget.shape, trace.gates.forget.shape
    if found not in (expected, (1, *expected[1:])):
        raise ValueError(
            f"the gradients of layer {layer!r} have shape {expected} but its trace has {found}: "
            "take the trace of the same layer, over as many steps, of as many examples or of one"
        )


def _push(by: Gates):
    """An edit that adds `by` [B, T, H] to the gates."""

    def edit(gates: Gates, t) -> Gates:
        now = (jax.lax.dynamic_index_in_dim(leaf, t, 1, keepdims=False) for leaf in by)
        return Gates(*map(jnp.add, gates, now))

    return edit
