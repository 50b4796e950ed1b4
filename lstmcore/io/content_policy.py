"""The content security policy of a page: the browser may draw what is in it, and nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

__all__ = ["content_policy"]


def content_policy(scripts: Sequence[str]) -> str:
    """Return the meta element that must come first in the head of a page.

    Only these scripts run, known by their digests, whatever a name or a cell may smuggle into the
    page. The page can neither fetch nor send anything. Inline styles are allowed: plotly.js writes
    some.

    Args:
      scripts: text between the tags of each script, with "\\n" at line ends.
    """
    hashes = (hashlib.sha256(script.encode()).digest() for script in scripts)
    sources = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in hashes)
    policy = (
        f"default-src 'none'; base-uri 'none'; form-action 'none'; script-src {sources}; "
        "style-src 'unsafe-inline'; img-src data: blob:"
    )
    return f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
