"""Tables of many columns: figures, pages and lines stay readable, and note what they omit."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from command import call
from matplotlib.figure import Figure

from lstmcore import forecasting
from lstmcore.apps.anomalies import Event, Threshold, report
from lstmcore.apps.forecasting.verdict import summary
from lstmcore.formatting import few, listed, shorten
from lstmcore.series import Table
from lstmcore.study import plots
from lstmcore.study.plots import style

WIDE = 120
NAMES = [f"sensor_{number}" for number in range(WIDE)]
LETTERS = 500  # most in a line of the terminal


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("wide") / "wide.csv"
    numbers = np.random.default_rng(0).normal(size=(60, WIDE)).round(2)
    numbers[:, 7] = 1  # never changes
    days = np.datetime64("2024-01-01") + np.arange(60)
    rows = (",".join(map(str, [day, *row])) for day, row in zip(days, numbers, strict=True))
    path.write_text("\n".join([",".join(["date", *NAMES]), *rows]) + "\n")
    return path


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("command", "options"),
    [("fit", ()), ("anomalies", ()), ("forecast", ("--horizon", 2))],
    ids=["fit", "anomalies", "forecast"],
)
def test_each_command_reads_a_wide_table(command, options, table, tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(
        "rich.console.Console.print",
        lambda _, *parts, **__: lines.extend(map(str, parts)),
    )
    run = call(command, table, "--window", 6, "--units", 2, "--epochs", 1, *options,
               "-o", tmp_path / "run")  # fmt: skip
    assert run.exit_code == 0
    assert max(map(len, " \n".join(lines).split("\n"))) < LETTERS
    assert "sensor_0, sensor_1, sensor_2" in "".join(lines)
    assert "sensor_50" not in "".join(lines)
    for picture in run.folder.glob("*.png"):
        assert picture.stat().st_size < 2**20
    for page in run.folder.glob("*.html"):
        assert page.stat().st_size < 1_500_000
        text = re.sub(r"<script.*?</script>", "", page.read_text(encoding="utf-8"), flags=re.S)
        assert len(text) < 2**17
        assert re.search(r"Of 120 (columns|targets) (the first )?\d", text)


def draw_output(columns, axes=None):
    rows = np.zeros((3, columns))
    return plots.plot_output(rows, rows, NAMES[:columns], axes=axes)


def draw_anomalies(columns, axes=None):
    return plots.plot_anomalies(
        np.zeros((3, columns)), np.ones(3), 2.0, [], columns=NAMES[:columns], axes=axes
    )


@pytest.mark.parametrize(("draw", "more"), [(draw_output, 0), (draw_anomalies, 1)])
def test_pictures_of_many_columns_show_the_first_and_say_so(draw, more):
    figure = draw(100)
    assert len(figure.axes) == 12 + more
    assert [axes.get_ylabel() for axes in figure.axes][:12] == NAMES[:12]
    assert figure.get_supxlabel() == "the first 12 of 100 columns"
    assert figure.get_figheight() < 30
    assert draw(12).get_supxlabel() == ""
    own = Figure()
    axes = own.subplots(14 + more)  # the caller's panels are all drawn into
    assert draw(14, axes) is own
    assert [panel.get_ylabel() for panel in axes][:14] == NAMES[:14]


def found(shares, events):
    data = Table(tuple(NAMES), np.zeros((5, WIDE)), range(5))
    result = SimpleNamespace(
        contributions=shares, events=events, threshold=Threshold(1.0, "maximum")
    )
    return report.ReportData("wide.csv", data, None, result, None, [])


def test_a_report_draws_the_columns_that_the_events_are_in():
    shares = np.zeros((5, WIDE))
    shares[1, 100], shares[3, 110] = 0.9, 0.8
    events = [Event(1, 2, 1, 5.0), Event(3, 4, 3, 9.0)]
    assert report.drawn_columns(found(shares, events)) == [0, 1, 2, 3, 100, 110]
    assert report.drawn_columns(found(shares, [])) == [0, 1, 2, 3, 4, 5]
    assert report.drawn_columns(found(np.full((5, WIDE), np.nan), events)) == [0, 1, 2, 3, 4, 5]


@pytest.mark.thorough
def test_sentences_and_reports_of_many_targets_stay_short():
    settings = forecasting.Settings(window=2, horizon=1, units=1, epochs=1)
    trained = forecasting.train(np.random.default_rng(0).normal(size=(60, 40)), settings=settings)
    evaluation = trained.evaluate(np.random.default_rng(0).normal(size=(60, 40)))
    said = summary(evaluation)
    assert len(said) == 9  # the last two are on the interval and the lag check
    assert max(map(len, said)) < 500
    assert re.match(r"For (\d+|none) of 40 targets .*the model.* shown to be better", said[0])
    printed = str(evaluation)
    assert "column_9: 9 forecasts of 1 row" in printed
    assert "column_10" not in printed
    assert "... and 30 more targets: see scores" in printed


def test_heat_maps_of_many_steps_take_little_memory():
    panel = Figure().subplots()
    values = np.tile([0.0, 1.0], 150_000)[None]
    image = style.heat_map(panel, values, style.FRACTION)
    assert image.get_array().nbytes < 2**27
    np.testing.assert_allclose(image.get_array(), 0.5, atol=0.1)  # means, not samples
    assert image.get_extent()[1] == 300_000 - 0.5  # steps are counted as before
    values[:, : 2**16] = np.nan
    image = style.heat_map(panel, values, style.FRACTION)
    assert np.ma.getmaskarray(image.get_array()).mean() == pytest.approx(2**16 / 300_000, abs=0.01)


def test_attention_between_long_texts_has_a_size_that_can_be_drawn():
    weights = np.full((1, 500, 400), 1 / 400)
    run = SimpleNamespace(
        attention=weights,
        inputs=np.zeros((1, 400)),
        mask=None,
        masks={"decoder_0": None},
        decoder=("decoder_0",),
    )
    figure = plots.plot_attention(run)
    assert max(figure.get_size_inches()) < 30
    assert len(figure.axes[0].get_xticks()) <= 80
    assert figure.axes[0].get_xticklabels()[1].get_text() == "5"


def test_names_in_summary():
    assert listed(["a"] * 9) == "a, a, a and 6 more"
    assert len(listed(["x" * 1000] * 3)) < 150
    assert few(["x" * 100], most=1) == "x" * 31 + "…"
    assert shorten("x" * 100, 5) == "xxxx…"
