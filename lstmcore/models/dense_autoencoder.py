"""The autoencoder of dense layers, without time or gates: a baseline for the others."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import lstmcore as lc
from lstmcore import checks
from lstmcore.display.text import given_fields
from lstmcore.models.stack import not_called, set_plain, summary_html
from lstmcore.specs import Layer, check_params
from lstmcore.types import BiasParams, DenseParams

if TYPE_CHECKING:
    import jax

    from lstmcore.activations import Activation

__all__ = ["DenseAutoencoder"]


@dataclass(frozen=True)
class DenseAutoencoder:
    """Stacked dense layers that narrow to a code, and their mirror image (Hinton & Salakhutdinov
    2006, "Reducing the dimensionality of data with neural networks").

    A window [B, T, F] is read as one row of T * F numbers: `x.reshape(len(x), -1)`.

    Attributes:
      features: F, size of a row, in and out.
      units: sizes of the encoder's layers, such as (64, 8), the last of which is the code; the
        decoder has the same in reverse. One number for one layer.
      activation: of every layer but the decoder's last, which is linear; a name or a function.
      tied: whether the decoder's kernels are the encoder's, transposed, so that there are about
        half as many weights (Vincent et al. 2010, "Stacked denoising autoencoders", section 2).

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> model = lc.DenseAutoencoder(features=6, units=(4, 2))
      >>> params, x = model.init(jax.random.key(0)), jnp.ones((5, 6))
      >>> x_hat, activations = model.apply(params, x)
      >>> x_hat.shape, list(activations)
      ((5, 6), ['encoder_0', 'encoder_1', 'decoder_0', 'decoder_1'])
      >>> code, _ = model.encode(params, x)
      >>> code.shape
      (5, 2)
    """

    features: int
    units: tuple[int, ...]
    activation: Activation = "tanh"
    tied: bool = False

    causal = False  # nothing comes out before the sequence has ended

    __call__ = not_called
    __repr__ = given_fields
    _repr_html_ = summary_html

    def __post_init__(self) -> None:
        features, units = checks.check_sizes(self.features, self.units)
        checks.check_choice("tied", self.tied, (False, True))
        set_plain(self, features=features, units=units, tied=bool(self.tied))
        checks.check_activation("activation", self.activation)

    @property
    def layers(self) -> dict[str, Layer]:
        """Return {name: Layer(kind, features, units)}, in reading order."""
        pairs = list(pairwise((self.features, *self.units)))
        encoder = {f"encoder_{i}": Layer(DenseParams, *pair) for i, pair in enumerate(pairs)}
        kind = BiasParams if self.tied else DenseParams
        mirrored = [(above, below) for below, above in reversed(pairs)]
        return encoder | {f"decoder_{i}": Layer(kind, *pair) for i, pair in enumerate(mirrored)}

    def init(self, key: jax.Array, dtype: Any = "float32") -> dict:
        """Return new weights, drawn by `init_dense`; a tied layer has only a bias, of zeros."""
        return lc.init_layers(key, self.layers, dtype)

    def encode(
        self, params: dict, x: jax.Array, *, ops: Any = lc.ops
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the code and the encoder's outputs, the first half of `apply`.

        Returns:
          (code [B, units[-1]], output [B, U] of each layer of the encoder, by name).
        """
        params, x = check_params(params, self.layers), ops.as_array("x", x)
        advice = "a window [B, T, F] is flattened with x.reshape(len(x), -1)"
        checks.check_array("x", x, "batch features", advice)
        outputs: dict[str, jax.Array] = {}
        for place in range(len(self.units)):
            y = ops.dense(params[f"encoder_{place}"], x)
            x = outputs[f"encoder_{place}"] = ops.activate(self.activation, y)
        return x, outputs

    def apply(
        self, params: dict, x: jax.Array, *, ops: Any = lc.ops
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Encode `x`, decode the code.

        Args:
          params: what `init` returned, trained or not.
          x: [B, F].
          ops: `lc.ops` to compute by JAX, `lc.reference` by NumPy.

        Returns:
          (x_hat [B, F], output [B, U] of each layer, by name; the last is x_hat itself).

        Raises:
          ValueError: shapes that do not fit.
          TypeError: arguments of another kind.
        """
        params = check_params(params, self.layers)
        h, outputs = self.encode(params, x, ops=ops)
        last = len(self.units) - 1
        for place in range(len(self.units)):
            layer = params[f"decoder_{place}"]
            if self.tied:
                layer = DenseParams(params[f"encoder_{last - place}"].kernel.T, layer.bias)
            y = ops.dense(layer, h)
            h = y if place == last else ops.activate(self.activation, y)
            outputs[f"decoder_{place}"] = h
        return h, outputs

    def summary_rows(self, timesteps: int | None) -> list[tuple[str, str, tuple]]:
        """Return (name, type, output shape) of each layer, for `lc.summary`."""
        rows = []
        for name, layer in self.layers.items():
            kind, place = "Dense", int(name.rpartition("_")[2])
            if layer.kind is BiasParams:
                kind = f"Dense, tied to encoder_{len(self.units) - 1 - place}"
            rows.append((name, kind, (None, layer.units)))
        return rows
