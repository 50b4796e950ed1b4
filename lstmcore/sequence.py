"""A cell over time: one direction, two directions, masks, and the states to start from.

`lstm` runs one layer, `bidirectional` two. `length_mask` is for sequences of unequal length.
`zero_states` and `final_states` are the states of all layers of a model before its first step and
after its last, so that a long sequence can be run in parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from lstmcore import checks, engine
from lstmcore.activations import Activation, resolve
from lstmcore.arrays import as_array, as_params, as_state
from lstmcore.cell import zero_state
from lstmcore.dtypes import accumulation_dtype, check_size
from lstmcore.types import Gates, LSTMParams, LSTMState, Trace

__all__ = ["bidirectional", "final_states", "length_mask", "lstm", "zero_states"]


def lstm(  # as many options as Keras's layer: one call that trains and shows every gate
    params: LSTMParams,
    x: jax.Array,
    state: LSTMState | None = None,
    *,
    mask: jax.Array | None = None,
    reverse: bool = False,
    activation: Activation = jnp.tanh,
    recurrent_activation: Activation = jax.nn.sigmoid,
    output_activation: Activation | None = None,
    edit: Callable[[Gates, jax.Array], Gates] | None = None,
    recurrent_dropout: jax.Array | None = None,
    zoneout: LSTMState | None = None,
    checkpoint_every: int | str | None = None,
    repeat: int | None = None,
) -> tuple[LSTMState, Trace]:
    """Run one LSTM layer over a batch of sequences; see `lstmcore.cell` for the equations.

    The result is that of this loop, compiled once for each shape:

        for t in range(T):
            state, gates = lc.lstm_step(params, x[:, t], state)

    The trace is always returned. Under `jax.jit` the parts of it that you do not use are removed
    and cost neither time nor memory.

    With named activations and without `edit`, `zoneout`, peephole or projection, the fast
    implementation with its hand-written backward pass is used (see `lstmcore.engine.fast`).
    Forward mode (`jax.jvp`, `jax.jacfwd`) selects the reference implementation, unless JAX meets a
    layer that it has already traced: `jax.jvp` of a jitted function raises JAX's TypeError about
    forward mode and custom_vjp. Then put `jax.jit` outermost, or pass `edit=lambda gates, t:
    gates`, which changes no gate but selects the reference implementation.

    Args:
      params: LSTMParams [F, 4H], [H, 4H], [4H], perhaps with a peephole and a projection.
      x: [B, T, F], or [B, F] with `repeat`; cast to the dtype of the params. An array of NumPy or
        JAX, or of a library that NumPy can read, such as PyTorch on the CPU; no data frame.
      state: LSTMState [B, H] to start from; None starts from zeros. With a projection to P, `h` is
        [B, P], here and in the results.
      mask: bool [B, T], True = real step; masked steps may be anywhere. A masked step carries `h`
        and `c` through unchanged and its `x` does not matter, not even if it is NaN.
      reverse: run from the last step to the first. The trace keeps the time axis of `x` (Keras's
        `go_backwards` flips it).
      activation: shapes the candidate, and the output unless `output_activation` is given. A name
        ("tanh", "relu", ...) or a function.
      recurrent_activation: shapes the three gates.
      output_activation: shapes the cell in the output, h_t = o * output_activation(c_t); None
        stands for `activation`.
      edit: pure function `(gates, t) -> gates` applied inside every step; `t` is the step's index
        on the time axis of `x`. The trace holds what it returned. If it has a method
        `check(batch, timesteps, units)`, that is called once before the loop. Outside of `jax.jit`,
        a call with an edit or with an activation function of your own is compiled anew each time.
        With a peephole it is called twice per step, see `lc.lstm_step`.
      recurrent_dropout: [B, H], dropout mask by which the gates' h_{t-1} is multiplied, the same at
        every step: the variational dropout of Gal & Ghahramani (2016), "A theoretically grounded
        application of dropout in recurrent neural networks". `lc.dropout_mask` draws it. State and
        trace hold h without it. [B, P] with a projection.
      zoneout: LSTMState of fractions z of the old state to keep at each step, [B, T, H] or 1 in
        place of any axis: h_t = z h_{t-1} + (1 - z) h~_t, where h~_t follows by the equations from
        the cell c~_t before its own zoneout (Krueger et al. 2017, "Zoneout: regularizing RNNs by
        randomly preserving hidden activations"). `lc.zoneout` draws them. The trace holds h and c
        as carried. With a projection, z of h has P columns.
      checkpoint_every: number of steps k of a chunk, for a backward pass that takes less memory and
        computes each step once more: it keeps the state before each chunk and the residuals of one
        chunk at a time. "auto" is the square root of T, near which the memory is least. Values and
        gradients are the same, up to rounding.
      repeat: T, to read one x at each of so many steps. The result is that of
        `lc.repeat_vector(x, T)`, but x is multiplied by the kernel once instead of T times,
        which saves up to half the time where F is not small beside H, and nothing where it is.

    Gradients with respect to `recurrent_dropout` and `zoneout` are computed like those of `x`.

    Returns:
      (LSTMState [B, H] after the last step taken, Trace [B, T, H] of every step; where masked,
      `h` and `c` repeat the carried state and the gates are 0).

    Raises:
      ValueError: shapes or dtypes that do not fit.
      TypeError: arguments of another kind.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> params = lc.init_lstm(jax.random.key(0), features=2, units=3)
      >>> state, trace = lc.lstm(params, jnp.ones((5, 7, 2)))
      >>> state.h.shape, trace.gates.forget.shape
      ((5, 3), (5, 7, 3))
      >>> _, trace = lc.lstm(params, jnp.ones((5, 2)), repeat=4)  # the same input four times
      >>> trace.h.shape
      (5, 4, 3)
    """
    params = as_params(params)
    features, units = checks.check_lstm_params(params)
    x = as_array("x", x)
    checks.check_input(x, features, repeated=repeat is not None)
    if repeat is not None:
        repeat = check_size("repeat", repeat)
    batch, timesteps = x.shape[0], x.shape[1] if repeat is None else repeat
    params = jax.tree.map(jnp.asarray, params)
    dtype, hidden = params.kernel.dtype, params.recurrent_kernel.shape[0]
    x = jnp.asarray(x, dtype)
    if state is None:
        state = _zero_state_like(x, params, units)
    state = as_state(state)
    checks.check_state(state, batch, units, hidden=hidden)
    if mask is not None:
        mask = checks.check_mask(mask, batch, timesteps, owner="x" if repeat is None else "repeat")
    checks.check_edit(edit, batch, timesteps, units)
    recurrent_dropout = as_array("recurrent_dropout", recurrent_dropout)
    checks.check_recurrent_dropout(recurrent_dropout, batch, hidden)
    zoneout = as_state(zoneout, "zoneout")
    checks.check_zoneout(zoneout, batch, timesteps, units, hidden)
    if recurrent_dropout is not None:
        recurrent_dropout = jnp.asarray(recurrent_dropout, dtype)
    if zoneout is not None:
        zoneout = _state_like(zoneout, dtype)
        zoneout = jax.tree.map(partial(_at_every_step, timesteps), zoneout)
    return engine.run(
        params,
        x,
        _state_like(state, dtype),
        mask,
        reverse=bool(reverse),
        activation=resolve("activation", activation),
        recurrent_activation=resolve("recurrent_activation", recurrent_activation),
        output_activation=resolve("output_activation", output_activation or activation),
        edit=edit,
        recurrent_dropout=recurrent_dropout,
        zoneout=zoneout,
        checkpoint_every=checks.check_checkpoint_every(checkpoint_every, timesteps),
        repeat=repeat,
    )


def bidirectional(
    forward_params: LSTMParams,
    backward_params: LSTMParams,
    x: jax.Array,
    state: tuple[LSTMState, LSTMState] | None = None,
    *,
    mask: jax.Array | None = None,
    recurrent_dropout: Any = None,
    zoneout: Any = None,
    **options: Any,
) -> tuple[tuple[LSTMState, LSTMState], tuple[Trace, Trace]]:
    """Run one layer forward in time and another backward.

    The outputs are not merged: both traces keep the time axis of `x`, so the usual concatenation
    (Schuster & Paliwal 1997; Keras's `Bidirectional`) is
    `jnp.concatenate([forward.h, backward.h], axis=-1)`. At masked steps Keras's wrapper outputs 0;
    here, as in `lstm`, `h` is the carried state.

    Args:
      forward_params, backward_params: LSTMParams of the two directions; they may differ in units.
      x: [B, T, F], or [B, F] with `repeat`.
      state: pair of LSTMState to start from, (forward, backward); None starts both from zeros.
      mask: bool [B, T], True = real step, for both directions.
      recurrent_dropout, zoneout: as in `lstm`, for both directions; a pair gives each its own.
      **options: `activation`, `recurrent_activation`, `output_activation`, `edit`,
        `checkpoint_every` and `repeat` of `lstm`, for both directions.

    Returns:
      ((LSTMState, LSTMState), (Trace, Trace)), forward first.

    Raises:
      ValueError, TypeError: as `lstm`.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> params = [lc.init_lstm(key, 2, 3) for key in jax.random.split(jax.random.key(0))]
      >>> _, (forward, backward) = lc.bidirectional(*params, jnp.ones((5, 7, 2)))
      >>> jnp.concatenate([forward.h, backward.h], axis=-1).shape
      (5, 7, 6)
    """
    if state is not None and not _is_pair(state):
        raise TypeError(
            "state must be a pair (LSTMState, LSTMState), one per direction, got "
            f"{type(state).__name__}"
        )
    first, second = state or (None, None)
    options |= {"mask": mask}
    noise = {"recurrent_dropout": recurrent_dropout, "zoneout": zoneout}
    forward_noise, backward_noise = (
        {name: value[k] if _is_pair(value) else value for name, value in noise.items()}
        for k in range(2)
    )
    forward_state, forward = lstm(forward_params, x, first, **forward_noise, **options)
    backward_state, backward = lstm(
        backward_params, x, second, reverse=True, **backward_noise, **options
    )
    return (forward_state, backward_state), (forward, backward)


def length_mask(lengths: jax.Array, timesteps: int) -> jax.Array:
    """Return the mask of sequences padded at the end.

    Args:
      lengths: integers [B], real steps of each example; 0 masks an example completely.
      timesteps: T, steps of the padded batch.

    Returns:
      bool [B, T], True where the step is real.

    Raises:
      ValueError: `lengths` that are not one axis of integers, `timesteps` below 0.

    Examples:
      >>> import jax.numpy as jnp, lstmcore as lc
      >>> lc.length_mask(jnp.array([1, 3]), timesteps=3).astype(int).tolist()
      [[1, 0, 0], [1, 1, 1]]
    """
    listed = isinstance(lengths, list | tuple)
    lengths = jnp.asarray(lengths) if listed else as_array("lengths", lengths)
    checks.check_array("lengths", lengths, "batch")
    checks.check_integers("lengths", lengths)
    timesteps = check_size("timesteps", timesteps)
    return jnp.arange(timesteps) < jnp.asarray(lengths)[:, None]


def masked_steps(trace: Trace) -> jax.Array:
    """Return the steps that a layer skipped, at which all gates are 0: bool [B, T]."""
    return jnp.stack([(gate == 0).all(axis=-1) for gate in trace.gates]).all(axis=0)


def zero_states(params: Any, batch: int) -> Any:
    """Return the state of every LSTM layer before the first step, by the name of the layer.

    Args:
      params: of a model, {name: weights}; or LSTMParams of one layer.
      batch: B, number of examples.

    Returns:
      {name: LSTMState of zeros} for each layer that is an LSTM, see `lc.zero_state`; for the params
      of one layer its LSTMState alone.

    Raises:
      ValueError: no LSTM layer among the params, or `batch` below 0.

    Examples:
      >>> import jax, lstmcore as lc
      >>> model = lc.StackedLSTM(features=2, units=(8, 4), outputs=1)
      >>> states = lc.zero_states(model.init(jax.random.key(0)), batch=5)
      >>> list(states), states["lstm_1"].h.shape
      (['lstm_0', 'lstm_1'], (5, 4))
    """
    if isinstance(params, LSTMParams):
        hidden, units = params.recurrent_kernel.shape[0], params.bias.shape[0] // 4
        return zero_state(batch, units, params.kernel.dtype, projection=hidden)
    layers = params.items() if isinstance(params, Mapping) else ()
    states = {n: zero_states(layer, batch) for n, layer in layers if isinstance(layer, LSTMParams)}
    if not states:
        raise ValueError(
            "there is no LSTM layer among the params: they must be a dict of layers, as model.init "
            "returns it, or LSTMParams"
        )
    return states


def final_states(traces: Any) -> Any:
    """Return the states after the last step, from which another call can go on.

    A masked step repeats the carried state, so the last step of a trace holds the final state
    whatever the mask. The layers must have run forward; one that ran in reverse ends at step 0.

    Args:
      traces: {name: Trace}, as a model returns them; or the Trace of one layer.

    Returns:
      {name: LSTMState [B, H]}; for the trace of one layer its LSTMState alone.

    Raises:
      ValueError: traces of no steps.
      TypeError: neither traces nor a Trace.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> model = lc.StackedLSTM(features=2, units=(8, 4), outputs=1)
      >>> params, x = model.init(jax.random.key(0)), jnp.ones((5, 6, 2))
      >>> whole, _ = model.apply(params, x)
      >>> first, traces = model.apply(params, x[:, :4])
      >>> rest, _ = model.apply(params, x[:, 4:], states=lc.final_states(traces))
      >>> bool(jnp.allclose(jnp.concatenate([first, rest], axis=1), whole, atol=1e-6))
      True
    """
    if isinstance(traces, Trace):
        if traces.c.shape[1] == 0:
            raise ValueError("traces hold no steps, so there is no last one: go on with the states")
        return LSTMState(traces.h[:, -1], traces.c[:, -1])
    if not isinstance(traces, Mapping):
        raise TypeError(
            f"traces must be a dict of Trace or one Trace, got {type(traces).__name__}: pass what "
            "model.apply returned second"
        )
    return {name: final_states(t) for name, t in traces.items() if isinstance(t, Trace)}


def _is_pair(value: Any) -> bool:
    """Return whether `value` holds one thing for each direction."""
    return isinstance(value, tuple | list) and not isinstance(value, LSTMState) and len(value) == 2


def _state_like(state: LSTMState, dtype: Any) -> LSTMState:
    """Return the state in the dtypes of a layer with params of `dtype`."""
    return LSTMState(jnp.asarray(state.h, dtype), jnp.asarray(state.c, accumulation_dtype(dtype)))


def _at_every_step(timesteps: int, array: jax.Array) -> jax.Array:
    batch, _, units = array.shape
    return jnp.broadcast_to(array, (batch, timesteps, units))


def _zero_state_like(x: jax.Array, params: LSTMParams, units: int) -> LSTMState:
    """Return `zero_state`, but sharded as `x` is, and of a symbolic batch where `x` has one."""
    if not isinstance(x, jax.core.Tracer) and len(x.devices()) == 1:
        hidden = params.recurrent_kernel.shape[0]
        return zero_state(x.shape[0], units, params.kernel.dtype, projection=hidden)
    x = x[:, :0].sum(axis=1) if x.ndim == 3 else x
    c = jnp.zeros_like(x @ params.kernel[:, :units])
    h = c if params.projection is None else jnp.zeros_like(c @ params.projection)
    return LSTMState(h, c.astype(accumulation_dtype(c.dtype)))
