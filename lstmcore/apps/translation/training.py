"""Training of a translator on pairs of texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple
from unicodedata import normalize

import numpy as np

from lstmcore import vocabulary
from lstmcore.apps.training import adam, batches_of, fit_model
from lstmcore.apps.translation.pairs import Pair, split
from lstmcore.apps.translation.settings import Settings
from lstmcore.apps.translation.translator import Translator
from lstmcore.batching import Buckets, buckets
from lstmcore.display import displayed
from lstmcore.losses import cross_entropy
from lstmcore.models.seq2seq import Seq2Seq
from lstmcore.training.fit import NonFiniteLossError
from lstmcore.vocabulary import PADDING, Vocabulary


@displayed
class Progress(NamedTuple):
    """The state of training after an epoch, for `callback`.

    epoch: number of epochs done
    losses: {"loss": ..., "validation_loss": ...}
    translator: with the current params
    validation: the validation pairs
    epochs: number of epochs to do
    """

    epoch: int
    losses: dict[str, float]
    translator: Translator
    validation: list[Pair]
    epochs: int


@displayed
class Trained(NamedTuple):
    """The result of training.

    translator: with the params of the best epoch, if there is `patience`, else of the last
    history: {"loss": [epochs], "validation_loss": [epochs]}
    training, validation: the pairs of each part
    left_out: number of pairs that were too long
    stopped: None, or the exception that ended training early: KeyboardInterrupt or
      NonFiniteLossError
    """

    translator: Translator
    history: dict[str, np.ndarray]
    training: list[Pair]
    validation: list[Pair]
    left_out: int
    stopped: BaseException | None


def train(
    pairs: Sequence[Pair],
    settings: Settings | None = None,
    *,
    callback: Callable[[Progress], None] | None = None,
    progress: bool = False,
) -> Trained:
    """Train a translator: build vocabularies, buckets and model, then fit.

    If Ctrl-C or a non-finite loss ends training after the first epoch, the translator trained so
    far is returned.

    Args:
      pairs: [(source, target), ...]; they are brought into the Unicode normal form NFC.
      settings: None takes `Settings()`.
      callback: called after each epoch with a `Progress`, for instance to print samples.
      progress: show a bar (needs rich: `lstmcore[cli]`).

    Returns:
      Trained.

    Raises:
      ValueError: no pairs, or none short enough; settings that do not fit one another.
      TypeError: pairs that do not hold two strings.
      NonFiniteLossError, KeyboardInterrupt: within the first epoch.

    Examples:
      >>> from lstmcore.apps.translation import Settings, train
      >>> settings = Settings(level="word", units=4, embedding=4, bidirectional=False, epochs=1)
      >>> trained = train([("one", "eins"), ("two", "zwei"), ("three", "drei")], settings)
      >>> len(trained.training), len(trained.validation), trained.translator.target.tokens
      (2, 1, ('eins', 'zwei'))
    """
    settings = Settings() if settings is None else settings
    pairs = list(pairs)
    short = _short_enough(pairs, settings)
    training, validation = split(short, settings.validation, settings.seed)
    vocabularies = [Vocabulary.of(side, settings.level) for side in zip(*training, strict=True)]
    data = _buckets(training, vocabularies, settings.batch_size, settings.buckets)
    model = build(settings, vocabularies[0].size, vocabularies[1].size)
    longest = max(part["target"].shape[1] for part in data.parts)
    max_length = min(settings.max_length, longest + longest // 2)
    batches = batches_of(data, settings.batch_size)
    epochs = settings.epochs_for(batches)

    def translator(params) -> Translator:
        return Translator(model, params, vocabularies[0], vocabularies[1], max_length)

    def after_epoch(epoch, params, losses):
        callback(Progress(epoch, losses, translator(params), validation, epochs))

    stopped: BaseException | None = None
    try:
        result = fit_model(
            model,
            settings,
            partial(loss, model),
            data,
            _buckets(validation, vocabularies, settings.batch_size, 1) if validation else None,
            optimizer=adam(settings.learning_rate, settings.clip, epochs * batches),
            callback=after_epoch if callback else None,
            progress=progress,
        )
    except (KeyboardInterrupt, NonFiniteLossError) as error:
        if not (hasattr(error, "result") and len(error.result.history["loss"])):
            raise
        result, stopped = error.result, error
    left_out = len(pairs) - len(short)
    return Trained(
        translator(result.params), result.history, training, validation, left_out, stopped
    )


def build(settings: Settings, source: int, target: int) -> Seq2Seq:
    """Return the model for settings and sizes of vocabularies."""
    return Seq2Seq(
        source,
        target,
        settings.units,
        (settings.embedding, settings.embedding),
        attention=None if settings.attention == "none" else settings.attention,
        bidirectional=settings.bidirectional,
        merge="mean" if settings.attention == "dot" else "concat",
        reverse_source=settings.reverse_source,
        dropout=settings.dropout,
    )


def loss(model: Seq2Seq, params, batch, key=None):
    """Return the mean of -log p(token) over the real tokens of the target."""
    target = batch["target"]
    logits, _ = model.apply(params, batch["source"], target, key=key)
    return cross_entropy(logits, target, mask=target != PADDING)


def _short_enough(pairs: Sequence[Pair], settings: Settings) -> list[Pair]:
    """Return the pairs of at most `max_length` tokens on either side, END included.

    Both texts are brought into the normal form NFC, so that a word is the same token however it was
    typed.
    """
    if not pairs:
        raise ValueError("pairs is empty: there is nothing to train on")
    for number, pair in enumerate(pairs):
        if not (isinstance(pair, tuple | list) and [*map(type, pair)] == [str, str]):
            raise TypeError(f"pairs[{number}] must be (source, target), two strings, got {pair!r}")
    most, level = settings.max_length - 1, settings.level
    short = [
        (source, target)
        for source, target in (map(partial(normalize, "NFC"), pair) for pair in pairs)
        if max(len(vocabulary.split(text, level)) for text in (source, target)) <= most
    ]
    if not short:
        raise ValueError(
            f"each of {len(pairs)} pairs has more than max_length {settings.max_length} tokens "
            "(including END): raise it"
        )
    return short


def _buckets(pairs: list[Pair], vocabularies, batch_size: int, count: int) -> Buckets:
    """Return the pairs as tokens, with empty pairs that fill up the last batch.

    An empty pair has no token and adds nothing to the loss of its batch, nor to the gradient. A
    batch of another size would need a compilation of its own, which takes seconds.
    """
    missing = -len(pairs) % batch_size if len(pairs) > batch_size else 0
    padded = [*pairs, *[None] * missing]
    # Spread evenly, because batches count equally in the mean loss when they are not shuffled.
    places = [(i + 0.5) / n for n in (len(pairs), missing) for i in range(n)]
    rows = [padded[i] for i in np.argsort(places, kind="stable")]
    columns = {
        side: [vocabulary.encode(pair[k]) if pair else [] for pair in rows]
        for k, (side, vocabulary) in enumerate(zip(("source", "target"), vocabularies, strict=True))
    }
    return buckets(columns, count, batch_size=batch_size)
