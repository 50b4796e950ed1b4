"""The page docs/interop.md as a whole, with the lines that need PyTorch."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "interop.md"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch
def test_every_line_of_the_page_runs(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```(?:python|py)\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    names: dict = {}
    for block in blocks:
        exec(block, names)
    module, lstm = names["module"], names["lstm"]["lstm_0"]
    assert (module.weight_ih_l0.detach().numpy() == lstm.kernel.T).all()
    assert (module.bias_ih_l0.detach().numpy() == lstm.bias).all()
