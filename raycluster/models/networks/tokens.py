"""What a network is told of every neighbor: its vector, its row of the Gram matrix of cosines, or both."""

import torch
from torch import Tensor

from raycluster.config.networks import Tokens
from raycluster.errors import InputError

Background = tuple[float, float] | tuple[Tensor, Tensor]


def token_width(kind: Tokens, embedding_width: int, tokens: int) -> int:
    """Numbers a token has, among `tokens` tokens of vectors of `embedding_width`."""
    return {"embedding": embedding_width, "gram": tokens, "embedding+gram": embedding_width + tokens}[kind]


def check_width(kind: Tokens, trained: int, given: int) -> None:
    """Raise InputError where tokens hold vectors and their width is not the one the network was made for."""
    if kind != "gram" and given != trained:
        raise InputError(f"The model was trained on embeddings of width {trained}, these have {given}.")


def gram(vectors: Tensor) -> Tensor:
    """Cosines (B, T, T) of unit vectors (B, T, D), every one with every other."""
    return vectors @ vectors.transpose(1, 2)


def build(kind: Tokens, vectors: Tensor, present: Tensor, background: Background) -> Tensor:
    """Tokens (B, T, token_width) of unit vectors (B, T, D).

    `background` is mean and spread (above 0) of the cosines of random pairs, of all rows or (B, 1, 1) of each; Gram entries
    are told in that unit, so that they mean the same to a network on embeddings of another source; (0, 1) leaves them as
    cosines. Where `present` (B, T) is false the token and its column of the Gram matrix are 0, whatever the vector holds.
    """
    parts = []
    if kind != "gram":
        parts.append(vectors)
    if kind != "embedding":
        mean, spread = background
        parts.append(gram(vectors).sub_(mean).div_(spread).masked_fill_(~present[:, None, :], 0))
    return torch.cat(parts, dim=-1).masked_fill_(~present[:, :, None], 0)
