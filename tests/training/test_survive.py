"""A process that is killed at random moments: nothing is lost, and nothing is left behind."""

from benchmarks.survive import survive


def test_a_killed_run_ends_as_one_that_was_not(tmp_path):
    found = survive(tmp_path, kills=2, epochs=60, seed=1)
    assert found.identical
    assert sorted(found.reached) == found.reached  # each went on from where the last one was
    assert found.while_writing >= 1
