"""Fixtures of the tests of the command."""

import os
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from strategies import weights

import lstmcore as lc
from lstmcore.apps import training
from lstmcore.apps.autoencoding import folder


@pytest.fixture(scope="session", autouse=True)
def shared_programs():
    """Let commands in processes of their own find the programs that the tests have compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", os.environ["LSTMCORE_TESTED_PROGRAMS"])
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
        yield


def keep_first_weights(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(training, "fit", _first_weights)
    patch.setattr(training, "_init", lambda model, key: weights(model))


def _first_weights(loss, params, data, *, epochs, validation=None, **_):
    kinds = ["loss"] if validation is None else ["loss", "validation_loss"]
    return lc.FitResult(params, {kind: np.ones(epochs) for kind in kinds})


@pytest.fixture
def no_training(monkeypatch):
    """Models keep their first weights: other tests train, which takes long to compile."""
    keep_first_weights(monkeypatch)


@pytest.fixture(scope="module")
def no_training_in_this_module():
    with pytest.MonkeyPatch.context() as patch:
        keep_first_weights(patch)
        yield


@pytest.fixture
def no_figures(monkeypatch):
    """Draw nothing, which takes time: other tests look at the figures."""
    monkeypatch.setattr(folder, "write_figures", lambda *_: None)


@pytest.fixture
def empty_figures(monkeypatch):
    """Make the figures but do not render them, which takes time: their files are empty."""
    monkeypatch.setattr(Figure, "savefig", lambda _, path, **__: Path(path).touch())
