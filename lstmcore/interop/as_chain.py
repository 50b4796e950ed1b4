"""Models of lstmcore as the chain of the same layers, for formats that know layers in order."""

from __future__ import annotations

from typing import Any

import lstmcore as lc
from lstmcore.models import chain_parts as parts
from lstmcore.models.stack import activations_of

__all__ = ["as_chain"]


def as_chain(model: Any) -> lc.Chain:
    """Return the chain that computes the same as a model, with the same names of layers.

    Args:
      model: an lc.Chain, lc.Autoencoder or lc.StackedLSTM.

    Raises:
      ValueError: the model is not a chain, or has an option that no chain has.

    Examples:
      >>> import lstmcore as lc
      >>> as_chain(lc.StackedLSTM(features=2, units=(8, 4), outputs=1))
      Chain([LSTM(units=8), LSTM(units=4), Dense(name='head', units=1)], features=2)
    """
    if isinstance(model, lc.Chain):
        return model
    if isinstance(model, lc.Autoencoder):
        return _autoencoder(model)
    if isinstance(model, lc.StackedLSTM):
        return _stack(model)
    raise ValueError(
        f"{type(model).__name__} is not a chain of layers: lc.Chain, lc.Autoencoder and "
        "lc.StackedLSTM are"
    )


def _stack(model: lc.StackedLSTM) -> lc.Chain:
    sizes = model.units
    below = (None, *sizes)
    layers: list[parts.Part] = [
        parts.LSTM(units, **activations_of(model), residual=model.residual and units == before)
        for units, before in zip(sizes, below, strict=False)
    ]
    return lc.Chain([*layers, parts.Dense(model.outputs, name="head")], model.features)


def _autoencoder(model: lc.Autoencoder) -> lc.Chain:
    if model.conditional:
        raise ValueError(
            "an Autoencoder with conditional=True feeds its output back, which a chain cannot do"
        )
    if model.steps is None:
        raise ValueError(
            "this Autoencoder decodes as many steps as its input has, which a chain cannot do: "
            "make it with steps=, to which the weights fit as well"
        )
    options = activations_of(model)
    depth = len(model.units)
    encoder = [
        parts.LSTM(units, **options, last=place == depth - 1, name=f"encoder_{place}")
        for place, units in enumerate(model.units)
    ]
    decoder = [
        parts.LSTM(units, **options, name=f"decoder_{place}")
        for place, units in enumerate(model.units[::-1])
    ]
    head = parts.Dense(model.features, name=next(reversed(model.layers)))
    repeat = parts.RepeatVector(model.steps, name="repeat")
    return lc.Chain([*encoder, repeat, *decoder, head], model.features)
