"""Where the checkout lies, and how large the shared set is."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
"""The checkout."""
ROWS = 2500
"""Rows of the set that the fixture `identities` writes."""
