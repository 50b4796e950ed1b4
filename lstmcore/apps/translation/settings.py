"""All that training a translator depends on but for its pairs of texts."""

from __future__ import annotations

from dataclasses import dataclass

from lstmcore import checks, specs
from lstmcore.apps.settings import TrainingSettings
from lstmcore.vocabulary import LEVELS

__all__ = ["Settings"]


@dataclass(frozen=True, kw_only=True)
class Settings(TrainingSettings):
    """How to train a translator.

    The fields of `apps.settings.TrainingSettings`, with other defaults, and:

    Attributes:
      level: of both vocabularies, "character" or "word".
      units: sizes of the encoder's layers; the decoder has the same.
      embedding: size of the vectors of tokens.
      attention: "general", "additive", "dot" or "none".
      bidirectional: read the source in both directions.
      reverse_source: read it from its end; for an encoder of one direction.
      dropout: fraction of what each layer reads that is dropped in training.
      clip: largest norm of a gradient.
      max_length: most tokens of either side, END included; longer pairs are left out.
      buckets: groups of like length, each padded to its longest. Each is compiled for itself.
      batch_size: pairs in a step of the optimizer.
      learning_rate: of Adam, at first; it falls to 0 along a cosine.
      validation: fraction of the different sources that is held out.
    """

    level: str = "character"
    units: tuple[int, ...] = (128,)
    embedding: int = 64
    attention: str = "general"
    bidirectional: bool = True
    reverse_source: bool = False
    dropout: float = 0.1
    clip: float = 1.0
    max_length: int = 100
    buckets: int = 2
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 2e-3
    patience: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("units", checks.check_units("units", self.units))
        checks.check_choice("level", self.level, LEVELS)
        checks.check_choice("attention", self.attention, ("none", *specs.ATTENTIONS))
        self._check_counts("max_length", "buckets")
        self._set("dropout", checks.check_number("dropout", self.dropout))
        self._check_positive("clip")
