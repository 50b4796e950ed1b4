"""How to train: all that a run depends on but for its table."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from lstmcore import checks, series

MODES = ("reconstruction", "prediction", "composite")

__all__ = ["MODES", "TUTORIAL", "Settings"]


@dataclass(frozen=True)
class Settings:
    """How to train; the defaults suit a series of some hundreds of rows.

    mode: what the decoder writes, one of MODES
    window: rows that the encoder reads
    steps: rows that a prediction writes
    units, activation: of the model
    preparation: missing values, differencing, scaling; learnt from the rows that are trained on
    stride: rows from one window to the next, or "auto", see `series.stride_for`
    epochs, batch_size, learning_rate, patience: of `lc.fit`, with Adam
    validation: fraction of the windows, the last in time, that is held out; at least one if not 0
    seed: for weights and the order of examples
    first_row: rows before it are left out
    """

    mode: str = "reconstruction"
    window: int = 24
    steps: int = 1
    units: tuple[int, ...] = (64, 32)
    activation: str = "tanh"
    preparation: series.Preparation = series.Preparation()  # noqa: RUF009 (it is frozen)
    stride: int | str = "auto"
    epochs: int = 200
    batch_size: int = 32
    learning_rate: float = 3e-3
    patience: int | None = None
    validation: float = 0.0
    seed: int = 0
    first_row: int = 0

    def __post_init__(self):
        for name in ("window", "steps", "epochs", "batch_size"):
            checks.check_count(name, getattr(self, name))
        checks.check_seed("seed", self.seed)
        checks.check_count("first_row", self.first_row, minimum=0)
        if self.patience is not None:
            checks.check_count("patience", self.patience)
        series.stride_for(self.stride, windows=1, numbers=1)  # an error if it is none
        if not isinstance(self.preparation, series.Preparation):
            kind = type(self.preparation).__name__
            raise TypeError(f"preparation must be a series.Preparation, got {kind}")
        if self.mode not in MODES:
            raise ValueError(f"mode {self.mode!r} is not known: use one of {', '.join(MODES)}")
        if not 0 <= self.validation < 1:
            raise ValueError(
                f"validation must be a fraction, at least 0 and below 1, got {self.validation}"
            )
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate must be a positive number, got {self.learning_rate}")

    @property
    def horizon(self) -> int:
        """Rows after each window that the model is to write."""
        return 0 if self.mode == "reconstruction" else self.steps

    @property
    def parts(self) -> tuple[str, ...]:
        """What the model writes, in order."""
        return ("reconstruction", "prediction") if self.mode == "composite" else (self.mode,)

    @classmethod
    def from_json(cls, stored: dict) -> Settings:
        """What `to_json` wrote; LookupError, ValueError or TypeError if it is something else."""
        preparation = dict(stored["preparation"])
        preparation["difference"] = tuple(preparation["difference"])
        made = {"preparation": series.Preparation(**preparation), "units": tuple(stored["units"])}
        return cls(**stored | made)

    def to_json(self) -> dict:
        """Plain lists, numbers and strings, which `from_json` reads."""
        return asdict(self)


# The stacked LSTM autoencoder that most tutorials build (Ranjan 2019); its windows leave out the
# first two rows, see `series.temporalize`.
TUTORIAL = Settings(
    window=3,
    units=(128, 64),
    activation="relu",
    preparation=series.Preparation(scaling="none"),
    epochs=300,
    batch_size=5,
    learning_rate=1e-3,
    first_row=2,
)
