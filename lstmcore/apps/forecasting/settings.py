"""What a forecast depends on but for its data, and the order in which a model reads columns."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

from lstmcore import checks, specs
from lstmcore.formatting import count, few, shorten
from lstmcore.models.forecaster import Forecaster
from lstmcore.series import Preparation, arguments, stride_for

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """All that training a forecaster depends on but for the table.

    Attributes:
      window: rows of the past that the model reads.
      horizon: rows to forecast.
      units: sizes of the layers; one number for one layer.
      mode: "direct" or "recursive", see `lc.Forecaster`.
      targets: names of the columns to forecast; () takes all that are not known in advance.
      known: names of the columns known in advance, such as calendar, plans and prices.
      season: rows of a season, for the seasonal naive forecast and MASE; None if there is none.
      preparation: `series.Preparation`: missing values, differencing, scaling.
      stride: rows between the windows that are trained on; "auto" is 1, or as large as it takes for
        at most 20,000 windows, and 256 MiB of them.
      quantiles: rising, 0.5 among them, which is the point forecast; () forecasts the mean.
      dropout: rate, for training and for samples of the forecast.
      epochs: times through the windows, at most.
      batch_size: windows in a step of the optimizer.
      learning_rate: of Adam; gradients are clipped to a norm of 1.
      patience: stop after so many epochs without a lower validation loss (training loss, if nothing
        is held out), and keep the best; None does not.
      validation, test: fractions of the rows, the last ones in time, held out to stop training by
        and to evaluate on.
      seed: of weights, order and dropout.

    Raises:
      ValueError: numbers out of range, or choices that do not go together.
      TypeError: arguments of another kind.
    """

    window: int = 24
    horizon: int = 1
    units: tuple[int, ...] = (32,)
    mode: str = "direct"
    targets: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    season: int | None = None
    preparation: Preparation = Preparation()  # noqa: RUF009 (it is frozen)
    stride: int | str = "auto"
    quantiles: tuple[float, ...] = ()
    dropout: float = 0.0
    epochs: int = 100
    batch_size: int = 32
    learning_rate: float = 3e-3
    patience: int | None = 10
    validation: float = 0.15
    test: float = 0.15
    seed: int = 0

    def __post_init__(self):
        for name in ("window", "horizon", "epochs", "batch_size"):
            object.__setattr__(self, name, checks.check_count(name, getattr(self, name)))
        for name in ("season", "patience"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, checks.check_count(name, getattr(self, name)))
        if self.stride != "auto":
            object.__setattr__(self, "stride", checks.check_count("stride", self.stride))
        object.__setattr__(self, "seed", checks.check_seed("seed", self.seed))
        for name in ("learning_rate", "dropout", "validation", "test"):
            object.__setattr__(self, name, checks.check_number(name, getattr(self, name)))
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate must be a positive number, got {self.learning_rate}")
        for name in ("validation", "test"):
            checks.check_rate(name, getattr(self, name))
        for name in ("targets", "known"):
            object.__setattr__(self, name, _names(name, getattr(self, name)))
        object.__setattr__(self, "units", checks.check_units("units", self.units))
        object.__setattr__(self, "quantiles", checks.check_quantiles(self.quantiles))
        if not isinstance(self.preparation, Preparation):
            kind = type(self.preparation).__name__
            raise TypeError(f"preparation must be a series.Preparation, got {kind}")
        options = {"mode": self.mode, "quantiles": self.quantiles, "dropout": self.dropout}
        specs.forecaster(1, self.units, self.horizon, **options)
        if self.quantiles and 0.5 not in self.quantiles:
            raise ValueError(
                f"quantiles must hold 0.5, the point forecast, got {self.quantiles}: write for "
                "instance (0.1, 0.5, 0.9)"
            )
        short = [lag for lag in self.preparation.difference if lag < self.horizon]
        if self.quantiles and short:
            raise ValueError(
                f"differences of lag {short[0]} are added up to forecast "
                f"{count(self.horizon, 'row')}, and "
                "quantiles of sums are no sums of quantiles: take lags of at least the horizon, or "
                "dropout and samples instead of quantiles"
            )

    def to_json(self) -> dict:
        """Plain lists, numbers and strings, which `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict) -> Settings:
        """What `to_json` wrote; ValueError or TypeError if it is something else."""
        preparation = dict(stored["preparation"])
        preparation["difference"] = tuple(preparation["difference"])
        return cls(**stored | {"preparation": Preparation(**preparation)})

    def stride_for(self, windows: int, features: int) -> int:
        """Rows between windows, if a stride of 1 makes so many."""
        return stride_for(self.stride, windows, (self.window + self.horizon) * features)


class Columns(NamedTuple):
    """How the columns of a table stand before a model.

    order: positions in the table: targets, then those of which only the past is known, then known
    targets, known: how many
    """

    order: list[int]
    targets: int
    known: int


def arrange(columns: Sequence[str], settings: Settings) -> Columns:
    """Which columns of a table the model forecasts, reads, and knows in advance.

    Raises:
      ValueError: names that there are not, or twice, or that are on both sides.
    """
    names = _names("columns", columns)
    every = set(names)
    for kind in ("targets", "known"):
        for name in getattr(settings, kind):
            if name not in every:
                raise ValueError(f"{kind} names {shorten(name)!r} but the columns are {few(names)}")
    if both := set(settings.targets) & set(settings.known):
        raise ValueError(
            f"{min(both)!r} is among targets and known: what is known needs no forecast"
        )
    known = set(settings.known)
    targets = settings.targets or tuple(name for name in names if name not in known)
    if not targets:
        raise ValueError("all columns are known in advance: leave one to forecast")
    place = {name: number for number, name in enumerate(names)}
    others = place.keys() - {*targets, *settings.known}
    past = [name for name in names if name in others]
    order = [place[name] for name in (*targets, *past, *settings.known)]
    return Columns(order, len(targets), len(settings.known))


def build(settings: Settings, columns: Sequence[str]) -> Forecaster:
    """The model for these settings and columns."""
    order, targets, known = arrange(columns, settings)
    return Forecaster(
        len(order),
        settings.units,
        settings.horizon,
        targets=targets,
        known=known,
        mode=settings.mode,
        quantiles=settings.quantiles,
        dropout=settings.dropout,
    )


def as_table(values, columns: Sequence[str], name: str = "values") -> np.ndarray:
    """Return `values` as float64 [rows, F], one column for each name.

    Raises:
      ValueError, TypeError: they are not, see `series.arguments.as_table`.
    """
    if arguments.column_names(values) is None:
        try:
            values = np.asanyarray(values)
        except ValueError:  # which `as_table` explains
            return arguments.as_table(values, columns, name)
        if values.dtype.kind not in "iuf":
            raise TypeError(f"{name} must be real numbers, got {values.dtype}")
        checks.check_array(name, values[:, None] if values.ndim == 1 else values, "rows columns")
    return arguments.as_table(values, columns, name).astype(float)


def names_of(values, columns: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of a table's columns: those given, its own, or column_0, column_1, ...

    Raises:
      ValueError, TypeError: names that are no names, or twice the same.
    """
    own = arguments.column_names(values)
    if columns is not None:
        return _names("columns", columns)
    if own is not None:
        return own
    shape = np.shape(values)
    return tuple(f"column_{place}" for place in range(shape[1] if len(shape) > 1 else 1))


def as_float32(prepared: np.ndarray) -> np.ndarray:
    """A prepared table as a model reads it.

    Raises:
      ValueError: numbers that are too large.
    """
    if np.abs(prepared).max() > np.finfo(np.float32).max:
        raise ValueError(
            "prepared, some values do not fit into float32: scale them (scaling='standard'), or "
            "look for a column that hardly changes in the training part"
        )
    return prepared.astype(np.float32)


def _names(what: str, names) -> tuple[str, ...]:
    try:
        names = names if isinstance(names, str) else tuple(names)
    except TypeError:
        names = (names,)
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(
            f"{what} must be names such as ('load', 'price'), got {reprlib.repr(names)}"
        )
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise ValueError(f"{what} holds a name twice: {few([twice, twice])}")
    return tuple(names)
