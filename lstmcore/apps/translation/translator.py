"""A translator: a trained model with its two vocabularies, from texts to texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from lstmcore import checks, study
from lstmcore.apps.saved import Saved
from lstmcore.decoding.beam import beam_search
from lstmcore.decoding.greedy import greedy
from lstmcore.models.seq2seq import Seq2Seq
from lstmcore.programs import compiled
from lstmcore.vocabulary import JOINER, PADDING, Vocabulary, strings

AT_ONCE = 256  # texts in one batch
MOST_TOKENS = 100_000  # of a translation; memory for all is reserved at once
FEWEST_STEPS = 8  # sources are padded to 8, 16, 32, ... steps: few compilations


@dataclass(frozen=True, eq=False, repr=False)
class Translator(Saved):
    """A trained model with its two vocabularies.

    Attributes:
      model: lc.Seq2Seq of tokens.
      params: its weights.
      source, target: vocabularies of the two sides.
      max_length: largest number of tokens of a translation, END included.
    """

    DESCRIPTION = "vocabularies.json"
    COMMAND = "lstmcore translate train"

    model: Seq2Seq
    params: dict
    source: Vocabulary
    target: Vocabulary
    max_length: int

    def __post_init__(self):
        checks.check_count("max_length", self.max_length, maximum=MOST_TOKENS)
        if not isinstance(self.model, Seq2Seq) or None in self.model.embedding:
            kind = (
                "real-valued one" if isinstance(self.model, Seq2Seq) else type(self.model).__name__
            )
            raise ValueError(f"a translator needs a Seq2Seq of tokens, got a {kind}")
        sizes = {"source": self.source.size, "target": self.target.size}
        for side, size in sizes.items():
            if getattr(self.model, side) != size:
                raise ValueError(
                    f"the model has {getattr(self.model, side)} {side} tokens but the vocabulary "
                    f"has {size}: they belong to different models"
                )

    def __repr__(self) -> str:
        return f"Translator({self.model!r}, max_length={self.max_length})"

    def translate(
        self,
        texts: Sequence[str],
        *,
        width: int = 1,
        length_penalty: float = 0.6,
        edits: Mapping[str, Callable] | None = None,
    ) -> list[str]:
        """Return a translation of each text.

        Tokens outside the source vocabulary are read as UNKNOWN, see `unknown`. Empty texts are
        translated as well: the encoder reads only END.

        Args:
          texts: any number of strings.
          width: 1 takes the most probable token at each step; more is the width of a beam search.
          length_penalty: of the beam search, see `lc.beam_search`.
          edits: a function `(gates, t) -> gates` for any LSTM layer by name, for instance to
            translate with a gate closed. Decoding is then compiled anew.

        Raises:
          TypeError: `texts` is a string, or holds anything but strings.
          ValueError: `width` below 1, an unknown name in `edits`, or weights whose logits are not
            finite.
        """
        width = checks.check_count("width", width)
        texts = strings("texts", texts)
        step = self.model.step if edits is None else partial(self.model.step, edits=edits)
        translations: list[str] = []
        for first in range(0, len(texts), AT_ONCE):
            some = texts[first : first + AT_ONCE]
            rows = 1 << (len(some) - 1).bit_length()  # a power of 2: few compilations
            ids = self._ids(some + some[-1:] * (rows - len(some)))
            if edits is None:
                state = _encode(self.model, self.params, ids)
            else:
                state, _ = self.model.encode(self.params, ids, edits=edits)
            options: dict[str, Any] = {"max_length": self.max_length}
            if width == 1:
                tokens = greedy(step, self.params, state, **options).tokens
            else:
                options |= {"width": width, "length_penalty": length_penalty}
                tokens = beam_search(step, self.params, state, **options).tokens[:, 0]
            translations += self.target.decode_all(np.asarray(tokens)[: len(some)])
        return translations

    def unknown(self, texts: Sequence[str]) -> list[str]:
        """Return the distinct tokens of the texts outside the source vocabulary, sorted."""
        known = set(self.source.tokens)
        found = {token for text in strings("texts", texts) for token in self.source.split(text)}
        bare = {token: token.removeprefix(JOINER) or token for token in found - known}
        # A known word may be unknown in its form that follows without a space.
        return sorted({token if name in known else name for token, name in bare.items()})

    def run(self, texts: Sequence[str], targets: Sequence[str] | None = None, **options):
        """Return the `study.Run` of encoding the texts and decoding `targets`.

        Args:
          texts: the sources.
          targets: the targets; None takes the translations of the model.
          **options: `edits`, as in `study.run`.

        Returns:
          study.Run; `source.labels(run.inputs[0])` and `target.labels(run.target[0])` name its
          steps.
        """
        texts = strings("texts", texts)
        targets = self.translate(texts) if targets is None else strings("targets", targets)
        target = jnp.asarray(self.target.encode_all(targets))
        return study.run(self.model, self.params, self._ids(texts), target=target, **options)

    def _describe(self) -> dict[str, Any]:
        return {
            "source": json.loads(self.source.to_json()),
            "target": json.loads(self.target.to_json()),
            "max_length": self.max_length,
        }

    @staticmethod
    def _parse(stored: dict) -> dict[str, Any]:
        return {
            "source": Vocabulary.from_stored(stored["source"]),
            "target": Vocabulary.from_stored(stored["target"]),
            "max_length": checks.check_count("max_length", stored["max_length"]),
        }

    def _ids(self, texts: Sequence[str]):
        """Return the tokens of the texts [B, S]; S is a power of two."""
        ids = self.source.encode_all(texts)
        steps = max(FEWEST_STEPS, 1 << (ids.shape[1] - 1).bit_length())
        missing = steps - ids.shape[1]
        return jnp.asarray(np.pad(ids, ((0, 0), (0, missing)), constant_values=PADDING))


@compiled
def _encode(model: Seq2Seq, params, ids):
    return model.encode(params, ids)[0]
