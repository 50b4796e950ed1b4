"""The dense autoencoder: the family's oldest member, without time."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from lstmcore import checks, layout, layouts
from lstmcore.activations import Activation, resolve
from lstmcore.hyperparameters import normalise
from lstmcore.layers import dense
from lstmcore.stack import init_layers
from lstmcore.types import DenseParams

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

    def __post_init__(self):
        normalise(self)

    @property
    def layers(self) -> dict[str, layout.Layer]:
        """{name: Layer(kind, features, units)}, in reading order."""
        return layouts.dense_autoencoder(self.features, self.units, self.tied)

    def init(self, key: jax.Array, dtype=jnp.float32) -> dict:
        """Fresh weights, drawn as by `init_dense`; a tied layer has a bias of zeros alone."""
        return init_layers(key, self.layers, dtype)

    def encode(self, params: dict, x: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The first half of `apply`.

        Returns:
          (code [B, units[-1]], what each layer of the encoder shows [B, U], by name).
        """
        layout.check_params(params, self.layers)
        advice = "a window [B, T, F] is flattened with x.reshape(len(x), -1)"
        checks.check_array("x", x, "batch features", advice)
        squash, shown = resolve("activation", self.activation), {}
        for place in range(len(self.units)):
            x = shown[f"encoder_{place}"] = squash(dense(params[f"encoder_{place}"], x))
        return x, shown

    def apply(self, params: dict, x: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Encode, decode.

        Args:
          params: what `init` returned, trained or not.
          x: [B, F].

        Returns:
          (x_hat [B, F], what each layer shows [B, U], by name; the last is x_hat itself).

        Raises:
          ValueError: shapes that do not fit.
          TypeError: arguments of another kind.
        """
        h, shown = self.encode(params, x)
        squash, last = resolve("activation", self.activation), len(self.units) - 1
        for place in range(len(self.units)):
            layer = params[f"decoder_{place}"]
            if self.tied:
                layer = DenseParams(params[f"encoder_{last - place}"].kernel.T, layer.bias)
            y = dense(layer, h)
            h = shown[f"decoder_{place}"] = y if place == last else squash(y)
        return h, shown
