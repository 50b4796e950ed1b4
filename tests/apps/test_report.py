"""Reports: pages that need no network, and figures which show what they were given."""

import hashlib
import re

import jax
import numpy as np
import pytest
from browsing import assert_sound, open_file
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from playwright.sync_api import expect

import lstmcore as lc
from lstmcore import series, study
from lstmcore.apps.report import figures, page, series_data
from lstmcore.io import plotlyjs
from lstmcore.study.plots import style

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
        panels,
        series_data.Axis(LABELS),
        [series_data.Span(3, 5, "event", style.DETECTED)],
        marks=[series_data.Mark(18, "odd", style.THRESHOLD)],
    )


def named(figure):
    """Return {name in the legend: (traces, shapes)}."""
    return {
        entry["name"]: (
            [figure["data"][place] for place in entry["traces"]],
            [figure["layout"]["shapes"][place] for place in entry["shapes"]],
        )
        for entry in figure["legend"]
    }


def test_a_series_shows_curves_bands_level_spans_and_marks():
    figure = a_series()
    found = named(figure)
    assert list(found) == ["true", "model", "score", "odd", "80 %", "event"]
    ((true,), _), ((model,), _), ((score,), _) = (found[n] for n in ("true", "model", "score"))
    np.testing.assert_allclose(true["y"], np.sin(np.arange(30)), rtol=1e-6)
    assert model["x"][0] == "2026-01-21"
    assert score["yaxis"] == "y2"
    (high, low), _ = found["80 %"]
    assert low["fill"] == "tonexty"
    np.testing.assert_allclose(np.subtract(high["y"], low["y"]), 2)
    (_, (span,)), (_, (mark,)) = found["event"], found["odd"]
    assert (span["x0"], span["x1"]) == ("2026-01-04", "2026-01-06")
    assert mark["x0"] == mark["x1"] == "2026-01-19"
    (level,) = [shape for shape in figure["layout"]["shapes"] if shape["yref"] == "y2"]
    assert level["y0"] == level["y1"] == 0.9


def test_a_figure_opens_on_its_first_view():
    rows, values = np.arange(30), np.arange(30.0)
    panel = series_data.Panel("load", [series_data.Curve("true", rows, values)])
    views = [series_data.View("the end", 10, 21, "end"), series_data.View("all rows", 0, 30)]
    figure = figures.series([panel], series_data.Axis(LABELS), views=views)
    assert figure["layout"]["xaxis"]["range"] == ["2026-01-11", "2026-01-21"]
    low, high = figure["layout"]["yaxis"]["range"]
    assert low < 10 < 20 < high < 22
    assert len(figure["data"][0]["x"]) == 30  # all is there, to zoom out to
    assert figure["views"][1]["ranges"] == {"xaxis": None, "yaxis": None}


def test_a_line_that_is_not_shown_is_there_to_be_asked_for(browser, tmp_path):
    rows = np.arange(30)
    curves = [
        series_data.Curve("shown", rows, rows),
        series_data.Curve("hidden", rows, -rows, shown=False, opacity=0.4),
    ]
    views = [series_data.View("all rows", 0, 30), series_data.View("the end", 20, 30, "end")]
    figure = figures.series(
        [series_data.Panel("load", curves)], series_data.Axis(LABELS), views=views
    )
    parts = [page.listing(["one", "two"], {"two": "end"}), page.figure(figure, "the series")]
    opened = open_file(browser, page.write(tmp_path / "page.html", "t", parts), ".main-svg")
    lines = opened.locator(".scatterlayer .trace")
    expect(lines).to_have_count(1)
    opened.get_by_role("button", name="hidden").click()
    expect(lines).to_have_count(2)
    assert lines.nth(1).evaluate("(line) => getComputedStyle(line).opacity") == "0.4"
    opened.get_by_role("link").click()  # to the view of the second item
    pressed = opened.locator(".views [aria-pressed=true]")
    expect(pressed).to_have_text("the end")
    assert shown_days(opened) == ("2026-01-21", "2026-01-30")
    expect(lines).to_have_count(2)
    assert_sound(opened)


def shown_days(opened):
    first, last = opened.evaluate("document.querySelector('.plot')._fullLayout.xaxis.range")
    return first[:10], last[:10]


def test_what_the_reader_has_zoomed_to_stays_until_a_view_is_chosen(browser, tmp_path):
    rows = np.arange(30)
    curves = [series_data.Curve(name, rows, rows) for name in ("one", "two")]
    views = [series_data.View("all rows", 0, 30), series_data.View("the end", 20, 30)]
    figure = figures.series(
        [series_data.Panel("load", curves)], series_data.Axis(LABELS), views=views
    )
    path = page.write(tmp_path / "page.html", "t", [page.figure(figure, "the series")])
    opened = open_file(browser, path, ".main-svg")
    pressed = opened.locator(".views [aria-pressed=true]")
    place = opened.locator(".plot").bounding_box()
    y = place["y"] + place["height"] / 2
    opened.mouse.move(place["x"] + 300, y)
    opened.mouse.down()
    opened.mouse.move(place["x"] + 700, y, steps=5)
    opened.mouse.up()
    expect(pressed).to_have_count(0)
    zoomed = shown_days(opened)
    assert "2026-01-01" < zoomed[0] < zoomed[1] < "2026-01-30"
    opened.get_by_role("button", name="two").click()
    expect(opened.locator(".scatterlayer .trace")).to_have_count(1)
    opened.emulate_media(color_scheme="dark")
    assert shown_days(opened) == zoomed
    opened.get_by_role("button", name="all rows").click()
    expect(pressed).to_have_count(1)
    assert shown_days(opened)[0] <= "2026-01-01"
    titles = [button.get_attribute("data-title") for button in opened.locator(".modebar-btn").all()]
    assert len(titles) == 6
    assert not any("cloud" in title.lower() or "share" in title.lower() for title in titles)
    assert_sound(opened)


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
    assert opened.locator(".legend button").first.text_content() == name
    assert opened.locator("a[href^='http://nowhere']").count() == 0
    assert_sound(opened)


def test_gates_are_those_of_the_run_by_length_of_memory():
    model = lc.StackedLSTM(features=1, units=5, outputs=1)
    x = jax.random.normal(jax.random.key(1), (2, 30, 1))
    run = study.run(model, model.init(jax.random.key(0)), x)
    above = series_data.Panel("load", [series_data.Curve("true", np.arange(30), np.ones(30))])
    figure = figures.gates(run, "lstm_0", 1, range(30), series_data.Axis(LABELS), above=[above])
    maps = [trace for trace in figure["data"] if trace["type"] == "heatmap"]
    titles = [note["text"] for note in figure["layout"]["annotations"]]
    assert titles == ["load", *(f"{words} of lstm_0" for words in figures.GATES.values())]
    half_life = np.array(study.time_scale(run["lstm_0"]).half_life)
    order = [int(name.split()[1]) for name in maps[0]["y"]]
    assert (np.diff(half_life[order]) <= 0).all()
    for trace, name in zip(maps, figures.GATES, strict=True):
        values = np.array(run["lstm_0", name, 1]).T[order]
        np.testing.assert_allclose(trace["z"], values, atol=1e-3)
        assert (
            trace["colorscale"][0][1]
            == style.colour_scale("RdBu_r" if name == "c" else "viridis")[0]
        )


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
    assert '<th class="number" scope="col">MAE</th>' in words
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


def test_a_page_is_small_and_names_no_address_to_fetch(tmp_path):
    path = a_page(tmp_path / "page.html")
    assert path.stat().st_size < 750_000
    text = path.read_text(encoding="utf-8")
    addresses = re.findall(r"(?:src|href)=.([^'\"]*)|url\(([^)]*)\)", text)
    assert {address for pair in addresses for address in pair if address} == {"data:,"}
    assert "@import" not in text


def test_the_code_of_plotly_is_the_published_one():
    digest = hashlib.sha256(plotlyjs.source().encode()).hexdigest()
    assert digest == plotlyjs.DIGEST
    assert "MIT" in plotlyjs.source()[:300]


def luminance(colour):
    """Return the relative luminance of "rgb(...)" (WCAG 2, section 1.4.3)."""
    channels = np.array([int(number) for number in re.findall(r"\d+", colour)[:3]]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_themes_and_colours_are_those_of_images(scheme, browser, tmp_path):
    path = a_page(tmp_path / "page.html")
    opened = open_file(browser, path, ".main-svg", scheme=scheme)
    paper = "(e) => getComputedStyle(e.closest('.summary, button') ?? document.body).background"
    for place in ("h1", "p", "li", "th", "td", "figcaption", "footer", "button", ".summary p"):
        one = opened.locator(place).first
        ink, ground = one.evaluate("(e) => getComputedStyle(e).color"), one.evaluate(paper)
        low, high = sorted([luminance(ink), luminance(ground)])
        assert (high + 0.05) / (low + 0.05) >= 4.5
        size = one.evaluate("(e) => getComputedStyle(e).fontSize")
        assert float(size.removesuffix("px")) >= 14
    assert (luminance(opened.evaluate(f"({paper})(document.body)")) < 0.1) == (scheme == "dark")
    colours = [
        line.evaluate("(e) => getComputedStyle(e).stroke")
        for line in opened.locator(".scatterlayer .js-line").all()
    ]
    expected = bytes.fromhex((style.DARK[style.DATA] if scheme == "dark" else style.DATA)[1:])
    assert f"rgb{tuple(expected)}" in colours
    swatch = opened.get_by_role("button", name="true").locator(".swatch")
    assert f"rgb{tuple(expected)}" in swatch.evaluate("(e) => getComputedStyle(e).borderTop")


def test_a_dark_page_is_printed_in_light_colours(browser, tmp_path):
    opened = open_file(browser, a_page(tmp_path / "page.html"), ".main-svg", scheme="dark")
    line = opened.locator(".annotation-text").first
    ink = [line.evaluate("(e) => getComputedStyle(e).fill")]
    for event in ("beforeprint", "afterprint"):
        opened.evaluate(f"() => {{ dispatchEvent(new Event('{event}')); }}")
        ink.append(line.evaluate("(e) => getComputedStyle(e).fill"))
    assert luminance(ink[0]) > 0.7 > 0.1 > luminance(ink[1])
    assert ink[2] == ink[0]


def test_a_figure_far_below_is_drawn_when_it_is_needed(browser, tmp_path):
    figure, text = page.figure(a_series(), "the series"), [page.paragraph("text")] * 200
    path = page.write(tmp_path / "page.html", "t", [figure, *text, figure, *text, figure])
    opened = open_file(browser, path, ".main-svg")
    drawn = [place.locator(".main-svg").first for place in opened.locator(".plot").all()]
    opened.wait_for_timeout(300)
    assert [place.count() for place in drawn] == [1, 0, 0]
    opened.locator("figcaption").nth(1).scroll_into_view_if_needed()
    expect(drawn[1]).to_be_attached()
    assert drawn[2].count() == 0
    opened.evaluate("() => { dispatchEvent(new Event('beforeprint')); }")
    expect(drawn[2]).to_be_attached()
    assert_sound(opened)


def test_a_telephone_shows_a_page_without_scrolling_sideways(browser, tmp_path):
    name = "a_long_name_of_a_column_without_a_space_" * 3
    rows = np.arange(30)
    panel = series_data.Panel(name, [series_data.Curve(name, rows, rows)])
    parts = [
        page.summary([name], good=False),
        page.grid([name, "b"], [[name, "1"]]),
        page.figure(figures.series([panel], series_data.Axis(LABELS)), name),
    ]
    path = page.write(tmp_path / "page.html", name, parts)
    opened = open_file(browser, path, ".main-svg", window=(390, 800))
    assert opened.evaluate("document.documentElement.scrollWidth") == 390
    wide = opened.locator(".wide")
    assert wide.evaluate("(e) => e.scrollWidth > e.clientWidth && e.tabIndex === 0")
    assert_sound(opened)


# How readers without one kind of cone see linear RGB (Machado et al. 2009).
VISION = {
    "all cones": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize(
    "colours", [style.COLOURS, tuple(style.DARK.values())], ids=["light", "dark"]
)
def test_colours_are_told_apart(colours, vision):
    """Far more than the difference of CIELAB that is just seen, about 2.3."""
    to_xyz = np.array([[0.434, 0.376, 0.190], [0.213, 0.715, 0.072], [0.018, 0.109, 0.873]])
    channels = np.array([list(bytes.fromhex(colour[1:])) for colour in colours]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(to_xyz @ np.clip(np.array(VISION[vision]) @ linear.T, 0.001, 1))
    lab = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
    distances = np.linalg.norm(lab[:, None] - lab, axis=-1)
    assert distances[np.triu_indices(len(colours), 1)].min() > 12


def test_one_figure_has_no_colour_twice():
    used = (style.DATA, style.MODEL, style.DETECTED, style.LABELLED)
    assert len({*used, *style.RIVALS[:3]}) == 7  # all that one figure may show
    assert set(style.RIVALS) <= set(style.DARK)


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
