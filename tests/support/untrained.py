"""Applications without their training, where a test is about something else."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from strategies import weights

import lstmcore as lc
from lstmcore.apps import training


@contextmanager
def no_training() -> Iterator[None]:
    """Let applications keep random weights: no test of theirs waits for a compilation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "fit", _keep)
        patch.setattr(training, "_init", lambda model, seed: (weights(model), None))
        yield


def _keep(loss, params, data, *, epochs, validation=None, **_) -> lc.FitResult:
    kinds = ["loss"] if validation is None else ["loss", "validation_loss"]
    return lc.FitResult(params, {kind: np.ones(epochs) for kind in kinds})
