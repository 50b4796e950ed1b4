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

__version__ = "0.1.0.dev0"

_NAMES = {
    "types": (
        "LSTMParams",
        "LSTMState",
        "Gates",
        "Trace",
        "DenseParams",
        "BiasParams",
        "EmbeddingParams",
        "GeneralAttention",
        "AdditiveAttention",
    ),
    "cell": ("init_lstm", "zero_state", "lstm_step"),
    "sequence": ("lstm", "bidirectional", "length_mask"),
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
    "noise": ("dropout", "dropout_mask", "zoneout", "corrupt"),
    "states": ("zero_states", "final_states"),
    "models": ("Autoencoder", "CompositeAutoencoder", "StackedLSTM"),
    "feedforward": ("DenseAutoencoder",),
    "forecaster": ("Forecaster",),
    "seq2seq": ("Seq2Seq", "DecoderState"),
    "overview": ("summary",),
    "devices": ("use_all_cores",),
    "streaming": ("stream", "Stream", "load_stream"),
    "train": ("fit", "FitResult", "NonFiniteLossError"),
    "files": ("save", "load"),
    "series": ("windows",),
    "vocabulary": ("Vocabulary", "PADDING", "START", "END", "UNKNOWN"),
    "batching": ("Buckets", "buckets"),
    "decoding.greedy": ("Decoded", "greedy", "sample"),
    "decoding.beam": ("Beams", "beam_search"),
    "decoding.feedback": ("rollout",),
}
_MODULES = ("anomalies", "forecasting", "reference", "series", "study")

__all__ = [*_MODULES, *(name for names in _NAMES.values() for name in names)]


def __getattr__(name):
    if name in _MODULES:
        return _import_module(f"lstmcore.{name}")
    for module, names in _NAMES.items():
        if name in names:
            globals()[name] = value = getattr(_import_module(f"lstmcore.{module}"), name)
            return value
    raise AttributeError(f"module 'lstmcore' has no attribute {name!r}")


def __dir__():
    return [*__all__, "__version__"]


if _TYPE_CHECKING:  # the same names, for editors and type checkers; a test keeps the two equal
    from lstmcore import anomalies, forecasting, reference, series, study
    from lstmcore.attention import attend, init_attention
    from lstmcore.batching import Buckets, buckets
    from lstmcore.cell import init_lstm, lstm_step, zero_state
    from lstmcore.decoding.beam import Beams, beam_search
    from lstmcore.decoding.feedback import rollout
    from lstmcore.decoding.greedy import Decoded, greedy, sample
    from lstmcore.devices import use_all_cores
    from lstmcore.feedforward import DenseAutoencoder
    from lstmcore.files import load, save
    from lstmcore.forecaster import Forecaster
    from lstmcore.layers import (
        dense,
        embedding,
        init_dense,
        init_embedding,
        repeat_vector,
        time_distributed,
    )
    from lstmcore.losses import cross_entropy, exact_match, quantile_loss
    from lstmcore.models import Autoencoder, CompositeAutoencoder, StackedLSTM
    from lstmcore.noise import corrupt, dropout, dropout_mask, zoneout
    from lstmcore.overview import summary
    from lstmcore.seq2seq import DecoderState, Seq2Seq
    from lstmcore.sequence import bidirectional, length_mask, lstm
    from lstmcore.series import windows
    from lstmcore.states import final_states, zero_states
    from lstmcore.streaming import Stream, load_stream, stream
    from lstmcore.train import FitResult, NonFiniteLossError, fit
    from lstmcore.types import (
        AdditiveAttention,
        BiasParams,
        DenseParams,
        EmbeddingParams,
        Gates,
        GeneralAttention,
        LSTMParams,
        LSTMState,
        Trace,
    )
    from lstmcore.vocabulary import END, PADDING, START, UNKNOWN, Vocabulary
