"""Models of the user's own: unknown layers, and padding that only the model knows of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstmcore as lc
from lstmcore import study

PARAMS = {
    "words": lc.init_embedding(jax.random.key(0), vocabulary=9, features=2),
    "reader": lc.init_lstm(jax.random.key(1), features=2, units=3),
}
IDS = jnp.array([[3, 4, 0, 0], [5, 6, 7, 0]])


class Reader:
    """Masks the padding of its tokens, whatever mask it is given."""

    def apply(self, params, ids, *, mask=None, edits=None):
        x, real = lc.embedding(params["words"], ids, padding=0)
        _, trace = lc.lstm(params["reader"], x, mask=real, edit=(edits or {}).get("reader"))
        return trace.h, {"reader": trace}


def test_a_model_that_masks_by_itself_is_told_what_to_pass():
    with pytest.warns(UserWarning, match=r"layer 'reader' was masked .* at 3 of 8 steps.*mask="):
        study.run(Reader(), PARAMS, IDS)
    run = study.run(Reader(), PARAMS, IDS, IDS != 0)  # warnings are errors here
    np.testing.assert_array_equal(run.masks["reader"], IDS != 0)
    with pytest.warns(UserWarning, match="at 1 of 8 steps"):
        study.run(Reader(), PARAMS, IDS, jnp.ones(IDS.shape, bool).at[:, 3].set(False))


class Plain:
    def apply(self, params, x):
        _, trace = lc.lstm(params["reader"], x)
        return trace.h, {"reader": trace}


@pytest.mark.parametrize(
    "given", [{"mask": jnp.ones((2, 4), bool)}, {"edits": {"reader": study.clamp("input", 0.0)}}]
)
def test_what_the_apply_of_a_model_does_not_take(given):
    (name,) = given
    message = (
        f"{name} was given, but the apply of Plain takes none: give it an argument {name}=None"
    )
    with pytest.raises(TypeError, match=message):
        study.run(Plain(), PARAMS, jnp.ones((2, 4, 2)), **given)


def test_without_padding_nothing_is_said():
    assert study.run(Reader(), PARAMS, IDS[:, :2]).masks == {"reader": None}


@pytest.mark.parametrize(
    "use",
    [
        lambda edits: study.run(Reader(), PARAMS, IDS[:, :2], edits=edits),
        lambda edits: study.gate_gradients(
            lambda h: h.sum(), Reader().apply, PARAMS, IDS[:, :2], edits=edits
        ),
    ],
    ids=["run", "gate_gradients"],
)
def test_a_misspelt_layer_is_named(use):
    message = "edits names 'raeder' but the layers that the model traces are reader"
    with pytest.raises(ValueError, match=message):
        use({"raeder": study.clamp("forget", 0.0)})


class Translator:
    """An encoder-decoder whose layers have names of their own, with attention."""

    def apply(self, params, x, target):
        _, read = lc.lstm(params["decoder_of_morse"], x)
        _, written = lc.lstm(params["writer"], target)
        _, weights = lc.attend(None, written.h, read.h)
        return written.h, {"decoder_of_morse": read, "writer": written, "attention": weights}


class OfOneLength(Translator):
    def apply(self, params, x, target):
        return super().apply(params, x, target.reshape(-1, 4, 2))


@pytest.mark.parametrize(
    ("model", "source_steps"), [(Translator(), 4), (Translator(), 3), (OfOneLength(), 3)]
)
def test_the_layers_of_a_decoder_may_have_any_names(model, source_steps, tmp_path):
    pytest.importorskip("matplotlib")
    params = {"decoder_of_morse": PARAMS["reader"], "writer": PARAMS["reader"]}
    source, target = jnp.ones((2, source_steps, 2)), jnp.full((2, 4, 2), 2.0)
    run = study.run(model, params, source, target=target)
    assert run.decoder == ("writer",)
    assert study.plots.plot_attention(run).axes[0].get_xlabel() == "source"
    for layer, title in (("decoder_of_morse", "input $x$"), ("writer", "target")):
        figure = study.plots.plot_gates(run, layer, 0)
        assert title in {panel.get_title(loc="left") or panel.get_title() for panel in figure.axes}
    assert study.inspect(run, tmp_path / "page.html").stat().st_size > 1000
