"""How the tests run: warnings are errors (pyproject.toml), dtypes strict, few examples or many.

pytest                                       few examples, what CI runs
HYPOTHESIS_PROFILE=thorough pytest           many examples
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # before anything imports keras
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import hypothesis
import jax
import numpy as np
import pytest

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


@pytest.fixture
def x64():
    """The test runs with float64 switched on."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(0)
