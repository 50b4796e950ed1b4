"""The folder of an earlier run, whose model a command uses again instead of training one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

from lstmcore._version import __version__
from lstmcore.apps import run_folder
from lstmcore.apps.run_folder import SETTINGS
from lstmcore.apps.saved import MODEL, Saved
from lstmcore.apps.settings import SeriesSettings
from lstmcore.cli import when
from lstmcore.cli.options import of_model
from lstmcore.cli.parameters import flag_of
from lstmcore.formatting import count, listed
from lstmcore.io import manifest
from lstmcore.io.description import read_description
from lstmcore.series import ReadOptions, Times

UPDATE_EPOCHS = 5
UPDATABLE = {  # options of the training alone, which --update leaves open
    "epochs", "batch_size", "learning_rate", "patience", "validation", "test", "seed",
    "train", "train_fraction", "train_until", "test_from", "resume",
}  # fmt: skip
Model = Annotated[
    Path | None,
    of_model(
        "--model",
        metavar="FOLDER",
        help="Use the model in the output folder of an earlier run; nothing is trained.",
    ),
]
Update = Annotated[
    bool,
    of_model(
        "--update",
        help="With --model: continue its training on this table, for "
        f"{UPDATE_EPOCHS} epochs if --epochs does not say otherwise, as a new model.",
    ),
]
AnySaved = TypeVar("AnySaved", bound=Saved)
AnySettings = TypeVar("AnySettings", bound=SeriesSettings)


class Origin(NamedTuple):
    """The table that a model was trained on, from the settings.json beside it.

    A model that was saved in Python has none, and then nothing is known.

    Attributes:
      source: its name.
      columns: its columns; () if they are unknown.
      reading: how the user asked for it to be read.
      interval: time from one row to the next, such as "1 hour", or None.
      trained_until: time of the last row that was trained on, from `when.moment_of`, or None.
      id: its column of ids, if it held separate series; "" if each was a table of its own.
    """

    source: str = "its training table"
    columns: tuple[str, ...] = ()
    reading: ReadOptions = ReadOptions()
    interval: str | None = None
    trained_until: str | None = None
    id: str | None = None


class Start(NamedTuple):
    """An earlier model, whose training continues. model: what the folder holds."""

    folder: Path
    model: Any
    origin: Origin


def check_options(
    folder: Path | None, update: bool, given: Mapping[str, Any], settings: Mapping[str, Any]
) -> None:
    """Refuse options that a trained model does not leave open.

    Args:
      folder: of the model; None without --model.
      update: whether its training is to continue.
      given: such options of the command by name; None and False are those that were not given.
      settings: fields of settings that were given.

    Raises:
      ValueError: one was given, or --update without --model.
    """
    if folder is None:
        if update:
            raise ValueError(
                "--update continues the training of an earlier model: name its folder with --model"
            )
        return
    every = {name: value for name, value in given.items() if value} | dict(settings)
    kept = [name for name in every if not (update and name in UPDATABLE)]
    if kept:
        flags = listed([_flag(name, every[name]) for name in kept])
        raise ValueError(
            f"--model uses the model in {folder} as it was trained: leave out {flags}, or train a "
            "new one without --model"
        )


def load(kind: type[AnySaved], folder: Path) -> tuple[AnySaved, Origin]:
    """Return the model in a folder, and what is known about the table it was trained on.

    Raises:
      FileNotFoundError: there is no such folder, or it holds something else.
      ValueError: a file is damaged, or the folder is of a later version of lstmcore.
    """
    try:
        saved = kind.load(folder)
        return saved, _origin(folder, kind)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}{_hint(folder, kind.COMMAND)}") from error
    except ValueError as error:
        raise ValueError(f"{error}{_of_version(folder)}") from error


def check_output(model: Path | None, asked: Path | None) -> None:
    """Refuse an output folder that holds the model, which the results would replace.

    Args:
      model: folder of the model, or None.
      asked: the output folder; None if it will be a new one.

    Raises:
      ValueError: it does.
    """
    if model and asked and asked.resolve() in (model / MODEL).resolve().parents:
        raise ValueError(
            f"the results would replace the model in {model}: choose another folder with --output"
        )


def start(kind: type[Saved], folder: Path | None) -> Start | None:
    """Return the model in a folder, which `load` reads; None without one."""
    return None if folder is None else Start(folder, *load(kind, folder))


def preset(usual: AnySettings, start: Start | None) -> AnySettings:
    """Return the settings from which a training starts: the usual ones, or those of the model."""
    return usual if start is None else replace(start.model.settings, epochs=UPDATE_EPOCHS)


def updated(start: Start | None) -> dict[str, str]:
    """Return what settings.json says of the model whose training was continued, if there is one."""
    return {} if start is None else {"updated": str(start.folder)}


def notes(start: Start | None, times: Times | None) -> list[str]:
    """Return sentences on what a model was trained on, for a report on a table with these times."""
    if start is None:
        return []
    folder, _, origin = start
    last = when.text_of(times, origin.trained_until)
    until = f", on rows up to {last}" if last else ""
    said = [f"the model in {folder} was trained on {origin.source}{until}"]
    earlier = when.rows_until(times, origin.trained_until)
    if earlier:
        said.append(
            f"{count(earlier, 'row')} of this table {'is' if earlier == 1 else 'are'} not later "
            "than that: if the model was trained on them, it does better there than elsewhere"
        )
    return said


def _flag(name: str, value: Any) -> str:
    flag = flag_of(name)
    return flag if value is not False else f"--no-{flag.removeprefix('--')}"


def _origin(folder: Path, kind: type[Saved]) -> Origin:
    if not (folder / SETTINGS).exists():
        return Origin()
    manifest.check_parts(folder, (SETTINGS,), kind.COMMAND)
    return read_description(folder / SETTINGS, _parse)


def _parse(stored: dict) -> Origin:
    interval, until, id = (stored.get(name) for name in ("interval", "trained_until", "id"))
    return Origin(
        str(stored.get("trained_on", stored["source"])),
        tuple(map(str, stored["columns"])),
        ReadOptions.from_json(stored.get("reading", {})),
        None if interval is None else str(interval),
        None if until is None else str(until),
        None if id is None else str(id),
    )


def _hint(folder: Path, command: str) -> str:
    """Return what else the folder holds, or why it is not there."""
    if run_folder.unfinished(folder) is not None:
        return f"; the run to {folder} has not ended: --resume continues it"
    try:
        holds = manifest.read(folder).kind
        used = read_description(folder / SETTINGS, lambda stored: stored.get("model"))
    except (OSError, ValueError):
        return ""
    if used:
        return f"; its results are those of the model in {used}"
    return "" if holds == command else f"; it holds the files of {holds}"


def _of_version(folder: Path) -> str:
    """Return the version that wrote the folder, if it is another."""
    try:
        version = manifest.read(folder).version
    except (OSError, ValueError):
        return ""
    if version == __version__:
        return ""
    return f" (lstmcore {version} wrote the folder, and this is {__version__})"
