"""The outputs of a trained model for every window, in units of the table."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lstmcore import series
from lstmcore.apps.autoencoding.settings import Settings
from lstmcore.apps.autoencoding.training import model_outputs, targets
from lstmcore.apps.autoencoding.windows import Windows
from lstmcore.programs import compiled
from lstmcore.series import Table
from lstmcore.study.record import Run
from lstmcore.study.run import end_to_end

WINDOWS_AT_ONCE = 1024  # so that memory does not grow with the table
USES = ("training", "neither", "validation")  # "neither" overlaps both


class Part(NamedTuple):
    """The target and the output of one decoder, in units of the table.

    name: "reconstruction" or "prediction"
    used_for: [N], the use of each window, one of USES
    rows: [N, T], the row of the table behind each step
    actual: [N, T, F], a view of the table; NaN where the table has no value
    output: [N, T, F]
    """

    name: str
    used_for: np.ndarray
    rows: np.ndarray
    actual: np.ndarray
    output: np.ndarray


def outputs_of(model, params, table: Table, windows: Windows, settings: Settings) -> list[Part]:
    """Return the outputs of the trained model for every window of the table."""
    count, span = windows.rows.shape
    values, preprocessor = table.values[settings.first_row :], windows.preprocessor
    inputs = windows.values[:, : settings.window]
    # The rows that each window was made from, and the targets of all steps.
    length = preprocessor.dropped_rows + settings.window
    read = series.windows(preprocessor.filled(values), length, stride=windows.stride)
    actual = series.windows(values[preprocessor.dropped_rows :], span, stride=windows.stride)
    used_for = np.full(count, USES[1], dtype=object)
    used_for[: windows.training], used_for[windows.validation_start :] = USES[0], USES[2]
    chunks: dict[str, list[np.ndarray]] = {name: [] for name in settings.outputs}
    size = min(count, WINDOWS_AT_ONCE)
    for start in range(0, count, size):
        chunk = slice(start, min(start + size, count))
        # Padded to one size, or the last ones would need a compilation of their own.
        x = np.pad(inputs[chunk], ((0, start + size - chunk.stop), (0, 0), (0, 0)))
        for name, part in zip(
            settings.outputs, _outputs((settings, model), params, x), strict=True
        ):
            output = np.asarray(part)[: chunk.stop - start]
            chunks[name].append(in_units(preprocessor, name, output, inputs[chunk], read[chunk]))
    return [
        Part(name, used_for, windows.rows[:, where], actual[:, where], np.concatenate(chunks[name]))
        for name, where in targets(settings)
    ]


def in_units(preprocessor: series.Preprocessor, name: str, output, inputs, rows) -> np.ndarray:
    """Return an output of a model in units of the table; float64 [N, T, F].

    A prediction of differences is added up from the last rows of the window. A reconstruction of
    differences is not: each of its rows is the row of the table plus the error of its difference,
    that is, the reconstructed difference added to the true rows before. The error of a step is then
    its own; added up, it would be in all later steps.

    Args:
      preprocessor: that of the inputs.
      name: "reconstruction" or "prediction".
      output: [N, T, F], in model units.
      inputs: [N, window, F], in model units.
      rows: [N, dropped + window, F], the filled rows of the table that the inputs were made from.
    """
    if not preprocessor.dropped_rows:
        return preprocessor.inverse_transform(output)
    if name == "prediction":
        return preprocessor.inverse_transform(output, before=rows[:, -preprocessor.dropped_rows :])
    errors = np.subtract(output, inputs, dtype=float) * preprocessor.scaler.scale
    return rows[:, preprocessor.dropped_rows :] + errors


def encoder_run(model, params, windows: Windows, chosen, settings: Settings) -> Run:
    """Return the run of the encoder on the chosen windows, laid end to end as one example."""
    return end_to_end(model, params, windows.values[chosen, : settings.window])


@compiled
def _outputs(fixed: tuple, params, x) -> tuple:
    settings, model = fixed
    return model_outputs(model, params, x, settings)
