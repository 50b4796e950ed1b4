"""The states of a stream as a file: each array under the name of its layer."""

from __future__ import annotations

import json
import os

import jax
import jax.numpy as jnp

from lstmcore.io.reading import damaged
from lstmcore.io.tensors import Kind, digest_of, open_tensors, write_tensors
from lstmcore.text import excerpt

FORMAT = 1
KEY = "lstmcore_stream"  # of the one entry in the file's metadata


def write_states(path: str | os.PathLike, states, params) -> None:
    """Write the states, and a digest of the weights that they come from, in one step."""
    description = {"format": FORMAT, "weights": weights_digest(params)}
    write_tensors(path, named(states), {KEY: json.dumps(description)})


def read_states(path: str | os.PathLike, like, params):
    """Return the states in a file, of any batch.

    Args:
      path: the file.
      like: states of the same structure, of a batch of 1.
      params: the weights. (Files of lstmcore 0.1 do not tell whose they are.)

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


def named(tree) -> dict:
    """Return the arrays of a pytree by name: "lstm_0/h"."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in jax.tree.leaves_with_path(tree)
    }


def weights_digest(params, text: object = None) -> str:
    """Return what tells weights from others of the same sizes; `text` as in `digest_of`."""
    return digest_of({name: jax.device_get(leaf) for name, leaf in named(params).items()}, text)


def _check_kinds(path, found: dict[str, Kind], like: dict) -> None:
    """The file holds just these arrays, for one number of rows."""
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
