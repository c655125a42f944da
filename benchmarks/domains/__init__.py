"""Labelled sets of many kinds, built from what public packages ship.

    files       where a package's data lies, and how texts become vectors
    sentences   a small sentence encoder, run from the weights that a package ships
    records     addresses and place names, as character n-grams
    texts       requests, package descriptions, translations and emoji names
    code        functions of one name, and functions that were changed

Nothing is downloaded or installed here. A set whose package is missing is left out by name. No row, vector or text is kept.
"""
