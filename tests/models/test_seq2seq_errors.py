"""The encoder-decoder: errors."""

import json

import jax
import numpy as np
import pytest
import strategies
from safetensors.numpy import save as to_safetensors
from strategies import weights
from translation import MODELS, full_batch

import lstmcore as lc
from lstmcore import reference, study

KEY = jax.random.key(0)
PLAIN, REAL = MODELS["plain"], MODELS["real-valued"]
PARAMS, REAL_PARAMS = weights(PLAIN), weights(REAL)
TOKENS, TARGETS = full_batch(PLAIN)
NUMBERS, WANTED = full_batch(REAL)


def state_of(model=PLAIN):
    """Of zeros, so that no test of an error waits for an encoder."""
    shapes = jax.eval_shape(lambda p: model.encode(p, full_batch(model)[0])[0], weights(model))
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"source": 0}, ValueError, "source must be at least 1, got 0"),
        ({"target": 1.5}, TypeError, "target must be a whole number, got 1.5"),
        ({"units": ()}, ValueError, "units is empty: name at least one layer"),
        ({"decoder_units": (4, 0)}, ValueError, "decoder_units must be at least 1, got 0"),
        ({"decoder_units": 0}, ValueError, "decoder_units must be at least 1, got 0"),
        ({"embedding": 2.7}, TypeError, "embedding must be a whole number, got 2.7"),
        ({"embedding": "4"}, TypeError, "embedding must be a whole number, got '4'"),
        ({"embedding": 0}, ValueError, "embedding must be at least 1, got 0"),
        ({"embedding": (3, -1)}, ValueError, "embedding must be at least 1, got -1"),
        ({"embedding": (3,)}, ValueError, r"one size or a pair of them, got \(3,\)"),
        ({"attention": "luong"}, ValueError, "attention must be one of None, 'dot', 'general', 'a"),
        ({"merge": "max"}, ValueError, "merge must be one of 'concat', 'sum', 'mean', 'mul', got"),
        ({"tie": "both"}, ValueError, "tie must be one of None, 'source', 'output', 'all', got 'b"),
        ({"bidirectional": "yes"}, ValueError, "bidirectional must be one of False, True, got 'ye"),
        ({"residual": 2}, ValueError, "residual must be one of False, True, got 2"),
        ({"reverse_source": None}, ValueError, "reverse_source must be one of False, True, got No"),
        ({"dropout": 1.0}, ValueError, "dropout must be at least 0 and below 1, got 1.0"),
        ({"recurrent_dropout": -0.1}, ValueError, "recurrent_dropout must be at least 0 and below"),
        ({"dropout": float("nan")}, ValueError, "dropout must be at least 0 and below 1, got nan"),
        ({"dropout": "half"}, TypeError, "dropout must be a number, got 'half'"),
        (
            {"bidirectional": True, "reverse_source": True},
            ValueError,
            "reverse_source is for an en",
        ),
        ({"tie": "source"}, ValueError, "tie='source' is one table for both sides, which needs on"),
        ({"tie": "all", "target": 7, "embedding": (3, 4)}, ValueError, r"embedding=\(3, 4\)"),
        ({"tie": "all", "target": 7, "embedding": None}, ValueError, "one vocabulary and one size"),
        ({"tie": "output", "embedding": (3, None)}, ValueError, "tie='output' needs a table of ta"),
        (
            {"attention": "dot", "decoder_units": 5},
            ValueError,
            "hidden states of one size, got 4 and 5",
        ),
        ({"attention": "dot", "bidirectional": True}, ValueError, "of one size, got 8 and 4: use"),
        ({"activation": "rellu"}, ValueError, "activation 'rellu' is not known"),
        ({"output_activation": "rellu"}, ValueError, "output_activation 'rellu' is not known"),
        ({"heads": 8}, TypeError, "unexpected keyword argument 'heads'"),
    ],
)
def test_errors_of_hyperparameters(options, error, message):
    with pytest.raises(error, match=message):
        lc.Seq2Seq(**{"source": 7, "target": 6, "units": 4, "embedding": 3} | options)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: PLAIN.apply(PARAMS, TOKENS, TARGETS[:2]),
            ValueError,
            "source has 4 examples but target has 2: they must agree",
        ),
        (
            lambda: PLAIN.apply(PARAMS, TOKENS + 1, TARGETS),
            ValueError,
            "source holds the token id 7 but there are 7 tokens, 0 to 6: was it encoded with anoth",
        ),
        (
            lambda: PLAIN.apply(PARAMS, TOKENS, TARGETS - 6),
            ValueError,
            "target holds the token id -[1-5] but there are 6 tokens",
        ),
        (
            lambda: PLAIN.apply(PARAMS, NUMBERS, TARGETS),
            ValueError,
            r"source must have 2 axes \[batch, time\], got shape .*: one token id for each step",
        ),
        (
            lambda: PLAIN.apply(PARAMS, NUMBERS[..., 0], TARGETS),
            ValueError,
            r"source must be integers, got float32: write source.astype\(int\)",
        ),
        (
            lambda: PLAIN.apply(PARAMS, TOKENS, TARGETS.tolist()),
            TypeError,
            "target must be an array .* got list",
        ),
        (
            lambda: REAL.apply(REAL_PARAMS, TOKENS, WANTED),
            ValueError,
            "source must have 3 axes .*: a model of tokens has an `embedding`",
        ),
        (
            lambda: REAL.apply(REAL_PARAMS, NUMBERS, WANTED.astype(int)),
            ValueError,
            "target must be floating point, got int64",
        ),
        (
            lambda: REAL.apply(REAL_PARAMS, NUMBERS[..., :1], WANTED),
            ValueError,
            "source has 1 feature but the model's source expects 2",
        ),
        (
            lambda: PLAIN.apply(PARAMS, TOKENS, TARGETS, source_mask=TARGETS > 0),
            ValueError,
            r"source_mask has shape \(4, 5\) but source needs \(4, 6\)",
        ),
        (
            lambda: PLAIN.apply(PARAMS, TOKENS, TARGETS, target_mask=TARGETS),
            ValueError,
            "target_mask must be bool",
        ),
        (
            lambda: PLAIN.apply(PARAMS, TOKENS, TARGETS, edits={"head": None}),
            ValueError,
            "edits names 'head' but the LSTM layers are encoder_0, decoder_0",
        ),
        (
            lambda: PLAIN.apply(PARAMS, TOKENS, TARGETS, key=0),
            TypeError,
            "key must be a random key",
        ),
        (
            lambda: PLAIN.encode(PARAMS, TOKENS, key=0),
            TypeError,
            "key must be a random key, got int",
        ),
        (
            lambda: PLAIN.apply(PARAMS, TOKENS, TARGETS, sampling=0.5),
            ValueError,
            r"sampling draws at random: pass key=jax.random.key\(...\)",
        ),
        (
            lambda: PLAIN.apply(PARAMS, TOKENS, TARGETS, sampling=1.5, key=KEY),
            ValueError,
            "sampling is a probability, from 0 to 1, got 1.5",
        ),
        (
            lambda: PLAIN.apply(PARAMS, TOKENS, TARGETS, sampling="often", key=KEY),
            TypeError,
            "sampling must be a number from 0 to 1, got 'often'",
        ),
        (
            lambda: PLAIN.apply(
                PARAMS,
                TOKENS,
                TARGETS,
                sampling=0.5,
                key=KEY,
                edits={"decoder_0": study.clamp("forget", 0, steps=[5])},
            ),
            ValueError,
            "there is no step 5: steps are 0 to 4",
        ),
        (
            lambda: PLAIN.apply(PARAMS | {"head": PARAMS["encoder_0"]}, TOKENS, TARGETS),
            TypeError,
            r"params\['head'\] must be DenseParams",
        ),
        (
            lambda: PLAIN.apply(
                PARAMS | {"source_embedding": PARAMS["target_embedding"]}, TOKENS, TARGETS
            ),
            ValueError,
            r"params\['source_embedding'\].table has shape \(6, 3\) but the model needs \(7, 3\)",
        ),
        (
            lambda: REAL.apply(REAL_PARAMS | {"attention": PARAMS["head"]}, NUMBERS, WANTED),
            TypeError,
            r"params\['attention'\] must be AdditiveAttention, got DenseParams",
        ),
        (
            lambda: PLAIN.step(REAL_PARAMS, TARGETS[:, 0], state_of()),
            ValueError,
            "were they made by",
        ),
        (
            lambda: PLAIN.step(PARAMS, TARGETS[:, :1], state_of()),
            ValueError,
            r"token must have 1 axes \[batch\], got shape \(4, 1\): one token id for each example",
        ),
        (
            lambda: PLAIN.step(PARAMS, TARGETS[:, 0] + 6, state_of()),
            ValueError,
            "token holds the token id",
        ),
        (
            lambda: PLAIN.step(PARAMS, TARGETS[:2, 0], state_of()),
            ValueError,
            "token has 2 examples but state has 4: they must agree",
        ),
        (
            lambda: PLAIN.step(PARAMS, TARGETS[:, 0], None),
            TypeError,
            "state must be a DecoderState",
        ),
        (
            lambda: PLAIN.step(PARAMS, TARGETS[:, 0], state_of(), edits={"decoder_1": None}),
            ValueError,
            "edits names 'decoder_1' but the LSTM layers are",
        ),
        (
            lambda: REAL.step(REAL_PARAMS, TARGETS[:, 0], state_of(REAL)),
            ValueError,
            r"token must have 2 axes \[batch, features\]",
        ),
        (
            lambda: REAL.step(REAL_PARAMS, TARGETS, state_of(REAL)),
            ValueError,
            "token must be floating point",
        ),
        (
            lambda: REAL.step(REAL_PARAMS, NUMBERS[:, 0], state_of(REAL)),
            ValueError,
            "token has 2 features but the model's target expects 3",
        ),
        (
            lambda: study.run(PLAIN, PARAMS, TOKENS),
            TypeError,
            "an encoder-decoder needs a target: pass target=, padded tokens",
        ),
        (
            lambda: study.run(PLAIN, PARAMS, TOKENS, target=TARGETS + 6),
            ValueError,
            "target holds the token id",
        ),
        (
            lambda: study.run(strategies.SMALL, {}, NUMBERS, target=NUMBERS),
            TypeError,
            "target is for an encoder-decoder, which Autoencoder is not",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


DAMAGED = {  # hyperparameter: (value in the file, message)
    "source": (9, r"source_embedding'\].table has shape \(7, 3\) but the model needs \(9, 3\)"),
    "units": ([], "units is empty"),
    "decoder_units": ([4, 4], "decoder_1/kernel is missing"),
    "embedding": ([0, 3], "embedding must be at least 1, got 0"),
    "attention": (["general"], "attention must be one of"),
    "bidirectional": (True, "encoder_0_forward/kernel is missing"),
    "merge": (None, "merge must be one of"),
    "tie": ("output", "combine/kernel is missing"),
    "dropout": ("half", "dropout must be a number, got 'half'"),
    "recurrent_dropout": (2, "recurrent_dropout must be at least 0 and below 1, got 2"),
    "activation": ("eval", "activation 'eval' is not known: use one of"),
    "heads": (8, "argument 'heads'"),
}


@pytest.mark.parametrize("load", [lc.load, reference.load])
@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files(name, load, model_path):
    value, message = DAMAGED[name]
    hyperparameters = {**vars(PLAIN), name: value}
    description = {"format": 1, "model": "Seq2Seq", "hyperparameters": hyperparameters}
    tensors = {
        f"{layer}/{field}": leaf
        for layer, fields in PARAMS.items()
        for field, leaf in fields._asdict().items()
        if leaf is not None
    }
    model_path.write_bytes(to_safetensors(tensors, {"lstmcore": json.dumps(description)}))
    with pytest.raises(ValueError, match=rf"a model\.safetensors is damaged.*{message}"):
        load(model_path)


def test_files_without_a_table_or_with_one_too_many(model_path):
    lc.save(model_path, PLAIN, PARAMS)
    tied = lc.Seq2Seq(7, 7, 4, embedding=3, tie="all")
    with pytest.raises(
        ValueError, match=r"params has the layers .* but the model has embedding, en"
    ):
        lc.save(model_path, tied, PARAMS)
    assert lc.load(model_path)[0] == PLAIN  # the old file still stands
