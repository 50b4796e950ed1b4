"""Published results of LSTM autoencoders, trained again over many random keys."""

import numpy as np
import pytest

import lstmcore as lc
from benchmarks.studies import published

pytestmark = pytest.mark.thorough


def test_stacked_autoencoder_has_the_published_parameters():
    table = [line.split() for line in lc.summary(published.STACKED, timesteps=3).splitlines()]
    counts = {row[0]: int(row[-1].replace(",", "")) for row in table if row[-1][0].isdigit()}
    assert counts == published.STACKED_PARAMETERS


def test_stacked_autoencoder_reconstructs_the_five_windows():
    errors = published.stacked_errors(keys=10)
    assert (errors <= 0.06).sum() >= 9
    assert np.median(errors) <= 0.035


@pytest.fixture(scope="module")
def outputs():
    return published.series_outputs(keys=5)


@pytest.mark.parametrize("name", published.TARGETS)
def test_reconstruction_prediction_and_composite_learn_the_series(name, outputs):
    assert outputs[name].shape == (5, len(published.TARGETS[name]))
    assert published.within_tolerance(name, outputs[name]).sum() >= 4
