"""How the tests run: warnings are errors (pyproject.toml), dtypes strict, few examples or many.

pytest                                         every law and every function, in minutes
pytest --thorough                              also the tests marked `thorough`, which take long
pytest --peers -m peers                        those that need `.ci/peers.txt`, which must be there
HYPOTHESIS_PROFILE=thorough pytest --thorough  the same with many examples of each law, for hours
"""

import atexit
import gc
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")  # before anything imports keras
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import hypothesis
import jax
import numpy as np
import peers
import pytest
import strategies

import lstmcore as lc
from lstmcore.cli.program_cache import ProgramCache, used

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "few")

# Programs compiled by one process are there for all others of the same run: many tests compile the
# same. The processes of pytest-xdist inherit the variable.
PROGRAMS = "LSTMCORE_TESTED_PROGRAMS"
if PROGRAMS not in os.environ:
    os.environ[PROGRAMS] = tempfile.mkdtemp(prefix="lstmcore-tests-")
    atexit.register(shutil.rmtree, os.environ[PROGRAMS], ignore_errors=True)
os.environ.setdefault("LSTMCORE_CACHE", os.environ[PROGRAMS])  # of commands in their own processes
# The cache of the command: JAX's own on disk is not made for several processes that write.
shared = ProgramCache(Path(os.environ[PROGRAMS]) / "tests")
stack = ExitStack()
stack.callback(shared.close)
stack.enter_context(used(shared))
atexit.register(stack.close)

if PROFILE == "few":
    # Most of the time goes into compiling what runs once: let XLA and LLVM do no more than they
    # must. Many examples, the thorough profile, run on what users run. XLA reads the flags when the
    # first array is made; its older emitter of loops compiles in half the time while there is one.
    # To split a program of a few kernels for several threads costs more than to compile it whole.
    flags = "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
    if jax.__version_info__ < (0, 11):
        flags += " --xla_cpu_use_fusion_emitters=false"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}"

jax.config.update("jax_numpy_dtype_promotion", "strict")

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell without job control starts what is in the background so; tests send real ones.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# An example costs a compilation, so time per example says nothing and examples are few; the same
# ones in each CI run, so that a red run means a changed program.
# A failing example is not shrunk there: every smaller try would be compiled, too.
common = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
unshrunk = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
for name, examples in (("quick", 4), ("few", 8)):
    hypothesis.settings.register_profile(
        name, max_examples=examples, derandomize=True, phases=unshrunk, **common
    )
hypothesis.settings.register_profile("thorough", max_examples=200, **common)
hypothesis.settings.load_profile(PROFILE)


def pytest_addoption(parser):
    parser.addoption(
        "--thorough", action="store_true", help="also run the tests marked thorough (long)"
    )
    parser.addoption(
        "--peers", action="store_true", help="fail where a package of .ci/peers.txt is missing"
    )


def pytest_report_header():
    """Say which tests are left out; with --peers none may be."""
    if missing := peers.missing():
        return f"left out are tests that need {', '.join(missing)}: see .ci/run"
    return None


def pytest_configure(config):
    if config.getoption("--peers") and (missing := peers.missing()):
        raise pytest.UsageError(f"--peers needs {', '.join(missing)}: see the end of .ci/run")
    if PROFILE == "few" and not config.getoption("--thorough"):
        hypothesis.settings.load_profile("quick")


def pytest_collection_finish():
    """Take what is imported by now out of the garbage collector's rounds, which it would slow."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config, items):
    """Without --thorough, leave out the tests that are marked so."""
    if config.getoption("--thorough"):
        return
    left_out = [item for item in items if item.get_closest_marker("thorough")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("thorough")]


def pytest_runtest_setup(item):
    """Keras draws from a generator of its own, which each test starts anew."""
    if keras := sys.modules.get("keras"):
        keras.utils.set_random_seed(0)


# Each compiled program maps some regions of memory, and Linux allows a process 65,530 of them; with
# more, XLA ends it with a segmentation fault. One page of the documentation can take 10,000.
MAPS, MOST_MAPS = Path("/proc/self/maps"), 30_000
SECONDS_BETWEEN = 2.0  # to count them takes some milliseconds


def pytest_runtest_teardown(item):
    """Let go of all compiled programs before they are too many."""
    now = time.monotonic()
    if now - getattr(item.session, "counted", 0.0) > SECONDS_BETWEEN and MAPS.exists():
        item.session.counted = now
        with MAPS.open("rb") as maps:
            if sum(1 for _ in maps) > MOST_MAPS:
                jax.clear_caches()


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


@pytest.fixture(scope="module")
def browser():
    from browsing import launched  # few tests need a browser

    with launched() as chromium:
        yield chromium
