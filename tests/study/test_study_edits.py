"""Edits, compared with ones written by hand, for every kind of place, value and dtype."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from strategies import random_mask, random_params, random_state

import lstmcore as lc
from lstmcore import study
from lstmcore.types import Gates

B, T, F, H = 3, 6, 2, 4
GATES = ("input", "forget", "candidate", "output")
ROW = np.array([0.9, 0.2, -0.3, 0.6])


def close(ours, theirs, tolerance=1e-12):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), ours, theirs
    )


def make(rng, kind="interior", dtype=np.float64):
    params, state = random_params(rng, F, H, dtype), random_state(rng, B, H, dtype)
    x = rng.normal(size=(B, T, F)).astype(dtype)
    return params, x, state, random_mask(rng, kind, B, T)


PLACES = {
    "everywhere": (None, None, range(H), range(T)),
    "one unit, one step": (1, 2, [1], [2]),
    "lists": ([0, 3], [5, 1, 1], [0, 3], [1, 5]),
    "slices": (slice(1, 3), slice(2, 6, 2), [1, 2], [2, 4]),
    "from the end": ([-1, -4], np.array([0, 4]), [0, 3], [0, 4]),
    "numbers of numpy": (np.int32(2), (np.int64(3),), [2], [3]),
    "half open": (slice(-2, None), slice(2, None), [2, 3], [2, 3, 4, 5]),
}


@pytest.mark.parametrize("place", PLACES)
def test_edits_change_these_units_at_these_steps(x64, rng, place):
    """One after the other on each gate, beside one function that spells out what they do."""
    reverse = place in ("lists", "slices")
    params, x, state, mask = make(rng)
    units, steps, units_meant, steps_meant = PLACES[place]
    _, other = lc.lstm(params, x[::-1])
    where = np.zeros((T, 1, H), bool)
    where[np.ix_(list(steps_meant), [0], list(units_meant))] = True

    def by_hand(gates, t):
        here = jnp.asarray(where)[t]
        return Gates(
            input=jnp.where(here, gates.input * 0.5, gates.input),
            forget=jnp.where(here, ROW, gates.forget),
            candidate=jnp.where(here, other.gates.candidate[:, t] + 0.25, gates.candidate),
            output=jnp.where(here, 1.0, gates.output),
        )

    ours = study.compose(
        study.scale("input", 0.5, units, steps),
        study.clamp("forget", ROW, units, steps),
        study.patch(other, "candidate", units, steps),
        study.shift("candidate", 0.25, units=units, steps=steps),
        study.ablate("output", units, steps),
    )
    run = {"state": state, "mask": mask, "reverse": reverse}
    both = jax.jit(lambda x: [lc.lstm(params, x, edit=edit, **run) for edit in (ours, by_hand)])
    close(*both(x))


@pytest.mark.parametrize("reverse", [False, True])
def test_a_run_patched_with_itself_or_with_another(x64, rng, reverse):
    params, x, state, mask = make(rng)
    run = {"mask": mask, "reverse": reverse}
    itself = lc.lstm(params, x, state, **run)
    close(lc.lstm(params, x, state, edit=study.patch(itself[1]), **run), itself)
    assert not np.allclose(lc.lstm(params, -x, state, **run)[1].h, itself[1].h, atol=0.1)
    close(lc.lstm(params, -x, state, edit=study.patch(itself[1]), **run), itself)
    donor = jax.tree.map(lambda leaf: leaf[1:2], itself[1])
    _, patched = lc.lstm(params, x[:, :, ::-1], edit=study.patch(donor, "forget"), reverse=reverse)
    close(patched.gates.forget, np.repeat(donor.gates.forget, B, axis=0))


def test_values_under_jit_vmap_and_grad(x64, rng):
    params, x, _, _ = make(rng)

    def last(value):
        edit = study.compose(study.clamp("forget", value, units=1), study.shift("input", value))
        return lc.lstm(params, x, edit=edit)[1].h[:, -1].sum()

    values, step = jnp.array([0.2, 0.7]), 1e-6
    each = [last(float(value)) for value in values]
    close(jax.jit(jax.vmap(last))(values), each)
    numeric = (last(0.2 + step) - last(0.2 - step)) / (2 * step)
    close(jax.jit(jax.grad(last))(0.2), numeric, 1e-8)
    traced = lambda trace: lc.lstm(params, x, edit=study.patch(trace))[1].c.sum()  # noqa: E731
    _, donor = lc.lstm(params, -x)
    gradient = jax.jit(jax.grad(traced))(donor)
    assert (gradient.gates.candidate != 0).all()
    assert (gradient.c == 0).all()


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_values_and_traces_of_any_dtype(x64, rng, dtype):
    """float64 numbers, traces and int32 t in narrower layers, dtype promotion being strict."""
    params, x, _, _ = make(rng)
    _, donor = lc.lstm(params, -x)
    narrow = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), params)
    edit = study.compose(
        study.patch(donor),
        study.clamp("forget", ROW, steps=[1]),
        study.scale("output", np.int64(0), units=2),
    )
    _, trace = lc.lstm(narrow, jnp.asarray(x, dtype), edit=edit)
    assert (trace.h.dtype, trace.gates.forget.dtype) == (dtype, jnp.float32)
    close(trace.gates.forget[:, 1], np.tile(ROW, (B, 1)), 1e-6)
    close(trace.gates.input, donor.gates.input, 1e-6)
    _, gates = lc.lstm_step(
        narrow, x[:, 0].astype(dtype), lc.zero_state(B, H), edit=edit, t=jnp.int32(3)
    )
    close(gates.forget, donor.gates.forget[:, 3], 1e-6)


def test_compose_takes_plain_numbers_between(rng):
    params, x, _, _ = make(rng, dtype=np.float32)
    closed = lambda gates, t: gates._replace(forget=0.0, output=1)  # noqa: E731
    edit = study.compose(closed, study.scale("forget", 2.0), study.shift("output", -0.5, units=0))
    _, trace = lc.lstm(params, x, edit=edit)
    assert (trace.gates.forget == 0).all()
    assert np.unique(trace.gates.output).tolist() == [0.5, 1.0]
    first = study.compose(study.scale("input", 2), study.clamp("input", 0.5))
    assert (lc.lstm(params, x, edit=first)[1].gates.input == 0.5).all()
    unchanged = lc.lstm(params, x)
    close(lc.lstm(params, x, edit=study.compose()), unchanged, 1e-6)


def test_an_edit_equals_itself_alone(rng):
    """Its text does not tell two arrays apart; a cache of jitted functions must."""
    params, x, _, _ = make(rng, dtype=np.float32)
    low, high = (study.clamp("forget", np.full(H, value)) for value in (0.25, 0.75))
    assert repr(low) == repr(high) == "clamp('forget', <array (4,)>)"
    assert low != high
    run = jax.jit(lc.lstm, static_argnames="edit")
    forgotten = [run(params, x, edit=edit)[1].gates.forget for edit in (low, high)]
    assert [float(gate.max()) for gate in forgotten] == [0.25, 0.75]


def test_training_with_an_edit(rng):
    model = lc.StackedLSTM(features=F, units=H, outputs=1)
    params = model.init(jax.random.key(0))
    x = rng.normal(size=(8, T, F)).astype(np.float32)
    edits = {"lstm_0": study.compose(study.coupled, study.clamp("output", 0.0, units=1))}

    def loss(params, x):
        y, _ = model.apply(params, x, edits=edits)
        return jnp.mean((y[..., 0] - jnp.cumsum(x[..., 0], axis=1)) ** 2)

    result = lc.fit(loss, params, x, optimizer=optax.adam(0.03), epochs=30, batch_size=8)
    assert result.history["loss"][-1] < 0.5 * result.history["loss"][0]
    _, traces = model.apply(result.params, x, edits=edits)
    gates = traces["lstm_0"].gates
    close(gates.forget, 1 - gates.input, 1e-6)
    assert (traces["lstm_0"].h[:, :, 1] == 0).all()
    moved = result.params["lstm_0"].kernel - params["lstm_0"].kernel
    unused = [slice(H, 2 * H), 3 * H + 1]  # the forget gate, and the output gate of unit 1
    assert all((moved[:, columns] == 0).all() for columns in unused)


def test_text():
    edit = study.compose(
        study.coupled, study.ablate("output", units=[1]), study.shift("input", 0.1, steps=2)
    )
    assert (
        repr(edit) == "compose(coupled, ablate('output', units=[1]), shift('input', 0.1, steps=2))"
    )


LONG = [pytest.param(v, marks=pytest.mark.thorough) for v in (0.5, [[0.1]])]


@pytest.mark.parametrize("value", [[0.1, 0.2, 0.3], *LONG])
def test_a_layer_with_an_edit_can_be_exported_for_any_batch_and_steps(rng, value):
    params = random_params(rng, 2, 3)
    edit = study.clamp("forget", np.array(value, np.float32), units=[0, 2], steps=1)
    layer = jax.jit(lambda x: lc.lstm(params, x, edit=edit)[1].gates.forget)
    x = rng.normal(size=(4, 5, 2)).astype(np.float32)
    shape = jax.ShapeDtypeStruct((*jax.export.symbolic_shape("b, t"), 2), np.float32)
    np.testing.assert_allclose(jax.export.export(layer)(shape).call(x), layer(x), rtol=1e-6)
