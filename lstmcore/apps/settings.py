"""Settings that the applications share: windows, preprocessing, training, seed.

Settings are a frozen dataclass, to which an application adds its own fields. The options of its
command are made from the fields and from their entries in the docstring.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self, get_args, get_type_hints

from lstmcore import checks
from lstmcore.series import Preprocessing, stride_for

__all__ = ["SeriesSettings", "TrainingSettings"]


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """The settings of training.

    Attributes:
      epochs: maximum number of passes through the training data.
      batch_size: examples in a step of the optimizer.
      learning_rate: step size of Adam.
      patience: stop after this many epochs without a lower validation loss (training loss, if
        nothing is held out), and keep the best epoch; 0 runs all epochs. So does None.
      validation: fraction of the data used for early stopping and not for training.
      seed: seed of weights, batch order and noise; the same seed gives the same result.

    Raises:
      ValueError: numbers out of range.
      TypeError: arguments of another type.
    """

    epochs: int = 100
    batch_size: int = 32
    learning_rate: float = 3e-3
    patience: int | None = 10
    validation: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.patience == 0 and not isinstance(self.patience, bool):
            self._set("patience", None)
        self._check_counts("epochs", "batch_size", "patience")
        self._check_fractions("validation")
        self._check_positive("learning_rate")
        self._set("seed", checks.check_seed("seed", self.seed))

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return the settings from the result of `to_json`.

        Raises:
          ValueError, TypeError, LookupError: `stored` is something else.
        """
        given = dict(stored)
        if "preprocessing" in given:
            choices = dict(given["preprocessing"])
            choices["difference"] = tuple(choices["difference"])
            given["preprocessing"] = Preprocessing(**choices)
        lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
        return cls(**given | lists)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as lists, numbers and strings, for `from_json`."""
        return asdict(self)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check_counts(self, *names: str) -> None:
        """Check that these fields are whole numbers from 1; or None, where the type allows it."""
        hints = get_type_hints(type(self))
        for name in names:
            value = getattr(self, name)
            if value is not None or type(None) not in get_args(hints[name]):
                self._set(name, checks.check_count(name, value))

    def _check_fractions(self, *names: str) -> None:
        """Check that these fields are at least 0 and below 1."""
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
    """The settings of training on windows of a table.

    Attributes:
      window: rows that the model reads.
      horizon: rows that it predicts.
      units: sizes of the LSTM layers, such as 32,16. One number stands for one layer.
      stride: rows from one training window to the next; auto is the smallest number that gives at
        most 20,000 windows. It also keeps them within 256 MiB.
      preprocessing: `series.Preprocessing`: missing values, differencing, scaling; fitted to the
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
        if self.stride != "auto":
            self._set("stride", stride_for(self.stride, windows=1, numbers=1))
        if not isinstance(self.preprocessing, Preprocessing):
            kind = type(self.preprocessing).__name__
            raise TypeError(f"preprocessing must be a series.Preprocessing, got {kind}")
