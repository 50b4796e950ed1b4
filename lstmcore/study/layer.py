"""One LSTM layer as a model, for weights that came from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax

from lstmcore.activations import Activation
from lstmcore.sequence import lstm
from lstmcore.study.names import check_layer
from lstmcore.types import LSTMParams, Trace

__all__ = ["SingleLayer"]


@dataclass(frozen=True)
class SingleLayer:
    """A model of one layer, "lstm", whose weights are an LSTMParams and whose output is its h.

    Attributes:
      activation, recurrent_activation, output_activation, reverse: as in `lc.lstm`.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> from lstmcore import study
      >>> weights = lc.init_lstm(jax.random.key(0), features=2, units=3)  # or of a Keras layer
      >>> run = study.run(study.SingleLayer(), weights, jnp.ones((5, 7, 2)))
      >>> run["lstm", "forget"].shape
      (5, 7, 3)
    """

    activation: Activation = "tanh"
    recurrent_activation: Activation = "sigmoid"
    output_activation: Activation | None = None
    reverse: bool = False

    def apply(
        self,
        params: LSTMParams,
        x: jax.Array,
        *,
        mask: jax.Array | None = None,
        edits: Mapping[str, Callable] | None = None,
    ) -> tuple[jax.Array, dict[str, Trace]]:
        """Run the layer; errors as in `lc.lstm`.

        Returns:
          (h [B, T, H], {"lstm": Trace}).
        """
        for name in edits or {}:
            check_layer(name, ["lstm"])
        _, trace = lstm(
            params,
            x,
            mask=mask,
            reverse=self.reverse,
            activation=self.activation,
            recurrent_activation=self.recurrent_activation,
            output_activation=self.output_activation,
            edit=(edits or {}).get("lstm"),
        )
        return trace.h, {"lstm": trace}
