"""Other cells as edits and arguments of this one: the variants of Greff et al. (2017), "LSTM: A
Search Space Odyssey", and the simple RNN.

Of their variants, peepholes are parameters (`lc.init_lstm(..., peephole=True)`); full gate
recurrence, which feeds the gates of one step into those of the next, is not here.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import jax.numpy as jnp

from lstmcore.study.edits import ablate
from lstmcore.types import Gates

__all__ = ["VARIANTS", "coupled", "simple_rnn"]


def coupled(gates: Gates, t) -> Gates:
    """f = 1 - i: what is written replaces what is kept (Greff's CIFG; the update gate of a GRU)."""
    return gates._replace(forget=1 - gates.input)


def simple_rnn(gates: Gates, t) -> Gates:
    """c_t = g_t and, with `output_activation="linear"`, h_t = tanh(x_t W_g + h_{t-1} U_g + b_g).

    The network of Elman (1990); the weights of the three gates are not used.
    """
    one = jnp.ones_like(gates.input)
    return gates._replace(input=one, forget=0 * one, output=one)


# Keyword arguments of `lc.lstm`, by the names of Greff et al.
VARIANTS: MappingProxyType[str, dict[str, Any]] = MappingProxyType(
    {
        "vanilla": {},
        "no input gate": {"edit": ablate("input")},
        "no forget gate": {"edit": ablate("forget")},
        "no output gate": {"edit": ablate("output")},
        "no input activation": {"activation": "linear", "output_activation": "tanh"},
        "no output activation": {"output_activation": "linear"},
        "coupled": {"edit": coupled},
        "simple RNN": {"edit": simple_rnn, "output_activation": "linear"},
    }
)
