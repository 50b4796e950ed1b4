"""Markdown tables of records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from benchmarks.common import Record
from benchmarks.grid import GRID, Cell
from benchmarks.peers import PEERS
from benchmarks.units import percent, ratio, time_or_size

# Not others' LSTMs, but what puts their figures in proportion.
YARDSTICKS = ("control", "own", "matmul")
NOTHING = "–"


def geometric_mean(values: Iterable[float]) -> float:
    """The mean of ratios: that of a ratio and its inverse is 1."""
    return float(np.exp(np.mean(np.log(list(values)))))


def select(records: Iterable[Record], case: str, cores: str) -> list[Record]:
    """Those of one case and mode."""
    return [record for record in records if (record.case, record.cores) == (case, cores)]


def cells_of(records: Iterable[Record]) -> list[tuple | None]:
    """Their cells, in the order of the grid and then of size."""
    return sorted(
        {record.cell for record in records},
        key=lambda cell: (cell not in GRID, GRID.index(cell) if cell in GRID else 0, cell or ()),
    )


def ratios(records: Iterable[Record], peer: str) -> dict[tuple | None, float]:
    """Cell to median ratio, of one peer."""
    return {record.cell: record.ratio.median for record in records if record.peer == peer}


def best_jax_peer(records: Sequence[Record]) -> dict[tuple | None, float]:
    """Cell to the ratio of whichever JAX peer is fastest there."""
    best: dict[tuple | None, float] = {}
    for record in records:
        if PEERS[record.peer].in_jax:
            best[record.cell] = min(record.ratio.median, best.get(record.cell, np.inf))
    return best


def peers_of(records: Iterable[Record]) -> list[str]:
    """The peers that are others' LSTMs, in the order of `PEERS`."""
    found = {record.peer for record in records}
    return [name for name in PEERS if name in found and name not in YARDSTICKS]


def ours(records: Iterable[Record], cell) -> float:
    """The median, over the peers, of our own median."""
    return float(np.median([record.ours.median for record in records if record.cell == cell]))


def ratio_table(records: Sequence[Record]) -> str:
    """Of one case and mode: a row per peer, a column per cell, the geometric mean last."""
    cells = cells_of(records)
    rows = [["lstmcore", *(time_or_size(ours(records, cell), "s") for cell in cells), ""]]
    limit = ratios(records, "matmul")
    if limit:
        rows.append(["share of the matmul limit", *_with_mean(limit, cells, percent)])
    peers = peers_of(records)
    for peer in peers:
        rows.append([PEERS[peer].title, *_with_mean(ratios(records, peer), cells, ratio)])
    if sum(PEERS[peer].in_jax for peer in peers) > 1:
        rows.append(["**best JAX peer**", *_with_mean(best_jax_peer(records), cells, ratio)])
    return table(["B,T,F,H", *map(_title, cells), "geometric mean"], rows)


def factor_table(records: Sequence[Record]) -> str:
    """What looking costs: our time with it, in units of our time without."""
    cells = cells_of(records)
    labels = {
        "forward_trace": "all h, c and gates returned / all h",
        "train_gate": "a gate in the loss / training step",
    }
    rows = []
    for case, label in labels.items():
        for cores in dict.fromkeys(record.cores for record in records if record.case == case):
            chosen = select(records, case, cores)
            factors = {cell: 1 / value for cell, value in ratios(chosen, "own").items()}
            rows.append([f"{label}, {_mode(cores)}", *_with_mean(factors, cells, ratio)])
    return table(["B,T,F,H", *map(_title, cells), "geometric mean"], rows)


def value_table(groups: Sequence[tuple[str, Sequence[Record]]]) -> str:
    """A column per (title, records), a row per peer: the ratio, and both values.

    Both, for each peer was measured at another time, when the machine may have been faster.
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
    """Groups for `value_table`: a column per cell."""
    return [
        (_title(cell), [record for record in records if record.cell == cell])
        for cell in cells_of(records)
    ]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown; numbers to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *rows])


def _with_mean(values: dict, cells, write) -> list[str]:
    entries = [write(values[cell]) if cell in values else NOTHING for cell in cells]
    if not values:
        return [*entries, NOTHING]
    missing = len(cells) - len(values)
    of = f" (of {len(values)})" if missing else ""  # not comparable with the mean over all
    return [*entries, write(geometric_mean(values.values())) + of]


def _value(record: Record) -> str:
    theirs, ours = (time_or_size(s.median, record.unit) for s in (record.theirs, record.ours))
    return f"{ratio(record.ratio.median)} ({theirs} / {ours})"


def _title(cell) -> str:
    return str(Cell(*cell)) if cell else "time"


def _mode(cores: str) -> str:
    return {"one": "one core", "all": "all cores", "gpu": "GPU"}[cores]
