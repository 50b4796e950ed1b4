"""What a training run leaves in its folder: figures, translations, pictures."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sacrebleu import corpus_bleu, corpus_chrf

from lstmcore._version import __version__
from lstmcore.apps import run_folder
from lstmcore.apps.translation.training import Settings, Trained
from lstmcore.apps.translation.translator import Translator
from lstmcore.io.atomic import atomic_path
from lstmcore.study import plots
from lstmcore.study.plots.style import plain

TITLE = 60  # characters of a source in a title


def write_translator(folder: Path, trained: Trained, settings: Settings, *, source: Path) -> None:
    """What must not be lost, into an existing folder: the translator, and how it was trained."""
    trained.translator.write_parts(folder)
    description = {
        "lstmcore": __version__,
        "source": str(source),
        "pairs": {
            "training": len(trained.training),
            "held_out": len(trained.held_out),
            "left_out": trained.left_out,
        },
        "settings": asdict(settings),
    }
    run_folder.write_json(folder / "settings.json", description)
    run_folder.write_history(folder / "history.csv", trained.history)


def write_translations(folder: Path, trained: Trained) -> dict[str, float] | None:
    """What the held-out pairs become, and pictures; each file is there whole or not at all.

    Returns what `measure` found on the held-out pairs, or None if none were held out.
    """
    translator = trained.translator
    shown = (trained.held_out or trained.training)[0]
    for name, figure in pictures(translator, shown[0], trained.history).items():
        with atomic_path(folder / name) as path:
            figure.savefig(path, dpi=120)
    if not trained.held_out:
        return None
    sources, targets = map(list, zip(*trained.held_out, strict=True))
    written = translator.translate(sources)
    # Without quotes, as in the file of pairs: what was read from it holds no tab and no line end.
    rows = [("source", "target", "written"), *zip(sources, targets, written, strict=True)]
    with atomic_path(folder / "held_out.tsv") as path:
        path.write_text(
            "".join("\t".join(row) + "\n" for row in rows), encoding="utf-8", newline=""
        )
    return measure(written, targets)


def measure(written: list[str], targets: list[str]) -> dict[str, float]:
    """Exact match (0 to 1), and BLEU and chrF (0 to 100) as sacrebleu counts them (Post 2018)."""
    return {
        "exact match": float(np.mean([a == b for a, b in zip(written, targets, strict=True)])),
        "BLEU": corpus_bleu(written, [targets]).score,
        "chrF": corpus_chrf(written, [targets]).score,
    }


def pictures(translator: Translator, source: str, history: dict) -> dict[str, Figure]:
    """{file name: figure}: the loss, and attention and gates while one source is translated."""
    run = translator.run([source])
    title = plain(source if len(source) <= TITLE else source[: TITLE - 1] + "…")
    names = translator.source.labels(run.inputs[0]), translator.target.labels(run.target[0])
    figures = {"loss.png": plots.plot_loss(history)}
    if run.attention is not None:
        figures["attention.png"] = plots.plot_attention(run, source=names[0], target=names[1])
    for layer in run.layers:
        is_decoder = layer.startswith("decoder")
        labels = names[is_decoder]
        figure = plots.plot_gates(run, layer, labels=labels, xlabel="token")
        figure.suptitle(f"{layer}, while it {'writes' if is_decoder else 'reads'}: {title}")
        figures[f"gates_{layer}.png"] = figure
    return figures
