"""From a table of numbers to the windows [N, T, F] that a model reads, and back. NumPy alone.

What is where:

    reading                 a file as people have it to a table, step by step
    preparation             all of it at once, learnt from the training part alone
    filling                 missing values: counted, and what stands in for them
    differencing, scaling   trend and season taken out; a range that suits an LSTM; both undone
    windowing               a table to windows, and windows to a series
    splitting               training, validation and test part in the order of time
    timeline                the times beside the rows: sorted, regular, what is left out
    time_column             times in any common form, read (time_text, time_numbers, time_zone) and
                            written as they were (time_format); calendar counts months and so on
    resampling              rows sorted by time, double times merged, longer steps
    unit_root               whether a series is stationary (needs statsmodels)
"""

from lstmcore.series.differencing import difference, undifference
from lstmcore.series.filling import Filling, Missing, fit_filling, missing
from lstmcore.series.panel import SeveralSeriesError
from lstmcore.series.preparation import Preparation, Prepared
from lstmcore.series.read_options import ReadOptions
from lstmcore.series.reading import DATASETS, read_csv, read_dataset
from lstmcore.series.resampling import Resampled, merge_duplicates, resample, sort_rows
from lstmcore.series.scaling import Scaler, fit_scaler
from lstmcore.series.splitting import Split, rolling_origins, split
from lstmcore.series.table import Table, regular
from lstmcore.series.time_column import TimeColumn, join_columns, read_times
from lstmcore.series.time_errors import (
    AmbiguousTimesError,
    DuplicateTimesError,
    ImpossibleTimesError,
    IrregularTimesError,
    MixedTimesError,
    TimesError,
    UnsortedTimesError,
)
from lstmcore.series.time_format import TimeLabels
from lstmcore.series.timeline import Times, check_times, insert_gaps
from lstmcore.series.unit_root import Stationarity, stationarity
from lstmcore.series.windowing import (
    stride_for,
    temporalize,
    tutorial_series,
    unwindow,
    windows,
)

__all__ = [
    "DATASETS",
    "AmbiguousTimesError",
    "DuplicateTimesError",
    "Filling",
    "ImpossibleTimesError",
    "IrregularTimesError",
    "Missing",
    "MixedTimesError",
    "Preparation",
    "Prepared",
    "ReadOptions",
    "Resampled",
    "Scaler",
    "SeveralSeriesError",
    "Split",
    "Stationarity",
    "Table",
    "TimeColumn",
    "TimeLabels",
    "Times",
    "TimesError",
    "UnsortedTimesError",
    "check_times",
    "difference",
    "fit_filling",
    "fit_scaler",
    "insert_gaps",
    "join_columns",
    "merge_duplicates",
    "missing",
    "read_csv",
    "read_dataset",
    "read_times",
    "regular",
    "resample",
    "rolling_origins",
    "sort_rows",
    "split",
    "stationarity",
    "stride_for",
    "temporalize",
    "tutorial_series",
    "undifference",
    "unwindow",
    "windows",
]
