"""The operations that models are written in, computed by JAX; `lstmcore.reference` has the same in
NumPy.

The `apply` of a model takes one of the two namespaces, `ops=lc.ops` or `ops=lc.reference`, and so
needs to be written only once. A name is imported on first use: a model can be defined, and run in
NumPy, where JAX is not installed.

    lstm, lstm_step, bidirectional, length_mask     LSTM layers
    dense, embedding, repeat_vector, time_distributed, attend, activate
    scan, cumulative_max, zero_state_like           loops over time
    as_array                                        arguments: arrays of other libraries
    np                                              the array functions: jax.numpy, or numpy
    random, check_key, dropout, dropout_mask        random numbers; not in NumPy
"""

from importlib import import_module as _import_module

_NAMES = {
    "lstmcore.sequence": ("lstm", "bidirectional", "length_mask"),
    "lstmcore.cell": ("lstm_step",),
    "lstmcore.layers": ("dense", "embedding", "repeat_vector", "time_distributed"),
    "lstmcore.attention": ("attend",),
    "lstmcore.activations": ("activate",),
    "lstmcore.loops": ("scan", "cumulative_max", "zero_state_like"),
    "lstmcore.regularization": ("dropout", "dropout_mask"),
    "lstmcore.arrays": ("as_array",),
    "lstmcore.dtypes": ("check_key",),
    "jax": ("random",),
}

__all__ = ["np", *(name for names in _NAMES.values() for name in names)]  # noqa: F822


def __getattr__(name: str):
    if name == "np":
        globals()[name] = value = _import_module("jax.numpy")
        return value
    for module, names in _NAMES.items():
        if name in names:
            globals()[name] = value = getattr(_import_module(module), name)
            return value
    raise AttributeError(f"module 'lstmcore.ops' has no attribute {name!r}")


def __dir__():
    return __all__
