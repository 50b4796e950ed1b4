"""What a stream remembers as a file: safetensors, each array under the name of its layer."""

from __future__ import annotations

import json
import os

import jax
import jax.numpy as jnp
import numpy as np

from lstmcore.files import read_tensors, write_tensors

KEY = "lstmcore_stream"  # of the one entry in the file's metadata
DESCRIPTION = json.dumps({"format": 1})


def write_states(path: str | os.PathLike, states) -> None:
    """The file at `path` is replaced in one step; never is there half of one."""
    write_tensors(path, _named(states), {KEY: DESCRIPTION})


def read_states(path: str | os.PathLike, like):
    """The states in a file, in the structure of `like`; ValueError if they are of other layers."""
    tensors = _read(path)
    expected = {name: _kind(leaf) for name, leaf in _named(like).items()}
    found = {name: _kind(leaf) for name, leaf in tensors.items()}
    for name in expected | found:
        if expected.get(name) != found.get(name):
            raise ValueError(
                f"{path} holds the stream of another model: {name} is {found.get(name, 'missing')} "
                f"there, but the model has {expected.get(name, 'none')}"
            )
    leaves = [jnp.asarray(tensors[name]) for name in expected]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def batch_of(path: str | os.PathLike) -> int:
    """How many rows the states in a file have."""
    sizes = {leaf.shape[:1] for leaf in _read(path).values()}
    if len(sizes) != 1 or sizes <= {(), (0,)}:
        raise ValueError(f"{path} is damaged: its states do not agree on the number of rows")
    return sizes.pop()[0]


def _named(states) -> dict:
    """The arrays of the states by name: "lstm_0/h"."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in jax.tree.leaves_with_path(states)
    }


def _kind(leaf) -> str:
    return f"{leaf.dtype}{list(leaf.shape)}"


def _read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of a file written by `write_states`."""
    metadata, tensors = read_tensors(path)
    if KEY not in metadata:
        raise ValueError(f"{path} holds no stream: such files come from stream.save")
    if metadata[KEY] != DESCRIPTION:
        raise ValueError(f"{path} is damaged, or of another version of lstmcore: {metadata[KEY]}")
    return tensors
