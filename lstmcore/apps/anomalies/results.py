"""The results of detection: scores, threshold and events of one series, or of separate ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lstmcore.apps.anomalies.thresholds import SetBy, Threshold
from lstmcore.display import displayed
from lstmcore.display.arrays import number_text
from lstmcore.display.html import sparkline, table, titled
from lstmcore.formatting import count, shorten
from lstmcore.series.events import Event, flags_of
from lstmcore.series.frames import make_frame
from lstmcore.series.row_index import RowIndex

MOST_MARKED = 500  # events that are shaded in the plot of a notebook
MOST_LISTED = 20  # series in the table of a notebook


class HeldOut(NamedTuple):
    """Rows, or series, that are counted apart, such as normal ones to which nothing was fitted.

    flagged: how many are above the threshold
    rows: how many there are, with a score
    """

    flagged: int
    rows: int


@displayed
class DetectionResult(NamedTuple):
    """The anomalies of a series.

    Attributes:
      scores: [rows]; NaN where a row cannot be scored.
      contributions: [rows, F], the fraction of the score that comes from each feature.
      threshold: a row above it is flagged.
      events: segments of flagged rows, in the order of time.
      score: the function from errors [rows, F] to scores [rows], for `OnlineDetector.of`.
      columns: F names of the columns, or () if they have none.
      row_index: `series.row_index.RowIndex` of the data frame that was scored; None of an array.
      set_by: the normal row that sets the threshold, and what it would be without it; None if the
        threshold does not follow from the largest score.
      held_out: how many of the validation rows would be flagged, if the rows before them set the
        threshold; (0, 0) if there are none.
      before: how many of the rows before, from which the scores go on, are above the threshold.
    """

    scores: np.ndarray
    contributions: np.ndarray
    threshold: Threshold
    events: list[Event]
    score: Callable[[np.ndarray], np.ndarray]
    columns: tuple[str, ...] = ()
    row_index: RowIndex | None = None
    set_by: SetBy | None = None
    held_out: HeldOut = HeldOut(0, 0)
    before: HeldOut = HeldOut(0, 0)

    def to_frame(self, library: str | None = None):
        """Return the scores as a data frame with one row for each row of the series.

        Args:
          library: "pandas", "polars" or "pyarrow"; None takes that of the series, and pandas for an
            array.

        Returns:
          Data frame with the index, or the times, of the series and the columns "score",
          "is_anomalous" (inside of an event) and "contribution of NAME" for each column.

        Raises:
          ImportError: narwhals or the library is not installed.
          ValueError: an unknown library.
        """
        rows, features = self.contributions.shape
        names = self.columns or [f"column_{place}" for place in range(features)]
        fractions = zip(names, self.contributions.T, strict=True)
        columns = {
            "score": self.scores,
            "is_anomalous": flags_of(self.events, rows),
            **{f"contribution of {name}": values for name, values in fractions},
        }
        return self._index().frame(columns, np.arange(rows), library)

    def events_to_frame(self, library: str | None = None):
        """Return the events as a data frame, one row for each.

        Args, Raises: as in `to_frame`.

        Returns:
          Data frame with the columns "first", "last" and "peak" (names of rows, such as times, or
          their numbers), "rows" and "score".
        """
        return make_frame(self.event_columns(library), library or self._index().library)

    def event_columns(self, library: str | None = None) -> dict[str, Any]:
        """Return the columns of `events_to_frame`, [events] each."""
        index, places = self._index(), _places(self.events)
        names = [index.labels(rows, library) for rows in places]
        return {
            **dict(zip(("first", "last", "peak"), names, strict=True)),
            "rows": places[1] - places[0] + 1,
            "score": [event.score for event in self.events],
        }

    def _repr_html_(self) -> str:
        """Return the scores with the threshold and the events, and the events as a table."""
        limit = self.threshold.value
        marked = [(event.start, event.stop) for event in self.events[:MOST_MARKED]]
        plot = sparkline(self.scores, "scores", width=600, height=80, line=limit, marked=marked)
        names = map(self._index().texts, _places(self.events))
        figures = ((f"{e.stop - e.start:,}", number_text(e.score)) for e in self.events)
        rows = [
            [*texts, *rest] for texts, rest in zip(zip(*names, strict=True), figures, strict=True)
        ]
        header = ["first", "last", "peak", "rows", "score"]
        return titled(
            f"{count(len(rows), 'event')} in {count(len(self.scores), 'row')}",
            f"threshold {number_text(limit)}: {self.threshold.how}",
            plot,
            table(header, rows, words=0) if rows else "",
        )

    def texts(self, rows: np.ndarray) -> list[str]:
        """Return the names of rows, such as times, as text."""
        return list(self._index().texts(rows))

    def _index(self) -> RowIndex:
        return self.row_index or RowIndex.numbered(len(self.scores))


@dataclass(frozen=True, eq=False, repr=False)
class SeparateResult:
    """The anomalies of separate series, and of each series as a whole.

        result["pump 3"].events         of one series, a DetectionResult
        result.scores, result.flags     of the series: which of them are odd?

    Attributes:
      series: {id: DetectionResult}; score and threshold of rows are the same for all.
      scores: [N], the mean of the scores of the rows of each, of the adaptive score that of their
        absolute errors; NaN of a series without a row that can be scored.
      threshold: a series with a score above it is odd as a whole. It is infinite if fewer than 10
        normal series would set it, too few to say which are odd: if all are alike, one in n + 1
        exceeds the largest of n.
      held_out: how many of the normal series held out would be flagged as a whole, if others set
        the threshold; (0, 0) if there are none.
      id_name: name of the ids.
    """

    series: dict[Any, DetectionResult]
    scores: np.ndarray
    threshold: Threshold
    held_out: HeldOut
    id_name: str = "series"

    @property
    def flags(self) -> np.ndarray:
        """Return bool [N], the series that are odd as a whole; none without `has_verdict`."""
        return self.scores > self.threshold.value

    @property
    def has_verdict(self) -> bool:
        """Return whether there are enough normal series to say which are odd as a whole."""
        return bool(np.isfinite(self.threshold.value))

    @property
    def verdict(self) -> str:
        """Return in words how many series are odd as a whole."""
        if not self.has_verdict:
            return "too few series to say which are odd as a whole"
        odd = int(self.flags.sum())
        return f"{odd or 'none'} of them {'are' if odd > 1 else 'is'} odd as a whole"

    def __getitem__(self, id: Any) -> DetectionResult:
        return self.series[id]

    def __len__(self) -> int:
        return len(self.series)

    def to_frame(self, library: str = "pandas") -> Any:
        """Return a data frame with one row for each series.

        Its columns are the id, "score" and "is_anomalous" of the series as a whole, and "events",
        "rows" and "flagged_rows", those in an event.

        Raises:
          ImportError: narwhals or the library is not installed.
          ValueError: an unknown library, or the ids are called like another column.
        """
        found = self.series.values()
        return self._frame(
            list(self.series),
            {
                "score": self.scores,
                "is_anomalous": self.flags,
                "events": [len(result.events) for result in found],
                "rows": [len(result.scores) for result in found],
                "flagged_rows": [
                    int(flags_of(result.events, len(result.scores)).sum()) for result in found
                ],
            },
            library,
        )

    def events_to_frame(self, library: str = "pandas") -> Any:
        """Return a data frame with one row for each event: the id, and as of `DetectionResult`.

        Raises:
          As `to_frame`; or ValueError: some series have times and others none.
        """
        indices = [result.row_index for result in self.series.values()]
        if len({index is None or index.times is None for index in indices}) > 1:
            raise ValueError(
                "some series have times and others none, so their events have no column in common: "
                "take those of one series, result[id].events_to_frame()"
            )
        ids, columns = [], dict[str, list]()
        for id, result in self.series.items():
            ids += [id] * len(result.events)
            for name, values in result.event_columns(library).items():
                columns.setdefault(name, []).extend(values)
        return self._frame(ids, columns, library)

    def _frame(self, ids: list, columns: dict[str, Any], library: str) -> Any:
        """Return columns as a data frame, after that of the ids."""
        if self.id_name in columns:
            raise ValueError(
                f"the frame would have two columns {shorten(self.id_name)!r}: rename that of the "
                "ids"
            )
        return make_frame({self.id_name: ids, **columns}, library)

    def __repr__(self) -> str:
        return (
            f"SeparateResult({len(self)} series, {self.verdict}, "
            f"{count(sum(len(result.events) for result in self.series.values()), 'event')})"
        )

    def _repr_html_(self) -> str:
        """Return the series with the highest scores as a table."""
        order = np.argsort(-np.nan_to_num(self.scores, nan=-np.inf), kind="stable")[:MOST_LISTED]
        ids, found = list(self.series), list(self.series.values())
        rows = [
            [str(ids[place]), number_text(self.scores[place]), f"{len(found[place].events):,}"]
            for place in order
        ]
        return titled(
            repr(self),
            f"threshold {number_text(self.threshold.value)}: {self.threshold.how}"
            if self.has_verdict
            else self.threshold.how,
            table([self.id_name, "score", "events"], rows, words=1),
        )


def _places(found: list[Event]) -> np.ndarray:
    """Return the rows of events, int [3, events]: the first ones, the last ones and the peaks."""
    bounds = [(event.start, event.stop - 1, event.peak) for event in found]
    return np.array(bounds, np.int64).reshape(-1, 3).T
