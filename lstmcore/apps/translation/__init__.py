"""Translation: from pairs of texts to a translator of texts.

    pairs = read_pairs("pairs.tsv")                     source <tab> target, a pair a line
    translator, history = train(pairs, Settings())      vocabularies, buckets, lc.Seq2Seq, lc.fit
    translator.translate(["..."])                       greedy, or the best of a beam search
    translator.run(["..."])                             a `study.Run`: every gate, and the attention
    translator.save(folder); Translator.load(folder)

`lstmcore translate` does the same on the command line.
"""

from lstmcore.apps.translation.pairs import read_pairs, split
from lstmcore.apps.translation.training import Progress, Settings, Trained, train
from lstmcore.apps.translation.translator import Translator

__all__ = ["Progress", "Settings", "Trained", "Translator", "read_pairs", "split", "train"]
