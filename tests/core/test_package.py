"""The package as a whole: its names, the cost of importing it, and that it works without JAX."""

import ast
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import lstmcore as lc

SOURCE = Path(lc.__file__)


def python(code: str) -> str:
    """Return the output of `code` in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_every_public_name_exists_and_is_listed():
    assert {name for name in lc.__all__ if getattr(lc, name, None) is None} == set()
    assert set(lc.__all__) <= set(dir(lc))


def test_a_star_import_needs_no_scikit_learn():
    assert "estimators" not in lc.__all__
    assert "estimators" in dir(lc)


def test_type_checkers_see_the_same_names():
    blocks = [node for node in ast.parse(SOURCE.read_text()).body if isinstance(node, ast.If)]
    imported = {alias.asname or alias.name for node in blocks[0].body for alias in node.names}
    assert imported == {*lc.__all__, "estimators"}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'lstmcore' has no attribute 'GRU'"):
        lc.GRU  # noqa: B018


def test_core_imports_jax_and_numpy_alone():
    extras = ["optax", "matplotlib", "safetensors", "rich", "typer", "keras", "pandas", "sklearn"]
    code = (
        "import sys, jax; before = set(sys.modules)\n"
        "import lstmcore as lc\n"
        "lc.lstm, lc.Autoencoder, lc.fit, lc.summary, lc.save, lc.windows\n"
        f"print([name for name in {extras} if name in set(sys.modules) - before])"
    )
    assert python(code) == "[]"


@pytest.mark.parametrize(
    "module",
    [
        "lstmcore",
        "lstmcore.types",
        "lstmcore.reference",
        "lstmcore.batching",
        "lstmcore.io.model_file",
        "lstmcore.specs",
        "lstmcore.checks",
    ],
)
def test_import_without_jax(module):
    assert python(f"import sys, {module}; print('jax' in sys.modules)") == "False"


def test_package_is_typed():
    assert (SOURCE.parent / "py.typed").is_file()
    assert list(typing.get_type_hints(lc.Trace)) == ["h", "c", "gates"]


def test_study_is_loaded_on_use_and_loads_no_extras():
    code = (
        "import sys, lstmcore as lc; lc.lstm; before = 'lstmcore.study' in sys.modules\n"
        "lc.study.run\n"
        "extras = ['optax', 'matplotlib', 'pandas']\n"
        "print(before, [name for name in extras if name in sys.modules])"
    )
    assert python(code) == "False []"


def test_names_of_study():
    from lstmcore import study

    later = {"plots", "inspect"}  # of extras, in modules of their own
    assert {
        name for name in set(study.__all__) - later if getattr(study, name, None) is None
    } == set()
    with pytest.raises(AttributeError, match=r"module 'lstmcore.study' has no attribute 'GRU'"):
        study.GRU  # noqa: B018


def test_without_jax_it_says_what_needs_it():
    code = (
        "import sys; sys.modules['jax'] = None\n"
        "import lstmcore as lc\n"
        "try:\n    lc.load\n"
        "except ModuleNotFoundError as error:\n    print(error)"
    )
    assert python(code).startswith("lc.load needs JAX: pip install jax. Without it, lstmcore.refer")
