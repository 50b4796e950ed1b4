"""The lines of the documentation that bring the weights of a Keras model into a chain."""

import re
from pathlib import Path

import numpy as np
import pytest
from keras_parity import keras_promotion

import lstmcore as lc
from lstmcore import chain

PAGE = Path(__file__).parents[2] / "docs" / "networks.md"


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # get_weights
def test_the_lines_of_the_page_bring_weights_from_keras():
    (block,) = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert "assert np.allclose(outputs[real], expected[real], atol=1e-5)" in block
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 9, size=(6, 12))
    tokens[np.arange(12) >= rng.integers(4, 12, size=(6, 1))] = 0
    parts = [chain.Embedding(9, 8, padding=0), chain.LSTM(16, direction="bidirectional")]
    names = {"np": np, "tokens": tokens, "tagger": lc.Chain([*parts, chain.Dense(2)])}
    with keras_promotion():
        exec(block, names)
    padding = tokens == 0
    assert np.ptp(names["expected"][padding], axis=0).max() == 0  # the bias of the head alone
    assert np.abs(names["outputs"] - names["expected"])[padding].max() > 1e-3
