"""What a function refers to by name: part of what its compiled program is kept for.

`jax.jit` knows a function by identity alone, so that a model changed in a notebook would silently
be trained as the old one.
"""

from __future__ import annotations

import inspect


def surroundings(function) -> tuple:
    """The values of the names that `function` takes from outside of itself."""
    try:
        found = inspect.getclosurevars(function)
    except (TypeError, ValueError):  # not a Python function: a partial, a callable object
        return ()
    names = {**found.globals, **found.nonlocals}
    return tuple((name, names[name]) for name in sorted(names))
