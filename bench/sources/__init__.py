"""Where images and labels come from: each function returns a `Dataset`, which reads nothing until it is loaded.

Importing these modules costs next to nothing: numpy, PIL and torch are imported when a data set is loaded.
"""
