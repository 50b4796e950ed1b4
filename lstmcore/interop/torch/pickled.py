"""What the pickle in a file of torch.save describes, found without running it.

A pickle is a program for a stack machine, and a program may call any function that Python can
import. The interpreter here knows dicts, lists, tuples, plain values and tensors. It looks up no
name and calls nothing that the file names: a function is a name to it, and the "call" of one that
builds a tensor is a `Tensor`, a note of where the numbers are. Like `torch.load(weights_only=True)`
it takes what files of weights contain, and refuses any other name.
"""

from __future__ import annotations

import math
import pickletools
import re
from typing import Any, NamedTuple

from lstmcore.formatting import excerpt
from lstmcore.io.tensors import MAX_AXES, Kind

__all__ = ["SAVE_WEIGHTS", "NotWeights", "Other", "Storage", "Tensor", "described_by"]

MAX_INSTRUCTIONS = 2**21  # a tensor takes about 40; each may take some 100 bytes of memory
SAVE_WEIGHTS = "in PyTorch, torch.save(model.state_dict(), path) saves only the weights"

STORAGES = {
    "torch.DoubleStorage": "float64",
    "torch.FloatStorage": "float32",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
    "torch.ComplexFloatStorage": "complex64",
}
ORDERED_DICT = "collections.OrderedDict"
TENSOR = "torch._utils._rebuild_tensor_v2"
PARAMETERS = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
OTHER_TENSORS = {  # what a message calls them
    "torch._utils._rebuild_tensor_v3": "tensor of 8 bits or of unsigned integers",
    "torch._utils._rebuild_sparse_tensor": "sparse tensor",
    "torch._utils._rebuild_qtensor": "quantized tensor",
    "torch._utils._rebuild_nested_tensor": "nested tensor",
    "torch._utils._rebuild_meta_tensor_no_storage": "tensor without numbers",
}
OTHERS = {  # of a checkpoint, beside the weights; nothing is made of them
    "__builtin__.set",
    "_codecs.encode",
    "builtins.bytearray",
    "builtins.set",
    "collections.Counter",
    "collections.defaultdict",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy._core.numeric._frombuffer",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy.core.numeric._frombuffer",
    "numpy.dtype",
    "numpy.ndarray",
    "torch.Size",
    "torch.bool",
    "torch.device",
    "torch.per_channel_affine",
    "torch.per_tensor_affine",
    "torch.serialization._get_layout",
    "torch.storage.UntypedStorage",
}
DTYPE = re.compile(r"torch\.(b?float|complex|u?int)\d+(_e\dm\d\w*)?")

CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
VALUES = {
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "BINUNICODE8",
    "SHORT_BINUNICODE", "BINBYTES", "BINBYTES8", "SHORT_BINBYTES",
    "BYTEARRAY8",
}  # fmt: skip


class NotWeights(ValueError):
    """A sound file that holds something else than weights."""


class Global(NamedTuple):
    """A function or class that the file names."""

    name: str


class Other(NamedTuple):
    """Something that is not a tensor, or a tensor of a kind that is not read."""

    name: str
    is_tensor: bool = False


class Storage(NamedTuple):
    """A row of `size` numbers, in the entry `data/KEY` of the file."""

    dtype: str
    key: str
    size: int


class Tensor(NamedTuple):
    """A view of a storage: the number at [i, j] is at offset + i * strides[0] + j * strides[1]."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def kind(self) -> Kind:
        return Kind(self.storage.dtype, self.shape)


def described_by(pickle: bytes) -> Any:
    """Return the object that a pickle describes, made of plain values, Tensors and Others.

    Raises:
      NotWeights: it needs a function or an instruction that weights do not need.
      ValueError, TypeError, LookupError: it is damaged.
    """
    machine = _Machine()
    for place, (opcode, argument, _) in enumerate(pickletools.genops(pickle)):
        if opcode.name == "STOP":
            break
        if place == MAX_INSTRUCTIONS:
            raise ValueError(f"its pickle has more than {MAX_INSTRUCTIONS:,} instructions")
        if opcode.name in CONSTANTS:
            machine.push(CONSTANTS[opcode.name])
        elif opcode.name in VALUES:
            machine.push(argument)
        elif opcode.name in _Machine.INSTRUCTIONS:
            _Machine.INSTRUCTIONS[opcode.name](machine, argument)
        else:
            raise NotWeights(f"uses the instruction {opcode.name} of pickle: {SAVE_WEIGHTS}")
    if len(machine.stack) != 1:
        raise ValueError(f"its pickle describes {len(machine.stack)} objects")
    return machine.stack[0]


class _Machine:
    """The stack and the memo of a pickle, and what each instruction does to them."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stacks under each open mark
        self.memo: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self, _: Any) -> None:
        self.below.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.below.pop()
        return items

    def get(self, place: int) -> None:
        self.push(self.memo[place])

    def put(self, place: int | None) -> None:
        self.memo[len(self.memo) if place is None else place] = self.stack[-1]

    def take(self, count: int) -> tuple:
        """Return the top of the stack, removed from it."""
        if count > len(self.stack):
            raise ValueError("its pickle takes from an empty stack")
        items = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        return items

    def append(self, items: list[Any]) -> None:
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)
        elif not isinstance(self.stack[-1], Other):
            raise ValueError("its pickle appends to something else than a list")

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Other):
            return
        if not isinstance(target, dict):
            raise ValueError("its pickle sets items of something else than a dict")
        if len(items) % 2:
            raise ValueError("its pickle sets a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int | float | None):
                raise ValueError(f"the key of a dict is a {type(key).__name__}")
            target[key] = value

    def call(self, _: Any) -> None:
        function, arguments = self.take(2)
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            raise ValueError("its pickle calls what is not a function")
        self.push(_result(function.name, arguments))

    def named(self, name: Any) -> None:
        self.push(_global(name.replace(" ", ".", 1)))

    def named_by_stack(self, _: Any) -> None:
        self.push(_global(".".join(self.take(2))))

    INSTRUCTIONS = {  # noqa: RUF012
        "PROTO": lambda self, _: None,
        "FRAME": lambda self, _: None,
        "MARK": mark,
        "POP": lambda self, _: self.take(1),
        "GET": get,
        "BINGET": get,
        "LONG_BINGET": get,
        "PUT": put,
        "BINPUT": put,
        "LONG_BINPUT": put,
        "MEMOIZE": put,
        "EMPTY_DICT": lambda self, _: self.push({}),
        "EMPTY_LIST": lambda self, _: self.push([]),
        "EMPTY_TUPLE": lambda self, _: self.push(()),
        "EMPTY_SET": lambda self, _: self.push(Other("set")),
        "TUPLE": lambda self, _: self.push(tuple(self.since_mark())),
        "TUPLE1": lambda self, _: self.push(self.take(1)),
        "TUPLE2": lambda self, _: self.push(self.take(2)),
        "TUPLE3": lambda self, _: self.push(self.take(3)),
        "APPEND": lambda self, _: self.append(list(self.take(1))),
        "APPENDS": lambda self, _: self.append(self.since_mark()),
        "ADDITEMS": lambda self, _: self.append(self.since_mark()),
        "SETITEM": lambda self, _: self.set_items(list(self.take(2))),
        "SETITEMS": lambda self, _: self.set_items(self.since_mark()),
        "GLOBAL": named,
        "STACK_GLOBAL": named_by_stack,
        "REDUCE": call,
        "NEWOBJ": call,
        "BUILD": lambda self, _: self.take(1),  # attributes of an object; a tensor needs none
        "BINPERSID": lambda self, _: self.push(_storage(*self.take(1))),
    }


def _global(name: str) -> Global:
    """Return the function or class of this name, if weights may need it."""
    known = name in (ORDERED_DICT, TENSOR, *PARAMETERS)
    known |= name in STORAGES or name in OTHER_TENSORS or name in OTHERS
    if known or DTYPE.fullmatch(name):
        return Global(name)
    raise NotWeights(
        f"holds an object of {excerpt(name)}, whose code would have to run, which is never done "
        f"here: {SAVE_WEIGHTS}"
    )


def _result(function: str, arguments: tuple) -> Any:
    """Return what a function of a file of weights would build."""
    if function == ORDERED_DICT and not arguments:
        return {}
    if function == TENSOR and len(arguments) in (6, 7):
        return _tensor(*arguments[:4], *arguments[6:])
    if function in PARAMETERS and arguments and isinstance(arguments[0], Tensor | Other):
        return arguments[0]
    if function in OTHER_TENSORS:
        return Other(OTHER_TENSORS[function], is_tensor=True)
    if function in OTHERS:
        return Other(function)
    raise ValueError(f"its pickle calls {function} with other arguments than PyTorch does")


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, bits: Any = None) -> Any:
    """Return a view of a storage; `bits` are set for a view that PyTorch computes when it is read.

    A view may repeat numbers, as those of `expand` do.
    """
    if bits:
        return Other("conjugate or negative view", is_tensor=True)
    if isinstance(storage, Other):
        return Other("tensor of bytes", is_tensor=True)
    if not (isinstance(storage, Storage) and type(shape) is type(strides) is tuple):
        raise ValueError("a tensor has no storage, shape and strides")
    whole = all(type(n) is int and 0 <= n < 2**62 for n in (offset, *shape, *strides))
    if not whole or not len(shape) == len(strides) <= MAX_AXES:
        raise ValueError("a tensor has a shape and strides that are not small whole numbers")
    numbers = math.prod(shape)
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if numbers and last >= storage.size:
        raise ValueError(
            f"a tensor of the shape {excerpt(shape)} needs more than the {storage.size:,} numbers "
            "of its storage"
        )
    return Tensor(storage, offset, shape, strides)


def _storage(pid: Any) -> Any:
    """Return the storage that a persistent id names: ("storage", type, key, device, size)."""
    if type(pid) is not tuple or len(pid) != 5 or pid[0] != "storage":
        raise ValueError("its pickle names something else than a storage")
    _, storage_type, key, _, size = pid
    if not isinstance(storage_type, Global) or type(key) is not str:
        raise ValueError("a storage has no type and key")
    if storage_type.name not in STORAGES:
        return Other("storage")
    if type(size) is not int or not 0 <= size < 2**62:
        raise ValueError(f"the storage {excerpt(key)} has no size")
    return Storage(STORAGES[storage_type.name], key, size)
