"""The states of all layers of a model, by name: before the first step, and after the last."""

from __future__ import annotations

from collections.abc import Mapping

from lstmcore.cell import zero_state
from lstmcore.types import LSTMParams, LSTMState, Trace

__all__ = ["final_states", "zero_states"]


def zero_states(params, batch: int):
    """The state of every LSTM layer before the first step, by the name of the layer.

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


def final_states(traces):
    """The states after the last step, from which a next call can go on.

    A masked step repeats what was carried, so that the last step of a trace holds the final state
    whatever the mask. The layers must have run forwards; one that ran in reverse ends at step 0.

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
