"""Registers the NamedTuples of `lstmcore.types` for files of `jax.export`.

Without it, a program that takes params or returns a trace could be exported, but not written.
"""

import jax.export

from lstmcore import types

for _kind in (
    types.LSTMParams,
    types.LSTMState,
    types.Gates,
    types.Trace,
    types.DenseParams,
    types.BiasParams,
    types.EmbeddingParams,
    types.LayerNormParams,
    types.GeneralAttention,
    types.AdditiveAttention,
):
    jax.export.register_namedtuple_serialization(
        _kind, serialized_name=f"lstmcore.{_kind.__name__}"
    )
