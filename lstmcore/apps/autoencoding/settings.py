"""How to train an autoencoder: all that a run depends on but for its table."""

from __future__ import annotations

from dataclasses import dataclass

from lstmcore import checks
from lstmcore.apps.settings import SeriesSettings
from lstmcore.series import Preprocessing

MODES = ("reconstruction", "prediction", "composite")

__all__ = ["MODES", "TUTORIAL", "Settings"]


@dataclass(frozen=True, kw_only=True)
class Settings(SeriesSettings):
    """How to train; the defaults suit a series of some hundreds of rows.

    The fields of `apps.settings.SeriesSettings`, with other defaults, and:

    Attributes:
      mode: what the decoder returns: "reconstruction", the window again; "prediction", the rows
        after it; "composite", both.
      activation: of every layer: tanh, relu, sigmoid, softsign, ...
      first_row: rows before it are left out.
      horizon: rows that a prediction returns; a reconstruction does not use it.
      units: sizes of the encoder's layers, the last one that of the code; the decoder mirrors them.
      validation: fraction of the windows, the last in time, that is held out of training; at least
        one if not 0.
    """

    mode: str = "reconstruction"
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
        """Rows after each window that the decoder returns."""
        return 0 if self.mode == "reconstruction" else self.horizon

    @property
    def span(self) -> int:
        """Rows of an example: the window, and what is to be predicted."""
        return self.window + self.predicted_rows

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what the model returns, in order."""
        return ("reconstruction", "prediction") if self.mode == "composite" else (self.mode,)


# The stacked LSTM autoencoder that most tutorials build (Ranjan 2019); its windows leave out the
# first two rows, see `series.temporalize`.
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
