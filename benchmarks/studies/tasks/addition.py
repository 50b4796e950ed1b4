"""The task of Keras's example `addition_rnn`: "123+45" to "168".

Each number has one to three digits; how many is drawn first, then a number below 10, 100 or 1,000.
No two questions ask for the same two numbers, in whichever order. Questions are padded with
spaces to 7 characters and read backwards, answers are padded to 4 (Keras 3, `examples/nlp/
addition_rnn.py`, as published).
"""

from __future__ import annotations

import numpy as np

from benchmarks.studies.tasks import Pairs

ALPHABET = " +0123456789"
DIGITS = 3
QUESTION, ANSWER = 2 * DIGITS + 1, DIGITS + 1  # characters
TRAIN, VALIDATION = 45_000, 5_000


def pairs(count: int, seed: int) -> Pairs:
    """Draw questions, neither padded nor reversed, and their answers."""
    rng = np.random.default_rng(seed)
    found: dict[tuple[int, int], tuple[int, int]] = {}
    while len(found) < count:
        digits = rng.integers(1, DIGITS + 1, (count, 2))
        for a, b in rng.integers(0, 10**digits).tolist():
            found.setdefault((min(a, b), max(a, b)), (a, b))
    numbers = list(found.values())[:count]
    return Pairs([f"{a}+{b}" for a, b in numbers], [str(a + b) for a, b in numbers])


def one_hot(texts: list[str], length: int) -> np.ndarray:
    """Return texts padded with spaces as float32 [N, length, 12]."""
    return np.eye(len(ALPHABET), dtype=np.float32)[codes(texts, length)]


def codes(texts: list[str], length: int) -> np.ndarray:
    """Return texts padded with spaces as positions in `ALPHABET`: int [N, length]."""
    letters = np.array([list(text.ljust(length)) for text in texts])
    return np.searchsorted(list(ALPHABET), letters)  # the alphabet is sorted


def arrays(seed: int, train: int = TRAIN, validation: int = VALIDATION):
    """Return the example's training and validation data.

    Each is {"question": [N, 7, 12], "answer": [N, 4, 12]}, one-hot, the questions reversed.
    """
    questions, answers = pairs(train + validation, seed)
    data = {
        "question": one_hot([text.ljust(QUESTION)[::-1] for text in questions], QUESTION),
        "answer": one_hot(answers, ANSWER),
    }
    parts = slice(None, train), slice(train, None)
    return tuple({name: array[part] for name, array in data.items()} for part in parts)
