"""Options made from the fields of a dataclass: their types, defaults and docstrings.

A field that is added to the settings of an application becomes an option of its command.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import wraps
from typing import Annotated, Any, get_args, get_origin

import typer

from lstmcore.apps.settings import FieldType, Stride, field_types
from lstmcore.cli.commands import LARGEST

EXAMPLES = {"SIZES": "128,64", "LAGS": "24,1", "NUMBERS": "2,4"}  # of options that are lists
PANELS = (  # in the order of the help
    "Data", "Preprocessing", "Model", "Training", "Detection", "Evaluation", "Output",
    "Reading the table",
)  # fmt: skip

Command = Callable[..., None]


def with_options(
    command: Command,
    options: Mapping[str, inspect.Parameter],
    received: str,
    read: Callable[[dict[str, Any]], Any],
) -> Command:
    """Return a command with more options, which it receives as one argument.

    Args:
      command: a function with the arguments and the options of its own, as Typer reads them.
      options: the other options by name.
      received: name of the argument.
      read: returns its value, given the values of the options by name.
    """
    signature = inspect.signature(command, eval_str=True)
    own = [parameter for name, parameter in signature.parameters.items() if name != received]

    @wraps(command)
    def run(**given: Any) -> None:
        values = {name: given.pop(name) for name in options}
        command(**given, **{received: read(values)})

    every = [*(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own), *options.values()]
    every.sort(key=_place)
    # Typer reads the signature and the annotations.
    run.__signature__ = signature.replace(parameters=every)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in every}
    return run


def takes(
    preset: Any, received: str, panel: str, *, flags: Mapping[str, str] | None = None
) -> Callable[[Command], Command]:
    """Return a decorator that gives a command an option for each field of a dataclass.

    The command receives an object of that class as the argument `received`.

    Args:
      preset: an object with the defaults.
      received: name of the argument.
      panel: of the help.
      flags: of options whose flags do not follow from the name of the field.
    """
    options = options_of({"": preset}, lambda _: panel, flags=flags, unset="")

    def read(given: dict[str, Any]) -> Any:
        try:
            return replace(preset, **given_values(type(preset), given))
        except (TypeError, ValueError) as error:
            raise typer.BadParameter(str(error)) from None

    return lambda command: with_options(command, options, received, read)


def options_of(
    presets: Mapping[str, Any],
    panel_of: Callable[[str], str],
    *,
    leave_out: Collection[str] = (),
    flags: Mapping[str, str] | None = None,
    unset: str = "off",
) -> dict[str, inspect.Parameter]:
    """Return an option for each field of a dataclass, by name; its default is None.

    Args:
      presets: objects of the class: the one at "" has the defaults that the help shows; of the
        others by name it shows where they differ.
      panel_of: returns the panel of the help for a field.
      leave_out: fields without an option.
      flags: of options whose flags do not follow from the name.
      unset: what the help shows for a default of None; if empty, no default is shown.
    """
    kind = type(presets[""])
    types, texts = field_types(kind), _documented(kind)
    options = {}
    for name in sorted(types.keys() - set(leave_out), key=lambda name: _rank(kind, name)):
        values = {preset: _shown(getattr(value, name), unset) for preset, value in presets.items()}
        usual = values.pop("")
        others = "".join(f"; {p}: {shown}" for p, shown in values.items() if shown != usual)
        default = f" [dim]\\[default: {usual}{others}][/dim]" if usual else ""
        flag = flag_of(name)
        if getattr(presets[""], name) is True:  # which is to be switched off
            flag += f"/--no-{flag.removeprefix('--')}"
        option = typer.Option(
            (flags or {}).get(name, flag),
            help=texts[name] + default,
            metavar=types[name].placeholder,
            rich_help_panel=panel_of(name),
        )
        options[name] = inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[_option_type(types[name]) | None, option],
        )
    return options


def given_values(kind: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given, converted to the types of the fields of a class."""
    types = field_types(kind)
    return {
        name: _value(name, value, types[name])
        for name, value in given.items()
        if name in types and value is not None
    }


def flag_of(name: str) -> str:
    """Return the option for a field: --batch-size for batch_size."""
    return f"--{name.replace('_', '-')}"


def names(text: str | None) -> tuple[str, ...]:
    """Return the names in an option such as `--columns load,temperature`."""
    return () if text is None else tuple(name.strip() for name in text.split(","))


def whole_numbers(text: str, flag: str, placeholder: str) -> tuple[int, ...]:
    """Return the numbers in an option such as `--units 128,64`, whose placeholder is SIZES."""
    try:
        numbers = tuple(int(size) for size in text.split(","))
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a list of {placeholder.lower()} such as {EXAMPLES[placeholder]}",
            param_hint=flag,
        ) from None
    if max(numbers) > LARGEST:
        raise typer.BadParameter(
            f"{max(numbers)} is too large a number: at most {LARGEST:,}", param_hint=flag
        )
    return numbers


def _place(parameter: inspect.Parameter) -> int:
    """Return the sort key of a parameter: arguments, then options by their panel of the help."""
    (info,) = getattr(parameter.annotation, "__metadata__", (None,))
    panel = getattr(info, "rich_help_panel", None)
    return PANELS.index(panel) if panel else -1


def _rank(kind: type, name: str) -> tuple[bool, int, int]:
    """Return the sort key of a field: those of the class before those of its bases; seed last."""
    owners = [place for place, base in enumerate(kind.__mro__) if name in _fields_of(base)]
    return name == "seed", owners[-1], _fields_of(kind).index(name)


def _fields_of(kind: type) -> list[str]:
    return list(getattr(kind, "__dataclass_fields__", ()))


def _documented(kind: type) -> dict[str, str]:
    """Return the help text of each field, from the docstrings of a class and its bases.

    It is the first sentence of the entry under "Attributes:".
    """
    found: dict[str, str] = {}
    for base in kind.__mro__:
        _, _, entries = (inspect.getdoc(base) or "").partition("Attributes:\n")
        entries = entries.partition("\n\n")[0]
        for name, text in re.findall(r"(?ms)^  (\w+): (.*?)(?=^  \w|\Z)", entries):
            sentence = re.split(r"\.\s", " ".join(text.split()) + " ", maxsplit=1)[0].rstrip(" .")
            plain = sentence.replace("`", "").replace("lc.", "")
            found.setdefault(name, f"{plain[0].upper()}{plain[1:]}.")
    return found


def _option_type(kind: FieldType) -> Any:
    """Return the type that Typer reads for a field."""
    is_text = kind.plain == get_args(Stride)[0] or get_origin(kind.plain) is tuple
    return str if is_text else kind.plain


def _shown(value: Any, unset: str) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return unset if value is None else str(value)


def _value(name: str, value: Any, kind: FieldType) -> Any:
    if kind.plain == get_args(Stride)[0] and value != "auto":
        unit = (kind.placeholder or "rows").lower()
        try:
            return int(value)
        except ValueError:
            raise typer.BadParameter(
                f"{value!r} is neither a number of {unit} nor auto", param_hint=flag_of(name)
            ) from None
    if get_origin(kind.plain) is tuple:
        if get_args(kind.plain)[0] is str:
            return names(value)
        return whole_numbers(value, flag_of(name), kind.placeholder or "NUMBERS")
    return value
