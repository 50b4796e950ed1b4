"""Options from the settings of an application."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from lstmcore.apps.settings import SeriesSettings, TrainingSettings
from lstmcore.cli.parameters import Command, given_values, options_of, with_options
from lstmcore.series import Preprocessing

AnySettings = TypeVar("AnySettings", bound=TrainingSettings)
# Fields of applications in other panels than "Model".
PANELS = {
    "Data": (
        "season", "window", "horizon", "stride", "first_row", "targets", "future_covariates",
        "calendar", "max_length",
    ),
    "Training": ("dropout", "masking", "gaussian", "clip", "buckets"),
    "Detection": ("combine",),
    "Evaluation": ("test",),
}  # fmt: skip


def takes_settings(
    preset: TrainingSettings,
    others: Mapping[str, TrainingSettings] | None = None,
    *,
    leave_out: Collection[str] = (),
) -> Callable[[Command], Command]:
    """Return a decorator that gives a command an option for each field of its settings.

    The command receives the fields that were given as `chosen`, a dict for `with_chosen`.

    Args:
      preset: settings whose fields are the defaults, shown in the help.
      others: further presets of the command by name; the help shows where they differ.
      leave_out: fields without an option.
    """
    presets = {"": preset, **(others or {})}
    options = options_of(presets, _panel_of, leave_out={"preprocessing", *leave_out})
    tables = {
        name: settings.preprocessing
        for name, settings in presets.items()
        if isinstance(settings, SeriesSettings)
    }
    if tables:
        options |= options_of(tables, lambda _: "Preprocessing")

    def read(given: dict[str, Any]) -> dict[str, Any]:
        return given_values(type(preset), given) | given_values(Preprocessing, given)

    return lambda command: with_options(command, options, "chosen", read)


def with_chosen(preset: AnySettings, chosen: Mapping[str, Any]) -> AnySettings:
    """Return `preset` with the fields that were given on the command line.

    Raises:
      ValueError, TypeError: as the settings themselves.
    """
    changes = dict(chosen)
    if isinstance(preset, SeriesSettings):
        of_table = Preprocessing.__dataclass_fields__.keys() & changes.keys()
        table = {name: changes.pop(name) for name in of_table}
        changes["preprocessing"] = replace(preset.preprocessing, **table)
    return replace(preset, **changes)


def _panel_of(name: str) -> str:
    if name in TrainingSettings.__dataclass_fields__:
        return "Training"
    return next((panel for panel, fields in PANELS.items() if name in fields), "Model")
