"""Applications: from a table or a file of texts to a trained model, results and a page to read.

autoencoding  windows of a table, encoded and reconstructed: `lstmcore fit`
forecasting   the next rows of a table: `lstmcore forecast`
anomalies     rows that are unlike the training data: `lstmcore anomalies`
translation   texts to texts: `lstmcore translate`
estimators    detector, forecaster and codes as estimators of scikit-learn
settings      what the settings of all applications share
training      weights from the seed, then `lc.fit`
report        the HTML page of a run
run_folder    the output folder of a run, written as a whole or not at all
"""
