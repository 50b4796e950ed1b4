"""The inspector's page in a real browser: clicks, keys and what appears."""

import re
from dataclasses import replace

import jax
import numpy as np
import pytest
from browsing import assert_sound, open_file
from playwright.sync_api import expect

import lstmcore as lc
from lstmcore import study
from lstmcore.study.names import quantity_of
from lstmcore.study.plots import style

pytestmark = pytest.mark.thorough

TEXTS = ["ab c\nde\t<b>&</b>", "</script>", "x", ""]
STEPS, PLANTED = 16, 3  # the unit whose output gate opens at steps 4 to 8
EXACT = 2e-4  # of a value that the page shows with four digits


@pytest.fixture(scope="module")
def run() -> study.Run:
    """A composite autoencoder on four examples of unequal length, with one unit planted."""
    x = np.random.default_rng(0).normal(size=(4, STEPS, 2)).astype("float32")
    model = lc.CompositeAutoencoder(features=2, units=(6, 4), steps=5)
    mask = lc.length_mask(np.array([16, 9, 1, 0]), STEPS)
    planted = study.clamp("output", 0.97, units=[PLANTED], steps=slice(4, 9))
    params = model.init(jax.random.key(0))
    return study.run(model, params, x, mask=mask, edits={"encoder_0": planted})


def test_what_is_smuggled_into_a_page_does_not_run(browser, run, tmp_path):
    path = study.inspect(run, tmp_path / "page.html", title="a run")
    smuggled = "<script>document.title = 'run'</script>"
    path.write_text(path.read_text("utf-8").replace("</header>", f"{smuggled}</header>"), "utf-8")
    opened = open_page(browser, path)
    assert opened.title() == "a run"
    assert any("Content Security Policy" in trouble for trouble in opened.troubles)


def numbers_of(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def rgb_of(colour: str) -> list[int]:
    """Return the channels of a colour like "#d55e00"."""
    return list(bytes.fromhex(colour[1:]))


def open_page(browser, path, **options):
    return open_file(browser, path, "#values td", **options)


@pytest.fixture
def opened(browser, tmp_path):
    """Write the page of a run and open it."""
    pages = []

    def open_run(run, *, window=(1440, 900), scheme="light", **options):
        path = study.inspect(run, tmp_path / "a page, é.html", **options)
        pages.append(open_page(browser, path, window=window, scheme=scheme))
        return pages[-1]

    yield open_run
    for page in pages:
        assert_sound(page)
        page.close()


@pytest.fixture(scope="module")
def shared_page(browser, run, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    page = open_page(browser, study.inspect(run, path, columns=["speed", "load"]))
    page.evaluate("window.fresh = structuredClone(state)")
    return page


@pytest.fixture
def page(shared_page):
    """The page of `run` as it is after loading, which takes a second or two each time."""
    shared_page.mouse.move(0, 0)
    shared_page.evaluate(
        """() => {
          Object.assign(state, structuredClone(fresh));
          $("search").reset();
          $("order").selectedIndex = 0;
          for (const id of ["hold", "stretch", "zoom"]) press(id, false);
          setSpan(NaN, NaN);
          showExample(0);
          showLayer(0);
          $("plots").focus();
        }"""
    )
    yield shared_page
    assert_sound(shared_page)


def heat_map(page) -> np.ndarray:
    """[T, H] as drawn, from the top; NaN for gaps."""
    rows = page.evaluate("heat.plot.data[0].z.map((row) => Array.from(row))")
    return np.array(rows, float).T


def expected(run, layer, quantity, example=0, by_memory=True) -> np.ndarray:
    values = np.array(quantity_of(run[layer], quantity)[example], float)
    if run.masks[layer] is not None:
        values[~np.asarray(run.masks[layer][example])] = np.nan
    keep = study.time_scale(run[layer], run.masks[layer]).keep
    return values[:, np.argsort(-keep)] if by_memory else values


def row_of(page, unit) -> int:
    return page.evaluate("(unit) => order().indexOf(unit)", unit)


def cell(page, step, row, panel="heat", rows=6) -> tuple[float, float]:
    """The middle of a cell of a plot, where the mouse would point at it."""
    box = page.locator(f"#{panel} .over").bounding_box()
    x = box["x"] + box["width"] * (step + 0.5) / STEPS
    return x, box["y"] + box["height"] * (row + 0.5) / rows


def value_of(page, name) -> str:
    """Return a value in the table beside the plots."""
    cells = page.locator("#values tr", has=page.get_by_role("rowheader", name=name, exact=True))
    return cells.last.locator("td").inner_text()


def cursors(page) -> dict[str, float]:
    """Where each plot shows the cursor, in steps; plots that do not show it are left out."""
    return page.evaluate(
        """() => Object.fromEntries(panels.filter((panel) => !panel.cursor.hidden).map((panel) => {
          const [mark, area] = [panel.cursor, panel.over].map((e) => e.getBoundingClientRect());
          const middle = (mark.left + mark.width / 2 - area.left) / area.width;
          return [panel.plot.closest("section").id, middle * panel.thing().steps - 0.5];
        }))"""
    )


def test_the_page_shows_every_part_of_the_run(page, run):
    expect(page).to_have_title("Inspector of an LSTM")
    headings = page.locator("main h2").all_inner_texts()
    assert headings[0] == "input"
    assert headings[1] == "encoder_0: forget f of 6 units, longest memory on top"
    assert headings[2].startswith("encoder_0, unit ")
    assert headings[3:] == ["reconstruction", "prediction"]
    np.testing.assert_allclose(heat_map(page), expected(run, "encoder_0", "forget"), atol=1e-5)
    drawn = page.evaluate("panels[3].plot.data.map((line) => Array.from(line.y))")
    np.testing.assert_array_equal(np.array(drawn, "float32").T, run.outputs[0][0])
    assert page.locator("#notes li").count() == 0


@pytest.mark.parametrize(("quantity", "scale"), [("output o", "gates"), ("c", "signed")])
def test_choosing_a_quantity_shows_it(quantity, scale, page, run):
    page.get_by_label(quantity, exact=True).check()
    values = expected(run, "encoder_0", quantity.split()[0])
    np.testing.assert_allclose(heat_map(page), values, atol=1e-5)
    expect(page.locator("#heat h2")).to_contain_text(f"encoder_0: {quantity} of 6 units")
    low, high = page.evaluate("[heat.plot.data[0].zmin, heat.plot.data[0].zmax]")
    assert (low, high) == ((0, 1) if scale == "gates" else (-high, high))
    colours = page.evaluate("heat.plot.data[0].colorscale[0][1]")
    name = {"gates": "viridis", "signed": "RdBu_r"}[scale]
    assert numbers_of(colours) == rgb_of(style.colour_scale(name)[0])


def test_colours_can_be_stretched(page, run):
    page.get_by_role("button", name="stretch colours").click()
    forget = np.asarray(run["encoder_0", "forget"])[np.asarray(run.mask)]
    limits = page.evaluate("[heat.plot.data[0].zmin, heat.plot.data[0].zmax]")
    np.testing.assert_allclose(limits, [forget.min(), forget.max()])


def test_choosing_a_layer_shows_it(page, run):
    page.get_by_label("layer").select_option(label="encoder_1")
    np.testing.assert_allclose(heat_map(page), expected(run, "encoder_1", "forget"), atol=1e-5)
    page.get_by_label("layer").select_option(label="prediction_0")  # 5 steps of its own
    np.testing.assert_allclose(heat_map(page), expected(run, "prediction_0", "forget"), atol=1e-5)


def test_choosing_an_example_shows_it_with_its_masked_steps_hatched(page, run):
    page.get_by_label("example").fill("1")
    np.testing.assert_allclose(heat_map(page), expected(run, "encoder_0", "forget", 1), atol=1e-5)
    for panel in ("input", "heat", "story", "output-0"):
        mark = page.locator(f"#{panel} .masked")
        left, width = (
            mark.evaluate(f"(e) => parseFloat(e.style.{side})") for side in ("left", "width")
        )
        assert (left, left + width) == pytest.approx((100 * 9 / STEPS, 100))
    assert "gradient" in mark.evaluate("(e) => getComputedStyle(e).backgroundImage")
    page.locator("#plots").press("End")
    expect(page.locator("#values")).to_contain_text("masked")


def test_units_can_be_ordered_by_index(page, run):
    page.get_by_label("order").select_option("index")
    values = expected(run, "encoder_0", "forget", by_memory=False)
    np.testing.assert_allclose(heat_map(page), values, atol=1e-5)


def test_clicking_a_unit_tells_its_story(page, run):
    page.mouse.click(*cell(page, 7, row_of(page, PLANTED)))
    keep = float(study.time_scale(run["encoder_0"], run.masks["encoder_0"]).keep[PLANTED])
    told = page.locator("#story h2")
    expect(told).to_contain_text(
        f"encoder_0, unit {PLANTED}: keeps {keep:.4f} of its cell per step"
    )
    lines = {
        line["name"]: line["y"]
        for line in page.evaluate("story.plot.data.map(({name, y}) => ({name, y: Array.from(y)}))")
    }
    assert list(lines) == ["input i", "forget f", "output o", "candidate g", "c", "h"]
    for name, y in lines.items():
        values = quantity_of(run["encoder_0"], name.split()[0])[0, :, PLANTED]
        np.testing.assert_allclose(y, values, atol=2e-5)
        assert float(value_of(page, name)) == pytest.approx(float(values[7]), abs=EXACT)
    assert value_of(page, "output o") == "0.9700"


def test_all_plots_share_one_cursor(page):
    page.mouse.move(*cell(page, 11, 2, panel="input"))
    expect(page.locator("#step")).to_have_text("at step 11")
    where = cursors(page)
    assert set(where) == {"input", "heat", "story", "output-0"}  # the prediction has 5 steps
    assert list(where.values()) == pytest.approx([11] * 4, abs=0.05)
    page.mouse.move(*cell(page, 2, 3))
    expect(page.locator("#pointer")).to_contain_text("step 2")
    assert list(cursors(page).values()) == pytest.approx([2] * 5, abs=0.05)


def test_a_click_holds_the_cursor_and_another_releases_it(page):
    page.mouse.click(*cell(page, 5, 0))
    expect(page.get_by_role("button", name="hold cursor")).to_have_attribute("aria-pressed", "true")
    page.mouse.move(*cell(page, 9, 2))
    expect(page.locator("#pointer")).to_contain_text("step 9")
    expect(page.locator("#step")).to_have_text("at step 5")
    page.mouse.click(*cell(page, 5, 0))
    page.mouse.move(*cell(page, 9, 2))
    expect(page.locator("#step")).to_have_text("at step 9")


def test_keys_move_the_cursor_and_the_unit(page):
    expect(page.locator("#plots")).to_be_focused()
    for key, step in (("ArrowRight", 1), ("Shift+ArrowRight", 11), ("ArrowLeft", 10), ("End", 15)):
        page.keyboard.press(key)
        expect(page.locator("#step")).to_have_text(f"at step {step}")
    page.keyboard.press("ArrowRight")  # there is no step after the last
    assert cursors(page)["heat"] == pytest.approx(15, abs=0.05)
    units = page.evaluate("order()")
    for key, place in (("ArrowDown", 1), ("ArrowDown", 2), ("ArrowUp", 1)):
        page.keyboard.press(key)
        expect(page.locator("#story h2")).to_contain_text(f"unit {units[place]}:")
    page.keyboard.press("5")
    expect(page.locator("#heat h2")).to_contain_text("encoder_0: c of")
    page.keyboard.press("]")
    expect(page.get_by_label("example")).to_have_value("1")
    page.keyboard.press("l")
    expect(page.locator("#heat h2")).to_contain_text("encoder_1: c of 4")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()


def test_keys_that_are_typed_into_a_field_are_its_own(page):
    page.get_by_label("threshold").fill("")
    page.get_by_label("threshold").press_sequentially("0.5")
    expect(page.locator("#heat h2")).to_contain_text("forget f")
    expect(page.get_by_label("threshold")).to_have_value("0.5")


def test_every_control_can_be_reached_by_tab_and_has_a_name(page):
    names = []
    for _ in range(25):
        page.keyboard.press("Shift+Tab" if len(names) < 8 else "Tab")
        names.append(
            page.evaluate(
                """() => {
                  const at = document.activeElement;
                  const ring = getComputedStyle(at.type === "radio" ? at.nextElementSibling : at);
                  return [at.tagName, ring.outlineStyle,
                    at.ariaLabel ?? at.labels?.[0]?.innerText ?? at.textContent];
                }"""
            )
        )
    controls = [one for one in names if one[0] in ("BUTTON", "INPUT", "SELECT", "MAIN")]
    assert {tag for tag, _, _ in controls} == {"BUTTON", "INPUT", "SELECT", "MAIN"}
    assert all(ring == "solid" and name.strip() for _, ring, name in controls)
    assert any("threshold" in name for _, _, name in controls)


def test_search_finds_the_planted_unit_and_it_alone(page):
    page.get_by_label("output o").check()
    page.get_by_label("threshold").fill("0.9")
    x, y = cell(page, 4, 2)
    page.mouse.move(x - 5, y)
    page.mouse.down()
    page.mouse.move(*cell(page, 6, 3))
    page.mouse.move(cell(page, 8, 3)[0] + 5, y)
    page.mouse.up()
    expect(page.get_by_label("first step of the span")).to_have_value("4")
    expect(page.get_by_label("last step of the span")).to_have_value("8")
    expect(page.locator("#count")).to_have_text("1 of 6 units")
    assert page.locator(".span").count() == 4  # in each plot with the steps of the layer
    page.keyboard.press("Escape")
    page.locator("#found button").click()
    expect(page.locator("#story h2")).to_contain_text(f"unit {PLANTED}:")
    expect(page.locator("#found button")).to_have_attribute("aria-pressed", "true")


def test_search_above_below_and_elsewhere(page):
    """Typed: all units are above 0.3, but the planted one alone is not so elsewhere."""
    page.get_by_label("output o").check()
    fields = [page.get_by_label(name) for name in ("first step of", "last step of", "threshold")]

    def found(first, last, threshold, side="above", outside="any") -> list[str]:
        for field, value in zip(fields, (first, last, threshold), strict=True):
            field.fill(str(value))
        page.get_by_label("above or below").select_option(side)
        page.get_by_label("outside of the span").select_option(outside)
        return sorted(page.locator("#found button").all_inner_texts())

    planted, everyone = [str(PLANTED)], list("012345")
    assert found(4, 8, 0.01) == everyone
    assert found(4, 8, 0.9, outside="else") == planted
    assert found(4, 8, 0.9, outside="beside") == planted
    assert found(5, 8, 0.9, outside="beside") == []  # it is open one step before
    assert found(3, 8, 0.9) == []
    assert found(4, 8, 0.9, side="below") == sorted({*everyone} - {*planted})
    assert found(9, 5, 0.01) == []
    expect(page.locator("#count")).to_contain_text("Drag over a plot")


def test_text_is_coloured_by_the_unit_and_moves_the_cursor(opened, run):
    page = opened(run, text=TEXTS, title="</script>")
    tokens = page.locator("#text span")
    assert "".join(tokens.all_inner_texts()).replace("\u200b", "") == "ab·c↵\nde⇥<b>&</b>"
    unit = page.evaluate("state.unit")
    forget = np.asarray(run["encoder_0", "forget", 0, :, unit], float)
    viridis = [rgb_of(colour) for colour in style.colour_scale("viridis")]
    for step in (0, 5, 10):
        place = forget[step] * (len(viridis) - 1)
        between = zip(viridis[int(place)], viridis[int(place) + 1], strict=True)
        rgb = [a + (b - a) * (place % 1) for a, b in between]
        background = tokens.nth(step).evaluate("(e) => getComputedStyle(e).backgroundColor")
        assert numbers_of(background) == pytest.approx(rgb, abs=1)
    tokens.nth(3).hover()
    expect(page.locator("#step")).to_have_text("at step 3")
    expect(tokens.nth(3)).to_have_class("here")
    tokens.nth(9).click()
    tokens.nth(1).hover()  # the click holds the cursor
    expect(page.locator("#step")).to_have_text("at step 9")
    before = tokens.nth(5).get_attribute("style")
    page.get_by_label("candidate g").check()
    assert tokens.nth(5).get_attribute("style") != before
    page.get_by_label("example").fill("1")
    assert "".join(page.locator("#text span").all_inner_texts()) == "</script>"
    page.get_by_label("layer").select_option(label="prediction_0")
    expect(page.locator("#reader h2")).to_contain_text("nothing: prediction_0 has its own steps")


def test_words_are_told_apart(opened, run):
    page = opened(run.examples([2]), text=[["one"] + ["two three", "", "\n"] * 5])
    assert page.locator("#text").get_attribute("class") == "words"
    assert page.locator("#text span").all_inner_texts()[:4] == [
        "one",
        "two·\u200bthree",
        "∅",
        "↵\n",
    ]


def test_dark_and_light(opened, run):
    page = opened(run, scheme="dark")
    look = """() => [document.body, document.querySelector("#heat .xtick text")].map((e) => {
      const { backgroundColor, color, fill } = getComputedStyle(e);
      return e === document.body ? backgroundColor : fill;
    })"""

    def bright(colour):
        return sum(int(n) for n in re.findall(r"\d+", colour)[:3]) > 380

    assert [bright(colour) for colour in page.evaluate(look)] == [False, True]
    page.get_by_role("button", name="light").click()
    assert [bright(colour) for colour in page.evaluate(look)] == [True, False]
    expect(page.get_by_role("button", name="dark")).to_be_visible()


def test_a_zoom_is_shared_and_a_double_click_ends_it(page):
    page.get_by_role("button", name="drag to zoom").click()
    page.mouse.move(*cell(page, 4, 3, panel="input"))
    page.mouse.down()
    page.mouse.move(*cell(page, 7, 3, panel="input"))
    page.mouse.move(*cell(page, 9, 3, panel="input"))
    page.mouse.up()
    ranges = "panels.slice(0, 4).map((panel) => panel.plot.layout.xaxis.range)"
    page.wait_for_function(f"{ranges}.every(([low, high]) => low > 3.5 && high < 9.6)")
    page.wait_for_timeout(400)  # or the next click would count as the second of a pair
    page.mouse.dblclick(*cell(page, 7, 3))
    page.wait_for_function(f"{ranges}.every(([low, high]) => low === -0.5 && high === 15.5)")


def test_a_narrow_window_is_not_broken(opened, run):
    page = opened(
        run, window=(390, 800), title="A long title of a run " * 5, columns=["a", "b" * 60]
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for panel in ("#input", "#heat", "#story", "#search"):
        assert page.locator(panel).bounding_box()["width"] > 250


def test_what_is_left_out_and_what_is_not_finite_is_said(opened, run):
    c = np.array(run["encoder_0"].c)
    c[0, 6:] = np.nan
    broken = replace(run, traces=run.traces | {"encoder_0": run["encoder_0"]._replace(c=c)})
    page = opened(broken, max_bytes=7_000)
    notes = page.locator("#notes li").all_inner_texts()
    assert notes[0].startswith("Shows the first 1 of 4 examples")
    assert "values of c are NaN or infinite, shown as gaps" in notes[1]
    page.get_by_label("c", exact=True).check()
    assert np.isnan(heat_map(page)[6:]).all()
    assert not np.isnan(heat_map(page)[:6]).any()
    page.locator("#plots").press("End")
    assert value_of(page, "c") == "not finite"
    expect(page.get_by_label("example")).to_be_hidden()  # there is one only


def test_names_that_look_like_markup_or_formulas_stay_as_they_are(opened, run):
    names = ["<b>x</b><img src=x onerror=alert(1)>", "$x^2$ & %{y}"]
    page = opened(run, columns=names, labels=["<i>1</i>"] * STEPS, xlabel="<u>t</u>")
    legend = page.locator("#input .legendtext").all_text_contents()
    assert legend == [names[0][:23] + "…", names[1]]
    assert page.locator("#input .xtick text").first.text_content() == "<i>1</i>"
    assert page.locator("#values th").all_text_contents()[1:3] == names
    expect(page.locator("#step")).to_have_text("at step 0 (<i>1</i>)")


def test_many_columns_become_a_heat_map(opened):
    x = np.eye(12, dtype="float32")[None]
    run = study.run(study.SingleLayer(), lc.init_lstm(jax.random.key(0), 12, 3), x)
    page = opened(run, columns=list("abcdefghij \n"))
    assert page.evaluate("panels[0].plot.data.map((trace) => trace.type)") == ["heatmap"]
    np.testing.assert_array_equal(
        page.evaluate("panels[0].plot.data[0].z.map((r) => [...r])"), x[0]
    )
    page.locator("#plots").press("End")
    expect(page.locator("#values")).to_contain_text("largest of 12")
    assert page.locator("#values th").all_text_contents()[1] == "↵\n"


def test_a_projected_h_cannot_be_chosen(opened):
    params = lc.init_lstm(jax.random.key(0), 1, 4, projection=2)
    page = opened(study.run(study.SingleLayer(), params, np.ones((1, 5, 1), "float32")))
    expect(page.get_by_label("h", exact=True)).to_be_disabled()
    page.locator("#plots").press("6")
    expect(page.locator("#heat h2")).to_contain_text("forget f")
    assert page.evaluate("story.plot.data.length") == 5
    expect(page.locator("#notes li")).to_contain_text("it is a projection to 2 numbers")


def test_token_ids_are_points_and_whole_numbers_and_a_classifier_shows_its_output(opened):
    parts = [lc.chain.Embedding(2000, 3), lc.chain.LSTM(4, last=True), lc.chain.Dense(2, "softmax")]
    model = lc.Chain(parts)
    ids = np.array([[5, 1234, 7], [1999, 0, 1]], "int32")
    run = study.run(model, model.init(jax.random.key(0)), ids)
    page = opened(run)
    expect(page.locator("#input h2")).to_have_text("input: token id")
    assert page.evaluate("document.querySelector('#input .plot').data[0].mode") == "markers"
    for example in (0, 1):
        page.fill("#example", str(example))
        page.locator("#plots").focus()
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        expect(page.locator("#values tr:nth-child(2) td")).to_have_text(str(ids[example, 1]))
        shown = page.locator("#results").inner_text()
        assert shown.startswith(f"output of example {example}:")
        numbers = [float(number) for number in re.findall(r"\d\.\d+", shown)]
        np.testing.assert_allclose(numbers, run.outputs[example], atol=EXACT)


def test_of_a_long_output_the_largest_numbers_are_listed(opened, run):
    outputs = np.random.default_rng(1).permuted(np.arange(400.0).reshape(4, 100), axis=1)
    page = opened(replace(run, outputs=outputs))
    listed = page.locator("#results").inner_text()
    assert listed.startswith("output of example 0, the largest of 100:")
    places = [int(place) for place in re.findall(r"(\d+):", listed.partition("of 100:")[2])]
    assert places == np.argsort(-outputs[0])[:10].tolist()
