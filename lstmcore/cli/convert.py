"""`lstmcore convert`: a network of one framework as a file of another."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from rich.markup import escape

import lstmcore as lc
from lstmcore import reference
from lstmcore.cli import networks
from lstmcore.cli.networks import File, LayerName, Network
from lstmcore.cli.options import of_output
from lstmcore.cli.terminal import clear_errors, console, print_notes
from lstmcore.interop.files import WRITERS
from lstmcore.io.atomic import atomic_path

STEPS = 9  # of the random input that a file is checked with
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
        help="Of a .safetensors: weights under PyTorch's names, or a model of lstmcore's own, "
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

    Before the file gets its name, it is read again, and both networks run on random input: their
    outputs must agree. What the other format cannot express is refused.
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
        if is_own and network.is_own:
            raise ValueError(f"{network.file} is a model of lstmcore already: copy it")
        with atomic_path(out) as temporary:
            write = lc.save if is_own else lc.interop.write
            try:
                write(temporary, network.model, network.params)
            except ValueError as error:
                raise ValueError(str(error).replace(str(temporary), str(out))) from error
            difference = _check(network, _read_again(temporary, out))
        print_notes(network.notes)
        weights = sum(row[3] for row in lc.summary(network.model).rows)
        console.print(f"wrote [bold]{escape(str(out))}[/bold]: {weights:,} weights", soft_wrap=True)
        console.print(
            f"checked: read again, its outputs for random input differ by at most {difference:.1g}",
            soft_wrap=True,
        )


def _read_again(temporary: Path, out: Path) -> Network:
    """Return the network that was written.

    Raises:
      ValueError: the file does not say how its layers are joined, as is the case with PyTorch.
    """
    try:
        return networks.read(temporary)._replace(file=out)
    except ValueError as error:
        reason = str(error).replace(str(temporary), "it")
        raise ValueError(
            f"{out} cannot be checked, and was not written: {reason}. In Python, lc.interop.write "
            "writes it unchecked"
        ) from error


def _check(network: Network, written: Network) -> float:
    """Return the largest difference between the outputs of two networks.

    Raises:
      ValueError: they do not agree.
    """
    x = _random_input(network.model)
    before, after = _outputs(network, x), _outputs(written, x)
    if before.shape != after.shape:
        raise ValueError(
            f"{written.file} would not hold the same network: its output has shape {after.shape}, "
            f"that of {network.file} {before.shape}; nothing was written"
        )
    difference = float(np.abs(before - after).max())
    least_precise = max(TOLERANCE[str(dtype)] for dtype in _dtypes(network) | _dtypes(written))
    if not difference <= least_precise * max(1.0, float(np.abs(before).max())):
        raise ValueError(
            f"{written.file} would not hold the same network: its outputs for random input differ "
            f"from those of {network.file} by {difference:.1g}; nothing was written"
        )
    return difference


def _outputs(network: Network, x: np.ndarray) -> np.ndarray:
    """Return the outputs of a network, by NumPy, which compiles nothing."""
    params = {
        name: type(layer)(
            *(
                None if a is None else np.asarray(a, np.promote_types(a.dtype, np.float32))
                for a in layer
            )
        )
        for name, layer in network.params.items()
    }
    return np.asarray(network.model.apply(params, x, ops=reference)[0])


def _random_input(model: Any) -> np.ndarray:
    rng = np.random.default_rng(0)
    if networks.reads_tokens(model):
        return rng.integers(0, model.parts[0].vocabulary, size=(2, STEPS))
    return rng.normal(size=(2, STEPS, model.features))


def _dtypes(network: Network) -> set[str]:
    return {str(a.dtype) for layer in network.params.values() for a in layer if a is not None}
