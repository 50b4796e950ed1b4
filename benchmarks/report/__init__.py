"""Tables and figures of the docs, made from `benchmarks/results` and from nothing else."""
