"""The summary table."""

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Own:
    """A model of one's own with an LSTM and two dense layers."""

    layers = {  # noqa: RUF012
        "reader": lc.Layer(lc.LSTMParams, 2, 3),
        "steps": lc.Layer(lc.DenseParams, 3, 1),
        "whole": lc.Layer(lc.DenseParams, 3, 4),
    }

    def apply(self, params, x):
        _, trace = lc.lstm(params["reader"], x)
        whole = lc.dense(params["whole"], trace.h[:, -1])
        return (lc.dense(params["steps"], trace.h), whole), {"reader": trace}


class NeverRun(Own):
    def apply(self, params, x):
        (steps, _), traces = super().apply(params, x)
        return steps, traces


class NeedsKey(Own):
    def apply(self, params, x, *, key):
        return super().apply(params, lc.dropout(key, x, 0.5))


class TwoInputs(Own):
    def apply(self, params, x, y):
        return super().apply(params, x + y)


class OneLength(Own):
    def apply(self, params, x):
        return super().apply(params, x.reshape(-1, 7, 2))


class NoSequence(Own):
    layers = {"first": Own.layers["whole"], "bridge_0": Own.layers["steps"]}  # noqa: RUF012

    def apply(self, params, x):
        return x.reshape(len(x), 2), {}


class Changing(Own):
    def apply(self, params, x):
        if float(x.sum()) > 0:
            return super().apply(params, x)
        return x, {}


EACH_KNOWN = ["(None, 7, 3)", "(None, 7, 1)", "(None, 4)"]
NONE_KNOWN = ["(None, ..., 3)", "(None, ..., 1)", "(None, ..., 4)"]


@pytest.mark.parametrize(
    ("model", "shapes"),
    [
        (Own(), EACH_KNOWN),
        (NeverRun(), ["(None, 7, 3)", *NONE_KNOWN[1:]]),
        (NeedsKey(), EACH_KNOWN),
        (TwoInputs(), NONE_KNOWN),
        (OneLength(), EACH_KNOWN),
        (NoSequence(), ["(None, ..., 4)", "(None, ..., 1)"]),
        (Changing(), NONE_KNOWN),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Own) else "",
)
def test_shapes_that_are_not_known_are_open(model, shapes):
    """Of a model of one's own: of several outputs, of layers that never run, without an LSTM."""
    *rows, _, total = lc.summary(model, timesteps=7).splitlines()[2:]
    assert [
        row[row.index("(None") : row.index(")", row.index("(None")) + 1] for row in rows
    ] == shapes
    assert total.split()[1] == ("20" if len(shapes) == 2 else "92")


def test_errors():
    with pytest.raises(
        TypeError, match="model must be one of lstmcore's, or have layers and apply, got type"
    ):
        lc.summary(lc.Autoencoder)
    pair = type("Pair", (Own,), {"layers": {"reader": (2, 3)}})()
    with pytest.raises(TypeError, match=r"layer 'reader' of Pair must be an lc.Layer, got tuple"):
        lc.summary(pair)
    with pytest.raises(
        TypeError, match="model must be one of lstmcore's, or have layers and apply, got dict"
    ):
        lc.summary({})
    with pytest.raises(ValueError, match="timesteps must be at least 1, got 0"):
        lc.summary(lc.Autoencoder(2, 4), timesteps=0)
