"""The LSTM cell in NumPy, for learning: the equations, then the code, forward beside backward.

One step forward, for a batch of B rows (all products between gates and states elementwise):

    z = x_t W + h_{t-1} U + b               z in four parts: z_i, z_f, z_g, z_o
    i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o)
    g       = tanh(z_g)
    c_t     = f c_{t-1} + i g
    h_t     = o tanh(c_t)

One step backward. Write d(y) for the derivative of the loss with respect to y. Going through the
equations from the last to the first, by the chain rule:

    d(o)       = d(h_t) tanh(c_t)
    d(c_t)    += d(h_t) o tanh'(c_t)        the cell is reached from h_t and from step t + 1
    d(f)       = d(c_t) c_{t-1}
    d(i)       = d(c_t) g
    d(g)       = d(c_t) i
    d(z)       = d(gate) f'(gate)           four parts, sigmoid' = y (1 - y), tanh' = 1 - y^2
    d(W), d(U), d(b) += x_t^T d(z), h_{t-1}^T d(z), sum of d(z) over the batch
    d(x_t)     = d(z) W^T
    d(h_{t-1}) = d(z) U^T
    d(c_{t-1}) = d(c_t) f                   along the cell: where f is 1, the gradient does not fade

With peepholes p_i, p_f, p_o and a projection R, both optional, four lines of the forward change:

    i, f    = sigmoid(z_i + p_i c_{t-1}), sigmoid(z_f + p_f c_{t-1})
    o       = sigmoid(z_o + p_o c_t)        once c_t is known
    m_t     = o tanh(c_t)
    h_t     = m_t R

Backward, d(m_t) comes first and stands where d(h_t) stood. d(z_o) is needed before d(c_t) is
complete, for the output gate is one more path from the cell to the loss:

    d(R)      += m_t^T d(h_t)
    d(m_t)     = d(h_t) R^T
    d(o)       = d(m_t) tanh(c_t)
    d(c_t)    += d(m_t) o tanh'(c_t) + d(z_o) p_o
    d(p_o)    += sum of d(z_o) c_t over the batch; d(p_i), d(p_f) likewise with c_{t-1}
    d(c_{t-1}) = d(c_t) f + d(z_i) p_i + d(z_f) p_f

Sources: Hochreiter & Schmidhuber (1997); Gers, Schmidhuber & Cummins (2000); the full gradient
through time after Graves & Schmidhuber (2005), "Framewise phoneme classification with
bidirectional LSTM"; peepholes: Gers, Schraudolph & Schmidhuber (2002); projection: Sak, Senior &
Beaufays (2014). Axes: B batch, T time, F features, H units, P size of the projection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lstmcore import checks
from lstmcore.arrays import as_params, as_state, as_values
from lstmcore.reference.activations import Activation, resolve
from lstmcore.types import Gates, LSTMParams, LSTMState


def zero_state(
    batch: int, units: int, dtype: Any = np.float32, projection: int | None = None
) -> LSTMState:
    """Return the state before the first step: zeros [B, H]; h is [B, P] with a projection."""
    batch, units = checks.check_count("batch", batch, minimum=0), checks.check_count("units", units)
    hidden = units if projection is None else checks.check_count("projection", projection)
    return LSTMState(np.zeros((batch, hidden), dtype), np.zeros((batch, units), dtype))


def lstm_step(
    params: LSTMParams,
    x_t: np.ndarray,
    state: LSTMState,
    *,
    activation: str | Callable = "tanh",
    recurrent_activation: str | Callable = "sigmoid",
    output_activation: str | Callable | None = None,
    edit: Callable | None = None,
    t: int | None = None,
) -> tuple[LSTMState, Gates]:
    """Compute one step forward: x_t [B, F], state [B, H] -> (state after it, gates used).

    Arguments and errors as in `lstmcore.lstm_step`.
    """
    params = as_params(params, read=as_values)
    features, units = checks.check_lstm_params(params)
    x_t, state = as_values("x_t", x_t), as_state(state, read=as_values)
    checks.check_array("x_t", x_t, "batch features", "for a whole sequence call lstm")
    checks.check_floating("x_t", x_t)
    checks.check_features("x_t", x_t, features, "params.kernel")
    checks.check_state(state, x_t.shape[0], units, hidden=params.recurrent_kernel.shape[0])
    checks.check_edit(edit)
    of_candidate, of_gates, of_output = _resolved(
        activation, recurrent_activation, output_activation
    )
    x_t = np.asarray(x_t, params.kernel.dtype)

    z = x_t @ params.kernel + state.h @ params.recurrent_kernel + params.bias
    z_i, z_f, z_g, z_o = np.split(z, 4, axis=-1)
    p_i, p_f, p_o = (None,) * 3 if params.peephole is None else params.peephole

    def gate(z: np.ndarray, peephole: np.ndarray | None, c: np.ndarray) -> np.ndarray:
        return of_gates.value(z if peephole is None else z + peephole * c)

    i = gate(z_i, p_i, state.c)
    f = gate(z_f, p_f, state.c)
    g = of_candidate.value(z_g)
    c = f * state.c + i * g
    o = gate(z_o, p_o, c)
    gates = Gates(i, f, g, o)
    if edit is not None:
        gates = _edited(edit, gates, t)
        c = gates.forget * state.c + gates.input * gates.candidate
        if p_o is not None:  # the output gate sees the edited cell
            unedited = Gates(i, f, g, gate(z_o, p_o, c))
            gates = gates._replace(output=_edited(edit, unedited, t).output)
    h = gates.output * of_output.value(c)
    if params.projection is not None:
        h = h @ params.projection
    return LSTMState(h, c), gates


def lstm_step_backward(  # the arguments and results of `lstm_step`, and their gradients
    params: LSTMParams,
    x_t: np.ndarray,
    state: LSTMState,
    gates: Gates,
    c: np.ndarray,
    d_new_state: LSTMState,
    d_gates: Gates | None = None,
    *,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
    output_activation: str | None = None,
) -> tuple[LSTMParams, np.ndarray, LSTMState]:
    """Compute one step backward, through the equations from the last to the first.

    Args:
      params, x_t, state: the arguments of the step.
      gates, c: [B, H], the gates it used and the cell it returned.
      d_new_state: [B, H], gradient with respect to the state it returned (h [B, P] if projected).
      d_gates: [B, H], gradient with respect to the gates it returned; None for zeros.

    Returns:
      Gradients with respect to (params, x_t, state); None for what params does not have.
    """
    of_candidate, of_gates, of_output = _resolved(
        activation, recurrent_activation, output_activation
    )
    output = of_output.value(c)
    d_h, d_c = d_new_state
    d_i, d_f, d_g, d_o = d_gates or (0, 0, 0, 0)
    d_peephole, d_projection = None, None

    d_m = d_h
    if params.projection is not None:
        d_projection = (gates.output * output).T @ d_h
        d_m = d_h @ params.projection.T
    d_o = d_o + d_m * output
    d_z_o = d_o * of_gates.derivative(gates.output)
    d_c = d_c + d_m * gates.output * of_output.derivative(output)
    if params.peephole is not None:
        d_c = d_c + d_z_o * params.peephole[2]
    d_f = d_f + d_c * state.c
    d_i = d_i + d_c * gates.candidate
    d_g = d_g + d_c * gates.input
    d_z_i = d_i * of_gates.derivative(gates.input)
    d_z_f = d_f * of_gates.derivative(gates.forget)
    d_z_g = d_g * of_candidate.derivative(gates.candidate)
    d_c_before = d_c * gates.forget
    if params.peephole is not None:
        d_c_before = d_c_before + d_z_i * params.peephole[0] + d_z_f * params.peephole[1]
        of_peepholes = d_z_i * state.c, d_z_f * state.c, d_z_o * c
        d_peephole = np.stack([part.sum(axis=0) for part in of_peepholes])

    d_z = np.concatenate([d_z_i, d_z_f, d_z_g, d_z_o], axis=-1)
    d_params = LSTMParams(x_t.T @ d_z, state.h.T @ d_z, d_z.sum(axis=0), d_peephole, d_projection)
    d_state = LSTMState(h=d_z @ params.recurrent_kernel.T, c=d_c_before)
    return d_params, d_z @ params.kernel.T, d_state


def _edited(edit: Callable, gates: Gates, t: int | None) -> Gates:
    """Return the edited gates as arrays; plain numbers stand for all units."""
    edited = edit(gates, t)
    checks.check_edited(edited, gates)
    return Gates(*map(np.full_like, gates, edited))


def _resolved(
    activation: str | Callable,
    recurrent_activation: str | Callable,
    output_activation: str | Callable | None,
) -> tuple[Activation, Activation, Activation]:
    """Return the activations of the candidate, of the gates and of the output."""
    return (
        resolve("activation", activation),
        resolve("recurrent_activation", recurrent_activation),
        resolve("output_activation", output_activation or activation),
    )
