"""A small English, and its translation into an invented language, by rule.

    the old farmers did not see a river yesterday
    sore beruti veti loman una ra nemisti

The English is subject, verb, object, perhaps a place, perhaps a time. In the other language

- the time comes first, then subject, place, object, verb;
- nouns end in o or a, their gender, or in i or e where they are many; adjectives follow their noun
  and end alike;
- there is no word for "the"; "a" and "some" become "un" or "una" and "ne" at the end of the phrase;
- the object's noun bears the ending -n;
- prepositions become postpositions;
- the verb ends in its tense (-as, -is, -os), and in -ti if its subject is plural; negation is "ra"
  before it.

Each sentence has one translation. A word-for-word table does not find it: word order, endings of
adjectives and verbs, and case depend on other words.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks.studies.tasks import Pairs


class Noun(NamedTuple):
    """A noun: English singular and plural, stem and gender in the invented language."""

    one: str
    many: str
    stem: str
    gender: str


class Verb(NamedTuple):
    """A verb: three English forms, and its stem in the invented language."""

    base: str
    third: str
    past: str
    stem: str


NOUNS = tuple(
    Noun(*words.split())
    for words in (
        "farmer farmers berut o",
        "girl girls sil a",
        "king kings dorm o",
        "queen queens orl a",
        "dog dogs hak o",
        "cat cats mish a",
        "horse horses tav o",
        "bird birds pirr a",
        "child children nin a",
        "man men gar o",
        "woman women eld a",
        "wolf wolves ulv o",
        "river rivers lom a",
        "house houses bat o",
        "tree trees vesp a",
        "stone stones krod o",
        "bridge bridges pold o",
        "book books libr a",
        "knife knives skar o",
        "boat boats naw a",
        "garden gardens jelk o",
        "mountain mountains tind a",
        "city cities urb a",
        "field fields agr o",
    )
)
VERBS = tuple(
    Verb(*words.split())
    for words in (
        "see sees saw nem",
        "find finds found trov",
        "love loves loved lub",
        "hear hears heard aud",
        "carry carries carried port",
        "follow follows followed sekv",
        "hide hides hid kash",
        "paint paints painted pint",
        "lose loses lost perd",
        "watch watches watched gled",
        "know knows knew zin",
        "draw draws drew rit",
        "buy buys bought kup",
        "sell sells sold vend",
        "want wants wanted hosh",
        "forget forgets forgot zab",
    )
)
ADJECTIVES = dict(
    pair.split()
    for pair in (
        "old vet",
        "young yun",
        "small pik",
        "big grom",
        "red rud",
        "white blan",
        "quiet tish",
        "strong fort",
        "poor mis",
        "happy vesel",
        "slow lant",
        "cold kel",
    )
)
PREPOSITIONS = {
    "near": "api",
    "behind": "ret",
    "under": "sub",
    "beside": "lato",
    "in": "en",
    "without": "sen",
}
TIMES = {
    "yesterday": "sore",
    "last night": "nokte",
    "today": "dise",
    "every day": "omdi",
    "tomorrow": "mane",
    "next year": "prosan",
}
TENSES = {"past": "is", "present": "as", "future": "os"}
TIMES_OF = {name: tuple(TIMES)[2 * place : 2 * place + 2] for place, name in enumerate(TENSES)}


class Phrase(NamedTuple):
    """A noun with its article and adjectives."""

    noun: Noun
    plural: bool
    definite: bool
    adjectives: tuple[str, ...]

    def english(self) -> list[str]:
        noun = self.noun.many if self.plural else self.noun.one
        words = [*self.adjectives, noun]
        if self.definite:
            return ["the", *words]
        if self.plural:
            return ["some", *words]
        return ["an" if words[0][0] in "aeiou" else "a", *words]

    def invented(self, case: str = "") -> list[str]:
        ending = {"o": "i", "a": "e"}[self.noun.gender] if self.plural else self.noun.gender
        words = [f"{self.noun.stem}{ending}{case}"]
        words += [f"{ADJECTIVES[adjective]}{ending}" for adjective in self.adjectives]
        if not self.definite:
            words.append("ne" if self.plural else {"o": "un", "a": "una"}[self.noun.gender])
        return words


class Sentence(NamedTuple):
    """The meaning of a sentence, in neither language."""

    subject: Phrase
    verb: Verb
    tense: str
    negated: bool
    object: Phrase
    place: tuple[str, Phrase] | None
    time: str | None

    def english(self) -> str:
        words = [*self.subject.english(), *self._english_verb(), *self.object.english()]
        if self.place is not None:
            words += [self.place[0], *self.place[1].english()]
        return " ".join([*words, *([self.time] if self.time else [])])

    def invented(self) -> str:
        words = [TIMES[self.time]] if self.time else []
        words += self.subject.invented()
        if self.place is not None:
            words += [*self.place[1].invented(), PREPOSITIONS[self.place[0]]]
        words += self.object.invented(case="n")
        number = "ti" if self.subject.plural else ""
        verb = f"{self.verb.stem}{TENSES[self.tense]}{number}"
        return " ".join([*words, *["ra"] * self.negated, verb])

    def _english_verb(self) -> list[str]:
        verb, plural = self.verb, self.subject.plural
        if self.tense == "future":
            return ["will", *["not"] * self.negated, verb.base]
        if self.negated:
            present = "do" if plural else "does"
            return ["did" if self.tense == "past" else present, "not", verb.base]
        if self.tense == "past":
            return [verb.past]
        return [verb.base if plural else verb.third]


def pairs(train: int, validation: int, seed: int) -> tuple[Pairs, Pairs]:
    """Draw two sets of sentences; no English sentence occurs twice."""
    rng = np.random.default_rng(seed)
    found: dict[str, str] = {}
    while len(found) < train + validation:
        sentence = draw(rng)
        found.setdefault(sentence.english(), sentence.invented())
    sources, targets = list(found), list(found.values())
    return Pairs(sources[:train], targets[:train]), Pairs(sources[train:], targets[train:])


def draw(rng: np.random.Generator) -> Sentence:
    """Draw a sentence; subject and object have up to two adjectives each."""
    tense = _one(rng, tuple(TENSES))
    return Sentence(
        subject=_phrase(rng, adjectives=2),
        verb=_one(rng, VERBS),
        tense=tense,
        negated=rng.random() < 0.25,
        object=_phrase(rng, adjectives=2),
        place=(_one(rng, tuple(PREPOSITIONS)), _phrase(rng)) if rng.random() < 0.5 else None,
        time=_one(rng, TIMES_OF[tense]) if rng.random() < 0.5 else None,
    )


def _phrase(rng: np.random.Generator, adjectives: int = 0) -> Phrase:
    chosen = rng.permutation(list(ADJECTIVES))[: rng.integers(adjectives + 1)]
    return Phrase(
        noun=_one(rng, NOUNS),
        plural=rng.random() < 0.5,
        definite=rng.random() < 0.6,
        adjectives=tuple(chosen.tolist()),
    )


def _one(rng: np.random.Generator, options: tuple):
    return options[rng.integers(len(options))]
