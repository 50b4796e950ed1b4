"""The settings of an autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lstmcore import checks
from lstmcore.apps.settings import SeriesSettings
from lstmcore.series import Preprocessing

MODES = ("reconstruction", "prediction", "composite")

__all__ = ["MODES", "TUTORIAL", "Settings"]


@dataclass(frozen=True, kw_only=True)
class Settings(SeriesSettings):
    """The settings of an autoencoder; the defaults suit a series of some hundreds of rows.

    The fields of `apps.settings.SeriesSettings`, with other defaults, and:

    Attributes:
      mode: what the decoder returns: "reconstruction" of the window, "prediction" of the rows after
        it, or "composite", both.
      activation: activation of every layer, such as tanh, relu or sigmoid.
      first_row: rows to leave out at the start of the table.
      horizon: rows to predict (modes prediction and composite).
      units: sizes of the layers of the encoder, which the decoder mirrors. The last is that of the
        code.
      validation: fraction of the windows, the last in time, used for validation and not for
        training. At least one if not 0.
    """

    mode: Literal["reconstruction", "prediction", "composite"] = "reconstruction"
    activation: str = "tanh"
    first_row: int = 0
    units: tuple[int, ...] = (64, 32)
    epochs: int = 200
    patience: int | None = None
    validation: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.check_choice("mode", self.mode, MODES)
        self._set("first_row", checks.check_count("first_row", self.first_row, minimum=0))

    @property
    def predicted_rows(self) -> int:
        """Return how many rows after each window the decoder returns."""
        return 0 if self.mode == "reconstruction" else self.horizon

    @property
    def span(self) -> int:
        """Return the rows of an example: those of the window and those to predict."""
        return self.window + self.predicted_rows

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
