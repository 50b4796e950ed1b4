"""The results of `lstmcore forecast --id`: forecasts and errors as CSV files, and an HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lstmcore.apps import run_folder
from lstmcore.apps.forecasting import report, verdict
from lstmcore.apps.forecasting.evaluation import error_text
from lstmcore.apps.forecasting.many.evaluation import HEADER, EvaluationOfMany
from lstmcore.apps.forecasting.many.forecast import ForecastOfMany
from lstmcore.apps.forecasting.many.panel import column_of_names
from lstmcore.apps.forecasting.many.predictor import TrainedMany
from lstmcore.apps.report import page, series_data
from lstmcore.formatting import count, shorten
from lstmcore.series import Table
from lstmcore.study import plots

TESTED = (
    "Errors are averaged over the series as MASE, which is relative to the mean change of each. "
    "Whether the model is better than the best of these simple methods is decided by a paired "
    "t-test of its errors in each series: significant means a confidence of at least 95%. It takes "
    "series to be independent; what happens to all of them at once makes it too sure. The best "
    "method is chosen in hindsight, in its favour. All are fitted to the training part of the "
    "series alone."
)


class ManyReportData(NamedTuple):
    """The contents of a report.

    Attributes:
      source: name of the table.
      tables: {name of a series: its table}, up to the last row that is known.
      trained: from `train_many`.
      evaluation: of the test parts, or None if no series has one.
      forecast: of the rows after the last, or None if no series could be forecast.
      static: {name: {column: value}}.
      future: {name: [rows after the last, covariates]}, the future covariates.
      future_labels: {name: names of these rows}.
      notes: sentences about the series.
      is_new: whether the table is another one than the model was trained on.
    """

    source: str
    tables: Mapping[str, Table]
    trained: TrainedMany
    evaluation: EvaluationOfMany | None
    forecast: ForecastOfMany | None
    static: Mapping[str, Mapping[str, Any]]
    future: Mapping[str, np.ndarray]
    future_labels: Mapping[str, Sequence[str]]
    notes: Sequence[str]
    is_new: bool = False


def write(folder: Path, data: ManyReportData) -> None:
    """Write forecasts and errors as CSV files, the figure of the loss, and report.html."""
    named = column_of_names(data.trained.id)
    if data.forecast is not None:
        first = next(iter(data.forecast.forecasts.values()))
        ends = [] if verdict.interval(first) is None else ["low", "high"]
        time = next(iter(data.tables.values())).label_name
        header = [named, time, "target", "forecast", *ends]
        run_folder.write_csv(folder / "forecast.csv", header, _forecast_rows(data, data.forecast))
    if data.evaluation is not None:
        header = [named, "target", "forecast", *report.ERRORS]
        run_folder.write_csv(folder / "errors.csv", header, data.evaluation.rows())
        _write_test(folder / "test.csv", named, data, data.evaluation)
    if data.trained.is_lstm_trained and not data.is_new:
        plots.plot_loss(data.trained.history).savefig(folder / "loss.png", dpi=120)
    title = f"Forecast of {len(data.tables):,} series of {Path(data.source).name}"
    page.write(folder / "report.html", title, parts(data))


def _write_test(path: Path, named: str, data: ManyReportData, tested: EvaluationOfMany) -> None:
    """Write the forecasts of the test parts; a rival that a series lacks is an empty cell."""
    names = list(
        dict.fromkeys(n for one in tested.evaluations.values() for n in report.tested_names(one))
    )
    time = next(iter(data.tables.values())).label_name

    def rows() -> Iterator[list]:
        for name, one in tested.evaluations.items():
            own = report.tested_names(one)
            for row in report.tested_rows(data.tables[name].labels, one):
                numbers = dict(zip(own, row[-len(own) :], strict=True))
                yield [name, *row[: -len(own)], *(numbers.get(each, np.nan) for each in names)]

    run_folder.write_csv(path, [named, "first_row", "step", time, "target", *names], rows())


def _forecast_rows(data: ManyReportData, forecasts: ForecastOfMany) -> Iterator[list]:
    for name, forecast in forecasts.forecasts.items():
        blocks = (forecast.point, *(verdict.interval(forecast) or ()))
        for step, label in enumerate(data.future_labels[name]):
            for place, target in enumerate(forecast.targets):
                numbers = [float(block[0, step, place]) for block in blocks]
                yield [name, label, target, *numbers]


def parts(data: ManyReportData) -> list[str]:
    """Return the page in parts for `report.page.write`."""
    tested = data.evaluation
    html = []
    if tested is not None:
        good = all(tested.comparison(target).is_better for target in tested.targets)
        html = [
            page.summary(tested.summary(), good=good),
            page.heading("How good it is"),
            *_tables_over_series(tested),
        ]
    for rank, name in _shown(data):
        html += _series_parts(data, rank, name)
    if tested is not None:
        html += _every_series(tested)
    html += [page.heading("The data"), page.listing(data.notes)]
    if tested is None:
        return html
    explained = verdict.explanations(data.trained.settings.season_rows, _rivals(tested))
    read = page.heading("How to read the errors"), page.listing(explained), page.paragraph(TESTED)
    return [*html, *read]


def _rivals(tested: EvaluationOfMany) -> tuple[str, ...]:
    return tuple(tested.mase(tested.targets[0]))[1:]


def _tables_over_series(tested: EvaluationOfMany) -> list[str]:
    """Return a table for each target, of the errors over all series."""
    html = []
    for target in tested.targets[: report.SHOWN_TARGETS]:
        cells = [line.cells() for line in tested.lines(target)]
        html += [page.paragraph(target), page.grid(["forecast", *HEADER[1:]], cells)]
    hidden = len(tested.targets) - report.SHOWN_TARGETS
    return (
        [*html, page.paragraph(f"{count(hidden, 'more target')} in errors.csv.")]
        if (hidden > 0)
        else html
    )


def _shown(data: ManyReportData) -> list[tuple[str, str]]:
    """Return (rank, name) of the series that are drawn: worst, median and best, or the first."""
    if data.evaluation is None:
        names = [] if data.forecast is None else list(data.forecast.forecasts)
        return [("", name) for name in names[:3]]
    order = data.evaluation.ranked(data.trained.targets[0])
    chosen = {order[-1]: "worst", order[len(order) // 2]: "median", order[0]: "best"}
    if len(order) == 1:
        return [("", order[0])]
    return [(rank, name) for name, rank in chosen.items()]


def _series_parts(data: ManyReportData, rank: str, name: str) -> list[str]:
    """Return the heading, the errors, the forecasts and, of the worst, the gates of one series."""
    table, tested = data.tables[name], data.evaluation
    evaluation = None if tested is None else tested.evaluations.get(name)
    forecast = None if data.forecast is None else data.forecast.forecasts.get(name)
    is_known = name in data.trained.members
    alone = (
        data.trained[name] if is_known else data.trained.new(table.values, data.static.get(name))
    )
    labels = data.future_labels[name]
    one = report.ReportData(
        data.source,
        table,
        alone,
        evaluation,
        None,
        forecast,
        data.future[name],
        labels,
        (),
        data.is_new,
    )
    axis = series_data.time_axis([*table.labels, *labels], table.label_name)
    title = f"{shorten(name)}, the {rank} series" if rank else shorten(name)
    html = [page.heading(title)]
    if evaluation is not None:
        html.append(page.listing(verdict.summary(evaluation)))
    html.append(page.figure(*report.series_figure(one, axis)))
    if rank in ("worst", "") and (evaluation is not None or forecast is not None):
        html.append(page.figure(*report.gates_figure(one, axis)))
    return html


def _every_series(tested: EvaluationOfMany) -> list[str]:
    """Return a table of the MASE of all series, the worst first."""
    target = tested.targets[0]
    every, order = tested.mase(target), tested.ranked(target)[::-1]
    place = {name: number for number, name in enumerate(tested.evaluations)}
    cells = [
        [shorten(name), *(error_text(errors[place[name]]) for errors in every.values())]
        for name in order[: report.LISTED_TARGETS]
    ]
    html = [
        page.heading("Series by series"),
        page.paragraph(f"MASE of {target}, the worst series first; errors.csv has all errors."),
        page.grid(["series", *every], cells),
    ]
    if len(order) > len(cells):
        text = f"Of {len(order):,} series the first {len(cells)} are listed."
        html.append(page.paragraph(text))
    return html
