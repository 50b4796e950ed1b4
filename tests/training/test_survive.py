"""A training that is killed at random moments loses nothing and leaves nothing behind."""

import pytest
from killed import survive

pytestmark = pytest.mark.thorough


def test_a_killed_run_ends_as_an_undisturbed_one(tmp_path):
    found = survive(tmp_path, kills=2, epochs=60, seed=1)
    assert found.identical
    assert sorted(found.reached) == found.reached  # each run resumed where the last one was killed
    assert found.while_writing >= 1
