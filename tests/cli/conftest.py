"""Fixtures of the tests of the command."""

import pytest

from lstmcore.apps.autoencoding import folder


@pytest.fixture
def no_figures(monkeypatch):
    """Draw nothing, which takes time: other tests look at the figures."""
    monkeypatch.setattr(folder, "write_figures", lambda *_: None)
