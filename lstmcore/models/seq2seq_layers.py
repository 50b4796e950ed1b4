"""The layers of an encoder-decoder: their sizes, their summary, the dropout masks between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lstmcore import checks
from lstmcore.models.stack import DropoutMasks, LayerDropout
from lstmcore.specs import KINDS, Layer, direction_names, stack
from lstmcore.types import (
    AdditiveAttention,
    DenseParams,
    EmbeddingParams,
    GeneralAttention,
    LSTMParams,
)

if TYPE_CHECKING:
    import jax

ATTENTIONS = {"dot": None, "general": GeneralAttention, "additive": AdditiveAttention}
TIES = ("source", "output", "all")


def layers_of(model: Any) -> dict[str, Layer]:
    """Return {name: Layer}: the encoder, the state projections, the decoder, what makes logits."""
    sizes = zip(model.embedding, (model.source, model.target), strict=True)
    read, fed_back = (size or tokens for size, tokens in sizes)
    tables = _embedding_tables(model)
    return {
        **{name: table for name, table in tables.items() if name != "target_embedding"},
        **_encoder(model, read),
        **_state_projections(model),
        **tables,
        **stack("decoder", fed_back, model.decoder_units),
        **_output_layers(model, fed_back),
    }


def summary_rows(model: Any, timesteps: int | None) -> list[tuple[str, str, tuple]]:
    """Return (name, type, output shape) of each layer.

    The target has another number of steps than the source, which has `timesteps`.
    """
    rows: list[tuple] = []
    for name, layer in model.layers.items():
        if name.startswith("bridge"):
            shape: tuple = (None, layer.units)
        elif name.startswith(("encoder", "source")) or name == "embedding":
            shape = (None, timesteps, layer.units)
        elif name == "attention":
            shape = (None, None, layer.features)  # the context
        else:
            shape = (None, None, layer.units)
        if name == "combine" and model.attention == "dot":
            rows.append(("attention", "DotAttention", (None, None, _widths(model)[-1])))
        rows.append((name, KINDS[layer.kind], shape))
    return rows


def check_tie(model: Any) -> None:
    """Raise unless the embeddings and the head can share their tables as `tie` says."""
    sizes, tokens = model.embedding, (model.source, model.target)
    if model.tie in ("source", "all") and (
        None in sizes or len(set(tokens)) > 1 or len(set(sizes)) > 1
    ):
        raise ValueError(
            f"tie={model.tie!r} is one table for both sides, which needs one vocabulary and one "
            f"size of embedding, got source={model.source}, target={model.target}, "
            f"embedding={sizes}"
        )
    if model.tie == "output" and sizes[1] is None:
        raise ValueError("tie='output' needs a table of target tokens: set embedding")


def checked_embedding(size: Any) -> int | None:
    return None if size is None else checks.check_count("embedding", size)


def _embedding_tables(model: Any) -> dict[str, Layer]:
    source, target = model.embedding
    if model.tie in ("source", "all") and target:
        return {"embedding": Layer(EmbeddingParams, model.target, target)}
    tables = {}
    if source:
        tables["source_embedding"] = Layer(EmbeddingParams, model.source, source)
    if target:
        tables["target_embedding"] = Layer(EmbeddingParams, model.target, target)
    return tables


def _widths(model: Any) -> list[int]:
    """Return the size of the output of each layer of the encoder."""
    directions = 2 if model.bidirectional and model.merge == "concat" else 1
    return [directions * size for size in model.units]


def _encoder(model: Any, features: int) -> dict[str, Layer]:
    layers: dict[str, Layer] = {}
    below = [features, *_widths(model)]
    for place, size in enumerate(model.units):
        name = f"encoder_{place}"
        for each in direction_names(name) if model.bidirectional else [name]:
            layers[each] = Layer(LSTMParams, below[place], size)
    return layers


def _state_projections(model: Any) -> dict[str, Layer]:
    """Return a dense layer for h and one for c where a decoder layer has another size."""
    layers: dict[str, Layer] = {}
    widths = _widths(model)
    for place, size in enumerate(model.decoder_units):
        encoded = widths[min(place, len(widths) - 1)]
        if encoded != size:
            layers |= {f"bridge_{place}_{part}": Layer(DenseParams, encoded, size) for part in "hc"}
    return layers


def _output_layers(model: Any, fed_back: int) -> dict[str, Layer]:
    """Return the layers from the decoder's hidden state to the logits.

    `fed_back` is the size of the decoder's input.
    """
    layers: dict[str, Layer] = {}
    memory, hidden = _widths(model)[-1], model.decoder_units[-1]
    tied = model.tie in ("output", "all")
    size = fed_back if tied else hidden
    if model.attention == "dot" and memory != hidden:
        raise ValueError(
            "dot attention needs an encoder and a decoder with hidden states of one size, got "
            f"{memory} and {hidden}: use 'general' or 'additive', or equal units"
        )
    if model.attention is not None and (kind := ATTENTIONS[model.attention]) is not None:
        layers["attention"] = Layer(kind, memory, hidden)
    if model.attention is not None or size != hidden:
        context = memory if model.attention is not None else 0
        layers["combine"] = Layer(DenseParams, context + hidden, size)
    if not tied:
        layers["head"] = Layer(DenseParams, size, model.target)
    return layers


def table_of(model: Any, side: str) -> str:
    """Return the name of the embedding of a side."""
    return "embedding" if model.tie in ("source", "all") else f"{side}_embedding"


def vectors(model: Any, ops: Any, params: dict, side: str, sequence: jax.Array) -> jax.Array:
    """Return the input of the first layer of a side: embedded tokens, or the sequence itself."""
    table = params.get(table_of(model, side))
    return sequence if table is None else ops.embedding(table, sequence)[0]


def draw_dropout_masks(
    model: Any, ops: Any, params: dict, stack: str, key: jax.Array | None, batch: int
) -> DropoutMasks:
    """Return the dropout masks of a stack's layers, by name, and of the head after a decoder."""
    if key is None or not (model.dropout or model.recurrent_dropout):
        return None
    layers = model.layers
    names = [name for name in layers if name.startswith(f"{stack}_")]
    keys = iter(ops.random.split(key, 2 * len(names) + 1))
    dtype = params[names[0]].kernel.dtype

    def draw(width: int, rate: float) -> Any:
        return ops.dropout_mask(next(keys), (batch, width), rate, dtype)

    recurrent = model.recurrent_dropout
    dropout_masks = {
        name: LayerDropout(
            x=draw(layers[name].features, model.dropout),
            h=draw(layers[name].units, recurrent) if recurrent else None,
        )
        for name in names
    }
    if stack == "decoder":
        reader = layers.get("combine") or layers.get("head")
        width = reader.features if reader else model.decoder_units[-1]
        dropout_masks["head"] = LayerDropout(x=draw(width, model.dropout), h=None)
    return dropout_masks
