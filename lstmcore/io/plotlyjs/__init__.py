"""plotly.js for the pages that this package writes: the published bundle of plots with two axes.

`plotly-cartesian.min.js` is that of the npm package plotly.js-cartesian-dist-min 4.1.1, unchanged,
under the MIT licence beside it. It has a third of the size of the whole library, which the Python
package plotly contains, and a page must hold all that it needs.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

__all__ = ["DIGEST", "source"]

FILE = "plotly-cartesian.min.js"
DIGEST = "79542150855a52c567260e3137095dbe2b744e6d702a5cabe67da246942fba7a"  # SHA-256 of the file


@cache
def source() -> str:
    """Return the code of plotly.js.

    Examples:
      >>> "plotly.js (cartesian - minified)" in source()[:100]
      True
    """
    return (resources.files(__name__) / FILE).read_text(encoding="utf-8")
