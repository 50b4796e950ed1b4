"use strict";
// State of the page: the numbers from payload.py, the choices of the reader, colours.

const $ = (id) => document.getElementById(id);
const run = JSON.parse($("run").textContent);
const SYMBOLS = { input: "i", forget: "f", output: "o", candidate: "g", c: "c", h: "h" };
const QUANTITIES = Object.keys(SYMBOLS);
const GATES = QUANTITIES.slice(0, 3); // between 0 and 1; the others have a sign
const NOT_FINITE = 65535; // the code of NaN and infinity

const state = {
  layer: 0, example: 0, quantity: "forget", unit: run.layers[0].order[0], step: 0,
  byMemory: true, stretched: false, held: false, zooms: false,
  span: null, // [first step, last step] that is searched
  ranges: {}, // {number of steps: [low, high] of the time axis}, shared by panels of equal length
  rows: null, // [low, high] of the heat map's unit axis; null: all
};
const layer = () => run.layers[state.layer];
/** All but h where that is a projection, whose numbers belong to no unit. */
const quantities = () => QUANTITIES.filter((quantity) => quantity in layer().quantities);
const order = () => (state.byMemory ? layer().order : [...layer().order.keys()]);
const named = (quantity) => (quantity.length > 1 ? `${quantity} ${SYMBOLS[quantity]}` : quantity);

function element(tag, parent, properties = {}) {
  return parent.appendChild(Object.assign(document.createElement(tag), properties));
}

// Numbers.

const decoded = new Map(); // arrays of the layer and the example that are shown
const forget = () => decoded.clear();

function decode(base64, Kind) {
  if (!decoded.has(base64)) {
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    decoded.set(base64, new Kind(bytes.buffer));
  }
  return decoded.get(base64);
}

/** What one unit of the layer did, a number per step; NaN where it was not finite. */
function values(quantity, unit) {
  const { codes, low, step } = layer().quantities[quantity];
  const { steps } = layer();
  const row = decode(codes[state.example], Uint16Array).subarray(unit * steps, (unit + 1) * steps);
  return Float64Array.from(row, (code) => (code === NOT_FINITE ? NaN : low[unit] + code * step[unit]));
}

/** The columns of the input or of an output, [steps] each. */
function columns({ names, steps, values }) {
  const all = decode(values[state.example], Float32Array);
  return names.map((_, k) => all.subarray(k * steps, (k + 1) * steps));
}

/** 1 where a step of a layer or a series was masked; null if the run had no mask. */
const maskOf = ({ masked }) => masked && decode(masked[state.example], Uint8Array);
const withGaps = (row, mask) => (mask ? row.map((value, t) => (mask[t] ? NaN : value)) : row);

/** Four digits; fewer where what is stored is less exact. `step`: the distance of two codes. */
function shown(value, step = 0) {
  if (!Number.isFinite(value)) return "not finite";
  const exact = step > 0 ? Math.floor(-Math.log10(step)) : 12;
  const digits = Math.min(exact, 3 - Math.floor(Math.log10(Math.abs(value) || 1)));
  if (Math.abs(value) >= 1e7 || digits > 8) return value.toExponential(3);
  return value.toFixed(Math.max(0, digits)).replace(/^-(?=[0.]*$)/, "");
}

const stepLabels = () => run.labels?.[Math.min(state.example, run.labels.length - 1)];
const stepName = (t) => stepLabels()?.[t] ?? String(t);
const brief = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/** Spaces and ends of lines, made visible. */
const visible = (text) =>
  text.replace(/ /g, "·\u200b").replace(/\t/g, "⇥").replace(/\r?\n/g, "↵\n") || "∅";
const nameOf = (text) => (text.trim() ? text : visible(text));

/** Plotly reads HTML and formulas in its labels: names must not be taken for them. */
const plain = (text, most = 24) =>
  brief(nameOf(text), most).replace(/[&<>$]/g, (mark) => `&#${mark.charCodeAt(0)};`);

/** Units that stay on one side of a threshold over the span, the clearest first. */
function search(threshold, above, outside) {
  const [from, to] = state.span;
  const { steps, units } = layer();
  const mask = maskOf(layer());
  const real = [...Array(steps).keys()].filter((t) => !mask?.[t]);
  const inside = real.filter((t) => t >= from && t <= to);
  const beyond = {
    any: [],
    beside: [real.findLast((t) => t < from), real.find((t) => t > to)],
    else: real.filter((t) => t < from || t > to),
  }[outside].filter((t) => t !== undefined);
  const found = [];
  for (let unit = 0; inside.length && unit < units; unit++) {
    const row = values(state.quantity, unit);
    const margin = (t) => (above ? row[t] - threshold : threshold - row[t]);
    if (!inside.every((t) => margin(t) > 0) || beyond.some((t) => margin(t) > 0)) continue;
    found.push({ unit, least: inside.reduce((a, t) => Math.min(a, margin(t)), Infinity) });
  }
  return found.sort((a, b) => b.least - a.least);
}

// Colours.

const COLOURS = // Okabe & Ito (2008), told apart by colour-blind readers; two more for columns
  ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8a8f98", "#a6761d"];
/** Both ends of the colour scale. */
const limitsOf = (quantity) =>
  layer().quantities[quantity][state.stretched && GATES.includes(quantity) ? "extent" : "limits"];
const scaleOf = (quantity) => run.colours[GATES.includes(quantity) ? "gates" : "signed"];
const plotlyScale = (colours) => colours.map((colour, k) => [k / (colours.length - 1), colour]);

/** Background and ink for a value, as the heat map colours it. */
function colourOf(value, quantity) {
  const colours = scaleOf(quantity);
  const [low, high] = limitsOf(quantity);
  const place = Math.min(Math.max((value - low) / (high - low || 1), 0), 1) * (colours.length - 1);
  const below = Math.min(Math.floor(place), colours.length - 2);
  const [a, b] = colours.slice(below, below + 2).map((colour) => colour.match(/\d+/g).map(Number));
  const rgb = a.map((channel, k) => Math.round(channel + (b[k] - channel) * (place - below)));
  const isLight = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2] > 140;
  return [`rgb(${rgb})`, isLight ? "#000" : "#fff"];
}

const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () =>
  (document.documentElement.dataset.theme ?? (systemIsDark.matches ? "dark" : "light")) === "dark";
