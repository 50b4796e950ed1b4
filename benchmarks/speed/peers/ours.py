"""lstmcore itself, on one device or with its batch split over all CPU devices."""

from __future__ import annotations

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

import lstmcore as lc
from benchmarks.speed.peers.jax_layer import JaxLayer
from benchmarks.speed.peers.layer import named
from lstmcore.training.devices import sum_over_devices, worthwhile


def split_batch(function, devices):
    """Compile `function(params, *batch) -> (sums, rows)`, with its batch split over `devices`.

    `sums` are added up over the devices; of `rows`, the first axis of each is the batch.
    """

    def on_each_device(params, batch):
        sums, rows = function(params, *batch)
        return sum_over_devices(sums, "batch"), rows

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
    mapped = jax.jit(mapped, in_shardings=shardings)
    return lambda params, *batch: mapped(params, batch)


class Layer(JaxLayer):
    """The layer of lstmcore. Rows of zeros make a batch divide by the number of devices."""

    def __init__(self, weights, x):
        devices = tuple(jax.local_devices())
        cpus = jax.default_backend() == "cpu"
        # As many as `lc.fit` would use of them: few examples are slower on several.
        self.devices = worthwhile(devices, len(x)) if cpus else devices[:1]
        self.batch = len(x)
        super().__init__(weights, x)
        self.programs |= {case: self.program(case) for case in ("forward_trace", "train_gate")}
        if len(self.devices) > 1:
            mesh = jax.make_mesh((len(self.devices),), ("batch",), devices=self.devices)
            self.params = jax.device_put(self.params, NamedSharding(mesh, PartitionSpec()))
            split = NamedSharding(mesh, PartitionSpec("batch"))
            rows = ((0, -self.batch % len(self.devices)), (0, 0), (0, 0))
            self.x, self.d_h = (
                jax.device_put(np.pad(array, rows), split) for array in (self.x, self.d_h)
            )

    def pack(self, weights):
        return weights

    def unpack(self, gradients):
        return gradients

    def program(self, case):
        functions = {
            "forward": lambda params, x: ((), self.last_state(params, x)),
            "forward_all": lambda params, x: ((), self.all_h(params, x)),
            "forward_trace": lambda params, x: ((), lc.lstm(params, x)[1]),
            "train": self.gradients,
            "train_gate": self.gradients_with_a_gate,
        }
        if len(self.devices) > 1:
            return split_batch(functions[case], self.devices)
        return jax.jit(functions[case])

    def last_state(self, params, x):
        return lc.lstm(params, x)[0]

    def all_h(self, params, x):
        return lc.lstm(params, x)[1].h

    def gradients_with_a_gate(self, params, x, d_h):
        """Compute gradients as of a loss that also depends on every forget gate."""

        def h_and_forget(params, x):
            _, trace = lc.lstm(params, x)
            return trace.h, trace.gates.forget

        _, pull_back = jax.vjp(h_and_forget, params, x)
        return pull_back((d_h, d_h))

    def compile(self, case):
        jax.clear_caches()
        program = self.program(case)
        if len(self.devices) > 1:
            program = jax.jit(program)  # around one with its batch split, which cannot be lowered
        program.lower(*self.arguments(case)).compile()

    def read(self, case, result):
        sums, rows = result
        rows = jax.tree.map(lambda array: np.asarray(array)[: self.batch], rows)
        return named(case, (sums, rows) if case == "train" else rows)

    def start(self):
        return lc.zero_state(1, self.units)

    def step(self, params, x_t, state):
        return lc.lstm_step(params, x_t, state)[0]
