"""The cache of compiled programs: used again, never in the way, and of no use to anybody else."""

import os
import subprocess
import sys
import warnings

import jax
import pytest

from lstmcore.cli import program_cache
from lstmcore.cli.program_cache import cache_folder, remove_oldest, use_program_cache

FIT = ["fit", "--epochs", "1", "--units", "2"]


def fit(folder, cache, *options, **variables):
    """Run `lstmcore fit` in a process of its own with the cache `cache`; return its output."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_COMPILATION")}
    environment |= {"LSTMCORE_CACHE": str(cache), **variables}
    command = [sys.executable, "-m", "lstmcore", *FIT, "--output", str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert all(line.startswith("training ") for line in done.stderr.splitlines())  # no warning
    return (folder / "output.csv").read_bytes()


def programs(cache) -> list:
    return sorted(path for path in cache.rglob("*") if path.is_file())


def test_programs_are_kept_and_used_again(tmp_path):
    cache = tmp_path / "cache"
    output = fit(tmp_path / "1", cache)
    kept = programs(cache)
    assert kept
    assert cache_folder().parent.name == "programs"
    for path in kept[::2]:
        path.write_bytes(path.read_bytes()[:20])  # as a kill while it was written leaves it
    assert fit(tmp_path / "2", cache) == output
    assert {path.name for path in programs(cache)} >= {path.name for path in kept}


@pytest.mark.thorough
def test_without_it_nothing_is_kept(tmp_path):
    cache = tmp_path / "cache"
    output = fit(tmp_path / "1", cache, "--no-cache")
    assert not cache.exists()
    own = tmp_path / "own"
    assert fit(tmp_path / "2", cache, JAX_COMPILATION_CACHE_DIR=str(own)) == output
    assert not cache.exists()


@pytest.fixture
def config(monkeypatch):
    """JAX as it starts, without a cache."""
    settings = {
        name: getattr(jax.config, name)
        for name in (
            "jax_compilation_cache_dir",
            "jax_persistent_cache_min_compile_time_secs",
            "jax_persistent_cache_min_entry_size_bytes",
        )
    }
    jax.config.update("jax_compilation_cache_dir", None)
    with warnings.catch_warnings():
        yield jax.config
    for name, value in settings.items():
        jax.config.update(name, value)


def test_a_cache_that_the_user_has_set_stays(config, tmp_path):
    config.update("jax_compilation_cache_dir", str(tmp_path))
    use_program_cache()
    assert config.jax_compilation_cache_dir == str(tmp_path)


def test_the_folder_is_that_of_the_user(config, monkeypatch, tmp_path):
    monkeypatch.delenv("LSTMCORE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    use_program_cache()
    folder = tmp_path / "caches" / "lstmcore" / "programs"
    assert config.jax_compilation_cache_dir == str(cache_folder())
    assert cache_folder().parent == folder
    assert cache_folder().stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_can_write_to_is_not_used(config, monkeypatch, tmp_path):
    monkeypatch.setenv("LSTMCORE_CACHE", str(tmp_path))
    cache_folder().mkdir(parents=True)
    cache_folder().chmod(0o777)
    use_program_cache()
    assert config.jax_compilation_cache_dir is None


def test_a_folder_that_cannot_be_made_is_no_reason_to_stop(config, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LSTMCORE_CACHE", str(tmp_path / "file"))
    use_program_cache()
    assert config.jax_compilation_cache_dir is None


def test_the_oldest_programs_are_removed(tmp_path):
    for age, name in enumerate(["new", "old", "oldest"]):
        path = tmp_path / name
        path.write_bytes(bytes(100))
        os.utime(path, (1e9 - age, 1e9 - age))
    remove_oldest(tmp_path, 200)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]
    remove_oldest(tmp_path, 0)
    assert not list(tmp_path.iterdir())


def test_other_processors_have_other_folders(monkeypatch):
    here = cache_folder()
    monkeypatch.setattr(program_cache, "_processor", lambda: "another")
    assert cache_folder().parent == here.parent
    assert cache_folder() != here
