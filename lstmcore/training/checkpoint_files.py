"""A run of `lc.fit` as a file, from which it goes on as if it had never stopped.

All that goes from epoch to epoch and the losses so far, as safetensors; in the metadata, as JSON,
which run that is, and a digest of everything.
"""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstmcore.files import read_tensors
from lstmcore.training.epochs import Training

FORMAT = 1
KEY = "lstmcore_checkpoint"  # of the one entry in the file's metadata
MUST_AGREE = ("data", "validation", "key", "batch_size", "chunk")  # or the run would be another
DTYPES = (  # those that a safetensors file gives back to NumPy
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("bfloat16", "float16", "float32", "float64", "complex64"),
)


class State(NamedTuple):
    """Where a run stands. history: {"loss": NumPy [epochs]}, as in FitResult."""

    training: Training
    history: dict[str, np.ndarray]


def describe(
    data: tuple, validation: tuple | None, key, *, epochs, batch_size, patience, chunk
) -> dict:
    """Which run this is: what it was given, as far as that can be compared, and the versions."""
    from lstmcore import __version__

    return {
        "format": FORMAT,
        "lstmcore": __version__,
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "epochs": epochs,
        "batch_size": batch_size,
        "patience": patience,
        "chunk": chunk,
        "data": _shown_data(data),
        "validation": None if validation is None else _shown_data(validation),
        "key": None if key is None else _shown_key(key),
    }


def contents(state: State, run: dict) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """(tensors, metadata) of the file."""
    tensors = _arrays(state)
    return tensors, {KEY: json.dumps({"digest": _digest(tensors, run), "run": run})}


def read_state(path: Path, like: State, run: dict) -> State:
    """The state in a file of this `run`, with the structure and on the devices of `like`.

    Raises:
      ValueError: the file is damaged, none of these, or of another run.
    """
    metadata, tensors = read_tensors(path)
    if KEY not in metadata:
        raise ValueError(f"{path} is no checkpoint: such files come from lc.fit(checkpoint=...)")
    try:
        description = json.loads(metadata[KEY])
        was = description["run"]
        whole = description["digest"] == _digest(tensors, was)
    except (LookupError, TypeError, ValueError, RecursionError):
        whole = False
    if not whole:
        raise ValueError(f"{path} is damaged: it does not hold what was written")
    if was["format"] != FORMAT:
        raise ValueError(f"{path} is of another version of lstmcore, {was['lstmcore']}")
    _check_same_run(path, was, run)
    _check_same_kinds(path, tensors, _arrays(like))
    if run["epochs"] < tensors["training.epoch"]:
        raise ValueError(
            f"{path} was trained for {tensors['training.epoch']} epochs already, but epochs is "
            f"{run['epochs']}: pass as many at least, or remove the file to start anew"
        )
    leaves, structure = jax.tree.flatten_with_path(like.training)
    names = _named(State(like.training, {}))
    restored = [_like(leaf, tensors[name]) for name, (_, leaf) in zip(names, leaves, strict=True)]
    training = jax.tree.unflatten(structure, restored)
    return State(training, {name: tensors[f"history['{name}']"] for name in like.history})


def _check_same_run(path: Path, was: dict, run: dict) -> None:
    for name in MUST_AGREE:
        if was[name] != run[name]:
            raise ValueError(
                f"{path} is of another run: {name} was {was[name]}, but is {run[name]} now; pass "
                "the same to go on, or remove the file to start anew"
            )
    before, now = was["patience"], run["patience"]
    if (before is None) != (now is None) or (before is not None and now < before):
        raise ValueError(
            f"{path} is of another run: patience was {before}, but is {now} now; it may be larger "
            "to go on, or remove the file to start anew"
        )


def _check_same_kinds(path: Path, found: dict, expected: dict) -> None:
    """The two hold arrays of the same names, dtypes and shapes, but for the length of histories."""
    kinds = [
        {name.removeprefix("training."): _kind(array) for name, array in arrays.items()}
        for arrays in (expected, found)
    ]
    for name in kinds[0] | kinds[1]:
        now, before = (kind.get(name, "missing") for kind in kinds)
        if before != now and not name.startswith("history["):
            raise ValueError(
                f"{path} is of other params or of another optimizer: {name} is {before} there, but "
                f"{now} here; pass the same to go on, or remove the file to start anew"
            )


def _named(state: State) -> dict:
    """The leaves of a state by the path to them: "training.params['head'].kernel"."""
    return {
        jax.tree_util.keystr(path).removeprefix("."): leaf
        for path, leaf in jax.tree.leaves_with_path(state)
    }


def _arrays(state: State) -> dict[str, np.ndarray]:
    """A state as NumPy arrays by name."""
    arrays = {name: np.asarray(_plain(leaf)) for name, leaf in _named(state).items()}
    for name, array in arrays.items():
        if str(array.dtype) not in DTYPES:
            raise TypeError(f"{name} is {array.dtype}, which a checkpoint cannot hold")
    return arrays


def _is_key(leaf) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key)


def _plain(leaf):
    """A leaf as an array of JAX, the numbers inside of a random key."""
    return jax.random.key_data(leaf) if _is_key(leaf) else jnp.asarray(leaf)


def _like(leaf, value: np.ndarray) -> jax.Array:
    """`value` in the place of `leaf`: as the same kind of array, on the same devices."""
    if _is_key(leaf):
        array = jax.random.wrap_key_data(jnp.asarray(value), impl=jax.random.key_impl(leaf))
    elif jnp.asarray(leaf).weak_type:  # it came from a plain number, and must go on as one
        numbers = [jnp.asarray(number) for number in value.ravel().tolist()]
        array = jnp.stack(numbers).reshape(value.shape)
    else:
        array = jnp.asarray(value)
    return jax.device_put(array, leaf.sharding) if getattr(leaf, "committed", False) else array


def _shown_key(key) -> str:
    """A random key as text; of the new kind or the old, which stand for the same draws."""
    key = key if _is_key(key) else jax.random.wrap_key_data(key)
    return f"{jax.random.key_impl(key)} {jax.random.key_data(key).tolist()}"


def _shown_data(parts: tuple) -> str:
    """The arrays by name, with a digest of their numbers: a tenth of a second for 100 MB.

    One part alone, of Buckets or not, is the same data.
    """
    arrays = {
        jax.tree_util.keystr(path): np.asarray(_plain(leaf))
        for path, leaf in jax.tree.leaves_with_path(parts if len(parts) > 1 else parts[0])
    }
    kinds = ", ".join(f"{name} {_kind(array)}".strip() for name, array in arrays.items())
    return f"{kinds} (digest {_digest(arrays)})"


def _digest(arrays: dict[str, np.ndarray], run: dict | None = None) -> str:
    """Sixteen characters that change with any byte of the arrays, and with the run."""
    digest = hashlib.blake2b(json.dumps(run).encode(), digest_size=8)
    for name in sorted(arrays):
        digest.update(f"\0{name}\0{_kind(arrays[name])}\0".encode())
        digest.update(np.asarray(arrays[name], order="C").reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _kind(array) -> str:
    return f"{array.dtype}{list(array.shape)}"
