"""Signals that a program computes from a text, with which units of a character model may correlate.

Each signal has a value for each character, after that character. It falls where a line, a string or
a bracket ends: at the newline, the closing quote, the closing bracket. These are the characters
that a unit correlating with the signal should help to predict.
"""

from __future__ import annotations

import io
import tokenize

import numpy as np

LONGEST_LINE = 80  # columns beyond count as this one


def signals(text: str, *, is_python: bool) -> dict[str, np.ndarray]:
    """Return {name: float32 [characters]}."""
    found = {"position in line": position_in_line(text)}
    return found | (_of_python(text) if is_python else _of_prose(text))


def position_in_line(text: str) -> np.ndarray:
    """Return the characters since the last newline; 0 at the newline itself."""
    places = np.arange(len(text))
    newline = np.array([character == "\n" for character in text])
    last = np.maximum.accumulate(np.where(newline, places, -1))
    return np.minimum(places - last, LONGEST_LINE).astype(np.float32)


def falls(signal: np.ndarray) -> np.ndarray:
    """Return where the next value is lower: bool [..., T - 1] for [..., T]."""
    return signal[..., 1:] < signal[..., :-1]


def _of_python(text: str) -> dict[str, np.ndarray]:
    names = ("inside a string", "inside a docstring", "inside a comment", "bracket depth")
    found = {name: np.zeros(len(text), np.float32) for name in names}
    brackets = found["bracket depth"]  # first where it changes, then the sum of the changes
    lines = text.splitlines(keepends=True)
    starts = np.concatenate([[0], np.cumsum([len(line) for line in lines])])
    opened: list[int] = []  # starts of f-strings, which Python tokenizes from 3.12 on

    def mark_string(start: int, end: int) -> None:
        closing = 3 if text[start:end].endswith(('"""', "'''")) and end - start > 5 else 1
        name = "inside a docstring" if closing == 3 else "inside a string"
        found[name][start : end - closing] = 1

    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        start, end = (int(starts[row - 1]) + column for row, column in (token.start, token.end))
        kind = tokenize.tok_name[token.type]
        if kind.endswith("STRING_START"):
            opened.append(start)
        elif kind.endswith("STRING_END"):
            begun = opened.pop()
            if not opened:
                mark_string(begun, end)
        elif opened:
            continue
        elif kind == "STRING":
            mark_string(start, end)
        elif kind == "COMMENT":
            found["inside a comment"][start:end] = 1
        elif kind == "OP" and token.string in "([{":
            brackets[start] = 1
        elif kind == "OP" and token.string in ")]}":
            brackets[start] = -1
    return found | {"bracket depth": np.cumsum(brackets, dtype=np.float32)}


def _of_prose(text: str) -> dict[str, np.ndarray]:
    quoted, depth, word = (np.zeros(len(text), np.float32) for _ in range(3))
    in_quotes, parentheses, letters = False, 0, 0
    for place, character in enumerate(text):
        if character == "\n" and text[place - 1 : place] == "\n":  # a paragraph ends
            in_quotes, parentheses = False, 0
        elif character == '"':
            in_quotes = not in_quotes
        elif character in "“”":
            in_quotes = character == "“"
        elif character in "()":
            parentheses = max(0, parentheses + (1 if character == "(" else -1))
        letters = letters + 1 if character.isalpha() else 0
        quoted[place], depth[place], word[place] = in_quotes, parentheses, letters
    return {"inside quotes": quoted, "bracket depth": depth, "position in word": word}
