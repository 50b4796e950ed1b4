"""PyTorch's own LSTM against ours with its weights: outputs, gradients, files."""

import warnings

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

import lstmcore as lc
from lstmcore.interop import from_torch, read, to_torch, write

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}


def chain_for(module) -> lc.Chain:
    """Return the chain that computes what an nn.LSTM does."""
    direction = "bidirectional" if module.bidirectional else "forward"
    projection = module.proj_size or None
    part = lc.chain.LSTM(module.hidden_size, direction=direction, projection=projection)
    return lc.Chain([part] * module.num_layers, module.input_size)


def random_module(seed, *sizes, dtype="float64", **options):
    """Return an nn.LSTM whose weights differ from gate to gate as much as its own do not."""
    module = torch.nn.LSTM(*sizes, batch_first=True, **options).to(getattr(torch, dtype))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in module.parameters():
            weights.normal_(0, 0.5, generator=generator)
    return module


def run_packed(module, x, lengths):
    """Return the outputs of a module over sequences of these lengths, zeros after their ends."""
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        x, torch.as_tensor(lengths), batch_first=True, enforce_sorted=False
    )
    out, _ = module(packed)
    return torch.nn.utils.rnn.pad_packed_sequence(out, True, total_length=x.shape[1])[0]


@hypothesis.settings(max_examples=40)
@given(
    seed=strategies.seeds,
    batch=st.integers(1, 3),
    steps=st.integers(1, 6),
    features=st.integers(1, 4),
    units=st.integers(2, 5),
    layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    projected=st.booleans(),
    bias=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_outputs_over_lengths(
    seed, batch, steps, features, units, layers, bidirectional, projected, bias, dtype
):
    module = random_module(
        seed, features, units, layers, dtype=dtype, bias=bias, bidirectional=bidirectional,
        proj_size=units - 1 if projected else 0,
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(batch, steps, features)).astype(dtype)
    lengths = rng.integers(1, steps + 1, batch)
    mask = np.arange(steps) < lengths[:, None]
    theirs = run_packed(module, torch.from_numpy(x), lengths).detach().numpy()
    params = from_torch(module.state_dict())
    ours, _ = chain_for(module).apply(params, x, mask=mask, ops=lc.reference)
    np.testing.assert_allclose(
        np.where(mask[..., None], ours, 0), theirs, atol=TOLERANCE[dtype], rtol=0
    )
    again = random_module(
        seed + 1, features, units, layers, dtype=dtype, bidirectional=bidirectional,
        proj_size=units - 1 if projected else 0,
    )  # fmt: skip
    again.load_state_dict({n: torch.from_numpy(a) for n, a in to_torch(params).items()})
    back = run_packed(again, torch.from_numpy(x), lengths).detach().numpy()
    np.testing.assert_allclose(back, theirs, atol=TOLERANCE[dtype], rtol=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("bidirectional", "projection"), [(True, 0), (False, 2)])
def test_gradients(bidirectional, projection, dtype):
    module = random_module(
        0, 3, 4, 2, dtype=dtype, bidirectional=bidirectional, proj_size=projection
    )
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 5, 3)).astype(dtype)
    lengths = np.array([5, 3])
    mask = np.arange(5) < lengths[:, None]
    size = (projection or 4) * (2 if bidirectional else 1)
    readout = rng.normal(size=(2, 5, size)).astype(dtype) * mask[..., None]
    x_torch = torch.from_numpy(x).requires_grad_()
    (run_packed(module, x_torch, lengths) * torch.from_numpy(readout)).sum().backward()
    theirs = {
        name: np.zeros_like(w.grad) if "bias_hh" in name else w.grad.numpy()
        for name, w in module.named_parameters()
    }  # the gradients of the two biases are the same, and that of their sum

    def loss(params, x):
        y, _ = chain_for(module).apply(params, x, mask=jnp.asarray(mask))
        return (y * jnp.asarray(readout)).sum()

    with jax.enable_x64(dtype == "float64"):
        params = jax.tree.map(jnp.asarray, from_torch(module.state_dict()))
        ours, of_x = jax.jit(jax.grad(loss, (0, 1)))(params, jnp.asarray(x))
        for name, layer in from_torch(theirs).items():
            for field, gradient in layer._asdict().items():
                if gradient is not None:
                    our = getattr(ours[name], field)
                    np.testing.assert_allclose(our, gradient, atol=TOLERANCE[dtype], rtol=0)
        np.testing.assert_allclose(of_x, x_torch.grad, atol=TOLERANCE[dtype], rtol=0)


def test_a_cell():
    cell = torch.nn.LSTMCell(3, 4).double()
    params = from_torch(cell)["lstm_0"]
    x, h, c = (np.random.default_rng(0).normal(size=(2, size)) for size in (3, 4, 4))
    h_torch, c_torch = cell(torch.from_numpy(x), (torch.from_numpy(h), torch.from_numpy(c)))
    state, _ = lc.reference.lstm_step(params, x, lc.LSTMState(h, c))
    np.testing.assert_allclose(state.h, h_torch.detach(), atol=1e-10)
    np.testing.assert_allclose(state.c, c_torch.detach(), atol=1e-10)
    again = torch.nn.LSTMCell(3, 4).double()
    weights = to_torch({"lstm_0": params}, cell=True)
    again.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    assert (again.weight_hh == cell.weight_hh).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_read_to_the_bit(dtype):
    module = random_module(0, 3, 4, dtype=dtype)
    kernel = from_torch(module)["lstm_0"].kernel
    assert str(kernel.dtype) == dtype
    assert (kernel.T.astype("float64") == module.weight_ih_l0.detach().double().numpy()).all()


def test_parameters_are_read_too():
    module = random_module(0, 3, 4)
    params = from_torch(dict(module.named_parameters()))
    assert (params["lstm_0"].kernel == from_torch(module)["lstm_0"].kernel).all()


class Tagger(torch.nn.Module):
    """An embedding, an LSTM and a linear layer on every step."""

    def __init__(self, projection=0):
        super().__init__()
        self.embedding = torch.nn.Embedding(11, 3)
        self.rnn = torch.nn.LSTM(
            3, 4, 2, batch_first=True, bidirectional=True, proj_size=projection
        )
        self.head = torch.nn.Linear(2 * (projection or 4), 5)

    def forward(self, ids):
        return self.head(self.rnn(self.embedding(ids))[0])


@pytest.fixture
def tagger():
    return Tagger().double()


def check_read(path, tagger):
    model, params, notes = read(path)
    ids = np.random.default_rng(0).integers(0, 11, (2, 6))
    ours, _ = model.apply(params, ids, ops=lc.reference)
    theirs = tagger(torch.from_numpy(ids)).detach().numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-10)
    assert [note.split()[0] for note in notes] == ["embedding.weight", "head.weight"]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_whole_network_from_torch_save(tagger, tmp_path, protocol, checkpoint):
    saved = tagger.state_dict()
    if checkpoint:
        optimizer = torch.optim.Adam(tagger.parameters())
        tagger(torch.zeros(1, 1, dtype=int)).sum().backward()
        optimizer.step()
        saved = {
            "epoch": 3,
            "rate": 0.1,
            "device": torch.device("cpu"),
            "dtype": torch.float64,
            "size": torch.Size([1, 2]),
            "seen": {1, 2},
            "score": np.float64(0.5),
            "counts": np.ones(3),
            "state_dict": tagger.state_dict(),
            "optimizer": optimizer.state_dict(),
            "random": {"cpu": torch.get_rng_state()},
        }
    path = tmp_path / "tagger.pt"
    torch.save(saved, path, pickle_protocol=protocol)
    check_read(path, tagger)


def test_a_whole_network_from_safetensors(tagger, tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    path = tmp_path / "tagger.safetensors"
    safetensors.save_file(tagger.state_dict(), path, metadata={"format": "pt"})
    check_read(path, tagger)


@pytest.mark.parametrize("projection", [0, 2])
def test_a_written_network_is_loaded(tmp_path, projection):
    safetensors = pytest.importorskip("safetensors.torch")
    tagger = Tagger(projection)
    torch.save(tagger.state_dict(), tmp_path / "tagger.pt")
    model, params, _ = read(tmp_path / "tagger.pt")
    write(tmp_path / "tagger.safetensors", model, params)
    again = Tagger(projection)
    again.load_state_dict(safetensors.load_file(tmp_path / "tagger.safetensors"), strict=True)
    ids = torch.arange(6)[None]
    torch.testing.assert_close(again(ids), tagger(ids), atol=1e-6, rtol=0)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_names_come_back(tmp_path, depth):
    """Of a network within other modules, at any depth."""
    safetensors = pytest.importorskip("safetensors.torch")

    def network():
        module = Tagger()
        for _ in range(depth):
            module = torch.nn.ModuleDict({"model": module})
        return module

    first, again = network(), network()
    torch.save(first.state_dict(), tmp_path / "network.pt")
    model, params, _ = read(tmp_path / "network.pt")
    assert next(iter(params)) == "model." * depth + "embedding"
    write(tmp_path / "network.safetensors", model, params)
    again.load_state_dict(safetensors.load_file(tmp_path / "network.safetensors"), strict=True)
    lstm, summed = (
        dict(module.named_modules())["model." * depth + "rnn"] for module in (first, again)
    )
    for direction in ("", "_reverse"):
        for k in (0, 1):
            end = f"_l{k}{direction}"
            for name in (f"weight_ih{end}", f"weight_hh{end}"):
                assert torch.equal(getattr(lstm, name), getattr(summed, name))
            both = getattr(lstm, f"bias_ih{end}") + getattr(lstm, f"bias_hh{end}")
            assert torch.equal(getattr(summed, f"bias_ih{end}"), both)
            assert not getattr(summed, f"bias_hh{end}").any()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_views_of_one_storage(tmp_path, dtype):
    """Transposed, every second row, one storage for several weights, and without numbers."""
    storage = torch.randn(40, 8).to(getattr(torch, dtype))
    weights = {
        "weight_ih_l0": storage[:3].repeat(1, 2).t(),
        "weight_hh_l0": storage[::2][:16, :4],
        "bias_ih_l0": storage[:16, 0],
        "bias_hh_l0": storage[1].repeat(2),
    }
    torch.save(weights | {"none": torch.zeros(0, 3)}, tmp_path / "views.pt")
    model, params, notes = read(tmp_path / "views.pt")
    for field, array in from_torch(weights)["lstm_0"]._asdict().items():
        if array is not None:
            np.testing.assert_array_equal(getattr(params["lstm_0"], field), array, strict=True)
    assert notes[1:] == ("Only the LSTM was read; the file also holds none.",)
    assert model.features == 3


def saved_otherwise(tmp_path, saved, **options):
    path = tmp_path / "saved.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of formats that PyTorch would rather not write
        torch.save(saved, path, **options)
    return path


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        (lambda: torch.nn.LSTM(3, 4), r"holds an object of torch\.nn\.modules\.rnn\.LSTM, whose "),
        (lambda: {"weight": torch.eye(3).to_sparse()}, "holds weight as a sparse tensor, which is"),
        (
            lambda: {"weight": torch.ones(2, dtype=torch.complex64).conj()},
            "holds weight as a conjugate or negative view",
        ),
        (
            lambda: {"weight": torch.ones(2, dtype=torch.float8_e5m2)},
            "holds weight as a tensor of 8 bits or of unsigned integers",
        ),
        (lambda: [torch.ones(2)], "holds a list, not a dict of tensors by name"),
        (lambda: torch.ones(2), "holds a Tensor, not a dict of tensors by name"),
        (lambda: {"epoch": 3}, r"holds no dict of tensors by name: .* torch\.save\(model\.state_d"),
        (lambda: torch.nn.GRU(3, 4).state_dict(), r"weight_ih_l0 \(12, 3\) and .* of an nn\.GRU"),
        (
            lambda: {"a": torch.nn.LSTM(3, 4).state_dict(), "b": torch.nn.LSTM(3, 4).state_dict()},
            "holds 2 stacks of recurrent layers, 'a' and 'b', .*: name one, layer='a'",
        ),
    ],
)
def test_files_of_torch_save_that_are_refused(tmp_path, saved, message):
    path = saved_otherwise(tmp_path, saved())
    with pytest.raises(ValueError, match=rf"^{path}:? {message}"):
        read(path)


def test_the_older_format_is_refused(tmp_path):
    weights = torch.nn.LSTM(3, 4).state_dict()
    path = saved_otherwise(tmp_path, weights, _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match=r"is in the format of torch\.save before PyTorch 1\.6"):
        read(path)


@pytest.mark.filterwarnings("ignore")  # PyTorch announces the end of TorchScript
def test_a_program_is_refused(tmp_path):
    torch.jit.script(torch.nn.LSTM(3, 4)).save(tmp_path / "program.pt")
    with pytest.raises(ValueError, match=r"is a program of TorchScript: load it with torch\.jit"):
        read(tmp_path / "program.pt")
