"""Batches of sequences of unequal length with little padding. NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstmcore import checks
from lstmcore.arrays import check_known
from lstmcore.vocabulary import PADDING

CUTS = 1000  # positions at most at which a cut is tried

__all__ = ["Buckets", "buckets"]


@dataclass(frozen=True, eq=False, repr=False)
class Buckets:
    """Examples in groups of similar length, each group padded to its longest.

    Attributes:
      parts: one dict of arrays for each group, shortest first: {"source": [n, T], ...}.
      order: int [N], for each row of the parts, one part after the other, the number of that
        example in the input. `results[np.argsort(order)]` brings rows back into the order of the
        input.
      padding: fraction of all steps that is padding; 0 to 1.
    """

    parts: tuple[dict[str, np.ndarray], ...]
    order: np.ndarray
    padding: float

    def __repr__(self) -> str:
        shapes = "; ".join(
            ", ".join(f"{name} {array.shape}" for name, array in part.items())
            for part in self.parts
        )
        return f"Buckets({len(self.order)} examples, {self.padding:.1%} padding: {shapes})"


def buckets(sequences: Mapping, count: int = 4, *, batch_size: int | None = None) -> Buckets:
    """Group examples by length and pad each group to its longest.

    Examples are sorted by length (by the sum of lengths, where an example has several sequences)
    and cut into groups so that the number of padded steps is least, by dynamic programming.
    Examples of equal length stay together. With more than 1,000 different lengths, 1,000 cuts are
    tried. Within a group, examples keep their order.

    Args:
      sequences: {name: N of one kind, the same N for each name}. The kinds are
        - token ids, each one axis of integers, such as `Vocabulary.encode` gives: padded with
          PADDING to int32 [n, T]. PADDING at their ends does not count, so the result of
          `encode_all` can be passed directly;
        - real-valued sequences [T, F]: padded with 0 to [n, T, F], with a bool [n, T] named
          "<name>_mask", True = real step, as `lc.lstm` takes it;
        - single numbers, such as the class of an example: [n]. They have no length.
        A sequence may be empty.
      count: maximum number of groups; fewer if there are fewer different lengths.
      batch_size: cut at whole batches instead, whatever the lengths: only the last group then has
        a smaller batch. `lc.fit` compiles its step for each shape of batch.

    Returns:
      Buckets.

    Raises:
      ValueError: no examples, names with unequal numbers of examples, no sequence among the names,
        arrays of another shape or dtype, a mask whose name is taken, `count` or `batch_size` below
        1.
      TypeError: `sequences` is not a dict of lists or arrays.

    Examples:
      >>> import lstmcore as lc
      >>> groups = lc.buckets({"source": [[5, 6, 7, 2], [5, 2], [6, 2]]}, count=2)
      >>> [part["source"].tolist() for part in groups.parts]
      [[[5, 2], [6, 2]], [[5, 6, 7, 2]]]
      >>> groups.order.tolist(), groups.padding
      ([1, 2, 0], 0.0)
    """
    count = checks.check_count("count", count)
    batch_size = None if batch_size is None else checks.check_count("batch_size", batch_size)
    columns = _columns(sequences)
    timed = [rows for rows in columns.values() if rows[0].ndim]
    if not timed:
        raise ValueError(f"sequences {list(columns)} are single numbers: there is nothing to pad")
    lengths = np.array([[len(row) for row in rows] for rows in timed])  # [names, N]
    groups = _groups(lengths, count, batch_size)
    parts = tuple(
        {
            key: array
            for name, rows in columns.items()
            for key, array in _padded(name, [rows[i] for i in group]).items()
        }
        for group in groups
    )
    padded = sum(len(group) * lengths[:, group].max(axis=1).sum() for group in groups)
    padding = 1 - lengths.sum() / padded if padded else 0.0
    return Buckets(parts, np.concatenate(groups), float(padding))


def _groups(lengths: np.ndarray, count: int, batch_size: int | None) -> list[np.ndarray]:
    """Return the indices of the examples in each group, for lengths [names, N]."""
    total = lengths.sum(axis=0)
    order = np.argsort(total, kind="stable")
    ordered = total[order]
    if batch_size is None:
        starts = np.flatnonzero(np.diff(ordered, prepend=-1))  # where a new length starts
    else:
        starts = np.arange(0, len(ordered), batch_size)
    starts = starts[np.linspace(0, len(starts) - 1, min(len(starts), CUTS)).astype(int)]
    counts = np.diff(starts, append=len(order))
    longest = np.maximum.reduceat(lengths[:, order], starts, axis=1)  # [names, starts]
    ends = _cuts(counts, longest, min(count, len(starts)))
    return [np.sort(group) for group in np.split(order, starts[ends])]


def _cuts(counts: np.ndarray, longest: np.ndarray, groups: int) -> list[int]:
    """Return where to cut a row of blocks into at most `groups` for the least padded size.

    counts: [n], examples in each block; longest: [names, n], their longest sequences.
    cost[g, j] is the least size of the first j blocks in g groups, origin[g, j] where the last of
    these groups starts.
    """
    n = len(counts)
    cost = np.full((groups + 1, n + 1), np.inf)
    cost[:, 0] = 0
    origin = np.zeros((groups + 1, n + 1), int)
    for j in range(1, n + 1):
        examples = np.cumsum(counts[:j][::-1])[::-1]  # in blocks i to j - 1, for each i
        width = np.maximum.accumulate(longest[:, :j][:, ::-1], axis=1)[:, ::-1].sum(axis=0)
        sizes = cost[:-1, :j] + examples * width  # [groups, i]
        origin[1:, j] = sizes.argmin(axis=1)
        cost[1:, j] = sizes.min(axis=1)
    cuts, end = [], n
    for g in range(groups, 0, -1):
        end = origin[g, end]
        if end == 0:
            break
        cuts.append(end)
    return cuts[::-1]


def _columns(sequences: Mapping) -> dict[str, list[np.ndarray]]:
    """Return {name: N arrays of one kind}, checked."""
    if not isinstance(sequences, Mapping):
        raise TypeError(
            f"sequences must be a dict {{name: sequences}}, got {type(sequences).__name__}"
        )
    check_known("sequences", sequences)
    columns = {name: _rows(name, values) for name, values in sequences.items()}
    sizes = {name: len(rows) for name, rows in columns.items()}
    if not sizes or 0 in sizes.values():
        raise ValueError(f"sequences has no examples: {sizes}")
    if len(set(sizes.values())) > 1:
        raise ValueError(f"sequences must have as many examples under each name, got {sizes}")
    for name, rows in columns.items():
        if rows[0].ndim == 2 and f"{name}_mask" in columns:
            raise ValueError(
                f"sequences has the name '{name}_mask', which the mask made for '{name}' "
                "takes: give it another"
            )
    return columns


def _rows(name: str, values: Any) -> list[np.ndarray]:
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise TypeError(
            f"sequences['{name}'] must be a list of sequences, got {type(values).__name__}"
        )
    rows = [_row(f"sequences['{name}'][{number}]", value) for number, value in enumerate(values)]
    shapes = {(row.ndim, row.shape[1:]) for row in rows}
    if len(shapes) > 1:
        raise ValueError(
            f"sequences['{name}'] must be of one kind, ids [T] or numbers [T, F] with the same F, "
            f"got shapes {sorted({row.shape for row in rows}, key=lambda s: (len(s), s))[:4]}"
        )
    return rows


def _row(name: str, value: Any) -> np.ndarray:
    try:
        row = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is not an array: {error}") from None
    if row.dtype.kind not in "iufb":
        raise TypeError(f"{name} must hold numbers, got {row.dtype}: encode text first")
    if row.ndim > 2:
        raise ValueError(
            f"{name} must be ids [time] or numbers [time, features], got shape {row.shape}"
        )
    if row.ndim == 2:
        checks.check_floating(name, row)
    if row.ndim != 1:
        return row
    if row.size == 0:  # of an empty list, float
        return row.astype(np.int32)
    if row.dtype.kind not in "iu":
        raise ValueError(
            f"{name} has one axis, so it must be integer ids, got {row.dtype}: numbers need a "
            "feature axis, [:, None]"
        )
    if row.min() < 0 or row.max() > np.iinfo(np.int32).max:
        raise ValueError(
            f"{name} has ids from {row.min()} to {row.max()}: ids are 0 or more, int32"
        )
    return row[: row.size - (row[::-1] != PADDING).argmax()] if row.any() else row[:0]


def _padded(name: str, rows: list[np.ndarray]) -> dict[str, np.ndarray]:
    if rows[0].ndim == 0:
        return {name: np.stack(rows)}
    lengths = np.array([len(row) for row in rows])
    shape = (len(rows), lengths.max(), *rows[0].shape[1:])
    if rows[0].ndim == 1:
        padded = np.full(shape, PADDING, np.int32)
    else:
        padded = np.zeros(shape, np.result_type(*{row.dtype for row in rows}))
    for row, target in zip(rows, padded, strict=True):
        target[: len(row)] = row
    if rows[0].ndim == 1:
        return {name: padded}
    return {name: padded, f"{name}_mask": np.arange(shape[1]) < lengths[:, None]}
