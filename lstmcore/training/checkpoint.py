"""When `lc.fit` writes where it stands to a file, and when it goes on from there."""

from __future__ import annotations

import errno
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

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
MUST_AGREE = (
    "data",
    "validation",
    "key",
    "batch_size",
    "tbptt_steps",
)  # or the run would be another


class State(NamedTuple):
    """Where a run stands. history: {"loss": NumPy [epochs]}, as in FitResult."""

    training: Training
    history: dict[str, np.ndarray]


def describe(
    data: tuple, validation: tuple | None, key, *, epochs, batch_size, patience, tbptt_steps
) -> dict:
    """Which run this is: what it was given, as far as that can be compared, and the versions."""
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
        "data": _shown_data(data),
        "validation": None if validation is None else _shown_data(validation),
        "key": None if key is None else _shown_key(key),
    }


def contents(state: State, run: dict) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """(tensors, metadata) of the file."""
    tensors = _arrays(state)
    return tensors, {KEY: json.dumps({"run": run})}


def read_state(path: Path, like: State, run: dict) -> State:
    """The state in a file of this `run`, with the structure and on the devices of `like`.

    Raises:
      ValueError: the file is damaged, none of these, or of another run.
    """
    with open_tensors(path) as file:
        description = file.description(
            KEY, "is no checkpoint: such files come from lc.fit(checkpoint=...)"
        )
        with damaged(path):
            compared = ("format", "lstmcore", *MUST_AGREE, "patience")
            was = {name: description["run"][name] for name in compared}
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
    """The file holds arrays of the same names, dtypes and shapes, but for the length of histories.

    How many epochs a history has is known once the arrays are read; all have the same number.
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
    """The epochs in the file are as many as their losses, and not more than are wanted."""
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
    kinds = ", ".join(f"{name} {Kind.of(array)}".strip() for name, array in arrays.items())
    return f"{kinds} (digest {digest_of(arrays)})"


SECONDS = 10.0  # between two writes, at least
SHARE = 0.05  # of the time, at most, goes into writing


def check_place(path, resume) -> Path | None:
    """The path of the checkpoint; None if none is wanted.

    Raises:
      TypeError: no path.
      ValueError: `resume` without one.
      OSError: a folder, or a file that is not to be resumed.
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


def begin(path: Path, start: State, run: dict) -> State:
    """The state in the file, if there is one, else `initial_state`.

    Raises:
      ValueError: the file is damaged, of another run, or another run writes to it.
    """
    with _alone(path):
        remove_leftovers(path)
        return read_state(path, start, run) if path.exists() else start


@contextmanager
def kept(path: Path, state: State, run: dict) -> Iterator[Callable[[Training, dict], None]]:
    """Yields `keep(training, history)`: from time to time it writes what it is given.

    When the body ends, however it ends, the last state is written; an error is told where it is.
    A state with numbers that are not finite never is, nor what was still to be written before it.

    Raises:
      OSError: the file cannot be written, as far as that can be told, before the body begins.
      ValueError: another run writes to it.
    """
    with _alone(path):
        file = _File(path, state, run)
        try:
            yield file.keep
            file.write()
        except BaseException as error:
            file.rescue(error)
            raise


@contextmanager
def _alone(path: Path) -> Iterator[None]:
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
    """The file of a run that is under way, and what is not yet written to it."""

    def __init__(self, path: Path, state: State, run: dict):
        self.path, self.run = path, run
        self.written = int(state.training.epoch)  # the epoch in the file, 0 if there is none
        self.unwritten: State | None = None
        self.due = 0.0
        self.failed = False
        self._call(try_tensors, state, "choose another place for it")

    def keep(self, training: Training, history: dict) -> None:
        if not training.finite:
            self.unwritten = None  # the numbers were on their way out: rather go on from before
            return
        self.unwritten = State(training, history)
        if time.monotonic() >= self.due:
            self.write()

    def write(self) -> None:
        if self.unwritten is None:
            return
        started = time.monotonic()
        older = f"that of epoch {self.written} is still there" if self.written else "there is none"
        self._call(write_tensors, self.unwritten, older)
        now = time.monotonic()
        self.due = now + max(SECONDS, (now - started) / SHARE)
        self.written, self.unwritten = int(self.unwritten.training.epoch), None

    def rescue(self, error: BaseException) -> None:
        """Write what is not yet written, and add to `error` how to go on."""
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
        tensors, metadata = contents(state, self.run)
        try:
            write(self.path, tensors, metadata)
        except OSError as error:
            self.failed = True
            reason = error.strerror or str(error)
            message = f"cannot write the checkpoint {self.path} ({reason}): {advice}"
            raise OSError(error.errno, message) from error
