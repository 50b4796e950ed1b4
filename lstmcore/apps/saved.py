"""A trained model with all that it needs, saved as a folder of files that belong together."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from lstmcore.apps.settings import SeriesSettings
from lstmcore.io import manifest
from lstmcore.io.description import check_model, read_description, write_description
from lstmcore.io.reading import damaged
from lstmcore.io.saved_folder import saved_folder
from lstmcore.models import saving
from lstmcore.series import Preprocessor

MODEL = "model.safetensors"


Settings = TypeVar("Settings", bound=SeriesSettings)


def parse_settings(kind: type[Settings], stored: dict) -> tuple[Settings, Preprocessor]:
    """Return the settings and the preprocessor of a description, which must agree."""
    settings = kind.from_json(stored["settings"])
    preprocessor = Preprocessor.from_json(stored["preprocessor"])
    if preprocessor.preprocessing != settings.preprocessing:
        raise ValueError(
            "settings and preprocessor do not agree: they describe different preprocessing"
        )
    return settings, preprocessor


class Saved(ABC):
    """Base of a frozen dataclass with the fields `model` and `params`.

    Attributes:
      DESCRIPTION: name of the JSON file with the other fields.
      COMMAND: the command that writes such a folder.
      OTHERS: names of the other files, besides the model.
    """

    DESCRIPTION: ClassVar[str]
    COMMAND: ClassVar[str]
    OTHERS: ClassVar[tuple[str, ...]] = ()
    model: Any
    params: dict

    @abstractmethod
    def _describe(self) -> dict[str, Any]:
        """Return the content of the description."""

    @staticmethod
    @abstractmethod
    def _parse(stored: dict) -> dict[str, Any]:
        """Return the fields from a description.

        Raises:
          ValueError, TypeError, LookupError: something is missing, or of another kind.
        """

    @staticmethod
    def _expected_model(fields: dict[str, Any]) -> Any:
        """Return the model that the fields ask for; None if they ask for none."""
        return None

    def save(self, folder: str | os.PathLike) -> None:
        """Write this object into a folder, which is made if it is not there; nothing is pickled.

        It replaces one of its kind that was saved there before; other files stay.

        Raises:
          FileExistsError: a file of the same name was not saved by lstmcore, or changed since.
          OSError: the folder cannot be written to.
        """
        with saved_folder(folder, type(self).__name__) as place:
            self.write_parts(place)

    def write_parts(self, folder: Path) -> None:
        """Write the files of `save` into a folder that gets a manifest later."""
        saving.save(folder / MODEL, self.model, self.params)
        write_description(folder / self.DESCRIPTION, self._describe())

    @classmethod
    def load(cls, folder: str | os.PathLike) -> Self:
        """Return what `save` wrote.

        Raises:
          FileNotFoundError: the folder, or a file in it, is not there.
          ValueError: a file is damaged, or the files are not of one object of this kind.
        """
        folder = Path(folder)
        parts = (cls.DESCRIPTION, MODEL, *cls.OTHERS)
        manifest.check_parts(folder, parts, f"{cls.__name__}.save or {cls.COMMAND}")
        fields = read_description(folder / cls.DESCRIPTION, cls._parse)
        model, params = saving.load(folder / MODEL)
        with damaged(folder / cls.DESCRIPTION):
            expected = cls._expected_model(fields)
        if expected is not None:
            check_model(folder / MODEL, model, folder / cls.DESCRIPTION, expected)
        every = {"model": model, "params": params} | fields | cls._read_others(folder, fields)
        try:
            return cls(**every)
        except ValueError as error:
            raise ValueError(f"{folder} holds no {cls.__name__.lower()}: {error}") from error

    @classmethod
    def _read_others(cls, folder: Path, fields: dict[str, Any]) -> dict[str, Any]:
        """Return the fields from the other files."""
        return {}
