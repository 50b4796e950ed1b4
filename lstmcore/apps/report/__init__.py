"""Reports as HTML pages: sentences, tables and figures in one file, which needs no network.

page          the page and its parts
figures       series with marked segments, and the gates of a layer, drawn by plotly
series_data   the data of a figure: curves, bands, spans and the time axis
"""
