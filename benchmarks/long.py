"""Memory and time of the gradient of one long sequence, against its steps. Linux only.

    python -m benchmarks.long                 all, a few minutes: a table, a file, a picture
    python -m benchmarks.long --steps 1000    only this many steps, printed alone

One layer of 64 units reads a batch of one sequence with one feature. Three ways to differentiate
it, for two losses: of the last h alone, and of the h of every step. Each is measured in a process
of its own, which prints MiB and seconds (the least of five runs):

- process: the most that it held from its start on, libraries and compilation included
- added: the most that it held during a gradient, the third, less what it held before the first,
  when that was compiled and a gradient of ten steps had run
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks import memory
from benchmarks.processes import ROOT, python
from benchmarks.results import Results

STEPS = (1_000, 5_000, 20_000, 100_000)
UNITS = 64
WAYS = {
    "plain": "plain loop, differentiated by JAX",
    "fast": "hand-written backward",
    "segments": 'checkpoint_every="auto"',
}
LOSSES = {"last": "loss of the last h", "every": "loss of every h"}
RUNS = 5
FILE = ROOT / "benchmarks" / "results" / "long.json"
PICTURE = ROOT / "docs" / "assets" / "long.png"


def gradient_of(way: str, loss: str):
    """A compiled function (params, x) -> gradient of the params."""
    import jax

    import lstmcore as lc

    options: dict = {
        "plain": {"edit": lambda gates, t: gates},  # it changes nothing, but asks for the plain way
        "fast": {},
        "segments": {"checkpoint_every": "auto"},
    }[way]

    def of(params, x):
        final, trace = lc.lstm(params, x, **options)
        return (final.h**2).sum() if loss == "last" else (trace.h**2).mean()

    return jax.jit(jax.grad(of))


def measure(way: str, loss: str, steps: int) -> dict:
    """Memory in MiB and seconds of one gradient; for a fresh process."""
    import jax
    import numpy as np

    import lstmcore as lc

    params = lc.init_lstm(jax.random.key(0), 1, UNITS)
    x = np.sin(np.arange(steps, dtype=np.float32) / 7)[None, :, None]
    gradient = gradient_of(way, loss)
    compiled = gradient.lower(params, x).compile()

    def run():
        return jax.block_until_ready(compiled(params, x))

    jax.block_until_ready(gradient(params, x[:, :10]))
    memory.give_back()
    before = memory.status("VmRSS")
    run()
    run()
    process = memory.status("VmHWM")
    memory.give_back()
    memory.forget_peak()
    run()
    peak = memory.status("VmHWM")
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    found = {"added": peak - before, "process": max(process, peak), "seconds": min(seconds)}
    return {"way": way, "loss": loss, "steps": steps} | found


def table(rows: list[dict]) -> str:
    """Markdown: added MiB (process MiB), µs per step."""
    lines = []
    for loss, title in LOSSES.items():
        chosen = {(row["steps"], row["way"]): row for row in rows if row["loss"] == loss}
        lines += [f"| {title}: steps | " + " | ".join(WAYS.values()) + " |"]
        lines += ["|---:|" + "---:|" * len(WAYS)]
        for steps in sorted({steps for steps, _ in chosen}):
            cells = [_cell(chosen[steps, way]) for way in WAYS]
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

    from benchmarks.plot import COLOURS, MARKERS

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(LOSSES), sharey=True)
    for panel, (loss, title) in zip(panels, LOSSES.items(), strict=True):
        for way, colour, marker in zip(WAYS, COLOURS, MARKERS, strict=False):
            chosen = [row for row in rows if (row["way"], row["loss"]) == (way, loss)]
            panel.plot(
                [row["steps"] for row in chosen],
                [max(row["added"], 0.1) for row in chosen],
                color=colour,
                marker=marker,
                label=WAYS[way],
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
    """Measure everything, or one thing in this process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--one", nargs=2, metavar=("WAY", "LOSS"), help="in this process, as JSON")
    options = parser.parse_args(arguments)
    if not memory.available():
        print("peak memory is measured on Linux only")
        return 2
    if options.one:
        print(json.dumps(measure(*options.one, options.steps[0])))
        return 0
    rows = []
    for steps in options.steps:
        for way in WAYS:
            for loss in LOSSES:
                one = ["--steps", str(steps), "--one", way, loss]
                rows.append(json.loads(python("-m", "benchmarks.long", *one)))
                print(f"{steps:>7} steps, {WAYS[way]}, {LOSSES[loss]}: {_cell(rows[-1])}")
    print(f"\n{table(rows)}")
    if tuple(options.steps) == STEPS:
        head = asdict(Results.start("cpu", {"units": UNITS, "batch": 1, "features": 1}))
        about = {name: head[name] for name in ("machine", "versions", "commit", "date", "settings")}
        FILE.write_text(json.dumps(about | {"rows": rows}, indent=1) + "\n", encoding="utf-8")
        draw(rows, PICTURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
