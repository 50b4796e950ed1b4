"""Other formulations of the loops of `lstmcore.engine`, timed beside the ones it uses.

    python -m benchmarks formulations
    python -m benchmarks formulations --experiment projection unroll --cell 16,100,8,128
    python -m benchmarks formulations --experiment product --table

Each experiment answers one question with a few functions that compute the same, which
`check_parity` verifies before anything is timed. One of them is what the engine does; the others
were slower, no faster, or faster at too few sizes to justify their code. `docs/performance.md` has
the figures.

    product     the forms of the product of a step, which are best where depends on the processor:
                a table of them tells whether the choice of the engine suits yours
    forward     projection, sigmoid, unroll, stacking, bidirectional
    backward    backward, weights
    options     repeat, options: not choices of the engine, but options of `lc.lstm`
"""
