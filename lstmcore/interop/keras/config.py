"""The architecture in a file of Keras: JSON, made into a list of layers in the order of the data.

Sequential models, functional ones that are chains, and models within models are read; a layer that
branches is named. Nothing is imported or executed by the names in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from lstmcore.formatting import excerpt

__all__ = [
    "KerasLayer",
    "NotAChain",
    "all_layers",
    "field",
    "kind_of",
    "ordered_layers",
    "snake_case",
]

MODELS = {"Sequential": "Sequential", "Functional": "Functional", "Model": "Functional"}
LIBRARIES = ("keras", "tf_keras", "tensorflow")
MASK_OPERATIONS = ("NotEqual", "Any")  # what Keras 3 adds to compute a mask


class KerasLayer(NamedTuple):
    """One layer of an architecture.

    Attributes:
      name: as in Keras.
      kind: its class, such as "LSTM".
      config: its arguments.
      group: where its weights lie in the layout of Keras 3, such as "lstm_1".
      top: name of the layer of the outermost model that it is part of, or is.
    """

    name: str
    kind: str
    config: dict[str, Any]
    group: str
    top: str

    def where(self, file: str) -> str:
        """Return the layer and its file, for messages."""
        return f"layer {excerpt(self.name, 60)!r} ({excerpt(self.kind, 40)}) of {file}"


def field(config: Any, name: str, kinds: type | tuple, where: str, *default: Any) -> Any:
    """Return an entry of a JSON object, of the expected kind.

    Raises:
      ValueError: it is missing and there is no default, or it is of another kind.
    """
    if not isinstance(config, dict):
        raise ValueError(f"{where} is described by {excerpt(config, 40)}, expected an object")
    if name not in config and default:
        return default[0]
    value = config.get(name)
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        expected = " or ".join("null" if k is type(None) else k.__name__ for k in kinds)
        got = "nothing" if name not in config else excerpt(value, 40)
        raise ValueError(f"{where}: {name} must be {expected}, got {got}")
    return value


def all_layers(model: Any, where: str) -> list[KerasLayer]:
    """Return the layers of a model and of the models within, in no particular order."""
    return list(_walk(model, where, "", "", ordered=False))


def ordered_layers(model: Any, where: str) -> list[KerasLayer]:
    """Return the layers of a model in the order of the data.

    Raises:
      NotAChain: it branches; the message names the layer.
      ValueError: the file is damaged.
    """
    return list(_walk(model, where, "", "", ordered=True))


def _walk(model: Any, where: str, group: str, top: str, *, ordered: bool) -> Iterator[KerasLayer]:
    """Yield the layers of a model whose weights lie in `group`."""
    kind = kind_of(model, where)
    if kind not in MODELS:
        raise ValueError(
            f"{where} holds a model of class {excerpt(kind, 60)}, whose code is not in the file: "
            "only Sequential and functional models can be read"
        )
    config = field(model, "config", (dict, list), where)
    entries = config if isinstance(config, list) else field(config, "layers", list, where)
    functional = MODELS[kind] == "Functional"
    found: dict[str, tuple[Any, KerasLayer | None]] = {}
    counts: dict[str, int] = {}
    for entry in entries:
        kind = kind_of(entry, where)
        inner = field(entry, "config", (dict, list), where)
        name = entry.get("name") or (inner.get("name") if isinstance(inner, dict) else None)
        if not isinstance(name, str) or not name:
            raise ValueError(f"{where}: a layer of class {excerpt(kind, 40)} has no name")
        if name in found:
            raise ValueError(f"{where}: two layers are named {excerpt(name, 60)!r}")
        if functional and kind in MASK_OPERATIONS:
            found[name] = entry, None
            continue
        place = ""
        if functional or kind != "InputLayer":  # a Sequential does not count its own
            snake = snake_case(kind)
            counts[snake] = place_of_kind = counts.get(snake, -1) + 1
            place = f"{group}{snake}{f'_{place_of_kind}' if place_of_kind else ''}"
        config_of = inner if isinstance(inner, dict) else {}
        found[name] = entry, KerasLayer(name, kind, config_of, place, top or name)
    names = list(found)
    if ordered and functional:
        names = _chain(config, {name: entry for name, (entry, _) in found.items()}, where)
    for name in names:
        entry, layer = found[name]
        if layer is not None and layer.kind in MODELS:
            yield from _walk(entry, where, f"{layer.group}/layers/", layer.top, ordered=ordered)
        elif layer is not None:
            yield layer


def kind_of(entry: Any, where: str) -> str:
    """Return the class of a model or layer, which must be one of Keras itself."""
    kind = field(entry, "class_name", str, where)
    module = field(entry, "module", (str, type(None)), where, None)
    registered = field(entry, "registered_name", (str, type(None)), where, None)
    if (module is not None and module.split(".")[0] not in LIBRARIES) or (
        registered is not None and registered != kind
    ):
        raise ValueError(
            f"{where} holds {excerpt(registered or kind, 60)!r} of {excerpt(module, 60)!r}, which "
            "is not part of Keras: code outside of the file is not imported"
        )
    return kind


def snake_case(kind: str) -> str:
    """Return the name of a class among the weights in HDF5, such as "time_distributed".

    They are numbered by class there, lstm, lstm_1, ..., whatever the layers are called.
    """
    kind = re.sub(r"\W+", "", kind)
    kind = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", kind)
    return re.sub("([a-z])([A-Z])", r"\1_\2", kind).lower()


def _chain(config: Any, entries: dict[str, Any], where: str) -> list[str]:
    """Return the names of the layers of a functional model from its input to its output."""
    (first,) = _ends(config, "input_layers", where)
    (name,) = _ends(config, "output_layers", where)
    order: list[str] = []
    while True:
        if name not in entries or name in order:
            raise ValueError(f"{where}: {excerpt(name, 60)!r} is not a layer, or part of a cycle")
        order.append(name)
        if name == first:
            break
        name = _source(entries, name, where)
    for other, entry in entries.items():
        if other not in order and kind_of(entry, where) not in MASK_OPERATIONS:
            raise NotAChain(
                f"{where} is not a chain: layer {excerpt(other, 60)!r} ({entry['class_name']}) is "
                "not on the path from the input to the output"
            )
    _check_masks(entries, order, where)
    return order[::-1]


class NotAChain(ValueError):
    """A network that cannot be read as a whole, though single layers of it may be."""


def _ends(config: Any, name: str, where: str) -> list[str]:
    """Return the names of the input or output layers of a functional model: one."""
    ends = field(config, name, list, where)
    if len(ends) == 3 and isinstance(ends[0], str):
        ends = [ends]
    names = [end[0] for end in ends if isinstance(end, list) and end and isinstance(end[0], str)]
    if len(names) != 1 or len(ends) != 1:
        kind = name.split("_")[0]
        raise NotAChain(
            f"{where} has {len(ends)} {kind}s ({excerpt(', '.join(names), 80)}), expected one"
        )
    return names


def _source(entries: dict[str, Any], name: str, where: str) -> str:
    """Return the layer whose output a layer of a functional model reads, its only one."""
    at = f"layer {excerpt(name, 60)!r} ({entries[name]['class_name']}) of {where}"
    nodes = field(entries[name], "inbound_nodes", list, at)
    if len(nodes) != 1:
        raise NotAChain(f"{at} is used {len(nodes)} times, expected once")
    sources, options = _inputs(nodes[0], at)
    if len(sources) != 1:
        raise NotAChain(f"{at} reads {len(sources)} layers, expected one: it branches")
    for option, value in options.items():
        if option != "mask" and value not in (None, False):
            raise NotAChain(f"{at} is called with {excerpt(option, 40)}, which is not supported")
    return sources[0]


def _inputs(node: Any, at: str) -> tuple[list[str], dict[str, Any]]:
    """Return the names of the layers that a call reads, and its other arguments.

    Keras 3 writes {"args": [tensor], "kwargs": {}}, Keras 2 [[name, call, output, kwargs]].
    """
    if isinstance(node, dict):
        args = field(node, "args", list, at)
        if len(args) == 1 and isinstance(args[0], list):
            args = args[0]
        return [_history(arg, at) for arg in args], field(node, "kwargs", dict, at, {})
    if not isinstance(node, list):
        raise ValueError(f"{at} has a damaged entry inbound_nodes")
    node = [node] if node and isinstance(node[0], str) else node
    names: list[str] = []
    options: dict[str, Any] = {}
    for entry in node:
        if not isinstance(entry, list) or len(entry) < 3 or entry[2] != 0:
            raise NotAChain(f"{at} does not read the one output of a layer")
        names.append(str(entry[0]))
        options |= entry[3] if len(entry) > 3 and isinstance(entry[3], dict) else {}
    return names, options


def _history(tensor: Any, at: str) -> str:
    """Return the name of the layer that a tensor in the JSON of Keras 3 is the output of."""
    match tensor:
        case {"config": {"keras_history": [str(name), int(), 0]}}:
            return name
    raise ValueError(f"{at} reads {excerpt(tensor, 60)}, expected the output of one layer")


def _check_masks(entries: dict[str, Any], order: list[str], where: str) -> None:
    """Raise unless every mask in a functional model is the one that its layers pass on anyway."""
    values = {"Embedding": 0, "Masking": None}
    makers = [name for name in order if entries[name]["class_name"] in values]
    expected = None
    for name in makers:
        config = field(entries[name], "config", dict, where)
        if entries[name]["class_name"] == "Embedding":
            expected = 0 if config.get("mask_zero") else None
        else:
            expected = config.get("mask_value")
    for name, entry in entries.items():
        at = f"layer {excerpt(name, 60)!r} ({entry['class_name']}) of {where}"
        nodes = field(entry, "inbound_nodes", list, at, [])
        for node in nodes if name not in order else ():  # an operation that computes a mask
            args = field(node, "args", list, at)
            if entry["class_name"] == "NotEqual" and (len(args) != 2 or args[1] != expected):
                raise ValueError(f"{at} computes a mask that is not Masking's or an Embedding's")
        if name in order and nodes and not makers and _inputs(nodes[0], at)[1].get("mask"):
            raise ValueError(f"{at} is given a mask that comes from no Masking or Embedding")
