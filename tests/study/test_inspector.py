"""The inspector's page: its content, its precision, what it leaves out, and its errors."""

import base64
import json
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest
from inspector_page import contents, decoded, numbers
from strategies import weights

import lstmcore as lc
from lstmcore import study
from lstmcore.study.inspector import is_page
from lstmcore.study.names import QUANTITIES, quantity_of

MODEL = lc.CompositeAutoencoder(features=2, units=(5, 3), steps=4)
NASTY = "</script><script>alert('1')</script><!-- {{plotly}} & \u2028"


def a_run(rng, examples=3, steps=6, model=MODEL, **options) -> study.Run:
    x = rng.normal(size=(examples, steps, 2)).astype("float32")
    return study.run(model, weights(model), x, **options)


@pytest.fixture(scope="module")
def run():
    return a_run(np.random.default_rng(0))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a page, é.html"


def masked(thing: dict) -> list[list[int]]:
    return [list(base64.b64decode(text)) for text in thing["masked"]]


# What is in the page.


@pytest.mark.thorough
def test_values_are_as_exact_as_the_page_says(rng, path):
    """Each unit has a range of its own: one that explodes does not blur the others."""
    run = a_run(rng)
    trace = run["encoder_0"]
    scales = 10.0 ** np.arange(-6, 4, 2)  # of the five units
    wide = trace._replace(c=trace.c * scales, h=trace.h * 0 + 0.3)
    run = replace(run, traces=run.traces | {"encoder_0": wide})
    layers = contents(study.inspect(run, path))["layers"]
    assert [layer["name"] for layer in layers] == list(run.layers)
    for layer in layers:
        for quantity in QUANTITIES:
            values = np.asarray(quantity_of(run[layer["name"]], quantity), float)
            error = np.abs(decoded(layer, quantity) - values).max(axis=(0, 1))
            assert (error <= np.ptp(values, axis=(0, 1)) / 131_068 * (1 + 1e-9)).all()


def test_inputs_and_outputs_are_kept_whole(run, path):
    page = contents(study.inspect(run, path, columns=["x", "y"]))
    np.testing.assert_array_equal(numbers(page["inputs"]), run.inputs)
    assert [output["title"] for output in page["outputs"]] == ["reconstruction", "prediction"]
    for series, output in zip(page["outputs"], run.outputs, strict=True):
        np.testing.assert_array_equal(numbers(series), output)
        assert series["names"] == ["x", "y"]


def test_units_are_ordered_by_their_memory(rng, path):
    remember = study.clamp("forget", np.array([0.2, 0.9, 0.5]), units=[0, 1, 2])
    run = a_run(rng, edits={"encoder_1": remember})
    layer = contents(study.inspect(run, path, layers=["encoder_1"]))["layers"][0]
    assert layer["order"] == [1, 2, 0]
    np.testing.assert_allclose(layer["keep"], [0.2, 0.9, 0.5], rtol=1e-5)
    assert layer["half_life"][2] == pytest.approx(1, rel=1e-5)


def test_colours_of_gates_reach_from_0_to_1_and_others_are_centred(run, path):
    for layer in contents(study.inspect(run, path))["layers"]:
        for quantity in QUANTITIES:
            limits = layer["quantities"][quantity]["limits"]
            if quantity in ("input", "forget", "output"):
                assert limits == [0, 1]
            else:
                largest = float(np.abs(quantity_of(run[layer["name"]], quantity)).max())
                assert limits == [-largest, largest]


def test_an_edit_that_leaves_the_range_widens_the_colours(rng, path):
    run = a_run(rng, edits={"encoder_0": study.clamp("input", 3.0, units=[1])})
    layer = contents(study.inspect(run, path))["layers"][0]
    assert layer["quantities"]["input"]["limits"] == [0, 3]


def test_masked_steps_are_marked_and_do_not_count(rng, path):
    mask = np.array(lc.length_mask(np.array([6, 4, 1]), 6))
    run = a_run(rng, mask=mask)
    page = contents(study.inspect(run, path))
    layers = {layer["name"]: layer for layer in page["layers"]}
    expected = (~mask).astype(int).tolist()
    assert masked(layers["encoder_0"]) == masked(page["inputs"]) == expected
    assert masked(page["outputs"][0]) == expected
    assert layers["prediction_0"]["masked"] is None  # it has steps of its own
    assert page["outputs"][1]["masked"] is None
    # Where masked, gates are 0, which is no gate that the layer had.
    assert layers["encoder_0"]["quantities"]["forget"]["extent"][0] > 0.05


def test_what_is_not_finite_is_a_gap_with_a_note(rng, path):
    run = a_run(rng)
    c = np.array(run["encoder_0"].c)
    c[0, 3:, 1], c[1, 2, 2] = np.nan, -np.inf
    broken = run["encoder_0"]._replace(c=c)
    inputs = np.array(run.inputs)
    inputs[0, 0, 0] = np.inf
    run = replace(run, inputs=inputs, traces=run.traces | {"encoder_0": broken})
    page = contents(study.inspect(run, path))
    values = decoded(page["layers"][0], "c")
    np.testing.assert_array_equal(np.isnan(values), ~np.isfinite(c))
    np.testing.assert_allclose(values[np.isfinite(c)], c[np.isfinite(c)], atol=1e-4)
    assert page["notes"] == ["encoder_0: 4 of 90 values of c are NaN or infinite, shown as gaps."]
    np.testing.assert_array_equal(numbers(page["inputs"]), inputs)


def test_a_layer_without_any_finite_value_can_be_shown(run, path):
    nan = jax.tree.map(lambda leaf: leaf * np.nan, run["encoder_1"])
    run = replace(run, traces=run.traces | {"encoder_1": nan})
    layer = contents(study.inspect(run, path, layers="encoder_1"))["layers"][0]
    assert np.isnan(decoded(layer, "forget")).all()
    assert layer["keep"] == [None] * 3
    assert sorted(layer["order"]) == [0, 1, 2]
    assert layer["quantities"]["c"]["limits"] == [-1, 1]


def test_a_model_with_outputs_of_another_kind(rng, path):
    class Classifier:
        def apply(self, params, x, *, mask=None, edits=None):
            state, trace = lc.lstm(params, x, mask=mask)
            return state.h, {"lstm": trace}

    params = lc.init_lstm(jax.random.key(0), 2, 3)
    page = contents(study.inspect(study.run(Classifier(), params, np.ones((2, 4, 2))), path))
    assert page["outputs"] == page["notes"] == []
    (result,) = page["results"]
    expected = study.run(Classifier(), params, np.ones((2, 4, 2))).outputs
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_an_output_of_other_axes_is_not_shown(run, path):
    page = contents(study.inspect(replace(run, outputs=np.ones((3, 6, 2, 1))), path))
    assert page["outputs"] == page["results"] == []
    assert "Not shown: an output of shape (3, 6, 2, 1), which is neither" in page["notes"][0]


@pytest.mark.thorough
def test_a_projected_h_is_not_shown_per_unit(path):
    params = lc.init_lstm(jax.random.key(0), 2, 4, projection=3)
    run = study.run(study.SingleLayer(), params, np.ones((2, 5, 2), "float32"))
    page = contents(study.inspect(run, path))
    assert list(page["layers"][0]["quantities"]) == [name for name in QUANTITIES if name != "h"]
    assert page["notes"] == [
        "lstm: h is not shown: it is a projection to 3 numbers, which belong to no unit."
    ]


def test_tokens_are_one_column(run, path):
    tokens = np.arange(18, dtype="int32").reshape(3, 6)
    page = contents(study.inspect(replace(run, inputs=tokens), path))
    np.testing.assert_array_equal(numbers(page["inputs"])[:, :, 0], tokens)
    assert page["inputs"]["names"] == ["token id"]
    assert page["inputs"]["holds_ids"]
    one = replace(run, inputs=tokens, outputs=np.zeros((3, 6, 1), "float32"))
    page = contents(study.inspect(one, path))
    assert page["outputs"][0]["names"] == ["0"]  # which are no tokens
    assert not contents(study.inspect(run, path))["inputs"]["holds_ids"]


def test_a_page_is_recognised_by_its_head(run, path):
    path.write_text("<!doctype html>\n<meta name=generator content=other>")
    assert not is_page(path)
    assert is_page(study.inspect(run, path, title="x" * 5000))


@pytest.mark.parametrize("per_example", [True, False])
def test_steps_can_be_named(per_example, run, path):
    years = np.arange(1700, 1706)
    labels = [years + 10 * k for k in range(3)] if per_example else years
    shown = contents(study.inspect(run, path, labels=labels))["labels"]
    expected = [[str(year) for year in row] for row in np.atleast_2d(labels)]
    assert shown == expected


def test_text_may_be_strings_or_tokens_and_end_where_padding_starts(rng, path):
    mask = np.array(lc.length_mask(np.array([6, 2]), 6))
    run = a_run(rng, examples=2, mask=mask)
    page = contents(study.inspect(run, path, text=["a\nb\tc<", ["two", "words"]]))
    assert page["text"] == [list("a\nb\tc<"), ["two", "words"]]


# Words of the user.


def test_no_word_of_the_user_can_break_the_page(run, path):
    def scripts(word):
        study.inspect(
            run,
            path,
            title=word,
            text=[[word] * 6] * 3,
            labels=[word] * 6,
            columns=[word, "y"],
            xlabel=word,
        )
        text = path.read_text("utf-8")
        return text.count("<script"), text.count("</script"), text.count("<!--")

    assert scripts(NASTY) == scripts("harmless")
    study.inspect(run, path, title=NASTY, columns=[NASTY, "y"], xlabel=NASTY)
    assert contents(path)["inputs"]["names"] == [NASTY, "y"]
    assert contents(path)["xlabel"] == NASTY
    assert "&lt;/script&gt;&lt;script&gt;alert(&#x27;1&#x27;)" in path.read_text("utf-8")


# What does not fit.


def test_nothing_is_left_out_of_a_small_run(run, path):
    page = contents(study.inspect(run, path))
    assert page["notes"] == []
    assert page["examples"] == 3


def test_examples_are_left_out_first_and_the_page_says_so(run, path):
    whole = len(json.dumps(contents(study.inspect(run, path))))
    labels, text = [list("abcdef")] * 3, ["abcdef"] * 3
    page = contents(study.inspect(run, path, max_bytes=4_000, labels=labels, text=text))
    assert page["examples"] == 1
    assert page["notes"][0].startswith("Shows the first 1 of 3 examples: all would need 6.7 kB")
    assert [len(page[name]) for name in ("labels", "text")] == [1, 1]
    assert len(page["inputs"]["values"]) == len(page["layers"][0]["quantities"]["c"]["codes"]) == 1
    assert [layer["name"] for layer in page["layers"]] == list(run.layers)
    assert len(json.dumps(page)) < whole


def test_then_layers_and_the_page_says_so(run, path):
    page = contents(study.inspect(run, path, max_bytes=1_000))
    assert page["examples"] == 1
    assert [layer["name"] for layer in page["layers"]] == ["encoder_0", "encoder_1"]
    assert page["notes"][1].startswith("Leaves out reconstruction_0, reconstruction_1, prediction")


@pytest.mark.thorough
def test_the_numbers_keep_to_the_budget(rng, path):
    run = a_run(rng, examples=64, steps=50)
    for budget in (80_000, 300_000):
        page = contents(study.inspect(run, path, max_bytes=budget))
        arrays = [series["values"] for series in (page["inputs"], *page["outputs"])]
        for layer in page["layers"]:
            arrays += [quantity["codes"] for quantity in layer["quantities"].values()]
        size = sum(len(text) for array in arrays for text in array)
        assert 0.5 * budget < size <= 1.05 * budget  # base64 rounds up to four letters
        assert 1 <= page["examples"] < 64


@pytest.mark.thorough
def test_time_scales_are_those_of_the_whole_run(rng, path):
    run = a_run(rng)
    page = contents(study.inspect(run, path, max_bytes=4_000))
    expected = np.asarray(study.time_scale(run["encoder_0"]).keep)
    np.testing.assert_allclose(page["layers"][0]["keep"], expected)


# Errors.

MISTAKES = {
    "layer": ({"layers": ["encoder_9"]}, "no layer 'encoder_9': use one of encoder_0, encoder_1"),
    "no layers": ({"layers": []}, "layers is empty: name some of encoder_0"),
    "columns": ({"columns": ["x"]}, r"columns must be 2 names, .* got \['x'\]"),
    "columns, a word": ({"columns": "xy"}, "columns must be 2 names, .* got 'xy'"),
    "labels": ({"labels": range(5)}, r"labels must name the 6 steps, .* got 5 names"),
    "labels of examples": ({"labels": [range(6)] * 2}, r"\[3\]\[6\], got 2 lists"),
    "labels of steps": ({"labels": [range(5)] * 3}, r"\[3\]\[6\], got 3 lists"),
    "text of examples": ({"text": ["abcdef"]}, "one entry for each of 3 examples, got 1"),
    "text, one string": ({"text": "abc"}, "each of 3 examples, got one string"),
    "text too long": ({"text": ["abcdefg"] * 3}, "text of example 0 has 7 tokens but .* 6 steps"),
    "text too short": ({"text": ["abcdef", "abc", ""]}, "text of example 1 has 3 tokens"),
    "budget": (
        {"max_bytes": 500},
        r"one example of layer 'encoder_0' needs 0.7 kB but max_bytes is 0.5 kB: raise it",
    ),
}


@pytest.mark.parametrize(("options", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(options, message, run, path):
    with pytest.raises(ValueError, match=message):
        study.inspect(run, path, **options)
    assert not path.exists()


@pytest.mark.parametrize("shape", [(0, 6), (3, 0)])
def test_a_run_of_nothing(shape, rng, path):
    nothing = a_run(rng, *shape, model=lc.StackedLSTM(2, 3, 1))
    with pytest.raises(ValueError, match=r"run has no step to show: its inputs have shape \("):
        study.inspect(nothing, path)


def test_a_trace_is_no_run(run, path):
    with pytest.raises(TypeError, match=r"run must be a study\.Run, got Trace: make one with"):
        study.inspect(run["encoder_0"], path)


def test_a_folder_is_no_page(run, tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder: name a file in it"):
        study.inspect(run, tmp_path)


def test_a_folder_that_does_not_exist(run, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere; make it first"):
        study.inspect(run, tmp_path / "nowhere" / "page.html")


def test_an_old_page_stays_until_the_new_one_is_complete(run, path, monkeypatch):
    study.inspect(run, path, title="old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        study.inspect(run, path, title="new")
    assert "<title>old</title>" in path.read_text("utf-8")
    assert list(path.parent.iterdir()) == [path]


def test_matplotlib_is_asked_for_by_name(run, path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lstmcore.study.plots", None)
    with pytest.raises(ImportError, match="the inspector needs the package matplotlib: pip"):
        study.inspect(run, path)
    assert not path.exists()
