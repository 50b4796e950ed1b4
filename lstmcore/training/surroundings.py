"""What a function refers to by name: part of the key under which its compiled program is kept.

`jax.jit` knows a function by identity alone, so that a model changed in a notebook would silently
be trained as the old one.
"""

from __future__ import annotations

import inspect

from lstmcore.hyperparameters import is_value


def surroundings(function) -> tuple:
    """The values of the names that `function` takes from outside of itself; hashable."""
    try:
        found = inspect.getclosurevars(function)
    except (TypeError, ValueError):  # not a Python function: a partial, a callable object
        return ()
    return tuple(
        (name, value if is_value(value) else _Same(value))
        for name, value in sorted({**found.globals, **found.nonlocals}.items())
    )


class _Same:
    """Stands for an object in a cache's key: equal to itself alone, and keeps it alive."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self):
        return id(self.value)
