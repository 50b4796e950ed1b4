"""The commands by name. Each is imported only when it is called, since importing JAX takes time."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise, takewhile
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from lstmcore.cli import packages

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}
LARGEST = 2**31 - 1  # JAX counts with 32 bits
LARGEST_SEED = 2**63 - 1
RENAMED = {  # options of 0.1.0.dev0: their present names
    "--ahead": "--horizon",
    "--known": "--future-covariates",
    "--steps": "--horizon",
    "--train-share": "--train-fraction",
}
UsageError: Any = typer.BadParameter.__mro__[1]  # of the click that this Typer has
NOT_VALID = re.compile(r"\ba valid (integer|int|number|float)\b")
EXTRA = re.compile(r"unexpected extra arguments? ?(?:\(s\) )?\((.*?)\)")
KINDS = {
    "integer": "a whole number", "int": "a whole number",
    "number": "a number", "float": "a number",
}  # fmt: skip
LISTS = ("NAMES", "SIZES", "LAGS", "NUMBERS", "TEXTS")  # placeholders of values with commas
SUMMARIES = {  # the first sentence of each command's help
    "anomalies": "Learn from normal rows, and find the segments of a table that differ from them.",
    "convert": "Write a network of one framework as a file of another, and check what was written.",
    "fit": "Train an LSTM autoencoder, print its output beside the target values, and draw its "
    "gates.",
    "forecast": "Forecast the rows after the last, and compare with simple forecasts.",
    "inspect": "Write a page that shows every gate of a trained network, unit by unit and step by "
    "step.",
    "summary": "Print the layers of a network, the shapes of their outputs, and the number of "
    "their weights.",
    "translate": "Train an encoder-decoder with attention on pairs of texts, and translate with "
    "it.",
}


class _PlainHelp:
    """A command or group whose help fills its paragraphs to the width of the terminal.

    Lines that are indented are kept. A flag, which takes no value, has no placeholder.
    """

    def __init__(self, *args: Any, help: str | None = None, **options: Any) -> None:
        filled = re.sub(r"(?<=\S)\n(?=\S)", " ", inspect.cleandoc(help or ""))
        super().__init__(*args, help=filled or None, **options)  # type: ignore[call-arg]

    def get_params(self, context) -> list:
        params = super().get_params(context)  # type: ignore[misc]
        for param in params:
            if getattr(param, "is_flag", False):
                param.metavar = ""
        return params


class Command(_PlainHelp, TyperCommand):
    """A command that first checks its packages, the devices of JAX and the size of numbers.

    Programs that it compiles are kept for the next time, unless there is --no-cache.
    """

    def parse_args(self, context, arguments) -> list[str]:
        known = {name for param in self.params for name in param.opts}
        for argument in takewhile("--".__ne__, arguments):
            old = argument.partition("=")[0]
            if old not in known and (name := RENAMED.get(old)) in known:
                context.fail(f"No such option: {old}. It is named {name} now.")
        given = list(arguments)  # which parsing takes apart
        try:
            rest = super().parse_args(context, arguments)
            _check_files(context, self.params, given)
            return rest
        except UsageError as error:
            if isinstance(error, typer.BadParameter):
                error.message = _bad_value(error, given)
            elif extra := EXTRA.search(error.message):
                error.message = _extra(extra[1], self.params, given)
            raise

    def invoke(self, context) -> Any:
        # See `options.NoCache`; a command without this option compiles nothing.
        compile_anew = context.params.pop("no_cache", True)
        for name, value in context.params.items():
            largest = LARGEST_SEED if name == "seed" else LARGEST
            if isinstance(value, int) and abs(value) > largest:
                raise typer.BadParameter(
                    f"{value} is too large a number: at most {largest:,}",
                    ctx=context,
                    param_hint=f"--{name.replace('_', '-')}",
                )
        try:
            # The command without the program, such as "translate train".
            packages.require_command(context.command_path.partition(" ")[2])
            check_jax()
        except (ImportError, ValueError) as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from error
        from lstmcore.training.memory import retain_memory

        retain_memory()
        if compile_anew:
            return super().invoke(context)
        from lstmcore.cli.program_cache import program_cache

        with program_cache():
            return super().invoke(context)


def _bad_value(error: Any, given: Sequence[str]) -> str:
    """Return the message about a value of the wrong kind; that of Typer may be of pydantic."""
    found = NOT_VALID.search(error.message)
    if found and error.param is not None:
        flags = set(error.param.opts)
        texts = [text.partition("=")[2] for text in given if text.partition("=")[0] in flags]
        texts += [text for flag, text in pairwise(given) if flag in flags]
        named = next((repr(text[:40]) for text in reversed(texts) if text), "the value")
        return f"{named} is not {KINDS[found[1]]}"
    return error.message.removeprefix("Value error, ").removesuffix(".")


def _check_files(context, params: Sequence[Any], given: Sequence[str]) -> None:
    """Refuse the rest of a list that is cut by spaces, which would be one of several tables."""
    sources = context.params.get("sources") or ()
    for source in sources if len(sources) > 1 else ():
        if str(source) != "-" and not source.exists() and _cut_list(str(source), params, given):
            context.fail(_extra(str(source), params, given))


def _extra(text: str, params: Sequence[Any], given: Sequence[str]) -> str:
    """Return the message about arguments too many, perhaps a list that is cut by spaces."""
    message, written = f"unexpected argument {text!r}", _cut_list(text, params, given)
    if written is None:
        return message
    return f"{message}: write commas, not spaces, between values: {written}"


def _cut_list(text: str, params: Sequence[Any], given: Sequence[str]) -> str | None:
    """Return the option that `text` seems to belong to, with commas; None if there is none."""
    lists = {
        flag for param in params if getattr(param, "metavar", "") in LISTS for flag in param.opts
    }
    for flag, one, other in zip(given, given[1:], given[2:], strict=False):
        is_list = flag in {*lists, "--time"} and not one.startswith("--")
        if is_list and other in {text, *text.split()}:
            return f"{flag} {one},{other}"
    return None


class Group(_PlainHelp, TyperGroup):
    """A group of commands that prints its help when none is named."""

    def parse_args(self, context, arguments) -> list[str]:
        if not arguments and not context.resilient_parsing:
            arguments = ["--help"]
        return super().parse_args(context, arguments)


class Commands(Group):
    """The group of all commands, which imports only the one that is called."""

    def resolve_command(self, context, arguments) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(context, arguments)
        return name, command if name is None else _load(name), rest


def _load(name: str) -> Any:
    """Return the command itself, in place of its placeholder in the help."""
    # XLA logs, as an error, what it thinks of the processor of each program read from the cache.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import jax  # noqa: F401
    except ValueError as error:  # of a setting such as JAX_ENABLE_X64=maybe
        typer.echo(f"error: JAX does not start with these environment variables: {error}", err=True)
        raise typer.Exit(1) from error
    module = import_module(f"lstmcore.cli.{name}")
    if hasattr(module, "app"):
        return typer.main.get_command(module.app)
    alone = typer.Typer(
        add_completion=False, rich_markup_mode="rich", context_settings=HELP_OPTIONS
    )
    alone.command(name, cls=Command)(getattr(module, name))
    return typer.main.get_command(alone)


def check_jax() -> None:
    """Check that the devices that JAX is set to use exist, before anything is computed.

    Raises:
      ValueError: they do not.
    """
    import jax

    platforms = jax.config.jax_platforms  # type: ignore[attr-defined]
    if not platforms or "cpu" in platforms.split(","):
        return  # the CPU is always there; its number of devices is chosen later
    try:
        jax.devices()
    except Exception as error:  # RuntimeError, or AssertionError for CUDA without its plugin
        raise ValueError(
            f"JAX cannot use JAX_PLATFORMS={platforms} on this machine: unset it to use the "
            "devices there are, or install JAX for that platform, see https://docs.jax.dev/installation.html"
        ) from error
