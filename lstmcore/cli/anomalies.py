"""`lstmcore anomalies`: from a CSV file to events that are not like the rest."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

import lstmcore as lc
from lstmcore.apps import run_folder
from lstmcore.apps.anomalies.detection import check_choices
from lstmcore.apps.anomalies.report import close_together, echoes, promises, sentence
from lstmcore.cli import options, reading
from lstmcore.cli.intervals import check_intervals, shared_rows
from lstmcore.cli.labels import labelled, learnt_rows, without_labels
from lstmcore.cli.packages import require
from lstmcore.cli.table_options import reads_table
from lstmcore.cli.terminal import clear_errors, console, grid, sizes, warn
from lstmcore.formatting import count
from lstmcore.series import ReadOptions, Table, Times

KIND, OUTPUT = "lstmcore anomalies", "lstmcore-anomalies"
PRESET = lc.anomalies.Settings()
UNITS, PATIENCE = ",".join(map(str, PRESET.units)), PRESET.patience or 0
SHOWN_EVENTS = 20  # in the terminal; events.csv has all
FEWEST_FOR_PEAKS = 500  # rows, of which 2 % are the tail that is fitted


@reads_table
def anomalies(
    source: options.Source,
    train: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="A table of normal rows to train on, with the same columns. "
            "[dim]\\[default: the first rows of CSV][/dim]",
        ),
    ] = None,
    train_share: Annotated[
        float, typer.Option(help="Without --train: share of the rows, the first, to train on.")
    ] = 0.5,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A column that is not 0 where a row is known to be strange (empty: it is not): to "
            "compare with, never to learn from.",
        ),
    ] = None,
    columns: options.Columns = None,
    missing: options.Missing = "forward",
    difference: options.Difference = None,
    scaling: options.Scaling = "standard",
    method: Annotated[
        Literal["reconstruction", "prediction"],
        typer.Option(
            help="prediction: how far the next rows are from what was predicted; reconstruction: "
            "how well an autoencoder can write a window again."
        ),
    ] = PRESET.method,  # type: ignore[assignment]
    window: options.Window = PRESET.window,
    horizon: Annotated[
        int, typer.Option(metavar="ROWS", help="Rows to predict (prediction).")
    ] = PRESET.horizon,
    units: options.Units = UNITS,
    score: Annotated[
        Literal["mean", "largest", "mahalanobis"],
        typer.Option(help="Of a row: mean or largest error of its columns, or Mahalanobis."),
    ] = "mean",
    threshold: Annotated[
        Literal["maximum", "quantile", "gaussian", "peaks"],
        typer.Option(
            help="From the scores of the training part: their maximum, a quantile, a tail of "
            "chi-squared (for mahalanobis), or of a generalised Pareto distribution."
        ),
    ] = "maximum",
    level: Annotated[
        float | None,
        typer.Option(
            help="Of the quantile; or the probability of a false alarm in one row. "
            "[dim]\\[default: 0.999; 0.0001][/dim]"
        ),
    ] = None,
    gap: Annotated[
        int, typer.Option(metavar="ROWS", help="Join events with so many rows between them.")
    ] = 0,
    minimum: Annotated[
        int, typer.Option(metavar="ROWS", help="Leave out events of fewer rows.")
    ] = 1,
    validation: Annotated[
        float, typer.Option(help="Share of the training rows, the last, to stop training by.")
    ] = PRESET.validation,
    epochs: options.Epochs = PRESET.epochs,
    batch_size: options.BatchSize = PRESET.batch_size,
    learning_rate: options.LearningRate = PRESET.learning_rate,
    patience: options.Patience = PATIENCE,
    seed: options.Seed = 0,
    resume: options.Resume = False,
    force: options.Force = False,
    output: Annotated[Path | None, options.output(OUTPUT)] = None,
    *,
    reading_options: ReadOptions,
) -> None:
    """Learn what is normal, and find the stretches that do not fit it.

    The output folder receives report.html (the series, scores, threshold,
    events and the gates around them), scores.csv, events.csv, two pictures and
    the trained detector, which lc.anomalies.Detector.load reads.
    """
    given = dict(locals())
    with clear_errors() as command:
        judging: dict[str, Any] = {"score": score, "threshold": threshold, "level": level}
        judging |= {"gap": gap, "minimum": minimum}
        check_choices(**judging)
        if labels is not None:
            require("sklearn", "anomalies", "--labels")
        if threshold in ("gaussian", "peaks"):
            require("scipy", "anomalies", f"--threshold {threshold}")
        from lstmcore.apps.anomalies import report  # matplotlib is for this alone

        inputs = [source] if train is None else [source, train]
        place = run_folder.choose_folder(
            output, OUTPUT, KIND, resume=resume, force=force, inputs=inputs
        )
        command.output = place
        wanted = options.names(columns)
        data, times, others = reading.read_beside(
            source, wanted, () if labels is None else (labels,), reading_options
        )
        data, marks, said = without_labels(source, data, wanted)
        if labels is not None:
            marks = {labels: labelled(others.values[:, 0]), **marks}
        known = None if labels is None else marks[labels]
        normal, learnt_times = _normal(data, times, train, train_share, reading_options)
        check_intervals(train or source, _interval(learnt_times), source, _interval(times))
        given["preprocessing"] = options.preprocessing(missing, difference, scaling)
        settings = options.settings(PRESET, given | {"units": sizes(units)})
        _check(source, data, train, normal, settings, threshold)
        said += learnt_rows(marks, train, reading_options, len(normal.values))
        where = f"{count(len(normal.values), 'row')} of {train}"
        first = f"the first {len(normal.values):,} of them"
        reading.introduce(source, data, times, f"; training on {where if train else first}")
        learnt = {
            "columns": list(data.columns),
            "trained_rows": len(normal.values),
            "interval": _interval(learnt_times),
            "settings": asdict(settings),
        }
        with place.open(say=warn) as staging:
            # Which table is judged, and how, may differ.
            run_folder.record_settings(staging, learnt)
            detector = lc.anomalies.train(
                normal.values,
                settings,
                progress=True,
                checkpoint=staging / run_folder.CHECKPOINT,
                resume=resume,
            )
            judged = {
                "source": str(source),
                "trained_on": str(train or source),
                "rows": len(data.values),
            }
            report.write_model(staging, detector, learnt | judged | judging)
            with console.status("scoring the series, writing the report ..."):
                verdict = lc.anomalies.detect(detector, data.values, **judging)
                notes = reading.notes(data, times, detector.preprocessor)
                notes += said
                if train is not None:
                    notes += shared_rows(train, learnt_times, times)
                notes += promises(verdict, threshold, level, len(normal.values), train is None)
                notes += echoes(verdict, settings.preprocessing.difference)
                notes += close_together(verdict, settings.window)
                if known is not None and not known.any():
                    notes.append(f"{labels} marks no row, so there is nothing to compare with")
                found = report.Found(str(source), data, detector, verdict, known, notes)
                report.write(staging, found)
        _print(found, report)
        folder = place.folder
        console.print(f"wrote to [bold]{escape(str(folder))}[/bold]: {run_folder.listed(folder)}")


def _normal(
    data: Table,
    times: Times | None,
    train: Path | None,
    share: float,
    reading_options: ReadOptions,
) -> tuple[Table, Times | None]:
    """The rows to train on, and their times."""
    if train is not None:
        return reading.read(train, data.columns, reading_options)
    if not 0 < share <= 1:
        raise ValueError(f"--train-share must be above 0 and at most 1, got {share}")
    rows = max(1, round(share * len(data.values)))
    return data._replace(values=data.values[:rows], labels=data.labels[:rows]), times


def _interval(times: Times | None) -> str | None:
    return None if times is None else times.interval


def _check(
    source: Path,
    data: Table,
    train: Path | None,
    normal: Table,
    settings: lc.anomalies.Settings,
    threshold: str,
) -> None:
    """What would else be found out when training is over."""
    reading.check(train or source, normal, settings.preprocessing.missing)
    reading.check(source, data, settings.preprocessing.missing)
    rows, needed = len(data.values), settings.window + settings.preprocessing.dropped_rows
    if rows < needed + (settings.method == "prediction"):
        raise ValueError(
            f"{source} has {count(rows, 'row')}, too few for --window {settings.window}: use more "
            "data or a shorter window"
        )
    if len(normal.values) > settings.preprocessing.dropped_rows:
        reading.check_range(source, data, settings.preprocessing.fit(normal.values))
    if threshold == "peaks" and len(normal.values) < FEWEST_FOR_PEAKS:
        raise ValueError(
            f"--threshold peaks needs at least {FEWEST_FOR_PEAKS} rows to train on, and there are "
            f"{len(normal.values)}: use --threshold quantile"
        )


def _print(found, report) -> None:
    console.print()
    for note in reading.not_introduced(found.notes, found.data):
        console.print(f"- {escape(note)}")
    console.print(f"\n[bold]{escape(sentence(found.verdict, found.data.labels))}[/bold]\n")
    shown = report.strangest(found, SHOWN_EVENTS)
    cells = [
        [str(first), str(last), f"{rows:,}", f"{times:.3g}", column]
        for first, last, rows, _, _, times, column, _ in report.event_rows(found, shown)
    ]
    if cells:
        grid("events", ["first", "last", "rows", "× threshold", "mostly in"], cells)
    if len(shown) < len(found.verdict.events):
        hidden = len(found.verdict.events) - len(shown)
        console.print(f"the {len(shown)} strangest; {hidden:,} more are in events.csv\n")
    if cells := report.metric_cells(found):
        grid("compared with the labels", report.METRICS, cells)
