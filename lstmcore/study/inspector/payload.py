"""Select the content of the inspector's page from a run, as one dict that becomes JSON.

Arrays are base64 of little-endian numbers, one string per example:

    layers[k].quantities[name].codes   uint16 [H, T]; value = low + code * step, per unit
    inputs.values, outputs[k].values   float32 [F, T]
    masked, of a layer or a series     uint8 [T], 1 = masked
    own_steps, likewise                whether its steps are others than those of the input

`encoding.py` defines the codes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from lstmcore.study.inspector import encoding
from lstmcore.study.names import QUANTITIES, check_layer, quantity_of
from lstmcore.study.record import Run
from lstmcore.study.statistics import time_scale

MAX_BYTES = 40_000_000
BYTES_PER_CODE, BYTES_PER_NUMBER = 8 / 3, 16 / 3  # 2 and 4 bytes, in base64


def payload(
    run: Run,
    *,
    text: Sequence | None = None,
    labels: Sequence | None = None,
    columns: Sequence[str] | None = None,
    layers: Sequence[str] | None = None,
    max_bytes: int,
) -> dict[str, Any]:
    """Return the content of the page, and in `notes` what it leaves out; see `inspect`."""
    holds_ids = run.inputs.ndim == 2 if isinstance(run, Run) else False
    run = _checked(run)
    count, steps, features = run.inputs.shape
    names = _layer_names(layers, run)
    tokens = _tokens(text, run)
    step_labels = _labels(labels, count, steps)
    titles = _column_names(["token id"] if holds_ids and columns is None else columns, features)
    examples, kept, notes = _within_budget(run, names, max_bytes)
    # Time-scales are those of the whole run, even if the page shows only a part of it.
    scales = {name: time_scale(run[name], run.masks[name]) for name in kept}
    run = run.examples(slice(examples))
    outputs, rows, unknown = _outputs(run)
    if unknown:
        notes.append(
            f"Not shown: {unknown}, which is neither [examples, steps, columns] nor [examples, "
            "columns]."
        )
    content = [_layer(name, run, scales[name]) for name in kept]
    for layer in content:
        notes += _notes_on(layer, run)
    return {
        "examples": examples,
        "labels": None if step_labels is None else step_labels[:examples],
        "text": None if tokens is None else tokens[:examples],
        "notes": notes,
        "inputs": _series("input", titles, run.inputs, run.mask) | {"holds_ids": holds_ids},
        "outputs": [
            _output(title, [] if holds_ids else titles, output, run) for title, output in outputs
        ],
        "results": [[encoding.finite_or_none(row) for row in result] for result in rows],
        "layers": content,
    }


def fitting_examples(run: Run, max_bytes: int = MAX_BYTES) -> int:
    """Return the number of examples that `payload` keeps.

    Raises:
      ValueError: not even one fits.
    """
    run = _checked(run)
    return _within_budget(run, list(run.layers), max_bytes)[0]


# Arguments.


def _checked(run: Run) -> Run:
    """Return the run, with inputs [examples, steps, features]; raise if it has no step to show."""
    if not isinstance(run, Run):
        raise TypeError(
            f"run must be a study.Run, got {type(run).__name__}: make one with "
            "study.run(model, params, x)"
        )
    if run.inputs.ndim == 2:  # tokens: one column
        run = replace(run, inputs=run.inputs[:, :, None])
    if not math.prod(run.inputs.shape[:2]):
        raise ValueError(
            f"run has no step to show: its inputs have shape {tuple(run.inputs.shape)}, [examples, "
            "steps, features]"
        )
    return run


def _layer_names(layers, run: Run) -> list[str]:
    names = list(run.layers if layers is None else [layers] if isinstance(layers, str) else layers)
    if not names:
        raise ValueError(f"layers is empty: name some of {', '.join(run.layers)}")
    for name in names:
        check_layer(name, run.layers)
    return names


def _column_names(columns, features: int) -> list[str]:
    if columns is None:
        return [str(k) for k in range(features)]
    if isinstance(columns, str) or len(columns) != features:
        raise ValueError(
            f"columns must be {features} names, one for each column of the input, got {columns!r}"
        )
    return [str(column) for column in columns]


def _labels(labels, count: int, steps: int) -> list[list[str]] | None:
    """Return [[T names]] for all examples, or [[T names]] * count."""
    if labels is None:
        return None
    rows = [list(row) if _is_row(row) else row for row in labels]
    if len(rows) == steps and not any(isinstance(row, list) for row in rows):
        return [[str(label) for label in rows]]
    if len(rows) == count and all(isinstance(row, list) and len(row) == steps for row in rows):
        return [[str(label) for label in row] for row in rows]
    raise ValueError(
        f"labels must name the {steps} steps, [{steps}] for all examples or [{count}][{steps}], "
        f"got {len(rows)}" + (" lists" if any(isinstance(row, list) for row in rows) else " names")
    )


def _is_row(labels) -> bool:
    return isinstance(labels, Sequence | np.ndarray) and not isinstance(labels, str)


def _tokens(text, run: Run) -> list[list[str]] | None:
    if text is None:
        return None
    count, steps, _ = run.inputs.shape
    if isinstance(text, str) or len(text) != count:
        kind = "one string" if isinstance(text, str) else f"{len(text)}"
        raise ValueError(f"text must hold one entry for each of {count} examples, got {kind}")
    texts = [[str(token) for token in one] for one in text]
    for example, one in enumerate(texts):
        padding = run.mask is not None and not np.asarray(run.mask)[example, len(one) :].any()
        if len(one) > steps or (len(one) < steps and not padding):
            raise ValueError(
                f"text of example {example} has {len(one)} tokens but the run has {steps} steps: "
                "it must have a token for each step that is not masked padding at the end"
            )
    return texts


# The budget.


def _within_budget(run: Run, names: list[str], max_bytes: int) -> tuple[int, list[str], list[str]]:
    """Return (number of examples, layers, notes) within the budget: examples are dropped first."""
    count = len(run.inputs)
    arrays: list = [run.inputs, *(output for _, output in _outputs(run)[0])]
    series = sum(math.prod(array.shape[1:]) for array in arrays) * BYTES_PER_NUMBER
    size = {
        name: math.prod(run[name].c.shape[1:]) * len(QUANTITIES) * BYTES_PER_CODE for name in names
    }
    whole = series + sum(size.values())
    kept = list(names)
    while len(kept) > 1 and series + sum(size[name] for name in kept) > max_bytes:
        kept.pop()
    each = series + sum(size[name] for name in kept)
    if each > max_bytes:
        raise ValueError(
            f"one example of layer {kept[0]!r} needs {_size(each)} but max_bytes is "
            f"{_size(max_bytes)}: raise it, or run the model on shorter sequences"
        )
    examples = min(count, int(max_bytes // each))
    notes = []
    if examples < count:
        notes.append(
            f"Shows the first {examples:,} of {count:,} examples: all would need "
            f"{_size(whole * count)}, and the budget (max_bytes) is {_size(max_bytes)}. "
            "To see others: study.inspect(run.examples(...), ...)."
        )
    if len(kept) < len(names):
        notes.append(
            f"Leaves out {', '.join(names[len(kept) :])}: the budget (max_bytes) is "
            f"{_size(max_bytes)}. To see them: study.inspect(..., layers=[...])."
        )
    return examples, kept, notes


def _size(size: float) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"


# Content.


def _outputs(run: Run) -> tuple[list[tuple[str, np.ndarray]], list[np.ndarray], str]:
    """Return ([(title, [B, T', U])], [[B, U]], a description of outputs with other axes)."""
    leaves = jax.tree.leaves(run.outputs)
    sequences = [leaf for leaf in leaves if leaf.ndim == 3]
    rows = [np.asarray(leaf, float) for leaf in leaves if leaf.ndim == 2]
    others = [f"an output of shape {leaf.shape}" for leaf in leaves if leaf.ndim not in (2, 3)]
    titles = ["output"] if len(sequences) == 1 else [f"output {k}" for k in range(len(sequences))]
    if len(sequences) == 2 and "prediction_0" in run.layers:
        titles = ["reconstruction", "prediction"]
    return list(zip(titles, sequences, strict=True)), rows, ", ".join(others)


def _mask_of_output(run: Run, output, steps: int):
    """Return the decoder's mask if there is a target, else the input's for as many steps."""
    if run.target is not None:
        return run.masks[run.decoder[0]] if run.decoder else None
    return run.mask if output.shape[1] == steps else None


def _output(title: str, titles: list[str], output, run: Run) -> dict:
    """Return an output, whose columns have the names of the input's if there are as many."""
    steps, columns = output.shape[1:]
    names = titles if columns == len(titles) else _column_names(None, columns)
    mask = _mask_of_output(run, output, run.inputs.shape[1])
    own_steps = run.target is not None or steps != run.inputs.shape[1]
    return _series(title, names, output, mask, own_steps=own_steps)


def _series(title: str, names: list[str], array, mask, own_steps: bool = False) -> dict:
    rows = np.moveaxis(np.asarray(array, np.float32), 1, 2)
    return {
        "title": title,
        "names": names,
        "steps": rows.shape[2],
        "own_steps": own_steps,
        "values": [encoding.base64_of(row, "<f4") for row in rows],
        "masked": encoding.masked(mask),
        "limits": encoding.limits(rows),
    }


def _layer(name: str, run: Run, scale) -> dict:
    trace, mask = run[name], run.masks[name]
    keep = np.asarray(scale.keep, float)
    real = np.ones(trace.c.shape[:2], bool) if mask is None else np.asarray(mask, bool)
    real = np.broadcast_to(real[:, None], (len(real), trace.c.shape[2], trace.c.shape[1]))
    quantities, gaps = {}, []
    for quantity in QUANTITIES:
        if quantity_of(trace, quantity).shape != trace.c.shape:
            continue
        values = np.moveaxis(np.asarray(quantity_of(trace, quantity), float), 1, 2)
        missing = values.size - np.isfinite(values).sum()
        if missing:
            gaps.append(f"{missing:,} of {values.size:,} values of {quantity}")
        quantities[quantity] = encoding.encode(values) | {
            "limits": encoding.limits(values[real], quantity),
            "extent": encoding.extent(values[real]),
        }
    _, steps, units = trace.c.shape
    return {
        "name": name,
        "steps": steps,
        "own_steps": steps != run.inputs.shape[1] or name in run.decoder,
        "units": units,
        "order": np.argsort(-keep, kind="stable").tolist(),  # longest memory first, NaN last
        "keep": encoding.finite_or_none(keep),
        "half_life": encoding.finite_or_none(np.asarray(scale.half_life, float)),
        "quantities": quantities,
        "masked": encoding.masked(mask),
        "gaps": ", ".join(gaps),
    }


def _notes_on(layer: dict, run: Run) -> list[str]:
    """Return what the page does not show of a layer, and remove it from the content."""
    notes, name = [], layer["name"]
    if gaps := layer.pop("gaps"):
        notes.append(f"{name}: {gaps} are NaN or infinite, shown as gaps.")
    if "h" not in layer["quantities"]:
        size = run[name].h.shape[2]
        notes.append(
            f"{name}: h is not shown: it is a projection to {size} numbers, which belong to no "
            "unit."
        )
    return notes
