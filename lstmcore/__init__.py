"""lstmcore: the glass-box LSTM.

Every function returns *(what you compute on, what you look at)*. The call that trains is the
call that shows every gate of every step, and the one in which any gate can be changed:

    state, trace = lc.lstm(params, x)       # trace.gates.forget: [batch, time, units]

Read `types` for the words, `cell` for the equations, `sequence` for a cell over time, `models`
for what is built from them. A name is imported from its module when it is first used, so that
`lstmcore.reference`, the NumPy engine, also works where JAX is not installed.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

from lstmcore._version import __version__

_NAMES = {
    "types": (
        "LSTMParams",
        "LSTMState",
        "Gates",
        "Trace",
        "DenseParams",
        "BiasParams",
        "EmbeddingParams",
        "LayerNormParams",
        "GeneralAttention",
        "AdditiveAttention",
    ),
    "cell": ("init_lstm", "zero_state", "lstm_step"),
    "sequence": ("lstm", "bidirectional", "length_mask", "zero_states", "final_states"),
    "layers": (
        "init_dense",
        "dense",
        "init_embedding",
        "embedding",
        "repeat_vector",
        "time_distributed",
    ),
    "attention": ("init_attention", "attend"),
    "losses": ("cross_entropy", "exact_match", "quantile_loss"),
    "regularization": ("dropout", "dropout_mask", "zoneout", "corrupt"),
    "specs": ("Layer",),
    "models.weights": ("init_layers",),
    "models.autoencoders": ("Autoencoder", "CompositeAutoencoder"),
    "models.dense_autoencoder": ("DenseAutoencoder",),
    "models.stacked": ("StackedLSTM",),
    "models.forecaster": ("Forecaster",),
    "models.chain": ("Chain",),
    "models.seq2seq": ("Seq2Seq",),
    "models.seq2seq_decoder": ("DecoderState",),
    "models.summary": ("summary",),
    "models.streaming": ("stream", "Stream", "load_stream"),
    "models.saving": ("save", "load"),
    "models.export": ("export",),
    "training.fit": ("fit", "FitResult", "NonFiniteLossError"),
    "training.train": ("Fitted", "train"),
    "training.devices": ("use_all_cores",),
    "training.memory": ("retain_memory",),
    "series": ("windows",),
    "vocabulary": ("Vocabulary", "PADDING", "START", "END", "UNKNOWN"),
    "batching": ("Buckets", "buckets"),
    "decoding.greedy": ("Decoded", "greedy", "sample"),
    "decoding.beam": ("Beams", "beam_search"),
    "decoding.rollout": ("rollout",),
}
_MODULES = {
    "anomalies": "apps.anomalies",
    "chain": "models.chain_parts",
    "estimators": "apps.estimators",
    "forecasting": "apps.forecasting",
    "interop": "interop",
    "ops": "ops",
    "reference": "reference",
    "series": "series",
    "study": "study",
}

_ADVICE = {  # names that other libraries have
    "LSTM": ": one layer is lc.init_lstm and lc.lstm, and layers in order are an lc.Chain, such as "
    "lc.Chain([lc.chain.LSTM(8), lc.chain.Dense(1)], features=2)",
    "Dense": ": one layer is lc.init_dense and lc.dense; in an lc.Chain it is lc.chain.Dense(1)",
    "Sequential": ": it is lc.Chain here, such as lc.Chain([lc.chain.LSTM(8)], features=2)",
}

_OPTIONAL = ["estimators"]  # needs scikit-learn, without which a star import must work

__all__ = [
    *(name for name in _MODULES if name not in _OPTIONAL),
    *(name for names in _NAMES.values() for name in names),
]


def __getattr__(name):
    if name in _MODULES:
        return _import_module(f"lstmcore.{_MODULES[name]}")
    for module, names in _NAMES.items():
        if name in names:
            try:
                globals()[name] = value = getattr(_import_module(f"lstmcore.{module}"), name)
            except ModuleNotFoundError as error:
                if error.name != "jax":
                    raise
                raise ModuleNotFoundError(
                    f"lc.{name} needs JAX: pip install jax. Without it, lstmcore.reference runs "
                    "saved models: apply, params = lstmcore.reference.load(path)",
                    name="jax",
                ) from error
            return value
    advice = _ADVICE.get(name, "")
    raise AttributeError(f"module 'lstmcore' has no attribute {name!r}{advice}")


def __dir__():
    return [*__all__, *_OPTIONAL, "__version__"]


if _TYPE_CHECKING:  # the same names, for editors and type checkers; a test keeps the two equal
    from lstmcore import interop, ops, reference, series, study
    from lstmcore.apps import anomalies, estimators, forecasting
    from lstmcore.attention import attend, init_attention
    from lstmcore.batching import Buckets, buckets
    from lstmcore.cell import init_lstm, lstm_step, zero_state
    from lstmcore.decoding.beam import Beams, beam_search
    from lstmcore.decoding.greedy import Decoded, greedy, sample
    from lstmcore.decoding.rollout import rollout
    from lstmcore.layers import (
        dense,
        embedding,
        init_dense,
        init_embedding,
        repeat_vector,
        time_distributed,
    )
    from lstmcore.losses import cross_entropy, exact_match, quantile_loss
    from lstmcore.models import chain_parts as chain
    from lstmcore.models.autoencoders import Autoencoder, CompositeAutoencoder
    from lstmcore.models.chain import Chain
    from lstmcore.models.dense_autoencoder import DenseAutoencoder
    from lstmcore.models.export import export
    from lstmcore.models.forecaster import Forecaster
    from lstmcore.models.saving import load, save
    from lstmcore.models.seq2seq import Seq2Seq
    from lstmcore.models.seq2seq_decoder import DecoderState
    from lstmcore.models.stacked import StackedLSTM
    from lstmcore.models.streaming import Stream, load_stream, stream
    from lstmcore.models.summary import summary
    from lstmcore.models.weights import init_layers
    from lstmcore.regularization import corrupt, dropout, dropout_mask, zoneout
    from lstmcore.sequence import bidirectional, final_states, length_mask, lstm, zero_states
    from lstmcore.series import windows
    from lstmcore.specs import Layer
    from lstmcore.training.devices import use_all_cores
    from lstmcore.training.fit import FitResult, NonFiniteLossError, fit
    from lstmcore.training.memory import retain_memory
    from lstmcore.training.train import Fitted, train
    from lstmcore.types import (
        AdditiveAttention,
        BiasParams,
        DenseParams,
        EmbeddingParams,
        Gates,
        GeneralAttention,
        LayerNormParams,
        LSTMParams,
        LSTMState,
        Trace,
    )
    from lstmcore.vocabulary import END, PADDING, START, UNKNOWN, Vocabulary
