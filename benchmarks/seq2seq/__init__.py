"""How fast a sequence-to-sequence model is trained, beside the same model in Keras and PyTorch.

    python -m benchmarks --case seq2seq seq2seq_attention addition --cores one

`translator` is one training step of an encoder-decoder, in each library; `addition` is whole
epochs of Keras's example. What such models learn is asked in `benchmarks.studies`.
"""
