"""Findings of papers and tutorials, tested again.

    python -m benchmarks studies                              list the studies
    python -m benchmarks studies adding forget_bias           run these
    python -m benchmarks studies all --report                 run all, then write docs/studies.md

A study is a module that states its hypothesis, and the criterion that would refute it, before
anything is measured:

    TITLE, SOURCE, HYPOTHESIS          strings
    run(quick) -> dict                 trains and measures; numbers, lists and strings only
    check_claims(measured) -> [Claim]  applies the criterion of each claim to the measurements
    tables(measured) -> str            Markdown for docs/studies.md
    draw(measured) -> Figure           the figure beside it

Measurements are saved as JSON in `benchmarks/results/studies/`; tables, figures and verdicts are
made from that file alone. A quick run only shows that a study works, and yields no verdict.
`published` and `nab` are commands of their own, which print their findings.
"""
