"""Any file that is loaded gives a correct object, or an error that names the file.

In CPU time and memory that do not depend on what it claims. A few hundred cases in CI, 20,000 in
the thorough profile; LSTMCORE_FUZZ_SEED draws others.
"""

import json
import os
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from fuzzing import mutate, resealed
from strategies import weights

import lstmcore as lc
from lstmcore import anomalies, reference, series, specs
from lstmcore.apps import autoencoding
from lstmcore.apps.autoencoding.folder import read_settings
from lstmcore.apps.translation import Translator
from tests.apps.test_anomalies import table, untrained

pytestmark = pytest.mark.thorough

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
CASES = 20_000 if THOROUGH else 300
SEED = int(os.environ.get("LSTMCORE_FUZZ_SEED", "0"))
MOST_SECONDS = 5.0  # of CPU time; the slowest takes less than 1
MOST_BYTES = 64 * 2**20  # beyond the size of the files


class Kind(NamedTuple):
    """A kind of file, or of folder.

    sound: writes a sound one into a folder; the number says which, the first is mutated
    load: reads it
    same: whether two loaded objects are equal
    use: fails if a loaded object is no correct one
    """

    sound: Callable[[Path, int], Any]
    load: Callable[[Path], Any]
    same: Callable[[Any, Any], bool]
    use: Callable[[Any], Any]


def same_trees(one, other) -> bool:
    """Equal in structure and in every bit."""
    if jax.tree.structure(one) != jax.tree.structure(other):
        return False
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(
        np.asarray(a).tobytes() == np.asarray(b).tobytes() and np.shape(a) == np.shape(b)
        for a, b in pairs
    )


MODELS = {
    "Autoencoder": (lc.Autoencoder(2, (3, 2)), lc.Autoencoder(2, (3, 2), steps=4)),
    "CompositeAutoencoder": (lc.CompositeAutoencoder(2, 3, steps=2), lc.Autoencoder(2, 3)),
    "DenseAutoencoder": (
        lc.DenseAutoencoder(4, (3,), "relu", tied=True),
        lc.DenseAutoencoder(4, (3,)),
    ),
    "StackedLSTM": (lc.StackedLSTM(2, (3, 3), 1, residual=True), lc.StackedLSTM(2, (3, 3), 1)),
    "Forecaster": (
        lc.Forecaster(
            3, 3, horizon=2, targets=1, future_covariates=1, quantiles=(0.1, 0.5), dropout=0.1
        ),
        lc.Forecaster(3, 3, horizon=4, targets=1, future_covariates=1),
    ),
    "Seq2Seq": (
        lc.Seq2Seq(7, 6, 3, embedding=4, attention="additive", dropout=0.1),
        lc.Seq2Seq(7, 6, 3, embedding=4, attention="general"),
    ),
}


def save_model(kind: str) -> Callable:
    def save(folder, number):
        model = MODELS[kind][number]
        params = model.init(jax.random.key(0))
        lc.save(folder / "model.safetensors", model, params)

    return save


def same_models(one, other) -> bool:
    return one[0] == other[0] and same_trees(one[1], other[1])


def use_model(loaded) -> None:
    model, params = loaded
    specs.check_params(params, model.layers)
    assert hash(model) == hash(replace(model))
    if type(model).__name__ == "Autoencoder" and (model.steps or 1) < 9:
        x = jnp.zeros((1, 2, model.features), next(iter(params.values())).kernel.dtype)
        jax.eval_shape(lambda x: model.apply(params, x), x)


def same_reference(one, other) -> bool:
    return one[0].func.__self__ == other[0].func.__self__ and same_trees(one[1], other[1])


def use_reference(loaded):
    apply, params = loaded
    model = apply.func.__self__
    if model.horizon < 9:
        x, future = np.zeros((1, 2, 3)), np.zeros((1, model.horizon, model.future_covariates))
        with np.errstate(all="ignore"):  # weights may be any numbers
            apply(params, x, future if model.future_covariates else None)


STACK = MODELS["StackedLSTM"][0]
STACK_PARAMS = weights(STACK)


def save_stream(folder, number):
    x = np.full((2 + number, 2), 0.5, np.float32)
    lc.stream(STACK, STACK_PARAMS, batch=2 + number).step(x)[1].save(folder / "s.safetensors")


def use_stream(stream):
    x = jnp.zeros((stream.batch, STACK.features))
    jax.eval_shape(lambda x: stream.step(x)[0], x)


SETTINGS = anomalies.Settings(
    method="prediction",
    window=4,
    units=3,
    horizon=2,
    preprocessing=series.Preprocessing(difference=(2,)),
)


@cache
def online_detector() -> anomalies.OnlineDetector:
    return anomalies.OnlineDetector.of(untrained(SETTINGS, table(30)), 1.0)


def save_online(folder, number):
    running = online_detector()
    for row in table(30)[: 8 + number]:
        _, running = running.step(row)
    running.save(folder / "online.safetensors")


def use_online(resumed):
    try:
        score, _ = resumed.step(table(30)[0])
    except ValueError as error:  # a state so large that the model overflows
        assert "is not finite" in str(error) or "cannot hold" in str(error)  # noqa: PT017
    else:
        assert isinstance(score, float)


def same_online(one, other) -> bool:
    held = [(a.recent, a.predictions, a.errors, a.stream.states) for a in (one, other)]
    return one.read == other.read and same_trees(*held)


X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(6, 2)


def loss(params, batch):
    return jnp.mean((batch @ params["w"]) ** 2)


def fitted(path, epochs=2, **options):
    params = {"w": jnp.ones((2, 3))}
    return lc.fit(
        loss, params, X, optimizer=ADAM, epochs=epochs, batch_size=3, checkpoint=path, **options
    )


ADAM = optax.adam(1e-2)


def save_vocabulary(folder, number):
    vocabulary = lc.Vocabulary.of(["a red fox", "two blue foxes"][number:], "word")
    (folder / "vocabulary.json").write_text(vocabulary.to_json())


def load_vocabulary(folder):
    """From text, so that the error cannot name the file."""
    text = (folder / "vocabulary.json").read_bytes().decode("utf-8", "surrogateescape")
    try:
        return lc.Vocabulary.from_json(text)
    except ValueError as error:
        assert "vocabulary" in str(error)  # noqa: PT017
        raise ValueError(f"{folder}/vocabulary.json: {error}") from error


@cache
def trained(number):
    settings = lc.forecasting.Settings(
        window=4, horizon=2, units=3, epochs=1, batch_size=64, season=3,
        future_covariates=("plan",), preprocessing=series.Preprocessing(difference=(2,),
        missing=("mean", "forward")[number]),
    )  # fmt: skip
    return lc.forecasting.train(table(60, 3), ("plan", "load", "wind"), settings)


def same_trained(one, other) -> bool:
    known = ("settings", "columns", "model", "split", "stride")
    return all(getattr(one, name) == getattr(other, name) for name in known) and same_trees(
        *((t.params, t.errors, t.history, t.preprocessor.to_json()) for t in (one, other))
    )


def use_trained(loaded):
    assert loaded.model.features == len(loaded.columns) == loaded.preprocessor.features
    assert loaded.errors.paths.shape[1] == loaded.settings.horizon


@cache
def detector(number):
    values = table(40 + number)
    found = untrained(replace(SETTINGS, combine=("mean", "median")[number]), values)
    return replace(found, training_errors=np.ones((40, 2)), validation_start=30 + number)


def same_detectors(one, other) -> bool:
    known = ("settings", "model", "validation_start")
    return all(getattr(one, name) == getattr(other, name) for name in known) and same_trees(
        *((d.params, d.history, d.training_errors, d.preprocessor.to_json()) for d in (one, other))
    )


def use_detector(loaded):
    """As far as that takes no time: an online detector of it is made without a compilation."""
    assert loaded.model.outputs == loaded.settings.horizon * loaded.preprocessor.features
    assert loaded.validation_errors.shape[1] == loaded.preprocessor.features
    assert anomalies.OnlineDetector.of(loaded, 1.0).predictions.nbytes < 10**6


@cache
def translator(number):
    sides = [["a red fox", "a fox"], ["un renard", "roux"]]
    source, target = (lc.Vocabulary.of(texts[number:], "word") for texts in sides)
    model = lc.Seq2Seq(source.size, target.size, 3, embedding=4)
    return Translator(model, model.init(jax.random.key(0)), source, target, 7)


def same_translators(one, other) -> bool:
    known = ("model", "source", "target", "max_length")
    return all(getattr(one, name) == getattr(other, name) for name in known) and same_trees(
        one.params, other.params
    )


def save_fit(folder, number):
    """Save the settings that `lstmcore fit` writes beside its model."""
    settings = autoencoding.Settings(
        window=4 + number, units=(3,), preprocessing=SETTINGS.preprocessing
    )
    preprocessor = settings.preprocessing.fit(table(20))
    described = {
        "source": "table.csv", "columns": ["load", "wind"], "rows": 20, "interval": "1 hour",
        "settings": settings.to_json(), "preprocessor": preprocessor.to_json(),
    }  # fmt: skip
    # Of an earlier version, or of this one.
    described |= [{"reading": {"time": "when", "sort": True}}, {"time": None}][number]
    (folder / "settings.json").write_text(json.dumps(described))


def same_origins(one, other) -> bool:
    return repr(one) == repr(other)


KINDS: dict[str, Kind] = {
    kind: Kind(save_model(kind), lambda f: lc.load(f / "model.safetensors"), same_models, use_model)
    for kind in MODELS
}
KINDS |= {
    "NumPy": Kind(
        save_model("Forecaster"),
        lambda f: reference.load(f / "model.safetensors"),
        same_reference,
        use_reference,
    ),
    "stream": Kind(
        save_stream,
        lambda f: lc.load_stream(f / "s.safetensors", STACK, STACK_PARAMS),
        lambda one, other: same_trees(one.states, other.states),
        use_stream,
    ),
    "online detector": Kind(
        save_online,
        lambda f: online_detector().resume(f / "online.safetensors"),
        same_online,
        use_online,
    ),
    "checkpoint": Kind(
        lambda folder, number: fitted(folder / "run.safetensors", epochs=2 - number),
        lambda folder: fitted(folder / "run.safetensors", resume=True),
        lambda one, other: same_trees(one.params, other.params),
        lambda result: result.history["loss"][1],
    ),
    "Trained": Kind(
        lambda folder, number: trained(number).save(folder),
        lc.forecasting.Trained.load,
        same_trained,
        use_trained,
    ),
    "Detector": Kind(
        lambda folder, number: detector(number).save(folder),
        anomalies.Detector.load,
        same_detectors,
        use_detector,
    ),
    "Translator": Kind(
        lambda folder, number: translator(number).save(folder),
        Translator.load,
        same_translators,
        lambda loaded: loaded.target.decode(loaded.target.encode("un renard")),
    ),
    "settings": Kind(
        save_fit,
        lambda folder: read_settings(folder / "settings.json"),
        same_origins,
        lambda origin: origin.preprocessor.transform(np.ones((30, len(origin.columns)))),
    ),
    "vocabulary": Kind(
        save_vocabulary, load_vocabulary, lambda one, other: one == other,
        lambda vocabulary: vocabulary.decode(vocabulary.encode("a red fox")),
    ),
}  # fmt: skip


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def attempt(load, folder, size: int):
    """Return what `load` returns, or None if it refuses the files as it should."""
    started = time.process_time()
    tracemalloc.start()
    try:
        loaded = load(folder)
    except (ValueError, OSError) as error:
        loaded, message = None, str(error)
        assert folder.name in message, message
        assert len(message) < 600 + len(str(folder)), message
        message.encode()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    arrays = sum(leaf.nbytes for leaf in jax.tree.leaves(loaded) if hasattr(leaf, "nbytes"))
    assert peak + arrays < size + MOST_BYTES
    assert time.process_time() - started < MOST_SECONDS
    return loaded


@pytest.mark.parametrize("name", KINDS)
def test_mutated(name, tmp_path):
    """Without forged digests what loads is what was saved; with them, a correct object."""
    kind, sound = KINDS[name], []
    for number in (0, 1):
        folder = tmp_path / f"sound {number}"
        folder.mkdir()
        kind.sound(folder, number)
        sound.append(files_in(folder))
    original = kind.load(tmp_path / "sound 0")
    kind.use(original)
    every = [*sound[1:], {"model.safetensors": b"epoch,loss\n1,2\n", "a.json": b"{}"}]
    folder = tmp_path / "mutant"
    folder.mkdir()
    outcomes = {"refused": 0, "the same": 0, "another": 0}
    for case in range(CASES // len(KINDS)):
        mutant = mutate(np.random.default_rng([SEED, case]), sound[0], every)
        for path in folder.iterdir():
            path.unlink()
        for file, data in mutant.files.items():
            (folder / file).write_bytes(data)
        try:
            loaded = attempt(kind.load, folder, sum(map(len, mutant.files.values())))
            if loaded is None:
                outcomes["refused"] += 1
            elif kind.same(loaded, original):
                outcomes["the same"] += 1
            else:
                assert mutant.forged, "a change that was not noticed"
                outcomes["another"] += 1
                kind.use(loaded)
        except Exception as error:
            error.add_note(f"case {case} of {name}, seed {SEED}")
            raise
    assert outcomes["refused"] > 0.5 * sum(outcomes.values()), outcomes


LARGE = {  # much in a small file: (kind, file, what is changed, message)
    "texts among flags": (
        "Trained",
        lambda stored: stored["preprocessor"].update(constant=["x" * 10_000] + ["y"] * 5_000),
        "constant is not a list of true, false",
    ),
    "columns and targets": (
        "Trained",
        lambda stored: (
            stored.update(columns=[f"c{i}" for i in range(50_000)]),
            stored["settings"].update(targets=stored["columns"], future_covariates=[]),
        ),
        "preprocessor is for 3 of 50000 columns",
    ),
    "layers": (
        "Detector",
        lambda stored: stored["settings"].update(units=[1] * 100_000),
        "units names 100,000 layers, expected at most 1,000",
    ),
    "rows ahead": (
        "Detector",
        lambda stored: stored["settings"].update(horizon=2**31 - 1),
        "outputs must be at most 2,147,483,647, got 4294967294",
    ),
    "a token": (
        "Translator",
        lambda stored: stored["source"].update(tokens=["w" * 5_000_000]),
        "the vocabulary has 5",
    ),
    "steps of a translation": (
        "Translator",
        lambda stored: stored.update(max_length=2**31 - 1),
        "max_length must be at most 100,000, got 2147483647",
    ),
}


@pytest.mark.parametrize("case", LARGE)
def test_large(case, tmp_path):
    """Contents that would take too much memory or time are refused, even if the manifest fits."""
    name, change, message = LARGE[case]
    kind, folder = KINDS[name], tmp_path / "large"
    folder.mkdir()
    kind.sound(folder, 0)
    (path,) = (folder / f for f in files_in(folder) if f.endswith(".json") and f != "manifest.json")
    stored = json.loads(path.read_text())
    change(stored)
    path.write_text(json.dumps(stored))
    for file, data in resealed(files_in(folder)).items():
        (folder / file).write_bytes(data)
    assert attempt(kind.load, folder, path.stat().st_size) is None
    with pytest.raises(ValueError, match=message):
        kind.load(folder)
