"""On how many cores a process runs: on one, where it is pinned and every library is told so, or on
all. Its environment must be set before it starts, the rest before its libraries are used."""

from __future__ import annotations

import os

MODES = ("one", "all")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def available() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def environment(mode: str) -> dict[str, str]:
    """Variables for a process in this mode."""
    if mode == "one":
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip()
        return dict.fromkeys(THREADS, "1") | {"XLA_FLAGS": flags}
    if mode == "gpu":
        return {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # PyTorch needs memory beside JAX
    return {}


def pin(mode: str) -> None:
    """Keep this process, and those that it starts, on one core where the system can."""
    if mode == "one" and hasattr(os, "sched_setaffinity"):
        # The last of those allowed: interrupts and other programs tend to the first.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def set_threads(mode: str, packages: tuple[str, ...]) -> None:
    """Tell those libraries that cannot be told by the environment. Imports them."""
    if mode == "gpu":
        return
    cores = available() if mode == "all" else 1
    import jax

    # lstmcore splits its batch over devices; other libraries use the first, with all its threads.
    jax.config.update("jax_num_cpu_devices", cores)
    if "torch" in packages:
        import torch

        torch.set_num_threads(cores)
    if "tensorflow" in packages and mode == "one":
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(1)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
