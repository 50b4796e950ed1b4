"""What a layer is: kind, sizes, shapes of its weights; and whether params fit. See `layouts`.

This module needs neither JAX nor NumPy, so the NumPy engine checks files by the same description.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import NamedTuple

from lstmcore import checks
from lstmcore.checks import (
    check_choice,
    check_layer_params,
    check_quantiles,
    check_rate,
    check_sizes,
    check_units,
)
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


class Layer(NamedTuple):
    """kind: type of its weights; features: size of its input; units: of its output.

    An embedding reads `features` different tokens, an attention a memory of that size.
    """

    kind: type
    features: int
    units: int

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each of its weights."""
        return SHAPES[self.kind](self.features, self.units)

    def optional_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each of the weights that it may have or not."""
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


def activations(kind: str) -> tuple[str, ...]:
    """Which hyperparameters of a model are functions, by the name of its class."""
    if kind == "DenseAutoencoder":  # it has no gates
        return ("activation",)
    return ("activation", "recurrent_activation", "output_activation")


def both_ways(name: str) -> list[str]:
    """The names of the two directions of a bidirectional layer."""
    return [f"{name}_forward", f"{name}_backward"]


def stack(name: str, features: int, units: tuple[int, ...]) -> dict[str, Layer]:
    """name_0, name_1, ...: the first layer reads `features`, each other the one below."""
    below = (features, *units[:-1])
    return {f"{name}_{i}": Layer(LSTMParams, below[i], units[i]) for i in range(len(units))}


def check_params(params, layers: Mapping[str, Layer]) -> None:
    """`params` holds just these layers, each of the right kind and shapes."""
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
        check_layer_params(params[name], layer.kind, f"params[{name!r}]")
        if getattr(params[name], "projection", None) is not None:
            raise ValueError(
                f"params[{name!r}] has a projection, but the layers of a model are sized by their "
                "units: run such a layer with lc.lstm"
            )
        for field, shape in layer.shapes().items():
            found = tuple(getattr(params[name], field).shape)
            if found != shape:
                raise ValueError(
                    f"params[{name!r}].{field} has shape {found} but the model needs {shape}: were "
                    "they made by another model?"
                )


FORECASTS = ("direct", "recursive")
EMBEDDINGS = ("source_embedding", "target_embedding")
MERGES = ("concat", "sum", "mean", "mul")
TIES = ("source", "output", "all")
ATTENTIONS = {"dot": None, "general": GeneralAttention, "additive": AdditiveAttention}


def autoencoder(
    features: int, units: tuple[int, ...], steps: int | None = None, conditional: bool = False
) -> dict:
    """{name: Layer} of an Autoencoder: the encoder, its mirror image, a head."""
    check_choice("conditional", conditional, (False, True))
    features, units = check_sizes(features, units)
    if steps is not None:
        checks.check_count("steps", steps)
    decoder = _decoder("decoder", "head", features, units, conditional)
    return stack("encoder", features, units) | decoder


def composite_autoencoder(
    features: int, units: tuple[int, ...], steps: int, conditional: bool = False
) -> dict:
    """{name: Layer} of a CompositeAutoencoder: the encoder, then two mirror images with heads."""
    check_choice("conditional", conditional, (False, True))
    features, units = check_sizes(features, units)
    checks.check_count("steps", steps)
    return {
        **stack("encoder", features, units),
        **_decoder("reconstruction", "reconstruction_head", features, units, conditional),
        **_decoder("prediction", "prediction_head", features, units, conditional),
    }


def dense_autoencoder(features: int, units: tuple[int, ...], tied: bool = False) -> dict:
    """{name: Layer} of a DenseAutoencoder: the encoder and its mirror image."""
    check_choice("tied", tied, (False, True))
    features, units = check_sizes(features, units)
    sizes = (features, *units)
    kind = BiasParams if tied else DenseParams
    steps = list(pairwise(sizes))
    encoder = {f"encoder_{i}": Layer(DenseParams, *step) for i, step in enumerate(steps)}
    back = ((above, below) for below, above in reversed(steps))
    return encoder | {f"decoder_{i}": Layer(kind, *step) for i, step in enumerate(back)}


def stacked_lstm(
    features: int, units: tuple[int, ...], outputs: int, residual: bool = False
) -> dict:
    """{name: Layer} of a StackedLSTM: the stack and a head."""
    check_choice("residual", residual, (False, True))
    features, units = check_sizes(features, units)
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
    """{name: Layer} of a Forecaster: the stack and a head, for all steps or for the next one."""
    features, units = check_sizes(features, units)
    horizon = checks.check_count("horizon", horizon)
    known = checks.check_count("future_covariates", future_covariates, minimum=0)
    check_choice("mode", mode, FORECASTS)
    check_rate("dropout", dropout)
    check_quantiles(quantiles)
    if known >= features:
        raise ValueError(
            f"known is {known} of {features} features, which leaves none to forecast: known are "
            "the columns whose future is given"
        )
    targets = features - known if targets is None else checks.check_count("targets", targets)
    if targets + known > features:
        raise ValueError(
            f"{targets} targets and {known} known columns are more than the {features} features"
        )
    layers = stack("lstm", features, units)
    if mode == "direct":
        reads = units[-1] + horizon * known
        writes = horizon * targets * max(1, len(quantiles))
        return layers | {"head": Layer(DenseParams, reads, writes)}
    if targets + known < features:
        raise ValueError(
            f"mode='recursive' reads its own forecasts, but nobody forecasts the last "
            f"{features - targets - known} of the {features - known} columns that are not known: "
            "use mode='direct', or forecast them too"
        )
    if quantiles:
        raise ValueError(
            "mode='recursive' feeds one number back, and quantiles are several: use mode='direct', "
            "or dropout and samples"
        )
    return layers | {"head": Layer(DenseParams, units[-1], targets)}


def seq2seq(
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
    """{name: Layer} of a Seq2Seq: what reads the source, the bridge, what writes the target."""
    checks.check_count("source", source), checks.check_count("target", target)
    units, decoder_units = check_units("units", units), check_units("decoder_units", decoder_units)
    for size in embedding:
        if size is not None:
            checks.check_count("embedding", size)
    check_choice("attention", attention, (None, *ATTENTIONS))
    check_choice("merge", merge, MERGES)
    check_choice("tie", tie, (None, *TIES))
    check_choice("bidirectional", bidirectional, (False, True))
    check_choice("residual", residual, (False, True))
    check_choice("reverse_source", reverse_source, (False, True))
    for name, rate in (("dropout", dropout), ("recurrent_dropout", recurrent_dropout)):
        check_rate(name, rate)
    if bidirectional and reverse_source:
        raise ValueError("reverse_source is for an encoder that reads in one direction: drop one")
    if tie in ("source", "all") and (
        None in embedding or source != target or len(set(embedding)) > 1
    ):
        raise ValueError(
            f"tie={tie!r} is one table for both sides, which needs one vocabulary and one size of "
            f"embedding, got source={source}, target={target}, embedding={tuple(embedding)}"
        )
    if tie == "output" and embedding[1] is None:
        raise ValueError("tie='output' needs a table of target tokens: set embedding")
    read, written = (size or count for size, count in zip(embedding, (source, target), strict=True))
    show = 2 if bidirectional and merge == "concat" else 1  # times the units of a layer
    tables = {
        name: Layer(EmbeddingParams, count, size)
        for name, count, size in zip(EMBEDDINGS, (source, target), embedding, strict=True)
        if size is not None
    }
    if tie in ("source", "all"):
        tables = {"embedding": tables["target_embedding"]}
    layers = {name: table for name, table in tables.items() if name != "target_embedding"}
    for place, size in enumerate(units):
        below = read if place == 0 else show * units[place - 1]
        for name in both_ways(f"encoder_{place}") if bidirectional else [f"encoder_{place}"]:
            layers[name] = Layer(LSTMParams, below, size)
    for place, size in enumerate(decoder_units):
        above = show * units[min(place, len(units) - 1)]
        if above != size:
            layers |= {f"bridge_{place}_{part}": Layer(DenseParams, above, size) for part in "hc"}
    layers |= tables | stack("decoder", written, decoder_units)
    memory, shown = show * units[-1], decoder_units[-1]
    out = written if tie in ("output", "all") else shown
    if attention == "dot" and memory != shown:
        raise ValueError(
            f"dot attention needs an encoder that shows as much as the decoder, got {memory} and "
            f"{shown}: use 'general' or 'additive', or equal units"
        )
    if attention is not None and (kind := ATTENTIONS[attention]) is not None:
        layers["attention"] = Layer(kind, memory, shown)
    if attention is not None or out != shown:
        looked = memory if attention is not None else 0
        layers["combine"] = Layer(DenseParams, looked + shown, out)
    if tie not in ("output", "all"):
        layers["head"] = Layer(DenseParams, out, target)
    return layers


def _decoder(
    name: str, head: str, features: int, units: tuple[int, ...], conditional: bool
) -> dict[str, Layer]:
    """The encoder in reverse; a conditional one reads the step before beside the code."""
    read = units[-1] + features if conditional else units[-1]
    return stack(name, read, units[::-1]) | {head: Layer(DenseParams, units[0], features)}


LAYOUTS: dict[str, Callable[..., dict[str, Layer]]] = {
    "Autoencoder": autoencoder,
    "CompositeAutoencoder": composite_autoencoder,
    "DenseAutoencoder": dense_autoencoder,
    "StackedLSTM": stacked_lstm,
    "Forecaster": forecaster,
    "Seq2Seq": seq2seq,
}
