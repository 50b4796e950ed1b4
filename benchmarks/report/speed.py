"""Write the tables and the figure of a run of `python -m benchmarks peers` into a page.

    python -m benchmarks report [RESULTS.json] [--page docs/performance.md] [--section NAME]

puts the tables between two markers in the page, and the figure of the layers beside it in
`assets/`. Below the tables of the file, one more puts the files of all machines side by side. A
section has markers of its own, `benchmarks:NAME`, for results that were measured separately.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.report import machines, plot
from benchmarks.report.tables import (
    by_cell,
    by_sizes,
    clock_of,
    cost_table,
    noise_note,
    ratio_table,
    select,
    table,
    value_table,
)
from benchmarks.speed.formatting import ratio
from benchmarks.speed.processes import ROOT, WHERE
from benchmarks.speed.results import FOLDER, Results, file_name, machine, versions
from benchmarks.speed.timing import noise_warning

BEGIN, END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"
FIGURE = Path("assets") / "benchmarks.png"
RATIOS = {
    "train": "Training step",
    "forward_all": "Forward, h of every step",
    "forward": "Forward, last state",
    "compile_train": "Compile the training step (trace, lower, compile)",
    "compile_forward": "Compile the forward pass (trace, lower, compile)",
    "seq2seq": "Encoder-decoder, loss and gradients",
    "seq2seq_attention": "The same with attention (general)",
    "autoencoder": "Autoencoder, loss and gradients",
    "stacked": "Two stacked layers, loss and gradients",
    "greedy": "Encoder-decoder, greedy decoding",
}
TUTORIAL = {
    "tutorial_warm": "300 epochs, compiled before",
    "tutorial_cold": "a new process, from import to prediction",
    "tutorial_cached": "the same, JAX's compilation cache filled",
}
VALUES = {
    "addition": "Two epochs of Keras's example of addition, compiled before",
    "stream": "One step at batch 1, from x to h, both in NumPy",
    "memory": "Peak resident memory that training steps add",
    "import": "A new process that imports the library",
}


FRACTION = (
    ' "Fraction of the matmul limit" is the time of the layer\'s matrix products alone, each '
    "computed in one piece by the fastest library available, over our time."
)


def block(results: Results, source: str, figure: str | None) -> str:
    """Return the Markdown between the markers; `figure` is None if no layer was measured."""
    parts = [
        f"Made by `python -m benchmarks report` from `{source}`"
        + (", a quick run with short measurements." if results.settings.get("quick") else "."),
        _machine(results),
        *(_noise_and_figure(results, figure) if figure else []),
        "Ratios are *their time / our time*, medians of interleaved pairs: **above 1, lstmcore is "
        "faster**. Values in brackets are theirs / ours, measured together; the time of lstmcore "
        "itself is a median over all comparisons. *Process time* is that in which the process and "
        "its threads were running."
        + (FRACTION if any(record.peer == "matmul" for record in results.records) else ""),
    ]
    for case, title in RATIOS.items():
        for mode, where in WHERE.items():
            found = select(results.records, case, mode)
            for sizes, records in by_sizes(results, found):
                heading = _heading(records, title, where, sizes)
                parts += [heading, *noise_note(records), ratio_table(records)]
    traces = [r for r in results.records if r.case in ("forward_trace", "train_gate")]
    for sizes, records in by_sizes(results, traces):
        title = "What a trace costs: our time with it / without"
        parts += [_heading(records, title, sizes), cost_table(records)]
    parts += _values(results)
    parts += _not_measured(results)
    return "\n\n".join(parts)


def put(page: str, contents: str, opening: str = BEGIN, closing: str = END) -> str:
    """Return the page with `contents` between the markers.

    Raises:
      ValueError: the page does not hold each marker once, in their order.
    """
    before, begin, rest = page.partition(opening)
    old, end, after = rest.partition(closing)
    if not (begin and end) or opening in old + after or closing in before + after:
        raise ValueError(f"the page must hold {opening} and after it {closing}, once each")
    return f"{before}{opening}\n\n{contents}\n\n{closing}{after}"


def markers(section: str) -> tuple[str, str]:
    """Return the opening and the closing marker of a section."""
    return f"<!-- benchmarks:{section}:begin -->", f"<!-- benchmarks:{section}:end -->"


def main(arguments: list[str] | None = None) -> int:
    """Write the tables into the page, and the figure beside it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks report", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "results",
        nargs="?",
        type=Path,
        default=FOLDER / file_name(machine("cpu"), versions()),
        help="the JSON file (default: that of this machine and version of JAX)",
    )
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "performance.md")
    parser.add_argument("--section", help="between markers of this name", metavar="NAME")
    options = parser.parse_args(arguments)
    try:
        results = Results.load(options.results)
        page = options.page.read_text(encoding="utf-8")
        if options.section:
            text = put(
                page, block(results, _name(options.results), None), *markers(options.section)
            )
        else:
            parts = (
                block(results, _name(options.results), FIGURE.as_posix()),
                machines.tables(FOLDER),
            )
            text = put(page, "\n\n".join(filter(None, parts)))
            plot.draw(results, options.page.parent / FIGURE)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    options.page.write_text(text, encoding="utf-8")
    if warning := noise_warning(results.records):
        print(warning, file=sys.stderr)
    print(options.page if options.section else f"{options.page} and {options.page.parent / FIGURE}")
    return 0


def _machine(results: Results) -> str:
    machine, versions = results.machine, dict(results.versions)
    memory = f", {machine['memory_gib']:.0f} GiB" if "memory_gib" in machine else ""
    device = "" if machine["device"] == "cpu" else f"{machine['device']}; "
    text = f"Machine: {device}{machine['cpu']}, cores: {machine['cores']}{memory}, "
    text += f"{machine['system']}. Versions: "
    text += ", ".join(f"{name} {number}" for name, number in versions.items())
    commit = f" Commit {results.commit[:9]}" if results.commit else ""
    changed = " with changes" if (results.commit or "").endswith("+") else ""
    return f"{text}.{commit}{changed}, {results.date[:10]}."


def _noise_and_figure(results: Results, figure: str) -> list[str]:
    return [
        _noise(results),
        f"![The time of each library divided by that of lstmcore]({figure})",
    ]


def _noise(results: Results) -> str:
    found = []
    for mode, where in WHERE.items():
        control = [r.ratio for r in results.records if (r.peer, r.cores) == ("control", mode)]
        if control:
            medians = [sample.median for sample in control]
            found.append(
                f"{ratio(min(medians))} to {ratio(max(medians))} times its own time on {where} "
                f"({len(control)} comparisons, the quartiles of which reach from "
                f"{ratio(min(sample.low for sample in control))} to "
                f"{ratio(max(sample.high for sample in control))})"
            )
    if not found:
        return "Noise: lstmcore was not timed against itself in this run."
    return (
        "Noise: timed against itself in the same way, lstmcore takes "
        f"{'; '.join(found)}. Ratios within these ranges show no difference."
    )


def _values(results: Results) -> list[str]:
    parts = []
    for mode, where in WHERE.items():
        groups = []
        for case, title in TUTORIAL.items():
            records = select(results.records, case, mode)
            groups += [(f"{title} ({clock_of(records)})", records)] if records else []
        if groups:
            parts += [f"### The tutorial's autoencoder, {where}", value_table(groups)]
    if parts:
        parts.append(
            "`torch.nn.LSTM` has no relu: there the model runs with tanh, and with two biases per "
            "layer."
        )
    for case, title in VALUES.items():
        for mode, where in WHERE.items():
            records = select(results.records, case, mode)
            if records:
                values = value_table(by_cell(records))
                parts += [_heading(records, title, where), *noise_note(records), values]
    return parts


def _heading(records, title: str, *details: str) -> str:
    """Return the heading of a table, with the clock of its records."""
    clock = f" ({clock_of(records)})" if clock_of(records) else ""
    return f"### {', '.join([title, *filter(None, details)])}{clock}"


def _not_measured(results: Results) -> list[str]:
    rows = [[entry["peer"], "all", entry["reason"]] for entry in results.skipped]
    for failure in results.failures:
        cell = ",".join(map(str, failure["cell"])) if failure["cell"] else ""
        what = f"{failure['case']} {cell}, cores: {failure['cores']}"
        rows.append([failure["peer"], what, failure["message"].replace("|", "/")])
    parts = [] if results.complete else ["**This run was interrupted before it was complete.**"]
    if rows:
        parts += ["### Not measured", table(["peer", "case", "reason"], rows)]
    return parts


def _name(path: Path) -> str:
    path = path.resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
