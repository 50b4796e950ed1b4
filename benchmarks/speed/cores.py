"""Time training by `lc.fit` on all cores of a CPU beside one device: where does splitting pay?

    python -m benchmarks cores [--count N] [--runs 3] [--cell B,T,F,H ...]

The loss is the mean square of h. Both sides are compiled before and run in turn. Printed are the
medians for each size, and a table of how many times as fast all cores are.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import lstmcore as lc
from benchmarks.speed.formatting import spread
from benchmarks.speed.grid import Cell, draw
from benchmarks.speed.timing import FULL, compare_slow

BATCHES, UNITS = (8, 13, 16, 32, 64), (16, 64, 128, 256, 512)
CELLS = tuple(Cell(batch, 50, 16, units) for batch in BATCHES for units in UNITS)
RUN_SECONDS = 0.5  # of epochs in a row, so that the copies to all devices count for little


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks cores", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--count", type=int, help="devices (default: one for each core)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each side (default 3)")
    parser.add_argument(
        "--cell", type=Cell.parse, nargs="+", default=CELLS, metavar="B,T,F,H", help="sizes"
    )
    options = parser.parse_args(arguments)
    lc.use_all_cores(options.count)
    budget = FULL._replace(slow_pairs=options.runs)
    faster = {}
    for cell in options.cell:
        all_of_them, one, ratio = compare_slow(*sides(cell), budget)
        print(
            f"{cell!s:<16} one device {1e3 * one.median:.3g} ms, {len(jax.devices())} devices "
            f"{1e3 * all_of_them.median:.3g} ms: times as fast {spread(ratio)}",
            flush=True,
        )
        faster[cell] = ratio.median
    print(f"\n{table(faster)}")


def sides(cell: Cell) -> tuple[Callable, Callable]:
    """Return (on all devices, on one): training for some epochs of one batch each.

    Raises:
      AssertionError: they result in other params.
    """
    params, x = draw(cell)

    def train(devices, epochs: int):
        return lc.fit(mean_square, params, x, batch_size=cell.batch, epochs=epochs, devices=devices)

    everywhere, one = (train(devices, 1).params for devices in (jax.devices(), None))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), everywhere, one
    )
    started = time.perf_counter()
    train(None, 10)
    epochs = 1 + round(10 * RUN_SECONDS / (time.perf_counter() - started))
    return lambda: train(jax.devices(), epochs), lambda: train(None, epochs)


def mean_square(params, x) -> jax.Array:
    """Compute the loss."""
    return jnp.mean(lc.lstm(params, x)[1].h ** 2)


def table(faster: dict[Cell, float]) -> str:
    """Return a Markdown table with a row for each size but H, and a column for each H."""
    units = sorted({cell.units for cell in faster})
    rows = list(dict.fromkeys(cell[:3] for cell in faster))
    lines = [
        "| B, T, F | " + " | ".join(f"H = {each}" for each in units) + " |",
        "|---|" + "---:|" * len(units),
    ]
    for row in rows:
        ratios = (faster.get(Cell(*row, each)) for each in units)
        shown = ("" if ratio is None else f"{ratio:.2f}" for ratio in ratios)
        lines.append(f"| {', '.join(map(str, row))} | {' | '.join(shown)} |")
    return "\n".join(lines)
