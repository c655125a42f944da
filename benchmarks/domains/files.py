"""Where the data of an installed package lies, and texts as vectors."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from raycluster.arrays import Float32, Int64
from raycluster.kernels.unit_rows import normalize

Labelled = tuple[Float32, Int64]
"""Unit rows (N, D) and identities (N,)."""


class MissingPackageError(Exception):
    """A package that a set is built from is not installed."""


@dataclass(frozen=True)
class Domain:
    """A set, and what it is made of."""

    build: Callable[[], Labelled]
    packages: str
    """What `pip install` needs, or the command of the system."""
    licence: str
    """Of the data and of the model."""
    model: str
    """How rows become vectors."""


def folder_of(module: str) -> Path:
    """Return the folder of an installed package without importing it.

    Raises `MissingPackageError` where it is not installed.
    """
    found = importlib.util.find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise MissingPackageError(module)
    return Path(found.submodule_search_locations[0])


def labelled(vectors: Any, names: Sequence[Any]) -> Labelled:
    """Return unit rows and identities in random order, rows of length 0 left out."""
    rows = np.asarray(vectors, np.float32)
    is_kept = np.linalg.norm(rows, axis=1) > 1e-9
    _, identity = np.unique(np.asarray(names)[is_kept], return_inverse=True)
    order = np.random.default_rng(0).permutation(int(is_kept.sum()))
    return np.ascontiguousarray(normalize(rows[is_kept])[0][order], np.float32), identity[order].astype(np.int64)


def lexical(texts: Sequence[str], width: int, ngrams: tuple[int, int], analyzer: Any = "char_wb") -> Any:
    """Return the first singular vectors of n-gram counts (tf-idf, sublinear).

    Parameters
    ----------
    texts : sequence of str
        One per row.
    width : int
        Dimensions.
    ngrams : (int, int)
        Shortest and longest n-gram.
    analyzer : str or function
        What an n-gram is of: characters within words, or the tokens that a function returns.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    counts = TfidfVectorizer(analyzer=analyzer, ngram_range=ngrams, min_df=2, sublinear_tf=True).fit_transform(texts)
    return TruncatedSVD(width, random_state=0, n_iter=3).fit_transform(counts)
