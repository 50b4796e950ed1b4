"""`lstmcore convert`: a network of one framework as a file of another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import jax
import numpy as np
import typer
from rich.markup import escape

import lstmcore as lc
from lstmcore import reference
from lstmcore.cli import networks
from lstmcore.cli.networks import File, LayerName, Network
from lstmcore.cli.options import of_output
from lstmcore.cli.terminal import clear_errors, console, print_notes
from lstmcore.formatting import listed
from lstmcore.interop.files import WRITERS
from lstmcore.interop.torch.weights import prefixes
from lstmcore.io.atomic import atomic_path
from lstmcore.io.tensors import open_tensors

STEPS = 9  # of the random input that a file is checked with
STEPS_IN_PYTHON = "make it with steps=, to which the weights fit as well"  # of interop.as_chain
TOLERANCE = {"float64": 1e-9, "float32": 1e-4, "float16": 1e-1, "bfloat16": 1e-1}


Out = Annotated[
    Path,
    typer.Argument(
        metavar="OUT",
        show_default=False,
        help="The file to write, new. Its extension says what it is: " + ", ".join(WRITERS) + ".",
    ),
]
Format = Annotated[
    Literal["pytorch", "lstmcore"],
    of_output(
        "--format",
        help="For a .safetensors: weights under PyTorch's names, or a model of lstmcore's own, "
        "which lstmcore.load reads.",
    ),
]
Force = Annotated[bool, of_output("--force", help="Replace a file of that name.")]


def convert(
    file: File,
    out: Out,
    layer: LayerName = None,
    format: Format = "pytorch",
    force: Force = False,
) -> None:
    """Write a network of one framework as a file of another, and check what was written.

    Before the file gets its name, it is read again (ONNX: run by onnxruntime, if that is
    installed), and both networks run on random input: their outputs must agree. Of weights for
    PyTorch, whose files do not say how layers are joined, the weights must. What the other format
    cannot express is refused.
    """
    with clear_errors():
        is_own = format == "lstmcore"
        if is_own and out.suffix.lower() != ".safetensors":
            raise ValueError(
                f"{out} is not the name of a model of lstmcore: end it in .safetensors"
            )
        if os.path.lexists(out) and not force:
            raise FileExistsError(f"there is a file {out} already: --force replaces it")
        network = networks.read(file, layer)
        if out.suffix.lower() == ".onnx":  # onnxruntime has the LSTM in float32 alone
            network = networks.in_float32(network, "written")
        if is_own and network.is_own:
            raise ValueError(f"{network.file} is a model of lstmcore already: copy it")
        with atomic_path(out) as temporary, _advice(network, out, is_own):
            write = lc.save if is_own else lc.interop.write
            try:
                write(temporary, network.model, network.params)
            except ValueError as error:
                raise ValueError(str(error).replace(str(temporary), str(out))) from error
            if out.suffix.lower() == ".safetensors" and not is_own:
                checked = _check_weights(network, temporary, out)
            else:
                checked = _check_outputs(network, temporary, out)
        print_notes(network.notes)
        weights = sum(row[3] for row in lc.summary(network.model).rows)
        console.print(f"wrote [bold]{escape(str(out))}[/bold]: {weights:,} weights", soft_wrap=True)
        console.print(f"checked: {checked}", soft_wrap=True)


def _check_weights(network: Network, temporary: Path, out: Path) -> str:
    """Return how the weights under PyTorch's names were checked; how they are joined is not there.

    Raises:
      ValueError: read again, they are not those of the network.
    """
    with open_tensors(temporary) as file:
        tensors = file.read()
    stacks = [lc.interop.from_torch(tensors, prefix) for prefix in prefixes(tensors)]
    found = [layer for stack in stacks for layer in stack.values()]
    expected = [layer for layer in network.params.values() if isinstance(layer, lc.LSTMParams)]
    for layer in expected:  # in the file they are in the order of their names
        place = next((n for n, other in enumerate(found) if _equal(layer, other)), None)
        if place is None:
            raise ValueError(
                f"{out} would not hold the LSTM layers of {network.file}; nothing was written"
            )
        found.pop(place)
    return "read again, the weights are equal; how the layers are joined is up to your module"


def _equal(one: lc.LSTMParams, other: lc.LSTMParams) -> bool:
    arrays, others = jax.tree.leaves(one), jax.tree.leaves(other)
    return len(arrays) == len(others) and all(map(np.array_equal, arrays, others))


def _check_outputs(network: Network, temporary: Path, out: Path) -> str:
    """Return how the outputs of what was written were compared with those of the network.

    Raises:
      ValueError: they do not agree.
    """
    x = _random_input(network.model)
    again, how = _written_outputs(temporary, out, x)
    difference = _difference(network, out, _outputs(network, x), again)
    return f"{how}, its outputs for random input differ by at most {difference:.1g}"


@contextmanager
def _advice(network: Network, out: Path, is_own: bool) -> Iterator[None]:
    """Add to the error of a network that a file cannot hold the format that can hold it."""
    try:
        yield
    except ValueError as error:
        message = str(error)
        if not network.is_own and not is_own and out.suffix.lower() == ".safetensors":
            message += ". With --format lstmcore it can hold the network"
        if message.endswith(STEPS_IN_PYTHON):
            message = message.removesuffix(STEPS_IN_PYTHON) + "convert it to .onnx"
        raise ValueError(message) from error


def _written_outputs(temporary: Path, out: Path, x: np.ndarray) -> tuple[list[np.ndarray], str]:
    """Return the outputs of what was written, and how they were computed."""
    if temporary.suffix.lower() == ".onnx" and find_spec("onnxruntime"):
        import onnxruntime

        session = onnxruntime.InferenceSession(temporary)
        if len(inputs := session.get_inputs()) == 1:
            dtype = np.int64 if "int64" in inputs[0].type else np.float32
            return session.run(None, {inputs[0].name: x.astype(dtype)}), "run by onnxruntime"
    try:
        return _outputs(networks.read(temporary), x), "read again"
    except ValueError as error:
        reason = str(error).replace(str(temporary), "it")
        raise ValueError(f"{out} cannot be checked, and was not written: {reason}") from error


def _difference(
    network: Network, out: Path, before: list[np.ndarray], after: list[np.ndarray]
) -> float:
    """Return the largest difference between the outputs of two networks.

    Raises:
      ValueError: they do not agree.
    """
    shapes, found = (listed([str(y.shape) for y in outputs]) for outputs in (before, after))
    if shapes != found:
        raise ValueError(
            f"{out} would not hold the same network: its output has shape {found}, that of "
            f"{network.file} {shapes}; nothing was written"
        )
    pairs = list(zip(before, after, strict=True))
    difference = max(float(np.abs(one - other).max()) for one, other in pairs)
    arrays = [*jax.tree.leaves(network.params), *after]
    least_precise = max(TOLERANCE[str(array.dtype)] for array in arrays)
    largest = max(1.0, *(float(np.abs(array).max()) for array in before))
    if not difference <= least_precise * largest:
        raise ValueError(
            f"{out} would not hold the same network: its outputs for random input differ from "
            f"those of {network.file} by {difference:.1g}; nothing was written"
        )
    return difference


def _outputs(network: Network, x: np.ndarray) -> list[np.ndarray]:
    """Return the outputs of a network, by NumPy, which compiles nothing."""
    params = jax.tree.map(
        lambda a: np.asarray(a, np.promote_types(a.dtype, np.float32)), network.params
    )
    outputs = network.model.apply(params, x, ops=reference)[0]
    return [np.asarray(y) for y in (outputs if isinstance(outputs, tuple) else (outputs,))]


def _random_input(model: Any) -> np.ndarray:
    rng = np.random.default_rng(0)
    if networks.reads_tokens(model):
        return rng.integers(0, model.parts[0].vocabulary, size=(2, STEPS))
    steps = () if isinstance(model, lc.DenseAutoencoder) else (STEPS,)
    return rng.normal(size=(2, *steps, model.features))
