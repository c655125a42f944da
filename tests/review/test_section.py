"""Sections and the words of their cells."""

import pytest

from raycluster.review.section import Section, share, size_words, words


def test_cells_as_people_read_them():
    cells = [1234567, 0.123456, 98765.4, None, float("nan"), True, "a"]
    assert [words(cell) for cell in cells] == ["1,234,567", "0.123", "98,765", "–", "–", "yes", "a"]


def test_shares_and_bytes():
    assert (share(0.12345), share(None)) == ("12.3\N{NO-BREAK SPACE}%", None)
    sizes = [size_words(size).replace("\N{NO-BREAK SPACE}", " ") for size in (17, 2048, 3 * 2**20, 5000 * 2**30)]
    assert sizes == ["17 B", "2 KiB", "3 MiB", "5,000 GiB"]


def test_a_row_has_a_cell_per_column():
    with pytest.raises(AssertionError):
        Section("a", "A", "Read it.", ("one", "two"), [(1,)])
