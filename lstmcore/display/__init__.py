"""How results look in a terminal and in a notebook: arrays by shape and range, never by number.

arrays   an array as "float32[5, 3, 8] -0.213 to 0.341"
text     the `repr` of NamedTuples of arrays, and of models without their defaults
html     tables and small plots for notebooks
theme    the colours of HTML pages

NumPy alone is imported, so that the types at the bottom of the package can use it.
"""

from __future__ import annotations

from typing import TypeVar

from lstmcore.display.html import fields_html
from lstmcore.display.text import fields_text

__all__ = ["displayed"]

Class = TypeVar("Class", bound=type)


def displayed(cls: Class) -> Class:
    """Give a NamedTuple or a dataclass of arrays a short `repr` and a table for notebooks.

    A decorator, since type checkers take an assignment in the body of a NamedTuple for a field. A
    `_repr_html_` that the class has itself is left as it is.

    Examples:
      >>> from typing import NamedTuple
      >>> import numpy as np
      >>> @displayed
      ... class Scores(NamedTuple):
      ...     mae: np.ndarray
      ...     name: str
      >>> Scores(np.array([0.25, 2.0]), "model")
      Scores(mae=float64[2] 0.25 to 2, name='model')
    """
    methods = {"__repr__": fields_text, "_repr_html_": fields_html}
    for name, method in methods.items():
        if name == "__repr__" or name not in vars(cls):  # Python generated a `__repr__`
            setattr(cls, name, method)
    return cls
