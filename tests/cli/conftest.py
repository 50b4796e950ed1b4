"""Fixtures of the tests of the command."""

import os
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from untrained import no_training

from lstmcore.apps.autoencoding import folder


@pytest.fixture(scope="session", autouse=True)
def shared_programs():
    """Let commands in processes of their own find the programs that the tests have compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", os.environ["LSTMCORE_TESTED_PROGRAMS"])
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
        yield


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
