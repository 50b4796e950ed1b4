"""Markdown tables of records."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.speed.formatting import percent, ratio, time_or_size
from benchmarks.speed.grid import GRID, Cell
from benchmarks.speed.peers import PEERS
from benchmarks.speed.processes import WHERE
from benchmarks.speed.results import Results
from benchmarks.speed.timing import CONTROL_RANGE, Record, noisy_controls

# No peers, but references for their figures.
REFERENCES = ("control", "own", "matmul")
NOTHING = "–"
_NOISY = " (noisy)"


def geometric_mean(values: Iterable[float]) -> float:
    """Return the geometric mean of ratios; that of a ratio and its inverse is 1."""
    return float(np.exp(np.mean(np.log(list(values)))))


def select(records: Iterable[Record], case: str, cores: str) -> list[Record]:
    """Return the records of one case and mode."""
    return [record for record in records if (record.case, record.cores) == (case, cores)]


def by_sizes(results: Results, records: Iterable[Record]) -> list[tuple[str, list[Record]]]:
    """Return (title, records) of the fixed sizes, whose title is empty, and of each random sample.

    A size that was asked for and drawn as well is among both. Groups without records are left out.
    """
    records, drawn = list(records), set()
    groups = []
    for entry in results.settings.get("random", ()):
        cells = {tuple(cell) for cell in entry["cells"]}
        drawn |= cells
        chosen = [record for record in records if record.cell in cells]
        groups.append((f"random sizes, seed {entry['seed']}", chosen))
    fixed = set(GRID) | {tuple(cell) for cell in results.settings.get("cell") or ()}
    rest = [record for record in records if record.cell in fixed or record.cell not in drawn]
    return [(title, found) for title, found in [("", rest), *groups] if found]


def clock_of(records: Iterable[Record]) -> str:
    """Return the clocks of records, as text; that of an amount of memory is empty."""
    clocks = dict.fromkeys(record.clock for record in records if record.unit == "s")
    return " and ".join(f"{clock} time" for clock in clocks)


def cells_of(records: Iterable[Record]) -> list[tuple | None]:
    """Return the cells of the records, in the order of the grid and then of size."""
    return sorted(
        {record.cell for record in records},
        key=lambda cell: (cell not in GRID, GRID.index(cell) if cell in GRID else 0, cell or ()),
    )


def ratios(records: Iterable[Record], peer: str) -> dict[tuple | None, float]:
    """Return the median ratio of one peer, by cell."""
    return {record.cell: record.ratio.median for record in records if record.peer == peer}


def best_jax_peer(records: Sequence[Record]) -> dict[tuple | None, float]:
    """Return the ratio of the fastest JAX peer, by cell."""
    best: dict[tuple | None, float] = {}
    for record in records:
        if PEERS[record.peer].in_jax:
            best[record.cell] = min(record.ratio.median, best.get(record.cell, np.inf))
    return best


def peers_of(records: Iterable[Record]) -> list[str]:
    """Return the peers of the records in the order of `PEERS`, without the references."""
    found = {record.peer for record in records}
    return [name for name in PEERS if name in found and name not in REFERENCES]


def ours(records: Iterable[Record], cell) -> float:
    """Return the median of our time over the comparisons with all peers."""
    return float(np.median([record.ours.median for record in records if record.cell == cell]))


class Summary(NamedTuple):
    """The ratios of one peer over several cells.

    mean: geometric mean of their time / our time
    lowest: the smallest of them
    below: in how many cells it is below 1, compared as printed, with two decimals
    count: cells
    """

    mean: float
    lowest: float
    below: int
    count: int

    @classmethod
    def of(cls, values: Collection[float]) -> Summary:
        """Summarise ratios, of which there is at least one."""
        below = sum(round(value, 2) < 1 for value in values)
        return cls(geometric_mean(values), min(values), below, len(values))


def ratio_table(records: Sequence[Record]) -> str:
    """Return a table of one case and mode: a row per cell, a column per peer, a summary below.

    Rows are marked as noisy where the control varies too much, and so is a summary of such rows.
    """
    cells = cells_of(records)
    noisy = {record.cell for record in noisy_controls(records)}
    columns = [["lstmcore", *(_our_time(records, cell) for cell in cells), "", "", ""]]
    limit = ratios(records, "matmul")
    if limit:
        columns.append(["fraction of the matmul limit", *_with_mean(limit, cells, percent), "", ""])
    peers = peers_of(records)
    for peer in peers:
        columns.append([PEERS[peer].title, *_with_summary(ratios(records, peer), cells)])
    if sum(PEERS[peer].in_jax for peer in peers) > 1:
        columns.append(["**best JAX peer**", *_with_summary(best_jax_peer(records), cells)])
    titles = [
        *_titles(cells, noisy),
        *(f"{title}{_NOISY if noisy else ''}" for title in ("geometric mean", "lowest", "below 1")),
    ]
    header, *rows = zip(["B,T,F,H", *titles], *columns, strict=True)
    return table(header, rows)


def noise_note(records: Sequence[Record]) -> list[str]:
    """Return a line about the cells whose control varies too much; no line if there are none."""
    noisy = noisy_controls(records)
    if not noisy:
        return []
    found = ", ".join(
        f"{_title(record.cell)}: {ratio(record.ratio.median)} "
        f"({ratio(record.ratio.low)} to {ratio(record.ratio.high)})"
        for record in noisy
    )
    low, high = CONTROL_RANGE
    return [
        f"**Noisy** sizes: lstmcore, timed against itself, leaves {low} to {high} there (median "
        f"and quartiles at {found}). Their ratios say little, and neither does what sums them up."
    ]


def cost_table(records: Sequence[Record]) -> str:
    """Return what a trace costs: our time with it, divided by our time without."""
    cells = cells_of(records)
    labels = {
        "forward_trace": "all h, c and gates returned / all h",
        "train_gate": "a gate in the loss / training step",
    }
    columns = []
    for case, label in labels.items():
        for cores in dict.fromkeys(record.cores for record in records if record.case == case):
            chosen = select(records, case, cores)
            costs = {cell: 1 / value for cell, value in ratios(chosen, "own").items()}
            columns.append([f"{label}, {WHERE[cores]}", *_with_mean(costs, cells, ratio)])
    header, *rows = zip(["B,T,F,H", *_titles(cells), "mean cost"], *columns, strict=True)
    return table(header, rows)


def value_table(groups: Sequence[tuple[str, Sequence[Record]]]) -> str:
    """Return a table of a column per (title, records), a row per peer: the ratio and both values.

    Both values, since each peer was measured at another time, and so perhaps on a busier machine.
    """
    groups = [(title, records) for title, records in groups if records]
    rows = [
        [
            "lstmcore",
            *(
                time_or_size(ours(records, records[0].cell), records[0].unit)
                for _, records in groups
            ),
        ]
    ]
    for peer in peers_of([record for _, records in groups for record in records]):
        entries = []
        for _, records in groups:
            found = [record for record in records if record.peer == peer]
            entries += [_value(record) for record in found[:1]] or [NOTHING]
        rows.append([PEERS[peer].title, *entries])
    return table(["", *(title for title, _ in groups)], rows)


def by_cell(records: Sequence[Record]) -> list[tuple[str, list[Record]]]:
    """Return groups for `value_table`: a column per cell, marked as in `ratio_table`."""
    cells = cells_of(records)
    titles = _titles(cells, {record.cell for record in noisy_controls(records)})
    return [
        (title, [record for record in records if record.cell == cell])
        for title, cell in zip(titles, cells, strict=True)
    ]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table with its numbers aligned to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *rows])


def _with_mean(values: dict, cells, write) -> list[str]:
    entries = [write(values[cell]) if cell in values else NOTHING for cell in cells]
    if not values:
        return [*entries, NOTHING]
    missing = len(cells) - len(values)
    of = f" (of {len(values)})" if missing else ""  # not comparable with the mean over all
    return [*entries, write(geometric_mean(values.values())) + of]


def _with_summary(values: dict, cells) -> list[str]:
    if not values:
        return [NOTHING] * (len(cells) + 3)
    _, lowest, below, count = Summary.of(values.values())
    return [*_with_mean(values, cells, ratio), ratio(lowest), f"{below} of {count}"]


def _our_time(records: Sequence[Record], cell) -> str:
    seconds = ours(records, cell)
    text = time_or_size(seconds, "s")
    if records[0].case == "greedy":
        rate = float(f"{Cell(*cell).batch * Cell(*cell).time / seconds:.3g}")  # three digits
        text += f" ({rate:,.0f} tokens/s)"
    return text


def _value(record: Record) -> str:
    theirs, ours = (time_or_size(s.median, record.unit) for s in (record.theirs, record.ours))
    return f"{ratio(record.ratio.median)} ({theirs} / {ours})"


def _titles(cells, noisy: Collection = ()) -> list[str]:
    return [_title(cell) + (_NOISY if cell in noisy else "") for cell in cells]


def _title(cell) -> str:
    return str(Cell(*cell)) if cell else "time"
