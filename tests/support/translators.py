"""Pairs to train a translator on, and changes to the files of a saved one."""

import json
from itertools import product

import lstmcore as lc

WORDS = {"one": "eins", "two": "zwei", "red": "rot", "old": "alt", "big": "groß", "new": "neu"}
PAIRS = [(f"{a} {b}", f"{WORDS[b]} {WORDS[a]}") for a, b in product(WORDS, repeat=2)]  # 36
OTHER = json.loads(lc.Vocabulary.of(["one two three"], "word").to_json())


def change_vocabularies(folder, **changes):
    """Change entries of vocabularies.json."""
    path = folder / "vocabularies.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
