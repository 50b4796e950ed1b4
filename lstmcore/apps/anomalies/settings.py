"""All that a detector depends on but for its data, and the model that this describes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lstmcore import checks
from lstmcore.apps.settings import SeriesSettings
from lstmcore.models.autoencoders import Autoencoder
from lstmcore.models.stacked import StackedLSTM

__all__ = ["COMBINATIONS", "METHODS", "Settings", "build"]

METHODS = ("reconstruction", "prediction")
COMBINATIONS = ("mean", "median")


@dataclass(frozen=True, kw_only=True)
class Settings(SeriesSettings):
    """All that a detector depends on but for its data.

    The fields of `apps.settings.SeriesSettings`, with other defaults, and:

    Attributes:
      method: "reconstruction": an `lc.Autoencoder` returns each window again (Malhotra et al. 2016,
        "LSTM-based Encoder-Decoder for Multi-sensor Anomaly Detection"). "prediction": an
        `lc.StackedLSTM` predicts at each row the next ones (Malhotra et al. 2015, "Long Short Term
        Memory Networks for Anomaly Detection in Time Series"); it can also follow a stream.
      activation: of every layer.
      combine: "mean" or "median": what stands for a row that several windows (or predictions)
        hold.
      masking: fraction of the numbers of a window that are set to 0, the mean under "standard"
        scaling, in what the model reads while training, not in its target (Vincent et al. 2008,
        "Extracting and Composing Robust Features with Denoising Autoencoders").
      gaussian: standard deviation of noise that is added likewise, in scaled units.
      window: rows of a training window. Reconstruction wants a window that its code can hold, so
        some tens of rows; prediction one that holds what the next row depends on. (On the series
        of `benchmarks.nab`, days of 288 rows, windows of 24 were far better than whole days.)
      horizon: rows that a prediction returns; reconstruction does not use it. With several, the
        older predictions for a row do not know yet that something began, so an event lasts longer.
      units: sizes of the LSTM layers; for reconstruction those of the encoder, the last one that
        of the code.
      stride: rows between training windows. Scoring always uses every window.
      validation: fraction of the rows, the last in time, that is held out. Nothing is fitted to it,
        and no window crosses into it. At least a window of rows, if not 0.
    """

    method: str = "reconstruction"
    activation: str = "tanh"
    combine: str = "mean"
    masking: float = 0.0
    gaussian: float = 0.0
    units: tuple[int, ...] = (32, 16)
    epochs: int = 40

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.check_choice("method", self.method, METHODS)
        checks.check_choice("combine", self.combine, COMBINATIONS)
        self._check_fractions("masking")
        self._set("gaussian", checks.check_number("gaussian", self.gaussian))
        if not 0 <= self.gaussian < np.inf:
            raise ValueError(f"gaussian must be a number from 0 on, got {self.gaussian}")

    @property
    def span(self) -> int:
        """Rows that a training example takes: the window, and what is to be predicted."""
        return self.window + (self.horizon if self.method == "prediction" else 0)


def build(settings: Settings, features: int) -> Autoencoder | StackedLSTM:
    """The model for these settings."""
    if settings.method == "reconstruction":
        return Autoencoder(features, settings.units, settings.activation)
    outputs = settings.horizon * features
    return StackedLSTM(features, settings.units, outputs, settings.activation)
