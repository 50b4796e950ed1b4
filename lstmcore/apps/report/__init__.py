"""Reports as pages: sentences, tables and figures in one file, which opens without a network.

`page.py` writes the page; `figures.py` draws what is in it, series with stretches marked and the
gates of a layer over time, from what `curves.py` names.
"""
