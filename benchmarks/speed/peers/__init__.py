"""The libraries that lstmcore is compared with, and the cases in which each takes part.

A peer is one module here with a class `Layer` (see `benchmarks.speed.peers.layer`). No library is
imported before it is needed: each peer runs in a process of its own, with its own environment.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

# forward: the state after the last step; forward_all: h of every step; train: gradients of all
# weights and of x, from a given gradient of every h.
LAYER_CASES = ("forward", "forward_all", "train")
SEQ2SEQ_CASES = (
    "seq2seq",  # loss and gradients of an encoder-decoder: see `benchmarks.speed.seq2seq`
    "seq2seq_attention",  # the same with general attention
    "addition",  # epochs of Keras's example of the encoder-decoder
)
WORKLOAD_CASES = ("autoencoder", "stacked", "greedy")  # see `benchmarks.speed.workloads`
CASES = (
    *LAYER_CASES,
    "forward_trace",  # also c and all gates of every step, against our own forward_all
    "train_gate",  # also with a gradient of a gate, against our own train
    "stream",  # one step at batch 1, from NumPy to NumPy
    "tutorial",  # 300 epochs of the stacked autoencoder: in a warm process, in a new one
    *SEQ2SEQ_CASES,
    *WORKLOAD_CASES,
    "compile",  # trace, lower and compile the training step and the forward pass (forward_all)
    "memory",  # peak resident memory that training steps add
    "import",  # a process that imports the library
)
JAX_CASES = (*LAYER_CASES, "stream", "compile", "memory", "import")
EAGER_CASES = (*LAYER_CASES, "stream", "tutorial", "memory", "import")


class Peer(NamedTuple):
    """One peer.

    title: its name in tables
    cases: the cases that it takes part in
    module: the module here with its `Layer`; None if it has none
    needs: packages that must be installed
    install: the command that installs them
    environment: variables of its process
    imports: the import statement of its users
    in_jax: whether it may be the best JAX peer
    devices: kinds of device that it runs on
    """

    title: str
    cases: tuple[str, ...]
    module: str | None = None
    needs: tuple[str, ...] = ()
    install: str = ""
    environment: dict[str, str] = {}  # noqa: RUF012 (never changed)
    imports: str = ""
    in_jax: bool = False
    devices: tuple[str, ...] = ("cpu", "gpu")

    def missing(self, find=find_spec) -> str | None:
        """Return a line that says how to install missing packages; None if there are none."""
        absent = [package for package in self.needs if find(package) is None]
        if not absent:
            return None
        return f"{' and '.join(absent)} not installed: {self.install}"

    def layer(self):
        """Import the peer's library and return the class `Layer`."""
        return import_module(f"benchmarks.speed.peers.{self.module}").Layer


def _keras(backend: str, title: str, package: str, **options) -> Peer:
    return Peer(
        f"Keras on {title}",
        module=f"keras_{backend}",
        needs=("keras", package),
        install=f"pip install keras {package}",
        environment={"KERAS_BACKEND": backend},
        imports="import keras",
        **options,
    )


def _flax(title: str, module: str, imports: str, cases: tuple[str, ...] = JAX_CASES) -> Peer:
    install = "pip install flax"
    return Peer(title, cases, module, ("flax",), install, imports=imports, in_jax=True)


PEERS = {
    # lstmcore against itself: the ratio differs from 1 only by noise.
    "control": Peer("lstmcore against itself", (*LAYER_CASES, "stream", *WORKLOAD_CASES), "ours"),
    "own": Peer("lstmcore without the trace", ("forward_trace", "train_gate")),
    "matmul": Peer("matrix products alone", ("forward_all", "train"), "matmul"),
    "jax": Peer("jax", ("import",), imports="import jax"),
    "torch": Peer(
        "PyTorch",
        (*EAGER_CASES, *SEQ2SEQ_CASES[:2], *WORKLOAD_CASES),
        "pytorch",
        ("torch",),
        "pip install torch",
        imports="import torch",
    ),
    "keras-jax": _keras(
        "jax",
        "JAX",
        "jax",
        cases=(*JAX_CASES, "tutorial", *SEQ2SEQ_CASES, "autoencoder", "stacked"),
        in_jax=True,
    ),
    "keras-tensorflow": _keras(
        "tensorflow", "TensorFlow", "tensorflow", cases=EAGER_CASES, devices=("cpu",)
    ),
    "keras-torch": _keras("torch", "PyTorch", "torch", cases=EAGER_CASES, devices=("cpu",)),
    "flax-linen": _flax("Flax linen", "flax_linen", "import flax.linen", (*JAX_CASES, "stacked")),
    "flax-nnx": _flax("Flax nnx", "flax_nnx", "from flax import nnx"),
    "equinox": Peer(
        "Equinox",
        JAX_CASES,
        "equinox_lstm",
        ("equinox",),
        "pip install equinox",
        imports="import equinox",
        in_jax=True,
    ),
    "haiku": Peer(
        "Haiku",
        JAX_CASES,
        "haiku_lstm",
        ("haiku",),
        "pip install dm-haiku",
        imports="import haiku",
        in_jax=True,
    ),
    "jax-rnn": Peer(
        "jax.experimental.rnn (cuDNN)",
        (*LAYER_CASES, "compile"),
        "jax_rnn",
        in_jax=True,
        devices=("gpu",),
    ),
}
