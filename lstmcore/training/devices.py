"""One batch on several devices: how a program on a CPU comes to use all of its cores.

XLA runs a small product on one core, and a loop one step after the other, so a recurrent network
leaves most cores idle. Split into parts, a batch keeps every core busy: each part runs on a CPU
device of its own, and only the sums of their gradients meet.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lstmcore import checks

__all__ = ["use_all_cores"]

EVERYWHERE, SPLIT = PartitionSpec(), PartitionSpec("examples")


def use_all_cores(count: int | None = None) -> None:
    """Make each CPU core a JAX device of its own.

    To be called at the start of a program, before JAX is used:

        lc.use_all_cores()
        result = lc.fit(loss, params, data, devices=jax.devices(), ...)

    `count` says how many, where the number of cores that this process may run on is not the number
    that it has, as in a container with a quota. Where JAX runs on a GPU or a TPU this changes
    nothing.

    Raises:
      RuntimeError: JAX was used before.
      ValueError: `count` below 1.
    """
    if count is None:  # not all cores of the machine, where this process is kept on some of them
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
    """`devices` as a tuple, empty for None.

    Raises:
      TypeError: not a sequence of JAX devices.
      ValueError: none, or one twice.
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
    """As many of `devices` as make a batch fastest: each takes its share and all take the rest."""

    def examples_on_each(count):
        return examples // count + examples % count

    return devices[: min(range(1, len(devices) + 1), key=examples_on_each)] if devices else ()


def check_mean(loss: Callable, params, batch) -> None:
    """The loss of a batch is the mean of the losses of its halves.

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
