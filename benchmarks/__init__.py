"""Programs that people run to see how lstmcore does, each with `python -m benchmarks.NAME`."""
