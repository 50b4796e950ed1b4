"""The lines of the documentation that read a model of Keras as a chain."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from keras_parity import keras_promotion

import lstmcore as lc
from lstmcore import chain

PAGE = Path(__file__).parents[2] / "docs" / "networks.md"


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # get_weights
def test_the_lines_of_the_page_read_a_model_of_keras(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert "assert np.allclose(outputs, expected, atol=1e-5)" in block
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 9, size=(6, 12))
    tokens[np.arange(12) >= rng.integers(4, 12, size=(6, 1))] = 0
    names = {"np": np, "lc": lc, "tokens": tokens}
    with keras_promotion():
        exec(block, names)
    assert [replace(part, name=None) for part in names["model"].parts] == [
        chain.Embedding(9, 8, padding=0),
        chain.LSTM(16, direction="bidirectional", zero_output_for_mask=True),
        chain.Dense(2),
    ]
    padding = tokens == 0
    assert padding.any()
    assert np.ptp(names["expected"][padding], axis=0).max() == 0  # the bias of the head alone
