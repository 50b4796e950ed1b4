"""Fixtures of the tests of the command."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure
from untrained import no_training

from lstmcore.apps.autoencoding import folder


@pytest.fixture(name="no_training")
def _no_training():
    """Models keep random weights: other tests train."""
    with no_training():
        yield


@pytest.fixture(scope="module")
def no_training_in_this_module():
    """The same for a whole module, and for what its fixtures make."""
    with no_training():
        yield


@pytest.fixture
def no_figures(monkeypatch):
    """Draw nothing, which takes time: other tests look at the figures."""
    monkeypatch.setattr(folder, "write_figures", lambda *_: None)


@pytest.fixture
def empty_figures(monkeypatch):
    """Make the figures but do not render them, which takes time: their files are empty."""
    monkeypatch.setattr(Figure, "savefig", lambda _, path, **__: Path(path).touch())
