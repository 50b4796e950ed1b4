"""The times beside the rows of a table: text in any common form, read, checked, and written back.

column      a column of times, read as a whole: `read_times` states the rules
text        texts to their fields: year, month, hour, ...
moments     fields to moments; what does not exist is refused
numbers     times that are plain numbers: 202401, seconds since 1970, days of spreadsheets
format      how a column is written, and labels that are written when asked for
zone        clock times of a named zone to UTC and back
calendar    counting months, business days, microseconds
timeline    times that are sorted and regular, and what is left out
resampling  rows sorted by time, double times merged, longer steps
errors      the ways in which times are refused
"""
