"""Tokens of neighbors: vectors, rows of their Gram matrix of cosines, or both.

Shapes: B rows of a batch, T tokens per row, one per neighbor with the row itself first, D width of the vectors.
"""

import torch
from torch import Tensor

from raycluster.config.networks import Tokens
from raycluster.errors import InputError

Background = tuple[float, float] | tuple[Tensor, Tensor]
"""Median and spread, above 0, of the cosines of random pairs: of all rows, or (B, 1, 1) per row."""
PLAIN_COSINES = (0.0, 1.0)
"""The background that leaves Gram entries as cosines."""


def token_width(kind: Tokens, embedding_width: int, tokens: int) -> int:
    """Return how many numbers a token has.

    Parameters
    ----------
    kind
        What a token holds.
    embedding_width
        D.
    tokens
        T, the width of the Gram matrix.

    Returns
    -------
    int
        Width of a token.
    """
    return {"embedding": embedding_width, "gram": tokens, "embedding+gram": embedding_width + tokens}[kind]


def check_width(kind: Tokens, trained_width: int, width: int) -> None:
    """Refuse vectors of another width than the network was made for.

    Parameters
    ----------
    kind
        What a token holds; Gram tokens fit any width.
    trained_width
        Width of the vectors that the model was trained on.
    width
        Width of the vectors at hand.

    Raises
    ------
    InputError
        Where tokens hold vectors and the widths differ.
    """
    if kind != "gram" and width != trained_width:
        raise InputError(f"The model was trained on embeddings of width {trained_width}, these have {width}.")


def gram(vectors: Tensor) -> Tensor:
    """Return the cosines (B, T, T) of unit vectors (B, T, D), each with each."""
    return vectors @ vectors.transpose(1, 2)


def build(kind: Tokens, vectors: Tensor, present: Tensor, background: Background) -> Tensor:
    """Return the tokens of some rows.

    Parameters
    ----------
    kind
        What a token holds.
    vectors
        (B, T, D), of unit length.
    present
        bool (B, T). Where it is false a neighbor is missing: its token and its column of the Gram matrix are 0, whatever
        the vector holds.
    background
        Gram entries are counted from the median, in spreads, so that they mean the same in embeddings of another origin.
        `PLAIN_COSINES` leaves them as they are.

    Returns
    -------
    Tensor
        (B, T, token_width).
    """
    columns = []
    if kind != "gram":
        columns.append(vectors)
    if kind != "embedding":
        median, spread = background
        columns.append(gram(vectors).sub_(median).div_(spread).masked_fill_(~present[:, None, :], 0))
    return torch.cat(columns, dim=-1).masked_fill_(~present[:, :, None], 0)
