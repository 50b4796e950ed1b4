"""Weights and files of other frameworks: in, out, and every gate visible in between.

    model, params, notes = lc.interop.read("model.keras")    # a file: see `files`
    params = lc.interop.from_torch(module.state_dict())      # weights that are in memory

`read` and `write` take files by their extension; everything else takes and returns arrays. No
framework is imported, so none needs to be installed: h5py reads Keras's HDF5 (extra `keras`), onnx
reads ONNX (extra `onnx`). Weights come as NumPy arrays in the dtype of their source.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

_NAMES = {
    "equinox": ("from_equinox", "to_equinox"),
    "files": ("Imported", "read", "write"),
    "flax": ("from_flax", "to_flax"),
    "haiku": ("from_haiku", "to_haiku"),
    "jax_rnn": ("from_jax_rnn", "to_jax_rnn"),
    "keras.weights": ("from_keras", "to_keras"),
    "keras.reading": ("keras_weights", "read_keras"),
    "onnx.weights": ("dequantized", "from_onnx", "to_onnx"),
    "onnx.lstm": ("OnnxLSTM", "from_onnx_node"),
    "torch.weights": ("from_torch", "to_torch"),
}

__all__ = [name for names in _NAMES.values() for name in names]


def __getattr__(name):
    for module, names in _NAMES.items():
        if name in names:
            globals()[name] = value = getattr(_import_module(f"{__name__}.{module}"), name)
            return value
    raise AttributeError(f"module 'lstmcore.interop' has no attribute {name!r}")


def __dir__():
    return __all__


if _TYPE_CHECKING:  # the same names, for editors and type checkers; a test keeps the two equal
    from lstmcore.interop.equinox import from_equinox, to_equinox
    from lstmcore.interop.files import Imported, read, write
    from lstmcore.interop.flax import from_flax, to_flax
    from lstmcore.interop.haiku import from_haiku, to_haiku
    from lstmcore.interop.jax_rnn import from_jax_rnn, to_jax_rnn
    from lstmcore.interop.keras.reading import keras_weights, read_keras
    from lstmcore.interop.keras.weights import from_keras, to_keras
    from lstmcore.interop.onnx.lstm import OnnxLSTM, from_onnx_node
    from lstmcore.interop.onnx.weights import dequantized, from_onnx, to_onnx
    from lstmcore.interop.torch.weights import from_torch, to_torch
