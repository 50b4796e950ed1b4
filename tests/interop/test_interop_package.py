"""The package itself: its names, and what importing it does not import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lstmcore as lc
from lstmcore.interop.files import READERS
from lstmcore.io.model_file import OTHERS

SOURCE = Path(lc.interop.__file__)
MODULES = sorted(
    ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
    for path in SOURCE.parent.rglob("*.py")
    if path.stem != "__init__"
)


def test_type_checkers_see_the_same_names():
    blocks = [node for node in ast.parse(SOURCE.read_text()).body if isinstance(node, ast.If)]
    imported = {alias.name for node in blocks[0].body for alias in node.names}
    assert imported == set(lc.interop.__all__) == set(dir(lc.interop))
    assert all(callable(getattr(lc.interop, name)) for name in imported)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(
        AttributeError, match=r"module 'lstmcore\.interop' has no attribute 'from_x"
    ):
        lc.interop.from_x  # noqa: B018


def test_numpy_is_enough():
    """No framework is imported, nor a package that reads its files, nor JAX."""
    packages = ["jax", "torch", "flax", "equinox", "haiku", "keras", "h5py", "onnx", "safetensors"]
    imports = ", ".join(f"lstmcore.interop.{module}" for module in MODULES)
    code = f"import sys, {imports}; print([p for p in {packages} if p in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["from_keras", "from_torch", "from_onnx"])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_in_place_of_weights(name, kind):
    message = rf"^{name} takes weights, not a path: lc.interop.read\('tagger.x'\) reads a file$"
    with pytest.raises(TypeError, match=message):
        getattr(lc.interop, name)(kind("tagger.x"))


def test_half_of_the_weights_of_a_node():
    with pytest.raises(TypeError, match=r"R is missing: from_onnx takes the weights W, R, B and P"):
        lc.interop.from_onnx([[[1.0]]])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("clf.keras", r"clf\.keras was not written by lc\.save: lc\.interop\.read reads files"),
        ("clf.pt", r"clf\.pt was not written by lc\.save"),
        ("a.msgpack", r"of other frameworks \.keras, .* are read, not \.msgpack; of Flax, .*tree"),
        ("a.xyz", r"not a safetensors file.* and of other frameworks \.keras, .* not \.xyz$"),
    ],
)
def test_files_that_lc_load_does_not_read(tmp_path, name, message):
    (tmp_path / name).write_bytes(b"\x81\xa6params\x80" * 9)
    with pytest.raises(ValueError, match=message):
        lc.load(tmp_path / name)


def test_the_weights_of_flax_in_a_file():
    with pytest.raises(ValueError, match=r"extension is \.msgpack, .*\.bin; of Flax, pass the tr"):
        lc.interop.read("flax.msgpack")


def test_extensions_that_are_read():
    """The message of lc.load has them, too, where no module of interop is imported."""
    assert {*OTHERS, ".safetensors"} == READERS.keys()
