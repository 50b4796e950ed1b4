"""Applications: from a table or a file of texts to a trained model, results and a page to read.

autoencoding  windows of a table, encoded and reconstructed: `lstmcore fit`
forecasting   the next rows of a table: `lstmcore forecast`
anomalies     rows that are unlike the training data: `lstmcore anomalies`
translation   sentences to sentences: `lstmcore translate`
features      codes of an autoencoder as features for scikit-learn
report        the page that shows a run
run_folder    where a run is written, all of it or nothing
"""
