"""The base of all peers in JAX: a few pure functions, which are jitted here."""

from __future__ import annotations

from abc import abstractmethod

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.speed.peers.layer import Layer, gradient_of_h, named
from lstmcore.types import LSTMParams


class JaxLayer(Layer):
    """A `Layer` made of `pack`, `unpack`, `last_state`, `all_h`, `start`, `step` and `hidden`."""

    time_major = False

    def __init__(self, weights: LSTMParams, x: np.ndarray) -> None:
        self.features, self.units = x.shape[-1], weights.recurrent_kernel.shape[0]
        self.params = jax.tree.map(jnp.asarray, self.pack(weights))
        swap = (lambda array: array.swapaxes(0, 1)) if self.time_major else lambda array: array
        self.x, self.d_h = (jnp.asarray(swap(a)) for a in (x, gradient_of_h(x, self.units)))
        self.programs = {case: self.program(case) for case in ("forward", "forward_all", "train")}

    @abstractmethod
    def pack(self, weights: LSTMParams):
        """Return the peer's params, a pytree."""

    @abstractmethod
    def unpack(self, gradients) -> LSTMParams:
        """Return gradients of the peer's params in lstmcore's layout."""

    @abstractmethod
    def last_state(self, params, x):
        """Compute (h, c) after the last step."""

    @abstractmethod
    def all_h(self, params, x):
        """Compute h of every step."""

    @abstractmethod
    def start(self):
        """Return the peer's state of zeros, for a batch of 1."""

    @abstractmethod
    def step(self, params, x_t, state):
        """Compute the state after one step from x_t [1, F]."""

    def hidden(self, state):
        """Return h [1, H] of a state."""
        return state[0]

    def program(self, case: str):
        """Return a jitted function of `arguments(case)` that has not been traced yet."""
        if case == "train":
            return jax.jit(self.gradients)
        return jax.jit({"forward": self.last_state, "forward_all": self.all_h}[case])

    def arguments(self, case: str):
        return (self.params, self.x) + (self.d_h,) * case.startswith("train")

    def gradients(self, params, x, d_h):
        _, pull_back = jax.vjp(self.all_h, params, x)
        return pull_back(d_h)

    def run(self, case: str):
        return jax.block_until_ready(self.programs[case](*self.arguments(case)))

    def read(self, case: str, result) -> dict[str, np.ndarray]:
        if case == "train":
            gradients, dx = result
            result = self.unpack(gradients), dx
        return named(case, result, time_major=self.time_major)

    def compile(self, case: str) -> None:
        """Trace, lower and compile, with JAX's caches cleared before."""
        jax.clear_caches()
        self.program(case).lower(*self.arguments(case)).compile()

    def stream(self):
        step, state = jax.jit(self.step), self.start()

        def feed(x_t):
            nonlocal state
            state = step(self.params, x_t, state)
            return np.asarray(self.hidden(state))

        return feed
