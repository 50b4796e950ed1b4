"""`lstmcore fit`: from a CSV file to a trained autoencoder, its outputs and its gates."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from rich import box
from rich.markup import escape
from rich.table import Table as Grid

import lstmcore as lc
from lstmcore import series
from lstmcore.apps import autoencoding, run_folder
from lstmcore.apps.autoencoding import folder as files
from lstmcore.cli import options, reading
from lstmcore.cli.options import of_data, reads_table
from lstmcore.cli.parameters import names
from lstmcore.cli.settings_options import takes_settings, with_chosen
from lstmcore.cli.terminal import clear_errors, console, print_notes, print_written, warn
from lstmcore.series import ReadOptions, Table, Times

KIND, OUTPUT = "lstmcore fit", "lstmcore-run"
SHOWN_ROWS, SHOWN_COLUMNS = 18, 4  # of the comparison in the terminal; output.csv has all


@reads_table
@takes_settings(autoencoding.Settings(), {"tutorial": autoencoding.TUTORIAL})
def fit(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="CSV",
            show_default=False,
            help="A table with one row per time step and one column per variable; - reads "
            "standard input.",
        ),
    ] = None,
    dataset: Annotated[
        Literal["tutorial", "sunspots"] | None,
        of_data(
            help="A series included in lstmcore, instead of a CSV. [dim]\\[default: tutorial][/dim]"
        ),
    ] = None,
    columns: options.Columns = None,
    resume: options.Resume = False,
    force: options.Force = False,
    no_cache: options.NoCache = False,
    output: Annotated[Path | None, options.output(OUTPUT)] = None,
    *,
    chosen: dict[str, Any],
    reading_options: ReadOptions,
) -> None:
    """Train an LSTM autoencoder, print its output beside the target values, and draw its gates.

    The output folder receives model.safetensors, settings.json, history.csv,
    output.csv, figures of the loss, the output, and the gates of each encoder
    layer; and checkpoint.safetensors, from which --resume continues.

    A run that was stopped gives with --resume the same result as if it had not
    been stopped; one that has ended is trained for longer with --resume and more
    --epochs.
    """
    with suppress(RuntimeError):  # JAX was used in this process already
        lc.use_all_cores()
    with clear_errors() as command:
        if source is not None and dataset is not None:
            raise ValueError("give a CSV file or --dataset, not both")
        name = str(source) if source is not None else dataset or "tutorial"
        preset = (
            autoencoding.TUTORIAL
            if source is None and name == "tutorial"
            else autoencoding.Settings()
        )
        settings = with_chosen(preset, chosen)
        place = run_folder.choose_folder(
            output, OUTPUT, KIND, resume=resume, force=force, inputs=[source] if source else []
        )
        command.output = place
        missing = settings.preprocessing.missing
        data, times = _read(source, name, columns, reading_options, missing)
        _run(name, data, times, settings, place)


def _run(
    name: str,
    data: Table,
    times: Times | None,
    settings: autoencoding.Settings,
    output: run_folder.Output,
) -> None:
    windows = autoencoding.cut(data, settings)
    model = autoencoding.build(settings, len(data.columns))
    diverged = None
    interval = times.interval if times else None
    description = files.describe(name, data, windows, settings, interval)
    with output.open(warn) as staging:
        run_folder.record_settings(staging, description)
        rows, *notes = reading.notes(data, times, windows.preprocessor)
        stride = f", one every {windows.stride} rows" if windows.stride > 1 else ""
        title = f"[bold]{escape(name)}[/bold]: {escape(rows)}"
        console.print(f"{title}; {len(windows.rows):,} windows{stride}", soft_wrap=True)
        print_notes(notes)
        console.print()
        console.print(lc.summary(model, timesteps=settings.window), "\n")
        try:
            result = autoencoding.train(
                model,
                windows,
                settings,
                progress=True,
                checkpoint=staging / run_folder.CHECKPOINT,
                resume=bool(output.resume),
            )
        except lc.NonFiniteLossError as error:
            diverged, result = error, error.result
        files.write_model(staging, model, result)
        if not diverged:
            parts = autoencoding.outputs_of(model, result.params, data, windows, settings)
            files.write_outputs(staging, data.columns, parts)
            files.write_figures(staging, model, result, data, windows, settings, parts)
    if diverged:
        epoch = len(result.history["loss"]) + 1
        raise ValueError(
            f"training diverged in epoch {epoch}: lower --learning-rate, or scale the data; the "
            f"last finite weights are saved in {output.folder / 'model.safetensors'}"
        ) from diverged
    console.print()
    for part in parts:
        _print_comparison(data.columns, part)
    print_written(output.folder)


def _print_comparison(columns: tuple[str, ...], part: autoencoding.Part) -> None:
    grid = Grid(title=f"{part.name}: actual and output", box=box.SIMPLE_HEAD, title_justify="left")
    for heading in ("window", "step", "row"):
        grid.add_column(heading, justify="right", overflow="fold")
    shown = columns[:SHOWN_COLUMNS]
    for column in shown:
        grid.add_column(escape(column), justify="right", overflow="fold")
        grid.add_column("output", justify="right", style="bold", overflow="fold")
    count, steps, _ = part.actual.shape
    for window, step in islice(np.ndindex(count, steps), SHOWN_ROWS):
        pairs = zip(part.actual[window, step], part.output[window, step], strict=True)
        numbers = [_number(n) for pair in islice(pairs, len(shown)) for n in pair]
        ends = step == steps - 1
        place = (str(window), str(step), str(part.rows[window, step]))
        grid.add_row(*place, *numbers, end_section=ends and steps > 1)
    console.print(grid)
    hidden = count * steps - SHOWN_ROWS
    if hidden > 0:
        console.print(f"... and {hidden:,} more lines, all in output.csv")
    if len(shown) < len(columns):
        console.print(f"... and {len(columns) - len(shown):,} more columns, all in output.csv")
    for use, meaning in (("training", "training windows"), ("validation", "validation windows")):
        mine = part.used_for == use
        error = np.abs(part.output[mine] - part.actual[mine])
        error = error[~np.isnan(error)]  # a missing value has no error
        if error.size:
            console.print(
                f"error, {meaning}: {error.mean():.4g} on average, {error.max():.4g} at worst"
            )
    console.print()


def _read(
    source: Path | None, name: str, columns: str | None, reading_options: ReadOptions, missing: str
) -> tuple[Table, Times | None]:
    if source is not None:
        return reading.read(source, names(columns), reading_options, missing=missing != "refuse")
    given = ["columns"] * (columns is not None) + list(reading_options.to_json())
    if given:
        raise ValueError(f"--{given[0].replace('_', '-')} is for a CSV file")
    return series.read_dataset(name), None


def _number(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else ""  # missing
