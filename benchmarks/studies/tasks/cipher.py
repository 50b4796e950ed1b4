"""Random strings, translated letter for letter by a fixed table.

The k-th letter of the target depends on the k-th of the source alone. If the source is read as is,
every letter lies one source length before its translation; if it is read backwards, the first lie
close and the last far, with the same mean distance, as in Sutskever et al. (2014, section 3.3).
"""

from __future__ import annotations

import string

import numpy as np

from benchmarks.studies.tasks import Pairs

SHORTEST, LONGEST = 10, 20
LETTERS = string.ascii_lowercase[:16]


def pairs(count: int, seed: int) -> Pairs:
    """Draw strings of 10 to 20 letters; the table is the same for every seed."""
    shuffled = np.random.default_rng(0).permutation(list(LETTERS))
    table = str.maketrans(LETTERS, "".join(shuffled))
    rng = np.random.default_rng(seed)
    lengths = rng.integers(SHORTEST, LONGEST + 1, count)
    letters = "".join(rng.choice(list(LETTERS), lengths.sum()))
    ends = lengths.cumsum()
    sources = [letters[end - length : end] for length, end in zip(lengths, ends, strict=True)]
    return Pairs(sources, [source.translate(table) for source in sources])
