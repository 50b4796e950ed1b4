"""The summary table."""

import pytest

import lstmcore as lc


def column(table: str, index: int) -> list[str]:
    return [line.split()[index] for line in table.splitlines() if "─" not in line]


def test_the_stacked_autoencoder_has_its_published_parameters():
    table = lc.summary(lc.Autoencoder(2, (128, 64), "relu"), timesteps=3)
    counts = column(table, -1)
    assert counts == ["params", "67,072", "49,408", "0", "33,024", "98,816", "258", "248,578"]


def test_the_open_time_axis_is_none():
    assert "(None, None, 4)" in lc.summary(lc.StackedLSTM(2, (4,), outputs=1))
    assert "(None, 9, 4)" in lc.summary(lc.StackedLSTM(2, (4,), outputs=1), timesteps=9)


def test_composite_names_both_decoders():
    table = lc.summary(lc.CompositeAutoencoder(1, 100, steps=8), timesteps=9)
    assert column(table, 0)[1:-1] == [
        "encoder_0",
        *(f"reconstruction_{part}" for part in ("repeat", "0", "head")),
        *(f"prediction_{part}" for part in ("repeat", "0", "head")),
    ]
    assert table.endswith("201,802")


def test_a_model_too_large_for_memory_has_a_summary():
    assert lc.summary(lc.StackedLSTM(1, (10**6,), outputs=1)).endswith("4,000,009,000,001")


def test_a_forecaster_forecasts_directly_or_recursively():
    direct = lc.summary(lc.Forecaster(3, (4, 2), horizon=5, future_covariates=1), timesteps=9)
    assert "(None, 9, 4)" in direct
    assert "lstm_1  LSTM   (None, 2)" in direct
    assert direct.splitlines()[4].split() == ["head", "Dense", "(None,", "10)", "80"]
    recursive = lc.summary(lc.Forecaster(1, 4, horizon=5, mode="recursive"), timesteps=9)
    assert "(None, 13, 4)" in recursive
    assert "TimeDistributed(Dense)  (None, 5, 1)" in recursive


def test_errors():
    with pytest.raises(TypeError, match=r"model must be a model such as lc.Autoencoder, got dict"):
        lc.summary({})
    with pytest.raises(ValueError, match="timesteps must be at least 1, got 0"):
        lc.summary(lc.Autoencoder(2, 4), timesteps=0)
