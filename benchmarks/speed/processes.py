"""New processes, on one core or on all, and their errors in one line.

On one core a process is pinned and every library is told so. Its environment must be set before it
starts, the rest before its libraries are used.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]  # from where `benchmarks` and `lstmcore` are imported
MODES = ("one", "all")
WHERE = {"one": "one core", "all": "all cores", "gpu": "GPU"}  # a mode in tables and messages
PINS = hasattr(os, "sched_setaffinity")  # whether the system can keep a process on one core
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def python(*arguments: str, variables: dict[str, str] | None = None) -> str:
    """Run Python with these arguments and return what it printed.

    Raises:
      RuntimeError: it failed; with the last line of its errors.
    """
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | (variables or {}),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"python {' '.join(arguments)} {ending(done.returncode, done.stderr)}")
    return done.stdout


def ending(status: int, errors: str) -> str:
    """Return how a failed process ended, with the last line of its errors."""
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return f"{how}: {lines[-1]}" if lines else how


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def environment(mode: str) -> dict[str, str]:
    """Return the variables for a process in this mode: "one", "all" or "gpu"."""
    if mode == "one":
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip()
        return dict.fromkeys(THREADS, "1") | {"XLA_FLAGS": flags}
    if mode == "gpu":
        return {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # PyTorch needs memory beside JAX
    return {}


def pin(mode: str) -> None:
    """Keep this process, and those that it starts, on one core where the system can."""
    if mode == "one" and PINS:
        # The last of those allowed: interrupts and other programs tend to the first.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def set_threads(mode: str, packages: tuple[str, ...]) -> None:
    """Set the threads of those libraries that read no environment variable. Imports them."""
    if mode == "gpu":
        return
    cores = available_cores() if mode == "all" else 1
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
