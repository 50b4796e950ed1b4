"""Cutting text into characters or words, so that it can be put together again. No NumPy, no JAX."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from itertools import groupby

JOINER = "￭"  # starts a word-level token that follows the one before without a space


def split(text: str, level: str) -> list[str]:
    """The tokens of a text, see `lstmcore.vocabulary.Vocabulary`."""
    if level == "character":
        return list(text)
    return [
        (JOINER if position else "") + token
        for piece in text.split()
        for position, token in enumerate(_apart(piece))
    ]


def join(tokens: Iterable[str], level: str) -> str:
    """The text of tokens, the inverse of `split`."""
    if level == "character":
        return "".join(tokens)
    text = ""
    for token in tokens:
        joined = len(token) > 1 and token.startswith(JOINER)  # alone, it is a character of the text
        text += token[1:] if joined else f" {token}"
    return text.removeprefix(" ")


def _apart(piece: str) -> list[str]:
    """Words and single other characters of a text without spaces."""
    apart: list[str] = []
    for is_word, run in groupby(piece, _is_of_a_word):
        characters = list(run)
        apart += ["".join(characters)] if is_word else characters
    return apart


def _is_of_a_word(character: str) -> bool:
    # Marks (accents, vowel signs) are no letters to `str.isalnum`, yet belong to the word.
    is_mark = unicodedata.category(character).startswith("M")
    return character.isalnum() or character == "_" or is_mark


def is_token(token: str, level: str) -> bool:
    """Whether `split` can give this token."""
    if level == "character":
        return len(token) == 1
    bare = token[1:] if len(token) > 1 and token.startswith(JOINER) else token
    one_character = len(bare) == 1 and not bare.isspace()
    return one_character or (bare != "" and all(map(_is_of_a_word, set(bare))))


def strings(name: str, values) -> list[str]:
    """`values` as a list of strings, or a TypeError that says which is none."""
    if isinstance(values, str):
        raise TypeError(f"{name} must be a list of strings, got one string: write [{name}]")
    try:
        values = list(values)
    except TypeError:
        raise TypeError(f"{name} must be a list of strings, got {type(values).__name__}") from None
    for number, value in enumerate(values):
        if not isinstance(value, str):
            raise TypeError(f"{name}[{number}] must be a string, got {type(value).__name__}")
    return values
