"""ONNX files that torch.onnx.export wrote, read as chains: they compute what the modules do."""

import numpy as np
import pytest

import lstmcore as lc
from lstmcore.interop import from_torch, read

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter warns of all it traces


class Network(torch.nn.Module):
    """An LSTM as people put it into modules: after an embedding, before a linear layer."""

    def __init__(self, tokens, batch_first, both, layers, taken, activation):
        super().__init__()
        self.embedding = torch.nn.Embedding(11, 3) if tokens else torch.nn.Identity()
        self.lstm = torch.nn.LSTM(3, 4, layers, batch_first=batch_first, bidirectional=both)
        self.linear = torch.nn.Linear(8 if both and taken != "h[-1]" else 4, 5)
        self.batch_first, self.taken, self.activation = batch_first, taken, activation

    def forward(self, x):
        y, (h, _) = self.lstm(self.embedding(x))
        match self.taken:
            case "last step":
                y = y[:, -1] if self.batch_first else y[-1]
            case "last slice":
                y = (y[:, -1:] if self.batch_first else y[-1:]).squeeze(int(self.batch_first))
            case "h[-1]":
                y = h[-1]
            case "both h":
                y = torch.cat([h[-2], h[-1]], dim=-1)
            case "halves":
                first, last = (y[:, 0], y[:, -1]) if self.batch_first else (y[0], y[-1])
                y = torch.cat([last[:, :4], first[:, 4:]], dim=1)
        return self.activation(self.linear(y))


ACTIVATIONS = [torch.nn.Identity(), torch.nn.ReLU(), torch.nn.Softmax(-1), torch.nn.SiLU()]
TAKEN = ["every step", "last step", "last slice", "h[-1]", "both h", "halves"]


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("taken", TAKEN)
@pytest.mark.parametrize(("layers", "dynamic"), [(1, True), (2, False), (2, True)])
def test_exported_modules(tmp_path, batch_first, taken, layers, dynamic):
    torch.manual_seed(TAKEN.index(taken))
    both = taken in ("both h", "halves") or dynamic == batch_first
    activation = ACTIVATIONS[(layers + both + dynamic) % 4]
    tokens = (layers + both) % 2 == 0
    module = Network(tokens, batch_first, both, layers, taken, activation).eval()
    shape = (2, 6) if batch_first else (6, 2)
    x = torch.randint(0, 11, shape) if tokens else torch.randn(*shape, 3)
    path = tmp_path / "module.onnx"
    axes = {"x": {0: "a", 1: "b"}} if dynamic else None
    torch.onnx.export(module, (x,), path, dynamo=False, input_names=["x"], dynamic_axes=axes)
    model, params, notes = read(path)
    mine = x.numpy() if batch_first else x.numpy().swapaxes(0, 1)
    output, _ = model.apply(params, mine, ops=lc.reference)
    if any("take output[:, -1]" in note for note in notes):
        output = output[:, -1]
    if any("returns [time" in note for note in notes):
        output = output.swapaxes(0, 1)
    expected = module(x).detach().numpy()
    assert output.shape == expected.shape
    np.testing.assert_allclose(output, expected, atol=1e-5, rtol=0)
    for name, weights in from_torch(module.lstm.state_dict()).items():
        if name in params:  # not where one direction of both is all that the module reads
            np.testing.assert_allclose(params[name].kernel, weights.kernel, atol=1e-6)


def test_lstm_by_itself(tmp_path):
    module = torch.nn.LSTM(3, 4, batch_first=True)
    x, path = torch.randn(2, 6, 3), tmp_path / "module.onnx"
    torch.onnx.export(module, (x,), path, dynamo=False)
    model, params, notes = read(path)
    assert model == lc.Chain([lc.chain.LSTM(4)], 3)
    assert "Not computed: the outputs" in notes[0]
    output, _ = model.apply(params, x.numpy(), ops=lc.reference)
    np.testing.assert_allclose(output, module(x)[0].detach().numpy(), atol=1e-5)


class Cell(torch.nn.Module):
    """What reads the last cell state: the output, or a decoder that starts from it."""

    def __init__(self, decodes):
        super().__init__()
        self.encoder, self.decoder = torch.nn.LSTM(3, 4), torch.nn.LSTM(3, 4)
        self.decodes = decodes

    def forward(self, x):
        _, state = self.encoder(x)
        return self.decoder(x, state)[0] if self.decodes else state[1]


@pytest.mark.parametrize("decodes", [False, True])
def test_the_last_cell_state(tmp_path, decodes):
    path = tmp_path / "module.onnx"
    torch.onnx.export(Cell(decodes), (torch.randn(6, 2, 3),), path, dynamo=False)
    with pytest.raises(ValueError, match=r"its last cell state, which.*; layer= can be '/encoder/"):
        read(path)


def test_relu6(tmp_path):
    torch.manual_seed(0)
    module = Network(False, True, False, 1, "h[-1]", torch.nn.ReLU6()).eval()
    torch.nn.init.normal_(module.linear.weight, 0, 100)
    x, path = torch.randn(9, 6, 3), tmp_path / "module.onnx"
    torch.onnx.export(module, (x,), path, dynamo=False)
    model, params, _ = read(path)
    assert model.parts[-1] == lc.chain.Dense(5, "relu6")
    expected = module(x).detach().numpy()
    assert {0, 6} <= set(expected.ravel().tolist())
    output, _ = model.apply(params, x.numpy(), ops=lc.reference)
    np.testing.assert_allclose(output, expected, atol=1e-4)


def test_one_lstm_whose_states_are_made_for_the_batch(tmp_path):
    """The exporter computes zeros of the size of the batch: they are no state to start from."""
    module, path = torch.nn.LSTM(3, 4, 2, batch_first=True), tmp_path / "module.onnx"
    axes = {"x": {0: "batch", 1: "time"}}
    x = torch.randn(2, 6, 3)
    torch.onnx.export(module, (x,), path, dynamo=False, input_names=["x"], dynamic_axes=axes)
    for layer in ("/LSTM", "/LSTM_1"):
        assert read(path, layer=layer).notes == ()
