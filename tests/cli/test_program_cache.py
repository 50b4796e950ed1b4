"""The cache of compiled programs: used again, never in the way, and of no use to anybody else."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import jax
import pytest

from lstmcore.cli import program_cache
from lstmcore.cli.program_cache import ProgramCache, cache_folder, remove_oldest
from lstmcore.io import locks

FIT = ["-m", "lstmcore", "fit", "--epochs", "1", "--units", "2", "--output"]


def run(arguments, cache, **variables):
    """Run Python in a process of its own with the cache folder `cache`; return the process."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_COMPILATION")}
    environment |= {"LSTMCORE_CACHE": str(cache), **variables}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def fit(folder, cache, *options, **variables):
    """Return the output of `lstmcore fit`, which warns of nothing."""
    done = run([*FIT, folder, *options], cache, **variables)
    assert done.returncode == 0, done.stderr
    assert all(line.startswith("training ") for line in done.stderr.splitlines()), done.stderr
    return (folder / "output.csv").read_bytes()


def programs(cache) -> dict[Path, int]:
    """Return the programs and the numbers of their files, which change when one is replaced."""
    return {path: path.stat().st_ino for path in cache.rglob("*.program")}


def test_programs_are_kept_and_used_again(tmp_path):
    cache = tmp_path / "cache"
    output = fit(tmp_path / "1", cache)
    kept = programs(cache)
    assert kept
    assert {path.suffix for path in cache.rglob("*") if path.is_file()} == {".program"}
    damaged = sorted(kept)[::2]
    for path in damaged:
        path.write_bytes(path.read_bytes()[:-20])
    assert fit(tmp_path / "2", cache) == output
    again = programs(cache)
    assert again.keys() == kept.keys()
    assert {path for path in kept if again[path] != kept[path]} == set(damaged)


def test_a_folder_that_cannot_be_used_is_no_reason_to_stop(tmp_path):
    file = tmp_path / "file"
    file.touch()
    fit(tmp_path / "run", file)
    assert file.read_bytes() == b""


@pytest.mark.thorough
def test_without_it_nothing_is_kept(tmp_path):
    cache, own = tmp_path / "cache", tmp_path / "own"
    output = fit(tmp_path / "1", cache, "--no-cache")
    assert fit(tmp_path / "2", cache, JAX_COMPILATION_CACHE_DIR=str(own)) == output
    assert fit(tmp_path / "3", cache, JAX_ENABLE_COMPILATION_CACHE="false") == output
    assert not cache.exists()


@pytest.mark.thorough
def test_the_library_keeps_nothing(tmp_path):
    code = """
import lstmcore as lc, numpy as np
x = np.ones((4, 1), np.float32)
lc.fit(lambda p, x: (p * x).mean(), x[0], x, epochs=1, batch_size=2)
"""
    done = run(["-c", code], tmp_path / "cache", HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("system", "variables", "folder"),
    [
        ("linux", {}, "{home}/.cache"),
        ("linux", {"XDG_CACHE_HOME": "/caches"}, "/caches"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "{home}/.cache"),
        ("darwin", {"XDG_CACHE_HOME": "/caches"}, "{home}/Library/Caches"),
        ("win32", {}, "{home}/AppData/Local"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local"),
    ],
)
def test_the_folder_is_that_of_the_system(monkeypatch, tmp_path, system, variables, folder):
    for name in ("LSTMCORE_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": str(tmp_path), **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", system)
    assert cache_folder() == Path(folder.format(home=tmp_path)) / "lstmcore" / "programs"


def test_nothing_is_used_without_a_home(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("LSTMCORE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with program_cache.program_cache():
        assert float(jax.jit(lambda x: x + 1)(1.0)) == 2


def test_a_home_that_is_relative_is_none(monkeypatch):
    for name in ("LSTMCORE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: Path("."))
    with pytest.raises(RuntimeError, match=r"the home folder \. is relative"):
        cache_folder()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither locks nor modes")
def test_a_folder_without_locks_is_not_used(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError("no locks available")

    monkeypatch.setattr(locks.fcntl, "flock", refused)
    with pytest.raises(OSError, match="has no locks"):
        ProgramCache(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither locks nor modes")
def test_all_folders_that_are_made_are_private(tmp_path):
    before = os.umask(0)
    try:
        ProgramCache(tmp_path / "a" / "b").close()
    finally:
        os.umask(before)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b")]
    assert modes == [0o700, 0o700]


def test_a_folder_that_others_can_write_to_is_not_used(tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(PermissionError, match="others"):
        ProgramCache(tmp_path)
    own = tmp_path / "own"
    ProgramCache(own).close()
    assert own.stat().st_mode & 0o777 == 0o700


@pytest.fixture
def cache(tmp_path):
    cache = ProgramCache(tmp_path / "cache")
    yield cache
    cache.close()


def test_a_damaged_program_is_none(cache):
    assert cache.get("key") is None
    cache.put("key", b"program")
    assert cache.get("key") == b"program"
    assert cache.get("other") is None
    [path] = programs(cache.folder)
    sound = path.read_bytes()
    for length in range(len(sound)):
        path.write_bytes(sound[:length])
        assert cache.get("key") is None
        path.write_bytes(sound[:length] + bytes([sound[length] ^ 1]) + sound[length + 1 :])
        assert cache.get("key") is None


def test_a_reader_never_meets_half_a_program(cache, tmp_path):
    values = [bytes([number]) * 300_000 for number in range(2)]
    cache.put("key", values[0])
    others = [ProgramCache(cache.folder) for _ in values]

    def write(cache, value):
        for _ in range(50):
            cache.put("key", value)

    threads = [
        threading.Thread(target=write, args=pair) for pair in zip(others, values, strict=True)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert cache.get("key") in values
    for thread, other in zip(threads, others, strict=True):
        thread.join()
        other.close()


def test_a_full_disk_keeps_nothing(cache, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    cache.put("key", b"program")
    assert not cache.wrote
    assert not programs(cache.folder)


DIE = """
import os, signal, sys
from pathlib import Path
from lstmcore.cli.program_cache import LINKED, ProgramCache
cache = ProgramCache(Path(sys.argv[1]))
cache.put("key", b"program")
cache.get("key")
if sys.argv[2] == "linked":
    cache.hear(LINKED)
os.kill(os.getpid(), signal.SIGKILL)
"""


def die(folder, when):
    """Let a process die, and return what the next one, which ends well, is given."""
    run(["-c", DIE, folder, when], folder.parent)
    cache = ProgramCache(folder)
    kept = cache.get("key")
    cache.close()
    return kept


def test_a_process_that_dies_while_it_reads_does_so_twice_at_most(tmp_path):
    folder = tmp_path / "cache"
    assert die(folder, "linked") == b"program"  # a kill at any other time means nothing
    assert die(folder, "reading") is None
    assert die(folder, "reading") is None
    assert die(folder, "linked") is None
    assert not programs(folder)


def test_a_death_is_forgotten_once_programs_were_read_well(tmp_path):
    folder = tmp_path / "cache"
    for _ in range(3):
        assert die(folder, "reading") is None
        assert die(folder, "linked") == b"program"


def test_processes_that_died_at_the_same_time_count_as_one(tmp_path):
    folder = tmp_path / "cache"
    ProgramCache(folder).close()
    for name in ("a", "b"):
        (folder / f"{name}.process").write_bytes(b"reading")
    cache = ProgramCache(folder)
    cache.put("key", b"program")
    assert cache.get("key") == b"program"
    cache.close()


def test_a_program_that_was_removed_is_kept_again(cache):
    cache.put("key", b"program")
    assert cache.get("key") == b"program"
    [path] = programs(cache.folder)
    path.unlink()
    assert cache.get("key") is None
    cache.put("key", b"program")
    assert cache.get("key") == b"program"


def test_a_folder_that_can_no_longer_be_written_to_is_no_reason_to_stop(cache, monkeypatch):
    def refuse(path, missing_ok=False):
        raise PermissionError(path)

    monkeypatch.setattr(Path, "unlink", refuse)
    cache.put("key", b"program")
    cache.get("key")
    cache.close()


def test_the_folder_of_a_process_that_lives_is_left_alone(cache):
    cache.put("key", b"program")
    assert cache.get("key") == b"program"  # as if it were reading
    other = ProgramCache(cache.folder)
    assert other.get("key") == b"program"
    other.close()


def test_programs_that_are_refused_are_not_kept_any_more(cache):
    cache.put("key", b"program")
    assert cache.get("key") == b"program"
    cache.put("key", b"program")  # JAX compiled it all the same
    assert cache.get("key") is None
    later = ProgramCache(cache.folder)
    assert later.get("key") is None
    later.close()


def test_the_oldest_programs_are_removed(tmp_path):
    for age, name in enumerate(["a/new", "a/old", "b/oldest"]):
        path = tmp_path / f"{name}.program"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(100))
        os.utime(path, (1e9 - age, 1e9 - age))
    (tmp_path / "a" / "unusable").touch()
    remove_oldest(tmp_path, 200)
    assert sorted(path.stem for path in programs(tmp_path)) == ["new", "old"]
    remove_oldest(tmp_path, 0)
    assert not programs(tmp_path)
    assert (tmp_path / "a" / "unusable").exists()


def test_other_processors_and_versions_have_other_folders(monkeypatch, tmp_path):
    folders = set()

    def seen(folder):
        folders.add(folder)
        raise OSError

    monkeypatch.setattr(program_cache, "ProgramCache", seen)
    for _ in range(2):
        with program_cache.program_cache():
            pass
    monkeypatch.setattr(program_cache, "_processor", lambda: "another")
    with program_cache.program_cache():
        pass
    monkeypatch.setattr(jax, "__version__", "another")
    with program_cache.program_cache():
        pass
    assert len(folders) == 3
    assert len({folder.parent for folder in folders}) == 1
