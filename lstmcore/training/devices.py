"""Data parallelism: one batch on several devices, for instance on all cores of a CPU.

XLA runs a small product on one core, and a loop one step after another, so a recurrent network
leaves most cores idle. A batch that is split keeps every core busy: each part runs on a CPU device
of its own, and only their gradients are averaged.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lstmcore import checks

__all__ = ["use_all_cores"]

EVERYWHERE, SPLIT = PartitionSpec(), PartitionSpec("examples")


def use_all_cores(count: int | None = None) -> None:
    """Make each CPU core a JAX device of its own.

    Call it at the start of a program, before JAX is used:

        lc.use_all_cores()
        result = lc.fit(loss, params, data, devices=jax.devices(), ...)

    `count` is the number of devices, for a process that may run on more cores than it has the time
    of, as in a container with a quota. If JAX runs on a GPU or a TPU this changes nothing.

    Raises:
      RuntimeError: JAX was used before.
      ValueError: `count` below 1.
    """
    if count is None:  # the cores this process may run on, not all of the machine
        allowed = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
        count = len(allowed(0))
    count = checks.check_count("count", count)
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError as error:
        raise RuntimeError(
            "lc.use_all_cores() came too late, JAX is already running: call it before any JAX "
            "function, at the start of the program"
        ) from error


def check_devices(devices: Iterable[jax.Device] | None) -> tuple[jax.Device, ...]:
    """Return `devices` as a tuple, empty for None.

    Raises:
      TypeError: not a sequence of JAX devices.
      ValueError: no device, or one twice.
    """
    if devices is None:
        return ()
    found = np.ravel(np.array(devices, dtype=object)).tolist()  # a list, or the array of a mesh
    if not all(isinstance(device, jax.Device) for device in found):
        raise TypeError(
            f"devices must be a list of JAX devices, got {devices!r}: write jax.devices(), after "
            "lc.use_all_cores() at the start of the program"
        )
    if not found or len(set(found)) < len(found):
        raise ValueError(f"devices must be different ones, at least one, got {found}")
    return tuple(found)


def useful(devices: tuple[jax.Device, ...], examples: int) -> tuple[jax.Device, ...]:
    """Return as many of `devices` as make a batch fastest.

    Each runs an equal part of the batch, and all of them run the remainder.
    """

    def examples_on_each(count: int) -> int:
        return examples // count + examples % count

    return devices[: min(range(1, len(devices) + 1), key=examples_on_each)] if devices else ()


def check_mean(loss: Callable, params: Any, batch: Any) -> None:
    """Raise unless the loss of a batch is the mean of the losses of its halves.

    Raises:
      ValueError: it is not, as far as this batch shows.
    """
    examples = len(jax.tree.leaves(batch)[0])
    half = examples // 2
    parts = [jax.tree.map(lambda leaf, k=k: leaf[k : k + half], batch) for k in (0, half)]
    whole = jax.tree.map(lambda leaf: leaf[: 2 * half], batch)
    value, *halves = (float(loss(params, part)) for part in (whole, *parts))
    if not np.isclose(value, np.mean(halves), rtol=0.01, equal_nan=True):
        raise ValueError(
            f"with devices, loss must be a mean over the examples: it is {value:.6g} for a batch "
            f"but {halves[0]:.6g} and {halves[1]:.6g} for its halves; take a mean that gives each "
            "example equal weight, or leave devices out"
        )


def put_everywhere(tree: Any, devices: tuple[jax.Device, ...]) -> Any:
    """Return the tree with a copy of every array on each device."""
    return jax.device_put(tree, NamedSharding(_mesh(devices), EVERYWHERE)) if devices else tree


def spread(function: Callable, devices: tuple[jax.Device, ...]) -> Callable:
    """Return `function(params, batch, real)` with the examples of the batch split over `devices`.

    Its results must be means over the examples, and if `real` is given over the real ones. A batch
    that is filled up divides evenly. Of any other, the examples that do not divide evenly run on
    every device, and are averaged with their weight.
    """
    if len(devices) < 2:
        return function

    def mean_over_parts(params: Any, part: Any, real: Any) -> Any:
        means = function(params, part, real)
        if real is None:
            return jax.lax.pmean(means, "examples")
        count = real.sum()
        share = count / jax.lax.psum(count, "examples")
        return jax.lax.psum(
            jax.tree.map(lambda mean: share.astype(mean.dtype) * mean, means), "examples"
        )

    parts = jax.shard_map(
        mean_over_parts,
        mesh=_mesh(devices),
        in_specs=(EVERYWHERE, SPLIT, SPLIT),
        out_specs=EVERYWHERE,
        check_vma=False,  # gradients stay local until they are averaged here
    )

    def spread_function(params: Any, batch: Any, real: Any) -> Any:
        examples = len(jax.tree.leaves(batch)[0])
        even = examples - examples % len(devices)
        if even == 0:
            return function(params, batch, None)
        result = parts(params, jax.tree.map(lambda leaf: leaf[:even], batch), real)
        if even == examples:
            return result
        rest = function(params, jax.tree.map(lambda leaf: leaf[even:], batch), None)
        weight = even / examples
        return jax.tree.map(lambda a, b: weight * a + (1 - weight) * b, result, rest)

    return spread_function


def _mesh(devices: tuple[jax.Device, ...]) -> Mesh:
    return Mesh(np.array(devices), ("examples",))
