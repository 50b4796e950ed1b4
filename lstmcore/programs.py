"""Compiled programs that live no longer than the functions that they were compiled for.

`jax.jit` keeps every static argument for good, with the variables it captured: each loss that was
ever trained, each step function that was ever decoded with. Here a program is dropped when one of
its functions is, and of all others the latest are kept.

    @compiled
    def _run(fixed, *arrays): ...       # fixed: NamedTuple of functions, models, numbers

    _run(Fixed(step, max_length=9), params, state)
"""

from __future__ import annotations

import inspect
import threading
import weakref
from collections.abc import Callable
from dataclasses import fields
from functools import partial, update_wrapper
from typing import Any

import jax

PLAIN = (int, str, float, type(None), complex, bytes)
LATEST = 64  # programs of one function that are kept, a few MB each


class compiled:
    """Decorator like `jax.jit` for a function whose first argument is static.

    In this argument, numbers, strings, tuples and frozen dataclasses are compared by value,
    everything else by identity. Nothing of the latter kind is kept alive, except objects without
    weak references (lists and dicts), which live as long as the functions beside them. A model is
    compared by the `apply` of its class, too.

    Args:
      function: its first parameter is the static one.
      compiler_options: as in `jax.jit`, which takes them in its outermost call alone.
    """

    def __init__(self, function: Callable, compiler_options: dict | None = None) -> None:
        self.function = function
        self.options = compiler_options
        self.first = next(iter(inspect.signature(function).parameters))
        self.programs: dict[tuple, _Program] = {}  # the least recently used first
        update_wrapper(self, function)

    def __call__(self, *arrays: Any, **named: Any) -> Any:
        if self.first in named:  # as in any call of a function
            fixed = named.pop(self.first)
        else:
            fixed, arrays = arrays[0], arrays[1:]
        shapes = tuple([getattr(leaf, "shape", ()) for leaf in jax.tree.leaves((arrays, named))])
        key = _key(fixed), shapes
        program = self.programs.pop(key, None)
        if program is None:
            program = _Program(self.function, self.options)
            key = _key(fixed, lambda _: self.programs.pop(key, None)), shapes
        self.programs[key] = program
        if len(self.programs) > LATEST:
            self.programs.pop(next(iter(self.programs)), None)
        return program(fixed, *arrays, **named)

    def _cache_size(self) -> int:
        """Return the number of programs; named as in `jax.jit`."""
        return sum(program.jitted._cache_size() for program in list(self.programs.values()))


class _Program:
    """Jitted function that is lent its first argument for each call, and does not keep it."""

    def __init__(self, function: Callable, options: dict | None) -> None:
        self.lent = lent = threading.local()

        def program(*arrays: Any, **named: Any) -> Any:
            return function(lent.fixed, *arrays, **named)

        program.__name__ = program.__qualname__ = function.__name__
        self.jitted: Any = jax.jit(program, compiler_options=options)

    def __call__(self, fixed: Any, *arrays: Any, **named: Any) -> Any:
        before = getattr(self.lent, "fixed", None)
        self.lent.fixed = fixed
        try:
            return self.jitted(*arrays, **named)
        finally:
            self.lent.fixed = before


class _Same:
    """Key of an object that is equal to itself alone; `gone` is called once it is no more."""

    def __init__(self, value: Any, gone: Callable | None) -> None:
        self.id = id(value)
        self.reference: Callable[[], Any]
        try:
            self.reference = weakref.ref(value, gone)
        except TypeError:  # a list or a dict
            self.reference = partial(_identity, value)

    def __hash__(self) -> int:
        return self.id

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, _Same) or self.id != other.id:
            return False
        value = self.reference()
        return value is not None and value is other.reference()


def _identity(value: Any) -> Any:
    return value


def _key(value: Any, gone: Callable | None = None) -> Any:
    """Return the key of `value` in a dict; `gone` is called once a part of it is no more."""
    if isinstance(value, PLAIN):
        return type(value), value  # 1, 1.0 and True are equal, but not the same to a program
    if isinstance(value, tuple):
        return type(value), *[_key(part, gone) for part in value]
    # With its method in the key, a class whose `apply` is replaced is compiled anew.
    apply = getattr(type(value), "apply", None)
    method = () if apply is None else (_key(apply, gone),)
    if _is_value(value) and value.__dataclass_params__.eq:
        names = [field.name for field in fields(value)]
        return type(value), *method, *[_key(getattr(value, name), gone) for name in names]
    if inspect.ismethod(value):  # made anew at each access
        return "method", _key(value.__func__, gone), _key(value.__self__, gone)
    if isinstance(value, partial) and all(map(_is_plain, (*value.args, *value.keywords.values()))):
        arguments = value.args, *value.keywords.items()
        return "partial", _key(value.func, gone), _key(arguments, gone)
    return (_Same(value, gone), *method) if method else _Same(value, gone)


def _is_plain(value: Any) -> bool:
    return isinstance(value, PLAIN) or _is_value(value)


def _is_value(value: Any) -> bool:
    """Return whether equal objects are interchangeable, such as two models of the same sizes."""
    try:
        hash(value)
    except TypeError:
        return False
    parameters = getattr(value, "__dataclass_params__", None)
    return parameters is not None and parameters.frozen
