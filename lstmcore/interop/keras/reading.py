"""Models in the files of Keras, as chains: `.keras`, `.weights.h5`, and `.h5` of Keras 2.

    model, params, notes = lc.interop.read("model.keras")
    model, params, _ = lc.interop.read("weights.hdf5", layer="lstm_1")     # one LSTM of a file
    model, params, _ = lc.interop.read_keras("m.weights.h5", architecture="m.json")

A file that holds only weights does not say how its layers are connected. `model.to_json()` of Keras
does: it is read from the argument `architecture`, or from a file beside the weights, `m.json`.
Without it one LSTM can be read by its name.

Keras is not needed, h5py is (extra `keras`). Nothing in a file is imported or executed.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import lstmcore as lc
from lstmcore.formatting import excerpt
from lstmcore.interop.files import Imported
from lstmcore.interop.keras.config import (
    KerasLayer,
    NotAChain,
    all_layers,
    field,
    ordered_layers,
)
from lstmcore.interop.keras.hdf5 import MOST_EXPANSION, SMALL, WeightFile
from lstmcore.interop.keras.layers import LSTM_KINDS, Converter, weight_places
from lstmcore.interop.keras.weights import lstm_weights
from lstmcore.io.json_text import MAX_BYTES, parse_json, read_json
from lstmcore.io.reading import open_file
from lstmcore.models import chain_parts as parts
from lstmcore.specs import check_params, direction_names

__all__ = ["keras_weights", "read", "read_keras"]

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MOST_ENTRIES = 10_000  # of an archive: Keras writes three, and the files of a vocabulary


def read(path: str | os.PathLike, layer: str | None = None) -> Imported:
    """Read a model from a file of Keras; see `lc.interop.read`."""
    return read_keras(path, layer)


def read_keras(
    path: str | os.PathLike,
    layer: str | None = None,
    architecture: str | os.PathLike | Mapping[str, Any] | None = None,
) -> Imported:
    """Read a model from a file of Keras as a chain.

    Sequential and functional models that are chains are read as a whole. Layers keep their names.

    Args:
      path: `.keras`, `.weights.h5`, or `.h5` or `.hdf5` of Keras 2.
      layer: read only the LSTM, CuDNNLSTM or Bidirectional layer of this name.
      architecture: `model.to_json()`, for a file that holds only weights: the path of the file with
        it, or what it says as a dict. None looks for a file beside the weights: `m.json` for
        `m.weights.h5`.

    Returns:
      Imported(lc.Chain, params, notes).

    Raises:
      ValueError: the file is damaged, the model is not a chain, or a layer is not supported.
      FileNotFoundError: there is no such file.
      ImportError: h5py is not installed.

    Examples:
      >>> import jax, tempfile, lstmcore as lc
      >>> model = lc.Chain([lc.chain.LSTM(4, name="reader"), lc.chain.Dense(1)], features=2)
      >>> path = tempfile.mkdtemp() + "/model.keras"
      >>> lc.interop.write(path, model, model.init(jax.random.key(0)))
      >>> lc.interop.read_keras(path).model == model
      True
      >>> lc.interop.read_keras(path, layer="reader").model
      Chain([LSTM(name='reader', units=4)], features=2)
    """
    where = os.fspath(path)
    file, size = open_file(path)
    with file:
        if Path(where).suffix.lower() == ".keras":
            with _archive(file, where, size) as (model, version, weights):
                return _imported(weights, model, version, layer)
        with WeightFile(file, where, size) as weights:
            model, version = _architecture(weights, Path(where), architecture)
            if model is None:
                return _one_layer(weights, layer, version)
            return _imported(weights, model, version, layer)


def keras_weights(path: str | os.PathLike) -> dict[str, list[np.ndarray]]:
    """Return all weights in a file of Keras as stored, by the name of the layer.

    For what a chain cannot express, such as the layers around an LSTM that `layer=` reads.

    Returns:
      {name: what the layer's get_weights() returns}, without layers that have none; in a file of
      Keras 3 that names no layers, by the place of the weights, such as "lstm_1/cell".

    Raises:
      ValueError: the file is damaged, or the weights are larger than it allows.

    Examples:
      >>> import jax, tempfile, lstmcore as lc
      >>> model = lc.Chain([lc.chain.LSTM(4), lc.chain.Dense(1)], features=2)
      >>> path = tempfile.mkdtemp() + "/model.keras"
      >>> lc.interop.write(path, model, model.init(jax.random.key(0)))
      >>> [array.shape for array in keras_weights(path)["dense"]]
      [(4, 1), (1,)]
    """
    where = os.fspath(path)
    file, size = open_file(path)
    with file:
        if Path(where).suffix.lower() == ".keras":
            with _archive(file, where, size) as (_, _, weights):
                return _all_weights(weights)
        with WeightFile(file, where, size) as weights:
            return _all_weights(weights)


@contextmanager
def _archive(file: Any, where: str, size: int) -> Iterator[tuple[Any, str, WeightFile]]:
    """Yield the architecture, the version of Keras and the weights in a .keras file."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = [entry.filename for entry in archive.infolist()]
            _check_names(names, where)
            found = {
                name: _entry(archive, name, where, size)
                for name in (METADATA, CONFIG, WEIGHTS)
                if name in names
            }
    except ArchiveError:
        raise
    except Exception as error:  # zipfile raises what its parts raise: struct, zlib, codecs, ...
        raise ValueError(f"{where} is damaged, or no .keras file: {excerpt(error, 200)}") from error
    for name in (CONFIG, WEIGHTS):
        if name not in found:
            raise ValueError(
                f"{where} holds no {name}, expected {CONFIG} and {WEIGHTS}: it has "
                f"{excerpt(', '.join(names) or 'nothing', 120)}"
            )
    model = parse_json(found[CONFIG], f"{where}: {CONFIG}")
    metadata = parse_json(found.get(METADATA, b"{}"), f"{where}: {METADATA}")
    version = field(metadata, "keras_version", str, f"{where}: {METADATA}", "3")
    inside = f"{where}: {WEIGHTS}"
    with WeightFile(io.BytesIO(found[WEIGHTS]), inside, len(found[WEIGHTS])) as weights:
        weights.where = where
        yield model, version, weights


class ArchiveError(ValueError):
    """A message that names the file already."""


def _check_names(names: list[str], where: str) -> None:
    """Raise if an archive has an entry twice, or one that would lie outside of its folder."""
    if len(names) > MOST_ENTRIES:
        raise ArchiveError(f"{where} has {len(names):,} entries, expected at most {MOST_ENTRIES:,}")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ArchiveError(f"{where} holds {excerpt(name, 60)!r} twice")
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/"):
            raise ArchiveError(f"{where} has an entry outside of its folder: {excerpt(name, 60)!r}")
        seen.add(name)


def _entry(archive: zipfile.ZipFile, name: str, where: str, size: int) -> bytes:
    """Return one entry of an archive, whose size is checked before it is read."""
    most = max(MOST_EXPANSION * size, SMALL)
    most = most if name == WEIGHTS else min(most, MAX_BYTES)
    if (bytes_ := archive.getinfo(name).file_size) > most:
        raise ArchiveError(
            f"{where}: {name} has {bytes_:,} bytes, expected at most {most:,} in a file of {size:,}"
        )
    return archive.read(name)


def _architecture(
    weights: WeightFile, path: Path, given: str | os.PathLike | Mapping[str, Any] | None
) -> tuple[Any, str]:
    """Return (architecture or None, version of Keras) for an HDF5 file."""
    text = weights.text("model_config")
    version = weights.text("keras_version") or weights.text("keras_version", "model_weights") or ""
    if text is not None:
        model = parse_json(text, f"{path}: model_config")
    elif isinstance(given, Mapping):
        model = given
    elif given is not None:
        model = read_json(given)
    else:
        beside = _beside(path)
        model = read_json(beside) if beside.is_file() else None
    if isinstance(model, Mapping):
        version = version or str(model.get("keras_version", ""))
    return model, version


def _beside(path: Path) -> Path:
    """Return where the architecture for a file of weights is looked for."""
    stem = path.name.removesuffix(path.suffix).removesuffix(".weights")
    return path.with_name(f"{stem}.json")


def _imported(weights: WeightFile, model: Any, version: str, layer: str | None) -> Imported:
    """Return the chain of an architecture with its weights; or say which LSTMs can be read."""
    try:
        return _chain_of(weights, model, version, layer)
    except NotAChain as error:
        names = _lstm_names(all_layers(model, weights.where))
        known = " or ".join(f"layer={name!r}" for name in names)
        advice = f"read one LSTM: {excerpt(known, 300)}" if names else "there is no LSTM in it"
        raise ValueError(f"{error}; {advice}") from error


def _lstm_names(layers: list[KerasLayer]) -> list[str]:
    return [layer.name for layer in layers if layer.kind in LSTM_KINDS]


def _chain_of(weights: WeightFile, model: Any, version: str, layer: str | None) -> Imported:
    """Return the chain of an architecture with its weights."""
    where = weights.where
    converter = Converter(where, keras_2=version.startswith(("1.", "2.")))
    if layer is None:
        layers = ordered_layers(model, where)
        expected = _input_features(layers, where)
    else:
        expected = None
        layers = [_named(all_layers(model, where), layer, where)]
    legacy = weights.root() is None
    groups = _legacy_groups(weights) if legacy else {}
    made: list[parts.Part] = []
    params: dict[str, Any] = {}
    used: set[str] = set()
    for each in layers:
        paths = _legacy_paths(each, groups, layers, where) if legacy else _paths(each, weights)
        converted = converter.convert(each, [weights.array(path) for path in paths])
        used.update(paths)
        made += converted.parts
        params |= converted.params
    if layer is None:
        _check_all_used(weights, groups, used)
    return _chain(where, made, params, converter.notes, expected)


def _chain(
    where: str,
    made: list[parts.Part],
    params: dict,
    notes: list[str],
    expected: int | None = None,
) -> Imported:
    """Return a chain of these parts, which the weights must fit, for so many features."""
    if not params:
        raise ValueError(f"{where} holds no layer with weights")
    features = None
    if not isinstance(made[0], parts.Embedding):
        name, first = next(iter(params.items()))
        features = first[0].shape[0]
        if expected not in (None, features):
            raise ValueError(
                f"layer {name!r} of {where} reads {features} features, but the input has {expected}"
            )
    try:
        model = lc.Chain(_without_default_names(made), features)
        # In the order of the chain, as `init` returns them.
        checked = check_params(params, model.layers)
        return Imported(model, {name: checked[name] for name in model.layers}, tuple(notes))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error


def _without_default_names(made: list[parts.Part]) -> list[parts.Part]:
    """Return parts that leave out the names that a chain gives them anyway."""
    counts: dict[str, int] = {}
    result = []
    for part in made:
        kind = part.default_name
        counts[kind] = place = counts.get(kind, -1) + 1
        result.append(replace(part, name=None) if part.name == f"{kind}_{place}" else part)
    return result


def _named(layers: list[KerasLayer], name: str, where: str) -> KerasLayer:
    """Return the LSTM layer of this name."""
    found = [layer for layer in layers if layer.name == name]
    if len(found) == 1 and found[0].kind in LSTM_KINDS:
        return found[0]
    known = _lstm_names(layers)
    problem = "is not an LSTM" if found else "is not there"
    problem = f"is there {len(found)} times" if len(found) > 1 else problem
    raise ValueError(
        f"{where}: layer {excerpt(name, 60)!r} {problem}; the LSTM layers are "
        f"{excerpt(', '.join(known) or 'none', 200)}"
    )


def _input_features(layers: list[KerasLayer], where: str) -> int | None:
    """Return the features of the input, where the file tells its shape, which is a sequence."""
    if not layers:
        raise ValueError(f"{where} holds no layers")
    first = layers[0].config
    shape = first.get("batch_shape") or first.get("batch_input_shape")
    real = next((layer for layer in layers if layer.kind != "InputLayer"), layers[0])
    axes = 2 if real.kind == "Embedding" else 3
    if isinstance(shape, list) and len(shape) != axes:
        expected = "[batch, time]" if axes == 2 else "[batch, time, features]"
        raise NotAChain(
            f"{real.where(where)} reads an input of {len(shape)} axes, {excerpt(shape, 60)}, but a "
            f"chain reads a sequence, {expected}"
        )
    features = shape[-1] if isinstance(shape, list) and axes == 3 else None
    return features if isinstance(features, int) else None


# Where weights lie: in Keras 3 by class and number, in Keras 2 by the name of the layer.


def _paths(layer: KerasLayer, weights: WeightFile) -> list[str]:
    """Return the paths of the weights of a layer in the layout of Keras 3."""
    paths = []
    for place, number in weight_places(layer, weights.where):
        root = weights.root()
        group = f"{root}/{layer.group}/{place}vars".replace("/layers/", f"/{root}/")
        found = [name for name, is_group in weights.children(group).items() if not is_group]
        expected = [str(i) for i in range(number)]
        if sorted(found) != expected:
            raise ValueError(
                f"{layer.where(weights.where)} has {len(found)} arrays of weights in "
                f"{excerpt(group, 100)}, expected {number}"
            )
        paths += [f"{group}/{name}" for name in expected]
    return paths


def _legacy_groups(weights: WeightFile) -> dict[str, list[str]]:
    """Return {layer: paths of its weights}, in order, in the layout of Keras 2."""
    outer = "model_weights" if "model_weights" in weights.children("") else ""
    names = weights.texts("layer_names", outer)
    if names is None:
        raise ValueError(
            f"{weights.where} holds no weights of Keras: neither a group layers nor an attribute "
            "layer_names"
        )
    groups = {}
    for name in names:
        group = f"{outer}/{name}" if outer else name
        paths = weights.texts("weight_names", group)
        if paths is None:
            raise ValueError(f"{weights.where}: layer {excerpt(name, 60)!r} has no weight_names")
        groups[name] = [f"{group}/{path}" for path in paths]
    return groups


def _legacy_paths(
    layer: KerasLayer, groups: dict[str, list[str]], layers: list[KerasLayer], where: str
) -> list[str]:
    """Return the paths of the weights of a layer in the layout of Keras 2.

    A model within a model has the weights of all its layers in one list; their names tell which.
    """
    number = sum(number for _, number in weight_places(layer, where))
    paths = groups.get(layer.top, [])
    if layer.top != layer.name:
        paths = [path for path in paths if layer.name in path.split("/")[1:]]
    if len(paths) != number:
        raise ValueError(
            f"{layer.where(where)} has {len(paths)} arrays of weights, expected {number}"
        )
    return paths


def _check_all_used(weights: WeightFile, groups: dict[str, list[str]], used: set[str]) -> None:
    """Raise if the file holds weights of layers that the architecture does not have."""
    root = weights.root()
    found = [path for paths in groups.values() for path in paths]
    if root is not None:
        found = [path for path in weights.datasets(root) if "seed_generator" not in path]
    if extra := sorted(set(found) - used):
        raise ValueError(
            f"{weights.where} holds weights of no layer of its architecture: "
            f"{excerpt(', '.join(extra), 200)}"
        )


# Weights without an architecture.


def _all_weights(weights: WeightFile) -> dict[str, list[np.ndarray]]:
    """Return all arrays by layer."""
    root = weights.root()
    if root is None:
        groups = _legacy_groups(weights)
    else:
        groups = {}
        for path in weights.datasets(root):
            place, vars_, _ = path.removeprefix(f"{root}/").rpartition("/vars/")
            if vars_ and "seed_generator" not in path:
                groups.setdefault(place, []).append(path)
    return {
        name: [weights.array(path) for path in sorted(paths, key=_number)]
        if root
        else [weights.array(path) for path in paths]
        for name, paths in groups.items()
        if paths
    }


def _number(path: str) -> tuple[int, str]:
    """Return what sorts 0, 1, ..., 10."""
    last = path.rpartition("/")[2]
    return (int(last) if last.isdecimal() and len(last) < 10 else 0, last)


def _one_layer(weights: WeightFile, layer: str | None, version: str) -> Imported:
    """Return one LSTM of a file that holds only weights, with Keras's default activations."""
    where = weights.where
    found = _lstm_groups(weights)
    if layer is None and len(found) == 1 and len(found) == _layers_with_weights(weights):
        (layer,) = found
    if layer not in found:
        known = " or ".join(f"layer={name!r}" for name in found)
        one = f", or read one LSTM: {excerpt(known, 200)}" if found else "; there is no LSTM in it"
        missing = "" if layer is None else f"it has no LSTM called {excerpt(layer, 60)!r}; "
        raise ValueError(
            f"{where} holds only weights, which do not say how the layers are connected: {missing}"
            f"write what model.to_json() of Keras returns to {_beside(Path(where))}{one}"
        )
    arrays = [weights.array(path) for path in found[layer]]
    at = f"layer {excerpt(layer, 60)!r} of {where}"
    loaded = lstm_weights(arrays, at)
    cudnn = arrays[-1].ndim == 1 and arrays[-1].shape[0] == 2 * arrays[0].shape[1]
    old = version.split(".")[:2] in (["2", "0"], ["2", "1"], ["2", "2"]) and "tf" not in version
    gates = "hard_sigmoid_keras2" if old and not cudnn else "sigmoid"
    note = (
        f"{at}: the file holds only weights; the activations are Keras's defaults, tanh and "
        f"{gates}, and every step is returned"
    )
    name = layer.replace("/", "_")
    units = (loaded if isinstance(loaded, lc.LSTMParams) else loaded[0]).recurrent_kernel.shape[0]
    if isinstance(loaded, lc.LSTMParams):
        part = parts.LSTM(units, recurrent_activation=gates, name=name)
        return _chain(where, [part], {name: loaded}, [] if cudnn else [note])
    options = {"direction": "bidirectional", "zero_output_for_mask": True}
    part = parts.LSTM(units, recurrent_activation=gates, **options, name=name)
    return _chain(where, [part], dict(zip(direction_names(name), loaded, strict=True)), [note])


def _lstm_groups(weights: WeightFile) -> dict[str, list[str]]:
    """Return {layer: paths of its weights} of what looks like an LSTM, in one direction or both."""
    root = weights.root()
    if root is None:
        groups = _legacy_groups(weights)
        return {
            name: paths
            for name, paths in groups.items()
            if sum("recurrent_kernel" in path.rpartition("/")[2] for path in paths) in (1, 2)
        }
    cells: dict[str, list[str]] = {}
    for path in sorted(weights.datasets(root), key=_number):
        place, vars_, _ = path.removeprefix(f"{root}/").rpartition("/cell/vars/")
        if vars_:
            cells.setdefault(place, []).append(path)
    both = ("/forward_layer", "/backward_layer")
    found: dict[str, list[str]] = {}
    for place in sorted(cells, key=lambda place: place.endswith(both[1])):
        outer = place.removesuffix(both[0]).removesuffix(both[1])
        name = weights.text("name", f"{root}/{outer}/vars") or outer
        found.setdefault(name, []).extend(cells[place])
    return found


def _layers_with_weights(weights: WeightFile) -> int:
    """Return how many layers have weights."""
    root = weights.root()
    if root is None:
        return sum(map(bool, _legacy_groups(weights).values()))
    paths = [path.removeprefix(f"{root}/") for path in weights.datasets(root)]
    return len({path.split("/")[0] for path in paths if "seed_generator" not in path})
