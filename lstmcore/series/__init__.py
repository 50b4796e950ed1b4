"""From a table of numbers to the windows [N, T, F] that a model reads, and back. Needs only NumPy.

tables/                 read files of any common form into tables
times/                  read times in any common form, check and resample them
preprocessing           filling, differencing and scaling in one, fitted on the training part
filling                 missing values: count and fill them
differencing, scaling   remove trend and season; bring values into range; invert both
windowing               cut a table into windows, and merge windows into a series
splitting               training, validation and test part in the order of time
seasonality             the seasons of a series, by its autocorrelation
unit_root               tests of stationarity (needs statsmodels)
events                  flagged rows as events
arguments               tables as arguments: arrays, data frames, dicts of columns
arrays, frames          plain arrays as arguments; data frames of any library, through narwhals
frame_times             the times of a data frame: read, checked, and carried on
row_index               the index, or the times, of a data frame: kept and carried on
"""

from lstmcore.series.differencing import difference, undifference
from lstmcore.series.filling import Filling, Missing, fit_filling, missing
from lstmcore.series.preprocessing import Preprocessing, Preprocessor
from lstmcore.series.scaling import Scaler, fit_scaler
from lstmcore.series.seasonality import seasonal_level, seasons
from lstmcore.series.splitting import Split, rolling_origins, split
from lstmcore.series.tables.many import SeveralTables
from lstmcore.series.tables.options import ReadOptions
from lstmcore.series.tables.panel import SeveralSeriesError
from lstmcore.series.tables.reading import DATASETS, read_csv, read_dataset
from lstmcore.series.tables.reading_many import read_many
from lstmcore.series.tables.table import Table, regular
from lstmcore.series.times.column import TimeColumn, join_columns, read_times
from lstmcore.series.times.errors import (
    AmbiguousTimesError,
    DuplicateTimesError,
    ImpossibleTimesError,
    IrregularTimesError,
    MixedTimesError,
    TimesError,
    UnsortedTimesError,
)
from lstmcore.series.times.format import TimeLabels
from lstmcore.series.times.resampling import Resampled, merge_duplicates, resample, sort_rows
from lstmcore.series.times.timeline import Times, check_times, insert_gaps
from lstmcore.series.unit_root import Stationarity, stationarity
from lstmcore.series.windowing import stride_for, temporalize, tutorial_series, unwindow, windows

__all__ = [
    "DATASETS",
    "AmbiguousTimesError",
    "DuplicateTimesError",
    "Filling",
    "ImpossibleTimesError",
    "IrregularTimesError",
    "Missing",
    "MixedTimesError",
    "Preprocessing",
    "Preprocessor",
    "ReadOptions",
    "Resampled",
    "Scaler",
    "SeveralSeriesError",
    "SeveralTables",
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
    "read_many",
    "read_times",
    "regular",
    "resample",
    "rolling_origins",
    "seasonal_level",
    "seasons",
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
