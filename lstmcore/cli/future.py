"""The rows after the last one of a table: what is known of them, and their names."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstmcore.apps.forecasting.settings import Settings, arrange
from lstmcore.formatting import count, few, listed
from lstmcore.series import Table, Times


def without_future(table: Table, settings: Settings) -> tuple[Table, np.ndarray]:
    """Return the table up to its last target, and the future covariates after that.

    Returns:
      (table, future [rows after that, covariates]).

    Raises:
      ValueError: settings that name columns which are not there.
    """
    arrange(table.columns, settings)
    if not settings.future_covariates:
        return table, np.zeros((0, 0))
    places = [table.columns.index(name) for name in settings.future_covariates]
    others = np.setdiff1d(np.arange(len(table.columns)), places)
    known = np.flatnonzero(np.isfinite(table.values[:, others]).any(axis=1))
    end = int(known[-1]) + 1 if len(known) else 0
    return table.first(end), table.values[end:, places]


def is_known(future: np.ndarray, settings: Settings) -> bool:
    """Return whether the future covariates, if there are any, are known for the whole horizon."""
    if not settings.future_covariates:
        return True
    horizon = settings.horizon
    return len(future) >= horizon and bool(np.isfinite(future[:horizon]).all())


def labels_after(table: Table, times: Times | None, horizon: int) -> list[str]:
    """Return the names of the rows after the last."""
    if times is None:
        return [str(len(table.values) + step) for step in range(horizon)]
    return times.labels_after(horizon, len(table.values) - 1)


def notes(future: np.ndarray, settings: Settings) -> list[str]:
    """Return a sentence where future covariates are known for fewer or more rows than needed."""
    covariates, horizon = settings.future_covariates, settings.horizon
    if not covariates:
        return []
    nothing = "there is no forecast beyond the last row"
    if len(future) < horizon:
        return [
            f"{nothing}: {listed(covariates)} must be known for the {count(horizon, 'row')} after "
            f"it, and {len(future)} are there; append rows to the table with values of these alone"
        ]
    if not np.isfinite(future[:horizon]).all():
        return [f"{nothing}: a value of {listed(covariates, 'or')} is missing there"]
    if len(future) > horizon:
        are = "is" if len(covariates) == 1 else "are"
        return [
            f"{listed(covariates)} {are} known for {len(future):,} rows after the last, of "
            f"which the first {horizon:,} are forecast (--horizon)"
        ]
    return []


def zeros_and_ones(table: Table, trained: Any) -> list[str]:
    """Return a sentence on targets such as holidays, which may be known in advance."""
    targets = trained.targets if len(trained.targets) > 1 else ()
    found = [
        target
        for target in targets
        if set(np.unique(table.values[:, table.columns.index(target)])) == {0.0, 1.0}
    ]
    if not found:
        return []
    holds = "holds 0 and 1 alone and is" if len(found) == 1 else "hold 0 and 1 alone and are"
    return [
        f"{few(found)} {holds} forecast as well: if known in advance, give --future-covariates; to "
        "leave some out, name the others in --columns"
    ]
