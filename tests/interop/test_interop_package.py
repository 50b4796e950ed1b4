"""The package itself: its names, and what importing it does not import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lstmcore as lc

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
