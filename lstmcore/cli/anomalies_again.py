"""A table that an earlier detector scores: what it must be, and the rows that come before it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np

import lstmcore as lc
from lstmcore.apps.anomalies.last_rows import LAST_ROWS, Joint, LastRows, follow, read
from lstmcore.apps.anomalies.preprocessing import without_season
from lstmcore.cli import reading, saved_model
from lstmcore.cli.intervals import check_intervals
from lstmcore.cli.options import of_model
from lstmcore.formatting import count, few
from lstmcore.io import manifest
from lstmcore.series import Preprocessor, Table, Times

Continue = Annotated[
    bool | None,
    of_model(
        "--continue/--anew",
        help="With --model: whether CSV goes on where the table of FOLDER ended, so that its first "
        "row has a score. [dim]\\[default: if its times say so][/dim]",
        show_default=False,
    ),
]

ANEW = "scored anew, without any rows before: "
BEFORE = "they are not those of the earlier table"


def check_asked(is_asked: bool | None, model: Path | None, update: bool, *, is_many: bool) -> None:
    """Refuse --continue where nothing can be continued.

    Raises:
      ValueError: it was given without a model that is used as it is, or with separate series.
    """
    flag = "--continue" if is_asked else "--anew"
    if is_asked is None:
        return
    if model is None or update:
        raise ValueError(
            f"{flag} is for a table that a trained model scores: give it with --model, and without "
            "--update"
        )
    if is_many:
        raise ValueError(f"{flag} is for one series: leave it out for many")


def rows_before(
    is_asked: bool | None, start: saved_model.Start, table: Table
) -> tuple[LastRows | None, list[str]]:
    """Return (the rows to put before a table, None to score it anew; sentences that say so).

    Args:
      is_asked: whether the user says that the table goes on; None leaves it to its times.
      start: the detector.
      table: with its columns, in its order.

    Raises:
      ValueError: the user says so, but the times do not, or the rows before are not known.
    """
    path, detector = start.folder / LAST_ROWS, start.model
    features = detector.preprocessor.features
    if is_asked is False or len(table.columns) != features:
        return None, []
    if not path.exists():
        if is_asked:
            raise ValueError(
                f"--continue: {start.folder} holds no {LAST_ROWS}, as the detector was saved by "
                "itself, or by an earlier version: put the rows before at the start of the table"
            )
        return None, []
    manifest.check_parts(start.folder, (LAST_ROWS,), "lstmcore anomalies")
    settings = detector.settings
    fills = settings.preprocessing.missing != "refuse"
    joint = follow(read(path, features), table, settings.window if fills else 0)
    return _decided(is_asked, joint)


def _decided(is_asked: bool | None, joint: Joint) -> tuple[LastRows | None, list[str]]:
    if joint.before is None:
        if is_asked:
            raise ValueError(f"--continue: the table does not go on from there, {joint.said}")
        return None, [ANEW + joint.said]
    if not (joint.is_known or is_asked):
        said = "its times do not say whether it goes on from the table of the model"
        return None, [f"{ANEW}{said}; --continue says so"]
    return joint.before, [joint.said]


def check_kind(start: saved_model.Start, is_trained: bool, *, is_many: bool) -> None:
    """Refuse series for a detector of one, and one series for a detector that must know which."""
    if is_many and not start.model.lengths and not is_trained:
        raise ValueError(
            f"the detector in {start.folder} was trained on one series: give it one (leave out "
            "--id; --series reads one of several), or train another detector on many"
        )
    if not is_many and start.model.levels is not None:
        raise ValueError(
            f"the detector in {start.folder} scales each series by its own level: --id names the "
            "column that tells them apart"
        )


def check_table(
    source: Path,
    table: Table,
    times: Times | None,
    start: saved_model.Start,
    before: LastRows | None,
    reasons: Sequence[str],
) -> None:
    """Raise the errors of a table that a trained detector is to score, after the rows before.

    reasons: why there are no rows before, after ANEW.
    """
    detector, origin = start.model, start.origin
    check_intervals(
        origin.source, origin.interval, source, None if times is None else times.interval
    )
    features, settings = detector.preprocessor.features, detector.settings
    if len(table.columns) != features:
        raise ValueError(
            f"{source} has {count(len(table.columns), 'column')} to read ({few(table.columns)}), "
            f"but the detector reads {features}"
        )
    rows, dropped = len(table.values), settings.dropped_rows
    if before is not None:
        table = _after(before, table)
    needed = settings.window + dropped + (settings.method == "prediction")
    if len(table.values) < needed:
        raise ValueError(
            f"{source} has {count(rows, 'row')}, but the detector reads at least {needed} before "
            f"it scores a row (windows of {settings.window}"
            + f", after {dropped} for season and differences" * bool(dropped)
            + f"): put the {count(needed - 1, 'row')} before these at the start of the table"
            + "".join(f"; {BEFORE}: {reason.removeprefix(ANEW)}" for reason in reasons)
        )
    reading.check(source, table, settings.preprocessing.missing)
    check_range(source, table, settings, detector.preprocessor)


def _after(before: LastRows, table: Table) -> Table:
    """Return a table with the rows before it, which have no labels."""
    labels = [*[""] * len(before.values), *table.labels]
    return table._replace(values=np.concatenate([before.values, table.values]), labels=labels)


def check_range(
    source: Path, table: Table, settings: lc.anomalies.Settings, preprocessor: Preprocessor
) -> None:
    """Refuse values that the model cannot read."""
    left = without_season(settings, table.values)
    shown = table._replace(values=left, labels=table.labels[len(table.values) - len(left) :])
    reading.check_range(source, shown, preprocessor)
