"""Layers with peepholes, a recurrent projection, or both: laws, equations, edits, models."""

import jax
import jax.numpy as jnp
import laws
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import (
    cases,
    random_like,
    random_mask,
    random_params,
    random_state,
    seeds,
)

import lstmcore as lc
from lstmcore import reference

fewer = settings(max_examples=settings.default.max_examples // 2)
KINDS = [(True, None), (False, 2), (True, 2)]
smooth = st.sampled_from(["tanh", "sigmoid", "softsign", "softplus", "linear"])
each_kind = pytest.mark.parametrize(("peephole", "projection"), KINDS)
both_at_once = pytest.mark.parametrize(
    ("peephole", "projection"),
    [pytest.param(*kind, marks=[pytest.mark.thorough] * (kind != (True, 2))) for kind in KINDS],
)


def example(rng, peephole=True, projection=None, dtype=np.float32):
    """(params, x, state) of 3 examples, 5 steps, 2 features, 4 units."""
    params = random_params(rng, 2, 4, dtype, peephole=peephole, projection=projection)
    x = rng.normal(size=(3, 5, 2)).astype(dtype)
    return params, x, random_state(rng, 3, 4, dtype, projection)


def written_out(params, x, state, ablated=()):
    """h, c and the gates of every step: the definition, for the tests, unit by unit.

    ablated: gates that are not in the equations, hence 1.
    """
    batch, steps, _ = x.shape
    units = params.bias.shape[0] // 4
    sigmoid = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    h, c, rows = np.array(state.h), np.array(state.c), []
    for t in range(steps):
        z = x[:, t] @ params.kernel + h @ params.recurrent_kernel + params.bias
        output, gates = (
            np.zeros((batch, units)),
            {name: np.zeros((batch, units)) for name in "ifgo"},
        )
        for k in range(units):
            p_i, p_f, p_o = (0, 0, 0) if params.peephole is None else params.peephole[:, k]
            i = 1 if "i" in ablated else sigmoid(z[:, k] + p_i * c[:, k])
            f = 1 if "f" in ablated else sigmoid(z[:, units + k] + p_f * c[:, k])
            g = np.tanh(z[:, 2 * units + k])
            c[:, k] = f * c[:, k] + i * g
            o = 1 if "o" in ablated else sigmoid(z[:, 3 * units + k] + p_o * c[:, k])
            output[:, k] = o * np.tanh(c[:, k])
            for name, gate in zip("ifgo", (i, f, g, o), strict=True):
                gates[name][:, k] = gate
        h = output if params.projection is None else output @ params.projection
        rows.append((h, c.copy(), *gates.values()))
    h, c, *gates = (np.stack(steps, axis=1) for steps in zip(*rows, strict=True))
    return lc.Trace(h, c, lc.Gates(*gates))


# The laws of every layer.


@pytest.mark.parametrize("law", laws.OF_A_SEQUENCE, ids=lambda law: law.__name__)
@given(cases(variants=True))
@fewer
def test_law(law, case):
    law(case)


@given(cases(variants=True), st.integers(0, 5))
@fewer
def test_split_sequence_with_carried_state_is_the_whole(case, cut):
    laws.split_sequence_with_carried_state_is_the_whole(case, cut)


@given(cases(dtype=np.float64, variants=True), seeds)
@fewer
def test_both_engines_agree_in_values_and_gradients(case, seed):
    laws.engines_agree(case, seed)


@given(cases(dtype=np.float64, variants=True), seeds, smooth)
def test_gradients_by_hand_are_numeric(case, seed, output_activation):
    case.options["output_activation"] = output_activation
    laws.gradients_are_numeric(case, seed)


# What they compute.


@each_kind
def test_equations(peephole, projection, rng, x64):
    arguments = example(rng, peephole, projection, np.float64)
    expected = written_out(*arguments)
    for engine in (lc, reference):
        (h, c), trace = engine.lstm(*arguments)
        jax.tree.map(laws.close, trace, expected)
        np.testing.assert_array_equal(h, trace.h[:, -1])
        np.testing.assert_array_equal(c, trace.c[:, -1])


@pytest.mark.parametrize("without", ["peephole", "projection"])
def test_zero_peephole_and_identity_projection_are_none(without, rng):
    params, x, state = example(rng, peephole=False)
    neutral = {"peephole": np.zeros((3, 4), np.float32), "projection": np.eye(4, dtype=np.float32)}
    same = params._replace(**{without: neutral[without]})
    expected = reference.lstm(params, x, state)
    cotangent = random_like(rng, expected)
    theirs = reference.lstm_backward(params, x, state, expected[1], *cotangent)[0]

    @jax.jit
    def results_and_gradient(params):
        results, pull_back = jax.vjp(lambda params: lc.lstm(params, x, state), params)
        return results, *pull_back(cotangent)

    ours, gradient = results_and_gradient(same)
    jax.tree.map(laws.close, ours, expected)
    jax.tree.map(laws.close, gradient[:3], theirs[:3])
    assert np.abs(getattr(gradient, without)).max() > 0.1  # it can still be learned


def test_projection_is_pytorchs(x64):
    """Printed by torch.nn.LSTM(2, 3, proj_size=2) of PyTorch 2.13 for these weights, in float64.

    Its weights are ours transposed, its second bias is 0. The gradients are those of the sum of all
    h and of the last c: of weight_hr_l0, and of the first four columns of weight_hh_l0.T.
    """
    wave = lambda *shape, start: np.sin(start + np.arange(np.prod(shape))).reshape(shape)  # noqa: E731
    params = lc.LSTMParams(
        kernel=wave(2, 12, start=0),
        recurrent_kernel=wave(2, 12, start=1),
        bias=wave(12, start=2),
        projection=wave(3, 2, start=3),
    )
    x = wave(1, 3, 2, start=4)
    close = lambda ours, theirs: np.testing.assert_allclose(ours, theirs, atol=1e-8)  # noqa: E731

    final, trace = lc.lstm(params, x)
    h = [[-0.0077403, -0.11497559], [-0.06698843, -0.25049766], [-0.05784913, -0.09731723]]
    close(trace.h[0], h)
    close(final.c[0], [0.43164885, 0.49820827, 0.24266055])

    def total(params):
        final, trace = lc.lstm(params, x)
        return trace.h.sum() + final.c.sum()

    gradient = jax.jit(jax.grad(total))(params)
    d_projection = [[0.64986906, 0.69361061], [0.1778421, 0.17278582], [-0.18631, -0.21866286]]
    close(gradient.projection, d_projection)
    d_recurrent = [
        [-0.00370851, -0.0063415, -0.0114123, -0.00731187],
        [-0.01344906, -0.01977028, -0.02702703, -0.02670296],
    ]
    close(gradient.recurrent_kernel[:, :4], d_recurrent)


@both_at_once
def test_nan_in_masked_steps_harms_neither_values_nor_gradients(peephole, projection, rng):
    params, x, state = example(rng, peephole, projection)
    mask = random_mask(rng, "interior", 3, 5)
    padded = np.where(mask[:, :, None], x, np.nan)

    @jax.jit
    def results_and_gradient(params, x):
        def loss(params, x):
            results = lc.lstm(params, x, state, mask=mask)
            return sum(leaf.sum() for leaf in jax.tree.leaves(results)), results

        gradient, results = jax.grad(loss, argnums=(0, 1), has_aux=True)(params, x)
        return results, gradient

    ours, theirs = results_and_gradient(params, padded), results_and_gradient(params, x)
    jax.tree.map(np.testing.assert_array_equal, ours[0], theirs[0])
    jax.tree.map(laws.close, ours[1], theirs[1])


@both_at_once
def test_bfloat16_keeps_a_float32_cell(peephole, projection, rng):
    params, x, _ = example(rng, peephole, projection)
    narrow = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), params)
    state, trace = lc.lstm(narrow, x)
    assert (state.h.dtype, state.c.dtype) == (jnp.bfloat16, jnp.float32)
    assert {gate.dtype for gate in trace.gates} == {jnp.dtype(jnp.float32)}
    exact, _ = reference.lstm(params, x)
    np.testing.assert_allclose(state.c, exact.c, atol=0.05)
    np.testing.assert_allclose(np.float32(state.h), exact.h, atol=0.05)


@pytest.mark.thorough
@each_kind
def test_one_shape_compiles_once_outside_of_jit(peephole, projection, rng, caplog):
    params, x, _ = example(rng, peephole, projection)

    def compilations(x):
        caplog.clear()
        with jax.log_compiles():
            lc.lstm(params, x)
        return sum("Finished XLA compilation" in record.message for record in caplog.records)

    jax.clear_caches()
    assert compilations(x) > 0
    assert compilations(2 * x) == 0


@pytest.mark.thorough
def test_transformations_compose(rng):
    """jvp, vmap over weights, and a batch of a size known later."""
    params, x, _ = example(rng, projection=2)
    loss = jax.jit(lambda params: (lc.lstm(params, x)[1].h ** 2).sum())
    tangent = random_like(rng, params)
    value, derivative = jax.jvp(loss, (params,), (tangent,))
    np.testing.assert_allclose(derivative, laws.along(jax.grad(loss)(params), tangent), rtol=1e-4)
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), params)
    np.testing.assert_allclose(jax.vmap(loss)(stacked)[0], value, rtol=1e-5)
    batch, steps = jax.export.symbolic_shape("b, t")
    shape = jax.ShapeDtypeStruct((batch, steps, 2), jnp.float32)
    exported = jax.export.export(jax.jit(lambda x: lc.lstm(params, x)[1].h))(shape)
    laws.close(exported.call(x), lc.lstm(params, x)[1].h)


# Edits: the output gate sees the cell that the edited gates made.


@pytest.mark.parametrize("ablated", ["i", "f", "o", "if", "ifo"])
def test_ablating_gates_is_leaving_them_out_of_the_equations(ablated, rng, x64):
    arguments = example(rng, projection=2, dtype=np.float64)
    names = {"i": "input", "f": "forget", "o": "output"}
    edit = lambda gates, t: gates._replace(**{names[gate]: 1.0 for gate in ablated})  # noqa: E731
    expected = written_out(*arguments, ablated=ablated)
    for engine in (lc, reference):
        _, trace = engine.lstm(*arguments, edit=edit)
        jax.tree.map(laws.close, trace, expected)


def test_an_edit_that_changes_nothing_changes_nothing(rng):
    arguments = example(rng)
    for engine in (lc, reference):
        edited = engine.lstm(*arguments, edit=lambda gates, t: gates)
        jax.tree.map(laws.close, edited, engine.lstm(*arguments))


@pytest.mark.parametrize("engine", [lc, reference], ids=["JAX", "NumPy"])
def test_an_edit_of_the_output_gate_sees_the_cell_as_edited(engine, rng):
    """Halving what it sees halves what the step would use; its other gates count the first time."""
    params, x, state = example(rng)
    closed = lambda gates, t: gates._replace(input=0.0)  # noqa: E731
    both = lambda gates, t: gates._replace(input=0.0, output=0.5 * gates.output)  # noqa: E731
    _, gates = engine.lstm_step(params, x[:, 0], state, edit=closed)
    new, halved = engine.lstm_step(params, x[:, 0], state, edit=both)
    laws.close(halved.output, 0.5 * gates.output)
    laws.close(new.c, gates.forget * state.c)


def test_gate_gradients_by_adding_zeros(rng):
    """d loss / d forget includes the path through the output gate's peephole."""
    params, x, state = example(rng)

    @jax.jit
    @jax.value_and_grad
    def loss_and_gradient(zeros):
        edit = lambda gates, t: gates._replace(forget=gates.forget + zeros[:, t])  # noqa: E731
        return lc.lstm(params, x, state, edit=edit)[0].h.sum()

    zeros = np.zeros((3, 5, 4), np.float32)
    bump = zeros.copy()
    bump[0, 4, 1] = 1e-2
    (ahead, _), (behind, _) = loss_and_gradient(bump), loss_and_gradient(-bump)
    gradient = loss_and_gradient(zeros)[1]
    np.testing.assert_allclose(gradient[0, 4, 1], (ahead - behind) / 2e-2, rtol=1e-3)


# Start values.


def test_without_both_nothing_is_added():
    params = lc.init_lstm(jax.random.key(0), 2, 4)
    assert (params.peephole, params.projection) == (None, None)
    assert len(jax.tree.leaves(params)) == 3


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_init(dtype):
    key, same = jax.random.key(0), np.testing.assert_array_equal
    without = lc.init_lstm(key, 2, 4, dtype=dtype)
    peephole = lc.init_lstm(key, 2, 4, dtype=dtype, peephole=True)
    both = lc.init_lstm(key, 2, 4, dtype=dtype, peephole=True, projection=2)
    jax.tree.map(same, without[:3], peephole[:3])
    same(without.kernel, both.kernel)
    same(peephole.peephole, both.peephole)
    assert [leaf.shape for leaf in both] == [(2, 16), (2, 16), (16,), (3, 4), (4, 2)]
    assert {leaf.dtype for leaf in both} == {jnp.dtype(dtype)}
    for leaf, limit in ((both.peephole, np.sqrt(3 / 4)), (both.projection, 1)):
        values = np.float32(leaf)
        assert len(np.unique(values)) == values.size
        assert limit / 3 < np.abs(values).max() <= limit
    state = lc.zero_state(3, 4, dtype, projection=2)
    assert (state.h.shape, state.c.shape) == ((3, 2), (3, 4))


# What is said of wrong arguments.


WRONG = {
    "peephole of one gate": (
        {"peephole": np.ones(4, np.float32)},
        r"params.peephole must have 2 axes \[3, units\], got shape \(4,\): one row for each of the",
    ),
    "peephole of four gates": (
        {"peephole": np.ones((4, 4), np.float32)},
        r"peephole has shape \(4, 4\) but the 4 units of the bias need \(3, 4\): one row for each",
    ),
    "projection of PyTorch": (
        {"projection": np.ones((2, 4), np.float32)},
        r"params.projection has shape \(2, 4\) but must be \[H, P\] with the 4 units of the bias "
        "first: a PyTorch weight_hr needs a transpose",
    ),
    "recurrent kernel not projected": (
        {"projection": np.ones((4, 3), np.float32)},
        r"params.recurrent_kernel has 4 rows but the projection params.projection \(4, 3\) needs 3,"
        r" one for each .*: draw both with lc.init_lstm\(..., projection=...\)",
    ),
    "kernel of other units": (
        {"projection": np.ones((4, 4), np.float32), "kernel": np.ones((2, 12), np.float32)},
        r"params must have shapes \[F, 4H\], \[P, 4H\], \[4H\] .* got \(2, 12\), \(4, 16\), \(16,",
    ),
    "other dtype": (
        {"peephole": np.ones((3, 4))},
        "params mixes dtypes float32, float32, float32, float64: convert them with astype",
    ),
}


@pytest.mark.parametrize("engine", [lc, reference], ids=["JAX", "NumPy"])
@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_params_that_do_not_fit(engine, changes, message, rng):
    params, x, _ = example(rng, peephole=False)
    with pytest.raises(ValueError, match=message):
        engine.lstm(params._replace(**changes), x)


@pytest.mark.parametrize("engine", [lc, reference], ids=["JAX", "NumPy"])
def test_states_that_do_not_fit(engine, rng):
    params, x, state = example(rng, projection=2)
    wide = state._replace(h=np.ones((3, 4), np.float32))
    with pytest.raises(
        ValueError,
        match=r"state.h has shape \(3, 4\) but the batch of 3 and the projection to 2 of params "
        r"need \(3, 2\): lc.zero_state\(3, 4, projection=2\) makes a fresh one",
    ):
        engine.lstm(params, x, wide)
    narrow = state._replace(c=np.ones((3, 2), np.float32))
    with pytest.raises(
        ValueError, match=r"state.c has shape \(3, 2\) .* 4 units .* \(3, 4\): .*, projection=2\)"
    ):
        engine.lstm_step(params, x[:, 0], narrow)


def test_a_projection_has_a_size():
    with pytest.raises(ValueError, match="projection must be at least 1, got 0"):
        lc.init_lstm(jax.random.key(0), 2, 3, projection=0)
    for engine in (lc, reference):
        with pytest.raises(TypeError, match=r"projection must be a whole number, got 1\.5"):
            engine.zero_state(2, 3, projection=1.5)
