"""Generated tasks for sequence-to-sequence models: pairs of texts, equal for equal seeds.

    addition    "123+45" to "168", as in Keras's example
    dates       many ways of writing a date to ISO 8601
    language    a small English to an invented language: another word order, agreement, case
    cipher      random strings, letter for letter: what reversing the source is good for

Nothing is trained here; what is trained on them is in `benchmarks.translation` and
`benchmarks.studies.reversal`.
"""

from __future__ import annotations

from typing import NamedTuple


class Pairs(NamedTuple):
    """Texts and what they are to become, one by one."""

    sources: list[str]
    targets: list[str]
