"""Files as torch.save writes them, made without PyTorch: a pickle and storages in a zip."""

import pickle
import zipfile
from typing import Any, NamedTuple

import numpy as np

STORAGES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "bool": "BoolStorage",
}


class Global(NamedTuple):
    """A function or class that a pickle names: GLOBAL."""

    module: str
    name: str


class Call(NamedTuple):
    """The result of a function: REDUCE."""

    function: Any
    arguments: Any


class Persistent(NamedTuple):
    """What a persistent id stands for: BINPERSID."""

    pid: Any


class Raw(bytes):
    """Instructions as they are."""


ORDERED_DICT = Call(Global("collections", "OrderedDict"), ())
REBUILD = Global("torch._utils", "_rebuild_tensor_v2")


def instructions(value) -> bytes:
    """Return the instructions of a pickle that push a value."""
    match value:
        case Raw():
            return bytes(value)
        case Global():
            return b"c" + f"{value.module}\n{value.name}\n".encode()
        case Call():
            return instructions(value.function) + instructions(value.arguments) + b"R"
        case Persistent():
            return instructions(value.pid) + b"Q"
        case dict():
            items = (instructions(key) + instructions(item) for key, item in value.items())
            return b"}(" + b"".join(items) + b"u"
        case tuple():
            return b"(" + b"".join(map(instructions, value)) + b"t"
        case list():
            return b"](" + b"".join(map(instructions, value)) + b"e"
        case _:  # of plain values the pickle without PROTO and STOP
            return pickle.dumps(value, protocol=2)[2:-1]


def storage(key, size, kind="FloatStorage"):
    return Persistent(("storage", Global("torch", kind), key, "cpu", size))


def tensor(stored, offset, shape, strides, *more):
    return Call(REBUILD, (stored, offset, shape, strides, False, ORDERED_DICT, *more))


def state_dict(arrays, byteorder="little"):
    """Return ({name: tensor}, {key: bytes}), what a state dict of some arrays is made of."""
    tensors, storages = {}, {}
    for name, array in arrays.items():
        key = str(len(storages))
        kind = STORAGES[str(array.dtype)]
        strides = tuple(stride // array.itemsize for stride in np.ascontiguousarray(array).strides)
        tensors[name] = tensor(storage(key, array.size, kind), 0, array.shape, strides)
        raw = array.view("u2") if kind == "BFloat16Storage" else array
        storages[key] = raw.astype(raw.dtype.newbyteorder(byteorder)).tobytes()
    return tensors, storages


def write(path, value, storages=None, *, root="archive", compression=0, more=None) -> None:
    """Write a file of torch.save that holds a value.

    Args:
      value: dicts, lists, tuples, plain values and the classes above.
      storages: {key: bytes}.
      more: {name of another entry: bytes}.
    """
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{root}/data.pkl", b"\x80\x02" + instructions(value) + b".")
        for name, data in (more or {"byteorder": b"little"}).items():
            archive.writestr(f"{root}/{name}", data)
        for key, data in (storages or {}).items():
            archive.writestr(f"{root}/data/{key}", data)
