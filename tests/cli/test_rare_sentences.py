"""Sentences on tables that are wide, labelled, or hardly longer than their training part."""

from pathlib import Path

import numpy as np
import pytest

from lstmcore.cli import labels, reading
from lstmcore.series import Preprocessing, Table

SOURCE = Path("load.csv")
RISING = np.arange(20.0)[:, None]


def table(values, columns=None):
    columns = columns or tuple(f"c{place}" for place in range(values.shape[1]))
    return Table(columns, values, range(len(values)))


def test_missing_values_of_many_columns_are_counted():
    values = np.repeat(RISING, 8, axis=1)
    values[4] = np.nan
    data = table(values)
    preprocessor = Preprocessing(missing="forward").fit(values)
    sentences = reading.notes(data, None, preprocessor)
    assert sentences[-1] == "3 more columns with missing values, filled in the same way"


def test_columns_of_labels_are_pointed_out():
    data = table(np.hstack([RISING, RISING % 2]), ("load", "is_anomaly"))
    sentences = reading.notes(data, None, Preprocessing().fit(data.values))
    assert sentences[-1].startswith("is_anomaly may hold labels rather than measurements")


def test_columns_of_labels_that_are_asked_for_are_trained_on():
    data = table(np.hstack([RISING, RISING % 2]), ("load", "is_anomaly"))
    kept, marks, sentences = labels.without_labels(SOURCE, data, ["load", "is_anomaly"])
    assert kept is data
    assert marks["is_anomaly"].tolist() == [False, True] * 10
    assert sentences == [
        "is_anomaly looks like a column of labels, and is trained on because --columns names it"
    ]


def test_columns_that_leave_their_range_are_counted():
    data = table(np.repeat(RISING, 7, axis=1))
    preprocessor = Preprocessing().fit(data.values[:10])
    sentences = reading.beyond(data, preprocessor, 10)
    assert sentences[0].startswith("c0 is outside its range in the training part in 100% of the")
    assert sentences[-1] == "so are 2 more columns"
    assert reading.beyond(data, preprocessor, 20) == []


def test_too_few_rows_for_tests_of_stationarity():
    pytest.importorskip("statsmodels")
    data = table(RISING[:3])
    assert reading.stationary(data, Preprocessing().fit(data.values), 3) == []


def test_a_column_without_a_value_is_refused():
    data = table(np.full((3, 1), np.nan))
    with pytest.raises(ValueError, match="'c0': no row has a value; leave out the column"):
        reading.check(SOURCE, data, "mean")
