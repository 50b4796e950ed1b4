"""Read the times beside the rows of a table in any common form, check them, and format them.

column      read a column of times as a whole: `read_times` states the rules
text        split texts into their fields: year, month, hour, ...
moments     convert fields to times, and refuse those that do not exist
numbers     read times that are plain numbers: 202401, seconds since 1970, days of spreadsheets
format      the format of a column, and labels that are formatted on demand
zone        convert the clock times of a named zone to UTC and back
calendar    count months, business days, microseconds
timeline    check that times are sorted and regular, and insert missing rows
cycles      the place of times in the day, the week and the year, as sines and cosines
span        the moments that a text such as 2024-03 stands for
resampling  sort rows by time, merge duplicate times, resample
errors      the errors of times
"""
