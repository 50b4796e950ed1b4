"""Training: `lc.fit`, the checks of its arguments, and the program that it compiles.

fit          `lc.fit` itself: calls the compiled program, saves, reports
arguments    the checks of its arguments
epochs       the compiled program: steps and epochs
minibatches  its loops over batches and chunks
devices      a batch split over several devices, `lc.use_all_cores`
memory       freed memory kept for the next arrays, `lc.retain_memory`
checkpoint   a run in a file, to be resumed
cache_key    the captured variables of a loss, part of the key of its program
progress     the progress bar
"""
