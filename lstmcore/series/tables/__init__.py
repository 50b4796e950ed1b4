"""From a file as people have it to a table; `reading` takes the steps one after another.

reading     the whole way, in the order of the steps
options     how to read: what the command line and `read_csv` both take
text_file   bytes to text: compression, encoding
csv         text to the cells of columns: separator, header, comments, lines
plain_text  the same for plain blocks of large files, by pandas
header      names, units or values in the first row
time_role   which column holds the times
selection   which columns are values, and which are pointed out
columns     cells to numbers, each column as a whole
numbers     a cell as a number: decimal marks, thousands, missing values
panel       several series in one file
arranging   rows sorted, joined and resampled, if asked for
table       the result
"""
