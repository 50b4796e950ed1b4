"""Calling the command `lstmcore` as its user does, and reading what it left behind."""

import csv
import json
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from typer.testing import CliRunner

import lstmcore as lc
from lstmcore.cli import app


class Run(NamedTuple):
    """Result of one call of the command."""

    exit_code: int
    text: str
    folder: Path

    def files(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}

    def rows(self, name: str) -> list[dict]:
        with open(self.folder / name, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def column(self, name: str, *headings: str) -> np.ndarray:
        return np.array([[float(row[h]) for h in headings] for row in self.rows(name)])

    def settings(self) -> dict:
        return json.loads((self.folder / "settings.json").read_text(encoding="utf-8"))

    def model(self):
        return lc.load(self.folder / "model.safetensors")


TERMINAL = {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1", "FORCE_COLOR": None}


def call(*arguments) -> Run:
    """Call the command; its last argument is the folder that it is to write to."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env=TERMINAL)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    # Words alone: colours, frames and line breaks depend on the terminal.
    text = re.sub(r"\x1b\[[0-9;]*m|[│╭╮╰╯─]", " ", result.output)
    return Run(result.exit_code, " ".join(text.split()), Path(str(("", *arguments)[-1])))
