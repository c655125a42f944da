"""Generated identities for the demo, for training and for measurements.

hashed.py      random numbers that are hashes of a row's number.
settings.py    what to generate, and presets.
vectors.py     the embedding of a row, step by step.
generator.py   blocks of rows, and Parquet files of them.
varied.py      many different sets to train on.
"""
