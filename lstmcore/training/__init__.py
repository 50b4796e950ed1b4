"""The parts of `lc.fit`: what it asks of its arguments, and the program that it compiles."""
