"""Statistics: numbers in, numbers out. No rows, no tables, no drawing; scipy and statsmodels underneath."""
