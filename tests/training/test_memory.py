"""Freed memory that is kept for the next arrays."""

import platform
import subprocess
import sys

import pytest

import lstmcore as lc

FAULTS = """
import resource, numpy as np, lstmcore as lc

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(2**24, "int8")
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

first = faults()
print(lc.retain_memory(), lc.retain_memory(most=2**31 - 1))
faults()  # the heap grows
print(first, faults())
"""
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")


@glibc
def test_the_same_pages_are_used_again():
    command = [sys.executable, "-W", "error", "-c", FAULTS]
    done = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert done[:2] == ["True", "True"]
    before, after = map(int, done[2:])
    assert after < before / 10 or before < 20  # huge pages of the system take few faults anyway


@pytest.mark.parametrize("library", ["musl", "none"])
def test_another_c_library_is_left_alone(library, monkeypatch):
    def load(name):
        if library == "none":
            raise OSError("no such library")
        return object()  # without mallopt

    monkeypatch.setattr("ctypes.CDLL", load)
    assert lc.retain_memory() is False


@pytest.mark.parametrize(
    ("most", "message"),
    [
        (0, "most must be at least 1, got 0"),
        (2**31, "most must be at most 2,147,483,647, got 2147483648"),
    ],
)
def test_a_limit_that_is_none(most, message):
    with pytest.raises(ValueError, match=message):
        lc.retain_memory(most)
