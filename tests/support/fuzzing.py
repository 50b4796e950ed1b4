"""Mutations of files: bytes, JSON, headers of tensors, parts of other files; digests made to fit.

`mutate(rng, files, others)` changes one of some files, all given as bytes by name.
"""

import copy
import hashlib
import json
from typing import NamedTuple

import numpy as np

from lstmcore.io.tensors import DTYPES, Kind, digest_of

NAMES = {code: name for name, code in DTYPES.items()}


class Raw(str):
    """JSON text that stands for itself, for what `json.dumps` would not write."""


class Mutant(NamedTuple):
    """files: {name: bytes}. forged: whether digests were made to fit what was changed."""

    files: dict[str, bytes]
    forged: bool


NUMBERS = ["-1", "0", "1", "2", "3", "0.5", "-0.0", "1e308", "1e400", "-1e400", "NaN", "Infinity"]
NUMBERS += [str(2**31 - 1), str(2**31), str(2**63 - 1), str(2**63), "9" * 400, "1" + "0" * 5000]
TEXTS = ["", "x", "x" * 5000, "\x1b[31m", "\ud800", "\0", "</script>", "九", "tanh", "float32"]
NESTED = ["[]", "{}", "[[]]", "[1,2]", "[" * 20 + "]" * 20, "[" * 99 + "]" * 99, "[" * 99_999]
NESTED += ["[" + "0," * 3000 + "0]", "[" + "[]," * 200_000 + "0]", '{"a":' * 50 + "1" + "}" * 50]
HOSTILE = [*map(Raw, ["null", "true", "false", *NUMBERS, *NESTED]), *TEXTS]


def dump(value) -> str:
    """Like `json.dumps`, but for Raw."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{dump(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dump, value)) + "]"
    return json.dumps(value)


def mutated_json(rng, tree):
    """Return a copy with one node removed, repeated, replaced, renamed or swapped."""
    root = {"": copy.deepcopy(tree)}
    places = list(_places(root))
    owner, key = places[rng.integers(len(places))]
    node = owner[key]
    match rng.integers(8):
        case 0 if owner is not root:
            del owner[key]
        case 1 if isinstance(node, dict) and node:  # a name twice
            name = rng.choice(list(node))
            owner[key] = Raw(f"{dump(node)[:-1]},{json.dumps(str(name))}:{dump(node[name])}}}")
        case 2 if isinstance(owner, dict) and owner is not root:
            owner[str(rng.choice(TEXTS))] = owner.pop(key)
        case 3:
            other, place = places[rng.integers(len(places))]
            owner[key] = copy.deepcopy(other[place])
        case 4 if isinstance(node, list):
            owner[key] = node + node
        case 5 if isinstance(node, int | float) and not isinstance(node, bool):
            owner[key] = node + int(rng.choice([-1, 1, 1000]))
        case _:
            owner[key] = HOSTILE[rng.integers(len(HOSTILE))]
    return root[""]


def _places(tree):
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, node in list(items)[:200]:
        yield tree, key
        if isinstance(node, dict | list):
            yield from _places(node)


def mutated_bytes(rng, data: bytes, other: bytes) -> bytes:
    """Return the data with a bit flipped, or bytes overwritten, cut off, added or exchanged."""
    place = int(rng.integers(len(data) + 1))
    match rng.integers(6):
        case 0 | 1 if data:
            place = min(place, len(data) - 1)
            flipped = data[place] ^ (1 << int(rng.integers(8)))
            return data[:place] + bytes([flipped]) + data[place + 1 :]
        case 2:
            return data[:place]
        case 3:
            return data[:place] + rng.bytes(int(rng.integers(1, 20))) + data[place:]
        case 4:
            return data[:place] + b"\0" * min(9, len(data) - place) + data[place + 9 :]
    return other[:place] + data[place:]


def unpacked(data: bytes) -> tuple[dict, bytes]:
    """(header, the bytes of the arrays) of a sound file of tensors."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def packed(header, body: bytes) -> bytes:
    text = dump(header).encode("utf-8", "surrogatepass")
    return len(text).to_bytes(8, "little") + text + body


def sealed(header, body: bytes):
    """Return the header with a matching digest, where its arrays can be read at all."""
    try:
        metadata = dict(header["__metadata__"])
        metadata.pop("digest", None)
        arrays = {}
        for name, entry in header.items():
            if name != "__metadata__":
                start, stop = entry["data_offsets"]
                dtype = np.dtype(NAMES[entry["dtype"]])
                arrays[name] = np.frombuffer(body[start:stop], dtype).reshape(entry["shape"])
        digest = digest_of(arrays, metadata)
    except (AttributeError, KeyError, TypeError, ValueError):
        return header
    return header | {"__metadata__": metadata | {"digest": digest}}


def mutated_tensors(rng, data: bytes, other: bytes) -> tuple[bytes, bool]:
    """(a file of tensors with another header, description or other arrays, forged or not)."""
    header, body = unpacked(data)
    metadata = header.get("__metadata__", {})
    described = [name for name in metadata if name != "digest"]
    forged = bool(rng.integers(4))
    match rng.integers(4):
        case 0 | 1 if described:  # what the file says of itself
            name = described[0]
            text = dump(mutated_json(rng, json.loads(metadata[name])))
            header["__metadata__"] = metadata | {name: text}
        case 2:
            header = mutated_json(rng, header)
        case _:
            header, body = _other_arrays(rng, header, body, other)
    if forged:
        header = sealed(header, body)
    if isinstance(header, dict) and isinstance(header.get("__metadata__"), dict):
        forged |= "digest" not in header["__metadata__"]
    return packed(header, body), forged


def _other_arrays(rng, header: dict, body: bytes, other: bytes) -> tuple[dict, bytes]:
    """One array of another shape, dtype or name, or with other numbers; places as they must be."""
    names = [name for name in header if name != "__metadata__"]
    chosen = names[rng.integers(len(names))]
    arrays = []
    for name in names:
        entry = header[name]
        part = body[slice(*entry["data_offsets"])]
        arrays.append([name, entry["dtype"], list(entry["shape"]), part])
    array = next(array for array in arrays if array[0] == chosen)
    match rng.integers(8):
        case 0:
            array[2] = array[2][::-1]
        case 1:
            array[2], array[3] = [10**8, 0], b""
        case 2:
            array[2], array[3] = [0] * len(array[2]) or [0], b""
        case 3:
            array[1] = ["F64", "BF16", "I32", "F8_E5M2", "BOOL"][rng.integers(5)]
            if array[1] in DTYPES.values():
                array[3] = bytes(Kind(NAMES[array[1]], tuple(array[2])).nbytes)
        case 4:
            arrays.remove(array)
        case 5:
            array[0] = ["x/kernel", "", "\0", "\ud800", "training_errors"][rng.integers(5)]
        case 6:
            array[2] = array[2] + [1]
        case _:
            array[3] = rng.bytes(len(array[3]))
    fresh, start = {"__metadata__": header.get("__metadata__", {})}, 0
    for name, dtype, shape, part in arrays:
        offsets = [start, start + len(part)]
        fresh[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        start += len(part)
    return fresh, b"".join(part for *_, part in arrays)


def resealed(files: dict[str, bytes]) -> dict[str, bytes]:
    """Files of a folder with a manifest that fits them, where it can be read at all."""
    try:
        manifest = json.loads(files["manifest.json"])
        for part, entry in manifest["parts"].items():
            sha256 = hashlib.sha256(files[part]).hexdigest()
            entry |= {"size": len(files[part]), "sha256": sha256}
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return files
    return files | {"manifest.json": json.dumps(manifest).encode()}


def mutate(rng, files: dict[str, bytes], others: list[dict[str, bytes]]) -> Mutant:
    """Change one of the files; `others` are sound ones of the same kind or of another."""
    files = dict(files)
    names = sorted(files)
    name = names[rng.integers(len(names))]
    other = others[rng.integers(len(others))]
    part = other.get(name, next(iter(other.values())))
    forged = False
    choice = rng.integers(8)
    if choice == 0:
        files[name] = part
    elif choice == 1 and len(files) > 1:
        del files[name]
    elif choice <= 3 or not name.endswith((".json", ".safetensors")):
        files[name] = mutated_bytes(rng, files[name], part)
    elif name.endswith(".json"):
        files[name] = dump(mutated_json(rng, json.loads(files[name]))).encode("utf-8", "replace")
    else:
        files[name], forged = mutated_tensors(rng, files[name], part)
    if len(files) > 1 and rng.integers(3):
        files, forged = resealed(files), True
    no_digest = name.endswith(".json") and len(files) == 1
    return Mutant(files, bool(forged or no_digest or files.get(name) == part))
