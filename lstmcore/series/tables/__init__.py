"""Read a file of any common form into a table; `reading` combines the steps.

reading     all steps in order, for one series
reading_many  the same for all series of a file, or for one from each of several
many        many series as {id: table}, also those of a long table
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
parsed      all rows, once their columns are numbers and times
panel       which columns tell several series in one file apart
one_series  the rows of one of them
static_columns  columns that do not change within a series
names_of_files  what the series of several files are called
arranging   select, sort, merge and resample rows, if asked for
row_notes   sentences on numbers of rows, which are summed over series
doubts      notes on readings that are likely but not certain
table       the result
"""
