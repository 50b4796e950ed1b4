"""Data parallelism: one batch on several devices, for instance on all cores of a CPU.

XLA runs a small product on one core, and a loop one step after another, so a recurrent network
leaves most cores idle. A batch that is split keeps every core busy: each part runs on a CPU device
of its own, and only their gradients are averaged.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lstmcore import checks

__all__ = ["use_all_cores"]

AXIS, EVERYWHERE = "devices", PartitionSpec()
FEWEST_ON_A_CORE = 4  # examples; with fewer, cores wait for each other longer than they compute


def use_all_cores(count: int | None = None) -> None:
    """Make each CPU core a JAX device of its own.

    Call it at the start of a program, before JAX is used:

        lc.use_all_cores()
        result = lc.fit(loss, params, data, devices=jax.devices(), ...)

    It pays up to some 256 units: the large products of wider layers use all cores anyway. Each core
    is given four examples of a batch at least, since fewer take longer than they save. `python -m
    benchmarks cores` measures what it is worth on your machine.

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


def worthwhile(devices: tuple[jax.Device, ...], examples: int) -> tuple[jax.Device, ...]:
    """Return as many of `devices` as a batch of so many examples keeps busy."""
    on_cores = any(device.platform == "cpu" for device in devices)
    return devices[: max(1, examples // (FEWEST_ON_A_CORE if on_cores else 1))]


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


def on_each(function: Callable, devices: tuple[jax.Device, ...]) -> Callable:
    """Return `function` run on each of the devices at the same time, each with all arguments.

    In it, `spread` has each device compute its share of a batch.
    """
    if len(devices) < 2:
        return function
    return jax.shard_map(
        function,
        mesh=_mesh(devices),
        in_specs=EVERYWHERE,
        out_specs=EVERYWHERE,
        check_vma=False,  # gradients stay local until `spread` averages them
    )


def spread(function: Callable, count: int) -> Callable:
    """Return `function(params, batch, real)`: each of `count` devices computes a part of the batch.

    Its results must be means over the examples, and if `real` is given over the real ones. Where
    the examples do not divide evenly, the first devices compute one more than the others.
    """
    if count < 2:
        return function

    def mean_over_parts(params: Any, batch: Any, real: Any) -> Any:
        examples = len(jax.tree.leaves(batch)[0])
        fewer, rest = divmod(examples, count)
        place = jax.lax.axis_index(AXIS)
        first = place * fewer + jnp.minimum(place, rest)

        def weighted(rows: int) -> Any:
            """Compute the means of `rows` examples, times their share of the whole."""
            part, part_real = jax.tree.map(
                lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, first, rows), (batch, real)
            )
            means = function(params, part, part_real)
            share = rows / examples if real is None else part_real.sum() / real.sum()
            return jax.tree.map(lambda mean: jnp.asarray(share, mean.dtype) * mean, means)

        def nothing() -> Any:
            shapes = jax.eval_shape(partial(weighted, 1))
            return jax.tree.map(lambda like: jnp.zeros(like.shape, like.dtype), shapes)

        few = partial(weighted, fewer) if fewer else nothing
        means = jax.lax.cond(place < rest, partial(weighted, fewer + 1), few) if rest else few()
        # Devices take different branches. XLA may move what follows into the branches, where an
        # exchange would wait forever for those in the other one, were it not for the barrier.
        return sum_over_devices(jax.lax.optimization_barrier(means), AXIS)

    return mean_over_parts


def with_gradient(value: Callable, value_and_gradient: Callable) -> Callable:
    """Return `value(params, batch, real)`, whose derivative is what the other function computes.

    Both are spread. To differentiate the former itself, as a line search does, would give each
    device another gradient: that of its own part of the batch.
    """

    @jax.custom_jvp
    def function(params: Any, batch: Any, real: Any) -> jax.Array:
        return value(params, batch, real)

    @function.defjvp
    def derivative(primals: tuple, tangents: tuple) -> tuple:
        result, gradients = value_and_gradient(*primals)
        pairs = zip(jax.tree.leaves(gradients), jax.tree.leaves(tangents[0]), strict=True)
        return result, sum(jnp.vdot(*pair).astype(result.dtype) for pair in pairs)

    return function


def sum_over_devices(tree: Any, axis: str) -> Any:
    """Return the sums of arrays over the devices of a mesh's axis, in one exchange for each dtype.

    Each exchange costs a CPU some 0.1 ms, during which the devices wait for each other.
    """
    leaves, structure = jax.tree.flatten(tree)
    sums = list(leaves)
    for dtype in dict.fromkeys(leaf.dtype for leaf in leaves):
        places = [place for place, leaf in enumerate(leaves) if leaf.dtype == dtype]
        alike = [leaves[place] for place in places]
        total = jax.lax.psum(jnp.concatenate([leaf.ravel() for leaf in alike]), axis)
        ends = np.cumsum([leaf.size for leaf in alike])[:-1]
        for place, part in zip(places, jnp.split(total, ends), strict=True):
            sums[place] = part.reshape(leaves[place].shape)
    return jax.tree.unflatten(structure, sums)


def _mesh(devices: tuple[jax.Device, ...]) -> Mesh:
    return Mesh(np.array(devices), (AXIS,))
