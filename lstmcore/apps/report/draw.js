"use strict";
// Draws the figures of the page with plotly.js. Both are packed (gzip, as base64): a page of plotly.js
// as is would be twice as large.

const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
let isPrinted = false; // in light colours
const isTouched = matchMedia("(pointer: coarse)"); // where dragging has to scroll the page
const darkColours = JSON.parse(document.getElementById("dark").textContent);
const COLOUR_KEYS = ["color", "fillcolor"];
const places = [...document.querySelectorAll(".plot")];
const texts = new Map(); // of each place, its figure as JSON
const drawn = new Set(); // places; the others are drawn when the reader comes near them
const views = new Map(); // of each place, the number of the view that was chosen last
let choices = 0; // how many views were chosen: a new one ends what the reader had zoomed to

async function unpacked(script) {
  const bytes = Uint8Array.from(atob(script.textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

/** "#rrggbb", or with two more digits for the opacity, as the theme has it. */
function themed(colour) {
  const solid = colour.slice(0, 7);
  return (systemIsDark.matches && !isPrinted && darkColours[solid] || solid) + colour.slice(7);
}

function figureOf(place) {
  const isColour = (key, value) => COLOUR_KEYS.includes(key) && typeof value === "string";
  return JSON.parse(texts.get(place), (key, value) => isColour(key, value) ? themed(value) : value);
}

/** Colours and letters of all figures, from the style of the page. */
function template(place) {
  const style = getComputedStyle(place);
  const axis = { gridcolor: style.borderTopColor, zerolinecolor: style.borderTopColor,
    linecolor: style.borderTopColor, title: { font: { size: 14 } } };
  return { layout: {
    font: { color: style.color, family: style.fontFamily, size: 14 },
    paper_bgcolor: style.backgroundColor, plot_bgcolor: style.backgroundColor,
    annotationdefaults: { font: { size: 15 } },
    hoverlabel: { bgcolor: style.outlineColor, bordercolor: style.borderTopColor,
      font: { color: style.color }, namelength: -1 },
    modebar: { bgcolor: "rgba(0, 0, 0, 0)", color: style.color },
    xaxis: axis, yaxis: axis,
  } };
}

const partsOf = (place, group) => [...place.parentElement.querySelectorAll(`.${group} button`)];
const isPressed = (button) => button.getAttribute("aria-pressed") === "true";
const press = (button, on) => button.setAttribute("aria-pressed", on);

/** Draw a figure as the buttons beside it say; `uirevision` keeps what the reader has zoomed to. */
function draw(place) {
  const { data, layout, legend, views: ofPlace } = figureOf(place);
  partsOf(place, "legend").forEach((button, number) => {
    for (const trace of legend[number].traces) data[trace].visible = isPressed(button);
    for (const shape of legend[number].shapes) layout.shapes[shape].visible = isPressed(button);
  });
  const chosen = ofPlace[views.get(place).number];
  for (const [name, range] of Object.entries(chosen?.ranges ?? {})) {
    layout[name] = { ...layout[name], range: range ?? undefined, autorange: range === null };
  }
  layout.template = template(place);
  place.style.setProperty("--width", place.clientWidth); // for paper, which may be smaller
  place.style.setProperty("--height", layout.height);
  layout.dragmode = isTouched.matches ? false : "zoom";
  layout.uirevision = views.get(place).revision;
  Plotly.react(place, data, layout, {
    displaylogo: false, responsive: true, doubleClick: "autosize",
    displayModeBar: isTouched.matches || "hover",
    // Named one by one: there are others, of which one would send the data to a server.
    modeBarButtons: [["toImage"], ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
  });
  if (!drawn.has(place)) {
    drawn.add(place);
    place.on("plotly_relayout", (change) => { // the reader has zoomed: none of the views
      if (Object.keys(change).some((key) => /^[xy]axis\d*\./.test(key))) {
        partsOf(place, "views").forEach((button) => press(button, false));
      }
    });
  }
}

function choose(place, number) {
  choices += 1;
  views.set(place, { number, revision: `choice ${choices}` });
}

function showView(place, number) {
  choose(place, number);
  partsOf(place, "views").forEach((button, other) => press(button, other === number));
  draw(place);
}

function listen(place) {
  partsOf(place, "legend").forEach((button) => button.addEventListener("click", () => {
    press(button, !isPressed(button));
    draw(place);
  }));
  partsOf(place, "views").forEach((button, number) => {
    button.addEventListener("click", () => showView(place, number));
  });
}

/** A link to a view shows it. */
function follow() {
  const target = document.getElementById(location.hash.slice(1));
  if (target?.matches(".views button")) target.click();
}

/** Draw again where the theme changes; what is printed is light. */
function followTheme() {
  const redraw = () => drawn.forEach(draw);
  const print = (on) => {
    isPrinted = on;
    document.documentElement.style.colorScheme = on ? "light" : "";
    if (systemIsDark.matches) redraw();
    if (on) [...texts.keys()].filter((place) => !drawn.has(place)).forEach(draw);
  };
  systemIsDark.addEventListener("change", redraw);
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
}

async function start() {
  const code = document.createElement("script");
  code.textContent = await unpacked(document.getElementById("plotly"));
  document.head.append(code);
  followTheme();
  const nearby = new IntersectionObserver((entries) => {
    for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
      nearby.unobserve(target);
      if (!drawn.has(target)) draw(target);
    }
  }, { rootMargin: "1000px" });
  for (const place of places) {
    choose(place, 0);
    texts.set(place, await unpacked(place.nextElementSibling));
    listen(place);
    nearby.observe(place);
  }
  addEventListener("hashchange", follow);
  follow();
}

start().catch((error) => {
  console.error(error);
  for (const place of places) place.append(`This browser cannot draw the figure: ${error.message}`);
});
