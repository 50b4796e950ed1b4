"""Command-line options from the fields of settings: their types, defaults and docstrings.

A field that is added to the settings of an application becomes an option of its command.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import wraps
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import typer

from lstmcore.apps.settings import TrainingSettings
from lstmcore.cli.terminal import sizes
from lstmcore.series import Preprocessing

AnySettings = TypeVar("AnySettings", bound=TrainingSettings)
AUTO = int | str  # a number, or the word "auto"

__all__ = ["names", "takes_settings", "with_chosen"]


def takes_settings(
    preset: TrainingSettings,
    others: Mapping[str, TrainingSettings] | None = None,
    *,
    leave_out: tuple[str, ...] = (),
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command an option for each field of its settings.

    The command receives the fields that were given as `chosen`, a dict for `with_chosen`.

    Args:
      preset: settings whose fields are the defaults, shown in the help.
      others: further presets of the command by name; the help shows where they differ.
      leave_out: fields without an option.
    """
    presets = {"": preset, **(others or {})}
    options = {p.name: p for p in _parameters(presets, leave_out)}

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        own = [p for name, p in signature.parameters.items() if name != "chosen"]
        # Arguments and the command's own options first, then those of the settings.
        first = [p for p in own if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        last = [p for p in own if p.kind is inspect.Parameter.KEYWORD_ONLY]

        @wraps(command)
        def run(**given: Any) -> None:
            texts = {name: given.pop(name) for name in options}
            command(**given, chosen=_values(preset, texts))

        parameters = [*first, *options.values(), *last]
        # Typer reads the signature and the annotations.
        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorated


def with_chosen(preset: AnySettings, chosen: Mapping[str, Any]) -> AnySettings:
    """Return `preset` with the fields that were given on the command line.

    Raises:
      ValueError, TypeError: as the settings themselves.
    """
    of_table = {name: value for name, value in chosen.items() if name in _names_of(Preprocessing)}
    rest: dict[str, Any] = {name: v for name, v in chosen.items() if name not in of_table}
    if of_table:
        rest["preprocessing"] = replace(preset.preprocessing, **of_table)  # type: ignore[attr-defined]
    return replace(preset, **rest)


def names(text: str | None) -> tuple[str, ...]:
    """Return the names in an option such as `--columns load,temperature`."""
    return () if text is None else tuple(name.strip() for name in text.split(","))


def _documented(kind: type) -> dict[str, tuple[str, type]]:
    """Return {field: (help text, class that has it first)} from the docstrings of a class.

    The help text is the first sentence of the entry under "Attributes:", in the class or a base.
    """
    found: dict[str, tuple[str, type]] = {}
    for base in kind.__mro__:
        _, _, attributes = (inspect.getdoc(base) or "").partition("Attributes:\n")
        for name, text in re.findall(r"(?ms)^  (\w+): (.*?)(?=^  \w|^\w|\Z)", attributes):
            if name not in _names_of(kind):  # an error, under "Raises:"
                continue
            sentence = re.split(r"\.\s", " ".join(text.split()) + " ", maxsplit=1)[0].rstrip(" .")
            plain = sentence.replace("`", "").replace("lc.", "")
            owner = next(b for b in reversed(kind.__mro__) if name in _names_of(b))
            found.setdefault(name, (f"{plain[0].upper()}{plain[1:]}.", owner))
    return found


def _parameters(
    presets: Mapping[str, TrainingSettings], leave_out: tuple[str, ...]
) -> list[inspect.Parameter]:
    kind = type(presets[""])
    made = _of_class(kind, presets, {"preprocessing", *leave_out})
    if "preprocessing" in _names_of(kind):
        tables = {name: preset.preprocessing for name, preset in presets.items()}  # type: ignore[attr-defined]
        made += _of_class(Preprocessing, tables, set(leave_out), "Preprocessing")
    return sorted(made, key=lambda parameter: parameter.name == "seed")


def _of_class(
    kind: type, presets: Mapping[str, Any], leave_out: set[str], panel: str = ""
) -> list[inspect.Parameter]:
    """Return an option for each field of a class: its own first, then those of its bases."""
    hints, texts = get_type_hints(kind), _documented(kind)
    made = []
    for name in sorted(_names_of(kind) - leave_out, key=lambda name: _rank(kind, texts, name)):
        text, owner = texts[name]
        values = {preset: _shown(getattr(value, name)) for preset, value in presets.items()}
        usual = values.pop("")
        others = "".join(f"; {p}: {shown}" for p, shown in values.items() if shown != usual)
        option_type, metavar = _option_type(hints[name], text)
        flag = f"--{name.replace('_', '-')}"
        option = typer.Option(
            flag,
            help=f"{text} [dim]\\[default: {usual}{others}][/dim]",
            metavar=metavar,
            rich_help_panel=panel or ("Training" if owner is TrainingSettings else "Model"),
        )
        made.append(
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[option_type | None, option],
            )
        )
    return made


def _rank(kind: type, texts: Mapping[str, tuple[str, type]], name: str) -> tuple[int, int]:
    """Return the sort key of an option: fields of the class itself first, in their order."""
    order = [field.name for field in fields(kind)]
    return kind.__mro__.index(texts[name][1]), order.index(name)


def _option_type(hint: Any, text: str) -> tuple[Any, str | None]:
    """Return the type of an option and its metavar, None for that of the type."""
    if hint == AUTO:
        return str, "ROWS"
    if type(None) in get_args(hint):
        hint = next(part for part in get_args(hint) if part is not type(None))
    if get_origin(hint) is tuple:
        if get_args(hint)[0] is str:
            return str, "NAMES"
        return str, "LAGS" if text.startswith("Lags ") else "SIZES"
    if hint is str:
        return str, "NAME"
    return hint, "ROWS" if text.startswith("Rows ") else None


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return "off" if value is None else str(value)


def _values(preset: TrainingSettings, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given, converted to the types of the fields."""
    hints = get_type_hints(Preprocessing) | get_type_hints(type(preset))
    return {
        name: _value(name, value, hints[name]) for name, value in given.items() if value is not None
    }


def _value(name: str, value: Any, hint: Any) -> Any:
    flag = f"--{name.replace('_', '-')}"
    if hint == AUTO and value != "auto":
        try:
            return int(value)
        except ValueError:
            raise typer.BadParameter(
                f"{value!r} is neither a number of rows nor auto", param_hint=flag
            ) from None
    if get_origin(hint) is tuple:
        return names(value) if get_args(hint)[0] is str else sizes(value, flag)
    return value


def _names_of(kind: type) -> set[str]:
    return set(getattr(kind, "__dataclass_fields__", ()))
