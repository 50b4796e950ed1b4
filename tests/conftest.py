"""How the tests run: warnings are errors (pyproject.toml), dtypes strict, few examples or many.

pytest                                       few examples, what CI runs
HYPOTHESIS_PROFILE=thorough pytest           many examples
"""

import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")  # before anything imports keras
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Most of the time goes into compiling what runs once: let LLVM do no more than it must.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0"
# What one process has compiled, the others load: the workers and the commands that pages call. Set
# before the workers start, so that they share the folder; one that is named outside is kept.
COMPILED = None
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    COMPILED = os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="lstmcore-tests-")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

import hypothesis
import jax
import numpy as np
import pytest
import strategies

import lstmcore as lc

jax.config.update("jax_numpy_dtype_promotion", "strict")

# An example costs a compilation, so time per example says nothing and examples are few; the same
# ones in each CI run, so that a red run means a changed program.
# A failing example is not shrunk there: every smaller try would be compiled, too.
common = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
unshrunk = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
hypothesis.settings.register_profile(
    "few", max_examples=8, derandomize=True, phases=unshrunk, **common
)
hypothesis.settings.register_profile("thorough", max_examples=200, **common)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "few"))


def pytest_configure(config):
    # Two workers may meet at one entry, and the reader of an unfinished one compiles it instead.
    config.addinivalue_line("filterwarnings", "default:Error reading persistent compilation cache")


def pytest_unconfigure():
    if COMPILED is not None:  # not in a worker: it was given the folder
        shutil.rmtree(COMPILED, ignore_errors=True)


@pytest.fixture
def x64():
    """The test runs with float64 switched on."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def model_path(tmp_path_factory) -> Path:
    """Where the tests of a module write models, one after the other."""
    return tmp_path_factory.mktemp("with spaces, é") / "a model.safetensors"


@pytest.fixture(scope="module")
def sound_file(tmp_path_factory) -> bytes:
    """The bytes of a file that holds the model SMALL."""
    path = tmp_path_factory.mktemp("sound") / "model.safetensors"
    lc.save(path, strategies.SMALL, strategies.weights(strategies.SMALL))
    return path.read_bytes()
