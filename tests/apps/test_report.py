"""Reports: pages that need no network, and figures which show what they were given."""

import re

import jax
import numpy as np
import pytest
from browsing import assert_sound, open_file
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import lstmcore as lc
from lstmcore import series, study
from lstmcore.apps.report import figures, page, series_data

numbers = st.floats(-10, 10) | st.just(np.nan)
LABELS = [f"2026-01-{day:02}" for day in range(1, 31)]


@given(arrays(float, st.integers(0, 200), elements=numbers), st.sampled_from([2, 6, 50]))
def test_a_thinned_line_keeps_its_extremes(values, most):
    chosen = series_data.thin(values, most)
    assert len(chosen) <= most
    assert (np.diff(chosen) > 0).all()
    if len(values) <= most:
        assert len(chosen) == len(values)
    elif not np.isnan(values).all():
        assert np.nanmax(values[chosen]) == np.nanmax(values)
        assert np.nanmin(values[chosen]) == np.nanmin(values)


def a_series():
    rows, values = np.arange(30), np.sin(np.arange(30.0))
    panels = [
        series_data.Panel(
            "load",
            [
                series_data.Curve("true", rows, values),
                series_data.Curve("model", rows[20:], values[20:]),
            ],
            [series_data.Band("80 %", rows[20:], values[20:] - 1, values[20:] + 1)],
        ),
        series_data.Panel("score", [series_data.Curve("score", rows, values**2)], level=0.9),
    ]
    return figures.series(
        panels, series_data.Axis(LABELS), [series_data.Span(3, 5, "event", "#D55E00")]
    )


def test_a_series_shows_curves_bands_level_and_spans():
    figure = a_series()
    by_name = {trace.name: trace for trace in figure.data if trace.name}
    assert list(by_name) == ["80 %", "true", "model", "score", "event"]
    np.testing.assert_allclose(by_name["true"].y, np.sin(np.arange(30)), rtol=1e-6)
    assert by_name["model"].x[0] == "2026-01-21"
    assert by_name["score"].yaxis == "y2"
    span, level = sorted(figure.layout.shapes, key=lambda shape: shape.type, reverse=True)
    assert (span.x0, span.x1) == ("2026-01-04", "2026-01-06")
    assert (level.y0, level.yref) == (0.9, "y2")


def test_a_figure_opens_on_the_rows_shown():
    rows, values = np.arange(30), np.arange(30.0)
    panel = series_data.Panel("load", [series_data.Curve("true", rows, values)])
    figure = figures.series([panel], series_data.Axis(LABELS), shown=(10, 21))
    assert figure.layout.xaxis.range == ("2026-01-11", "2026-01-21")
    low, high = figure.layout.yaxis.range
    assert low < 10 < 20 < high < 22
    assert len(figure.data[0].x) == 30  # all is there, to zoom out to


@given(st.integers(5000, 20_000), st.integers(0, 19_000), st.integers(1, 3000))
def test_a_long_line_is_drawn_in_full_where_one_looks_closer(length, first, shown):
    stop = min(first + shown, length)
    curve = series_data.Curve(
        "true", np.arange(length), np.random.default_rng(0).normal(size=length)
    )
    chosen = series_data.points(curve, [(first, stop)])
    assert (np.diff(chosen) > 0).all()
    assert set(range(first, stop)) <= set(chosen.tolist())
    assert set(series_data.thin(curve.values)) <= set(chosen)
    assert len(chosen) <= series_data.MOST_POINTS + shown


@pytest.mark.parametrize(
    ("labels", "places"),
    [
        (["20240131", "20240201"], ["2024-01-31T00:00:00", "2024-02-01T00:00:00"]),
        (["2024-01-31 12:00:00.5", "2024-01-31 12:00:01"],
         ["2024-01-31T12:00:00.500000", "2024-01-31T12:00:01.000000"]),
        (["1700", "1701.5"], [1700.0, 1701.5]),
        (["3", "2"], range(2)),
        (["a", "a"], range(2)),
        (["2024-01-31", "soon"], range(2)),
        (range(4, 6), range(2)),
    ],
)  # fmt: skip
def test_the_time_axis_has_a_place_for_each_row(labels, places):
    axis = series_data.time_axis(labels, "when")
    assert axis.places == places
    assert axis.title == ("row, counted from 0" if places == range(2) else "when")


def test_the_time_axis_of_a_zone_is_that_of_utc():
    labels = ["27.10.2024 01:00", "27.10.2024 02:00", "27.10.2024 02:00", "27.10.2024 03:00"]
    times = series.check_times(labels, time_zone="Europe/Berlin")
    assert series_data.time_axis(labels, "when").title == "row, counted from 0"
    axis = series_data.time_axis(times.labels, "when")
    assert axis.title == "when (UTC)"
    assert axis.places == [f"2024-10-{day}:00:00" for day in ("26T23", "27T00", "27T01", "27T02")]


def test_names_are_no_html_in_figures(browser, tmp_path):
    name = "<b>x</b><a href='http://nowhere'>y</a></script> &quot;\"<br>&lt; $^$"
    flat = np.arange(30), np.ones(30)
    panel = series_data.Panel(
        name, [series_data.Curve(name, *flat), series_data.Curve("other", *flat)]
    )
    drawn = figures.series([panel], series_data.Axis(LABELS, name))
    path = page.write(tmp_path / "page.html", name, [page.figure(drawn, name)])
    opened = open_file(browser, path, ".main-svg")
    assert opened.locator(".annotation-text").text_content() == name
    assert opened.locator(".xtitle").text_content() == name
    assert opened.locator(".legendtext").first.text_content() == name
    assert opened.locator("a[href^='http://nowhere']").count() == 0
    assert_sound(opened)


def test_gates_are_those_of_the_run_by_length_of_memory():
    model = lc.StackedLSTM(features=1, units=5, outputs=1)
    x = jax.random.normal(jax.random.key(1), (2, 30, 1))
    run = study.run(model, model.init(jax.random.key(0)), x)
    above = series_data.Panel("load", [series_data.Curve("true", np.arange(30), np.ones(30))])
    figure = figures.gates(run, "lstm_0", 1, range(30), series_data.Axis(LABELS), above=[above])
    maps = [trace for trace in figure.data if trace.type == "heatmap"]
    titles = [note.text for note in figure.layout.annotations]
    assert titles == ["load", *(f"{words} of lstm_0" for words in figures.GATES.values())]
    half_life = np.array(study.time_scale(run["lstm_0"]).half_life)
    order = [int(name.split()[1]) for name in maps[0].y]
    assert (np.diff(half_life[order]) <= 0).all()
    for trace, name in zip(maps, figures.GATES, strict=True):
        np.testing.assert_allclose(trace.z, np.array(run["lstm_0", name, 1]).T[order], atol=1e-3)


def a_page(path):
    parts = [
        page.summary(["Nothing <found> & well"], good=True),
        page.heading("A & B"),
        page.paragraph("</script><script>alert(1)</script>"),
        page.listing(["one", "<two>"]),
        page.grid(["model", "MAE"], [["ours & theirs", "1,000.2"]]),
        page.figure(a_series(), "the <series>"),
    ]
    return page.write(path, "Load <of> May", parts)


def test_a_page_says_what_it_was_given_and_runs_none_of_it(tmp_path):
    text = a_page(tmp_path / "page.html").read_text(encoding="utf-8")
    words = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert "<title>Load &lt;of&gt; May</title>" in words
    assert '<div class="summary good"><p>Nothing &lt;found&gt; &amp; well</p></div>' in words
    assert "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in words
    assert '<td class="word">ours &amp; theirs</td><td class="number">1,000.2</td>' in words
    assert "<figcaption>the &lt;series&gt;</figcaption>" in words
    assert "<li>&lt;two&gt;</li>" in words


def test_a_page_draws_in_a_browser_without_a_network(browser, tmp_path):
    opened = open_file(browser, a_page(tmp_path / "a page, é.html"), ".main-svg")
    assert opened.locator(".scatterlayer .trace").count() >= 4
    assert "event" in opened.locator(".legend").text_content()
    assert_sound(opened)


def test_what_is_smuggled_into_a_page_does_not_run(browser, tmp_path):
    """As if something had not been escaped: the browser runs the page's own scripts alone."""
    path = a_page(tmp_path / "page.html")
    smuggled = (
        "<script>document.title = 'run'</script><img src='data:,' onerror='document.title = 1'>"
        "<img src='http://nowhere/picture'><script src='http://nowhere/script'></script>"
    )
    path.write_text(path.read_text("utf-8").replace("</main>", f"{smuggled}</main>"), "utf-8")
    opened = open_file(browser, path, ".main-svg")
    assert opened.title() == "Load <of> May"
    refused = [trouble for trouble in opened.troubles if "Content Security Policy" in trouble]
    for culprit in ("http://nowhere/picture", "http://nowhere/script", "inline event handler"):
        assert any(culprit in trouble for trouble in refused)


def test_equal_pages_are_equal_files(tmp_path):
    one, other = (a_page(tmp_path / name).read_bytes() for name in ("one.html", "other.html"))
    assert one == other


def test_control_characters_are_shown(tmp_path):
    name = "caf\udce9 \x1b[31m\u202e"
    drawn = figures.series(
        [series_data.Panel(name, [series_data.Curve(name, np.arange(3), np.ones(3))])],
        series_data.Axis(range(3)),
    )
    parts = [page.grid([name], [[name]]), page.summary([name], good=True)]
    parts.append(page.figure(drawn, name))
    text = page.write(tmp_path / "page.html", name, parts).read_text(encoding="utf-8")
    assert text.count(r"caf\xe9 \x1b[31m\u202e") >= 6
    assert "\x1b" not in text


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        page.write(tmp_path / "nowhere" / "page.html", "title", [])
    assert list(tmp_path.iterdir()) == []
