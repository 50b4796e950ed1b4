"""Training of a sequence-to-sequence model, beside the same model in Keras and PyTorch.

    python -m benchmarks peers --case seq2seq seq2seq_attention addition --cores one

`model`, `keras_jax` and `pytorch` each hold one training step of an encoder-decoder; `addition` is
whole epochs of Keras's example. What such models learn is a question of `benchmarks.studies`.
"""
