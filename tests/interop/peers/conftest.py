"""Tests against the frameworks themselves, which `.ci/peers.txt` lists: `pytest --peers -m peers`.

Each module is left out where the framework that it imports is not installed.
"""

from pathlib import Path

import pytest


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.peers)
