"""The stack of LSTM layers without a bottleneck, for labels or forecasts at each step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import lstmcore as lc
from lstmcore import checks
from lstmcore.display.text import given_fields
from lstmcore.models.stack import (
    Edits,
    States,
    activations_of,
    check_activations,
    check_edits,
    not_called,
    run_stack,
    set_plain,
    summary_html,
)
from lstmcore.specs import Layer, check_params, stack
from lstmcore.types import DenseParams, Trace

if TYPE_CHECKING:
    import jax

    from lstmcore.activations import Activation

__all__ = ["StackedLSTM"]


@dataclass(frozen=True)
class StackedLSTM:
    """Stack of LSTM layers without a bottleneck, then a dense layer at each step.

    Attributes:
      features: F, size of the input at each step.
      units: sizes of the layers; one number for one layer.
      outputs: U, size of the output at each step.
      activation, recurrent_activation, output_activation: as in `Autoencoder`.
      residual: each layer but the first adds its input to its hidden states, where sizes agree (Wu
        et al. 2016, section 3.1); its trace holds the hidden states before the addition.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> model = lc.StackedLSTM(features=2, units=(8, 4), outputs=1)
      >>> y, traces = model.apply(model.init(jax.random.key(0)), jnp.ones((5, 3, 2)))
      >>> y.shape, list(traces)
      ((5, 3, 1), ['lstm_0', 'lstm_1'])
    """

    features: int
    units: tuple[int, ...]
    outputs: int
    activation: Activation = "tanh"
    recurrent_activation: Activation = "sigmoid"
    output_activation: Activation | None = None
    residual: bool = False

    causal = True  # the output at a step depends on no later step

    __call__ = not_called
    __repr__ = given_fields
    _repr_html_ = summary_html

    def __post_init__(self) -> None:
        features, units = checks.check_sizes(self.features, self.units)
        outputs = checks.check_count("outputs", self.outputs)
        checks.check_choice("residual", self.residual, (False, True))
        residual = bool(self.residual)
        set_plain(self, features=features, units=units, outputs=outputs, residual=residual)
        check_activations(self)

    @property
    def layers(self) -> dict[str, Layer]:
        """Return {name: Layer(kind, features, units)}, in reading order."""
        head = Layer(DenseParams, self.units[-1], self.outputs)
        return stack("lstm", self.features, self.units) | {"head": head}

    def init(self, key: jax.Array, dtype: Any = "float32") -> dict:
        """Return new weights, drawn by `init_lstm` and `init_dense`."""
        return lc.init_layers(key, self.layers, dtype)

    def apply(
        self,
        params: dict,
        x: jax.Array,
        *,
        mask: jax.Array | None = None,
        edits: Edits = None,
        states: States = None,
        ops: Any = lc.ops,
    ) -> tuple[jax.Array, dict[str, Trace]]:
        """Run the stack and the head; arguments and errors as in `Autoencoder.apply`.

        `states` holds the LSTMState that each layer starts from, by name, such as
        `lc.final_states(traces)` of the previous call; layers that it does not name start from
        zeros.

        Returns:
          (output [B, T, U], Trace of each LSTM layer by name).
        """
        params = check_params(params, self.layers)
        check_edits(edits, self.layers)
        check_edits(states, self.layers, "states")
        run: Callable = partial(run_stack, ops, params, edits=edits, **activations_of(self))
        _, h, traces = run("lstm", x, mask=mask, states=states, residual=self.residual)
        return ops.time_distributed(partial(ops.dense, params["head"]), h), traces
