"use strict";
// The plots. A panel is a heading, a plot and, over it, bands: cursor, span, mask, units. The bands
// are elements of the page, not shapes of the plot, since moving a shape redraws the heat map.

const MOST_LINES = COLOURS.length; // more columns are drawn as a heat map
const CONFIG = {
  responsive: true, displaylogo: false, doubleClick: false, modeBarButtons: [["toImage"]],
};
const LEFT = 62, RIGHT = 76; // margins, equal in all panels, so that their steps lie in line
const panels = [];

/** thing: () => what is drawn, with its number of `steps`; figure: () => {title, data, layout}. */
function addPanel(id, height, thing, figure) {
  const section = element("section", $("plots"), { id, className: "panel" });
  const panel = { thing, figure, heading: element("h2", section) };
  const frame = element("div", section, { className: "frame" });
  panel.plot = element("div", frame, { className: "plot" });
  panel.plot.style.height = height;
  panel.over = element("div", frame, { className: "over" });
  panel.marks = element("div", panel.over, { className: "marks" });
  panel.cursor = element("div", panel.over, { className: "cursor" });
  panels.push(panel);
  return panel;
}

function draw(panel) {
  const { title, data, layout } = panel.figure();
  const isLast = panel === panels.at(-1);
  const hasLegend = data.length > 1 && !isNarrow(panel); // the values beside it tell the colours
  const lines = isDark() ? "#39404b" : "#e1e4ea";
  const axis = { gridcolor: lines, zerolinecolor: lines, linecolor: lines };
  const margin = { l: LEFT, r: RIGHT, t: hasLegend ? 24 : 10, b: isLast ? 40 : 22, autoexpand: false };
  const { xaxis, yaxis, yaxis2, ...rest } = layout;
  panel.heading.textContent = title;
  const first = !panel.plot.layout;
  Plotly.react(panel.plot, data, {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin,
    font: { color: getComputedStyle(document.body).color, size: 12, family: "system-ui, sans-serif" },
    modebar: { bgcolor: "rgba(0,0,0,0)" },
    hovermode: "x", hoverdistance: -1, dragmode: state.zooms ? "zoom" : "select", selectdirection: "h",
    showlegend: hasLegend,
    legend: { orientation: "h", x: 0, y: 1, xanchor: "left", yanchor: "bottom" },
    xaxis: {
      ...axis, ...timeAxis(panel), ...xaxis, zeroline: false,
      title: isLast ? { text: plain(run.xlabel, 60), standoff: 6 } : undefined,
    },
    yaxis: { ...axis, ...yaxis },
    ...(yaxis2 && { yaxis2: { ...axis, ...yaxis2 } }),
    ...rest,
  }, CONFIG);
  panel.over.style.inset = `${margin.t}px ${margin.r}px ${margin.b}px ${margin.l}px`;
  if (first) listen(panel);
  drawMarks(panel);
}

const isNarrow = ({ plot }) => plot.clientWidth < 640;
const drawAll = () => panels.forEach(draw);

// Axes.

const rangeOf = (steps) => (state.ranges[steps] ??= [-0.5, steps - 0.5]);

/** At most `most` round places between 0 and `end` within a range, with their names. */
function ticks([low, high], most, end, name) {
  const least = Math.max(1, (high - low) / Math.max(most, 2));
  const power = 10 ** Math.floor(Math.log10(least));
  const stride = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= least);
  const tickvals = [];
  for (let place = Math.ceil(Math.max(low, 0) / stride) * stride; place < Math.min(high, end);) {
    tickvals.push(place);
    place += stride;
  }
  return { tickvals, ticktext: tickvals.map(name) };
}

function timeAxis(panel) {
  const { steps, own_steps: hasOwnSteps } = panel.thing();
  const range = rangeOf(steps);
  const name = (t) => (hasOwnSteps ? String(t) : plain(stepName(t), 14));
  return { range, ...ticks(range, panel.plot.clientWidth / 90, steps, name) };
}

function unitAxis() {
  const units = order();
  const range = state.rows ?? [units.length - 0.5, -0.5];
  const name = (row) => String(units[row]);
  return { range, ...ticks([range[1], range[0]], heat.plot.clientHeight / 30, units.length, name) };
}

// What the panels show.

function seriesFigure(series) {
  const mask = maskOf(series);
  const rows = columns(series).map((row) => withGaps(row, mask));
  const { names } = series;
  if (rows.length > MOST_LINES) {
    const yaxis = { autorange: "reversed", ...ticks([0, rows.length], 5, rows.length, (k) => plain(names[k], 8)) };
    return {
      title: `${series.title}: ${rows.length} columns`, layout: { hovermode: "closest", yaxis },
      data: [heatMap(rows, series.limits, run.colours.signed)],
    };
  }
  const data = rows.map((y, k) => ({
    ...line(y, COLOURS[k]), name: plain(names[k]),
    ...(series.holds_ids && { mode: "markers", marker: { size: 4 } }), // nothing lies between ids
  }));
  const title = rows.length > 1 ? series.title : `${series.title}: ${names[0]}`;
  return { title, data, layout: { yaxis: { nticks: 5 } } };
}

/** Long lines have marks only where a point stands alone, between gaps: it would not show. */
function line(y, color) {
  const isShort = y.length <= 60;
  const size = Array.from(y, (_, t) => (isShort || !(isFinite(y[t - 1]) || isFinite(y[t + 1])) ? 4 : 0));
  return {
    type: "scatter", y, hoverinfo: "none", line: { color, width: 1.5 }, marker: { size },
    mode: size.some(Boolean) ? "lines+markers" : "lines", unselected: { marker: { opacity: 1 } },
  };
}

function heatFigure() {
  const { name, units } = layer();
  const mask = maskOf(layer());
  const rows = order().map((unit) => withGaps(values(state.quantity, unit), mask));
  const sorted = state.byMemory ? "longest memory on top" : "by index";
  return {
    title: `${name}: ${named(state.quantity)} of ${units} units, ${sorted}`,
    data: [heatMap(rows, limitsOf(state.quantity), scaleOf(state.quantity))],
    layout: {
      hovermode: "closest", xaxis: { showgrid: false },
      yaxis: { title: { text: "unit" }, showgrid: false, zeroline: false, ...unitAxis() },
    },
  };
}

function heatMap(z, [zmin, zmax], colours) {
  const colorbar = { thickness: 12, x: 1.01, xpad: 0, len: 1, ypad: 0, outlinewidth: 0, nticks: 5 };
  return { type: "heatmap", z, zmin, zmax, colorscale: plotlyScale(colours), hoverinfo: "none", colorbar };
}

function storyFigure() {
  const { keep, half_life } = layer();
  const mask = maskOf(layer());
  const data = quantities().map((quantity, k) => ({
    ...line(withGaps(values(quantity, state.unit), mask), COLOURS[k]), name: named(quantity),
    yaxis: GATES.includes(quantity) ? "y" : "y2",
  }));
  const half = half_life[state.unit];
  const memory = keep[state.unit] === null ? "" : `: keeps ${shown(keep[state.unit])} of its cell `
    + `per step on average, half is gone after ${half === null ? "no number of" : shown(half)} steps`;
  return {
    title: `${layer().name}, unit ${state.unit}${memory}`, data,
    layout: {
      xaxis: { anchor: "y2" },
      yaxis: { domain: [0.54, 1], range: [-0.05, 1.05], title: { text: "gates" }, tickvals: [0, 0.5, 1] },
      yaxis2: { domain: [0, 0.46], title: { text: "cell" }, nticks: 4, zeroline: true },
    },
  };
}

addPanel("input", "105px", () => run.inputs, () => seriesFigure(run.inputs));
const heat = addPanel("heat", "max(240px, 36vh)", layer, heatFigure);
const story = addPanel("story", "205px", layer, storyFigure);
run.outputs.forEach((output, k) =>
  addPanel(`output-${k}`, "120px", () => output, () => seriesFigure(output)));

// Bands, placed in per cent of the plot's area: they follow its size by themselves.

function across(band, [low, high], from, to) {
  band.style.left = `${(100 * (from - low)) / (high - low)}%`;
  band.style.width = `${(100 * (to - from)) / (high - low)}%`;
}

function atRow(band, unit, rows) {
  const [high, low] = state.rows ?? [rows.size - 0.5, -0.5];
  band.style.top = `${(100 * (rows.get(unit) - 0.5 - low)) / (high - low)}%`;
  band.style.height = `${100 / (high - low)}%`;
}

function drawMarks(panel) {
  const { steps } = panel.thing();
  const mask = maskOf(panel.thing());
  panel.marks.replaceChildren();
  const add = (className) => element("div", panel.marks, { className });
  for (let start = 0, end; mask && start < steps; start = end) {
    for (end = start + 1; end < steps && mask[end] === mask[start]; end++);
    if (mask[start]) across(add("masked"), rangeOf(steps), start - 0.5, end - 0.5);
  }
  if (state.span && steps === layer().steps)
    across(add("span"), rangeOf(steps), state.span[0] - 0.5, state.span[1] + 0.5);
  if (panel === heat) {
    const rows = new Map(order().map((unit, row) => [unit, row]));
    for (const { unit } of found) atRow(add("found"), unit, rows);
    atRow(add("row"), state.unit, rows);
  }
  drawCursor(panel);
}

function drawCursor(panel) {
  const { steps } = panel.thing();
  panel.cursor.hidden = state.step >= steps;
  across(panel.cursor, rangeOf(steps), state.step - 0.5, state.step + 0.5);
}

// What the mouse does.

function listen(panel) {
  const { plot } = panel;
  const place = (event) => Math.round(event.points[0].x);
  plot.on("plotly_hover", (event) => {
    if (panel === heat) pointAt(order()[Math.round(event.points[0].y)], place(event));
    if (!state.held) moveTo(place(event));
  });
  plot.on("plotly_click", (event) => {
    if (panel === heat) choose(order()[Math.round(event.points[0].y)]);
    hold(!state.held || state.step !== place(event));
    moveTo(place(event));
  });
  plot.on("plotly_selected", (event) => {
    const range = event?.range?.x;
    if (!range) return;
    setSpan(Math.ceil(range[0]), Math.floor(range[1]));
    Plotly.relayout(plot, { selections: [] });
  });
  plot.on("plotly_relayout", (change) => {
    if (Object.keys(change).some((key) => key.includes("axis"))) zoomLike(panel);
  });
  plot.on("plotly_doubleclick", () => {
    state.ranges = {};
    state.rows = null;
    drawAll();
  });
}

/** After a zoom in one panel, those of as many steps show the same ones. */
function zoomLike(panel) {
  const { steps } = panel.thing();
  const { xaxis, yaxis } = panel.plot.layout;
  const [from, to] = xaxis.range;
  state.ranges[steps] = [Math.max(from, -0.5), Math.min(to, steps - 0.5)];
  if (panel === heat) state.rows = [...yaxis.range];
  panels.filter((other) => other.thing().steps === steps).forEach(draw);
}
