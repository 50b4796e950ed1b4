"""`lstmcore fit`: from a CSV file to a trained model, its outputs and its gates."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
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
from lstmcore.cli.table_options import reads_table
from lstmcore.cli.terminal import clear_errors, console, sizes, warn
from lstmcore.series import ReadOptions, Table, Times

KIND, OUTPUT = "lstmcore fit", "lstmcore-run"
SHOWN_ROWS, SHOWN_COLUMNS = 18, 4  # of the comparison in the terminal; output.csv has all


def _job_option(help: str, field: str, metavar: str | None = None):
    """An option that stands for a field of `job.Settings`; None leaves the field as it is.

    Its type is shown in the help if there is no metavar.
    """
    usual, tutorial = (
        _shown(getattr(preset if hasattr(preset, field) else preset.preprocessing, field))
        for preset in (autoencoding.Settings(), autoencoding.TUTORIAL)
    )
    default = usual if usual == tutorial else f"{usual}; tutorial: {tutorial}"
    name = field.replace("_", "-")
    return typer.Option(
        f"--{name}", help=f"{help} [dim]\\[default: {default}][/dim]", metavar=metavar
    )


def _shown(value) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "off" if value is None else str(value)


@reads_table
def fit(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="CSV",
            show_default=False,
            help="A table with one row per time step and one column per variable; - is the "
            "standard input.",
        ),
    ] = None,
    dataset: Annotated[
        Literal["tutorial", "sunspots"] | None,
        typer.Option(
            help="A series that comes with lstmcore, instead of a CSV. "
            "[dim]\\[default: tutorial][/dim]"
        ),
    ] = None,
    columns: options.Columns = None,
    missing: options.Missing = "refuse",
    difference: options.Difference = None,
    scaling: Annotated[
        Literal["standard", "minmax", "none"] | None,
        _job_option("Of each column; results keep its units.", "scaling"),
    ] = None,
    mode: Annotated[
        Literal["reconstruction", "prediction", "composite"] | None,
        _job_option(
            "reconstruction: write the window again; prediction: the rows after; composite: both.",
            "mode",
            "MODE",
        ),
    ] = None,
    window: Annotated[
        int | None, _job_option("Rows that the encoder reads.", "window", "ROWS")
    ] = None,
    stride: options.Stride = "auto",
    steps: Annotated[
        int | None, _job_option("Rows to predict (prediction and composite).", "steps", "ROWS")
    ] = None,
    units: Annotated[
        str | None,
        _job_option("Sizes of the encoder's layers; the decoder mirrors them.", "units", "SIZES"),
    ] = None,
    activation: Annotated[
        str | None, _job_option("tanh, relu, sigmoid, softsign, ...", "activation", "NAME")
    ] = None,
    epochs: Annotated[int | None, _job_option("Times through the data.", "epochs")] = None,
    batch_size: Annotated[
        int | None, _job_option("Windows per gradient step.", "batch_size")
    ] = None,
    learning_rate: Annotated[
        float | None, _job_option("Step size of Adam.", "learning_rate")
    ] = None,
    validation: Annotated[
        float | None,
        _job_option("Fraction of the windows to hold out, the last in time.", "validation"),
    ] = None,
    patience: Annotated[
        int | None,
        _job_option("Stop after so many epochs without progress; keep the best.", "patience"),
    ] = None,
    seed: Annotated[
        int | None, _job_option("Seed for weights and batch order; same seed, same result.", "seed")
    ] = None,
    resume: options.Resume = False,
    force: options.Force = False,
    output: Annotated[Path | None, options.output(OUTPUT)] = None,
    *,
    reading_options: ReadOptions,
) -> None:
    """Train an LSTM autoencoder, print its output beside the target values, and draw its gates.

    The output folder receives model.safetensors, settings.json, history.csv,
    output.csv, a picture of the loss, one of the output, and one of the gates of
    each encoder layer; and checkpoint.safetensors, from which --resume goes on.

    A run that was stopped ends with --resume as if it had never stopped; one that
    has ended is trained for longer with --resume and more --epochs.
    """
    given = {
        "mode": mode,
        "window": window,
        "stride": options.stride(stride),
        "steps": steps,
        "units": None if units is None else sizes(units),
        "activation": activation,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "validation": validation,
        "patience": patience,
        "seed": seed,
    }
    with suppress(RuntimeError):  # within a program that has used JAX already, its devices stay
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
        chosen: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
        chosen["preprocessing"] = options.preprocessing(
            missing, difference, scaling or preset.preprocessing.scaling
        )
        place = run_folder.choose_folder(
            output, OUTPUT, KIND, resume=resume, force=force, inputs=[source] if source else []
        )
        command.output = place
        data, times = _read(source, name, columns, reading_options, missing)
        settings = replace(preset, **chosen)
        if steps is not None and settings.mode == "reconstruction":
            raise ValueError("--steps is for --mode prediction or composite")
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
    described = files.described(name, data, windows, settings, interval)
    with output.open(say=warn) as staging:
        run_folder.record_settings(staging, described)
        rows, *notes = reading.notes(data, times, windows.preprocessor)
        apart = f", one every {windows.stride} rows" if windows.stride > 1 else ""
        title = f"[bold]{escape(name)}[/bold]: {escape(rows)}"
        console.print(f"{title}; {len(windows.rows):,} windows{apart}", soft_wrap=True)
        for note in notes:
            console.print(f"- {escape(note)}", soft_wrap=True)
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
            parts = autoencoding.outputs(model, result.params, data, windows, settings)
            files.write_outputs(staging, data.columns, parts)
            files.write_pictures(staging, model, result, data, windows, settings, parts)
    if diverged:
        epoch = len(result.history["loss"]) + 1
        raise ValueError(
            f"training diverged in epoch {epoch}: lower --learning-rate, or scale the data; the "
            f"last finite weights are saved in {output.folder / 'model.safetensors'}"
        ) from diverged
    console.print()
    for part in parts:
        _print_comparison(data.columns, part)
    folder = output.folder
    console.print(f"wrote to [bold]{escape(str(folder))}[/bold]: {run_folder.listed(folder)}")


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
    for use, meaning in (("training", "windows trained on"), ("validation", "windows held out")):
        mine = part.used_for == use
        error = np.abs(part.output[mine] - part.actual[mine])
        error = error[~np.isnan(error)]  # nobody knows how far off a missing value is
        if error.size:
            console.print(
                f"error, {meaning}: {error.mean():.4g} on average, {error.max():.4g} at worst"
            )
    console.print()


def _read(
    source: Path | None,
    name: str,
    columns: str | None,
    reading_options: ReadOptions,
    missing: str,
) -> tuple[Table, Times | None]:
    if source is not None:
        names = options.names(columns)
        return reading.read(source, names, reading_options, missing=missing != "refuse")
    given = ["columns"] * (columns is not None) + list(reading_options.to_json())
    if given:
        raise ValueError(f"--{given[0].replace('_', '-')} is for a CSV file")
    return series.read_dataset(name), None


def _number(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else ""  # missing
