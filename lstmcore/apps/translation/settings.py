"""The settings of a translator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lstmcore.apps.settings import Count, Fraction, Patience, Positive, Sizes, TrainingSettings


@dataclass(frozen=True, kw_only=True)
class Settings(TrainingSettings):
    """The settings of a translator.

    The fields of `apps.settings.TrainingSettings`, with other defaults, and:

    Attributes:
      level: unit of a token: "character" or "word".
      units: sizes of the encoder's layers; the decoder has the same.
      embedding: size of the vector of a token.
      attention: score of the attention of the decoder: "general", "additive", "dot" or "none".
      bidirectional: read the source in both directions.
      reverse_source: read the source from its end only. For an encoder of one direction.
      dropout: fraction of the inputs of each layer that is dropped in training.
      clip: largest norm of a gradient; larger ones are scaled down.
      max_length: largest number of tokens of a text; longer pairs are left out. END is counted.
      buckets: number of groups of pairs of similar length, each padded to its longest pair. Each is
        compiled separately.
      epochs: number of passes through the training pairs; auto is 20, more where these would be
        fewer than 2,000 steps of the optimizer.
      batch_size: pairs in a step of the optimizer.
      learning_rate: step size of Adam at first; it decays to 0 along a cosine.
      validation: fraction of the different sources used for validation and not for training.
    """

    level: Literal["character", "word"] = "character"
    units: Sizes = (128,)
    embedding: Count = 64
    attention: Literal["general", "additive", "dot", "none"] = "general"
    bidirectional: bool = True
    reverse_source: bool = False
    dropout: Fraction = 0.1
    clip: Positive = 1.0
    max_length: Count = 100
    buckets: Count = 2
    batch_size: Count = 64
    learning_rate: Positive = 2e-3
    patience: Patience | None = None

    @property
    def fewest_epochs(self) -> int:
        """Return how many epochs "auto" stands for at least."""
        return 20
