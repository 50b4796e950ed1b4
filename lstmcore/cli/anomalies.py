"""`lstmcore anomalies`: from a CSV file to events that are not like the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from rich.markup import escape

import lstmcore as lc
from lstmcore import results
from lstmcore.cli import options, reading
from lstmcore.cli.terminal import clear_errors, console, grid, sizes
from lstmcore.table import Table

PRESET = lc.anomalies.Settings()
UNITS, PATIENCE = ",".join(map(str, PRESET.units)), PRESET.patience or 0
SHOWN_EVENTS = 20  # in the terminal; events.csv has all


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
            help="A column that is not 0 where a row is known to be strange: to compare with, "
            "never to learn from.",
        ),
    ] = None,
    columns: options.Columns = None,
    time: options.Time = None,
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
    ahead: Annotated[
        int, typer.Option(metavar="ROWS", help="Rows to predict (prediction).")
    ] = PRESET.ahead,
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
    epochs: options.Epochs = PRESET.epochs,
    batch_size: options.BatchSize = PRESET.batch_size,
    learning_rate: options.LearningRate = PRESET.learning_rate,
    patience: options.Patience = PATIENCE,
    seed: options.Seed = 0,
    resume: options.Resume = False,
    output: options.Output = Path("lstmcore-anomalies"),
) -> None:
    """Train on what is normal; find the stretches of a table that the model cannot write.

    The output folder receives report.html (the series, scores, threshold, events
    and the gates around them), scores.csv, events.csv, two pictures and the
    trained detector, which lc.anomalies.Detector.load reads.
    """
    given = dict(locals())
    with clear_errors(output):
        from lstmcore.anomalies import report  # matplotlib is for this alone

        for path in filter(None, (source, train)):
            results.refuse_to_overwrite(path, output, report.FILES)
        wanted = options.names(columns)
        data, times = reading.read(source, wanted, time, () if labels is None else (labels,))
        known = None if labels is None else _labels(source, labels, time, len(data.values))
        normal = _normal(source, data, train, train_share, time)
        given["preparation"] = options.preparation(missing, difference, scaling)
        settings = options.settings(PRESET, given | {"units": sizes(units)})
        _say(source, train, data, normal)
        with results.output_folder(output, report.FILES, resume=resume) as staging:
            described = {
                "source": str(source),
                "trained_on": str(train or source),
                "trained_rows": len(normal),
                "columns": list(data.columns),
                "rows": len(data.values),
                "interval": times.interval if times else None,
                "score": score,
                "threshold": threshold,
                "level": level,
                "gap": gap,
                "minimum": minimum,
            }
            detector = lc.anomalies.train(
                normal,
                settings,
                progress=True,
                checkpoint=staging / results.CHECKPOINT,
                resume=resume,
            )
            report.write_model(staging, detector, described)
            verdict = lc.anomalies.judge(
                detector,
                data.values,
                score=score,
                threshold=threshold,
                level=level,
                gap=gap,
                minimum=minimum,
            )
            notes = reading.notes(data, times, detector.prepared)
            found = report.Found(str(source), data, detector, verdict, known, notes)
            report.write(staging, found)
            names = sorted(path.name for path in staging.iterdir())
        _print(found, report)
        console.print(f"wrote to [bold]{escape(str(output))}[/bold]: {', '.join(names)}")


def _labels(source: Path, name: str, time: str | None, rows: int) -> np.ndarray:
    """bool [rows]: where the column of labels is not 0; rows that are left out are not strange."""
    marks, _ = reading.read(source, [name], time)
    if len(marks.values) != rows:
        raise ValueError(f"{source} has {len(marks.values)} rows of {name} but {rows} of data")
    return np.nan_to_num(marks.values[:, 0]) != 0


def _normal(
    source: Path, data: Table, train: Path | None, share: float, time: str | None
) -> np.ndarray:
    """The rows to train on."""
    if train is not None:
        return reading.read(train, data.columns, time)[0].values
    if not 0 < share <= 1:
        raise ValueError(f"--train-share must be above 0 and at most 1, got {share}")
    return data.values[: max(1, round(share * len(data.values)))]


def _say(source: Path, train: Path | None, data: Table, normal: np.ndarray) -> None:
    where = f"{len(normal):,} rows of {train}" if train else f"the first {len(normal):,} of them"
    console.print(
        f"[bold]{escape(str(source))}[/bold]: {len(data.values):,} rows of "
        f"{escape(', '.join(data.columns))}; trained on {escape(where)}\n",
        soft_wrap=True,
    )


def _print(found, report) -> None:
    console.print()
    for note in found.notes:
        console.print(f"- {escape(note)}")
    console.print(f"\n[bold]{escape(found.sentence)}[/bold]\n")
    rows = report.event_rows(found)
    if rows:
        grid("events", report.header(), rows[:SHOWN_EVENTS])
    if len(rows) > SHOWN_EVENTS:
        console.print(f"... and {len(rows) - SHOWN_EVENTS:,} more, all in events.csv")
    if found.labels is not None:
        header = ["compared with the labels", "precision", "recall", "F1", ""]
        grid("how good it is", header, report.metric_rows(found))
