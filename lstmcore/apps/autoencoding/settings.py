"""The settings of an autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from lstmcore.apps.settings import (
    Activation,
    AnyRows,
    Fraction,
    Patience,
    SeriesSettings,
    Sizes,
)
from lstmcore.series import Preprocessing

Mode = Literal["reconstruction", "prediction", "composite"]
MODES = get_args(Mode)


@dataclass(frozen=True, kw_only=True)
class Settings(SeriesSettings):
    """The settings of an autoencoder; the defaults suit a series of some hundreds of rows.

    The fields of `apps.settings.SeriesSettings`, with other defaults, and:

    Attributes:
      mode: what the decoder returns: "reconstruction" of the window, "prediction" of the rows after
        it, or "composite", both.
      activation: activation of every layer, such as tanh, relu or sigmoid.
      first_row: rows to leave out at the start of the table.
      epochs: maximum number of passes through the training data; auto is 200, more where these
        would be fewer than 2,000 steps of the optimizer.
      horizon: rows to predict (modes prediction and composite).
      units: sizes of the layers of the encoder, which the decoder mirrors. The last is that of the
        code.
      validation: fraction of the windows, the last in time, used for validation and not for
        training. At least one if not 0.
    """

    mode: Mode = "reconstruction"
    activation: Activation = "tanh"
    first_row: AnyRows = 0
    units: Sizes = (64, 32)
    patience: Patience | None = None
    validation: Fraction = 0.0

    @property
    def fewest_epochs(self) -> int:
        """Return how many epochs "auto" stands for at least."""
        return 200

    @property
    def predicted_rows(self) -> int:
        """Return how many rows after each window the decoder returns."""
        return 0 if self.mode == "reconstruction" else self.horizon

    @property
    def outputs(self) -> tuple[str, ...]:
        """Return the names of the outputs of the model, in order."""
        return ("reconstruction", "prediction") if self.mode == "composite" else (self.mode,)


# The stacked LSTM autoencoder of many tutorials (Ranjan 2019), whose windows leave out the first
# two rows; see `series.temporalize`.
TUTORIAL = Settings(
    window=3,
    units=(128, 64),
    activation="relu",
    preprocessing=Preprocessing(scaling="none"),
    epochs=300,
    batch_size=5,
    learning_rate=1e-3,
    first_row=2,
)
