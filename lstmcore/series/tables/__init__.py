"""Read a file of any common form into a table; `reading` combines the steps.

reading     all steps in order
options     the options of the command line and of `read_csv`
text_file   bytes to text: compression, encoding
csv         text to the cells of columns: separator, header, comments, lines
sheet       the cells of a file by columns
plain_text  the same for plain blocks of large files, by pandas
header      tell names, units and values in the first row
time_role   find the column that holds the times
selection   find the columns that are values
columns     cells to numbers, each column as a whole
numbers     a cell as a number: decimal marks, thousands, missing values
panel       several series in one file
arranging   sort, merge and resample rows, if asked for
doubts      notes on readings that are likely but not certain
table       the result
"""
