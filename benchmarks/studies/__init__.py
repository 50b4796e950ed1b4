"""Published findings about LSTMs, tested again.

    python -m benchmarks.studies                              what there is
    python -m benchmarks.studies adding forget_bias           run these
    python -m benchmarks.studies all --report                 run all, then write docs/studies.md

A study is a module that says what it expects and when it would call that wrong, before it has seen
a number:

    TITLE, SOURCE, HYPOTHESIS     strings
    run(quick) -> dict            trains and measures; numbers, lists and strings only
    detect(measured) -> [Claim]    applies the criterion of each claim to what was measured
    tables(measured) -> str       Markdown for docs/studies.md
    draw(measured) -> Figure      the picture beside it

What was measured is kept as JSON in `benchmarks/results/studies/`; tables, pictures and claims are
made from that file alone.
"""
