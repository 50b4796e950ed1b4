"""One batch on several devices: how a program on a CPU comes to use all of its cores.

XLA runs a small product on one core, and a loop one step after the other, so a recurrent network
leaves most cores idle. Split into parts, a batch keeps every core busy: each part runs on a CPU
device of its own, and only the sums of their gradients meet.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

__all__ = ["use_all_cores"]

EVERYWHERE, SPLIT = PartitionSpec(), PartitionSpec("examples")


def use_all_cores() -> None:
    """Make each CPU core a JAX device of its own.

    To be called at the start of a program, before JAX is used:

        lc.use_all_cores()
        result = lc.fit(loss, params, data, devices=jax.devices(), ...)

    Where JAX runs on a GPU or a TPU this changes nothing.

    Raises:
      RuntimeError: JAX was used before.
    """
    # Not all cores of the machine, where this process is kept on some of them.
    allowed = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
    try:
        jax.config.update("jax_num_cpu_devices", len(allowed(0)))
    except RuntimeError as error:
        raise RuntimeError(
            "lc.use_all_cores() came too late, JAX is already running: call it before any JAX "
            "function, at the start of the program"
        ) from error


def check_devices(devices: Sequence[jax.Device] | None) -> tuple[jax.Device, ...]:
    """`devices` as a tuple, empty for None.

    Raises:
      TypeError: not a sequence of JAX devices.
      ValueError: none, or one twice.
    """
    if devices is None:
        return ()
    if not isinstance(devices, Sequence) or not all(isinstance(d, jax.Device) for d in devices):
        raise TypeError(
            f"devices must be a list of JAX devices, got {devices!r}: write jax.devices(), after "
            "lc.use_all_cores() at the start of the program"
        )
    if not devices or len(set(devices)) < len(devices):
        raise ValueError(f"devices must be different ones, at least one, got {list(devices)}")
    return tuple(devices)


def put_everywhere(tree, devices: tuple[jax.Device, ...]):
    """A copy of every array on each device."""
    return jax.device_put(tree, NamedSharding(_mesh(devices), EVERYWHERE)) if devices else tree


def spread(function: Callable, devices: tuple[jax.Device, ...]) -> Callable:
    """`function(params, batch)`, with the examples of the batch split over `devices`.

    Its results must be means over the examples. What does not divide evenly is left to all devices
    alike and joins with its weight.
    """
    if len(devices) < 2:
        return function

    def mean_over_parts(params, part):
        return jax.lax.pmean(function(params, part), "examples")

    parts = jax.shard_map(
        mean_over_parts,
        mesh=_mesh(devices),
        in_specs=(EVERYWHERE, SPLIT),
        out_specs=EVERYWHERE,
        check_vma=False,  # gradients stay local until they are averaged here
    )

    def spread_function(params, batch):
        examples = len(jax.tree.leaves(batch)[0])
        even = examples - examples % len(devices)
        if even == 0:
            return function(params, batch)
        result = parts(params, jax.tree.map(lambda leaf: leaf[:even], batch))
        if even == examples:
            return result
        rest = function(params, jax.tree.map(lambda leaf: leaf[even:], batch))
        share = even / examples
        return jax.tree.map(lambda a, b: share * a + (1 - share) * b, result, rest)

    return spread_function


def _mesh(devices) -> Mesh:
    return Mesh(np.array(devices), ("examples",))
