"""Draw the results of `lstmcore.study.statistics` and `lstmcore.study.gradients`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from lstmcore import checks
from lstmcore.arrays import check_known
from lstmcore.study.gradients import GradientFlow
from lstmcore.study.plots.style import COLOURS, DASHES, GATE_COLOURS, TITLES, panels, plain
from lstmcore.study.statistics import Saturation, TimeScale

SHORTEST, LONGEST = 0.1, 1000.0  # half-lives in steps; one bin holds all beyond each
DECADES, BINS_PER_DECADE = 4, 4
FIFTHS = (0, 0.2, 0.4, 0.6, 0.8, 1)


def plot_saturation(saturation: Saturation, *, axes=None) -> Figure:
    """Draw how often each unit's gates are all but open, against all but closed.

    There is one dot for each unit in a panel for each gate, after Karpathy, Johnson & Fei-Fei
    (2015), section 4.2. No dot can lie above the diagonal, where left and right add up to 1: a gate
    on it is a switch. Dots that coincide are darker; the panel says how many are never saturated,
    at (0, 0).

    Args:
      saturation: of one layer, from `study.saturation`.
      axes: 3 Axes to draw into, as from `figure.subplots(1, 3)`.

    Returns:
      The figure.

    Raises:
      ValueError, TypeError: `axes` that are not 3, or not Axes.
    """
    check_known("saturation", saturation)
    figure, grid = panels(
        axes,
        1,
        3,
        "input, forget and output gate",
        figsize=(9, 3.5),
        sharex=True,
        sharey=True,
        subplot_kw={"box_aspect": 1},
    )
    corner = {"ha": "right", "va": "top", "fontsize": "small"}
    for panel, (name, colour) in zip(grid[0], GATE_COLOURS.items(), strict=True):
        left, right = (
            np.asarray(getattr(side, name)) for side in (saturation.left, saturation.right)
        )
        panel.plot([0, 1], [1, 0], color="0.6", linewidth=0.8, linestyle="--")
        panel.scatter(
            right, left, s=30, color=colour, alpha=0.45, edgecolor="black", linewidth=0.5, zorder=3
        )
        never = int(((left == 0) & (right == 0)).sum())
        panel.text(0.97, 0.95, f"never saturated: {never} of {len(left)}", **corner)
        panel.set_title(TITLES[name], loc="left", fontsize="medium")
        panel.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04), xticks=FIFTHS, yticks=FIFTHS)
        panel.set_xlabel("fraction right-saturated (open)")
        panel.set_aspect("equal")
        panel.spines[["top", "right"]].set_visible(False)
    grid[0, 0].set_ylabel("fraction left-saturated (closed)")
    return figure


def plot_time_scales(time_scales: TimeScale | Mapping[str, TimeScale], *, axes=None) -> Figure:
    """Draw a histogram of the units' half-lives, on a logarithmic axis.

    Units that all but never forget, with a half-life above 1000 steps or infinite, are counted in
    a separate bin at the right, behind a gap; those that forget at once, below 0.1 steps, in the
    first bin at the left.

    Args:
      time_scales: of one layer, from `study.time_scale`, or {label: time scale} to compare.
      axes: the Axes to draw into.

    Returns:
      The figure.

    Raises:
      ValueError: no time scale at all.
      ValueError, TypeError: more than one of `axes`, or not Axes.
    """
    check_known("time_scales", time_scales)
    compared = time_scales if isinstance(time_scales, Mapping) else {"": time_scales}
    if not compared:
        raise ValueError("time_scales is empty: pass a TimeScale, or {label: TimeScale}")
    figure, grid = panels(axes, 1, 1, "the histogram", figsize=(6.4, 3.6))
    panel = grid[0, 0]
    edges = np.geomspace(SHORTEST, LONGEST, BINS_PER_DECADE * DECADES + 1)
    ratio = edges[1] / edges[0]
    beyond = LONGEST * ratio ** np.array([1, 2])  # a bin behind a gap of the width of one
    left, right = np.append(edges[:-1], beyond[0]), np.append(edges[1:], beyond[1])
    for number, (label, time_scale) in enumerate(compared.items()):
        half_life = np.asarray(time_scale.half_life)
        half_life = half_life[~np.isnan(half_life)]
        short = np.clip(half_life[half_life <= LONGEST], SHORTEST, None)
        counts = np.append(np.histogram(short, edges)[0], (half_life > LONGEST).sum())
        # Side by side within each bin, in equal parts of the logarithmic axis.
        part = (right / left) ** (1 / len(compared))
        start = left * part**number
        middle = np.median(half_life) if half_life.size else np.nan
        name = plain(f"{label}: " if label else "") + f"median {_steps(middle)}"
        panel.bar(
            start,
            counts,
            width=start * (part - 1),
            align="edge",
            color=COLOURS[number % len(COLOURS)],
            edgecolor="white",
            linewidth=0.5,
            label=name,
        )
    _label_half_lives(panel, beyond, ratio)
    panel.yaxis.set_major_locator(MaxNLocator(integer=True))
    panel.set(xlabel="half-life (steps)", ylabel="number of units")
    panel.legend(frameon=False)
    panel.spines[["top", "right"]].set_visible(False)
    return figure


def _label_half_lives(panel: Axes, beyond: np.ndarray, ratio: float) -> None:
    """Set up the logarithmic axis, with a shaded bin from `beyond[0]` to `beyond[1]`."""
    panel.set_xscale("log")
    ticks = SHORTEST * 10.0 ** np.arange(DECADES + 1)
    names = [f"{tick:g}" for tick in ticks]
    names[0] = f"≤ {SHORTEST:g}"
    panel.set_xticks([*ticks, np.sqrt(beyond.prod())], [*names, f"\n> {LONGEST:g}\nor ∞"])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.axvspan(LONGEST * ratio**0.5, beyond[1] * ratio**0.5, color="0.92", linewidth=0, zorder=0)
    panel.set_xlim(SHORTEST / ratio**0.5, beyond[1] * ratio**0.5)


def plot_gradient_flow(
    flows: GradientFlow | Mapping[str, GradientFlow],
    *,
    of: str = "h",
    mask: np.ndarray | None = None,
    axes=None,
) -> Figure:
    """Draw how much the last hidden state depends on earlier ones, by steps back.

    The line is the median over the examples, the shaded range that from the lowest to the highest.
    A norm that underflows to 0 lies outside of the logarithmic axis. A layer that ran in reverse is
    recognised by its flow: its earlier steps are at the other end.

    Args:
      flows: from `study.gradient_flow`, or {label: flow} to compare.
      of: "h" for the norm of d h_T / d h_t, "c" for that of d h_T / d c_t, which starts one step
        back: at the last step it is 0 by definition.
      mask: bool [B, T] if the flows were computed with one: masked steps do not count as steps.
      axes: the Axes to draw into.

    Returns:
      The figure.

    Raises:
      ValueError: no flow at all, `of` neither "h" nor "c", or a mask of another shape or
        without a real step.
      ValueError, TypeError: more than one of `axes`, or not Axes.
    """
    check_known("flows", flows)
    compared = flows if isinstance(flows, Mapping) else {"": flows}
    if not compared:
        raise ValueError("flows is empty: pass a GradientFlow, or {label: GradientFlow}")
    if of not in ("h", "c"):
        raise ValueError(f"of must be 'h' or 'c', got {of!r}")
    figure, grid = panels(axes, 1, 1, "the norms", figsize=(6.4, 3.8))
    panel = grid[0, 0]
    longest = 0
    for number, (label, flow) in enumerate(compared.items()):
        norms = _backwards(flow, of, mask)
        back = np.arange(norms.shape[1])[1 if of == "c" else 0 :]
        low, middle, high = np.nanquantile(norms, [0, 0.5, 1], axis=0)[:, back]
        longest = max(longest, norms.shape[1])
        style = {"color": COLOURS[number % len(COLOURS)]}
        if norms.shape[0] > 1:
            panel.fill_between(back, low, high, alpha=0.2, linewidth=0, **style)
        dash = DASHES[number % len(DASHES)]
        panel.plot(back, middle, dash, label=plain(label), linewidth=1.6, **style)
    panel.set_yscale("log", nonpositive="clip")
    panel.set_xlim(-0.02 * longest, max(1.0, 1.02 * (longest - 1)))
    panel.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    panel.set_xlabel("steps back from the end, $T - t$")
    panel.set_ylabel(rf"norm $\|\partial h_T\,/\,\partial {of}_t\|$")
    panel.grid(alpha=0.3)
    if isinstance(flows, Mapping):
        panel.legend(frameon=False)
    panel.spines[["top", "right"]].set_visible(False)
    return figure


def _backwards(flow: GradientFlow, of: str, mask) -> np.ndarray:
    """Return norms [B, steps back] of the real steps, the last first; NaN beyond the first."""
    norms = np.asarray(getattr(flow, of), dtype=float)
    batch, steps = norms.shape
    if mask is not None:
        mask = checks.check_mask(mask, batch, steps)
    real = np.ones((batch, steps), bool) if mask is None else np.asarray(mask)
    if not real.any():
        raise ValueError("mask leaves no real step: there is nothing to draw")
    # At the last step the product is 1 and d h_T / d c_T is 0; elsewhere only one of them may be.
    forward = (np.asarray(flow.forget_product[:, -1]) == 1).all() & (flow.c[:, -1] == 0).all()
    backwards = slice(None, None, -1 if forward else 1)
    result = np.full((batch, real.sum(axis=1).max()), np.nan)
    for row, values, keep in zip(result, norms, real, strict=True):
        taken = values[keep][backwards]
        row[: len(taken)] = taken
    return result


def _steps(half_life: float) -> str:
    if np.isnan(half_life):
        return "unknown"
    return "∞" if np.isinf(half_life) else f"{half_life:.3g} steps"
