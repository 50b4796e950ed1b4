"""Other ways to write the loops of `lstmcore.engine`, timed beside the ones it uses.

    python -m benchmarks.formulations
    python -m benchmarks.formulations --experiment projection unroll --cell 16,100,8,128

Each experiment holds one question, as a few functions that compute the same: `check_parity` makes
sure of that before anything is timed. One of them is what the engine does; the others were found
slower, no faster, or faster at too few sizes to be worth their lines. `docs/performance.md` has the
figures.

    forward     orientation, projection, sigmoid, unroll, stacking, bidirectional
    backward    backward, weights
    options     repeat, options: not ways of the engine, but what a caller may ask of it
"""
