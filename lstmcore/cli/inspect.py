"""`lstmcore inspect`: from a trained network and its data to an HTML page of its gates."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from rich.markup import escape

import lstmcore as lc
from lstmcore import series, study
from lstmcore.apps import autoencoding, translation
from lstmcore.apps.autoencoding.folder import Origin, read_settings
from lstmcore.apps.run_folder import SETTINGS
from lstmcore.cli import array_input, networks, reading
from lstmcore.cli.intervals import check_intervals
from lstmcore.cli.networks import File, LayerName, Network
from lstmcore.cli.options import NoCache, of_data, of_output, reads_table
from lstmcore.cli.terminal import clear_errors, console, print_notes
from lstmcore.formatting import count, few
from lstmcore.io import manifest
from lstmcore.io.description import check_model
from lstmcore.io.manifest import MANIFEST, PAGE
from lstmcore.series import ReadOptions, Table
from lstmcore.series.preprocessing import as_float32
from lstmcore.study.inspector import is_page
from lstmcore.study.inspector.payload import fitting_examples

MOST_WINDOWS = 1024  # or examples of arrays, that the model is run on
MOST_PAIRS = 32  # of a translator
OTHERS = {"detector.json": "lstmcore anomalies", "forecast.json": "lstmcore forecast"}


Source = Annotated[
    Path | None,
    typer.Argument(
        metavar="DATA",
        help="What to run it on: a table (CSV), or arrays (.npy, .npz) as the network reads them. "
        "[dim]\\[default: the table that lstmcore trained it on][/dim]",
        show_default=False,
    ),
]
Window = Annotated[
    int | None,
    of_data(
        metavar="ROWS",
        help="Rows of a window. The windows that are shown do not overlap, unless there are so "
        "few that all of them are. [dim]\\[default: as in training; all rows if there is no "
        "settings.json][/dim]",
    ),
]
Examples = Annotated[
    int | None,
    of_data(
        metavar="N",
        min=1,
        help="How many examples or windows to run it on, from the first. [dim]\\[default: "
        f"{MOST_WINDOWS:,}; {MOST_PAIRS} of a translator][/dim]",
    ),
]
Text = Annotated[
    Path | None,
    of_data(
        "--text",
        metavar="FILE",
        help="Text of the steps, one line for each example of the arrays: a token for each step, "
        "separated by spaces, or a character for each.",
    ),
]
Page = Annotated[
    Path | None,
    of_output(
        "--output",
        "-o",
        help="The page. [dim]\\[default: inspect.html beside a model of lstmcore; for other files "
        "NAME.inspect.html in the current folder][/dim]",
    ),
]
Force = Annotated[
    bool, of_output("--force", help="Replace a file of that name that is no page of lstmcore.")
]


@reads_table
def inspect(
    file: File,
    source: Source = None,
    window: Window = None,
    examples: Examples = None,
    text: Text = None,
    layer: LayerName = None,
    output: Page = None,
    force: Force = False,
    no_cache: NoCache = False,
    *,
    reading_options: ReadOptions,
) -> None:
    """Write a page that shows every gate of a trained network, unit by unit and step by step.

    The network is one that lstmcore trained, or one of Keras, PyTorch or ONNX. The page is
    self-contained: it can be opened, kept and sent without lstmcore and without the internet.

    For a model of lstmcore fit, the table is preprocessed and cut into windows as in training. For
    a translator, the page shows the translations of validation pairs. Every other network reads a
    table or arrays as they are: the axes of an array are batch, time and features, those of tokens
    batch and time. A .npz may hold the input as x and the mask of its steps as mask.
    """
    with clear_errors():
        if output is not None and output.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"--output {output} is not the name of a page: let it end in .html")
        network = networks.in_float32(networks.read(file, layer))
        page = _default_page(network) if output is None else output
        print_notes(network.notes)
        shown = _shown(network, source, window, examples, reading_options)
        if text is not None:
            shown = _with_text(shown, text)
        if not force:  # now that nothing else is wrong
            _check_free(page)
        title = f"{file.resolve().name} on {shown.title()}"
        with _page_path(page) as place:
            study.inspect(shown.run, place, title=title, **shown.options)
        print_notes(_not_finite(shown.run))
        console.print(f"{escape(title)}\nwrote [bold]{escape(str(page))}[/bold]", soft_wrap=True)


class _Shown(NamedTuple):
    """What a page shows.

    Attributes:
      run: of the network.
      data: name of what it was run on.
      total: how many examples there are, of which the run has the first or all.
      kind: what an example is: "window".
      each: what follows the count of examples: " of 5 rows".
      options: of `study.inspect`.
    """

    run: study.Run
    data: str
    total: int
    kind: str
    each: str
    options: dict[str, Any]

    def title(self) -> str:
        """Return what the page holds: "t.csv: 8 of 36 windows of 5 rows"."""
        fitting = fitting_examples(self.run)
        part = "" if fitting == self.total else f"{fitting:,} of "
        return f"{self.data}: {part}{count(self.total, self.kind)}{self.each}"


def _default_page(network: Network) -> Path:
    """Return the page beside a model of lstmcore, or in the current folder.

    Another file may lie in a folder that is not the user's, such as that of a package.
    """
    if network.is_own:
        return network.file.with_name(PAGE)
    return Path(f"{network.file.stem}.{PAGE}")


def _with_text(shown: _Shown, path: Path) -> _Shown:
    """Return what is shown with the text of its steps, from a file with a line for each example."""
    if shown.kind != "example":
        raise ValueError(f"--text {path} names the steps of arrays: leave it out")
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8") from error
    if len(lines) != shown.total:
        raise ValueError(
            f"{path} has {count(len(lines), 'line')}, but {shown.data} has "
            f"{count(shown.total, 'example')}: write a line for each"
        )
    mask, (size, steps) = shown.run.mask, shown.run.inputs.shape[:2]
    text = []
    for number, line in enumerate(lines[:size], 1):
        real = steps if mask is None else int(np.sum(mask[number - 1]))
        tokens = line.split()
        if real not in (len(tokens), len(line)):
            raise ValueError(
                f"{path}, line {number}: {count(len(tokens), 'token')} or "
                f"{count(len(line), 'character')} for {count(real, 'step')}"
            )
        text.append(tokens if len(tokens) == real else list(line))
    return shown._replace(options=shown.options | {"text": text})


def _not_finite(run: study.Run) -> list[str]:
    """Return a sentence on the values of the input that are NaN or infinite, if there are any."""
    places = np.argwhere(~np.isfinite(np.asarray(run.inputs)))
    if run.mask is not None:
        places = places[np.asarray(run.mask)[places[:, 0], places[:, 1]]]
    if not len(places):
        return []
    example, step = places[0, :2]
    return [
        f"the input has {count(len(places), 'value')} that {'is' if len(places) == 1 else 'are'} "
        f"NaN or infinite, the first in example {example} at step {step}"
    ]


def _shown(
    network: Network,
    source: Path | None,
    window: int | None,
    examples: int | None,
    reading_options: ReadOptions,
) -> _Shown:
    """Run a network on what it was trained on, or on the data that are given."""
    path, model = network.file, network.model
    if isinstance(model, lc.DenseAutoencoder):
        raise ValueError(f"{path} holds a dense autoencoder, which has no gates")
    reads_no_table = window is None and reading_options == ReadOptions()
    if isinstance(model, lc.Seq2Seq):
        if source is not None or not reads_no_table:
            raise ValueError(
                f"{path} is a translator, which reads no table: leave out DATA, --window and the "
                "options for reading a table"
            )
        return _translator_run(path.parent, examples or MOST_PAIRS)
    if source is not None and source.suffix.lower() in array_input.EXTENSIONS:
        if not reads_no_table:
            raise ValueError(
                f"{source} holds arrays, which are read as they are: leave out --window and the "
                "options for reading a table"
            )
        return _array_run(network, source, examples or MOST_WINDOWS)
    if source is None and not network.is_own:
        table = "" if networks.reads_tokens(model) else "a CSV table or "
        raise ValueError(
            f"{path} reads {networks.input_of(model)}: give {table}arrays in a .npy file, lstmcore "
            f"inspect {path} DATA"
        )
    if networks.reads_tokens(model):
        raise ValueError(
            f"{path} reads {networks.input_of(model)}: give arrays in a .npy file, not a table"
        )
    return _table_run(network, source, window, examples or MOST_WINDOWS, reading_options)


def _array_run(network: Network, source: Path, most: int) -> _Shown:
    """Run a network on the arrays of a file."""
    every, mask = array_input.read(source, network.model)
    x, mask = every[:most], None if mask is None else mask[:most]
    run = study.run(network.model, network.params, x, mask)
    options = {}
    if networks.reads_tokens(network.model):
        options["text"] = [list(map(str, tokens)) for tokens in x]
    each = f" of {count(x.shape[1], 'step')}"
    return _Shown(run, source.name, len(every), "example", each, options)


def _table_run(
    network: Network,
    source: Path | None,
    window: int | None,
    most: int,
    reading_options: ReadOptions,
) -> _Shown:
    """Run a model on windows of its table, or of another."""
    path, lstm, params = network.file, network.model, network.params
    origin = _origin(path, lstm) if network.is_own else None
    name = str(source) if source is not None or origin is None else origin.source
    table = _read(path, source, reading_options, origin)
    if len(table.columns) != lstm.features:
        raise ValueError(
            f"{name} has {count(len(table.columns), 'column')} to read "
            f"({few(table.columns)}), but the model reads {lstm.features}"
        )
    first = origin.preprocessor.dropped_rows if origin else 0
    first += origin.settings.first_row if origin and source is None else 0
    length = origin.settings.window if origin else len(table.values)
    length = length if window is None else window
    rows = series.windows(np.arange(first, len(table.values)), length)[:, :, 0]
    chosen = rows[autoencoding.side_by_side(len(rows), length, length * most)][:most]
    run = _run(lstm, params, table, chosen, origin)
    if getattr(lstm, "steps", None) == length:
        # A prediction as long as the window would get the labels of the rows that were read.
        labels: dict[str, Any] = {"labels": None, "xlabel": "time step"}
    else:
        labels = {
            "labels": [[table.labels[row] for row in one] for one in chosen],
            "xlabel": table.label_name,
        }
    options = {"columns": table.columns, **labels}
    each = f" of {count(length, 'row')}"
    return _Shown(run, Path(name).name, len(rows), "window", each, options)


def _translator_run(folder: Path, most: int) -> _Shown:
    """Run a translator on its validation pairs, while it decodes its own translations."""
    translator = translation.Translator.load(folder)
    pairs = folder / "validation.tsv"
    if not pairs.is_file() and (earlier := folder / "held_out.tsv").is_file():
        pairs = earlier  # the name in 0.1.0.dev0
    if not pairs.is_file():
        raise FileNotFoundError(
            f"there is no {pairs.name} in {folder}, whose pairs the page shows: use study.inspect "
            "for other texts"
        )
    validation = translation.read_pairs(pairs, (1, 2))  # without its heading
    run = translator.run([source for source, _ in validation[:most]])
    tokens = [
        translator.source.labels(ids[: mask.sum()])
        for ids, mask in zip(np.asarray(run.inputs), np.asarray(run.mask), strict=True)
    ]
    options = {"text": tokens, "xlabel": "token"}
    return _Shown(run, pairs.name, len(validation), "validation pair", "", options)


def _check_free(page: Path) -> None:
    """Check that `page` does not replace a file that is no page of lstmcore.

    Raises:
      FileExistsError: it does.
    """
    if not os.path.lexists(page) or (page.is_file() and is_page(page)):
        return
    is_in_run = (page.parent / MANIFEST).exists()
    if not is_in_run or not manifest.is_part(page, manifest.read(page.parent).parts):
        raise FileExistsError(
            f"there is a file {page} already: --force replaces it, or choose another with --output"
        )


@contextmanager
def _page_path(page: Path) -> Iterator[Path]:
    """Yield the path to write the page to; in the folder of a run it becomes part of the run."""
    if page.name == PAGE and (page.parent / MANIFEST).exists():
        with manifest.added_part(page.parent, page.name, force=True) as temporary:
            yield temporary
    else:
        yield page


def _origin(path: Path, model) -> Origin | None:
    """Return the origin of a model; None if there is no settings.json beside it."""
    for name, command in OTHERS.items():
        if path.with_name(name).exists():
            raise ValueError(
                f"{path.parent} is a folder of {command}, whose report.html shows the gates: "
                "lstmcore inspect reads folders of lstmcore fit and lstmcore translate train"
            )
    settings = path.with_name(SETTINGS)
    if not settings.exists():
        console.print(f"no {SETTINGS} beside {escape(str(path))}: the table is not preprocessed")
        return None
    manifest.check_parts(path.parent, (SETTINGS, path.name), "lstmcore fit")
    origin = read_settings(settings)
    check_model(path, model, settings, autoencoding.build(origin.settings, len(origin.columns)))
    return origin


def _read(
    path: Path, source: Path | None, reading_options: ReadOptions, origin: Origin | None
) -> Table:
    columns = () if origin is None else origin.columns
    missing = origin is not None and origin.preprocessor.preprocessing.missing != "refuse"
    if source is not None:
        data, times = reading.read(source, columns, reading_options, missing=missing)
        if origin is not None and times is not None:
            check_intervals(origin.source, origin.interval, source, times.interval)
        return data
    if origin is None:
        raise ValueError(
            f"there is no settings.json beside {path} that names its table: give a CSV, lstmcore "
            f"inspect {path} CSV"
        )
    if origin.source in series.DATASETS:
        data = series.read_dataset(origin.source)
        if (data.columns, len(data.values)) == (origin.columns, origin.rows):
            return data  # else it was a CSV file of that name
    try:
        given = origin.reading.updated(reading_options)
        return reading.read(Path(origin.source), columns, given, missing=missing)[0]
    except FileNotFoundError:
        raise FileNotFoundError(
            f"the table that the model was trained on, {origin.source}, is not here: give it, "
            f"lstmcore inspect {path} CSV"
        ) from None


def _run(lstm, params, data: Table, rows: np.ndarray, origin: Origin | None) -> study.Run:
    """Return the run on windows of the table, with inputs and outputs in units of the table."""
    preprocessor = (
        origin.preprocessor if origin else series.Preprocessing(scaling="none").fit(data.values)
    )
    # With differencing, the windows are made from earlier rows as well.
    values = data.values[rows[0, 0] - preprocessor.dropped_rows :]
    places = rows - rows[0, 0]
    problem = "the preprocessed table holds numbers that float32 cannot hold"
    x = as_float32(preprocessor.transform(values), problem)[places]
    run = study.run(lstm, params, x)
    made_from = preprocessor.filled(values)[
        places[:, :1] + np.arange(preprocessor.dropped_rows + places.shape[1])
    ]
    run = replace(run, inputs=made_from[:, preprocessor.dropped_rows :])
    if origin is None:
        return run
    outputs = run.outputs if isinstance(run.outputs, tuple) else (run.outputs,)
    in_units = tuple(
        autoencoding.in_units(preprocessor, name, np.asarray(output), x, made_from)
        for name, output in zip(origin.settings.outputs, outputs, strict=True)
    )
    return replace(run, outputs=in_units if isinstance(run.outputs, tuple) else in_units[0])
