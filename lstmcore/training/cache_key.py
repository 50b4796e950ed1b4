"""The captured variables of a function, which are part of the key of its compiled program.

`jax.jit` compares functions by identity alone, so a model that was changed in a notebook would
silently be trained as the old one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable


def captured_variables(function: Callable) -> tuple:
    """Return (name, value) of each global and nonlocal variable that `function` refers to."""
    try:
        found = inspect.getclosurevars(function)
    except (TypeError, ValueError):  # not a Python function: a partial, a callable object
        return ()
    names = {**found.globals, **found.nonlocals}
    return tuple((name, names[name]) for name in sorted(names))
