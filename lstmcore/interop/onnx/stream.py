"""What flows through a chain in ONNX: its axes by what they stand for, and its layers so far.

ONNX knows axes only by their place. Here each is made of factors: B (batch), T (time),
D (direction) and F (features); an axis of size 1 may have none. Transpose, Reshape, Squeeze and the
like move the factors about, so that after each node it is known where the time is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, NamedTuple

from lstmcore.checks import MOST_LAYERS
from lstmcore.formatting import excerpt
from lstmcore.interop.onnx.folding import Size
from lstmcore.models.chain_parts import LSTM

ONLY = 1  # the step that was taken is the only one
MOST_AXES = 16  # networks have 5
NAMES = {"B": "batch", "T": "time", "D": "direction", "F": "features"}


class Misfit(ValueError):
    """Why a node does not fit into a chain."""


class Factor(NamedTuple):
    """letter: B, T, D or F. size: None where it varies."""

    letter: str
    size: int | None


Axis = tuple[Factor, ...]


@dataclass(frozen=True, eq=False)
class Step:
    """A part of a chain, the weights of its layers, and the node that it was read from.

    Attributes:
      lengths: of an LSTM: whether it reads the lengths of the sequences.
      open: of a dense layer: whether a bias may follow.
    """

    part: Any
    weights: tuple[Any, ...]
    node: str
    lengths: bool = False
    open: bool = False


@dataclass(frozen=True, eq=False)
class Stream:
    """A value on its way through the chain.

    Attributes:
      axes: what each axis is made of.
      steps: the parts so far.
      picked: 0 or 1 where one direction was taken out of the last LSTM.
      moment: 0 or -1 where the first or the last step was taken, only where there is just one.
      sampled: 0 or -1 where a step was taken that no LSTM of a chain returns by itself: the
        chain keeps them all.
      tokens: whether the values are ids of tokens.
      source: the input of the network, for messages: "[batch, time] int64".
    """

    axes: tuple[Axis, ...]
    steps: tuple[Step, ...] = ()
    picked: int | None = None
    moment: int | None = None
    sampled: int | None = None
    tokens: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        if len(self.axes) > MOST_AXES or len(self.steps) > MOST_LAYERS:
            raise Misfit(
                f"it makes {len(self.axes)} axes after {len(self.steps):,} layers, a chain has at "
                f"most {MOST_AXES} and {MOST_LAYERS:,}"
            )

    def letters(self) -> list[str]:
        """Return the letters of each axis, such as ["B", "T", "DF"]; "" for an axis of size 1."""
        return ["".join(factor.letter for factor in axis) for axis in self.axes]

    def described(self) -> str:
        """Return the axes in words, such as "[batch, time, features]"."""
        words = (" × ".join(NAMES[f.letter] for f in axis) or "1" for axis in self.axes)
        return f"[{', '.join(words)}]"

    def features(self) -> int:
        """Return the size of the last axis, which must hold only the features."""
        letters = self.letters()
        if not letters or letters[-1] not in ("F", "DF") or "D" in "".join(letters[:-1]):
            raise Misfit(f"it needs the features in the last axis, but reads {self.described()}")
        return prod(factor.size or 0 for factor in self.axes[-1])

    def then(self, step: Step, features: int | None = None) -> Stream:
        """Return the stream after one more part; `features` is the new size of the last axis."""
        axes = self.axes if features is None else (*self.axes[:-1], (Factor("F", features),))
        return replace(self, axes=axes, steps=(*self.steps, step), tokens=False)

    def axis(self, number: int) -> int:
        """Return the number of an axis, counted from the front."""
        if not -len(self.axes) <= number < len(self.axes):
            raise Misfit(f"it names axis {number} of {self.described()}")
        return number % len(self.axes)


def sizes_of(stream: Stream) -> list[int | Size]:
    """Return the shape: numbers, and the names of sizes that vary."""
    sizes: list[int | Size] = []
    for axis in stream.axes:
        size: Any = prod(factor.size for factor in axis if factor.size is not None)
        for factor in axis:
            if factor.size is None:
                size = Size((factor.letter,)) * size
        sizes.append(size)
    return sizes


# Axes.


def plain(factors: Sequence[Factor]) -> Axis:
    """Return an axis without factors of size 1 beside others; features stay with directions."""
    if len(factors) < 2:
        return tuple(factors)
    kept = "F" if any(factor.letter == "D" for factor in factors) else ""
    return tuple(factor for factor in factors if factor.size != 1 or factor.letter == kept)


def transposed(stream: Stream, order: Sequence[int] | None) -> Stream:
    """Return a stream whose axes are in another order."""
    order = list(range(len(stream.axes)))[::-1] if order is None else order
    if sorted(order) != list(range(len(stream.axes))):
        raise Misfit(f"it orders {stream.described()} as {excerpt(order)}")
    return replace(stream, axes=tuple(stream.axes[k] for k in order))


def squeezed(stream: Stream, axes: Sequence[int] | None) -> Stream:
    """Return a stream without some axes, which must be of size 1."""
    if axes is None:
        gone = {k for k, axis in enumerate(stream.axes) if not axis}
    else:
        gone = {stream.axis(number) for number in axes}
    for k in gone:
        if any(factor.size != 1 for factor in stream.axes[k]):
            raise Misfit(f"it drops axis {k} of {stream.described()}")
    left = tuple(axis for k, axis in enumerate(stream.axes) if k not in gone)
    return _still_in_time(stream, replace(stream, axes=left))


def unsqueezed(stream: Stream, axes: Sequence[int]) -> Stream:
    """Return a stream with axes of size 1 put in."""
    rank = len(stream.axes) + len(axes)
    if any(not -rank <= axis < rank for axis in axes):
        raise Misfit(f"it puts axes {excerpt(axes)} into {stream.described()}")
    places = {axis % rank for axis in axes}
    rest = iter(stream.axes)
    return replace(stream, axes=tuple(() if k in places else next(rest) for k in range(rank)))


def reshaped(stream: Stream, sizes: Sequence[int | Size], keep_zero: bool) -> Stream:
    """Return a stream whose factors are spread over other axes.

    Args:
      stream: any.
      sizes: of the new axes; -1 for what is left, 0 for the size of the same axis before.
      keep_zero: 0 stands for no size at all.
    """
    left = [factor for axis in stream.axes for factor in axis]
    wanted: list[Any] = list(sizes)
    for k, size in enumerate(wanted):
        if size == 0:
            if keep_zero or k >= len(stream.axes):
                raise Misfit(f"it gives {stream.described()} a size of 0")
            wanted[k] = stream.axes[k]
    rest = next((k for k, size in enumerate(wanted) if size == -1), len(wanted))
    try:
        front = [_taken(left, size, 0) for size in wanted[:rest]]
        back = [_taken(left, size, -1) for size in wanted[:rest:-1]][::-1]
    except Misfit:
        front = None
    middle = [plain(left)] * (rest < len(wanted))
    if front is None or (not middle and any(factor.size != 1 for factor in left)):
        shape = ", ".join(map(str, sizes))
        raise Misfit(f"it makes [{excerpt(shape)}] of {stream.described()}")
    return _still_in_time(stream, replace(stream, axes=(*front, *middle, *back)))


def _taken(left: list[Factor], size: Any, end: int) -> Axis:
    """Take the factors of one axis off an end of those that are left."""
    taken: list[Factor] = []
    if isinstance(size, Size | tuple):
        letters = size.factors if isinstance(size, Size) else [factor.letter for factor in size]
        for letter in letters if end == 0 else letters[::-1]:
            while left and left[end].letter != letter and left[end].size == 1:
                left.pop(end)
            if not left or left[end].letter != letter:
                raise Misfit
            taken.append(left.pop(end))
    elif size == 1:
        if left and left[end].size == 1:
            taken.append(left.pop(end))
    else:
        while (product := prod(factor.size or 0 for factor in taken)) < size:
            if not left or left[end].size is None:
                raise Misfit
            taken.append(left.pop(end))
        if product != size:
            raise Misfit
    return plain(taken if end == 0 else taken[::-1])


# One step, one direction.


def _still_in_time(before: Stream, after: Stream) -> Stream:
    """Return a stream that took the only step there is, if its axis of time was dropped."""
    if "T" in "".join(before.letters()) and "T" not in "".join(after.letters()):
        return replace(after, moment=ONLY)
    return after


def at(stream: Stream, number: int, index: int, keep: bool) -> Stream:
    """Return a stream at one index of an axis; `keep` leaves an axis of size 1."""
    number = stream.axis(number)
    (axis, letters) = stream.axes[number], stream.letters()[number]
    size = None if any(f.size is None for f in axis) else prod(f.size or 0 for f in axis)
    if size is not None and not -size <= index < size:
        raise Misfit(f"it takes index {index} of axis {number}, {stream.described()}")
    axes = (*stream.axes[:number], *([()] if keep else []), *stream.axes[number + 1 :])
    taken = replace(stream, axes=axes)
    if size == 1:
        return _still_in_time(stream, taken)
    if letters == "D" and stream.picked is None:
        return replace(taken, picked=index % 2)
    if letters == "T" and stream.moment is None:
        index = -1 if index + 1 == size else index
        if index in (0, -1):
            return replace(taken, moment=index)
        raise Misfit(f"it takes step {index}: a chain returns the first or the last one")
    raise Misfit(f"it takes index {index} of axis {number}, {stream.described()}")


def settled(stream: Stream) -> Stream:
    """Return a stream whose LSTM returns just the step and the direction that were taken.

    Layers after the LSTM compute each step by itself: it does not matter to them when one is
    taken.
    """
    stream = with_moment(stream)
    if stream.picked is None:
        return stream
    last = stream.steps[-1]
    direction = ("forward", "backward")[stream.picked]
    part = replace(last.part, direction=direction)
    one = replace(last, part=part, weights=(last.weights[stream.picked],))
    return replace(stream, steps=(*stream.steps[:-1], one), picked=None)


def with_moment(stream: Stream) -> Stream:
    """Return a stream whose LSTM returns just the step that was taken.

    The last step of both directions is not what an LSTM returns: its backward direction ends at
    the first one.
    """
    if stream.moment is None:
        return stream
    steps = list(stream.steps)
    place = next((k for k in range(len(steps))[::-1] if isinstance(steps[k].part, LSTM)), None)
    if place is None or not all(step.part.causal for step in steps[place + 1 :]):
        raise Misfit("it takes one step that no LSTM returns")
    part = steps[place].part
    direction = part.direction
    if stream.picked is not None:
        direction = ("forward", "backward")[stream.picked]
    expected = {"forward": -1, "backward": 0}.get(direction)
    if stream.moment not in (expected, ONLY) or part.residual:
        return replace(stream, moment=None, sampled=stream.moment)
    steps[place] = replace(steps[place], part=replace(part, last=True))
    return replace(stream, steps=tuple(steps), moment=None)


def same_steps(one: Sequence[Step], other: Sequence[Step]) -> bool:
    """Return whether two lists of parts compute the same."""
    return len(one) == len(other) and all(
        a is b or (a.part == b.part and a.weights is b.weights)
        for a, b in zip(one, other, strict=True)
    )


def both_directions(one: Stream, other: Stream) -> bool:
    """Return whether two streams are the two directions of one LSTM, forward first."""
    return (
        (one.picked, other.picked) == (0, 1)
        and one.axes == other.axes
        and same_steps(one.steps, other.steps)
    )


def alike(one: Stream, other: Stream) -> bool:
    """Return whether two streams have the same axes; those of both directions are features."""
    letters = [[axis.replace("D", "") for axis in stream.letters()] for stream in (one, other)]
    return letters[0] == letters[1] and sizes_of(one) == sizes_of(other)
