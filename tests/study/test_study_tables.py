"""Statistics as tables: the rows of every result, and a printed run."""

import csv
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from strategies import weights

import lstmcore as lc
from lstmcore import study

B, T, F, H = 2, 3, 2, 4
X = np.random.default_rng(1).normal(size=(B, T, F)).astype(np.float32)
STACK = lc.StackedLSTM(F, (4, 3), outputs=1)
STACK_WEIGHTS = weights(STACK)
RUN = study.run(STACK, STACK_WEIGHTS, X, np.array([[1, 1, 1], [1, 0, 0]], bool))
MASK = RUN.mask
TRACE = RUN["lstm_0"]
GATES = ("input", "forget", "candidate", "output")


def test_saturation_and_what_else_is_by_gate_or_quantity():
    saturation = study.saturation(TRACE)
    table = study.rows(saturation, run="a", result=2)
    assert list(table[0]) == ["run", "result", "gate", "unit", "left", "right"]
    assert [(row["gate"], row["unit"]) for row in table] == [
        (g, u) for g in GATES for u in range(H)
    ]
    for row in table:
        assert (row["run"], row["result"]) == ("a", 2)
        assert row["left"] == getattr(saturation.left, row["gate"])[row["unit"]]
        assert row["right"] == getattr(saturation.right, row["gate"])[row["unit"]]
        assert {type(value) for value in row.values()} == {str, int, float}
    moments, r = study.moments(TRACE), study.correlation(TRACE, X[:, :, 0]).r
    for row, other in zip(study.rows(moments), study.rows(study.Correlation(r)), strict=True):
        name, unit = row["quantity"], row["unit"]
        owner = lambda part, name=name: part.gates if name in GATES else part  # noqa: E731
        assert row["mean"] == getattr(owner(moments.mean), name)[unit]
        assert row["std"] == getattr(owner(moments.std), name)[unit]
        assert other == {"quantity": name, "unit": unit, "r": getattr(owner(r), name)[unit]}
    assert [row["quantity"] for row in study.rows(moments)[::H]] == [*GATES, "h", "c"]


def test_time_scale_contributions_and_gradient_flow():
    scale = study.time_scale(TRACE)
    expected = zip(range(H), scale.half_life.tolist(), scale.keep.tolist(), strict=True)
    assert [tuple(row.values()) for row in study.rows(scale)] == list(expected)
    assert list(study.rows(scale)[0]) == ["unit", "half_life", "keep"]
    parts = study.contributions(TRACE)
    table = study.rows(parts)
    assert list(table[0]) == ["example", "step", "unit", "old", "new"]
    assert len(table) == B * T * H
    for row in table:
        place = row["example"], row["step"], row["unit"]
        assert (row["old"], row["new"]) == (parts.old[place], parts.new[place])
    flow = study.gradient_flow(STACK_WEIGHTS["lstm_0"], X)
    table = study.rows(flow)
    assert list(table[0]) == ["example", "step", "h", "c", "forget_product"]
    assert [row["h"] for row in table] == flow.h.ravel().tolist()
    assert [row["c"] for row in table] == flow.c.ravel().tolist()
    mean = np.asarray(flow.forget_product).mean(axis=-1)
    np.testing.assert_allclose([row["forget_product"] for row in table], mean.ravel(), rtol=1e-6)


def test_layers_and_files():
    table = study.rows(RUN.measure(study.time_scale), when="before")
    assert list(table[0]) == ["when", "layer", "unit", "half_life", "keep"]
    assert [row["layer"] for row in table] == ["lstm_0"] * 4 + ["lstm_1"] * 3
    file = io.StringIO()
    writer = csv.DictWriter(file, table[0])
    writer.writeheader()
    writer.writerows(table)
    read = list(csv.DictReader(file.getvalue().splitlines()))
    assert [float(row["keep"]) for row in read] == [row["keep"] for row in table]


def test_sweeps():
    sweep = study.ablation_sweep(
        STACK.apply, STACK_WEIGHTS, X, jnp.sum, ("layer", "unit", "gate"), gates=["output", "input"]
    )
    table = study.rows(sweep, seed=1)
    assert list(table[0]) == ["seed", "layer", "unit", "gate", "metric", "effect"]
    assert len(table) == (4 + 3) * 2
    for row in table:
        place = row["unit"], ["output", "input"].index(row["gate"])
        assert row["metric"] == sweep.metric[row["layer"]][place]
        assert row["effect"] == pytest.approx(sweep.effect[row["layer"]][place], abs=1e-6)


def test_a_data_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(study.rows(study.moments(TRACE)))
    means = frame.pivot(index="quantity", columns="unit", values="mean").loc["h"]
    np.testing.assert_array_equal(means, study.moments(TRACE).mean.h)


def test_errors():
    with pytest.raises(TypeError, match=r"or be a dict .* got Trace"):
        study.rows(TRACE)
    signals = X.transpose(2, 0, 1)
    several = jax.vmap(lambda signal: study.correlation(TRACE, signal))(signals)
    with pytest.raises(
        ValueError, match=r"one Correlation with arrays \[unit\], got shape \(2, 4\)"
    ):
        study.rows(several)
    second = jax.tree.map(lambda leaf: leaf[1], several)
    assert study.rows(second, signal=1)[0]["r"] == several.r.gates.input[1, 0]


def test_print():
    text = repr(
        study.run(
            STACK,
            STACK_WEIGHTS,
            X,
            MASK,
            {
                "lstm_0": study.compose(
                    study.clamp("input", 0.05),
                    study.clamp("forget", 0.5 ** np.array([1, 0.1, 0.1, 0.01])),
                    study.clamp("output", 0.95),
                )
            },
        )
    )
    lines = text.splitlines()
    assert lines[0] == "Run of 2 examples, 3 steps, 2 features, 67% of the steps real"
    assert [line.split()[0] for line in lines[4:]] == ["lstm_0", "lstm_1"]
    words = "lstm_0 (2, 3, 4) 100% 0% 0% 75% 0% 100% 1 to 100, median 10"
    assert lines[4].split() == words.split()
    forever = study.run(STACK, STACK_WEIGHTS, X, edits={"lstm_1": study.ablate("forget")})
    assert "inf to inf, median inf" in repr(forever)
    assert "steps real" not in repr(forever)


@pytest.mark.parametrize("examples", [X[:0], X])
def test_a_run_of_nothing_prints(examples):
    run = study.run(STACK, STACK_WEIGHTS, examples, np.zeros(examples.shape[:2], bool))
    assert "0% of the steps real" in repr(run)
    assert "nan%" in repr(run)
