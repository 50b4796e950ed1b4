"""The files of a training run: the translator, the translations of validation pairs, figures."""

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
    """Write the translator, its settings and the losses, before the rest of the results."""
    trained.translator.write_parts(folder)
    description = {
        "lstmcore": __version__,
        "source": str(source),
        "pairs": {
            "training": len(trained.training),
            "validation": len(trained.validation),
            "left_out": trained.left_out,
        },
        "settings": asdict(settings),
    }
    run_folder.write_json(folder / "settings.json", description)
    run_folder.write_history(folder / "history.csv", trained.history)


def write_translations(folder: Path, trained: Trained) -> dict[str, float] | None:
    """Write the translations of the validation pairs, and figures; each file in one step.

    Returns the result of `measure` on the validation pairs, or None if there are none.
    """
    translator = trained.translator
    shown = (trained.validation or trained.training)[0]
    for name, figure in figures_of(translator, shown[0], trained.history).items():
        with atomic_path(folder / name) as path:
            figure.savefig(path, dpi=120)
    if not trained.validation:
        return None
    sources, targets = map(list, zip(*trained.validation, strict=True))
    translations = translator.translate(sources)
    # Without quotes, as in the file of pairs, whose texts hold no tab and no end of line.
    rows = [("source", "target", "translation"), *zip(sources, targets, translations, strict=True)]
    with atomic_path(folder / "validation.tsv") as path:
        path.write_text(
            "".join("\t".join(row) + "\n" for row in rows), encoding="utf-8", newline=""
        )
    return measure(translations, targets)


def measure(translations: list[str], targets: list[str]) -> dict[str, float]:
    """Compute exact match (0 to 1), and BLEU and chrF (0 to 100) by sacrebleu (Post 2018)."""
    pairs = zip(translations, targets, strict=True)
    return {
        "exact match": float(np.mean([text == target for text, target in pairs])),
        "BLEU": corpus_bleu(translations, [targets]).score,
        "chrF": corpus_chrf(translations, [targets]).score,
    }


def figures_of(translator: Translator, source: str, history: dict) -> dict[str, Figure]:
    """Return {file name: figure}: the loss, and attention and gates of one translation."""
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
        figure.suptitle(f"{layer}, while {'decoding' if is_decoder else 'encoding'}: {title}")
        figures[f"gates_{layer}.png"] = figure
    return figures
