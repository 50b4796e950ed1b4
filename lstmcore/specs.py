"""Descriptions of layers and models: kinds, sizes and shapes of the weights, without the weights.

`Layer` describes one layer. Below it stands one function for each model of the library, from the
model's hyperparameters, which it checks, to the model's layers by name; `LAYERS_OF` finds it by the
name of the model's class. `check_params` compares params with such a description.

This module needs neither JAX nor NumPy, so the NumPy engine checks files by the same description.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from lstmcore import checks
from lstmcore.types import (
    AdditiveAttention,
    BiasParams,
    DenseParams,
    EmbeddingParams,
    GeneralAttention,
    LSTMParams,
)

ACTIVATIONS = (  # the names that mean the same in Keras, PyTorch and JAX
    "tanh", "sigmoid", "hard_sigmoid", "relu", "elu", "selu", "softplus", "softsign", "linear",
)  # fmt: skip
ATTENTIONS = {"dot": None, "general": GeneralAttention, "additive": AdditiveAttention}
EMBEDDINGS = ("source_embedding", "target_embedding")
FORECASTS = ("direct", "recursive")
MERGES = ("concat", "sum", "mean", "mul")
TIES = ("source", "output", "all")


class Layer(NamedTuple):
    """Kind and sizes of one layer.

    Attributes:
      kind: type of its weights.
      features: size of its input; of an embedding the number of tokens, of an attention the size of
        the memory.
      units: size of its output.
    """

    kind: type
    features: int
    units: int

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each of its weights."""
        return SHAPES[self.kind](self.features, self.units)

    def optional_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each of the weights that it may have or not."""
        return {"peephole": (3, self.units)} if self.kind is LSTMParams else {}


SHAPES: dict[type, Callable[[int, int], dict[str, tuple[int, ...]]]] = {
    LSTMParams: lambda features, units: {
        "kernel": (features, 4 * units),
        "recurrent_kernel": (units, 4 * units),
        "bias": (4 * units,),
    },
    DenseParams: lambda features, units: {"kernel": (features, units), "bias": (units,)},
    BiasParams: lambda features, units: {"bias": (units,)},
    EmbeddingParams: lambda tokens, units: {"table": (tokens, units)},
    GeneralAttention: lambda memory, units: {"weight": (units, memory)},
    AdditiveAttention: lambda memory, units: {
        "query": (units, units),
        "memory": (memory, units),
        "score": (units,),
    },
}


def stack(name: str, features: int, units: tuple[int, ...]) -> dict[str, Layer]:
    """Return layers name_0, name_1, ...: the first reads `features`, each other the one below."""
    below = (features, *units[:-1])
    return {f"{name}_{i}": Layer(LSTMParams, below[i], units[i]) for i in range(len(units))}


def direction_names(name: str) -> list[str]:
    """Return the names of the two directions of a bidirectional layer."""
    return [f"{name}_forward", f"{name}_backward"]


def autoencoder(
    features: int, units: tuple[int, ...], steps: int | None = None, conditional: bool = False
) -> dict:
    """Return the layers of an Autoencoder: the encoder, its mirror image, a head."""
    checks.check_choice("conditional", conditional, (False, True))
    features, units = checks.check_sizes(features, units)
    if steps is not None:
        checks.check_count("steps", steps)
    decoder = _decoder("decoder", "head", features, units, conditional)
    return stack("encoder", features, units) | decoder


def composite_autoencoder(
    features: int, units: tuple[int, ...], steps: int, conditional: bool = False
) -> dict:
    """Return the layers of a CompositeAutoencoder: the encoder, two mirror images with heads."""
    checks.check_choice("conditional", conditional, (False, True))
    features, units = checks.check_sizes(features, units)
    checks.check_count("steps", steps)
    return {
        **stack("encoder", features, units),
        **_decoder("reconstruction", "reconstruction_head", features, units, conditional),
        **_decoder("prediction", "prediction_head", features, units, conditional),
    }


def _decoder(
    name: str, head: str, features: int, units: tuple[int, ...], conditional: bool
) -> dict[str, Layer]:
    """Return the encoder in reverse; a conditional one also reads its previous output."""
    read = units[-1] + features if conditional else units[-1]
    return stack(name, read, units[::-1]) | {head: Layer(DenseParams, units[0], features)}


def dense_autoencoder(features: int, units: tuple[int, ...], tied: bool = False) -> dict:
    """Return the layers of a DenseAutoencoder: the encoder and its mirror image."""
    checks.check_choice("tied", tied, (False, True))
    features, units = checks.check_sizes(features, units)
    sizes = (features, *units)
    kind = BiasParams if tied else DenseParams
    pairs = list(pairwise(sizes))
    encoder = {f"encoder_{i}": Layer(DenseParams, *pair) for i, pair in enumerate(pairs)}
    mirrored = [(above, below) for below, above in reversed(pairs)]
    return encoder | {f"decoder_{i}": Layer(kind, *pair) for i, pair in enumerate(mirrored)}


def stacked_lstm(
    features: int, units: tuple[int, ...], outputs: int, residual: bool = False
) -> dict:
    """Return the layers of a StackedLSTM: the stack and a head."""
    checks.check_choice("residual", residual, (False, True))
    features, units = checks.check_sizes(features, units)
    outputs = checks.check_count("outputs", outputs)
    layers = stack("lstm", features, units)
    return layers | {"head": Layer(DenseParams, units[-1], outputs)}


def forecaster(
    features: int,
    units: tuple[int, ...],
    horizon: int,
    targets: int | None = None,
    future_covariates: int = 0,
    mode: str = "direct",
    quantiles: tuple[float, ...] = (),
    dropout: float = 0.0,
) -> dict[str, Layer]:
    """Return the layers of a Forecaster: the stack and a head, for all steps or the next one."""
    features, units = checks.check_sizes(features, units)
    horizon = checks.check_count("horizon", horizon)
    covariates = checks.check_count("future_covariates", future_covariates, minimum=0)
    checks.check_choice("mode", mode, FORECASTS)
    checks.check_rate("dropout", dropout)
    checks.check_quantiles(quantiles)
    if covariates >= features:
        raise ValueError(
            f"future_covariates is {covariates} of {features} features, which leaves none to "
            "forecast: they are the columns whose future is given"
        )
    targets = features - covariates if targets is None else checks.check_count("targets", targets)
    if targets + covariates > features:
        raise ValueError(
            f"{targets} targets and {covariates} future covariates are more than the {features} "
            "features"
        )
    layers = stack("lstm", features, units)
    if mode == "direct":
        read = units[-1] + horizon * covariates
        outputs = horizon * targets * max(1, len(quantiles))
        return layers | {"head": Layer(DenseParams, read, outputs)}
    if targets + covariates < features:
        raise ValueError(
            f"mode='recursive' reads its own forecasts, but nobody forecasts the last "
            f"{features - targets - covariates} of the {features - covariates} columns without a "
            "known future: use mode='direct', or forecast them too"
        )
    if quantiles:
        raise ValueError(
            "mode='recursive' feeds one number back, and quantiles are several: use mode='direct', "
            "or dropout and samples"
        )
    return layers | {"head": Layer(DenseParams, units[-1], targets)}


def seq2seq(  # the hyperparameters of the model
    source: int,
    target: int,
    units: tuple[int, ...],
    decoder_units: tuple[int, ...],
    embedding: tuple[int | None, int | None],
    attention: str | None,
    bidirectional: bool,
    merge: str,
    reverse_source: bool,
    residual: bool,
    tie: str | None,
    dropout: float,
    recurrent_dropout: float,
) -> dict[str, Layer]:
    """Return the layers of a Seq2Seq: the encoder, the state projections, the decoder, its head."""
    checks.check_count("source", source), checks.check_count("target", target)
    units = checks.check_units("units", units)
    decoder_units = checks.check_units("decoder_units", decoder_units)
    for size in embedding:
        if size is not None:
            checks.check_count("embedding", size)
    checks.check_choice("attention", attention, (None, *ATTENTIONS))
    checks.check_choice("merge", merge, MERGES)
    checks.check_choice("tie", tie, (None, *TIES))
    checks.check_choice("bidirectional", bidirectional, (False, True))
    checks.check_choice("residual", residual, (False, True))
    checks.check_choice("reverse_source", reverse_source, (False, True))
    checks.check_rate("dropout", dropout)
    checks.check_rate("recurrent_dropout", recurrent_dropout)
    if bidirectional and reverse_source:
        raise ValueError("reverse_source is for an encoder that reads in one direction: drop one")
    _check_tie(tie, source, target, embedding)
    tables = _embedding_tables(source, target, embedding, tie)
    read, fed_back = (
        size or tokens for size, tokens in zip(embedding, (source, target), strict=True)
    )
    width = 2 if bidirectional and merge == "concat" else 1  # of an encoder layer, times its units
    return {
        **{name: table for name, table in tables.items() if name != "target_embedding"},
        **_encoder(read, units, width, bidirectional),
        **_state_projections(units, decoder_units, width),
        **tables,
        **stack("decoder", fed_back, decoder_units),
        **_output_layers(width * units[-1], decoder_units[-1], attention, tie, fed_back, target),
    }


def _check_tie(
    tie: str | None, source: int, target: int, embedding: tuple[int | None, int | None]
) -> None:
    """Raise unless the embeddings and the head can share their tables as `tie` says."""
    if tie in ("source", "all") and (
        None in embedding or source != target or len(set(embedding)) > 1
    ):
        raise ValueError(
            f"tie={tie!r} is one table for both sides, which needs one vocabulary and one size of "
            f"embedding, got source={source}, target={target}, embedding={tuple(embedding)}"
        )
    if tie == "output" and embedding[1] is None:
        raise ValueError("tie='output' needs a table of target tokens: set embedding")


def _embedding_tables(
    source: int, target: int, embedding: tuple[int | None, int | None], tie: str | None
) -> dict[str, Layer]:
    tables = {
        name: Layer(EmbeddingParams, tokens, size)
        for name, tokens, size in zip(EMBEDDINGS, (source, target), embedding, strict=True)
        if size is not None
    }
    return {"embedding": tables["target_embedding"]} if tie in ("source", "all") else tables


def _encoder(
    features: int, units: tuple[int, ...], width: int, bidirectional: bool
) -> dict[str, Layer]:
    layers: dict[str, Layer] = {}
    for place, size in enumerate(units):
        below = features if place == 0 else width * units[place - 1]
        name = f"encoder_{place}"
        for each in direction_names(name) if bidirectional else [name]:
            layers[each] = Layer(LSTMParams, below, size)
    return layers


def _state_projections(
    units: tuple[int, ...], decoder_units: tuple[int, ...], width: int
) -> dict[str, Layer]:
    """Return a dense layer for h and one for c where a decoder layer has another size."""
    layers: dict[str, Layer] = {}
    for place, size in enumerate(decoder_units):
        encoded = width * units[min(place, len(units) - 1)]
        if encoded != size:
            layers |= {f"bridge_{place}_{part}": Layer(DenseParams, encoded, size) for part in "hc"}
    return layers


def _output_layers(
    memory: int, hidden: int, attention: str | None, tie: str | None, fed_back: int, target: int
) -> dict[str, Layer]:
    """Return the layers from the decoder's hidden state to the logits.

    `memory` is the size of the encoder's hidden state, `fed_back` that of the decoder's input.
    """
    layers: dict[str, Layer] = {}
    tied = tie in ("output", "all")
    size = fed_back if tied else hidden
    if attention == "dot" and memory != hidden:
        raise ValueError(
            "dot attention needs an encoder and a decoder with hidden states of one size, got "
            f"{memory} and {hidden}: use 'general' or 'additive', or equal units"
        )
    if attention is not None and (kind := ATTENTIONS[attention]) is not None:
        layers["attention"] = Layer(kind, memory, hidden)
    if attention is not None or size != hidden:
        context = memory if attention is not None else 0
        layers["combine"] = Layer(DenseParams, context + hidden, size)
    if not tied:
        layers["head"] = Layer(DenseParams, size, target)
    return layers


LAYERS_OF: dict[str, Callable[..., dict[str, Layer]]] = {
    "Autoencoder": autoencoder,
    "CompositeAutoencoder": composite_autoencoder,
    "DenseAutoencoder": dense_autoencoder,
    "StackedLSTM": stacked_lstm,
    "Forecaster": forecaster,
    "Seq2Seq": seq2seq,
}


def activations(kind: str) -> tuple[str, ...]:
    """Return the names of the hyperparameters that are activations, by the class of a model."""
    if kind == "DenseAutoencoder":  # it has no gates
        return ("activation",)
    return ("activation", "recurrent_activation", "output_activation")


def check_params(params: Any, layers: Mapping[str, Layer]) -> None:
    """Raise unless `params` holds just these layers, each of the right kind and shapes."""
    if not isinstance(params, Mapping):
        raise TypeError(
            f"params must be a dict of layers, got {type(params).__name__}: call model.init(key)"
        )
    if set(params) != set(layers):
        raise ValueError(
            f"params has the layers {', '.join(map(str, params)) or '(none)'} but the model has "
            f"{', '.join(layers)}: were they made by another model?"
        )
    for name, layer in layers.items():
        checks.check_layer_params(params[name], layer.kind, f"params[{name!r}]")
        if getattr(params[name], "projection", None) is not None:
            raise ValueError(
                f"params[{name!r}] has a projection, but the layers of a model are sized by their "
                "units: run such a layer with lc.lstm"
            )
        for field, shape in layer.shapes().items():
            weights = getattr(params[name], field)
            advice = "were they made by another model?"
            checks.check_shape(
                f"params[{name!r}].{field}", weights, shape, "the model needs", advice
            )
