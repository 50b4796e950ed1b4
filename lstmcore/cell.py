"""The LSTM cell: one step in time, one gate per line.

The equations, with the forget gate of Gers et al. (2000):

    z = x_t W + h_{t-1} U + b                    split in four: z_i, z_f, z_g, z_o
    i = sigmoid(z_i)                             input gate: how much of the candidate to add
    f = sigmoid(z_f)                             forget gate: how much of the old cell to keep
    g = tanh(z_g)                                candidate
    o = sigmoid(z_o)                             output gate: how much of the cell to output
    c_t = f * c_{t-1} + i * g                    cell state
    h_t = o * tanh(c_t)                          hidden state

With peepholes p_i, p_f, p_o, each gate also sees its own cell, the output gate the new one:

    i = sigmoid(z_i + p_i * c_{t-1})
    f = sigmoid(z_f + p_f * c_{t-1})
    o = sigmoid(z_o + p_o * c_t)

With a projection R, the hidden state is smaller than the cell:

    h_t = (o * tanh(c_t)) R

Sources: Hochreiter & Schmidhuber (1997), "Long Short-Term Memory"; Gers, Schmidhuber & Cummins
(2000), "Learning to Forget"; Greff et al. (2017), "LSTM: A Search Space Odyssey"; peepholes: Gers &
Schmidhuber (2000), "Recurrent Nets that Time and Count", and Gers, Schraudolph & Schmidhuber
(2002), "Learning Precise Timing with LSTM Recurrent Networks"; projection: Sak, Senior & Beaufays
(2014), "Long Short-Term Memory Recurrent Neural Network Architectures for Large Scale Acoustic
Modeling".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from lstmcore import checks, serialization  # noqa: F401, registers the types
from lstmcore.activations import Activation, resolve
from lstmcore.arrays import as_array, as_params, as_state
from lstmcore.dtypes import accumulation_dtype, check_drawn, check_size, floating_dtype
from lstmcore.types import Gates, LSTMParams, LSTMState

__all__ = ["init_lstm", "lstm_step", "zero_state"]


def init_lstm(
    key: jax.Array,
    features: int,
    units: int,
    *,
    forget_bias: float = 1.0,
    dtype: Any = jnp.float32,
    peephole: bool = False,
    projection: int | None = None,
) -> LSTMParams:
    """Draw the initial weights of one layer, as Keras does.

    The kernel is uniform after Glorot & Bengio (2010), the recurrent kernel orthogonal after
    Saxe et al. (2014), each over the four gates at once. The bias is 0 but for the forget gate:
    a positive start keeps the memory open early in training (Gers et al. 2000; Jozefowicz et
    al. 2015 found 1 to close most of the gap on long dependencies).

    Peepholes are drawn as TensorFlow's PeepholeLSTMCell draws them, like a kernel: each of the
    three vectors Glorot-uniform, within sqrt(3 / H) of 0. The projection is Glorot-uniform, too.
    The kernel that a key gives is the same with and without them.

    Args:
      key: random key.
      features: F, size of the input at each step.
      units: H, size of the hidden and the cell state.
      forget_bias: initial bias of the forget gate.
      dtype: of all arrays.
      peephole: whether the gates see the cell.
      projection: P, size of the hidden state if it is not that of the cell; None for no projection.

    Returns:
      LSTMParams of shapes [F, 4H], [H, 4H], [4H], with [3, H] for peepholes. With a projection the
      recurrent kernel is [P, 4H], the projection [H, P].

    Raises:
      ValueError: `features`, `units` or `projection` below 1, or a dtype that is not floating
        point.

    Examples:
      >>> import jax, lstmcore as lc
      >>> lc.init_lstm(jax.random.key(0), features=2, units=3).kernel.shape
      (2, 12)
      >>> params = lc.init_lstm(jax.random.key(0), 2, 3, peephole=True, projection=1)
      >>> params.recurrent_kernel.shape, params.peephole.shape, params.projection.shape
      ((1, 12), (3, 3), (3, 1))
    """
    features = checks.check_count("features", features)
    units = checks.check_count("units", units)
    hidden = units if projection is None else checks.check_count("projection", projection)
    numbers = (features + hidden + 1) * 4 * units + 3 * units * bool(peephole)
    numbers += 0 if projection is None else units * hidden
    check_drawn(key, numbers, dtype)
    dtype = floating_dtype(dtype)
    draw_dtype = accumulation_dtype(dtype)  # a QR of bfloat16 does not exist
    kernel_key, recurrent_key = jax.random.split(key)
    glorot_uniform = jax.nn.initializers.glorot_uniform()
    orthogonal = jax.nn.initializers.orthogonal()
    bias = jnp.zeros(4 * units, dtype).at[units : 2 * units].set(forget_bias)
    params = LSTMParams(
        kernel=glorot_uniform(kernel_key, (features, 4 * units), draw_dtype).astype(dtype),
        recurrent_kernel=orthogonal(recurrent_key, (hidden, 4 * units), draw_dtype).astype(dtype),
        bias=bias,
    )
    if peephole:
        limit = (3 / units) ** 0.5
        peephole_key = jax.random.fold_in(key, 2)
        drawn = jax.random.uniform(peephole_key, (3, units), draw_dtype, -limit, limit)
        params = params._replace(peephole=drawn.astype(dtype))
    if projection is not None:
        drawn = glorot_uniform(jax.random.fold_in(key, 3), (units, hidden), draw_dtype)
        params = params._replace(projection=drawn.astype(dtype))
    return params


def zero_state(
    batch: int, units: int, dtype: Any = jnp.float32, projection: int | None = None
) -> LSTMState:
    """Return the state before the first step: all zeros.

    Args:
      batch: B, number of examples; 0 is allowed.
      units: H, units of the layer.
      dtype: of the layer's params. The cell state is never narrower than float32.
      projection: P, if the layer has a projection.

    Returns:
      LSTMState of zeros, [B, H] each; h is [B, P] with a projection.

    Raises:
      ValueError: `batch` below 0, `units` or `projection` below 1, or a dtype that is not floating
        point.

    Examples:
      >>> import lstmcore as lc
      >>> lc.zero_state(batch=5, units=3).c.shape
      (5, 3)
    """
    batch, units = check_size("batch", batch), checks.check_count("units", units)
    hidden = units if projection is None else checks.check_count("projection", projection)
    dtype = floating_dtype(dtype)
    return LSTMState(
        h=jnp.zeros((batch, hidden), dtype), c=jnp.zeros((batch, units), accumulation_dtype(dtype))
    )


def lstm_step(
    params: LSTMParams,
    x_t: jax.Array,
    state: LSTMState,
    *,
    activation: Activation = jnp.tanh,
    recurrent_activation: Activation = jax.nn.sigmoid,
    output_activation: Activation | None = None,
    edit: Callable[[Gates, jax.Array], Gates] | None = None,
    t: int | jax.Array | None = None,
) -> tuple[LSTMState, Gates]:
    """Compute one step of the equations at the top of this module.

    Args:
      params: LSTMParams [F, 4H], [H, 4H], [4H], perhaps with a peephole and a projection.
      x_t: [B, F], the input at this step.
      state: LSTMState [B, H], from the previous step or `zero_state`.
      activation: shapes the candidate, and the output unless `output_activation` is given. A name
        ("tanh", "relu", ...) or a function.
      recurrent_activation: shapes the three gates.
      output_activation: shapes the cell in the output, h_t = o * output_activation(c_t); None
        stands for `activation`.
      edit: pure function `(gates, t) -> gates` that sees the activated gates [B, H] and returns
        those to use; a field may also be a plain number. With a peephole the output gate sees the
        cell that the edited gates make, so `edit` is called twice: once for input, forget and
        candidate, beside the output gate as it would be unedited, then for the output gate alone.
      t: passed to `edit`.

    Returns:
      (LSTMState [B, H] after the step, Gates [B, H] that were used). `h` has the dtype of the
      params; gates and cell are never narrower than float32.

    Raises:
      ValueError: shapes or dtypes that do not fit.
      TypeError: arguments of another kind.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> params = lc.init_lstm(jax.random.key(0), features=2, units=3)
      >>> state, gates = lc.lstm_step(params, jnp.ones((5, 2)), lc.zero_state(5, 3))
      >>> state.h.shape, gates.forget.shape
      ((5, 3), (5, 3))
    """
    params = as_params(params)
    features, units = checks.check_lstm_params(params)
    x_t = as_array("x_t", x_t)
    checks.check_array("x_t", x_t, "batch features", "for a whole sequence call lc.lstm")
    checks.check_floating("x_t", x_t)
    checks.check_features("x_t", x_t, features, "params.kernel")
    state = as_state(state)
    checks.check_state(state, x_t.shape[0], units, hidden=params.recurrent_kernel.shape[0])
    checks.check_edit(edit, x_t.shape[0], None, units)
    params = jax.tree.map(jnp.asarray, params)
    dtype = params.kernel.dtype
    return step(
        params,
        jnp.asarray(x_t, dtype),
        LSTMState(jnp.asarray(state.h, dtype), jnp.asarray(state.c, accumulation_dtype(dtype))),
        activation=resolve("activation", activation),
        recurrent_activation=resolve("recurrent_activation", recurrent_activation),
        output_activation=resolve("output_activation", output_activation or activation),
        edit=edit,
        t=t,
    )


def step(
    params: LSTMParams,
    x_t: jax.Array,
    state: LSTMState,
    *,
    activation: Callable,
    recurrent_activation: Callable,
    output_activation: Callable,
    edit: Callable[[Gates, Any], Gates] | None,
    t: Any,
) -> tuple[LSTMState, Gates]:
    """Compute `lstm_step` on checked arguments: the body of the loop in `lstmcore.engine.scan`."""
    dtype, acc_dtype = params.kernel.dtype, accumulation_dtype(params.kernel.dtype)
    product = partial(jnp.matmul, preferred_element_type=acc_dtype)

    z = product(x_t, params.kernel) + product(state.h, params.recurrent_kernel)
    z_i, z_f, z_g, z_o = jnp.split(z + jnp.atleast_2d(params.bias).astype(acc_dtype), 4, axis=-1)
    p_i, p_f, p_o = (None,) * 3
    if params.peephole is not None:
        p_i, p_f, p_o = params.peephole.astype(acc_dtype)[:, None]

    def gate(z: jax.Array, peephole: jax.Array | None, c: jax.Array) -> jax.Array:
        return recurrent_activation(z if peephole is None else z + peephole * c)

    i = gate(z_i, p_i, state.c)
    f = gate(z_f, p_f, state.c)
    g = activation(z_g)
    c = f * state.c + i * g
    o = gate(z_o, p_o, c)
    gates = Gates(i, f, g, o)
    if edit is not None:
        gates = as_gates(edit(gates, t), gates)
        c = gates.forget * state.c + gates.input * gates.candidate
        if params.peephole is not None:  # the output gate sees the edited cell
            unedited = Gates(i, f, g, gate(z_o, p_o, c))
            gates = gates._replace(output=as_gates(edit(unedited, t), unedited).output)
    h = gates.output * output_activation(c)
    if params.projection is not None:
        h = product(h.astype(dtype), params.projection)
    return LSTMState(h.astype(dtype), c), gates


def as_gates(edited: Gates, gates: Gates) -> Gates:
    """Return the result of an edit as arrays like `gates`; plain numbers stand for all units."""
    checks.check_edited(edited, gates)
    like = [
        jnp.broadcast_to(jnp.asarray(new, gate.dtype), gate.shape)
        for new, gate in zip(edited, gates, strict=True)
    ]
    return Gates(*like)
