"""Settings that the applications share: windows, preprocessing, training, seed.

Settings are a frozen dataclass, to which an application adds its own fields. The type of a field
says what it may hold: `Annotated[int, check]` names a function `check(name, value)`, which returns
the value or raises an error. A word beside it is the placeholder of the value in the help of the
command, whose options are made from the fields and from their entries in the docstring.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple, Self, get_args, get_origin, get_type_hints

from lstmcore import activations, checks
from lstmcore.series import Preprocessing, stride_for


def check_epochs(name: str, value: Any) -> int | str:
    """Return a number of epochs, or "auto"."""
    if isinstance(value, str) and value == "auto":
        return value
    try:
        return checks.check_count(name, value)
    except (TypeError, ValueError) as error:
        raise type(error)(f'{error}: give "auto" or a number of epochs') from error


def check_patience(name: str, value: Any) -> int | str | None:
    """Return the number of epochs to wait, or "auto"; None for 0, which runs all epochs."""
    is_off = not isinstance(value, bool | str) and value == 0
    return None if is_off else check_epochs(name, value)


def check_fraction(name: str, value: Any) -> float:
    """Return a number of at least 0 and below 1."""
    number = checks.check_number(name, value)
    checks.check_rate(name, number)
    return number


def check_part(name: str, value: Any) -> float:
    """Return a fraction of the rows, from 0 on and below 1, or a whole number of rows."""
    number = checks.check_number(name, value)
    if number >= 1 and number.is_integer():
        return checks.check_count(name, int(number))
    if not 0 <= number < 1:
        raise ValueError(
            f"{name} must be a fraction of the rows, at least 0 and below 1, or a whole number of "
            f"them, got {value}"
        )
    return number


def check_positive(name: str, value: Any) -> float:
    """Return a finite number above 0."""
    number = checks.check_number(name, value)
    if not 0 < number < float("inf"):
        raise ValueError(f"{name} must be a positive number, got {number}")
    return number


def check_deviation(name: str, value: Any) -> float:
    """Return a finite number of at least 0."""
    number = checks.check_number(name, value)
    if not 0 <= number < float("inf"):
        raise ValueError(f"{name} must be a number from 0 on, got {number}")
    return number


def check_activation(name: str, value: Any) -> str:
    """Return the name of an activation."""
    activations.resolve(name, value)
    known = activations.name_of(value)
    if known is None:
        raise TypeError(f"{name} must be the name of an activation, got a function of your own")
    return known


def check_stride(name: str, value: Any) -> int | str:
    """Return a number of rows, or "auto"."""
    return value if value == "auto" else stride_for(value, windows=1, numbers=1)


def check_season(name: str, value: Any) -> int | str | None:
    """Return a number of rows, or "auto"; None for 0, which is no season."""
    if isinstance(value, str) and value == "auto":
        return value
    is_none = not isinstance(value, bool) and value == 0
    try:
        return None if is_none else checks.check_count(name, value)
    except (TypeError, ValueError) as error:
        raise type(error)(f'{error}: give "auto", a number of rows, or 0 for no season') from error


Count = Annotated[int, checks.check_count]
Epochs = Annotated[int | str, check_epochs, "EPOCHS"]
Rows = Annotated[int, checks.check_count, "ROWS"]
Sizes = Annotated[tuple[int, ...], checks.check_units, "SIZES"]
Stride = Annotated[int | str, check_stride, "ROWS"]
Season = Annotated[int | str, check_season, "ROWS"]
Fraction = Annotated[float, check_fraction]
Part = Annotated[float, check_part, "PART"]
Positive = Annotated[float, check_positive]
Deviation = Annotated[float, check_deviation]
AnyRows = Annotated[int, partial(checks.check_count, minimum=0), "ROWS"]
Activation = Annotated[str, check_activation, "NAME"]
Patience = Annotated[int | str, check_patience, "EPOCHS"]
Seed = Annotated[int, checks.check_seed]


# Steps of the optimizer that "auto" epochs, and "auto" patience, make at least, so that a small
# table is not left half trained: see docs/decisions.md.
STEPS, PATIENCE_STEPS = 2_000, 200


class FieldType(NamedTuple):
    """The type of a field, taken apart.

    Attributes:
      plain: the type without None and annotations.
      is_optional: whether the field may be None.
      check: the function that checks a value; None if `plain` says it all.
      placeholder: what stands for the value in a help text, such as "ROWS", or None.
    """

    plain: Any
    is_optional: bool
    check: Callable[[str, Any], Any] | None
    placeholder: str | None

    @classmethod
    def of(cls, hint: Any) -> FieldType:
        """Take a type apart: `T`, `T | None`, and either with Annotated."""
        others = [part for part in get_args(hint) if part is not type(None)]
        if type(None) in get_args(hint) and len(others) == 1:
            return cls.of(others[0])._replace(is_optional=True)
        if get_origin(hint) is not Annotated:
            return cls(hint, False, None, None)
        inner, *beside = get_args(hint)
        check = next(filter(callable, beside), None)
        placeholder = next((word for word in beside if isinstance(word, str)), None)
        return cls.of(inner)._replace(check=check, placeholder=placeholder)

    def checked(self, name: str, value: Any) -> Any:
        """Return the value of the field `name` as it is to be stored.

        Raises:
          TypeError, ValueError: the field cannot hold it.
        """
        if value is None and self.is_optional:
            return None
        if self.check is not None:
            return self.check(name, value)
        if get_origin(self.plain) is Literal:
            checks.check_choice(name, value, get_args(self.plain))
        elif not isinstance(value, get_origin(self.plain) or self.plain):
            expected = getattr(self.plain, "__name__", self.plain)
            raise TypeError(f"{name} must be {expected}, got {type(value).__name__}")
        return value


def field_types(kind: type) -> dict[str, FieldType]:
    """Return the type of each field of a dataclass, by name."""
    hints = get_type_hints(kind, include_extras=True)
    return {name: FieldType.of(hint) for name, hint in hints.items()}


@dataclass(frozen=True, kw_only=True)
class CheckedSettings:
    """Settings whose fields are checked by their types, and that become JSON."""

    def __post_init__(self) -> None:
        for name, kind in field_types(type(self)).items():
            object.__setattr__(self, name, kind.checked(name, getattr(self, name)))

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return the settings from the result of `to_json`.

        Raises:
          ValueError, TypeError, LookupError: `stored` is something else.
        """
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in stored.items()
        }
        if "preprocessing" in given:
            given["preprocessing"] = Preprocessing.from_json(given["preprocessing"])
        return cls(**given)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as lists, numbers and strings, for `from_json`."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(CheckedSettings):
    """The settings of training.

    Attributes:
      epochs: maximum number of passes through the training data; auto is 100, more where these
        would be fewer than 2,000 steps of the optimizer.
      batch_size: examples in a step of the optimizer.
      learning_rate: step size of Adam. Gradients are clipped to a norm of 1.
      patience: stop after this many epochs without a lower validation loss (training loss, if
        nothing is held out), and keep the best epoch; 0 runs all epochs. So does None. auto is 10,
        or more where these would be fewer than 200 steps of the optimizer.
      validation: fraction of the data used for early stopping and not for training.
      seed: seed of weights, batch order and noise; the same seed gives the same result.

    Raises:
      ValueError: numbers out of range, or an unknown choice.
      TypeError: arguments of another type.
    """

    epochs: Epochs = "auto"
    batch_size: Count = 32
    learning_rate: Positive = 3e-3
    patience: Patience | None = "auto"
    validation: Fraction = 0.1
    seed: Seed = 0

    @property
    def fewest_epochs(self) -> int:
        """Return how many epochs "auto" stands for at least."""
        return 100

    def epochs_for(self, batches: int) -> int:
        """Return the maximum number of epochs, given the number of batches in each."""
        if isinstance(self.epochs, int):
            return self.epochs
        return max(self.fewest_epochs, -(-STEPS // batches))

    def patience_for(self, batches: int) -> int | None:
        """Return how many epochs to wait for a lower loss, given the number of batches in each."""
        if isinstance(self.patience, str):
            return max(10, -(-PATIENCE_STEPS // batches))
        return self.patience


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

    window: Rows = 24
    horizon: Rows = 1
    units: Sizes = (32,)
    stride: Stride = "auto"
    preprocessing: Preprocessing = Preprocessing()  # noqa: RUF009 (it is frozen)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.predicted_rows and self.horizon != SeriesSettings.horizon:
            raise ValueError(
                f"horizon is {self.horizon}, but a reconstruction predicts no rows: leave horizon "
                "out, or choose a prediction"
            )

    @property
    def predicted_rows(self) -> int:
        """Return how many rows after each window are predicted."""
        return self.horizon

    @property
    def span(self) -> int:
        """Return the rows of a training example: those of the window and those to predict."""
        return self.window + self.predicted_rows

    def stride_for(self, windows: int, features: int) -> int:
        """Return the rows from one window to the next, given the number of windows at stride 1."""
        return stride_for(self.stride, windows, self.span * features)
