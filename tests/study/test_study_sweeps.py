"""Sweeps, each compared with a loop over its interventions."""

import itertools
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from strategies import random_params, weights

import lstmcore as lc
from lstmcore import study
from lstmcore.study import sweeps

GATES = ("input", "forget", "candidate", "output")
AXES = ("layer", "gate", "step", "unit")
B, T, F = 2, 4, 2
MASK = np.array([[1, 1, 0, 1], [0, 1, 1, 0]], bool)
STACK = lc.StackedLSTM(F, (3, 3), outputs=1)
SINGLE = study.SingleLayer(reverse=True)
WRITER = lc.Autoencoder(F, (3, 2), steps=2)
READER = lc.Autoencoder(F, 2, steps=T)
COMPOSITE = lc.CompositeAutoencoder(F, 2, steps=3)


def metric(outputs):
    """One number, of one output or of a pair."""
    return sum(
        (leaf * jnp.arange(1.0, leaf.size + 1).reshape(leaf.shape)).sum()
        for leaf in jax.tree.leaves(outputs)
    )


def weights_of(model):
    if model is SINGLE:
        return random_params(np.random.default_rng(4), F, 3, np.float64)
    return weights(model, np.float64)


class Loop:
    """A model and two inputs; every intervention made by a function written here, one at a time."""

    def __init__(self, model, mask=None):
        rng = np.random.default_rng(3)
        self.apply, self.params, self.mask = (
            model.apply,
            weights_of(model),
            mask,
        )
        self.clean, self.corrupt = rng.normal(size=(2, B, T, F))
        names = [name for name in getattr(model, "layers", ["lstm"]) if "head" not in name]
        look = jax.jit(lambda x: model.apply(self.params, x, mask=mask)[1])
        self.traces, self.traces_of_corrupt = (
            {name: found[name] for name in names}
            for found in (look(self.clean), look(self.corrupt))
        )

        def change(where, donor):
            def edit(gates, t):
                now = zip(where, donor, gates, strict=True)
                return lc.Gates(*(jnp.where(w[t], new[:, t], old) for w, new, old in now))

            return edit

        @jax.jit
        def run(where, donors):
            edits = {name: change(where[name], donors[name]) for name in where}
            return metric(model.apply(self.params, self.corrupt, mask=mask, edits=edits)[0])

        self._run = run

    def run(self, donors, layers, gate=None, step=None, unit=None, gates=GATES):
        """The metric with `donors` at one place; None stands for all."""
        where = {}
        for name, trace in self.traces.items():
            steps, units = trace.h.shape[1:]
            on = np.zeros((4, steps, units), bool)
            if name in layers:
                chosen = [GATES.index(name) for name in (gates if gate is None else [gates[gate]])]
                on[
                    np.ix_(
                        chosen,
                        range(steps) if step is None else [step],
                        range(units) if unit is None else [unit],
                    )
                ] = True
            where[name] = on
        return float(self._run(where, donors))

    def check(self, sweep, over, donors, gates=GATES, layers=None):
        axes = [axis for axis in over if axis != "layer"]
        layers = list(layers or self.traces)
        groups = {name: [name] for name in layers} if "layer" in over else {"all": layers}
        assert list(sweep.metric) == list(groups)
        for key, members in groups.items():
            shape = self.traces[members[0]].h.shape
            sizes = {"gate": len(gates), "step": shape[1], "unit": shape[2]}
            assert np.shape(sweep.metric[key]) == tuple(sizes[axis] for axis in axes)
            for place in np.ndindex(np.shape(sweep.metric[key])):
                at = dict(zip(axes, place, strict=True))
                expected = self.run(donors, members, **at, gates=gates)
                np.testing.assert_allclose(sweep.metric[key][place], expected, rtol=1e-10)
        none = self.run(donors, [])
        np.testing.assert_allclose(sweep.baseline, none, rtol=1e-10)

    def patch_sweep(self, over, **options):
        inputs = self.clean, self.corrupt
        options["mask"] = self.mask
        return study.patch_sweep(self.apply, self.params, *inputs, metric, over, **options)

    @property
    def donors(self):
        return {name: trace.gates for name, trace in self.traces.items()}


MODELS = {
    "single": (SINGLE, None),
    "stack": (STACK, MASK),
    "writer": (WRITER, None),
    "reader": (READER, MASK),
    "composite": (COMPOSITE, MASK),
}


@cache
def loop_of(name):
    return Loop(*MODELS[name])


SUBSETS = [over for size in range(5) for over in itertools.combinations(AXES, size)]


QUICK = [("single", ()), ("single", AXES), ("stack", ("unit", "layer", "gate"))]
LONG = [
    *(("single", over) for over in SUBSETS if ("single", over) not in QUICK),
    ("stack", ()),
    ("stack", ("step",)),
    ("writer", ("layer", "step", "unit")),
    ("composite", AXES),
    ("reader", ("layer", "step")),
]


@pytest.mark.parametrize(
    ("name", "over"), [*QUICK, *(pytest.param(*case, marks=pytest.mark.thorough) for case in LONG)]
)
def test_patch_sweep_is_a_loop(x64, name, over):
    loop = loop_of(name)
    sweep = loop.patch_sweep(over)
    loop.check(sweep, over, loop.donors)
    clean = metric(jax.jit(loop.apply)(loop.params, loop.clean, mask=loop.mask)[0])
    np.testing.assert_allclose(sweep.target, clean, rtol=1e-10)
    for key, values in sweep.metric.items():
        np.testing.assert_allclose(sweep.effect[key], values - sweep.baseline)
        recovered = (values - sweep.baseline) / (clean - sweep.baseline)
        np.testing.assert_allclose(sweep.recovered[key], recovered, rtol=1e-10)
    if not over:
        assert sweep.recovered["all"] == pytest.approx(1, abs=1e-10)


def test_some_layers_and_gates(x64):
    loop = loop_of("stack")
    gates, over = ("output", "input"), ("gate", "step")
    sweep = loop.patch_sweep(over, layers="lstm_1", gates=gates)
    loop.check(sweep, over, loop.donors, gates, ["lstm_1"])
    assert sweep.gates == gates
    sweep = loop.patch_sweep("step", layers=["lstm_0"], gates="forget")
    loop.check(sweep, ("step",), loop.donors, ("forget",), ["lstm_0"])


@pytest.mark.parametrize("numbers", [1, pytest.param(700, marks=pytest.mark.thorough)])
def test_chunks_change_nothing(x64, monkeypatch, numbers):
    monkeypatch.setattr(sweeps, "NUMBERS_AT_ONCE", numbers)
    loop_of("stack").check(
        loop_of("stack").patch_sweep(("step", "gate")), ("step", "gate"), loop_of("stack").donors
    )


def test_patching_a_run_with_itself_changes_nothing(x64):
    loop = loop_of("stack")
    sweep = study.patch_sweep(
        loop.apply, loop.params, loop.clean, loop.clean, metric, AXES, mask=MASK
    )
    for effect in sweep.effect.values():
        np.testing.assert_allclose(effect, 0, atol=1e-10)


def mean_of(trace, masked):
    """The mean of each gate and unit over examples and real steps, in plain loops."""
    places = [(b, t) for b, t in np.ndindex(*trace.h.shape[:2]) if not masked or MASK[b, t]]
    mean = lambda gate: np.mean([np.asarray(gate[place]) for place in places], axis=0)  # noqa: E731
    return lc.Gates(*(np.broadcast_to(mean(gate), gate.shape) for gate in trace.gates))


LONG = [pytest.param(v, marks=pytest.mark.thorough) for v in (np.float32(0.5), "mean")]


@pytest.mark.parametrize("value", [None, *LONG])
def test_ablation_sweep_is_a_loop(x64, value):
    """Of a decoder that writes as many steps as were read, too: it is not masked."""
    loop = loop_of("reader")
    sweep = study.ablation_sweep(
        loop.apply, loop.params, loop.corrupt, metric, ("layer", "gate"), value=value, mask=MASK
    )
    if value == "mean":
        donors = {n: mean_of(loop.traces_of_corrupt[n], n == "encoder_0") for n in loop.traces}
    else:
        numbers = (1, 1, 0, 1) if value is None else [value] * 4
        donors = {
            name: lc.Gates(*(np.full(trace.c.shape, number, float) for number in numbers))
            for name, trace in loop.traces.items()
        }
    loop.check(sweep, ("layer", "gate"), donors)
    assert sweep.target is None
    with pytest.raises(ValueError, match="an ablation has no clean run to recover: use effect"):
        _ = sweep.recovered


def test_a_wide_sweep_is_one_compiled_call(rng):
    """64 units x 50 steps: the model is traced a few times, not once for each of 3200 runs."""
    layer, params = study.SingleLayer(), random_params(rng, 2, 64)
    clean, corrupt = rng.normal(size=(2, 1, 50, 2)).astype(np.float32)
    calls = []

    def last(h):
        calls.append(h)
        return h[:, -1].sum()

    sweep = study.patch_sweep(
        layer.apply, params, clean, corrupt, last, ("step", "unit"), gates="forget"
    )
    assert sweep.metric["all"].shape == (50, 64)
    assert len(calls) == 4  # the check of its shape; the interventions, baseline and target
    edit = study.patch(layer.apply(params, clean)[1]["lstm"], "forget", units=9, steps=40)
    expected = layer.apply(params, corrupt, edits={"lstm": edit})[0][:, -1].sum()
    np.testing.assert_allclose(sweep.metric["all"][40, 9], expected, rtol=1e-4)
