"""Correlation with a signal, compared with that of NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from strategies import random_mask, random_params

import lstmcore as lc
from lstmcore import study

KINDS = ["none", "right", "left", "interior", "all-false row"]
B, T, F, H = 3, 7, 2, 4
SIGNAL = np.random.default_rng(5).normal(size=(B, T))
GATES = ("input", "forget", "candidate", "output")
QUANTITIES = (*GATES, "h", "c")
correlation = jax.jit(study.correlation)


def made(rng, kind="none", dtype=np.float64, **options):
    """(trace, mask) of a layer whose weights differ in every gate and unit."""
    params, x = random_params(rng, F, H, dtype), rng.normal(size=(B, T, F)).astype(dtype)
    mask = random_mask(rng, kind, B, T)
    return lc.lstm(params, x, mask=mask, **options)[1], mask


def of(result, name):
    return getattr(result.gates if name in GATES else result, name)


def close(ours, theirs, tolerance=1e-12):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), ours, theirs
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200])
def test_correlation_is_that_of_numpy(x64, rng, kind, scale):
    trace, mask = made(rng, kind)
    r = correlation(trace, SIGNAL * scale + scale, mask).r
    there = SIGNAL.ravel() if mask is None else [SIGNAL[b, t] for b, t in np.argwhere(mask)]
    for name in QUANTITIES:
        for unit in range(H):
            array = np.asarray(of(trace, name))[:, :, unit]
            numbers = [array[b, t] for b, t in np.ndindex(B, T) if mask is None or mask[b, t]]
            close(of(r, name)[unit], np.corrcoef(numbers, there)[0, 1], 1e-11)


def test_correlation_with_bool_and_whole_numbers(x64, rng):
    trace, _ = made(rng)
    flag = SIGNAL > 0.3
    numbers = study.correlation(trace, flag.astype(float))
    close(study.correlation(trace, flag), numbers)
    close(study.correlation(trace, flag.astype(int) * 7 - 3), numbers)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_correlation_of_what_never_changes_is_0(x64, rng, dtype):
    trace, mask = made(rng, "interior", dtype, edit=study.clamp("output", 0.1, units=[0, 2]))
    r = correlation(trace, SIGNAL.astype(dtype), mask).r
    assert (np.asarray(r.gates.output) == 0).tolist() == [True, False, True, False]
    constant = correlation(trace, np.full((B, T), 0.3), mask)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(constant))


def test_correlation_stays_within_1_and_shows_nan(rng):
    trace, _ = made(rng, dtype=np.float32)
    for unit in range(H):
        r = correlation(trace, trace.c[:, :, unit] * 3).r.c
        assert abs(r).max() <= 1
        assert r[unit] > 0.99999
    broken = np.where(np.arange(T) == 2, np.nan, SIGNAL)
    assert np.isnan(correlation(trace, broken).r.h).all()
    left_out = np.broadcast_to(np.arange(T) != 2, (B, T))
    assert np.isfinite(correlation(trace, broken, left_out).r.h).all()


@pytest.mark.parametrize("dtype", [jnp.bfloat16, np.float16])
def test_a_signal_that_a_narrow_h_could_not_hold(rng, dtype):
    """1e6 is infinite in float16, and bfloat16 does not know 1e6 from 1e6 + 1,000."""
    trace, _ = made(rng, dtype=dtype)
    signal = 1e6 + 1000 * np.arange(B * T, dtype=np.float32).reshape(B, T)
    r = np.asarray(correlation(trace, signal).r.h)
    assert r.dtype == np.float32
    h = np.asarray(trace.h, np.float64).reshape(-1, H)
    expected = [np.corrcoef(unit, signal.ravel())[0, 1] for unit in h.T]
    np.testing.assert_allclose(r, expected, atol=1e-4)
