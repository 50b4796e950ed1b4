"""Results in a notebook: tables and plots without scripts, data frames, completions."""

from html.parser import HTMLParser
from io import BytesIO

import jax
import jax.numpy as jnp
import nbclient
import nbformat
import numpy as np
import pytest
from browsing import assert_sound, open_file
from jupyter_core.utils import run_sync
from matplotlib.image import imread

import lstmcore as lc
from lstmcore import anomalies, forecasting, study
from lstmcore.apps.anomalies.thresholds import Threshold
from lstmcore.apps.forecasting import lag_check
from lstmcore.apps.forecasting.evaluation import Evaluation, Scores
from lstmcore.display import html
from lstmcore.series.events import Event
from lstmcore.study import plots
from lstmcore.study.names import QUANTITIES

MODEL = lc.StackedLSTM(features=2, units=4, outputs=1)
PARAMS = MODEL.init(jax.random.key(0))
HISTORY = {"loss": np.array([0.5, 0.25, 0.375]), "validation_loss": np.array([0.75, 0.5, 0.25])}
TAGS = {"div", "b", "table", "thead", "tbody", "tr", "th", "td"}
TAGS |= {"svg", "title", "polyline", "rect", "line", "circle"}
FRAMES = ["pandas", "polars", "pyarrow"]


@pytest.fixture(scope="module")
def run():
    x = np.random.default_rng(0).normal(size=(3, 6, 2)).astype("float32")
    return study.run(MODEL, PARAMS, x, mask=lc.length_mask(jnp.array([6, 2, 5]), 6))


class Page(HTMLParser):
    """The texts of the cells of a table, once every tag is closed and harmless."""

    def __init__(self, text):
        super().__init__()
        self.open, self.cells, self.texts, self.plots = [], [], [], 0
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        assert tag in TAGS
        for name, value in attributes:
            assert not name.startswith("on")
            assert "url(" not in value
            assert name == "xmlns" or "//" not in value
        self.plots += tag == "svg"
        self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if self.open[-1] in ("td", "th"):
            self.cells.append(data)


def page_of(value):
    return Page(value._repr_html_())


def test_a_trace_is_a_table_with_a_plot_for_each_array(run):
    page = page_of(run["lstm_0"])
    assert page.texts[0] == "Trace"
    assert page.cells[:4] == ["shape", "dtype", "range", "mean by step"]
    assert page.cells[4:7] == ["h", "[3, 6, 4]", "float32"]
    assert "gates.forget" in page.cells
    assert page.plots == 6


def test_params_and_statistics_say_what_their_plots_show(run):
    params = page_of(PARAMS["lstm_0"])
    assert "histogram / values" in params.cells
    assert params.plots == 3
    assert "values" in page_of(study.saturation(run["lstm_0"])).cells
    assert page_of(lc.LSTMState(None, jnp.zeros((0, 3)))).cells[-3:] == ["c", "[0, 3]", "float32"]


def test_a_model_and_its_summary_are_the_same_table():
    page = page_of(MODEL)
    assert page.cells == [
        *("layer", "type", "output shape", "params"),
        *("lstm_0", "LSTM", "(None, None, 4)", "112"),
        *("head", "TimeDistributed(Dense)", "(None, None, 1)", "5"),
        *("total", "117"),
    ]
    assert page_of(lc.summary(MODEL)).cells == page.cells
    models = [
        lc.Autoencoder(2, 4),
        lc.CompositeAutoencoder(2, 4, steps=2),
        lc.DenseAutoencoder(6, 2),
        lc.Forecaster(2, 4, horizon=2),
        lc.Seq2Seq(5, 4, 3, embedding=2),
        lc.Chain([lc.chain.LSTM(4)], 2),
    ]
    assert [page_of(model).texts[0] for model in models] == [type(m).__name__ for m in models]


def test_a_run_shows_its_layers(run):
    page = page_of(run)
    assert page.texts[0] == "Run of 3 examples, 6 steps, 2 features, 72% of the steps real"
    assert page.cells[-7:-5] == ["mean f by step", "lstm_0"]
    assert page.plots == 1
    seen = []
    jax.jit(lambda run: seen.append(page_of(run).texts) or run.outputs)(run)
    assert seen == [["Run of 3 examples, 6 steps, 2 features, being traced"]]


def test_results_of_training_show_the_curves_of_their_losses():
    page = page_of(lc.FitResult(PARAMS, HISTORY))
    assert page.texts[:3] == ["FitResult", "117 params", "3 epochs"]
    assert page.cells[-10:-5] == ["loss", "0.5", "0.25", "0.375", "2"]
    assert page.plots == 2
    fitted = page_of(lc.Fitted(MODEL, PARAMS, HISTORY, {"loss": 0.2}, False))
    assert fitted.texts[:3] == ["Fitted", "loss 0.2", repr(MODEL)]
    assert page_of(lc.FitResult(PARAMS, {"loss": np.zeros(0)})).plots == 0


def forecast(**others):
    names = ("load", "<b>&</b>", "c", "d", "e")
    point = np.arange(30.0).reshape(2, 3, 5)
    return forecasting.Forecast(np.array([10, 12]), names, point, **others)


def test_a_forecast_shows_the_first_one():
    point = forecast().point
    quantiles = np.stack([point - 1, point, point + 1], axis=-1)
    page = page_of(forecast(levels=(0.1, 0.5, 0.9), quantiles=quantiles))
    assert page.texts[:2] == ["2 forecasts of 3 rows", "and 1 more target"]
    assert page.cells[:5] == ["row", "load", "0.1 quantile", "0.9 quantile", "<b>&</b>"]
    assert [page.cells[13 + 13 * row] for row in range(3)] == ["10", "11", "12"]
    assert page.plots == 12
    samples = page_of(forecast(samples=np.zeros((2, 3, 5, 7))))
    assert samples.texts[1] == "7 samples each, and 1 more target"
    none = forecasting.Forecast(np.zeros(0, int), ("load",), np.zeros((0, 3, 1)))
    assert page_of(none).texts == ["0 forecasts of 3 rows"]


def test_a_detection_shows_its_scores_and_events():
    scores = np.zeros(5000)
    scores[2000:2003] = [4, 9, 3]
    found = anomalies.DetectionResult(
        scores,
        np.ones((5000, 1)),
        Threshold(2.5, "the largest <of> all"),
        [Event(2000, 2003, 2001, 9.0)],
        anomalies.scores.largest,
    )
    page = page_of(found)
    assert page.texts[:2] == ["1 event in 5,000 rows", "threshold 2.5: the largest <of> all"]
    assert page.cells[-5:] == ["2000", "2002", "2001", "3", "9"]
    assert "stroke-dasharray" in found._repr_html_()
    assert page_of(found._replace(events=[])).cells == []
    assert "score=largest" in repr(found)


def test_a_plot_keeps_peaks_and_gaps():
    values = np.zeros(100_000)
    values[777] = 5
    values[50_000:60_000] = np.nan
    plot = html.sparkline(values, "a <label>")
    assert plot.count("<polyline") == 2
    assert ",3.0" in plot  # the peak, at the upper edge
    assert "a &lt;label&gt;: 0 to 5" in plot
    assert len(plot) < 5000
    assert html.sparkline([np.nan, np.inf], "nothing") == ""
    assert "<circle" in html.sparkline([np.nan, 1.0, np.nan], "a dot")
    assert html.array_plot(np.array([[1e308, -1e308]]))[1] == ""  # too wide to cut into bins


def test_a_long_table_is_cut():
    page = Page(html.table(["n"], [[str(n)] for n in range(1000)], words=0))
    assert len(page.cells) == 42
    assert page.cells[-1] == "… 960 more"


def columns_of(frame):
    """The columns of a frame of any library: {name: list}."""
    names = frame.column_names if hasattr(frame, "column_names") else frame.columns
    lists = {"tolist", "to_list", "to_pylist"}
    return {n: next(getattr(frame[n], f)() for f in lists if hasattr(frame[n], f)) for n in names}


@pytest.mark.parametrize("library", FRAMES)
def test_data_frames_of_every_library(library):
    result = lc.FitResult(PARAMS, HISTORY).to_frame(library)
    assert type(result).__module__.split(".")[0] == library
    expected = {"epoch": [1, 2, 3], **{name: list(values) for name, values in HISTORY.items()}}
    assert columns_of(result) == expected
    assert columns_of(lc.Fitted(MODEL, {}, HISTORY, {}, False).to_frame(library)) == expected
    assert columns_of(lc.summary(MODEL, timesteps=3).to_frame(library)) == {
        "layer": ["lstm_0", "head"],
        "type": ["LSTM", "TimeDistributed(Dense)"],
        "output_shape": ["(None, 3, 4)", "(None, 3, 1)"],
        "params": [112, 5],
    }


def test_the_frame_of_a_run_leaves_masked_steps_out(run):
    frame = run.to_frame("lstm_0")
    assert list(frame.columns) == ["example", "step", "unit", *QUANTITIES]
    assert len(frame) == (6 + 2 + 5) * 4
    example, step, unit = (frame[name].to_numpy() for name in ("example", "step", "unit"))
    assert np.unique(step[example == 1]).tolist() == [0, 1]
    for quantity in QUANTITIES:
        expected = np.asarray(run["lstm_0", quantity])[example, step, unit]
        np.testing.assert_array_equal(frame[quantity], expected)
    with pytest.raises(ValueError, match="there is no layer 'head': use one of lstm_0"):
        run.to_frame("head")


def test_the_frame_of_a_projection_has_nan_for_the_units_without_h():
    params = lc.init_lstm(jax.random.key(0), features=2, units=4, projection=3)
    projected = study.run(study.SingleLayer(), params, jnp.ones((2, 3, 2)))
    frame = projected.to_frame("lstm")
    assert frame["h"].isna().tolist() == [False, False, False, True] * 6
    assert not frame["c"].isna().any()


def evaluation(scores, lag, level=None, covered=None):
    return Evaluation(forecast().point, forecast(), {}, scores, {}, lag, None, level, covered)


def test_an_evaluation_shows_skill_coverage_and_lag_checks():
    half, whole = (Scores(*np.full((4, 5), size)) for size in (0.5, 1.0))
    truth, last = np.random.default_rng(0).normal(size=(2, 40))
    beats = lag_check(truth, truth, last)
    lag = dict.fromkeys(forecast().targets, ())
    lag |= {"load": tuple(beats._replace(step=step) for step in (1, 2, 3))}
    page = page_of(evaluation({"model": half, "naive": whole}, lag))
    assert page.cells[7:21:7] == ["load", "load"]
    assert page.cells[13:21:7] == ["0.50", "0.00"]
    assert page.texts[-5:-3] == [
        "load: 1 ahead: beats persistence; 3 ahead: beats persistence",
        "<b>&</b>: no lag check: it needs 20 forecasts whose truth is known",
    ]
    covered = page_of(evaluation({"naive": whole}, lag, 0.8, np.full(5, 0.75))).texts[-1]
    assert covered == (
        "e: no lag check: it needs 20 forecasts whose truth is known; "
        "the interval of 80% covers 75% of the truth"
    )


def test_frames_of_sweeps_and_evaluations():
    sweep = study.Sweep(("layer", "gate"), {"a": np.array([1.0, 2.0])}, ("input", "forget"), 0.5)
    assert sweep.to_frame().to_dict("records") == sweep.rows()
    nothing = study.Sweep(("step",), {"a": np.zeros(0)}, ("forget",), 0.5)
    assert list(nothing.to_frame().columns) == ["layer", "metric", "effect"]
    errors = np.arange(5.0)
    scores = {
        name: Scores(errors, 2 * errors, 3 * errors, 4 * errors) for name in ("model", "naive")
    }
    whole = evaluation(scores, dict.fromkeys(forecast().targets, ()))
    frame = whole.to_frame()
    assert len(frame) == 10
    assert frame.iloc[3].tolist() == ["<b>&</b>", "naive", 1.0, 2.0, 3.0, 4.0]
    page = page_of(whole)
    assert page.texts[0] == "Evaluation of 2 forecasts of 3 rows"
    assert page.cells[:7] == ["target", "forecast", "MAE", "RMSE", "sMAPE", "MASE", "skill"]
    assert page.cells[21:28] == ["<b>&</b>", "model", "1", "2", "3", "4", "0.00"]
    by_fold = {name: Scores(*[np.stack([errors, errors + 1])] * 4) for name in scores}
    backtest = forecasting.Backtest(
        np.array([10, 13]), forecast().targets, forecast().point, {}, by_fold, scores, None, None
    )
    frame = backtest.to_frame()
    assert list(frame.columns) == ["origin", "target", "forecast", *Scores._fields]
    assert frame.iloc[10].tolist() == [13, "load", "model", 1.0, 1.0, 1.0, 1.0]
    assert page_of(backtest).texts[0] == "Backtest of 2 folds, horizon 3"


@pytest.mark.parametrize("result", [lc.FitResult(PARAMS, HISTORY), lc.summary(MODEL)])
def test_an_unknown_library_is_refused(result):
    with pytest.raises(ValueError, match=r"library must be 'pandas', 'polars' or .*, got 'x'"):
        result.to_frame("x")


def test_a_figure_is_an_image_of_its_size(run):
    figure = plots.plot_gates(run, "lstm_0", 0)
    image = imread(BytesIO(figure._repr_png_()))
    width, height = figure.get_size_inches() * figure.dpi
    assert image.shape[:2] == (int(height), int(width))
    assert np.ptp(image[..., :3]) > 0.5  # not blank


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_draws_plots_in_the_colour_of_the_text(browser, tmp_path, run, scheme):
    path = tmp_path / "trace.html"
    head = "<!doctype html><meta charset='utf-8'><meta name='color-scheme' content='light dark'>"
    path.write_text(head + run["lstm_0"]._repr_html_(), encoding="utf-8")
    page = open_file(browser, path, "polyline", scheme=scheme)
    style = "e => (s => [s.color, s.stroke, s.backgroundColor])(getComputedStyle(e))"
    cell = page.locator("td").first.evaluate(style)
    line = page.locator("polyline").first.evaluate(style)
    assert_sound(page)
    colour = {"light": "rgb(0, 0, 0)", "dark": "rgb(255, 255, 255)"}[scheme]
    assert (cell[0], line[1]) == (colour, colour)
    assert cell[2] == line[2] == "rgba(0, 0, 0, 0)"


CELLS = [
    "import jax, jax.numpy as jnp, lstmcore as lc\n"
    "from lstmcore import study\n"
    "model = lc.StackedLSTM(features=2, units=4, outputs=1)",
    "model",
    "lc.summary(model, timesteps=6)",
    "params = model.init(jax.random.key(0))\nparams",
    "params['lstm_0']",
    "y, traces = model.apply(params, jnp.ones((50, 40, 2)))\ntraces",
    "traces['lstm_0']",
    "run = study.run(model, params, jnp.ones((5, 6, 2)))\nrun",
    "print(traces['lstm_0'].gates)",
    "from lstmcore.study import plots\nplots.plot_gates(run, 'lstm_0', 0)",
]
TABLES = {1, 2, 4, 6, 7}  # cells whose result has a table of its own
IMAGES = {9}


def test_a_notebook_shows_tables_and_completes_names(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in CELLS])
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3")
    with client.setup_kernel():
        for place, cell in enumerate(notebook.cells):
            client.execute_cell(cell, place)

        @run_sync
        async def completed(code):
            reply = await client.kc.complete(code, reply=True, timeout=60)
            return reply["content"]["matches"]

        assert "Autoencoder" in {match.split(".")[-1] for match in completed("lc.Auto")}
        assert any("lstm_0" in match for match in completed('run["'))
        assert any("forget" in match for match in completed('run["lstm_0", "'))
    for place, cell in enumerate(notebook.cells[1:], 1):
        (output,) = cell.outputs
        data = output.get("data", {})
        assert ("text/html" in data) == (place in TABLES)
        assert ("image/png" in data) == (place in IMAGES)
        text = output.get("text") or data["text/plain"]
        assert "Array(" not in text  # nor any other dump of numbers
        assert "..." not in text
        assert len(text.splitlines()) < 20
        if place in TABLES:
            Page(data["text/html"])
