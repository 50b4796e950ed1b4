"""Random chains against the same networks built of Keras layers: values, gradients and masks.

Each chain is drawn from its number alone. In Keras the masks come from its own Embedding and
Masking layers, which hand them on. At masked steps its Bidirectional writes zeros where ours
repeats the last state, so that outputs are compared at real steps.
"""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from keras_parity import assert_parity, keras_promotion
from strategies import random_like

import lstmcore as lc
from lstmcore import reference

C = lc.chain
B, T, F, TOKENS = 3, 5, 2, 9
MERGES = {"concat": "concat", "sum": "sum", "mean": "ave", "mul": "mul"}
CHAINS, QUICK = 32, 4
chains = pytest.mark.parametrize(
    "number",
    [pytest.param(n, marks=[] if n < QUICK else [pytest.mark.thorough]) for n in range(CHAINS)],
)


def drawn_chain(number: int) -> lc.Chain:
    """Return a chain: an input, one to three LSTM layers with others between, an output."""
    rng = np.random.default_rng(number)
    first = rng.choice(["embedding", "masking", "numbers"])
    parts = []
    width = F
    if first == "embedding":
        width = int(rng.integers(2, 5))
        parts.append(C.Embedding(TOKENS, width, padding=rng.choice([0, None])))
    elif first == "masking":
        parts.append(C.Masking(value=-1.0))
    depth = int(rng.integers(1, 4))
    for place in range(depth):
        direction, merge = rng.choice(["forward", "bidirectional"]), rng.choice(list(MERGES))
        units = int(rng.integers(2, 5))
        last = bool(place == depth - 1 and rng.random() < 0.6)
        out = units * (2 if direction == "bidirectional" and merge == "concat" else 1)
        residual = bool(out == width and not last)
        activation = rng.choice(["tanh", "relu", "softsign"])
        gates = rng.choice(["sigmoid", "hard_sigmoid"])
        options = {"direction": str(direction), "merge": str(merge), "last": last}
        parts.append(C.LSTM(units, str(activation), str(gates), residual=residual, **options))
        width = out
        between = rng.choice(["dense", "norm", "activation", "leaky", "dropout", "nothing"])
        if between == "dense":
            width = int(rng.integers(2, 5))
            parts.append(C.Dense(width, str(rng.choice(["tanh", "relu", "elu"]))))
        elif between != "nothing":
            parts.append(
                {
                    "norm": C.LayerNorm(),
                    "activation": C.Activation("tanh"),
                    "leaky": C.LeakyReLU(0.2),
                    "dropout": C.Dropout(0.4),
                }[str(between)]
            )
        if last and rng.random() < 0.5:
            parts += [C.RepeatVector(3), C.LSTM(3)]
    parts.append(C.Dense(3, rng.choice(["softmax", None])))
    return lc.Chain(parts, None if first == "embedding" else F)


def keras_layer(part, x):
    """Return what the Keras layer of a part makes of x."""
    layers = keras.layers
    if isinstance(part, C.Embedding):
        return layers.Embedding(part.vocabulary, part.units, mask_zero=part.padding == 0)(x)
    if isinstance(part, C.LSTM):
        layer = layers.LSTM(
            part.units,
            activation=part.activation,
            recurrent_activation=part.recurrent_activation,
            return_sequences=not part.last,
        )
        if part.direction == "bidirectional":
            layer = layers.Bidirectional(layer, merge_mode=MERGES[part.merge])
        return layers.Add()([x, layer(x)]) if part.residual else layer(x)
    made = {
        C.Masking: lambda: layers.Masking(part.value),
        C.Dense: lambda: layers.Dense(part.units, activation=part.activation),
        C.LayerNorm: lambda: layers.LayerNormalization(epsilon=part.epsilon),
        C.Activation: lambda: layers.Activation(part.activation),
        C.LeakyReLU: lambda: layers.LeakyReLU(part.slope),
        C.Dropout: lambda: layers.Dropout(part.rate),
        C.RepeatVector: lambda: layers.RepeatVector(part.steps),
    }
    return made[type(part)]()(x)


def keras_model(chain: lc.Chain):
    tokens = isinstance(chain.parts[0], C.Embedding)
    shape, dtype = ((T,), "int32") if tokens else ((T, F), "float32")
    with keras_promotion():
        x = inputs = keras.Input(shape, batch_size=B, dtype=dtype)
        for part in chain.parts:
            x = keras_layer(part, x)
        return keras.Model(inputs, x)


def drawn_input(chain: lc.Chain, number: int) -> np.ndarray:
    """Return an input with steps that a mask leaves out, at the end and inside; no empty row."""
    rng = np.random.default_rng(number + 1000)
    masked = np.array([[0, 0, 0, 1, 1], [0, 1, 0, 0, 1], [0, 0, 0, 0, 0]], bool)
    if isinstance(chain.parts[0], C.Embedding):
        return np.where(masked, 0, rng.integers(1, TOKENS, size=(B, T)))
    return np.where(masked[:, :, None], -1, rng.normal(size=(B, T, F))).astype(np.float32)


@chains
def test_a_chain_is_the_keras_network_of_the_same_layers(number):
    chain, x = drawn_chain(number), drawn_input(drawn_chain(number), number)
    params = random_like(np.random.default_rng(number), chain.init(jax.random.key(0)))
    model = keras_model(chain)
    other = [variable.value for variable in model.non_trainable_variables]
    masks = [mask for mask in chain.masks(x).values() if mask is not None]
    in_time = isinstance(chain.parts[0], C.Embedding | C.Masking) and masks
    real = 1 if not in_time else np.asarray(masks[0])[:, :, None]

    def at_real_steps(y):
        return y * np.asarray(real, np.float32) if y.ndim == 3 and y.shape[1] == T else y

    def ours(params, x):
        return at_real_steps(chain.apply(params, x)[0])

    def theirs(params, x):
        y, _ = model.stateless_call(jax.tree.leaves(params), other, x)
        return at_real_steps(y)

    in_order = {name: params[name] for name in chain.layers}
    leaves = [leaf for layer in in_order.values() for leaf in layer if leaf is not None]
    assert [leaf.shape for leaf in leaves] == [v.shape for v in model.trainable_variables]
    if np.issubdtype(x.dtype, np.integer):  # tokens have no gradient
        assert_parity(
            lambda leaves, _: ours(rebuilt(in_order, leaves), x),
            lambda leaves, _: theirs(leaves, x),
            leaves,
            np.zeros(1, np.float32),
        )
    else:
        assert_parity(lambda leaves, x: ours(rebuilt(in_order, leaves), x), theirs, leaves, x)
    numpy, _ = chain.apply(in_order, x, ops=reference)
    np.testing.assert_allclose(at_real_steps(numpy), ours(in_order, x), rtol=1e-4, atol=1e-5)


def rebuilt(params, leaves):
    """Return params with these arrays, which are in the order of the layers and their fields."""
    rest = iter(leaves)
    return {
        name: type(layer)(*(None if leaf is None else next(rest) for leaf in layer))
        for name, layer in params.items()
    }


def test_the_chains_differ_and_use_every_part():
    drawn = [drawn_chain(number) for number in range(CHAINS)]
    assert len(set(drawn)) == CHAINS
    used = {type(part) for chain in drawn for part in chain.parts}
    assert used == {getattr(C, name) for name in C.__all__} - {C.Reverse}
    assert sum(jnp.ndim(drawn_input(chain, 0)) == 2 for chain in drawn) > 5
