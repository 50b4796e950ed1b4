"""Measurements of lstmcore, each started by `python -m benchmarks NAME`.

speed       how fast it is, and how much memory it takes, beside other LSTMs
studies     whether findings of papers and tutorials hold when they are tested again
report      the tables and figures of the docs, made from the results alone
results     what was measured, as JSON
"""
