"""An ensemble: forecasters trained side by side, then joined into one.

The mean of M forecasters of H units is itself a forecaster, of M H units: those of the members
stand side by side, no weight leads from one member to another, and the head divides by M. So an
ensemble is saved, updated and looked at like any other model. The units of member m, counted from
0, are those from m H to (m + 1) H of each layer.

Source: Lakshminarayanan, Pritzel & Blundell (2017), "Simple and scalable predictive uncertainty
estimation using deep ensembles": members differ in their initial weights alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp

from lstmcore.models.forecaster import Forecaster
from lstmcore.specs import Layer
from lstmcore.types import DenseParams, EmbeddingParams, LSTMParams


@dataclass(frozen=True)
class Ensemble:
    """Forecasters of the same sizes, trained as one compiled program.

    Their params are stacked: each array has a first axis of `members`. An ensemble of one is its
    member, without that axis.

    Attributes:
      joined: `lc.Forecaster` of all units, whose forecast is the mean of those of the members.
      members: number M of forecasters.

    Examples:
      >>> from lstmcore import Forecaster
      >>> ensemble = Ensemble(Forecaster(1, units=12, horizon=2), members=3)
      >>> ensemble.member.units
      (4,)
      >>> stacked = ensemble.init(jax.random.key(0))
      >>> stacked["lstm_0"].kernel.shape, ensemble.join(stacked)["lstm_0"].kernel.shape
      ((3, 1, 16), (1, 48))
    """

    joined: Forecaster
    members: int

    @property
    def member(self) -> Forecaster:
        """Return the model of one member."""
        units = tuple(size // self.members for size in self.joined.units)
        return replace(self.joined, units=units, embedding=self.joined.embedding // self.members)

    @property
    def layers(self) -> dict[str, Layer]:
        """Return the layers of one member, by name."""
        return self.member.layers

    def init(self, key: jax.Array) -> dict:
        """Return new weights of all members, each drawn with a key of its own."""
        if self.members == 1:
            return self.joined.init(key)
        return jax.vmap(self.member.init)(jax.random.split(key, self.members))

    def loss(self, params: dict, batch: dict, key: jax.Array | None = None) -> jax.Array:
        """Return the loss for `lc.fit`: the mean over the members, each of which learns alone."""
        if self.members == 1:
            return self.joined.loss(params, batch, key)
        keys = None if key is None else jax.random.split(key, self.members)
        losses = jax.vmap(self.member.loss, in_axes=(0, None, 0))(params, batch, keys)
        return losses.mean()

    def join(self, params: dict) -> dict:
        """Return params of the joined forecaster from stacked ones."""
        if self.members == 1:
            return params
        return {name: self._join(name, layer) for name, layer in params.items()}

    def split(self, params: dict) -> dict:
        """Return stacked params from those of the joined forecaster, the inverse of `join`.

        What the members share there, such as the bias of the head, they all start with.
        """
        if self.members == 1:
            return params
        return {name: self._split(name, layer) for name, layer in params.items()}

    def _join(self, name: str, layer):
        if isinstance(layer, LSTMParams):
            kernel = _beside(layer.kernel) if name == "lstm_0" else _blocks(layer.kernel)
            bias = _beside(layer.bias[:, None])[0]
            return LSTMParams(kernel, _blocks(layer.recurrent_kernel), bias)
        if isinstance(layer, EmbeddingParams):
            return EmbeddingParams(jnp.concatenate(list(layer.table), axis=1))
        units, shared, vector = self._head(layer.kernel, self.member)
        rows = units.reshape(-1, units.shape[2]), shared.sum(0), vector.reshape(-1, units.shape[2])
        return DenseParams(jnp.concatenate(rows) / self.members, layer.bias.mean(axis=0))

    def _split(self, name: str, layer):
        count = self.members
        if isinstance(layer, LSTMParams):
            kernel = (_apart if name == "lstm_0" else _diagonal)(layer.kernel, count)
            bias = _apart(layer.bias[None], count)[:, 0]
            return LSTMParams(kernel, _diagonal(layer.recurrent_kernel, count), bias)
        if isinstance(layer, EmbeddingParams):
            return EmbeddingParams(jnp.stack(jnp.split(layer.table, count, axis=1)))
        units, shared, vector = self._head(layer.kernel, self.joined)
        rows = (
            count * units.reshape(count, -1, units.shape[1]),
            jnp.broadcast_to(shared, (count, *shared.shape)),
            count * vector.reshape(count, -1, units.shape[1]),
        )
        bias = jnp.broadcast_to(layer.bias, (count, *layer.bias.shape))
        return DenseParams(jnp.concatenate(rows, axis=1), bias)

    @staticmethod
    def _head(kernel: jax.Array, model: Forecaster) -> list[jax.Array]:
        """Return the rows of a head: of units, of what all members read alike, of the embedding."""
        units, rows = model.units[-1], kernel.shape[-2]
        return jnp.split(kernel, [units, rows - model.embedding], axis=-2)


def _beside(kernels: jax.Array) -> jax.Array:
    """Return [F, 4 M H] from [M, F, 4 H]: within each gate, the units of all members in turn."""
    members, features, columns = kernels.shape
    gates = kernels.reshape(members, features, 4, columns // 4)
    return jnp.moveaxis(gates, 0, 2).reshape(features, members * columns)


def _apart(kernel: jax.Array, members: int) -> jax.Array:
    """Return [M, F, 4 H] from [F, 4 M H], the inverse of `_beside`."""
    features, columns = kernel.shape
    gates = kernel.reshape(features, 4, members, columns // (4 * members))
    return jnp.moveaxis(gates, 2, 0).reshape(members, features, columns // members)


def _blocks(kernels: jax.Array) -> jax.Array:
    """Return [M R, 4 M H] from [M, R, 4 H]: every member reads its own R rows alone."""
    members, rows, columns = kernels.shape
    own = jnp.eye(members, dtype=kernels.dtype)[:, None, None, :, None]
    gates = kernels.reshape(members, rows, 4, 1, columns // 4) * own
    return gates.reshape(members * rows, members * columns)


def _diagonal(kernel: jax.Array, members: int) -> jax.Array:
    """Return [M, R, 4 H] from [M R, 4 M H], the inverse of `_blocks`."""
    rows, columns = kernel.shape[0] // members, kernel.shape[1] // members
    own = jnp.arange(members)
    gates = kernel.reshape(members, rows, 4, members, columns // 4)[own, :, :, own]
    return gates.reshape(members, rows, columns)
