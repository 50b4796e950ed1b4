"""Runs of an encoder-decoder: their contents, their summary and their figures."""

import base64
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
from strategies import weights
from translation import MODELS, B, S, T, batch

import lstmcore as lc
from lstmcore import study
from lstmcore.study import plots
from lstmcore.study.inspector.payload import payload

MODEL = lc.Seq2Seq(7, 6, 4, 3, attention="general")
(SOURCE, TARGET), _ = batch(MODEL)
small = partial(np.testing.assert_allclose, rtol=1e-5, atol=3e-6)


@pytest.fixture(scope="module")
def run():
    return study.run(MODEL, weights(MODEL), SOURCE, target=TARGET)


def test_study_run(run):
    logits, traces = jax.jit(MODEL.apply)(weights(MODEL), SOURCE, TARGET)
    attention = traces.pop("attention")
    jax.tree.map(small, (run.outputs, run.attention, run.traces), (logits, attention, traces))
    assert run.layers == ("encoder_0", "decoder_0")
    np.testing.assert_array_equal(run.target, TARGET)
    for mask, expected in (
        (run.mask, SOURCE != 0),
        (run.masks["encoder_0"], SOURCE != 0),
        (run.masks["decoder_0"], TARGET != 0),
    ):
        np.testing.assert_array_equal(mask, expected)
    part = run.examples([2, 0])
    for name in ("inputs", "target", "attention", "outputs", "mask"):
        np.testing.assert_array_equal(getattr(part, name), np.asarray(getattr(run, name))[[2, 0]])
    np.testing.assert_array_equal(part.masks["decoder_0"], (TARGET != 0)[[2, 0]])
    assert set(run.measure(study.saturation)) == {"encoder_0", "decoder_0"}


def test_study_run_of_real_values_with_a_mask_and_edits():
    model = MODELS["real-valued"]
    (source, target), options = batch(model)
    mask = options["source_mask"]
    edits = {"decoder_0": study.clamp("forget", 0.5)}
    run = study.run(model, weights(model), source, mask, edits, target=np.nan_to_num(target))
    np.testing.assert_array_equal(run.masks["encoder_0"], mask)
    assert run.masks["decoder_0"] is None  # numbers have no padding of their own
    np.testing.assert_array_equal(run["decoder_0", "forget"], 0.5)
    assert run.attention.shape == (B, T, S)
    plain = MODELS["plain"]
    source, target = batch(plain)[0]
    assert study.run(plain, weights(plain), source, target=target).attention is None


def test_study_prints_and_draws_a_run(run, tmp_path):
    printed = repr(run)
    assert printed.startswith("Run of 4 examples, 6 steps, 38% of the steps real")
    assert [line.split()[0] for line in printed.splitlines()[-2:]] == ["encoder_0", "decoder_0"]
    page = study.inspect(run, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "decoder_0" in page
    figure = plots.plot_attention(run, 1, source="abcdef", target="vwxyz")
    panel, *_ = figure.axes
    drawn = panel.images[0].get_array() if panel.images else panel.collections[0].get_array()
    small(np.asarray(drawn).reshape(4, 3), run.attention[1, :4, :3])
    assert [tick.get_text() for tick in panel.get_xticklabels()] == list("abc")
    assert [tick.get_text() for tick in panel.get_yticklabels()] == list("vwxy")
    counted, *_ = plots.plot_attention(run, 2).axes
    assert [tick.get_text() for tick in counted.get_xticklabels()] == ["0"]
    plots.plot_attention(run, 3)  # nothing was read


def test_study_does_not_take_a_mask_of_the_source_for_the_target():
    """Also where both have as many steps."""
    run = study.run(MODEL, weights(MODEL), SOURCE[:, :T], target=TARGET)
    contents = payload(run, max_bytes=10**9)
    for series, mask in (
        (contents["inputs"], run.mask),
        (contents["outputs"][0], run.masks["decoder_0"]),
    ):
        found = [np.frombuffer(base64.b64decode(row), np.uint8) for row in series["masked"]]
        np.testing.assert_array_equal(np.array(found, bool), ~np.asarray(mask))
    own = {layer["name"]: layer["own_steps"] for layer in contents["layers"]}
    assert all(own[name] == name.startswith("decoder") for name in own)
    assert (contents["inputs"]["own_steps"], contents["outputs"][0]["own_steps"]) == (False, True)


def test_errors_of_drawing_attention(run):
    for options, message in (
        ({"source": "ab"}, "source has 2 names but the last step drawn is number 3"),
        ({"target": "abc"}, "target has 3 names but the last step drawn is number 4"),
        ({"example": 4}, "there is no example 4: examples are 0 to 3"),
    ):
        with pytest.raises(ValueError, match=message):
            plots.plot_attention(run, **{"example": 1, "source": "abc", "target": "abcd"} | options)
    holes = replace(run, mask=np.arange(S) == np.full((B, 1), 4))
    with pytest.raises(ValueError, match="source has 4 names but the last step drawn is number 5"):
        plots.plot_attention(holes, source="abcd")
    with pytest.raises(ValueError, match="run has no attention to draw: use a model such as"):
        plots.plot_attention(replace(run, attention=None))
