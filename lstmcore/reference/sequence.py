"""An LSTM over time in NumPy, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lstmcore import checks
from lstmcore.arrays import as_params, as_state, as_values, check_known
from lstmcore.reference.cell import lstm_step, lstm_step_backward, zero_state
from lstmcore.reference.layers import repeat_vector
from lstmcore.types import Gates, LSTMParams, LSTMState, Trace


def lstm(
    params: LSTMParams,
    x: np.ndarray,
    state: LSTMState | None = None,
    *,
    mask: np.ndarray | None = None,
    reverse: bool = False,
    activation: str | Callable = "tanh",
    recurrent_activation: str | Callable = "sigmoid",
    output_activation: str | Callable | None = None,
    edit: Callable | None = None,
    recurrent_dropout: np.ndarray | None = None,
    zoneout: LSTMState | None = None,
    repeat: int | None = None,
) -> tuple[LSTMState, Trace]:
    """Run all steps forward: x [B, T, F] -> (final state [B, H], Trace [B, T, H]).

    Arguments and errors as in `lstmcore.lstm`; with a projection, h is [B, P] and [B, T, P], with
    `repeat` x is [B, F]. Recurrent dropout by the mask m and zoneout by the fractions z each add a
    line around the step:

        h_{t-1}  = m h_{t-1}                        recurrent dropout: the input of the gates
        h_t, c_t = z h_{t-1} + (1 - z) h~_t, ...    zoneout: h~_t, c~_t are the results of the step

    Examples:
      >>> import numpy as np
      >>> from lstmcore import reference
      >>> from lstmcore.types import LSTMParams
      >>> params = LSTMParams(np.full((2, 12), 0.1), np.full((3, 12), 0.1), np.zeros(12))
      >>> state, trace = reference.lstm(params, np.ones((5, 7, 2)))
      >>> state.h.shape, trace.gates.forget.shape
      ((5, 3), (5, 7, 3))
    """
    x, state, mask = _checked(params, x, state, mask, repeat)
    options = {
        "activation": activation,
        "recurrent_activation": recurrent_activation,
        "output_activation": output_activation,
        "edit": edit,
    }
    trace = _empty_trace(x.shape[1], state)
    checks.check_edit(edit, *trace.c.shape)
    m, z = _noise(recurrent_dropout, zoneout, trace)
    for t in _order(x.shape[1], reverse):
        keep = mask[:, t, None]
        new, gates = lstm_step(params, x[:, t], LSTMState(m * state.h, state.c), t=t, **options)
        new = _blend(z(t), state, new)
        state = _choose(keep, new, state)
        trace.h[:, t], trace.c[:, t] = state
        for row, gate in zip(trace.gates, gates, strict=True):
            row[:, t] = np.where(keep, gate, 0)
    return state, trace


def lstm_backward(  # the arguments and results of `lstm`, and their gradients
    params: LSTMParams,
    x: np.ndarray,
    state: LSTMState | None,
    trace: Trace,
    d_state: LSTMState | None = None,
    d_trace: Trace | None = None,
    *,
    mask: np.ndarray | None = None,
    reverse: bool = False,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
    output_activation: str | None = None,
    recurrent_dropout: np.ndarray | None = None,
    zoneout: LSTMState | None = None,
) -> tuple[LSTMParams, np.ndarray, LSTMState]:
    """Run all steps backward, from the last one taken to the first (Werbos 1990).

    With the mask m of recurrent dropout and the fractions z of zoneout, around each step:

        d(h~_t)     = (1 - z) d(h_t)                c likewise
        d(h_{t-1})  = m d(m h_{t-1}) + z d(h_t)     c likewise, without m

    Args:
      params, x, state, and the options: the arguments of `lstm`.
      trace: the Trace that it returned, of a call without `edit`.
      d_state: [B, H], gradient with respect to the final state; None for zeros.
      d_trace: [B, T, H], gradient with respect to every step's h, c and gates; None for zeros.

    Returns:
      Gradients with respect to (params, x, initial state), of the same types and shapes; None for
      what params does not have.

    Examples:
      >>> import numpy as np
      >>> from lstmcore import reference
      >>> from lstmcore.types import LSTMParams, LSTMState
      >>> params = LSTMParams(np.full((2, 12), 0.1), np.full((3, 12), 0.1), np.zeros(12))
      >>> x = np.ones((5, 7, 2))
      >>> state, trace = reference.lstm(params, x)
      >>> loss_is_sum_of_h = LSTMState(np.ones((5, 3)), np.zeros((5, 3)))
      >>> d_params, d_x, _ = reference.lstm_backward(params, x, None, trace, loss_is_sum_of_h)
      >>> d_params.kernel.shape, d_x.shape
      ((2, 12), (5, 7, 2))
    """
    check_known("trace", (trace, d_state, d_trace))
    x, state, mask = _checked(params, x, state, mask)
    options = {
        "activation": activation,
        "recurrent_activation": recurrent_activation,
        "output_activation": output_activation,
    }
    d_params = LSTMParams(*(None if leaf is None else np.zeros_like(leaf) for leaf in params))
    d_x = np.zeros_like(x)
    if d_state is None:
        d_state = LSTMState(*map(np.zeros_like, state))
    batch, units = state.c.shape
    checks.check_state(d_state, batch, units, "d_state", hidden=state.h.shape[1])
    d_trace = d_trace or _empty_trace(x.shape[1], state)
    order = _order(x.shape[1], reverse)
    m, z = _noise(recurrent_dropout, zoneout, trace)
    for t, before in zip(order[::-1], [*order[-2::-1], None], strict=True):
        previous = state if before is None else LSTMState(trace.h[:, before], trace.c[:, before])
        gates = _at(trace.gates, t)
        c = gates.forget * previous.c + gates.input * gates.candidate  # before its zoneout
        d_new = LSTMState(d_state.h + d_trace.h[:, t], d_state.c + d_trace.c[:, t])
        d_step, d_kept = _through_zoneout(z(t), d_new)
        # A masked row skips the step: nothing flows into it, all flows on to the previous step.
        keep = mask[:, t, None]
        d_params_t, d_x[:, t], d_previous = lstm_step_backward(
            params,
            x[:, t],
            LSTMState(m * previous.h, previous.c),
            gates,
            c,
            LSTMState(*(keep * d for d in d_step)),
            Gates(*(keep * d for d in _at(d_trace.gates, t))),
            **options,
        )
        d_params = LSTMParams(*map(_sum, d_params, d_params_t))
        d_previous = LSTMState(m * d_previous.h, d_previous.c)
        if d_kept is not None:
            d_previous = LSTMState(d_previous.h + d_kept.h, d_previous.c + d_kept.c)
        d_state = _choose(keep, d_previous, d_new)
    return d_params, d_x, d_state


def bidirectional(
    forward_params: LSTMParams,
    backward_params: LSTMParams,
    x: np.ndarray,
    state: tuple[LSTMState, LSTMState] | None = None,
    *,
    mask: np.ndarray | None = None,
    **options: Any,
) -> tuple[tuple[LSTMState, LSTMState], tuple[Trace, Trace]]:
    """Run one layer forward in time and another backward, as in `lstmcore`.

    Its backward pass is `lstm_backward` for each of the two, the gradients of x added together.
    """
    first, second = state or (None, None)
    forward_state, forward = lstm(forward_params, x, first, mask=mask, **options)
    backward_state, backward = lstm(backward_params, x, second, mask=mask, reverse=True, **options)
    return (forward_state, backward_state), (forward, backward)


def _checked(
    params: LSTMParams,
    x: np.ndarray,
    state: LSTMState | None,
    mask: np.ndarray | None,
    repeat: int | None = None,
) -> tuple[np.ndarray, LSTMState, np.ndarray]:
    """Return x, state and mask of `lstm`, checked and completed; masked steps of x set to 0."""
    params, x = as_params(params, read=as_values), as_values("x", x)
    features, units = checks.check_lstm_params(params)
    checks.check_input(x, features, repeated=repeat is not None)
    if repeat is not None:
        x = repeat_vector(x, checks.check_count("repeat", repeat, minimum=0))
    batch, timesteps, _ = x.shape
    dtype = params.kernel.dtype
    hidden = params.recurrent_kernel.shape[0]
    if state is None:
        state = zero_state(batch, units, dtype, hidden)
    state = as_state(state, read=as_values)
    checks.check_state(state, batch, units, hidden=hidden)
    mask = np.ones((batch, timesteps), bool) if mask is None else as_values("mask", mask)
    checks.check_mask(mask, batch, timesteps, owner="x" if repeat is None else "repeat")
    x = np.where(mask[:, :, None], x, 0).astype(dtype)
    return x, LSTMState(*(np.asarray(a, dtype) for a in state)), mask


def _noise(
    recurrent_dropout: np.ndarray | None, zoneout: LSTMState | None, trace: Trace
) -> tuple[np.ndarray, Callable[[int], LSTMState | None]]:
    """Return the dropout mask m, and a function from t to the fractions z, None without zoneout."""
    (batch, timesteps, hidden), units, dtype = trace.h.shape, trace.c.shape[2], trace.h.dtype
    recurrent_dropout = as_values("recurrent_dropout", recurrent_dropout)
    zoneout = as_state(zoneout, "zoneout", read=as_values)
    checks.check_recurrent_dropout(recurrent_dropout, batch, hidden)
    checks.check_zoneout(zoneout, batch, timesteps, units, hidden)
    m = np.asarray(1 if recurrent_dropout is None else recurrent_dropout, dtype)
    if zoneout is None:
        return m, lambda t: None
    fractions = [np.asarray(z, dtype) for z in zoneout]
    return m, lambda t: LSTMState(*(z[:, t if z.shape[1] == timesteps else 0] for z in fractions))


def _blend(z: LSTMState | None, old: LSTMState, new: LSTMState) -> LSTMState:
    """Compute z old + (1 - z) new."""
    if z is None:
        return new
    return LSTMState(*(p * a + (1 - p) * b for p, a, b in zip(z, old, new, strict=True)))


def _through_zoneout(z: LSTMState | None, d: LSTMState) -> tuple[LSTMState, LSTMState | None]:
    """Return the gradients of the new state, (1 - z) d, and of the old one, z d (None for 0)."""
    zeros = LSTMState(0, 0)
    return _blend(z, zeros, d), None if z is None else _blend(z, d, zeros)


def _order(timesteps: int, reverse: bool) -> list[int]:
    """Return the steps in the order in which they are taken."""
    return list(reversed(range(timesteps)) if reverse else range(timesteps))


def _choose(keep: np.ndarray, new: LSTMState, old: LSTMState) -> LSTMState:
    return LSTMState(np.where(keep, new.h, old.h), np.where(keep, new.c, old.c))


def _at(gates: Gates, t: int) -> Gates:
    return Gates(*(gate[:, t] for gate in gates))


def _sum(total: Any, more: Any) -> Any:
    """Return the sum of two gradients; None for what params does not have."""
    return None if total is None else total + more


def _empty_trace(timesteps: int, state: LSTMState) -> Trace:
    batch, hidden = state.h.shape
    c, i, f, g, o = np.zeros((5, batch, timesteps, state.c.shape[1]), state.c.dtype)
    return Trace(np.zeros((batch, timesteps, hidden), state.h.dtype), c, Gates(i, f, g, o))
