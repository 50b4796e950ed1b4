"""The figures of a report, read from its page."""

import base64
import gzip
import json
import re


def figures_in(path):
    """Return the figures of a page, as `lstmcore.apps.report.figures` made them."""
    text = path.read_text(encoding="utf-8")
    packed = re.findall(r'<script type="application/gzip">([^<]*)</script>', text)
    return [json.loads(gzip.decompress(base64.b64decode(each))) for each in packed]


def lines_of(figure, axis="y"):
    """Return {name: trace} of the lines in one panel; axis: "y" of the first, "y2", ..."""
    traces = [trace for trace in figure["data"] if trace["type"] == "scatter"]
    return {trace["name"]: trace for trace in traces if trace["yaxis"] == axis}
