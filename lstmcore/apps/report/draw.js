"use strict";
// Each figure is followed by what it shows, as JSON. A double click shows all, also of a figure that
// opens on a part.
for (const place of document.querySelectorAll(".plotly-graph-div")) {
  const { data, layout } = JSON.parse(place.nextElementSibling.textContent);
  Plotly.newPlot(place, data, layout, {
    displaylogo: false, responsive: true, doubleClick: "autosize",
  });
}
