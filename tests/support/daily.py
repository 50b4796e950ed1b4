"""A typical monitored series: every day rises to a level and falls back, with noise."""

import numpy as np

from benchmarks.studies.nab import Data

DAY, DAYS, RAISED = 48, 20, 12


def daily(seed: int = 0) -> Data:
    """Normal days to train on; others of which one is raised to twice its level, and labelled."""
    rng = np.random.default_rng(seed)
    hour = np.arange(DAY * DAYS) % DAY
    level = np.where((hour >= 18) & (hour < 36), 80.0, 20.0)
    normal, values = level + rng.uniform(-2, 2, (2, len(level)))
    labels = np.arange(len(level)) // DAY == RAISED
    values = np.where(labels & (level > 50), 2 * values, values)
    return Data(normal[:, None], values[:, None], labels)
