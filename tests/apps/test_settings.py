"""The settings of all applications check every field on construction."""

import math
from dataclasses import fields

import jax.numpy as jnp
import pytest

from lstmcore.apps import anomalies, autoencoding, forecasting, translation
from lstmcore.apps.settings import SeriesSettings, TrainingSettings, field_types
from lstmcore.series import Preprocessing

CLASSES = (
    TrainingSettings,
    SeriesSettings,
    autoencoding.Settings,
    forecasting.Settings,
    anomalies.Settings,
    translation.Settings,
)
FIELDS = [(kind, field.name) for kind in CLASSES for field in fields(kind)]
OUT_OF_RANGE = {  # by the type of the field
    int: [-1, 2**63],
    float: [-1.0, math.inf, math.nan],
    str: ["nonsense"],
    int | str: [-1, "often"],
    tuple[int, ...]: [(), (8, 0)],
    tuple[float, ...]: [(0.5, 0.1), (0.1, 0.9), (0.5, 1.0)],
    tuple[str, ...]: [("load", "load")],
}
every_field = pytest.mark.parametrize(
    ("kind", "name"), FIELDS, ids=[f"{kind.__module__}-{name}" for kind, name in FIELDS]
)


@every_field
@pytest.mark.parametrize("value", [object(), [object()], "nonsense"], ids=["object", "list", "str"])
def test_a_value_of_another_type_is_refused(kind, name, value):
    with pytest.raises((TypeError, ValueError), match=name):
        kind(**{name: value})


@every_field
def test_a_value_out_of_range_is_refused(kind, name):
    for value in OUT_OF_RANGE.get(field_types(kind)[name].plain, ["nonsense"]):
        with pytest.raises((TypeError, ValueError), match=name):
            kind(**{name: value})


@every_field
def test_none_is_refused_unless_the_type_says_so(kind, name):
    if field_types(kind)[name].is_optional:
        assert getattr(kind(**{name: None}), name) is None
    else:
        with pytest.raises((TypeError, ValueError), match=name):
            kind(**{name: None})


@pytest.mark.parametrize("kind", CLASSES)
def test_what_is_written_is_read_again(kind):
    assert kind.from_json(kind().to_json()) == kind()


def test_a_reconstruction_has_no_horizon():
    for settings in (
        {"kind": autoencoding.Settings, "mode": "reconstruction"},
        {"kind": anomalies.Settings, "method": "reconstruction"},
    ):
        kind = settings.pop("kind")
        with pytest.raises(ValueError, match="horizon is 3, but a reconstruction predicts no rows"):
            kind(**settings, horizon=3)


def test_values_are_stored_as_plain_ones():
    settings = anomalies.Settings(
        activation=jnp.tanh, units=8, patience=0, preprocessing=Preprocessing(scaling="none")
    )
    assert (settings.activation, settings.units, settings.patience) == ("tanh", (8,), None)
