"""All that a detector depends on but for its data, and the model that this describes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lstmcore import checks, series
from lstmcore.models.autoencoders import Autoencoder
from lstmcore.models.stacked import StackedLSTM

__all__ = ["COMBINATIONS", "METHODS", "Settings", "build"]

METHODS = ("reconstruction", "prediction")
COMBINATIONS = ("mean", "median")


@dataclass(frozen=True)
class Settings:
    """All that a detector depends on but for its data.

    Attributes:
      method: "reconstruction": an `lc.Autoencoder` writes each window again (Malhotra et al. 2016,
        "LSTM-based Encoder-Decoder for Multi-sensor Anomaly Detection"). "prediction": an
        `lc.StackedLSTM` writes at each row the next ones (Malhotra et al. 2015, "Long Short Term
        Memory Networks for Anomaly Detection in Time Series"); it can also watch a stream.
      window: rows of a training window. Reconstruction wants a window that its code can hold, so
        some tens of rows; prediction one that holds what the next row depends on. (On the series
        of `benchmarks.nab`, days of 288 rows, windows of 24 were far better than whole days.)
      units: sizes of the LSTM layers; for reconstruction those of the encoder, the last one that
        of the code.
      ahead: rows that a prediction writes; reconstruction does not use it. With several, the older
        predictions for a row do not know yet that something began, so an event lasts longer.
      activation: of every layer.
      preparation: `series.Preparation`: missing values, differencing, scaling.
      combine: "mean" or "median": what stands for a row that several windows (or predictions)
        hold.
      stride: rows between training windows. "auto" is the smallest that leaves at most 20,000
        windows and 2**26 numbers (256 MiB). Scoring always uses every window.
      masking: rate of numbers of a window that are set to 0, the mean under "standard" scaling, in
        what the model reads while training, not in what it is to write (Vincent et al. 2008,
        "Extracting and Composing Robust Features with Denoising Autoencoders").
      gaussian: standard deviation of noise that is added likewise, in scaled units.
      epochs, batch_size, learning_rate, patience: of `lc.fit`, with Adam.
      validation: share of the rows, the last in time, that is held out. Nothing is fitted to it,
        and no window crosses into it. At least a window of rows, if not 0.
      seed: of weights, order and noise.
    """

    method: str = "reconstruction"
    window: int = 24
    units: tuple[int, ...] = (32, 16)
    ahead: int = 1
    activation: str = "tanh"
    preparation: series.Preparation = field(default_factory=series.Preparation)
    combine: str = "mean"
    stride: int | str = "auto"
    masking: float = 0.0
    gaussian: float = 0.0
    epochs: int = 40
    batch_size: int = 32
    learning_rate: float = 3e-3
    patience: int | None = 10
    validation: float = 0.1
    seed: int = 0

    def __post_init__(self):
        object.__setattr__(self, "units", checks.check_units("units", self.units))
        checks.check_choice("method", self.method, METHODS)
        checks.check_choice("combine", self.combine, COMBINATIONS)
        for name in ("window", "ahead", "epochs", "batch_size"):
            checks.check_count(name, getattr(self, name))
        if self.patience is not None:
            checks.check_count("patience", self.patience)
        if isinstance(self.stride, str):
            if self.stride != "auto":
                raise ValueError(f'stride must be a number of rows or "auto", got {self.stride!r}')
        else:
            checks.check_count("stride", self.stride)
        checks.check_seed("seed", self.seed)
        if not isinstance(self.preparation, series.Preparation):
            raise TypeError(
                f"preparation must be a series.Preparation, got {type(self.preparation).__name__}"
            )
        for name in ("masking", "gaussian", "learning_rate", "validation"):
            object.__setattr__(self, name, checks.check_number(name, getattr(self, name)))
        for name in ("masking", "validation"):
            checks.check_rate(name, getattr(self, name))
        if not 0 <= self.gaussian < np.inf:
            raise ValueError(f"gaussian must be a number from 0 on, got {self.gaussian}")
        if not 0 < self.learning_rate < np.inf:
            raise ValueError(f"learning_rate must be a positive number, got {self.learning_rate}")

    @property
    def span(self) -> int:
        """Rows that a training example takes: the window, and what is to be predicted."""
        return self.window + (self.ahead if self.method == "prediction" else 0)


def build(settings: Settings, features: int) -> Autoencoder | StackedLSTM:
    """The model for these settings."""
    if settings.method == "reconstruction":
        return Autoencoder(features, settings.units, settings.activation)
    outputs = settings.ahead * features
    return StackedLSTM(features, settings.units, outputs, settings.activation)
