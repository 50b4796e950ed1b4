"""Measure memory and time of the gradient of one long sequence, by its length. Linux only.

    python -m benchmarks long                 all, a few minutes: a table, a file, a figure
    python -m benchmarks long --steps 1000    only this many steps, printed alone

One layer of 64 units reads a batch of one sequence with one feature. It is differentiated by three
implementations, for two losses: of the last h alone, and of the h of every step. Each measurement
has a process of its own, which prints MiB and seconds (the least of five runs):

- process: peak memory from the start of the process on, libraries and compilation included
- added: peak memory during the third gradient, less the memory before the first, after compilation
  and a gradient of ten steps
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.speed import memory
from benchmarks.speed.processes import ROOT, python
from benchmarks.speed.results import Results

STEPS = (1_000, 5_000, 20_000, 100_000)
UNITS = 64
# Keys as in the file of results.
IMPLEMENTATIONS = {
    "plain": "plain loop, differentiated by JAX",
    "fast": "hand-written backward",
    "segments": 'checkpoint_every="auto"',
}
LOSSES = {"last": "loss of the last h", "every": "loss of every h"}
RUNS = 5
FILE = ROOT / "benchmarks" / "results" / "long.json"
FIGURE = ROOT / "docs" / "assets" / "long.png"


def gradient_of(implementation: str, loss: str):
    """Return a jitted function (params, x) -> gradient of the params."""
    import jax

    import lstmcore as lc

    options: dict = {
        # This edit changes nothing, but an edit needs the loop that JAX differentiates.
        "plain": {"edit": lambda gates, t: gates},
        "fast": {},
        "segments": {"checkpoint_every": "auto"},
    }[implementation]

    def of(params, x):
        final, trace = lc.lstm(params, x, **options)
        return (final.h**2).sum() if loss == "last" else (trace.h**2).mean()

    return jax.jit(jax.grad(of))


def measure(implementation: str, loss: str, steps: int) -> dict:
    """Return memory in MiB and seconds of one gradient; to be called in a new process."""
    import jax
    import numpy as np

    import lstmcore as lc

    params = lc.init_lstm(jax.random.key(0), 1, UNITS)
    x = np.sin(np.arange(steps, dtype=np.float32) / 7)[None, :, None]
    gradient = gradient_of(implementation, loss)
    compiled = gradient.lower(params, x).compile()

    def run():
        return jax.block_until_ready(compiled(params, x))

    jax.block_until_ready(gradient(params, x[:, :10]))
    memory.release_free_memory()
    before = memory.status("VmRSS")
    run()
    run()
    process = memory.status("VmHWM")
    memory.release_free_memory()
    memory.reset_peak()
    run()
    peak = memory.status("VmHWM")
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    found = {"added": peak - before, "process": max(process, peak), "seconds": min(seconds)}
    return {"way": implementation, "loss": loss, "steps": steps} | found


def table(rows: list[dict]) -> str:
    """Return a Markdown table: added MiB (process MiB), µs per step."""
    lines = []
    for loss, title in LOSSES.items():
        chosen = {(row["steps"], row["way"]): row for row in rows if row["loss"] == loss}
        lines += [f"| {title}: steps | " + " | ".join(IMPLEMENTATIONS.values()) + " |"]
        lines += ["|---:|" + "---:|" * len(IMPLEMENTATIONS)]
        for steps in sorted({steps for steps, _ in chosen}):
            cells = [_cell(chosen[steps, name]) for name in IMPLEMENTATIONS]
            lines.append(f"| {steps:,} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _cell(row: dict) -> str:
    per_step = 1e6 * row["seconds"] / row["steps"]
    return f"{row['added']:.1f} ({row['process']:.0f}) MiB, {per_step:.1f} µs"


def draw(rows: list[dict], path: Path) -> None:
    """Write a PNG: memory added against steps, a panel for each loss."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from benchmarks.report.plot import COLOURS, MARKERS

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(LOSSES), sharey=True)
    for panel, (loss, title) in zip(panels, LOSSES.items(), strict=True):
        for name, colour, marker in zip(IMPLEMENTATIONS, COLOURS, MARKERS, strict=False):
            chosen = [row for row in rows if (row["way"], row["loss"]) == (name, loss)]
            panel.plot(
                [row["steps"] for row in chosen],
                [max(row["added"], 0.1) for row in chosen],
                color=colour,
                marker=marker,
                label=IMPLEMENTATIONS[name],
            )
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_title(title, loc="left", fontsize=11)
        panel.set_xlabel("steps")
        panel.grid(color="0.85", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("memory added by a gradient, MiB")
    panels[0].legend(frameon=False, loc="upper left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def main(arguments: list[str] | None = None) -> int:
    """Measure everything in new processes, or one gradient in this one."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks long", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    one = ("IMPLEMENTATION", "LOSS")
    parser.add_argument("--one", nargs=2, metavar=one, help="in this process, printed as JSON")
    options = parser.parse_args(arguments)
    if not memory.available():
        print("peak memory is measured on Linux only")
        return 2
    if options.one:
        print(json.dumps(measure(*options.one, options.steps[0])))
        return 0
    rows = []
    for steps in options.steps:
        for name, label in IMPLEMENTATIONS.items():
            for loss in LOSSES:
                found = python("-m", "benchmarks", "long", f"--steps={steps}", "--one", name, loss)
                rows.append(json.loads(found))
                print(f"{steps:>7} steps, {label}, {LOSSES[loss]}: {_cell(rows[-1])}")
    print(f"\n{table(rows)}")
    if tuple(options.steps) == STEPS:
        head = asdict(Results.start("cpu", {"units": UNITS, "batch": 1, "features": 1}))
        about = {name: head[name] for name in ("machine", "versions", "commit", "date", "settings")}
        FILE.write_text(json.dumps(about | {"rows": rows}, indent=1) + "\n", encoding="utf-8")
        draw(rows, FIGURE)
    return 0
