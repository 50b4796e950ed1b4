"""What all applications are told in the same words: data, preprocessing, training, seed.

A class of settings is a frozen dataclass: an application adds the fields that are its own. The
options of its command are made from the fields and from what its docstring says of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from lstmcore import checks
from lstmcore.series import Preprocessing, stride_for

__all__ = ["SeriesSettings", "TrainingSettings"]


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How a model is trained.

    Attributes:
      epochs: passes through the training part, at most.
      batch_size: examples in a step of the optimizer.
      learning_rate: of Adam.
      patience: epochs without a lower validation loss after which training stops, and the best
        epoch is kept; None trains through.
      validation: fraction that is held out of training, to stop it by.
      seed: of weights, order and noise.

    Raises:
      ValueError: numbers out of range.
      TypeError: arguments of another kind.
    """

    epochs: int = 100
    batch_size: int = 32
    learning_rate: float = 3e-3
    patience: int | None = 10
    validation: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        self._check_counts("epochs", "batch_size", "patience")
        self._check_fractions("validation")
        self._check_positive("learning_rate")
        self._set("seed", checks.check_seed("seed", self.seed))

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote.

        Raises:
          ValueError, TypeError, LookupError: it is something else.
        """
        given = dict(stored)
        if "preprocessing" in given:
            choices = dict(given["preprocessing"])
            choices["difference"] = tuple(choices["difference"])
            given["preprocessing"] = Preprocessing(**choices)
        lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
        return cls(**given | lists)

    def to_json(self) -> dict[str, Any]:
        """Return plain lists, numbers and strings, which `from_json` reads."""
        return asdict(self)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check_counts(self, *names: str) -> None:
        """Whole numbers from 1 on; None where the field says so."""
        optional = {field.name for field in fields(self) if "None" in str(field.type)}
        for name in names:
            value = getattr(self, name)
            if value is not None or name not in optional:
                self._set(name, checks.check_count(name, value))

    def _check_fractions(self, *names: str) -> None:
        """Numbers from 0 on and below 1."""
        for name in names:
            self._set(name, checks.check_number(name, getattr(self, name)))
            checks.check_rate(name, getattr(self, name))

    def _check_positive(self, *names: str) -> None:
        for name in names:
            self._set(name, checks.check_number(name, getattr(self, name)))
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be a positive number, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class SeriesSettings(TrainingSettings):
    """How windows of a table are cut and preprocessed, and how a model of them is trained.

    Attributes:
      window: rows that the model reads.
      horizon: rows that it predicts.
      units: sizes of the LSTM layers; one number for one layer.
      stride: rows from one training window to the next; "auto" is 1, or as large as it takes for at
        most 20,000 windows, and 256 MiB of them.
      preprocessing: `series.Preprocessing`: missing values, differencing, scaling; learnt from the
        training part alone.
    """

    window: int = 24
    horizon: int = 1
    units: tuple[int, ...] = (32,)
    stride: int | str = "auto"
    preprocessing: Preprocessing = Preprocessing()  # noqa: RUF009 (it is frozen)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_counts("window", "horizon")
        self._set("units", checks.check_units("units", self.units))
        stride_for(self.stride, windows=1, numbers=1)  # an error if it is none
        if not isinstance(self.preprocessing, Preprocessing):
            kind = type(self.preprocessing).__name__
            raise TypeError(f"preprocessing must be a series.Preprocessing, got {kind}")
