"""The settings of a detector, and the model that they describe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lstmcore.apps.settings import (
    Activation,
    Deviation,
    Fraction,
    Season,
    SeriesSettings,
    Sizes,
)
from lstmcore.models.autoencoders import Autoencoder
from lstmcore.models.stacked import StackedLSTM


@dataclass(frozen=True, kw_only=True)
class Settings(SeriesSettings):
    """The settings of a detector.

    The fields of `apps.settings.SeriesSettings`, with other defaults, and:

    Attributes:
      method: what a row is compared with: "prediction" from the rows before it, or "reconstruction"
        of the windows that hold it by an autoencoder. The first is an `lc.StackedLSTM` (Malhotra
        et al. 2015, "Long Short Term Memory Networks for Anomaly Detection in Time Series"), which
        can also read a stream, the second an `lc.Autoencoder` (Malhotra et al. 2016, "LSTM-based
        Encoder-Decoder for Multi-sensor Anomaly Detection").
      season: rows in a season, which is removed first; auto looks for it in the training part, 0 is
        none. See `series.seasonal_level`; the first season of a series has no score. None is 0.
      search: take differences of lag 1, unless some are given, if the training part drifts. See
        `preprocessing.choose`.
      levels: scaling of separate series that have ids: one for all of them (common), or each by
        mean and standard deviation of its own training rows (own); auto takes the one under which
        the last fifth of each is likelier, given the rest.
      activation: activation of every layer, such as tanh, relu or sigmoid.
      combine: how several reconstructions or predictions of a row are combined: "mean" or "median".
      masking: fraction of the inputs that is set to 0 in training, against overfitting. 0 is the
        mean under "standard" scaling; the target is not changed (Vincent et al. 2008, "Extracting
        and Composing Robust Features with Denoising Autoencoders").
      gaussian: standard deviation of the noise added to the inputs in training, in scaled units.
      window: rows that the model reads. For reconstruction a window that the code can hold, some
        tens of rows; for prediction one that holds what the next row depends on. (On the series
        of `benchmarks.studies.nab`, days of 288 rows, windows of 24 were far better than whole
        days.)
      horizon: rows to predict (method prediction). With several, the older predictions for a row
        come from before an event began, so the event lasts longer.
      units: sizes of the LSTM layers. For reconstruction those of the encoder; the last is the size
        of the code.
      epochs: maximum number of passes through the training data; auto is 40, more where these
        would be fewer than 2,000 steps of the optimizer.
      validation: fraction of the training rows, the last in time, used for early stopping. Nothing
        is fitted to it, and no window crosses into it. At least a window of rows, if not 0. Of
        separate series it is a fraction of these, drawn at random.
    """

    method: Literal["prediction", "reconstruction"] = "prediction"
    season: Season | None = "auto"
    search: bool = True
    levels: Literal["auto", "common", "own"] = "auto"
    activation: Activation = "tanh"
    combine: Literal["mean", "median"] = "mean"
    masking: Fraction = 0.0
    gaussian: Deviation = 0.0
    units: Sizes = (32, 16)

    @property
    def fewest_epochs(self) -> int:
        """Return how many epochs "auto" stands for at least."""
        return 40

    @property
    def season_rows(self) -> int | None:
        """Return the rows of the season; None if there is none, or none has been looked for yet."""
        return self.season if isinstance(self.season, int) else None

    @property
    def dropped_rows(self) -> int:
        """Return the number of rows at the start of a table that the model does not read."""
        return (self.season_rows or 0) + self.preprocessing.dropped_rows

    @property
    def predicted_rows(self) -> int:
        """Return how many rows after each window, or after each row, are predicted."""
        return 0 if self.method == "reconstruction" else self.horizon

    def validation_rows(self, rows: int) -> int:
        """Return how many of the rows given to `train`, the last ones, are for validation."""
        return max(self.span, round(self.validation * rows)) if self.validation else 0


def build(settings: Settings, features: int) -> Autoencoder | StackedLSTM:
    """Return the model that the settings describe."""
    if settings.method == "reconstruction":
        return Autoencoder(features, settings.units, settings.activation)
    outputs = settings.horizon * features
    return StackedLSTM(features, settings.units, outputs, settings.activation)
