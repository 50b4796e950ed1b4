"""The whole models: every library computes the same before it is timed."""

import numpy as np
import pytest

from benchmarks.report import tables
from benchmarks.speed import launch, parity
from benchmarks.speed.grid import Cell
from benchmarks.speed.peers import PEERS, WORKLOAD_CASES
from benchmarks.speed.timing import Budget, Record, Sample
from benchmarks.speed.workloads import greedy, measure
from lstmcore.vocabulary import END, PADDING

pytestmark = pytest.mark.thorough

CELL = Cell(4, 5, 3, 6)
TINY = Budget(seconds=0.0, pairs=2, slow_pairs=1)
PAIRS = [(case, peer) for case in WORKLOAD_CASES for peer in measure.workload(case).IN]


@pytest.mark.parametrize(("case", "peer"), PAIRS)
def test_a_library_computes_what_we_compute(case, peer):
    for package in PEERS[peer].needs:
        pytest.importorskip(package)
    (record,) = measure.records(peer, case, CELL, "one", TINY)
    assert (record.case, record.cell, record.cores, record.peer) == (case, CELL, "one", peer)
    assert record.ratio.median > 0


@pytest.mark.parametrize("case", WORKLOAD_CASES)
def test_peers_take_part_where_there_is_a_workload(case):
    assert {name for name, peer in PEERS.items() if case in peer.cases} == set(
        measure.workload(case).IN
    )


@pytest.mark.parametrize(("case", "what"), [("autoencoder", "gradient of"), ("greedy", "tokens")])
def test_another_result_is_not_timed(case, what, monkeypatch):
    module = measure.workload(case)
    ours = module.in_lstmcore(CELL)
    expected = ours.read(ours.run())
    name = next(name for name in expected if what in name)
    changed = expected | {name: expected[name] + 1}
    wrong = ours._replace(read=lambda result: changed)
    monkeypatch.setitem(module.IN, "torch", lambda cell: wrong)
    with pytest.raises(parity.ParityError, match=f"{case}: {name}"):
        list(measure.records("torch", case, CELL, "one", TINY))


def test_decoding_takes_all_steps():
    decoding = greedy.in_lstmcore(CELL)
    tokens = decoding.read(decoding.run())["tokens"]
    assert tokens.shape == (CELL.batch, CELL.time)
    assert not np.isin(tokens, (END, PADDING)).any()
    assert len(np.unique(tokens)) > 3


def test_whole_models_are_measured_once_and_not_on_a_gpu():
    planned, _ = launch.jobs(("control",), ("train", "stacked"), [CELL], ("one", "all"))
    assert [job.cases for job in planned] == [("train", "stacked"), ("train",)]
    planned, _ = launch.jobs(("control",), ("train", "stacked"), [CELL], ("gpu",))
    assert [job.cases for job in planned] == [("train",)]


def test_the_table_of_decoding_has_tokens_per_second():
    time, ratio = Sample(0.01, 0.01, 0.01, 3), Sample(2.0, 2.0, 2.0, 3)
    cell = Cell(32, 20, 64, 128)
    text = tables.ratio_table([Record("greedy", cell, "one", "torch", time, time, ratio)])
    assert "| 32,20,64,128 | 10.0 ms (64,000 tokens/s) | 2.00 |" in text
