"""Options from settings: a field is an option at once, with its docstring as the help."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
import typer
from typer.testing import CliRunner

from lstmcore.apps.settings import Count, Rows, SeriesSettings
from lstmcore.cli.settings_options import takes_settings, with_chosen
from lstmcore.series import Preprocessing


@dataclass(frozen=True, kw_only=True)
class Toy(SeriesSettings):
    """The settings of a toy.

    Attributes:
      colour: colour of the toy, as in `lc.colours`. A second sentence is for Python alone.
      shape: "round" or "square".
      parts: names of its parts.
      limit: rows at most; None if there is no limit.
      loud: make a noise.
      secret: not for the command line.
      epochs: days of play.
    """

    colour: Annotated[str, "NAME"] = "red"
    shape: Literal["round", "square"] = "round"
    parts: Annotated[tuple[str, ...], "NAMES"] = ()
    limit: Rows | None = None
    loud: bool = False
    secret: int = 1
    epochs: Count = 9


PRESET = Toy(preprocessing=Preprocessing(missing="forward"))
SMALL = Toy(epochs=2, units=(4,))
ENVIRONMENT = {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1", "FORCE_COLOR": None}
received: list[tuple[str, Toy]] = []


@takes_settings(PRESET, {"small": SMALL}, leave_out=("secret",))
def play(name: str = "x", *, chosen: dict[str, Any]) -> None:
    received.append((name, with_chosen(PRESET, chosen)))


app = typer.Typer()
app.command()(play)


def call(*arguments) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(one) for one in arguments], env=ENVIRONMENT)
    return result.exit_code, " ".join(re.sub("[│╭╮╰╯─]", " ", result.output).split())


def chosen(*arguments) -> Toy:
    received.clear()
    status, text = call(*arguments)
    assert status == 0, text
    ((_, settings),) = received
    return settings


def test_without_options_the_preset_is_used():
    assert chosen() == PRESET


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [
        (["--colour", "blue"], {"colour": "blue"}),
        (["--shape", "square"], {"shape": "square"}),
        (["--parts", "head, tail"], {"parts": ("head", "tail")}),
        (["--limit", 3], {"limit": 3}),
        (["--loud"], {"loud": True}),
        (["--units", "8,4"], {"units": (8, 4)}),
        (["--stride", 5], {"stride": 5}),
        (["--stride", "auto"], {"stride": "auto"}),
        (["--patience", 0], {"patience": 0}),
        (["--learning-rate", 0.5], {"learning_rate": 0.5}),
        (
            ["--scaling", "minmax", "--difference", "24,1"],
            {
                "preprocessing": Preprocessing(
                    missing="forward", difference=(24, 1), scaling="minmax"
                )
            },
        ),
    ],
)
def test_each_field_is_an_option(arguments, changes):
    expected = {name: getattr(PRESET, name) for name in PRESET.__dataclass_fields__} | changes
    assert chosen(*arguments) == Toy(**expected)


def test_own_parameters_of_the_command_stay():
    received.clear()
    assert call("--name", "ball", "--colour", "blue")[0] == 0
    assert received[0][0] == "ball"


def test_the_help_is_the_first_sentence_of_the_docstring():
    status, text = call("--help")
    assert status == 0
    for words in (
        "--colour NAME Colour of the toy, as in colours. [default: red]",
        "--shape <round|square>",
        '"Round" or "square"'.replace("Round", "round"),
        "--parts NAMES Names of its parts. [default: none]",
        "--limit ROWS Rows at most; None if there is no limit. [default: off]",
        "Make a noise. [default: off]",
        "--missing <refuse|forward|mean>",
        "[default: forward; small: refuse]",
    ):
        assert words in text
    assert "second sentence" not in text
    assert "secret" not in text


def test_the_help_shows_where_presets_differ():
    _, text = call("--help")
    assert "Days of play. [default: 9; small: 2]" in text  # of the class, not of its base
    assert "[default: 32; small: 4]" in text  # units
    assert "[default: 24]" in text  # window, of which both have as many


def test_groups_of_options_and_their_order():
    _, text = call("--help")
    places = [text.index(f" {words} ") for words in ("Data", "Preprocessing", "Model", "Training")]
    assert places == sorted(places)
    assert places[0] < text.index("--window") < places[1] < text.index("--scaling") < places[2]
    assert places[2] < text.index("--colour") < text.index("--units") < places[3]
    assert places[3] < text.index("--epochs") < text.index("--seed")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--secret", 2], "No such option.*--secret"),
        (["--shape", "flat"], "--shape.*'flat' is not one of 'round', 'square'"),
        (["--units", "a,b"], "--units.*'a,b' is not a list of sizes such as 128,64"),
        (["--units", "99999999999"], "--units.*99999999999 is too large a number"),
        (["--difference", "x"], "--difference.*'x' is not a list of lags such as 24,1"),
        (["--stride", "often"], "--stride.*'often' is neither a number of rows nor auto"),
        (["--limit", "x"], "--limit.* valid integer"),
    ],
)
def test_bad_values_name_the_option(arguments, message):
    status, text = call(*arguments)
    assert status == 2
    assert re.search(message, text), text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"stride": 0}, "stride"),
        ({"missing": "often"}, "missing"),
    ],
)
def test_values_out_of_range_name_the_field(changes, message):
    with pytest.raises(ValueError, match=message):
        with_chosen(PRESET, changes)
