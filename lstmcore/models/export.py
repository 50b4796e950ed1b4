"""Export: a model and its weights as one compiled-for-anywhere file, to run without lstmcore.

lc.export(model, params, "model.jaxexport")

from jax import export                                      # where it runs: JAX alone
run = export.deserialize(Path("model.jaxexport").read_bytes()).call
y = run(x)                                                  # of any batch and length
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp

from lstmcore.arrays import check_known
from lstmcore.io.atomic import atomic_path
from lstmcore.specs import check_params, parameters_of
from lstmcore.types import EmbeddingParams, Trace

__all__ = ["export"]

PLATFORMS = ("cpu", "cuda", "tpu")


def export(
    model: Any,
    params: dict,
    path: str | os.PathLike,
    *,
    mask: bool = False,
    gates: bool = False,
    timesteps: int | None = None,
    platforms: Sequence[str] = PLATFORMS,
) -> None:
    """Write a model with its weights as a program of StableHLO, which JAX runs without lstmcore.

    Args:
      model: one of lstmcore's models, or your own, whose `apply(params, x)` needs nothing else.
      params: its weights, which become part of the program.
      path: of the file; an existing one is replaced, in one step, once the new one is complete.
      mask: whether the program also takes a mask, bool [B, T], True = real step: `run(x, mask)`. In
        one without, every step is real, but for those that the model masks by itself.
      gates: whether the program also returns the traces, as plain dicts: {layer: {"h", "c",
        "input", "forget", "candidate", "output"}}, [B, T, H] each.
      timesteps: T, if the program is for one length; None for any.
      platforms: what it runs on. A program for several holds what each of them is fastest with;
        the computer that exports plays no part in it.

    Raises:
      ValueError: params that do not fit the model, or platforms that are unknown or none.
      TypeError: no model, one whose `apply` needs more than one input, or, for `mask`, takes none.
      OSError: the file cannot be written.
      ImportError: the package flatbuffers is missing.

    Examples:
      >>> import jax, jax.numpy as jnp, tempfile, lstmcore as lc
      >>> from pathlib import Path
      >>> model = lc.StackedLSTM(features=2, units=4, outputs=1)
      >>> path = tempfile.mkdtemp() + "/model.jaxexport"
      >>> lc.export(model, model.init(jax.random.key(0)), path, gates=True)
      >>> run = jax.export.deserialize(Path(path).read_bytes()).call
      >>> y, traces = run(jnp.ones((5, 7, 2)))
      >>> y.shape, traces["lstm_0"]["forget"].shape
      ((5, 7, 1), (5, 7, 4))
    """
    _check_model(model, mask)
    check_known("params", params)
    params = check_params(params, model.layers)
    if isinstance(platforms, str) or not platforms or not set(platforms) <= set(PLATFORMS):
        raise ValueError(
            f"platforms must be a list of {', '.join(PLATFORMS)}, such as ['cuda'], got "
            f"{platforms!r}"
        )

    def run(x: jax.Array, mask: jax.Array | None = None) -> Any:
        options = {} if mask is None else {"mask": mask}
        outputs, traces = model.apply(params, x, **options)
        return (
            (outputs, {name: _plain(trace) for name, trace in traces.items()}) if gates else outputs
        )

    inputs = [_input_of(model, params, timesteps)]
    if mask:
        inputs.append(jax.ShapeDtypeStruct(inputs[0].shape[:2], bool))
    program = jax.export.export(jax.jit(run), platforms=tuple(platforms))(*inputs)
    try:
        contents = program.serialize()
    except ImportError as error:
        raise ImportError("export needs flatbuffers: pip install flatbuffers") from error
    with atomic_path(Path(path)) as temporary:
        temporary.write_bytes(contents)


def _check_model(model: Any, mask: bool) -> None:
    kind = type(model).__name__
    if isinstance(model, type) or not (hasattr(model, "layers") and hasattr(model, "apply")):
        raise TypeError(
            f"model must be one of lstmcore's, or have layers and apply, got {kind}: export a "
            "function of your own with jax.export"
        )
    parameters = parameters_of(model)
    needed = [name for name, one in parameters.items() if one.default is one.empty]
    if len(needed) > 2:
        raise TypeError(
            f"{kind} reads {' and '.join(needed[1:])}, and export takes models of one input: "
            "export a function of your own with jax.export"
        )
    if mask and "mask" not in parameters:
        raise TypeError(f"{kind}.apply takes no mask: leave mask out of export")


def _input_of(model: Any, params: dict, timesteps: int | None) -> jax.ShapeDtypeStruct:
    """Return the abstract input of a model, read off its first layer: of any batch and length."""
    first = next(iter(model.layers.values()))
    steps = "time" if timesteps is None else str(timesteps)
    if first.kind is EmbeddingParams:
        return jax.ShapeDtypeStruct(jax.export.symbolic_shape(f"batch, {steps}"), jnp.int32)
    recurrent = any(hasattr(layer, "recurrent_kernel") for layer in params.values())
    axes = f"batch, {steps}, {first.features}" if recurrent else f"batch, {first.features}"
    dtype = jax.tree.leaves(params)[0].dtype
    return jax.ShapeDtypeStruct(jax.export.symbolic_shape(axes), dtype)


def _plain(trace: Any) -> Any:
    """Return a trace as a dict, which needs no class of lstmcore's where it is read."""
    if isinstance(trace, Trace):
        return {"h": trace.h, "c": trace.c, **trace.gates._asdict()}
    return trace
