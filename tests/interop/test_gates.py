"""The order of gates in fused weights, and the checks of weights from elsewhere."""

from itertools import permutations

import numpy as np
import pytest

from lstmcore.interop.gates import lstm_params, reorder


@pytest.mark.parametrize("order", ["".join(order) for order in permutations("ifgo")])
def test_every_order_and_back(order):
    fused = np.repeat([order.index(gate) for gate in "ifgo"], 3)
    assert reorder(fused, "ifgo", order).tolist() == np.repeat(range(4), 3).tolist()
    weights = np.random.default_rng(0).normal(size=(8, 2))
    there = reorder(weights, "ifgo", order, axis=0)
    assert (reorder(there, order, "ifgo", axis=0) == weights).all()


@pytest.mark.parametrize("order", ["ifg", "ifgg", "ifgox", "ifgc", ""])
def test_an_unknown_order_is_an_error(order):
    with pytest.raises(ValueError, match="must name i, f, g and o once each, got"):
        reorder(np.ones(4), order, "ifgo")


def test_an_axis_that_does_not_divide_into_four():
    with pytest.raises(ValueError, match=r"have shape \(6, 4\), whose axis 0 does not divide"):
        reorder(np.ones((6, 4)), "ifgo", "iofg", axis=0)
    with pytest.raises(ValueError, match=r"have shape \(\)"):
        reorder(1.0, "ifgo", "iofg")


def test_weights_that_do_not_fit_name_their_layer():
    kernel, recurrent_kernel = np.ones((2, 12)), np.ones((3, 12))
    params = lstm_params("layer 'a'", kernel, recurrent_kernel)
    assert (params.bias == np.zeros(12)).all()
    with pytest.raises(ValueError, match=r"^layer 'a': weights must have shapes \[F, 4H\]"):
        lstm_params("layer 'a'", kernel.T, recurrent_kernel)
