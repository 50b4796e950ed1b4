"""`lstmcore inspect`, `summary` and `convert` of files of other frameworks, and arrays as data."""

import sys
import zipfile
from functools import partial
from pathlib import Path

import h5py
import jax
import numpy as np
import pytest
from command import call
from inspector_page import contents, decoded, numbers
from safetensors import safe_open
from safetensors.numpy import save_file
from typer.testing import CliRunner

import lstmcore as lc
from lstmcore import chain, reference, study
from lstmcore.cli import app
from lstmcore.interop import files
from lstmcore.interop.onnx.lstm import OnnxLSTM
from lstmcore.study.inspector.payload import fitting_examples

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 5, 2)).astype("float32")
TOKENS = RNG.integers(0, 7, size=(2, 6))


def of_torch(path: Path, features=2, units=4, dtype="float32", **more) -> Path:
    """Weights of an nn.LSTM under PyTorch's names."""
    shapes = {"weight_ih_l0": (4 * units, features), "weight_hh_l0": (4 * units, units)}
    shapes |= {"bias_ih_l0": (4 * units,), "bias_hh_l0": (4 * units,)}
    shapes = {f"rnn.{name}": shape for name, shape in shapes.items()} | more
    save_file({name: RNG.normal(size=shape).astype(dtype) for name, shape in shapes.items()}, path)
    return path


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """The current folder, where pages go, is not that of the networks."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def page_of(network: Path) -> Path:
    return Path(f"{network.stem}.inspect.html")


@pytest.fixture
def network(tmp_path) -> Path:
    return of_torch(tmp_path / "my [red] network.safetensors")


@pytest.fixture
def tokens(tmp_path) -> Path:
    """A network that reads tokens from 0 to 6."""
    more = {"vectors.weight": (7, 2), "head.weight": (3, 4), "head.bias": (3,)}
    return of_torch(tmp_path / "tokens.safetensors", **more)


@pytest.fixture
def own(tmp_path) -> Path:
    model = lc.Chain([chain.LSTM(4), chain.Dense(3)], features=2)
    lc.save(tmp_path / "own.safetensors", model, model.init(jax.random.key(0)))
    return tmp_path / "own.safetensors"


def saved(path: Path, *arrays, **named) -> Path:
    """A file of arrays, .npy or .npz."""
    (np.savez if path.suffix == ".npz" else np.save)(path, *arrays, **named)
    return path


def assert_shows(page: Path, x, layers, mask=None) -> None:
    """The page shows the gates that the NumPy engine computes."""
    model, params, _ = layers
    _, traces = model.apply(params, x, mask=mask, ops=reference)
    shown = contents(page)
    for layer in shown["layers"]:
        trace = traces[layer["name"]]
        real = slice(None) if mask is None else np.asarray(mask)
        forget = trace.gates.forget
        np.testing.assert_allclose(decoded(layer, "forget")[real], forget[real], atol=1e-4)


# inspect


def test_a_network_of_another_framework_on_an_array(network, tmp_path):
    run = call("inspect", network, saved(tmp_path / "x.npy", X))
    assert run.exit_code == 0, run.text
    assert "my [red] network.safetensors on x.npy: 3 examples of 5 steps" in run.text
    assert f"wrote {page_of(network)}" in run.text
    assert_shows(page_of(network), X, lc.interop.read(network))
    np.testing.assert_allclose(numbers(contents(page_of(network))["inputs"]), X)


def test_one_example_and_a_mask(network, tmp_path):
    mask = np.array([True, True, True, False, False])
    data = saved(tmp_path / "x.npz", x=X[0], mask=mask)
    assert call("inspect", network, data).exit_code == 0
    layers = lc.interop.read(network)
    assert_shows(page_of(network), X[:1], layers, mask[None])


def test_a_network_that_reads_tokens(tokens, tmp_path):
    for data in (TOKENS, TOKENS[0]):
        run = call("inspect", tokens, saved(tmp_path / "ids.npy", data))
        assert run.exit_code == 0, run.text
        assert f"- {lc.interop.read(tokens).notes[0]}" in run.text
        x = np.atleast_2d(data)
        assert_shows(page_of(tokens), x, lc.interop.read(tokens))
    assert contents(page_of(tokens))["text"][0] == list(map(str, TOKENS[0]))


def test_a_table_is_cut_into_windows_and_not_preprocessed(network, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("load,temp\n" + "".join(f"{a},{b}\n" for a, b in X.reshape(-1, 2)))
    run = call("inspect", network, table, "--window", 5)
    assert run.exit_code == 0, run.text
    page = contents(page_of(network))
    assert page["inputs"]["names"] == ["load", "temp"]
    windows = lc.windows(X.reshape(-1, 2), length=5)
    assert_shows(page_of(network), windows, lc.interop.read(network))


def test_arrays_for_a_model_of_lstmcore(own, tmp_path):
    assert call("inspect", own, saved(tmp_path / "x.npy", X)).exit_code == 0
    model, params = lc.load(own)
    params = jax.tree.map(np.asarray, params)
    assert_shows(tmp_path / "inspect.html", X, (model, params, ()))


def test_float64_weights_are_computed_in_float32(tmp_path):
    network = of_torch(tmp_path / "double.pt.safetensors", dtype="float64")
    run = call("inspect", network, saved(tmp_path / "x.npy", X.astype("float64")))
    assert run.exit_code == 0, run.text
    assert "- the weights are float64; computed in float32" in run.text
    assert_shows(page_of(network), X, lc.interop.read(network))


def test_one_of_several_lstms(tmp_path):
    stacks = {
        f"{name}.weight_{kind}_l0": (16, n) for name in "ab" for kind, n in (("ih", 2), ("hh", 4))
    }
    network = of_torch(tmp_path / "two.safetensors", **stacks)
    data = saved(tmp_path / "x.npy", X)
    run = call("inspect", network, data)
    assert run.exit_code == 1
    assert "holds 3 stacks of recurrent layers" in run.text
    assert "name one, --layer '" in run.text
    assert call("inspect", network, data, "--layer", "b").exit_code == 0
    assert_shows(page_of(network), X, lc.interop.read(network, "b"))


WRONG = {
    "features.npy": (X[:, :, :1], "has shape .3, 5, 1., but the network reads .*2 features"),
    "axes.npy": (X[None], "has shape \\(1, 3, 5, 2\\), but the network reads"),
    "empty.npy": (X[:0], "has shape \\(0, 5, 2\\), which is empty"),
    "text.npy": (np.array(["a"]), "holds <U1, but the network reads numbers"),
    "objects.npy": (np.array([{}, 1]), "holds Python objects, which are not read, since"),
    "objects.npz": ({"x": np.array([{}, 1])}, "holds Python objects, which are not read, since"),
    "several.npz": ({"a": X, "b": X}, "holds 2 arrays \\(a, b\\): name the input x"),
    "none.npz": ({"mask": X}, "holds 0 arrays"),
    "mask.npz": ({"x": X, "mask": X[:, :, 0]}, "mask must be bool .3, 5., .* got float32"),
    "rows.npz": ({"x": X, "mask": X[:2, :, 0] > 0}, "mask must be bool .3, 5., .* got bool .2, 5."),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_arrays_that_the_network_does_not_read(name, network, tmp_path):
    data, message = WRONG[name]
    named = data if isinstance(data, dict) else {}
    path = saved(tmp_path / name, *(() if named else (data,)), **named)
    assert_refused(message, "inspect", network, path)
    assert not (page_of(network)).exists()


def assert_refused(message: str, *arguments) -> None:
    run = call(*arguments)
    assert run.exit_code == 1
    with pytest.raises(AssertionError, match=f"error: .*{message}"):
        raise AssertionError(run.text)


def test_damaged_files_of_arrays(network, tmp_path):
    whole = {name: saved(tmp_path / name, X).read_bytes() for name in ("x.npy", "x.npz")}
    for name, content in whole.items():
        for part in (b"", content[: len(content) // 2], content[:-3], b"PK" + content[2:40]):
            (tmp_path / name).write_bytes(part)
            assert_refused(f"{name} is damaged, or no file of NumPy arrays", "inspect", network,
                           tmp_path / name)  # fmt: skip
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", "no array")
    assert_refused("x.npz is damaged", "inspect", network, tmp_path / "x.npz")
    assert_refused("No such file", "inspect", network, tmp_path / "nowhere.npy")


def test_an_array_that_claims_to_be_huge_takes_no_memory(network, tmp_path):
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 500, 2), }"
    header = header.ljust(117) + b"\n"
    start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
    (tmp_path / "x.npy").write_bytes(start + header)
    assert_refused("x.npy is damaged", "inspect", network, tmp_path / "x.npy")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", start + header)
        archive.filelist[0].file_size = 2**40
    assert_refused("holds an array of more than 2 GiB", "inspect", network, tmp_path / "x.npz")


def test_what_cannot_be_shown_is_told(network, tokens, own, tmp_path):
    data, table = saved(tmp_path / "x.npy", X), tmp_path / "t.csv"
    table.write_text("a,b\n1,2\n3,4\n")
    reads = (
        r"network.safetensors reads \[batch, time, 2 features\]: give a CSV table or arrays in a"
    )
    assert_refused(reads, "inspect", network)
    reads = (
        r"tokens.safetensors reads tokens \[batch, time\], integers from 0 to 6: give arrays in a"
    )
    assert_refused(reads, "inspect", tokens)
    assert_refused(f"{reads} .npy file, not a table", "inspect", tokens, table)
    assert_refused("holds float32, but the network reads integers", "inspect", tokens, data)
    assert_refused("leave out --window", "inspect", network, data, "--window", "3")
    assert_refused("leave out --layer", "inspect", own, data, "--layer", "lstm_0")
    assert_refused("no LSTM|holds no", "inspect", network, data, "--layer", "nowhere")
    (tmp_path / "model.keras2").touch()
    assert call("inspect", tmp_path / "model.keras2", data).exit_code == 1


def test_a_page_of_lstmcore_is_replaced_and_no_other_file(network, own, tmp_path):
    for model, page in ((network, page_of(network)), (own, tmp_path / "inspect.html")):
        command = ("inspect", model, saved(tmp_path / "x.npy", X))
        page.write_text("mine")
        assert_refused("there is a file .*inspect.html already: --force replaces it", *command)
        assert page.read_text() == "mine"
        assert call(*command, "--force").exit_code == 0
        saved(tmp_path / "x.npy", X + 1)
        assert call(*command).exit_code == 0
        np.testing.assert_allclose(numbers(contents(page)["inputs"]), X + 1, rtol=1e-6)
    page_of(network).write_text("mine")
    wrong = saved(tmp_path / "wrong.npy", X[:, :, :1])
    assert_refused("wrong.npy has shape", "inspect", network, wrong)


def test_as_many_examples_as_asked_for_or_as_fit(network, tmp_path, monkeypatch):
    command = ("inspect", network, saved(tmp_path / "x.npy", X))
    run = call(*command, "--examples", 2)
    assert "network.safetensors on x.npy: 2 of 3 examples of 5 steps" in run.text
    assert contents(page_of(network))["examples"] == 2
    assert "<title>my [red] network.safetensors on x.npy: 2 of 3" in page_of(network).read_text()

    monkeypatch.setattr(study, "inspect", partial(study.inspect, max_bytes=500))
    monkeypatch.setattr(
        "lstmcore.cli.inspect.fitting_examples", partial(fitting_examples, max_bytes=500)
    )
    assert "on x.npy: 1 of 3 examples of 5 steps" in call(*command).text
    assert contents(page_of(network))["examples"] == 1


def test_text_of_the_steps(network, tokens, tmp_path):
    text, data = tmp_path / "text.txt", saved(tmp_path / "x.npy", X)
    text.write_text("a b c d e\nabcde\nä b c\n", encoding="utf-8")
    run = call("inspect", network, data, "--text", text)
    assert run.exit_code == 0, run.text
    assert contents(page_of(network))["text"] == [list("abcde"), list("abcde"), list("ä b c")]
    mask = np.arange(5) < np.array([[5], [2], [1]])
    masked = saved(tmp_path / "x.npz", x=X, mask=mask)
    text.write_text("one two 3 4 5\nfirst second\nx")
    call("inspect", network, masked, "--text", text, "--examples", 2)
    assert contents(page_of(network))["text"][1] == ["first", "second"]

    assert_refused("text.txt, line 2: 2 tokens or 12 characters for 5 steps", "inspect", network,
                   data, "--text", text)  # fmt: skip
    text.write_text("abcde\n")
    assert_refused("text.txt has 1 line, but x.npy has 3 examples: write a line", "inspect",
                   network, data, "--text", text)  # fmt: skip
    text.write_bytes(b"\xff")
    assert_refused("text.txt is not text in UTF-8", "inspect", network, data, "--text", text)
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n")
    assert_refused("--text .* names the steps of arrays: leave it out", "inspect", network,
                   tmp_path / "t.csv", "--text", text)  # fmt: skip


def test_values_that_are_not_finite_are_counted(network, tmp_path):
    x = X.copy()
    x[1, 3, 0] = np.nan
    run = call("inspect", network, saved(tmp_path / "x.npy", x))
    assert "the input has 1 value that is NaN or infinite, the first in example 1 at step 3" in (
        run.text
    )
    x[2, 0] = np.inf
    mask = np.ones((3, 5), bool)
    mask[1, 3:] = False
    run = call("inspect", network, saved(tmp_path / "x.npz", x=x, mask=mask))
    assert "2 values that are NaN or infinite, the first in example 2 at step 0" in run.text
    assert "NaN" not in call("inspect", network, saved(tmp_path / "x.npy", X)).text


# summary


def test_summary(network, tokens, own):
    run = call("summary", network, "--timesteps", 5)
    assert run.exit_code == 0, run.text
    assert "rnn_0 LSTM (None, 5, 4) 112" in run.text  # one bias: 4 (2 + 4 + 1) 4
    assert "reads [batch, time, 2 features]" in run.text
    run = call("summary", tokens)
    assert "vectors Embedding" in run.text
    assert "reads tokens [batch, time], integers from 0 to 6" in run.text
    assert f"- {lc.interop.read(tokens).notes[0]}" in run.text
    run = call("summary", own)
    assert "dense_0" in run.text
    assert run.text.endswith("reads [batch, time, 2 features]")
    assert_refused("leave out --layer", "summary", own, "--layer", "lstm_0")


def test_summary_of_the_folder_of_a_run(tmp_path):
    model = lc.Autoencoder(features=2, units=(3,))
    lc.save(tmp_path / "model.safetensors", model, model.init(jax.random.key(0)))
    run = call("summary", tmp_path)
    assert "encoder_0" in run.text
    assert run.text.endswith("reads [batch, time, 2 features]")


@pytest.mark.parametrize(
    ("model", "reads"),
    [
        (lc.DenseAutoencoder(features=3, units=2), "[batch, 3 features]"),
        (lc.Forecaster(features=3, units=2, horizon=2), "[batch, time, 3 features]"),
        (lc.Seq2Seq(3, 4, 2), "[batch, time, 3 features]"),
        (
            lc.Seq2Seq(source=30, target=12, units=2, embedding=2),
            "tokens [batch, time], integers from 0 to 29",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_summary_says_what_every_model_of_lstmcore_reads(model, reads, tmp_path):
    lc.save(tmp_path / "model.safetensors", model, model.init(jax.random.key(0)))
    assert call("summary", tmp_path).text.endswith(f"reads {reads}")


# convert


def test_to_lstmcore(network, tmp_path):
    out = tmp_path / "out.safetensors"
    run = call("convert", network, out, "--format", "lstmcore")
    assert run.exit_code == 0, run.text
    assert f"wrote {out}: 112 weights" in run.text
    assert "checked: read again, its outputs for random input differ by at most 0" in run.text
    model, params = lc.load(out)
    read = lc.interop.read(network)
    assert model == read.model
    np.testing.assert_array_equal(params["rnn_0"].kernel, read.params["rnn_0"].kernel)


def test_to_pytorch_and_back(tokens, tmp_path):
    """A .safetensors is written under PyTorch's names unless --format says otherwise."""
    out = tmp_path / "out.safetensors"
    run = call("convert", tokens, out)
    assert run.exit_code == 0, run.text
    assert f"- {lc.interop.read(tokens).notes[0]}" in run.text
    with safe_open(out, "numpy") as written:
        assert any(name.endswith("weight_ih_l0") for name in written.keys())  # noqa: SIM118
    first, second = lc.interop.read(tokens), lc.interop.read(out)
    assert first.model == second.model
    for name, layer in first.params.items():
        for one, other in zip(layer, second.params[name], strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("extension", "checked"), [(".keras", "read again"), (".onnx", "run by onnxruntime")]
)
def test_to_a_framework_and_back(extension, checked, tmp_path):
    """Keras and ONNX hold the whole network, which is then shown as any other."""
    parts = [chain.LSTM(4, direction="bidirectional"), chain.LSTM(3, last=True)]
    model = lc.Chain([*parts, chain.Dense(2, "softmax")], features=2)
    lc.save(tmp_path / "model.safetensors", model, model.init(jax.random.key(0)))
    out = tmp_path / f"out{extension}"
    run = call("convert", tmp_path, out)
    assert run.exit_code == 0, run.text
    assert f"wrote {out}: {sum(row[3] for row in lc.summary(model).rows)} weights" in run.text
    assert f"checked: {checked}, its outputs for random input differ by at most" in run.text
    model, params, _ = lc.interop.read(out)
    apply, weights = reference.load(tmp_path / "model.safetensors")
    expected, _ = apply(weights, X)
    np.testing.assert_allclose(model.apply(params, X, ops=reference)[0], expected, atol=1e-6)

    back = tmp_path / "back.safetensors"
    assert call("convert", out, back, "--format", "lstmcore").exit_code == 0
    assert_shows_same(out, back, tmp_path)
    assert "reads [batch, time, 2 features]" in call("summary", out).text


@pytest.mark.parametrize("kind", [lc.CompositeAutoencoder, lc.DenseAutoencoder])
def test_models_that_are_no_chains_run_in_onnxruntime(kind, tmp_path):
    options = {"steps": 4} if kind is lc.CompositeAutoencoder else {}
    model = kind(features=2, units=(3,), **options)
    lc.save(tmp_path / "model.safetensors", model, model.init(jax.random.key(0)))
    run = call("convert", tmp_path, tmp_path / "out.onnx")
    assert run.exit_code == 0, run.text
    assert "checked: run by onnxruntime" in run.text


def test_onnx_without_onnxruntime_is_read_again(network, tmp_path, monkeypatch):
    monkeypatch.setattr("lstmcore.cli.convert.find_spec", lambda name: None)
    run = call("convert", network, tmp_path / "out.onnx")
    assert run.exit_code == 0, run.text
    assert "checked: read again" in run.text


def assert_shows_same(one: Path, other: Path, folder: Path) -> None:
    """The pages of two files show the same gates."""
    data, pages = saved(folder / "x.npy", X), []
    for file in (one, other):
        page = folder / f"{file.stem}.html"
        run = call("inspect", file, data, "--output", page)
        assert run.exit_code == 0, run.text
        pages.append(contents(page)["layers"])
    assert len(pages[0]) == len(pages[1]) == 3
    for first, second in zip(*pages, strict=True):
        np.testing.assert_allclose(decoded(first, "c"), decoded(second, "c"), atol=1e-4)


def test_without_the_package_that_reads_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    assert_refused("pip install .lstmcore.keras", "summary", tmp_path / "weights.h5")


def test_a_file_is_replaced_only_by_force(network, own, tmp_path):
    before = own.read_bytes()
    refused = "there is a file .*own.safetensors already: --force replaces it"
    assert_refused(refused, "convert", network, own, "--format", "lstmcore")
    assert own.read_bytes() == before
    assert call("convert", network, own, "--format", "lstmcore", "--force").exit_code == 0
    assert own.read_bytes() != before


@pytest.mark.parametrize(
    ("extension", "refused"),
    [
        (".safetensors", "would not hold the LSTM layers of .*; nothing was written"),
        (".onnx", "would not hold the same network: its outputs .* nothing was written"),
    ],
)
def test_a_file_that_would_not_hold_the_network_is_not_written(
    network, tmp_path, monkeypatch, extension, refused
):
    """Whatever was wrong with the writer: the old file stays, and nothing else is left."""

    write = lc.interop.write

    def with_swapped_gates(path, model, params):
        swapped = np.roll(params["rnn_0"].kernel, 4, axis=1)
        write(path, model, params | {"rnn_0": params["rnn_0"]._replace(kernel=swapped)})

    monkeypatch.setattr(lc.interop, "write", with_swapped_gates)
    out = tmp_path / f"out{extension}"
    out.write_text("old")
    assert_refused(refused, "convert", network, out, "--force")
    assert out.read_text() == "old"
    assert {path for path in tmp_path.iterdir() if path.is_file()} == {out, network}


def test_weights_for_pytorch_are_compared_as_weights(tmp_path):
    """PyTorch's names do not say how layers are joined, such as those of an autoencoder."""
    model = lc.Autoencoder(features=2, units=(4,))
    params = model.init(jax.random.key(0))
    lc.save(tmp_path / "model.safetensors", model, params)
    out = tmp_path / "out.safetensors"
    run = call("convert", tmp_path, out)
    assert run.exit_code == 0, run.text
    assert "checked: read again, the weights are equal; how the layers are joined is up" in run.text
    decoder = lc.interop.read(out, layer="decoder_0").params["decoder_0_0"]
    np.testing.assert_array_equal(decoder.kernel, params["decoder_0"].kernel)


def test_what_cannot_be_converted_is_told(network, own, tmp_path):
    assert_refused("is a model of lstmcore already", "convert", own, tmp_path / "x.safetensors",
                   "--format", "lstmcore")  # fmt: skip
    assert_refused("x.txt cannot be written: its extension is .txt", "convert", network,
                   tmp_path / "x.txt")  # fmt: skip
    assert_refused("end it in .safetensors", "convert", network, tmp_path / "x.onnx", "--format",
                   "lstmcore")  # fmt: skip
    assert {path for path in tmp_path.iterdir() if path.is_file()} == {network, own}


def test_a_refusal_names_the_format_that_holds_the_network(tmp_path):
    parts = [chain.LSTM(4, activation="relu"), chain.Dense(2, "softmax")]
    model = lc.Chain(parts, features=2)
    lc.interop.write(tmp_path / "clf.keras", model, model.init(jax.random.key(0)))
    convert = ("convert", tmp_path / "clf.keras", tmp_path / "out.safetensors")
    assert_refused("out.safetensors .* With --format lstmcore it can hold the network", *convert)
    assert call(*convert, "--format", "lstmcore").exit_code == 0


def test_an_lstm_of_onnx_goes_to_onnx_and_lstmcore(tmp_path):
    """Clipping, which neither a chain nor PyTorch has."""
    model = OnnxLSTM(features=2, units=3, clip=5.0)
    lc.interop.write(tmp_path / "clip.onnx", model, model.init(jax.random.key(0)))
    convert = ("convert", tmp_path / "clip.onnx", tmp_path / "out.safetensors", "--layer", "lstm_0")
    assert_refused("out.safetensors cannot hold an LSTM with clip=5.0: an nn.LSTM has none",
                   *convert)  # fmt: skip
    assert call(*convert, "--format", "lstmcore").exit_code == 0
    assert lc.load(tmp_path / "out.safetensors")[0] == model
    assert call(*convert[:2], tmp_path / "out.onnx", *convert[3:]).exit_code == 0


def test_weights_of_keras_alone_ask_for_a_file_beside_them(tmp_path):
    with h5py.File(tmp_path / "m.weights.h5", "w") as file:
        for name, units in (("one", 3), ("two", 4)):
            arrays = [np.ones((units, 4 * units)), np.ones((units, 4 * units)), np.ones(4 * units)]
            for number, array in enumerate(arrays):
                file[f"layers/{name}/cell/vars/{number}"] = array.astype("float32")
    refused = (
        "write what model.to_json.. of Keras returns to .*m.json, or read one LSTM: --layer 'two'"
    )
    assert_refused(f"{refused} or --layer 'one'", "summary", tmp_path / "m.weights.h5")


def test_an_autoencoder_that_no_chain_holds_goes_to_onnx(tmp_path):
    model = lc.Autoencoder(features=2, units=(3,))
    lc.save(tmp_path / "model.safetensors", model, model.init(jax.random.key(0)))
    refused = "as its input has, which a chain cannot do: convert it to .onnx"
    assert_refused(refused, "convert", tmp_path, tmp_path / "out.keras")
    run = call("convert", tmp_path, tmp_path / "out.onnx")
    assert run.exit_code == 0, run.text


def test_float64_weights_are_rounded_for_onnx(tmp_path):
    network = of_torch(tmp_path / "double.safetensors", dtype="float64")
    run = call("convert", network, tmp_path / "out.onnx")
    assert run.exit_code == 0, run.text
    assert "- the weights are float64; written in float32" in run.text
    double = lc.interop.read(network).params["rnn_0"].kernel
    found = lc.interop.read(tmp_path / "out.onnx").params["rnn_0"].kernel
    np.testing.assert_allclose(found, double, atol=1e-6)


def test_paragraphs_of_the_help_fill_the_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    for command in ("inspect", "fit"):
        result = CliRunner().invoke(app, [command, "--help"], env={"TERM": "dumb"})
        text = result.output.partition("Arguments")[0]
        long = [line for line in text.splitlines() if len(line.strip()) > 100]
        assert len(long) >= 2, text


def test_help_names_what_can_be_read_and_written():
    for command in ("inspect", "summary", "convert"):
        text = call(command, "--help").text
        for extension in files.READERS:
            assert extension in text, (command, extension)
    assert all(extension in call("convert", "--help").text for extension in files.WRITERS)
