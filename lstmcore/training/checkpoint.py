"""Checkpoints: the state of a run of `lc.fit` in a file, from which the run can be resumed.

A checkpoint is a safetensors file: the leaves of a `State` by name, and a description of the run
that they belong to (`describe`). `fit` calls, in this order, `check_checkpoint_path`,
`restore_or_start` and `checkpointing`; the rest of the module reads, compares and names.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstmcore._version import __version__
from lstmcore.formatting import excerpt
from lstmcore.io.atomic import remove_leftovers
from lstmcore.io.locks import BusyError, alone
from lstmcore.io.reading import damaged
from lstmcore.io.tensors import DTYPES, Kind, digest_of, open_tensors, try_tensors, write_tensors
from lstmcore.training.epochs import Training

FORMAT = 2
KEY = "lstmcore_checkpoint"  # of the one entry in the file's metadata
MUST_AGREE = ("data", "validation", "key", "batch_size", "tbptt_steps")  # or it is another run
SECONDS = 10.0  # between two writes, at least
SHARE = 0.05  # of the time, at most, is spent on writing


class State(NamedTuple):
    """State of a run between two calls of the program.

    Attributes:
      training: the carry of the compiled loop.
      history: {"loss": NumPy [epochs]}, as in FitResult.
    """

    training: Training
    history: dict[str, np.ndarray]


def describe(
    data: tuple,
    validation: tuple | None,
    key: jax.Array | None,
    *,
    epochs: int,
    batch_size: int,
    patience: int | None,
    tbptt_steps: int | None,
) -> dict:
    """Return the description of a run: its arguments, as far as they can be compared, versions."""
    return {
        "format": FORMAT,
        "lstmcore": __version__,
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "epochs": epochs,
        "batch_size": batch_size,
        "patience": patience,
        "tbptt_steps": tbptt_steps,
        "data": _describe_data(data),
        "validation": None if validation is None else _describe_data(validation),
        "key": None if key is None else _describe_key(key),
    }


def check_checkpoint_path(path: Any, resume: bool) -> Path | None:
    """Return the path of the checkpoint; None if none is wanted.

    Raises:
      TypeError: not a path.
      ValueError: `resume` without a path.
      OSError: it is a folder, or a file that is not to be resumed.
    """
    if path is None:
        if resume:
            raise ValueError("resume goes on from a checkpoint: name its file, checkpoint=...")
        return None
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"checkpoint must be the path of a file, got {type(path).__name__}")
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, f"checkpoint {path} is a folder: name a file in it")
    if path.exists() and not resume:
        raise FileExistsError(
            errno.EEXIST,
            f"there is already a file {path}: pass resume=True to go on from it, or remove it to "
            "start anew",
        )
    return path


def restore_or_start(path: Path, start: State, run: dict) -> State:
    """Return the state in the file if there is one, else `start`.

    Raises:
      ValueError: the file is damaged, of another run, or another run writes to it.
    """
    with _alone(path):
        remove_leftovers(path)
        return _read_state(path, start, run) if path.exists() else start


@contextmanager
def checkpointing(path: Path, state: State, run: dict) -> Iterator[Callable[[State], None]]:
    """Yield `save(state)`, which writes the state it is given from time to time.

    When the body ends, however it ends, the latest state is written; a note on an error says where
    it is. A state with numbers that are not finite is never written, and discards one that was
    still to be written.

    Raises:
      OSError: the file cannot be written; as far as possible, raised before the body begins.
      ValueError: another run writes to the file.
    """
    with _alone(path):
        file = _File(path, state, run)
        try:
            yield file.save
            file.write()
        except BaseException as error:
            file.rescue(error)
            raise


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock of a checkpoint; raise if another run does."""
    with ExitStack() as held:
        try:
            held.enter_context(alone(path))
        except BusyError as error:
            raise ValueError(
                f"another run writes to the checkpoint {path}: wait for its end, or name another "
                "file"
            ) from error
        yield


class _File:
    """The file of a run that is under way, and the state that is not yet written to it."""

    def __init__(self, path: Path, state: State, run: dict):
        self.path, self.run = path, run
        self.written = int(state.training.epoch)  # the epoch in the file, 0 if there is none
        self.unwritten: State | None = None
        self.due = 0.0
        self.failed = False
        self._call(try_tensors, state, "choose another place for it")

    def save(self, state: State) -> None:
        """Write the state if a write is due, else remember it."""
        if not state.training.finite:
            self.unwritten = None  # it led to this one: resume from the state before it
            return
        self.unwritten = state
        if time.monotonic() >= self.due:
            self.write()

    def write(self) -> None:
        """Write the state that is not yet written, if there is one."""
        if self.unwritten is None:
            return
        started = time.monotonic()
        older = f"that of epoch {self.written} is still there" if self.written else "there is none"
        self._call(write_tensors, self.unwritten, older)
        now = time.monotonic()
        self.due = now + max(SECONDS, (now - started) / SHARE)
        self.written, self.unwritten = int(self.unwritten.training.epoch), None

    def rescue(self, error: BaseException) -> None:
        """Write the state that is not yet written, and add to `error` a note on how to resume."""
        if self.failed:
            return
        try:
            self.write()
        except OSError as failure:
            error.add_note(f"({failure.strerror})")
        else:
            if self.written:
                error.add_note(
                    f"(the state after epoch {self.written} is in {self.path}: "
                    "fit(..., checkpoint=..., resume=True) goes on)"
                )

    def _call(self, write: Callable, state: State, advice: str) -> None:
        tensors = _arrays(state)
        try:
            write(self.path, tensors, {KEY: json.dumps({"run": self.run})})
        except OSError as error:
            self.failed = True
            reason = error.strerror or str(error)
            message = f"cannot write the checkpoint {self.path} ({reason}): {advice}"
            raise OSError(error.errno, message) from error


def _read_state(path: Path, like: State, run: dict) -> State:
    """Return the state in a file of this `run`, with the structure and on the devices of `like`.

    Raises:
      ValueError: the file is damaged, no checkpoint, or of another run.
    """
    with open_tensors(path) as file:
        description = file.description(
            KEY, "is no checkpoint: such files come from lc.fit(checkpoint=...)"
        )
        with damaged(path):
            stored = description["run"]
            if "chunk" in stored:  # its name in 0.1.0.dev0, at first
                stored["tbptt_steps"] = stored.pop("chunk")
            compared = ("format", "lstmcore", *MUST_AGREE, "patience")
            was = {name: stored[name] for name in compared}
        if was["format"] != FORMAT:
            version = excerpt(was["lstmcore"])
            raise ValueError(
                f"{path} is of another version of lstmcore, {version}: go on with that version, or "
                "remove the file to start anew"
            )
        _check_same_run(path, was, run)
        _check_same_kinds(path, file.kinds, like)
        tensors = file.read()
    _check_epochs(path, tensors, run["epochs"])
    leaves, structure = jax.tree.flatten_with_path(like.training)
    names = _named(State(like.training, {}))
    restored = [_like(leaf, tensors[name]) for name, (_, leaf) in zip(names, leaves, strict=True)]
    training = jax.tree.unflatten(structure, restored)
    return State(training, {name: tensors[f"history['{name}']"] for name in like.history})


def _check_same_run(path: Path, was: dict, run: dict) -> None:
    """Raise unless the description in the file is that of this run."""
    for name in MUST_AGREE:
        if was[name] != run[name]:
            before, now = (excerpt(value, 150) for value in (was[name], run[name]))
            raise ValueError(
                f"{path} is of another run: {name} was {before}, but is {now} now; pass the same "
                "to go on, or remove the file to start anew"
            )
    before, now = was["patience"], run["patience"]
    with damaged(path):
        smaller = (before is None) != (now is None) or (before is not None and now < before)
    if smaller:
        raise ValueError(
            f"{path} is of another run: patience was {excerpt(before)}, but is {now} now; it may "
            "be larger to go on, or remove the file to start anew"
        )


def _check_same_kinds(path: Path, found: dict[str, Kind], like: State) -> None:
    """Raise unless the arrays in the file have the names, dtypes and shapes of `like`.

    The histories may have any length, the same for all.
    """
    expected = {name: Kind.of(array) for name, array in _arrays(like).items()}
    epochs = {kind.shape for name, kind in found.items() if name.startswith("history[")}
    if len(epochs) == 1 and len(shape := epochs.pop()) == 1:
        for name in like.history:
            expected[f"history['{name}']"] = expected[f"history['{name}']"]._replace(shape=shape)
    for name in expected | found:
        now, before = (str(kinds.get(name, "missing")) for kinds in (expected, found))
        if before != now:
            name = excerpt(name.removeprefix("training."))
            raise ValueError(
                f"{path} is of other params or of another optimizer: {name} is {before} there, but "
                f"{now} here; pass the same to go on, or remove the file to start anew"
            )


def _check_epochs(path: Path, tensors: dict[str, np.ndarray], epochs: int) -> None:
    """Raise unless there are as many epochs in the file as losses, and no more than `epochs`."""
    done, best = tensors["training.epoch"], tensors["training.best_epoch"]
    lengths = {len(array) for name, array in tensors.items() if name.startswith("history[")}
    if lengths != {int(done)} or not 0 <= best <= done or not tensors["training.finite"]:
        raise ValueError(f"{path} is damaged: its epochs do not agree with its losses")
    if epochs < done:
        raise ValueError(
            f"{path} was trained for {done} epochs already, but epochs is {epochs}: pass as many "
            "at least, or remove the file to start anew"
        )


def _named(state: State) -> dict:
    """Return the leaves of a state by their path: "training.params['head'].kernel"."""
    return {
        jax.tree_util.keystr(path).removeprefix("."): leaf
        for path, leaf in jax.tree.leaves_with_path(state)
    }


def _arrays(state: State) -> dict[str, np.ndarray]:
    """Return a state as NumPy arrays by name."""
    arrays = {name: np.asarray(_plain(leaf)) for name, leaf in _named(state).items()}
    for name, array in arrays.items():
        if str(array.dtype) not in DTYPES:
            raise TypeError(f"{name} is {array.dtype}, which a checkpoint cannot hold")
    return arrays


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key)


def _plain(leaf: Any) -> jax.Array:
    """Return a leaf as a JAX array; of a random key, its numbers."""
    return jax.random.key_data(leaf) if _is_key(leaf) else jnp.asarray(leaf)


def _like(leaf: Any, value: np.ndarray) -> jax.Array:
    """Return `value` as the same kind of array as `leaf`, on the same devices."""
    if _is_key(leaf):
        array = jax.random.wrap_key_data(jnp.asarray(value), impl=jax.random.key_impl(leaf))
    elif jnp.asarray(leaf).weak_type:  # it came from a plain number and must stay weakly typed
        numbers = [jnp.asarray(number) for number in value.ravel().tolist()]
        array = jnp.stack(numbers).reshape(value.shape)
    else:
        array = jnp.asarray(value)
    return jax.device_put(array, leaf.sharding) if getattr(leaf, "committed", False) else array


def _describe_key(key: jax.Array) -> str:
    """Return a random key as text, the same for the new kind and the old."""
    key = key if _is_key(key) else jax.random.wrap_key_data(key)
    return f"{jax.random.key_impl(key)} {jax.random.key_data(key).tolist()}"


def _describe_data(parts: tuple) -> str:
    """Return the kinds of the arrays by name, and a digest of their numbers (100 MB in 0.1 s).

    A single part is the same data whether it came from Buckets or not.
    """
    arrays = {
        jax.tree_util.keystr(path): np.asarray(_plain(leaf))
        for path, leaf in jax.tree.leaves_with_path(parts if len(parts) > 1 else parts[0])
    }
    kinds = ", ".join(f"{name} {Kind.of(array)}".strip() for name, array in arrays.items())
    return f"{kinds} (digest {digest_of(arrays)})"
