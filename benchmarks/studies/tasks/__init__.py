"""Generated tasks for sequence-to-sequence models: pairs of texts, equal for equal seeds.

    addition    "123+45" to "168", as in Keras's example
    dates       a date in one of many forms to ISO 8601
    language    a small English to an invented language: another word order, agreement, case
    cipher      random strings, letter for letter: shows the effect of reversing the source

The models that are trained on them are in the studies of `benchmarks.studies`.
"""

from __future__ import annotations

from typing import NamedTuple


class Pairs(NamedTuple):
    """Source texts and their target texts, one by one."""

    sources: list[str]
    targets: list[str]
