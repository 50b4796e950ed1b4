"""The comparison with peers: it times equal computations, loses no record, and reports them."""

import json
import time

import jax
import numpy as np
import pytest

from benchmarks.report import speed as report
from benchmarks.report import tables
from benchmarks.speed import comparison as command
from benchmarks.speed import formatting, launch, memory, parity, timing
from benchmarks.speed.grid import GRID, Cell, draw
from benchmarks.speed.peers import CASES, PEERS
from benchmarks.speed.peers.ours import Layer as Ours
from benchmarks.speed.processes import python
from benchmarks.speed.results import Results, plain
from benchmarks.speed.seq2seq import addition as epochs
from benchmarks.speed.seq2seq import measure as measure_seq2seq
from benchmarks.speed.timing import (
    Budget,
    Record,
    Sample,
    Times,
    compare,
    compare_slow,
    measure,
    measure_slow,
    noise_warning,
)
from benchmarks.studies.tasks.addition import arrays as arrays_of_addition

pytestmark = pytest.mark.thorough

CELL = Cell(4, 5, 3, 6)
TINY = Budget(seconds=0.0, pairs=2, slow_pairs=1)
IN_THIS_PROCESS = ("torch", "keras-jax", "flax-linen", "flax-nnx", "equinox", "haiku")


# --- parity ---


@pytest.mark.parametrize("name", IN_THIS_PROCESS)
def test_a_peer_computes_what_we_compute(name):
    for package in PEERS[name].needs:
        pytest.importorskip(package)
    weights, x = draw(CELL)
    ours, theirs = Ours(weights, x), PEERS[name].layer()(weights, x)
    parity.check_layers(ours, theirs)
    parity.check_streams(ours.stream(), theirs.stream(), CELL._replace(batch=1))


def test_weights_of_the_cudnn_layer_by_its_reference(monkeypatch):
    from jax.experimental import rnn

    def reference(x, h, c, weights, lengths, **options):
        sizes = {k: options[k] for k in ("input_size", "hidden_size", "num_layers")}
        arrays = rnn.unpack_lstm_weights(weights, *sizes.values(), bidirectional=False)
        return rnn.lstm_ref(x, h, c, *arrays, lengths, **options)

    monkeypatch.setattr(rnn, "lstm", reference)
    weights, x = draw(CELL)
    parity.check_layers(Ours(weights, x), PEERS["jax-rnn"].layer()(weights, x))


@pytest.mark.parametrize(
    ("name", "one", "other"), [("kernel", 0, 1), ("recurrent_kernel", 1, 3), ("bias", 0, 2)]
)
def test_parity_sees_two_swapped_gates(name, one, other):
    weights, x = draw(CELL)
    gates = np.split(getattr(weights, name), 4, axis=-1)
    gates[one], gates[other] = gates[other], gates[one]
    swapped = weights._replace(**{name: np.concatenate(gates, axis=-1)})
    with pytest.raises(parity.ParityError, match="differs by"):
        parity.check_layers(Ours(weights, x), Ours(swapped, x))
    ours, theirs = (Ours(w, x).stream() for w in (weights, swapped))
    with pytest.raises(parity.ParityError, match="stream"):
        parity.check_streams(ours, theirs, CELL._replace(batch=1))


def test_parity_sees_a_gradient_that_is_wrong_or_not_finite():
    weights, x = draw(CELL)
    ours = Ours(weights, x)
    expected = ours.read("train", ours.run("train"))
    for name in expected:
        for wrong in (expected[name] * 1.001, np.full_like(expected[name], np.nan)):
            with pytest.raises(parity.ParityError, match=name):
                parity.compare("train", expected, expected | {name: wrong}, parity.TOLERANCE)
    with pytest.raises(parity.ParityError, match="shape"):
        parity.compare(
            "train", expected, expected | {"gradient of bias": np.ones(1)}, parity.TOLERANCE
        )


@pytest.mark.parametrize(
    ("peer", "case"),
    [
        ("torch", "seq2seq"),
        ("torch", "seq2seq_attention"),
        ("keras-jax", "seq2seq_attention"),  # of which the other is a part
    ],
)
def test_a_translator_computes_what_we_compute(peer, case):
    for package in PEERS[peer].needs:
        pytest.importorskip(package)
    cell = CELL._replace(time=3)
    (record,) = measure_seq2seq.steps(peer, case, cell, "one", TINY)
    assert (record.case, record.cell, record.peer) == (case, cell, peer)


def test_keras_has_the_gradients_of_the_addition_example():
    pytest.importorskip("keras")
    params = jax.tree.map(np.asarray, epochs.MODEL.init(jax.random.key(0)))
    batch, _ = arrays_of_addition(seed=0, train=8, validation=1)
    epochs.check_gradients(epochs.in_lstmcore(params), epochs.in_keras(params), batch)


def test_a_batch_split_over_devices_gives_the_same_gradients():
    python(
        "-c",
        "import jax; jax.config.update('jax_num_cpu_devices', 2);"
        "from unittest import mock;"
        "from benchmarks.speed import parity;"
        "from benchmarks.speed.grid import Cell, draw;"
        "from benchmarks.speed.peers.ours import Layer;"
        f"data = draw(Cell{tuple(CELL._replace(batch=9))});"  # 4 for each at least
        "split = Layer(*data);"
        "assert len(split.devices) == 2;"
        "one_device = jax.local_devices()[:1];"
        "mock.patch('jax.local_devices', return_value=one_device).start();"
        "whole = Layer(*data);"
        "assert len(whole.devices) == 1;"
        "parity.check_layers(whole, split);"
        "whole.compile('train');"
        "split.compile('train')",
        variables={"JAX_PLATFORMS": "cpu"},
    )


# --- times ---


def test_pairs_are_interleaved_and_ratios_are_theirs_over_ours(monkeypatch):
    now = {"wall": 0.0, "process": 0.0}
    monkeypatch.setattr("benchmarks.speed.timing.time.perf_counter", lambda: now["wall"])
    for clock in now:
        monkeypatch.setitem(timing.CLOCKS, clock, lambda clock=clock: now[clock])

    def takes(wall, process):
        def function():
            now["wall"] += wall
            now["process"] += process

        return function

    for measured in (measure, measure_slow):
        found = measured(takes(0.5, 0.4), takes(1.0, 0.1), TINY)
        for clock, times in {"wall": (0.5, 1.0, 2.0), "process": (0.4, 0.1, 0.25)}.items():
            medians = [sample.median for sample in found[clock]]
            assert medians == pytest.approx(times)
            assert found[clock].ratio.low == found[clock].ratio.high == medians[2]
    for compared in (compare, compare_slow):  # by wall time
        assert compared(takes(0.5, 0.4), takes(1.0, 0.1), TINY).ratio.median == pytest.approx(2.0)
    assert compare(takes(0.5, 0), takes(1.0, 0), Budget(seconds=30, pairs=2)).ours.runs == 20


def test_one_core_is_compared_by_process_time_where_a_process_can_be_pinned(monkeypatch):
    ours = Sample(1.0, 1.0, 1.0, 3)
    wall, process = Times(ours, ours, ours), Times(ours, ours, Sample(3.0, 3.0, 3.0, 3))
    measured = {"wall": wall, "process": process}
    for cores, pins, clock in [
        ("one", True, "process"),
        ("one", False, "wall"),
        ("all", True, "wall"),
        ("gpu", True, "wall"),
    ]:
        monkeypatch.setattr(timing, "PINS", pins)
        found = Record.of("train", CELL, cores, "torch", measured)
        assert found.clock == clock
        assert found.ratio == measured[clock].ratio
        assert found.other == (wall if clock == "process" else process)


def test_a_process_that_waits_takes_wall_time_alone():
    found = measure_slow(lambda: None, lambda: time.sleep(0.05), TINY)
    assert found["wall"].theirs.median >= 0.05 > 2 * found["process"].theirs.median


def test_records_of_both_clocks_and_of_older_files_are_read(tmp_path):
    path = tmp_path / "results.json"
    older = a_record("train", "torch", 2.0)
    newer = older._replace(clock="process", other=Times(*older[4:7]))
    results = Results.start("cpu", {})
    results.records = [older, newer]
    results.save(path)
    contents = json.loads(path.read_text(encoding="utf-8"))
    assert contents["records"][1]["clock"] == "process"
    for name in ("clock", "other"):  # as it was before there were two
        del contents["records"][0][name]
    path.write_text(json.dumps(contents), encoding="utf-8")
    assert Results.load(path).records == [older, newer]
    assert older.clock == "wall"


def test_a_summary_counts_ratios_below_1_as_they_are_printed():
    found = tables.Summary.of([0.25, 0.994, 0.996, 4.0])
    assert (found.lowest, found.below, found.count) == (0.25, 2, 4)


def test_geometric_mean():
    assert tables.geometric_mean([0.5, 2.0]) == pytest.approx(1.0)
    assert tables.geometric_mean([1.0, 10.0, 100.0]) == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (2.5, "s", "2.50 s"),
        (0.0999, "s", "99.9 ms"),
        (3e-5, "s", "30.0 µs"),
        (3e-8, "s", "0.03 µs"),
        (97.18, "MiB", "97.2 MiB"),
        (125.6, "MiB", "126 MiB"),
    ],
)
def test_numbers_have_three_digits_and_a_unit(value, unit, text):
    assert formatting.time_or_size(value, unit) == text


@pytest.mark.skipif(not memory.available(), reason="needs Linux's /proc")
def test_the_memory_of_a_training_step_holds_at_least_its_gates():
    cell = Cell(32, 100, 4, 128)
    gates = 4 * 4 * cell.batch * cell.time * cell.units / 2**20
    added = python(
        "-m", "benchmarks", "memory", "control", str(cell)
    )  # this process has memory left
    assert float(added) > gates


# --- a run ---


def test_a_run_from_command_to_page(tmp_path, capsys):
    results, page = tmp_path / "results.json", tmp_path / "page.md"
    arguments = ["--quick", "--peer", "keras-jax", "--case", "forward_all", "train", "--cell"]
    assert command.main([*arguments, str(CELL), "--cores", "all", f"--output={results}"]) == 0
    assert "keras" in capsys.readouterr().out.lower()

    found = Results.load(results)
    assert found.complete
    assert not found.failures
    assert [(r.case, r.cell, r.cores, r.peer) for r in found.records] == [
        (case, CELL, "all", "keras-jax") for case in ("forward_all", "train")
    ]
    assert all(r.ratio.median > 0 for r in found.records)
    assert found.versions["jax"] == jax.__version__

    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    for _ in range(2):  # what was put there is replaced
        assert report.main([str(results), f"--page={page}"]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert text.count("| Keras on JAX |") == 2
    assert (tmp_path / "assets" / "benchmarks.png").read_bytes().startswith(b"\x89PNG")


JOB = launch.Job("control", "one", ("train",), (CELL,))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by signal 9"),
        ("print('{\"record\": 1}', flush=True); raise MemoryError('too large')", "too large"),
    ],
)
def test_a_worker_that_dies_is_reported(code, said):
    *events, last = launch.run(JOB, command=("-c", code))
    assert events in ([], [{"record": 1}])
    assert said in last["failure"]["message"]


def test_what_fails_or_is_interrupted_loses_nothing_found_before(tmp_path):
    path = tmp_path / "results.json"
    found_one = {"record": json.loads(json.dumps(plain(a_record("train", "torch", 2.0))))}
    failure = {"failure": {"case": "layers", "cell": CELL, "message": "ParityError: no"}}
    on_disk = []

    def run(job):
        yield {"starting": ["layers", CELL]}
        yield found_one
        on_disk.append(Results.load(path))
        yield failure
        if job.mode == "all":
            raise KeyboardInterrupt

    results = Results.start("cpu", {})
    with pytest.raises(KeyboardInterrupt):
        command.measure([JOB, JOB._replace(mode="all"), JOB], results, path, run=run)
    assert [len(found.records) for found in on_disk] == [1, 2]
    found = Results.load(path)
    assert not found.complete
    assert found.records == 2 * [a_record("train", "torch", 2.0)]
    assert [entry["cores"] for entry in found.failures] == ["one", "all"]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "results.json"
    results = Results.start("cpu", {})
    results.save(path)
    before = path.read_bytes()
    results.settings = {"peer": object()}
    with pytest.raises(TypeError):
        results.save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.json"]
    path.write_text("[1, 2", encoding="utf-8")
    with pytest.raises(ValueError, match="holds no results"):
        Results.load(path)


# --- who takes part ---


def test_a_peer_that_is_not_installed_says_how_to_install_it(monkeypatch):
    line = PEERS["keras-torch"].missing(find=lambda name: None if name == "torch" else name)
    assert line == "torch not installed: pip install keras torch"
    assert PEERS["control"].missing() is None

    monkeypatch.setattr("benchmarks.speed.peers.Peer.missing", lambda peer: "no such: pip install")
    planned, skipped = launch.jobs(("haiku",), CASES, GRID, ("one", "all"))
    assert planned == []
    assert skipped == [{"peer": "haiku", "reason": "no such: pip install"}]


def test_jobs_of_cpu_and_gpu():
    cases = ("train", "memory", "import")
    planned, _ = launch.jobs(("control", "jax", "own"), cases, GRID, ("one", "all"))
    assert [(job.peer, job.mode, job.cases) for job in planned] == [
        ("control", "one", ("train",)),
        ("jax", "one", ("import",)),
        ("control", "all", ("train",)),
    ]
    _, skipped = launch.jobs(("jax-rnn",), cases, GRID, ("one",))
    assert skipped == [{"peer": "jax-rnn", "reason": "not measured on a CPU"}]
    planned, skipped = launch.jobs(("jax-rnn", "keras-jax"), ("train", "memory"), GRID, ("gpu",))
    assert {job.cases for job in planned} == {("train",)}


def test_one_core_is_told_to_every_library():
    environment = launch.environment(JOB)
    assert environment["OMP_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == "1"
    assert "--xla_cpu_multi_thread_eigen=false" in environment["XLA_FLAGS"]
    assert launch.environment(JOB._replace(peer="keras-torch"))["KERAS_BACKEND"] == "torch"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--peer", "torhc"], "keras-jax"),  # the known ones are listed
        (["--case", "training"], "forward_all"),
        (["--cell", "16,100,8"], "four whole numbers B,T,F,H"),
        (["--cell", "16,0,8,4"], "1 or more"),
        (["--cores", "two"], "both"),
        (["--random", "0"], "1 or more"),
        (["--seed", "1"], "give both"),
    ],
)
def test_errors_of_the_command(arguments, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_nothing_to_measure_and_no_cores_on_a_gpu(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(launch, "find_device", lambda: ("cpu", "cpu"))
    output = f"--output={tmp_path / 'r.json'}"
    assert command.main(["--peer", "jax", "--case", "train", output]) == 1
    assert "nothing to measure" in capsys.readouterr().out
    monkeypatch.setattr(launch, "find_device", lambda: ("gpu", "a GPU"))
    assert command.main(["--cores", "one", output]) == 2
    assert "JAX_PLATFORMS=cpu" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


# --- the report ---


def a_record(case, peer, ratio, cell=CELL, cores="one", unit="s", ours=0.01):
    ours, theirs, ratio = (
        Sample(value, 0.9 * value, 1.1 * value, 7) for value in (ours, ratio * ours, ratio)
    )
    return Record(case, cell, cores, peer, ours, theirs, ratio, unit)


def with_quartiles(case, peer, cell, ratio, low, high):
    return a_record(case, peer, ratio, cell)._replace(ratio=Sample(ratio, low, high, 7))


def test_tables_of_a_run():
    other = Cell(*GRID[1])
    results = Results.start("cpu", {})
    results.records = [
        with_quartiles("train", "control", CELL, 1.02, 1.0, 1.04),
        a_record("train", "matmul", 0.25),
        a_record("train", "torch", 0.5),
        a_record("train", "torch", 2.0, other),
        a_record("train", "flax-linen", 3.0),
        a_record("train", "haiku", 1.5),
        a_record("train", "haiku", 6.0, other),
        a_record("train_gate", "own", 0.8),
        a_record("stream", "torch", 2.0, Cell(1, 1, 8, 64), ours=2e-5),
        a_record("memory", "torch", 1.5, unit="MiB", ours=100),
        a_record("tutorial_cold", "torch", 0.5, None, ours=4.0),
        a_record("import", "jax", 0.9, None, ours=1.0),
    ]
    results.skipped = [{"peer": "equinox", "reason": "not installed"}]
    results.failures = [
        {"peer": "flax-nnx", "cores": "one", "case": "layers", "cell": CELL, "message": "a | b"}
    ]
    text = report.block(results, "cpu.json", "assets/benchmarks.png")
    for line in [
        "### Training step, one core (wall time)",
        "| B,T,F,H | lstmcore | fraction of the matmul limit | PyTorch | Flax linen | Haiku "
        "| **best JAX peer** |",
        "| 5,3,2,128 | 10.0 ms | – | 2.00 | – | 6.00 | 6.00 |",
        "| 4,5,3,6 | 10.0 ms | 25 % | 0.50 | 3.00 | 1.50 | 1.50 |",
        "| geometric mean |  | 25 % (of 1) | 1.00 | 3.00 (of 1) | 3.00 | 3.00 |",
        "| lowest |  |  | 0.50 | 3.00 | 1.50 | 1.50 |",
        "| below 1 |  |  | 1 of 2 | 0 of 1 | 0 of 2 | 0 of 2 |",
        "| B,T,F,H | a gate in the loss / training step, one core |",
        "| mean cost | 1.25 |",
        "### Peak resident memory that training steps add, one core\n",
        "| PyTorch | 2.00 (40.0 µs / 20.0 µs) |",
        "| PyTorch | 1.50 (150 MiB / 100 MiB) |",
        "| PyTorch | 0.50 (2.00 s / 4.00 s) |",
        "| jax | 0.90 (900 ms / 1.00 s) |",
        "| equinox | all | not installed |",
        "| flax-nnx | layers 4,5,3,6, cores: one | a / b |",
    ]:
        assert line in text, text
    assert "1.02 to 1.02 times its own time on one core" in text
    assert "before it was complete" in text


def test_a_control_that_varies_too_much_is_warned_of_and_its_sizes_are_marked(capsys, tmp_path):
    other = Cell(*GRID[1])
    results = Results.start("cpu", {})
    found = [
        with_quartiles("train", "control", CELL, 1.0, 0.91, 1.09),
        with_quartiles("train", "control", other, 0.95, 0.82, 1.05),
        with_quartiles("forward", "control", other, 1.0, 0.9, 1.1),
        with_quartiles("stream", "control", Cell(1, 1, 8, 64), 1.05, 1.0, 1.3),
        with_quartiles("train", "torch", other, 2.0, 0.5, 3.0),  # no control: peers may vary
        a_record("train", "torch", 2.0),
        a_record("forward", "torch", 2.0, other),
        a_record("stream", "torch", 2.0, Cell(1, 1, 8, 64)),
    ]
    events = [{"record": json.loads(json.dumps(plain(record)))} for record in found]
    command.measure([JOB], results, tmp_path / "results.json", run=lambda job: events)
    printed = capsys.readouterr().out.splitlines()
    assert [line.endswith("warning: noisy") for line in printed[1:9]] == [
        *(False, True, False, True, False, False, False, False)
    ]
    assert printed[-1].startswith("warning: in 2 of 4 controls lstmcore, timed against itself")
    assert "quartiles from 0.82 to 1.30" in printed[-1]

    text = report.block(results, "cpu.json", "assets/benchmarks.png")
    for line in [
        "| 5,3,2,128 (noisy) | 10.0 ms | 2.00 |",
        "| 4,5,3,6 | 10.0 ms | 2.00 |",
        "| geometric mean (noisy) |  | 2.00 |",
        "| lowest (noisy) |  | 2.00 |",
        "| below 1 (noisy) |  | 0 of 2 |",
        "| 5,3,2,128 | 10.0 ms | 2.00 |",  # forward
        "| geometric mean |  | 2.00 |",
        "|  | 1,1,8,64 (noisy) |",
    ]:
        assert line in text.splitlines(), text
    assert (
        "leaves 0.9 to 1.1 there (median and quartiles at 5,3,2,128: 0.95 (0.82 to 1.05))" in text
    )
    assert noise_warning(found[:1] + found[4:]) is None


def test_a_line_calls_a_cost_a_cost():
    cost = command.line(a_record("train_gate", "own", 0.8, ours=0.0125))
    assert cost.endswith("lstmcore   12.5 ms  without   10.0 ms  cost 1.25")
    assert "ratio" not in cost
    assert "ratio 0.80 (0.72 to 0.88)" in command.line(a_record("train", "torch", 0.8))


def test_a_section_of_its_own(tmp_path):
    results, page = Results.start("cpu", {}), tmp_path / "page.md"
    results.records = [
        a_record("seq2seq", "torch", 0.5, Cell(32, 20, 64, 128)),
        a_record("seq2seq_attention", "keras-jax", 2.0, Cell(32, 20, 64, 128)),
        a_record("addition", "keras-jax", 3.0, None, ours=4.0),
    ]
    results.complete = True
    results.save(tmp_path / "results.json")
    page.write_text("a\n" + "\nold\n".join(report.markers("seq2seq")) + "\nb\n")
    arguments = [str(tmp_path / "results.json"), "--page", str(page), "--section", "seq2seq"]
    assert report.main(arguments) == 0
    text = page.read_text()
    for line in [
        "### Encoder-decoder, loss and gradients, one core",
        "| B,T,F,H | lstmcore | PyTorch |",
        "| 32,20,64,128 | 10.0 ms | 0.50 |",
        "### The same with attention (general), one core",
        "| B,T,F,H | lstmcore | Keras on JAX |",
        "| geometric mean |  | 2.00 |",
        "| Keras on JAX | 3.00 (12.0 s / 4.00 s) |",
    ]:
        assert line in text, text
    assert "old" not in text
    assert not (tmp_path / "assets").exists()


def test_errors_of_the_report(tmp_path, capsys):
    results, page = tmp_path / "results.json", tmp_path / "page.md"
    page.write_text(f"{report.BEGIN} {report.END}", encoding="utf-8")
    assert report.main([str(results), f"--page={page}"]) == 1  # there are none
    Results.start("cpu", {}).save(results)
    assert report.main([str(results), f"--page={page}"]) == 1
    assert "nothing to draw" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == f"{report.BEGIN} {report.END}"
    for text in ("", report.BEGIN, f"{report.END}{report.BEGIN}", 2 * (report.BEGIN + report.END)):
        with pytest.raises(ValueError, match="must hold"):
            report.put(text, "new")
