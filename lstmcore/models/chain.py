"""Chains: described layers in order, for every network that has no class of its own.

    model = lc.Chain(
        [
            chain.Embedding(vocabulary=1000, units=16, padding=0),
            chain.LSTM(32, direction="bidirectional"),
            chain.LSTM(32, last=True),
            chain.Dense(1),
        ]
    )

Each part is a frozen dataclass of hyperparameters. A layer is named after its kind and its place
among the layers of its kind, such as "lstm_0", unless it has a name of its own; the name is the
same in params, traces and edits. `chain_parts` has the parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import lstmcore as lc
from lstmcore import checks
from lstmcore.models import chain_parts
from lstmcore.models.chain_parts import (
    LSTM,
    PARTS,
    Dropout,
    Embedding,
    Flow,
    Masking,
    Part,
    Reverse,
    Shape,
)
from lstmcore.models.stack import (
    Edits,
    States,
    check_edits,
    check_key,
    not_called,
    set_plain,
    summary_html,
)
from lstmcore.specs import Layer, check_params
from lstmcore.types import LSTMParams, Trace

if TYPE_CHECKING:
    import jax

__all__ = ["Chain"]


@dataclass(frozen=True, repr=False)
class Chain:
    """Layers in order: the output of each is the input of the next.

    Attributes:
      parts: descriptions of the layers, from `lc.chain`: LSTM, Dense, Embedding, RepeatVector,
        Dropout, Activation, LeakyReLU, Masking, LayerNorm, Reverse.
      features: F, size of the input at each step; None if the first part is an Embedding.

    Raises:
      ValueError: parts that do not fit together, such as an LSTM after one that hands on its last
        state alone.
      TypeError: something that is no part.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> model = lc.Chain([lc.chain.LSTM(8), lc.chain.LSTM(4, last=True), lc.chain.Dense(3)], 2)
      >>> y, traces = model.apply(model.init(jax.random.key(0)), jnp.ones((5, 7, 2)))
      >>> y.shape, list(traces)
      ((5, 3), ['lstm_0', 'lstm_1'])
      >>> print(lc.summary(model, timesteps=7))
      layer    type   output shape  params
      ────────────────────────────────────
      lstm_0   LSTM   (None, 7, 8)     352
      lstm_1   LSTM   (None, 4)        208
      dense_0  Dense  (None, 3)         15
      ────────────────────────────────────
      total                            575
    """

    parts: tuple[Part, ...]
    features: int | None = None

    __call__ = not_called
    _repr_html_ = summary_html

    def __post_init__(self) -> None:
        if isinstance(self.parts, str) or not isinstance(self.parts, Sequence):
            raise TypeError(
                f"parts must be a list of layers, got {type(self.parts).__name__}: write "
                "lc.Chain([lc.chain.LSTM(8), lc.chain.Dense(1)], features=2)"
            )
        if not self.parts:
            raise ValueError("parts is empty: a chain needs at least one layer")
        if (count := len(self.parts)) > checks.MOST_LAYERS:
            most = f"{checks.MOST_LAYERS:,}"
            raise ValueError(f"parts has {count:,} layers, expected at most {most}")
        set_plain(self, parts=tuple(map(_part, self.parts)))
        first = self.parts[0]
        if isinstance(first, Embedding):
            if self.features is not None:
                raise ValueError("features is for a chain that reads numbers, not tokens: drop it")
        elif self.features is None:
            raise ValueError("features is missing: it is the size of the input at each step")
        else:
            set_plain(self, features=checks.check_count("features", self.features))
        for part in self.parts[1:]:
            if isinstance(part, Embedding | Masking):
                raise ValueError(
                    f"{type(part).__name__} must be the first part: it reads the input"
                )
        names = []
        for name, part, before, _ in self._walk():  # raises where parts do not fit
            names += list(part.layers(name, before.features)) or [name]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"two layers are named {twice[0]!r}: each needs a name of its own")

    def __repr__(self) -> str:
        size = "" if self.features is None else f", features={self.features}"
        return f"Chain({list(self.parts)}{size})"

    def _walk(self) -> Iterator[tuple[str, Part, Shape, Shape]]:
        """Yield (name, part, shape of its input, shape of its output) of each part, in order."""
        counts: dict[str, int] = {}
        shape = Shape(self.features or 0, in_time=True)
        for part in self.parts:
            kind = part.default_name
            place = counts[kind] = counts.get(kind, -1) + 1
            name = part.name or f"{kind}_{place}"
            after = part.shape_after(name, shape)
            yield name, part, shape, after
            shape = after

    def named_parts(self) -> list[tuple[str, Part]]:
        """Return (name, part) of each part, in order."""
        return [(name, part) for name, part, _, _ in self._walk()]

    @property
    def layers(self) -> dict[str, Layer]:
        """Return {name: Layer} of all layers that have weights, in reading order."""
        layers: dict[str, Layer] = {}
        for name, part, before, _ in self._walk():
            layers |= part.layers(name, before.features)
        return layers

    @property
    def not_causal(self) -> str | None:
        """Return the name of the first layer that reads later steps, or None if all are causal."""
        return next((name for name, part, _, _ in self._walk() if not part.causal), None)

    @property
    def causal(self) -> bool:
        """Return whether the output at a step depends on no later one, as streams need it."""
        return self.not_causal is None

    @property
    def gives_probabilities(self) -> bool:
        """Return whether the output is a distribution over classes, not their logits."""
        last = next((part for part in self.parts[::-1] if not isinstance(part, Dropout)), None)
        return getattr(last, "activation", None) == "softmax"

    def init(self, key: jax.Array, dtype: Any = "float32") -> dict:
        """Return new weights, drawn by `init_lstm`, `init_dense`, ..."""
        return lc.init_layers(key, self.layers, dtype)

    def apply(
        self,
        params: dict,
        x: jax.Array,
        *,
        mask: jax.Array | None = None,
        edits: Edits = None,
        states: States = None,
        key: jax.Array | None = None,
        ops: Any = lc.ops,
    ) -> tuple[jax.Array, dict[str, Trace]]:
        """Run all layers.

        Args:
          params: what `init` returned, trained or not.
          x: [B, T, F]; integers [B, T] of tokens if the first part is an Embedding.
          mask: bool [B, T], True = real step; combined with the one of an Embedding or Masking.
          edits: for any LSTM layer by name, the `edit` of `lc.lstm`.
          states: LSTMState that layers start from, by name; others start from zeros.
          key: random key for dropout; None for no dropout.
          ops: `lc.ops` to compute by JAX, `lc.reference` by NumPy.

        Returns:
          (output [B, T, U], or [B, U] if an LSTM hands on its last state; Trace of each LSTM layer
          by name, of a bidirectional one of each direction).

        Raises:
          ValueError: shapes that do not fit, or an unknown name in `edits` or `states`.
          TypeError: arguments of another kind.
        """
        layers = self.layers
        params = check_params(params, layers)
        check_edits(edits, layers)
        check_edits(states, layers, "states")
        if key is not None:
            check_key(ops, key)
        flow = Flow(ops, params, edits or {}, states or {}, key, traces={})
        x, mask = self._checked(ops, x, mask)
        if mask is not None and not isinstance(self.parts[0], Embedding):
            x = ops.np.where(mask[:, :, None], x, 0)  # it may be NaN
        for name, part, _, _ in self._walk():
            x, mask = part.run(name, x, mask, flow)
        return x, flow.traces

    def check_input(self, x: jax.Array) -> None:
        """Raise as `apply` does if x does not fit; a compiled program cannot refuse a token."""
        self._checked(lc.ops, x, None)

    def input_mask(self, x: jax.Array, mask: jax.Array | None = None) -> jax.Array | None:
        """Return where the steps of x are real, bool [B, T], or None if all are."""
        x, mask = self._checked(lc.ops, x, mask)
        if isinstance(self.parts[0], Embedding | Masking):
            return self.parts[0].mask_of(x, mask)
        return mask

    def output_mask(self, x: jax.Array, mask: jax.Array | None = None) -> jax.Array | None:
        """Return where the steps of the output are real, bool [B, T], or None."""
        mask = self.input_mask(x, mask)
        for part in self.parts:
            mask = _mask_after(part, mask)
        return mask

    def masks(self, x: jax.Array, *, mask: jax.Array | None = None) -> dict[str, Any]:
        """Return where the steps of each LSTM layer are real, bool [B, T], or None if all are."""
        mask = self.input_mask(x, mask)
        masks: dict[str, jax.Array | None] = {}
        for name, part, before, _ in self._walk():
            layers = part.layers(name, before.features).items()
            masks |= {layer: mask for layer, spec in layers if spec.kind is LSTMParams}
            mask = _mask_after(part, mask)
        return masks

    def summary_rows(self, timesteps: int | None) -> list[tuple[str, str, tuple]]:
        """Return (name, type, output shape) of each layer, for `lc.summary`."""
        rows: list[tuple] = []
        steps: int | None = timesteps
        for name, part, before, after in self._walk():
            steps = part.steps_after(steps)
            shape = (None, steps, after.features) if after.in_time else (None, after.features)
            kind, layers = part.type_name(before.in_time), part.layers(name, before.features)
            if len(layers) < 2:
                rows.append((name, kind, shape))
            for each, layer in layers.items() if len(layers) > 1 else ():  # the two directions
                rows.append((each, kind, (*shape[:-1], layer.projection or layer.units)))
        return rows

    def _checked(
        self, ops: Any, x: jax.Array, mask: jax.Array | None
    ) -> tuple[jax.Array, jax.Array | None]:
        """Return x and mask, checked, as arrays of the engine."""
        x = ops.as_array("x", x)
        if isinstance(self.parts[0], Embedding):
            checks.check_array("x", x, "batch time", "one token id for each step")
            checks.check_ids("x", x, self.parts[0].vocabulary)
        else:
            checks.check_array("x", x, "batch time features", "x[None] adds a batch axis")
            checks.check_floating("x", x)
            checks.check_features("x", x, self.features or 0, "the chain")
        if mask is not None:
            mask = checks.check_mask(ops.as_array("mask", mask), x.shape[0], x.shape[1])
        return ops.np.asarray(x), mask


def _mask_after(part: Part, mask: jax.Array | None) -> jax.Array | None:
    """Return the mask of the output of a part, given that of its input."""
    if isinstance(part, LSTM) and part.last:
        return None
    return part.mask_after(mask) if isinstance(part, Reverse) else mask


def _part(described: Any) -> Part:
    """Return a part; one from a file is a dict of its fields with its kind as "part"."""
    if isinstance(described, dict) and described.get("part") in PARTS:
        fields = {name: value for name, value in described.items() if name != "part"}
        described = PARTS[described["part"]](**fields)
    if type(described) in PARTS.values():
        name = described.name
        if name is not None and (not isinstance(name, str) or not name or "/" in name):
            raise ValueError(f"name must be a text without '/', got {name!r}")
        return described
    raise TypeError(
        f"parts must hold layers, such as lc.chain.LSTM(8), got {type(described).__name__}: there "
        f"are {', '.join(f'lc.chain.{name}' for name in chain_parts.__all__)}"
    )
