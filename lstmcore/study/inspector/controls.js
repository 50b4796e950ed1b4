"use strict";
// What the reader can do: choose, move, search, read the text; by mouse and by keys.

const MOST_FOUND = 200; // units listed
const MOST_LISTED = 10; // numbers of an output without steps
let found = []; // by the search: [{unit, least}]

// Cursor, unit, span.

function moveTo(step) {
  const last = Math.max(...panels.map((panel) => panel.thing().steps)) - 1;
  state.step = Math.min(Math.max(step, 0), last);
  panels.forEach(drawCursor);
  showValues();
  $("text").querySelector(".here")?.classList.remove("here");
  $("text").children[state.step]?.classList.add("here");
}

function choose(unit) {
  state.unit = unit;
  draw(story);
  drawMarks(heat);
  colourText();
  showValues();
  markFound();
}

function press(id, isPressed) {
  $(id).setAttribute("aria-pressed", isPressed);
  return isPressed;
}

function hold(held) {
  state.held = press("hold", held);
}

function setSpan(from, to) {
  const isSpan = from <= to && to >= 0 && from < layer().steps;
  state.span = isSpan ? [Math.max(0, from), Math.min(to, layer().steps - 1)] : null;
  if (isSpan) [$("from").value, $("to").value] = state.span;
  find();
}

function find() {
  const above = $("side").value === "above";
  const threshold = $("threshold").valueAsNumber;
  found = state.span ? search(threshold, above, $("outside").value) : [];
  $("searched").textContent = named(state.quantity);
  $("count").textContent = state.span
    ? `${found.length} of ${layer().units} units` +
      (found.length > MOST_FOUND ? `; the ${MOST_FOUND} clearest are listed` : "")
    : "Drag over a plot, or type the first and the last step.";
  $("found").replaceChildren();
  for (const { unit, least } of found.slice(0, MOST_FOUND)) {
    const extreme = threshold + (above ? least : -least);
    element("button", $("found"), {
      type: "button", value: unit, textContent: unit, onclick: () => choose(unit),
      title: `${above ? "lowest" : "highest"} on the span: ${shown(extreme)}`,
    });
  }
  markFound();
  panels.forEach(drawMarks);
}

function markFound() {
  for (const button of $("found").children)
    button.setAttribute("aria-pressed", button.value === String(state.unit));
}

// Values as text.

function pointAt(unit, t) {
  const { step } = layer().quantities[state.quantity];
  const value = shown(values(state.quantity, unit)[t], step[unit]);
  const masked = maskOf(layer())?.[t] ? ", masked" : "";
  $("pointer").textContent = `Under the pointer: unit ${unit}, step ${t}: ${value}${masked}`;
}

function showValues() {
  const t = state.step;
  const table = document.createElement("table");
  const line = (name, value, colour, className = "") => {
    const row = element("tr", table, { className });
    const head = element("th", row, { scope: "row" });
    if (colour) element("span", head, { className: "swatch" }).style.background = colour;
    head.append(name);
    element("td", row, { textContent: value });
  };
  const series = (series) => {
    const { title, names, steps } = series;
    const rows = columns(series);
    const many = rows.length > MOST_LINES;
    let chosen = [...names.keys()];
    if (many) chosen = chosen.filter((k) => rows[k][t]).sort((a, b) => Math.abs(rows[b][t]) - Math.abs(rows[a][t])).slice(0, 3);
    const masked = maskOf(series)?.[t] ? "masked" : "";
    line(title, masked || (many ? `largest of ${names.length}` : ""), null, "head");
    const value = (number) => (series.holds_ids ? String(number) : shown(number));
    for (const k of chosen)
      line(nameOf(names[k]), t < steps ? value(rows[k][t]) : "–", many ? null : COLOURS[k]);
  };
  series(run.inputs);
  line(`unit ${state.unit}`, maskOf(layer())?.[t] ? "masked" : "", null, "head");
  quantities().forEach((quantity, k) => {
    const { step } = layer().quantities[quantity];
    const value = values(quantity, state.unit)[t];
    line(named(quantity), t < layer().steps ? shown(value, step[state.unit]) : "–", COLOURS[k]);
  });
  run.outputs.forEach(series);
  const name = t < run.inputs.steps && stepLabels() ? ` (${stepName(t)})` : "";
  $("step").textContent = `at step ${t}${name}`;
  $("values").replaceChildren(table);
}

// Text.

function showText() {
  const tokens = run.text?.[state.example] ?? [];
  $("reader").hidden = !run.text;
  $("text").className = tokens.some((token) => token.length > 1) ? "words" : "";
  $("text").replaceChildren();
  tokens.forEach((token, t) => {
    element("span", $("text"), { textContent: visible(token) }).dataset.step = t;
  });
  colourText();
}

function colourText() {
  if (!run.text) return;
  const mask = maskOf(layer());
  const row = values(state.quantity, state.unit);
  const isAligned = !layer().own_steps;
  $("coloured").textContent = isAligned
    ? `${named(state.quantity)} of unit ${state.unit}`
    : `nothing: ${layer().name} has its own steps`;
  [...$("text").children].forEach((token, t) => {
    const isBlank = !isAligned || mask?.[t] || !Number.isFinite(row[t]);
    const [background, ink] = isBlank ? ["", ""] : colourOf(row[t], state.quantity);
    token.style.background = background;
    token.style.color = ink;
    token.classList.toggle("masked", Boolean(mask?.[t]));
  });
}

for (const [kind, wait] of [["mouseover", true], ["click", false]])
  $("text").addEventListener(kind, (event) => {
    const { step } = event.target.dataset;
    if (step === undefined || (wait && state.held)) return;
    if (!wait) hold(!state.held || state.step !== Number(step));
    moveTo(Number(step));
  });

/** Outputs that are one row for an example: their numbers, of many the largest. */
function showResults() {
  $("results").replaceChildren();
  for (const result of run.results) {
    const row = result[state.example];
    const isLong = row.length > MOST_LISTED;
    const places = [...row.keys()];
    if (isLong) places.sort((a, b) => row[b] - row[a]).splice(MOST_LISTED);
    const numbers = places.map((k) => `${k}: ${shown(row[k] ?? NaN)}`).join(",  ");
    const of = isLong ? `, the largest of ${row.length}` : "";
    element("p", $("results"), { textContent: `output of example ${state.example}${of}:  ${numbers}` });
  }
}

// Choices.

function showAll() {
  forget();
  find();
  drawAll();
  showText();
  showResults();
  moveTo(state.step);
}

function showLayer(index) {
  state.layer = index;
  $("layer").value = index;
  state.unit = layer().order[0];
  state.rows = null;
  if (state.span && state.span[1] >= layer().steps) state.span = null;
  for (const quantity of QUANTITIES)
    $(`quantity-${quantity}`).disabled = !quantities().includes(quantity);
  showChosen(quantities().includes(state.quantity) ? state.quantity : "forget");
  showAll();
}

function showExample(index) {
  state.example = Math.min(Math.max(Math.round(index), 0), run.examples - 1);
  $("example").value = state.example;
  showAll();
}

function showChosen(quantity) {
  state.quantity = quantity;
  $(`quantity-${quantity}`).checked = true;
}

function showQuantity(quantity) {
  if (!quantities().includes(quantity)) return;
  showChosen(quantity);
  find();
  draw(heat);
  colourText();
}

function showTheme(theme) {
  document.documentElement.dataset.theme = theme;
  $("theme").textContent = isDark() ? "light" : "dark";
  drawAll();
}

function showKeys() {
  $("keys").hidden = !$("keys").hidden;
  $("help").setAttribute("aria-expanded", !$("keys").hidden);
}

run.layers.forEach(({ name }, k) => element("option", $("layer"), { value: k, textContent: name }));
for (const quantity of QUANTITIES) {
  const label = element("label", $("quantity"));
  const properties = { type: "radio", name: "quantity", id: `quantity-${quantity}` };
  element("input", label, { ...properties, onchange: () => showQuantity(quantity) });
  element("span", label, { textContent: named(quantity) });
}
$("example").closest("label").hidden = run.examples === 1;
$("example").max = run.examples - 1;
$("examples").textContent = `of 0 to ${run.examples - 1}`;
for (const note of run.notes) element("li", $("notes"), { textContent: note });

$("layer").onchange = (event) => showLayer(Number(event.target.value));
$("example").oninput = ({ target }) => target.value && showExample(target.valueAsNumber);
$("order").onchange = (event) => {
  state.byMemory = event.target.value === "memory";
  state.rows = null;
  draw(heat);
};
$("stretch").onclick = () => {
  state.stretched = press("stretch", !state.stretched);
  draw(heat);
  colourText();
};
$("zoom").onclick = () => {
  state.zooms = press("zoom", !state.zooms);
  drawAll();
};
$("hold").onclick = () => hold(!state.held);
$("theme").onclick = () => showTheme(isDark() ? "light" : "dark");
$("help").onclick = showKeys;
systemIsDark.onchange = drawAll;
let resizing;
window.onresize = () => {
  clearTimeout(resizing);
  resizing = setTimeout(drawAll, 200); // as many ticks as there is room for
};
$("search").oninput = () => setSpan($("from").valueAsNumber, $("to").valueAsNumber);
$("search").onsubmit = (event) => event.preventDefault();

// Keys.

function besideUnit(by) {
  const units = order();
  choose(units[Math.min(Math.max(units.indexOf(state.unit) + by, 0), units.length - 1)]);
}

const KEYS = {
  ArrowLeft: (event) => moveTo(state.step - (event.shiftKey ? 10 : 1)),
  ArrowRight: (event) => moveTo(state.step + (event.shiftKey ? 10 : 1)),
  Home: () => moveTo(0),
  End: () => moveTo(Infinity),
  ArrowUp: () => besideUnit(-1),
  ArrowDown: () => besideUnit(1),
  "[": () => showExample(state.example - 1),
  "]": () => showExample(state.example + 1),
  l: () => showLayer((state.layer + 1) % run.layers.length),
  " ": () => hold(!state.held),
  "?": showKeys,
  Escape: () => {
    hold(false);
    $("from").value = $("to").value = "";
    setSpan(NaN, NaN);
  },
};
QUANTITIES.forEach((quantity, k) => (KEYS[k + 1] = () => showQuantity(quantity)));

$("plots").addEventListener("keydown", (event) => {
  const action = KEYS[event.key] ?? KEYS[event.key.toLowerCase()];
  if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  action(event);
});

$("theme").textContent = isDark() ? "light" : "dark";
showLayer(0);
$("plots").focus({ preventScroll: true });
