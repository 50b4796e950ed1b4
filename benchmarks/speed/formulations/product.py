"""The experiment with the forms of a step's product; see lstmcore/engine/product.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import jax

from benchmarks.speed.formulations.backward import training_step
from benchmarks.speed.formulations.forward import engine_h
from benchmarks.speed.formulations.work import Data, Work, forced
from benchmarks.speed.grid import Cell
from lstmcore.engine.product import Form

# Batches that fill whole vectors of a processor and others, weights that fit its caches and others.
BATCHES = (1, 4, 6, 8, 14, 16, 23, 32, 40, 64)
UNITS = (128, 192, 256, 312, 416, 512, 768, 1024)
CELLS = tuple(Cell(batch, 20, 16, units) for units in UNITS for batch in BATCHES)


def product(cell: Cell) -> Iterator[Work]:
    """Compare the forms of the forward pass, then those of the backward pass in a training step.

    The forward pass of the training step stays in the form that the engine chooses for it, so that
    each ratio is that of one product.
    """
    data = Data.of(cell)
    yield in_each_form("forward", forward_in, data[:3])
    yield in_each_form("training step", backward_in, data)


def forward_in(form, params, x, state):
    with forced(form):
        return engine_h(params, x, state)


def backward_in(form, *data):
    return training_step(*data, form=form)


def in_each_form(name: str, function: Callable, arguments: tuple) -> Work:
    """Return the work of `function(form, *arguments)` in all forms that make different programs.

    Where the weights that a form reads are missing, the engine falls back on another form.

    Raises:
      ValueError: there is one program alone, as on all platforms but CPUs.
    """

    def program(form):
        return jax.jit(partial(function, form)).lower(*arguments).as_text()

    forms: dict[str, Form] = {}
    for form in Form:
        forms.setdefault(program(form), form)
    if len(forms) == 1:
        raise ValueError(
            f"product compares forms that CPUs alone have, but JAX runs on a "
            f"{jax.default_backend().upper()}: set JAX_PLATFORMS=cpu"
        )
    candidates = {form.value: partial(function, form) for form in forms.values()}
    return Work(name, candidates, forms[program(None)].value, arguments)
