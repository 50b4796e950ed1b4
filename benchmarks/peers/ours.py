"""lstmcore itself, on one device or with its batch split over all CPU devices."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

import lstmcore as lc
from benchmarks.peers.jax_layer import JaxLayer
from benchmarks.peers.layer import named


def split_batch(function, devices):
    """jit `function(params, x) -> (sums, rows)`, its batch split over `devices`.

    `sums` are added up over the devices; of `rows`, the first axis of each is the batch.
    """

    def on_each_device(params, x):
        sums, rows = function(params, x)
        return jax.lax.psum(sums, "batch"), rows

    mesh = jax.make_mesh((len(devices),), ("batch",), devices=devices)
    everywhere, split = PartitionSpec(), PartitionSpec("batch")
    mapped = jax.shard_map(
        on_each_device,
        mesh=mesh,
        in_specs=(everywhere, split),
        out_specs=(everywhere, split),
        check_vma=False,
    )
    shardings = NamedSharding(mesh, everywhere), NamedSharding(mesh, split)
    return jax.jit(mapped, in_shardings=shardings)


class Layer(JaxLayer):
    """lstmcore's layer. Batches that do not divide by the number of devices stay on one."""

    def __init__(self, weights, x):
        self.devices = jax.local_devices()
        if jax.default_backend() != "cpu" or x.shape[0] % len(self.devices):
            self.devices = self.devices[:1]
        self.values = x.shape[0] * x.shape[1] * weights.bias.size // 4  # of h in the whole batch
        super().__init__(weights, x)
        self.programs |= {case: self.program(case) for case in ("forward_trace", "train_gate")}
        if len(self.devices) > 1:
            mesh = jax.make_mesh((len(self.devices),), ("batch",), devices=self.devices)
            self.params = jax.device_put(self.params, NamedSharding(mesh, PartitionSpec()))
            self.x = jax.device_put(self.x, NamedSharding(mesh, PartitionSpec("batch")))

    def pack(self, weights):
        return weights

    def unpack(self, gradients):
        return gradients

    def program(self, case):
        functions = {
            "forward": lambda params, x: ((), self.last_state(params, x)),
            "forward_all": lambda params, x: ((), self.all_h(params, x)),
            "forward_trace": lambda params, x: ((), lc.lstm(params, x)[1]),
            "train": lambda params, x: self.gradients(self.share_of_loss, params, x),
            "train_gate": lambda params, x: self.gradients(self.with_a_gate, params, x),
        }
        if len(self.devices) > 1:
            return split_batch(functions[case], self.devices)
        return jax.jit(functions[case])

    def last_state(self, params, x):
        return lc.lstm(params, x)[0]

    def all_h(self, params, x):
        return lc.lstm(params, x)[1].h

    def share_of_loss(self, params, x):
        """What these rows add to the mean of h**2 over the whole batch."""
        return jnp.sum(self.all_h(params, x) ** 2) / self.values

    def with_a_gate(self, params, x):
        """The same, and a price on open forget gates."""
        _, trace = lc.lstm(params, x)
        return (jnp.sum(trace.h**2) + jnp.sum(trace.gates.forget)) / self.values

    @staticmethod
    def gradients(loss, params, x):
        value, (gradients, dx) = jax.value_and_grad(loss, argnums=(0, 1))(params, x)
        return (value, gradients), dx

    def read(self, case, result):
        sums, rows = result
        return named(case, (*sums, rows) if case == "train" else rows)

    def start(self):
        return lc.zero_state(1, self.units)

    def step(self, params, x_t, state):
        return lc.lstm_step(params, x_t, state)[0]
