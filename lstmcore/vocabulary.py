"""Encoding of text as token ids and decoding: a vocabulary of characters or words. NumPy alone.

`Vocabulary` comes first, then the functions that split a text into tokens and join them again.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any
from unicodedata import normalize

import numpy as np

from lstmcore import checks
from lstmcore.arrays import as_values
from lstmcore.formatting import excerpt
from lstmcore.io.json_text import parse_json

__all__ = ["END", "PADDING", "START", "UNKNOWN", "Vocabulary"]

PADDING, START, END, UNKNOWN = 0, 1, 2, 3
SPECIAL = 4  # ids below are the four above; the first token of a vocabulary has this id

LEVELS = ("character", "word")
FORMAT = 1  # of the JSON text
UNREADABLE = "�"  # UNKNOWN in decoded text
JOINER = "￭"  # starts a word-level token that follows the one before without a space


@dataclass(frozen=True, repr=False)
class Vocabulary:
    """Mapping between tokens and ids.

    The ids 0 to 3 are PADDING, START, END and UNKNOWN; `tokens[i]` has the id `i + 4`. The four
    have no text of their own, so no text can be mistaken for one of them.

    A token is, at level "character", one Unicode character (code point), spaces and line ends
    included. At level "word" it is a run of letters, digits, underscores and marks such as accents,
    or any other single character that is not white space: punctuation is separate. A token that
    follows another without a space between them starts with "￭", so that decoding is exact:
    "Go on, go!" is split into "Go", "on", "￭,", "go", "￭!".

    `decode(encode(text)) == text` for every text whose tokens are all known. At level "word", white
    space is decoded as single spaces between words, none at the ends; the equation holds for texts
    in that form. An unknown token becomes UNKNOWN, which decodes to "�".

    The same text can consist of different code points, such as "é" of one or of "e" and an accent
    (Unicode Standard Annex 15, "Unicode Normalization Forms"). A token that is not known as is is
    looked up in the forms NFC and NFD, too.

    Attributes:
      tokens: all different; most frequent first if made by `of`.
      level: "character" or "word".

    Raises:
      ValueError: no tokens, the same token twice, one that is not of this level, or another level.
      TypeError: tokens that are not strings.

    Examples:
      >>> import lstmcore as lc
      >>> vocabulary = lc.Vocabulary.of(["banana", "bandana"])
      >>> vocabulary.tokens, vocabulary.size
      (('a', 'n', 'b', 'd'), 8)
      >>> vocabulary.encode("band").tolist()  # the last one is END
      [6, 4, 5, 7, 2]
      >>> vocabulary.decode([6, 4, 5, 7, 2, 0, 0])
      'band'
    """

    tokens: tuple[str, ...]
    level: str = "character"

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ValueError(f"level must be 'character' or 'word', got {self.level!r}")
        object.__setattr__(self, "tokens", tuple(strings("tokens", self.tokens)))
        if not self.tokens:
            raise ValueError("tokens is empty: a vocabulary needs at least one token")
        if len(set(self.tokens)) < len(self.tokens):
            token, times = Counter(self.tokens).most_common(1)[0]
            raise ValueError(f"tokens holds {token!r} {times} times: each may be there once")
        for token in self.tokens:
            if not is_token(token, self.level):
                raise ValueError(f"tokens holds {token!r}, which is not one {self.level}")

    @classmethod
    def of(
        cls,
        texts: Iterable[str],
        level: str = "character",
        limit: int | None = None,
        minimum: int = 1,
    ) -> Vocabulary:
        """Build the vocabulary of some texts: most frequent token first, then by code point.

        Args:
          texts: any number of strings; they are read once.
          level: "character" or "word".
          limit: maximum number of tokens, not counting the four special ids; None keeps all.
          minimum: tokens that occur less often are left out.

        Raises:
          ValueError: no token is left, since there are no texts, all are empty, or `minimum` is too
            high; or another level, or a limit or minimum below 1.
          TypeError: texts that are not strings.
        """
        if level not in LEVELS:
            raise ValueError(f"level must be 'character' or 'word', got {level!r}")
        limit = None if limit is None else checks.check_count("limit", limit)
        minimum = checks.check_count("minimum", minimum)
        texts = strings("texts", texts)
        counts = Counter(token for text in texts for token in split(text, level))
        frequent = [token for token, count in counts.items() if count >= minimum]
        if not frequent:
            found = f"no {level} that occurs {minimum} times" if counts else f"no {level} at all"
            raise ValueError(
                f"texts ({len(texts)} of them) hold {found}: a vocabulary needs at least one token"
            )
        frequent.sort(key=lambda token: (-counts[token], token))
        return cls(tuple(frequent[:limit]), level)

    @property
    def size(self) -> int:
        """Number of ids, the four special ones included, as models take it."""
        return SPECIAL + len(self.tokens)

    def encode(self, text: str) -> np.ndarray:
        """Encode one text: int32 [T], END included; unknown tokens become UNKNOWN.

        Raises:
          TypeError: `text` is not a string.

        Examples:
          >>> import lstmcore as lc
          >>> vocabulary = lc.Vocabulary.of(["caf\u00e9"], level="word")
          >>> vocabulary.encode("cafe\u0301").tolist()  # the same word, another normal form
          [4, 2]
        """
        ids = [self._ids.get(token, UNKNOWN) for token in self.split(text)]
        return np.array([*ids, END], np.int32)

    def split(self, text: str) -> list[str]:
        """Split one text into tokens, each in the form that this vocabulary knows, if any.

        Raises:
          TypeError: `text` is not a string.
        """
        if not isinstance(text, str):
            raise TypeError(f"text must be a string, got {type(text).__name__}")
        tokens = split(text, self.level)
        if self._ids.keys() >= set(tokens):
            return tokens
        if self.level == "word":
            return [
                token if token in self._ids else self._composed.get(normalize("NFC", token), token)
                for token in tokens
            ]
        # Characters are composed with their neighbours, so a word is looked up as a whole.
        return [token for piece in re.split(r"(\s+)", text) for token in self._nearest(piece)]

    def encode_all(self, texts: Iterable[str], length: int | None = None) -> np.ndarray:
        """Encode many texts: int32 [B, T], each with its END, padded with PADDING.

        Args:
          texts: B strings.
          length: T, END included; None takes that of the longest text.

        Raises:
          ValueError: a text has more than `length` ids, END included; `length` below 1.
          TypeError: texts that are not strings.
        """
        texts = strings("texts", texts)
        length = None if length is None else checks.check_count("length", length)
        rows = [self.encode(text) for text in texts]
        if length is None:
            length = max(map(len, rows), default=0)
        padded = np.full((len(rows), length), PADDING, np.int32)
        for number, (row, text) in enumerate(zip(rows, texts, strict=True)):
            if len(row) > length:
                raise ValueError(
                    f"texts[{number}] has {len(row)} ids with END, more than length {length}: "
                    f"shorten it or raise length: {_shortened(text)!r}"
                )
            padded[number, : len(row)] = row
        return padded

    def decode(self, ids: Any) -> str:
        """Decode ids to text: up to END, without PADDING and START, UNKNOWN as "�".

        Args:
          ids: integers [T]; an END is not required.

        Raises:
          ValueError: an id that is not one of this vocabulary, before END or after it; ids that are
            not one axis of integers.
        """
        ids = self._checked(ids).tolist()
        ids = ids[: ids.index(END)] if END in ids else ids
        tokens = [self._texts[i] for i in ids if i not in (PADDING, START)]
        return join(tokens, self.level)

    def decode_all(self, ids: Any) -> list[str]:
        """Decode each row to text.

        Args:
          ids: integers [B, T], or B rows of any lengths.

        Raises:
          ValueError: as `decode`.
        """
        return [self.decode(row) for row in ids]

    def labels(self, ids: Any) -> list[str]:
        """Return a label for each id, for the axis of a figure; <end> and the like for special ids.

        The "￭" of a token that follows without a space is left out: few fonts have it.

        Args:
          ids: integers [T].

        Raises:
          ValueError: as `decode`.

        Examples:
          >>> import lstmcore as lc
          >>> vocabulary = lc.Vocabulary.of(["Well, go!"], level="word")
          >>> vocabulary.labels(vocabulary.encode("Well, run!"))
          ['Well', ',', '<unknown>', '!', '<end>']
        """
        names = ("<pad>", "<start>", "<end>", "<unknown>", *self.tokens)
        labels = (names[i] for i in self._checked(ids))
        return [label.removeprefix(JOINER) or label for label in labels]

    def to_json(self) -> str:
        """Return the vocabulary as JSON text, in ASCII.

        Raises:
          ValueError: more tokens than `from_json` accepts: some 390,000, fewer if they are long.
        """
        text = json.dumps({"format": FORMAT, "level": self.level, "tokens": self.tokens})
        parse_json(text, f"the JSON of a vocabulary of {self.size:,} ids")
        return text

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """Read a vocabulary that `to_json` wrote.

        Raises:
          ValueError: the text is damaged or not that of a vocabulary.

        Examples:
          >>> import lstmcore as lc
          >>> vocabulary = lc.Vocabulary.of(["banana"])
          >>> lc.Vocabulary.from_json(vocabulary.to_json()) == vocabulary
          True
        """
        try:
            found = parse_json(text, "text")
        except (ValueError, TypeError) as error:
            raise ValueError(f"text is not the JSON of a vocabulary: {error}") from None
        return cls.from_stored(found)

    @classmethod
    def from_stored(cls, found: object) -> Vocabulary:
        """Read a vocabulary from parsed JSON; errors as in `from_json`."""
        if not isinstance(found, dict) or set(found) != {"format", "level", "tokens"}:
            raise ValueError(
                "text is not the JSON of a vocabulary: it must be an object with format, level and "
                f"tokens, got {excerpt(found)!r}"
            )
        if found["format"] != FORMAT:
            raise ValueError(
                f"the vocabulary in text has format {_shortened(repr(found['format']))}, this "
                f"version of lstmcore reads {FORMAT}"
            )
        if not isinstance(found["tokens"], list):
            kind = type(found["tokens"]).__name__
            raise ValueError(f"text is a vocabulary whose tokens must be a list, got {kind}")
        try:
            return cls(tuple(found["tokens"]), found["level"])
        except (TypeError, ValueError) as error:
            reason = excerpt(error, 200)
            raise ValueError(f"text is not the JSON of a vocabulary: {reason}") from None

    def __repr__(self) -> str:
        some = ", ".join(map(repr, self.tokens[:5])) + (", ..." if len(self.tokens) > 5 else "")
        return f"Vocabulary(({some}), level={self.level!r}, size={self.size})"

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens, SPECIAL)}

    @cached_property
    def _composed(self) -> dict[str, str]:
        """Map the NFC form of a token to the token; of several, to the most frequent."""
        return {normalize("NFC", token): token for token in reversed(self.tokens)}

    def _nearest(self, piece: str) -> str:
        """Return the normal form of a text in which the fewest of its characters are unknown."""
        forms = (piece, normalize("NFC", piece), normalize("NFD", piece))
        return min(forms, key=lambda form: sum(character not in self._ids for character in form))

    @cached_property
    def _texts(self) -> tuple[str, ...]:
        return ("", "", "", UNREADABLE, *self.tokens)

    def _checked(self, ids: Any) -> np.ndarray:
        """Return ids as an array [T] of this vocabulary's ids."""
        ids = np.asarray(as_values("ids", ids))
        checks.check_array("ids", ids, "time", "decode_all takes [batch, time]")
        if ids.size == 0:  # of an empty list, float
            return ids.astype(np.int32)
        checks.check_integers("ids", ids)
        wrong = np.flatnonzero((ids < 0) | (ids >= self.size))
        if wrong.size:
            raise ValueError(
                f"ids[{wrong[0]}] is {ids[wrong[0]]}, but this vocabulary has the ids 0 to "
                f"{self.size - 1}: is it that of another vocabulary?"
            )
        return ids


def split(text: str, level: str) -> list[str]:
    """Split a text into tokens, see `Vocabulary`."""
    if level == "character":
        return list(text)
    return [
        (JOINER if position else "") + token
        for piece in text.split()
        for position, token in enumerate(_words(piece))
    ]


def join(tokens: Iterable[str], level: str) -> str:
    """Join tokens to a text, the inverse of `split`."""
    if level == "character":
        return "".join(tokens)
    text = ""
    for token in tokens:
        joined = len(token) > 1 and token.startswith(JOINER)  # alone, it is a character of the text
        text += token[1:] if joined else f" {token}"
    return text.removeprefix(" ")


def _words(piece: str) -> list[str]:
    """Split a text without spaces into words and single other characters."""
    tokens: list[str] = []
    for is_word, run in groupby(piece, _is_of_a_word):
        characters = list(run)
        tokens += ["".join(characters)] if is_word else characters
    return tokens


def _is_of_a_word(character: str) -> bool:
    # Marks (accents, vowel signs) are not letters to `str.isalnum`, yet belong to the word.
    is_mark = unicodedata.category(character).startswith("M")
    return character.isalnum() or character == "_" or is_mark


def is_token(token: str, level: str) -> bool:
    """Return whether `split` can produce this token."""
    if level == "character":
        return len(token) == 1
    bare = token[1:] if len(token) > 1 and token.startswith(JOINER) else token
    one_character = len(bare) == 1 and not bare.isspace()
    return one_character or (bare != "" and all(map(_is_of_a_word, set(bare))))


def strings(name: str, values: Any) -> list[str]:
    """Return `values` as a list of strings; raise a TypeError that names one that is not."""
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


def _shortened(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[:most] + "..."
