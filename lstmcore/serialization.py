"""Registers the NamedTuples of `lstmcore.types` for files of `jax.export`.

Without it, a program that takes params or returns a trace could be exported, but not written.
"""

import jax.export

from lstmcore import types

for _name, _kind in vars(types).items():
    if isinstance(_kind, type) and issubclass(_kind, tuple) and hasattr(_kind, "_fields"):
        jax.export.register_namedtuple_serialization(_kind, serialized_name=f"lstmcore.{_name}")
