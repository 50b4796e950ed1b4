"""Statistics of one layer's gates, over the examples and the real steps of a batch.

Every function takes `(trace, mask=None)`, works under `jax.jit`, and returns a NamedTuple of
arrays whose meaning and shape its class documents; `study.rows` makes a table of it. The statistics
of a batch without a real step are NaN. Axes: B batch, T time, H units.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstmcore import checks
from lstmcore.arrays import as_array, as_state
from lstmcore.display import displayed
from lstmcore.study.names import GATES, check_trace, quantity_of
from lstmcore.types import Gates, LSTMState, Trace


@displayed
class Saturation(NamedTuple):
    """Fractions of the steps at which a unit's gate is all but closed, or all but open.

    Attributes:
      left: Gates of [H], fraction of real steps below the low threshold.
      right: Gates of [H], fraction above the high one.
    """

    left: Gates
    right: Gates


@displayed
class Moments(NamedTuple):
    """Mean and standard deviation over the real steps.

    Attributes:
      mean, std: Trace of [H].
    """

    mean: Trace
    std: Trace


@displayed
class TimeScale(NamedTuple):
    """Memory of a unit to which nothing is added.

    Attributes:
      half_life: [H], steps until half of the cell is forgotten: log(1/2) / log(keep). Infinite for
        a unit that forgets nothing, 0 for one that keeps nothing.
      keep: [H], mean of the forget gate: the fraction of the cell that is kept at each step.
    """

    half_life: jax.Array
    keep: jax.Array


@displayed
class Contributions(NamedTuple):
    """The two terms whose sum is the cell, c_t = old + new; both 0 where masked.

    Attributes:
      old: [B, T, H], f * c_{t-1}: the part of the memory that is kept.
      new: [B, T, H], i * g: what is added.
    """

    old: jax.Array
    new: jax.Array


@displayed
class Correlation(NamedTuple):
    """Pearson's correlation of each quantity with a signal.

    Attributes:
      r: Trace of [H].
    """

    r: Trace


def saturation(
    trace: Trace, mask: jax.Array | None = None, *, low: float = 0.1, high: float = 0.9
) -> Saturation:
    """Measure how often each gate is saturated, after Karpathy, Johnson & Fei-Fei (2015).

    See their section 4.2. The thresholds of the candidate, which lies between -1 and 1, are
    2 low - 1 and 2 high - 1.

    Args:
      trace: Trace [B, T, H].
      mask: bool [B, T], True = real step.
      low, high: thresholds, strict.

    Returns:
      Saturation, Gates of [H].

    Raises:
      ValueError: a mask of another shape, or thresholds that are not 0 <= low <= high <= 1.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> from lstmcore import study
      >>> params = lc.init_lstm(jax.random.key(0), features=2, units=3)
      >>> _, trace = lc.lstm(params, jnp.ones((5, 7, 2)), edit=study.clamp("forget", 0.99))
      >>> study.saturation(trace).right.forget.tolist()
      [1.0, 1.0, 1.0]
    """
    real = _real(trace, mask)
    concrete = not any(isinstance(value, jax.core.Tracer) for value in (low, high))
    if concrete and not 0 <= low <= high <= 1:
        raise ValueError(f"thresholds must be 0 <= low <= high <= 1, got low={low}, high={high}")

    def fraction(name: str, below: bool):
        gate = quantity_of(trace, name)
        threshold = low if below else high
        if name == "candidate":
            threshold = 2 * threshold - 1
        beyond = (gate < threshold if below else gate > threshold).astype(gate.dtype)
        return jnp.mean(jnp.where(jnp.isnan(gate), gate, beyond), axis=(0, 1), where=real)

    left, right = ([fraction(name, below) for name in GATES] for below in (True, False))
    return Saturation(Gates(*left), Gates(*right))


def moments(trace: Trace, mask: jax.Array | None = None) -> Moments:
    """Compute the mean and standard deviation of every quantity of every unit.

    Args:
      trace: Trace [B, T, H].
      mask: bool [B, T], True = real step.

    Returns:
      Moments, Traces of [H].

    Raises:
      ValueError: a mask of another shape.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> from lstmcore import study
      >>> params = lc.init_lstm(jax.random.key(0), features=2, units=3)
      >>> _, trace = lc.lstm(params, jnp.ones((5, 7, 2)))
      >>> study.moments(trace).mean.gates.forget.shape
      (3,)
    """
    real, trace = _real(trace, mask), _in_cell_dtype(trace)
    return Moments(
        mean=jax.tree.map(lambda leaf: jnp.mean(leaf, axis=(0, 1), where=real), trace),
        std=jax.tree.map(lambda leaf: jnp.std(leaf, axis=(0, 1), where=real), trace),
    )


def time_scale(trace: Trace, mask: jax.Array | None = None) -> TimeScale:
    """Estimate how long each unit remembers, from its forget gate.

    If the gate kept the same fraction at each step, a fraction keep^n of a memory would be left
    after n steps. `keep` is the mean over the steps, as in Mahto et al. (2021), "Multi-timescale
    representation learning in LSTM language models". A geometric mean would suit a product better,
    but it is 0 for a unit that clears its cell just once.

    Args:
      trace: Trace [B, T, H].
      mask: bool [B, T], True = real step.

    Returns:
      TimeScale, [H] each, in steps.

    Raises:
      ValueError: a mask of another shape.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> from lstmcore import study
      >>> params = lc.init_lstm(jax.random.key(0), features=2, units=3)
      >>> _, trace = lc.lstm(params, jnp.ones((5, 7, 2)), edit=study.clamp("forget", 0.5))
      >>> study.time_scale(trace).half_life.tolist()
      [1.0, 1.0, 1.0]
    """
    keep = jnp.mean(jnp.maximum(trace.gates.forget, 0), axis=(0, 1), where=_real(trace, mask))
    forever = keep >= 1
    fraction = jnp.where(forever | (keep == 0), 0.5, keep)  # log has no gradient there
    half_life = jnp.log(jnp.full_like(keep, 0.5)) / jnp.log(fraction)
    half_life = jnp.where(keep == 0, 0, half_life)
    return TimeScale(jnp.where(forever, jnp.inf, half_life), keep)


def contributions(
    trace: Trace,
    mask: jax.Array | None = None,
    *,
    state: LSTMState | None = None,
    reverse: bool = False,
) -> Contributions:
    """Split each step's cell into the old memory that is kept and the new that is added.

    Args:
      trace: Trace [B, T, H].
      mask: bool [B, T], True = real step.
      state: LSTMState that the layer started from; None for zeros.
      reverse: whether the layer ran from the last step to the first.

    Returns:
      Contributions, [B, T, H] each.

    Raises:
      ValueError: a mask or state of another shape.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> from lstmcore import study
      >>> params = lc.init_lstm(jax.random.key(0), features=2, units=3)
      >>> _, trace = lc.lstm(params, jnp.ones((5, 7, 2)))
      >>> old, new = study.contributions(trace)
      >>> bool(jnp.allclose(old + new, trace.c))
      True
    """
    real = _real(trace, mask)
    state = as_state(state)
    if state is not None:
        batch, _, units = trace.c.shape
        checks.check_state(state, batch, units, hidden=trace.h.shape[2])
    start = jnp.zeros_like(trace.c[:, 0]) if state is None else state.c.astype(trace.c.dtype)
    if reverse:
        before = jnp.concatenate([trace.c[:, 1:], start[:, None]], axis=1)
    else:
        before = jnp.concatenate([start[:, None], trace.c[:, :-1]], axis=1)
    terms = trace.gates.forget * before, trace.gates.input * trace.gates.candidate
    return Contributions(*(jnp.where(real, term, 0) for term in terms))


def correlation(trace: Trace, signal: jax.Array, mask: jax.Array | None = None) -> Correlation:
    """Correlate every unit with a signal of the input, such as the position in a line of text.

    For many signals, `jax.vmap` over them.

    Args:
      trace: Trace [B, T, H].
      signal: [B, T], numbers or bool.
      mask: bool [B, T], True = real step.

    Returns:
      Correlation, a Trace of [H] between -1 and 1; 0 for quantities that never change.

    Raises:
      ValueError: a signal or mask of another shape.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> from lstmcore import study
      >>> params = lc.init_lstm(jax.random.key(0), features=2, units=3)
      >>> x = jax.random.normal(jax.random.key(1), (5, 7, 2))
      >>> _, trace = lc.lstm(params, x)
      >>> float(study.correlation(trace, trace.h[:, :, 1]).r.h[1].round(3))
      1.0
    """
    real = _real(trace, mask)
    signal = as_array("signal", signal)
    checks.check_array("signal", signal, "batch time", "one number for each step of each example")
    if tuple(signal.shape) != trace.c.shape[:2]:
        raise ValueError(
            f"signal has shape {tuple(signal.shape)} but the trace needs {trace.c.shape[:2]}: "
            "one number for each step of each example"
        )

    def standardised(array):
        mean = jnp.mean(array, axis=(0, 1), where=real, keepdims=True)
        centred = jnp.where(real, array - mean, 0)
        largest = jnp.max(jnp.abs(centred), axis=(0, 1), keepdims=True, initial=0)
        constant = largest <= 8 * jnp.finfo(array.dtype).eps * jnp.abs(mean)  # NaN is not
        scaled = centred / jnp.where(constant, 1, largest)  # so that squares are in range
        variance = jnp.mean(scaled * scaled, axis=(0, 1), where=real, keepdims=True)
        return jnp.where(constant, 0, scaled / jnp.sqrt(jnp.where(constant, 1, variance)))

    def with_signal(array):
        reference = standardised(jnp.asarray(signal).astype(array.dtype)[:, :, None])
        r = jnp.mean(standardised(array) * reference, axis=(0, 1), where=real)
        return jnp.clip(r, -1, 1)  # rounding

    return Correlation(jax.tree.map(with_signal, _in_cell_dtype(trace)))


def _real(trace: Trace, mask):
    """Return `mask`, checked, as [B, T, 1]; all True if there is none."""
    batch, timesteps = check_trace(trace)
    if mask is None:
        return jnp.ones((batch, timesteps, 1), bool)
    mask = checks.check_mask(mask, batch, timesteps)
    return jnp.asarray(mask)[:, :, None]


def _in_cell_dtype(trace: Trace) -> Trace:
    """Return the trace with `h` in the dtype of `c`, which in bfloat16 layers is float32."""
    return trace._replace(h=jnp.asarray(trace.h, trace.c.dtype))
