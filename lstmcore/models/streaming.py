"""Streams: a recurrent model that is fed step by step, as its input arrives.

    stream = lc.stream(model, params)
    y, stream = stream.step(x_t)            # [B, F] -> [B, U], as often as there is input
    stream.save(path)                       # its states, to go on in another process
    stream = lc.load_stream(path, model, params)

The outputs are those of one call with the whole sequence, up to rounding. A saved stream is a
safetensors file of the states, with a digest of the weights that they belong to.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstmcore import checks, specs
from lstmcore.arrays import as_array, as_params, check_known, is_traced
from lstmcore.checks import check_lstm_params
from lstmcore.formatting import excerpt
from lstmcore.io.reading import damaged
from lstmcore.io.tensors import Kind, digest_of, open_tensors, write_tensors
from lstmcore.programs import compiled
from lstmcore.sequence import final_states, lstm, zero_states
from lstmcore.types import EmbeddingParams, Gates, LSTMState, Trace

__all__ = ["Stream", "load_stream", "stream"]

FORMAT = 1
KEY = "lstmcore_stream"  # of the one entry in the file's metadata


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["params", "states", "traces"],
    meta_fields=["model"],
)
@dataclass(frozen=True, eq=False, repr=False)
class Stream:
    """A model between two steps, as an immutable pytree: `step` returns the next stream.

    An older stream remains valid, so a caller can go back to it. A stream can be the carry of a
    `jax.lax.scan`.

    Attributes:
      model: the model, or `lc.lstm` for one layer.
      params: its weights.
      states: {layer: LSTMState [B, H]}; for one layer its LSTMState alone.
      traces: {layer: Trace [B, k, H]} of the k steps of the last call of `step`; for one layer its
        Trace alone; before the first call, one step of zeros. So
        `stream.traces["lstm_0"].gates.forget` are the forget gates of the latest steps.
    """

    model: Any
    params: Any
    states: Any
    traces: Any

    @property
    def batch(self) -> int:
        """Return B, the number of rows that are streamed side by side."""
        return len(jax.tree.leaves(self.states)[0])

    def step(self, x: jax.Array, mask: jax.Array | None = None) -> tuple[Any, Stream]:
        """Run the model over one step, or several.

        It is compiled once for each model and shape, so use few different numbers of steps. The
        variables that functions inside of the model capture must not change.

        Args:
          x: [B, F], one step; or [B, k, F], k steps. Tokens have no last axis.
          mask: bool, [B] or [B, k]: True = real step. A row without input keeps its state.

        Returns:
          (output [B, U], or [B, k, U] for k steps, the stream after them).

        Raises:
          ValueError: shapes that do not fit the model or the batch.
        """
        x, mask = as_array("x", x), as_array("mask", mask)
        y, states, traces = _step(self.model, self.params, self.states, x, mask)
        return y, Stream(self.model, self.params, states, traces)

    def reset(self, rows: Any = None) -> Stream:
        """Return the stream with the states of some rows reset to zeros, for new sequences.

        Args:
          rows: a number, several, a slice, or bool [B]; None resets all rows.

        Raises:
          ValueError: a row that is not in the batch.
        """
        fresh = _rows_as_bool(rows, self.batch)[:, None]
        zeroed = jax.tree.map(lambda leaf: jnp.where(fresh, 0, leaf), self.states)
        return replace(self, states=zeroed)

    def save(self, path: str | os.PathLike) -> None:
        """Write the states (not the params) to a file, to go on in another process.

        Args:
          path: of the file; an existing one is replaced, in one step, once the new one is complete.

        Raises:
          OSError: the file cannot be written.
        """
        check_known("the stream", (self.params, self.states))
        description = {"format": FORMAT, "weights": weights_digest(self.params)}
        write_tensors(path, named(self.states), {KEY: json.dumps(description)})

    def __repr__(self) -> str:
        return f"Stream({self.model!r}, batch={self.batch})"


def stream(model: Any, params: Any, batch: int = 1) -> Stream:
    """Return the stream of a model before its first step.

    Args:
      model: an `lc.StackedLSTM`, or `lc.lstm` for a layer of its own (with options:
        `functools.partial(lc.lstm, activation="relu")`). A model of your own works if its `apply`
        takes `states` and returns (output [B, T, ...], traces), and step t reads no later one. With
        `causal = True` it says so; without, one call compares.
      params: its weights; for `lc.lstm` LSTMParams, with or without a peephole or a projection.
      batch: B, the number of rows that are streamed side by side.

    Returns:
      Stream.

    Raises:
      ValueError: params that do not fit the model, `batch` below 1.
      TypeError: a model that needs the whole sequence before it can answer, or whose output at a
        step depends on later ones.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> model = lc.StackedLSTM(features=2, units=(8, 4), outputs=1)
      >>> stream = lc.stream(model, model.init(jax.random.key(0)), batch=3)
      >>> y, stream = stream.step(jnp.ones((3, 2)))  # one step
      >>> y.shape, stream.traces["lstm_0"].gates.forget.shape
      ((3, 1), (3, 1, 8))
      >>> y, stream = stream.reset(1).step(jnp.ones((3, 5, 2)))  # row 1 anew; five steps
      >>> y.shape
      (3, 5, 1)
    """
    _check_model(model)
    batch = checks.check_count("batch", batch)
    if hasattr(model, "layers"):
        params = specs.check_params(params, model.layers)
    elif not hasattr(model, "apply"):
        params = as_params(params)
        check_lstm_params(params)
    params = jax.tree.map(jnp.asarray, params)
    states = zero_states(params, batch)
    if not hasattr(model, "causal") and hasattr(model, "layers"):
        _check_causal(model, params, states)
    return Stream(model, params, states, _zero_traces(states))


def load_stream(path: str | os.PathLike, model: Any, params: Any) -> Stream:
    """Return the stream that `Stream.save` wrote to a file.

    Args:
      path: the file.
      model, params: those of the stream. The file holds only the states and a digest of the params.

    Returns:
      Stream, which goes on as the saved one would have.

    Raises:
      ValueError: the file is damaged, holds no stream, or one of other layers or other weights.
      FileNotFoundError: there is no such file.

    Examples:
      >>> import jax, jax.numpy as jnp, tempfile, lstmcore as lc
      >>> params = lc.init_lstm(jax.random.key(0), features=2, units=3)
      >>> _, stream = lc.stream(lc.lstm, params).step(jnp.ones((1, 2)))
      >>> path = tempfile.mkdtemp() + "/state.safetensors"
      >>> stream.save(path)
      >>> lc.load_stream(path, lc.lstm, params).states.h.shape
      (1, 3)
    """
    fresh = stream(model, params)
    states = _read_states(path, fresh.states, fresh.params)
    return replace(fresh, states=states, traces=_zero_traces(states))


@compiled
def _step(
    model: Any, params: Any, states: Any, x: jax.Array, mask: jax.Array | None
) -> tuple[Any, Any, Any]:
    """Return (output, states, traces) after the steps of `x`."""
    batch = len(jax.tree.leaves(states)[0])
    tokens = _reads_tokens(model)
    one = len(getattr(x, "shape", ())) == (1 if tokens else 2)
    axes = "batch" if one else "batch steps"
    if tokens:
        checks.check_array("x", x, axes, "[batch] is one step")
    else:
        checks.check_array("x", x, axes + " features", "[batch, features] is one step")
    if x.shape[0] != batch:
        raise ValueError(
            f"x has {x.shape[0]} rows but the stream has {batch}: lc.stream(model, params, "
            f"batch={x.shape[0]}) makes one of that size"
        )
    if 0 in x.shape:
        raise ValueError(f"x must hold at least one step, got shape {x.shape}")
    if mask is not None:
        checks.check_array("mask", mask, axes, "one value for each step of x")
    if one:
        x, mask = x[:, None], None if mask is None else mask[:, None]
    if hasattr(model, "apply"):
        options = {} if mask is None else {"mask": mask}
        if options and "mask" not in specs.parameters_of(model):
            raise TypeError(f"{type(model).__name__}.apply takes no mask: leave mask out")
        y, traces = model.apply(params, x, states=states, **options)
    else:
        _, traces = model(params, x, states, mask=mask)
        y = traces.h
    if one:
        y = jax.tree.map(lambda leaf: leaf[:, 0], y)
    return y, final_states(traces), traces


def _check_causal(model: Any, params: Any, states: Any) -> None:
    """Raise if the first of two steps comes out otherwise before another second step."""
    if any(map(is_traced, jax.tree.leaves(params))):
        return
    batch, first = len(jax.tree.leaves(states)[0]), next(iter(model.layers.values()))
    if _reads_tokens(model):
        x = np.zeros((batch, 2), np.int32)
        changed = x + np.array([0, first.features > 1])
    else:
        x = np.random.default_rng(0).normal(size=(batch, 2, first.features)).astype(np.float32)
        changed = x * np.array([1, -1], np.float32)[:, None]
    outputs = [_step(model, params, states, inputs, None)[0] for inputs in (x, changed)]
    for one, other in zip(*map(jax.tree.leaves, outputs), strict=True):
        if not np.allclose(one[:, 0], other[:, 0], rtol=1e-4, atol=1e-6, equal_nan=True):
            raise TypeError(
                f"{type(model).__name__} cannot be streamed: its output at a step depends on later "
                "ones, which it should say by causal = False"
            )


def _reads_tokens(model: Any) -> bool:
    """Return whether the first layer of a model is an embedding."""
    layers = getattr(model, "layers", {})
    return bool(layers) and next(iter(layers.values())).kind is EmbeddingParams


def _check_model(model: Any) -> None:
    """Raise unless the output of `model` at a step depends on no later one."""
    if not getattr(model, "causal", True):
        advice = (
            "Encode the sequence with model.encode, then decode step by step with model.step, or "
            "with lc.greedy"
            if hasattr(model, "step")
            else "Stream a model whose output at a step depends on no later one, such as "
            "lc.StackedLSTM, or one layer: lc.stream(lc.lstm, params[...])"
        )
        if blocking := getattr(model, "not_causal", None):
            raise TypeError(
                f"{type(model).__name__} cannot be streamed: its layer {blocking!r} reads later "
                "steps"
            )
        raise TypeError(
            f"{type(model).__name__} cannot be streamed: nothing comes out before the sequence has "
            f"ended. {advice}"
        )
    options = getattr(model, "keywords", {})
    if getattr(model, "func", model) is lstm:
        if options.get("reverse"):
            raise TypeError("a layer that runs in reverse cannot be streamed: it starts at the end")
    elif (
        isinstance(model, type)
        or not hasattr(model, "apply")
        or "states" not in specs.parameters_of(model)
    ):
        raise TypeError(
            f"model must be an lc.StackedLSTM, lc.lstm, or have an apply(params, x, mask, states), "
            f"got {model!r}"
        )


def _zero_traces(states: Any) -> Any:
    """Return traces of one step of zeros, with the structure of those to come."""

    def trace(state: LSTMState) -> Trace:
        h, c = (jnp.zeros_like(leaf)[:, None] for leaf in state)
        return Trace(h, c, Gates(c, c, c, c))

    return jax.tree.map(trace, states, is_leaf=lambda leaf: isinstance(leaf, LSTMState))


def _rows_as_bool(rows: Any, batch: int) -> jax.Array:
    """Return `rows` as bool [B]."""
    if isinstance(rows, jax.Array) and rows.dtype == jnp.bool and rows.shape == (batch,):
        return rows  # under `jax.jit`, too
    check_known("rows", rows)
    chosen = np.zeros(batch, bool)
    try:
        chosen[slice(None) if rows is None else rows] = True
    except IndexError as error:
        raise ValueError(
            f"rows must be numbers from 0 to {batch - 1}, a slice or bool [{batch}], got {rows!r}"
        ) from error
    return jnp.asarray(chosen)


def _read_states(path: str | os.PathLike, like: Any, params: Any) -> Any:
    """Return the states in a file, of any batch.

    Args:
      path: the file.
      like: states of the same structure, of a batch of 1.
      params: the weights, compared with the digest in the file, if it holds one.

    Raises:
      ValueError: the file is damaged, or its states are of other layers or other weights.
    """
    with open_tensors(path) as file:
        description = file.description(KEY, "holds no stream: such files come from stream.save")
        with damaged(path):
            if description["format"] != FORMAT:
                raise ValueError(f"it is not described in format {FORMAT}")
            weights = description.get("weights")
        _check_kinds(path, file.kinds, named(like))
        if weights is not None and weights != weights_digest(params):
            raise ValueError(
                f"{path} holds the stream of other weights of the same sizes: load it with the "
                "params that it was saved with"
            )
        arrays = file.read()
    return jax.tree.unflatten(
        jax.tree.structure(like), [jnp.asarray(arrays[name]) for name in named(like)]
    )


def named(tree: Any) -> dict:
    """Return the arrays of a pytree by name: "lstm_0/h"."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in jax.tree.leaves_with_path(tree)
    }


def weights_digest(params: Any, text: object = None) -> str:
    """Return a digest of the weights, different for others of the same sizes; see `digest_of`."""
    return digest_of({name: jax.device_get(leaf) for name, leaf in named(params).items()}, text)


def _check_kinds(path: str | os.PathLike, found: dict[str, Kind], like: dict) -> None:
    """Raise unless the file holds exactly these arrays, all with the same number of rows."""
    batches = {kind.shape[:1] for kind in found.values()}
    if len(batches) != 1 or batches <= {(), (0,)}:
        raise ValueError(f"{path} is damaged: its states do not agree on the number of rows")
    (rows,) = batches.pop()
    expected = {
        name: str(Kind(str(leaf.dtype), (rows, *leaf.shape[1:]))) for name, leaf in like.items()
    }
    for name in expected | found:
        stored = str(found.get(name, "missing"))
        if expected.get(name) != stored:
            raise ValueError(
                f"{path} holds the stream of another model: {excerpt(name)} is "
                f"{excerpt(stored)} there, but the model has {expected.get(name, 'none')}"
            )
