"""The numbers that docs/inside.md states, from the networks that it opens."""

import os
import re
from pathlib import Path

import numpy as np
import peers
import pytest
from keras_parity import keras_promotion
from matplotlib.figure import Figure

PAGE = Path(__file__).parents[3] / "docs" / "inside.md"
BLOCK = re.compile(
    r"^```(python|py)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL
)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")

needed = peers.needed_by(PAGE)
pytestmark = pytest.mark.skipif(bool(peers.missing(needed)), reason=f"needs {needed}")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # get_weights
def test_the_page_prints_what_it_states(tmp_path, monkeypatch, capsys):
    """With the comparison with Keras, which needs JAX's usual promotion of dtypes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Figure, "savefig", lambda *_, **__: None)
    names: dict = {"__name__": "inside"}
    stated_blocks = 0
    for kind, block, stated in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if kind == "py":
            with keras_promotion():
                exec(block, names)
        else:
            exec(compile(block, PAGE.name, "exec"), names)
        printed = capsys.readouterr().out
        if not stated:
            continue
        stated_blocks += 1
        assert NUMBER.sub("#", printed) == NUMBER.sub("#", stated)
        found, expected = (np.array(NUMBER.findall(text), float) for text in (printed, stated))
        np.testing.assert_allclose(found, expected, rtol=0.03, atol=2e-3)
    assert stated_blocks == 4
    assert names["unit"] == 43
    assert {"silero.html", "textgenrnn.html"} <= set(os.listdir(tmp_path))
