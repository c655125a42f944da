"""Tokens against a plain numpy reading of their definition."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.errors import InputError
from raycluster.models.networks import tokens

KINDS = ("embedding", "gram", "embedding+gram")


def unit(*shape: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1)


def oracle(kind: str, vectors: np.ndarray, present: np.ndarray, background: tuple[float, float]) -> np.ndarray:
    rows, length, width = vectors.shape
    built = np.zeros((rows, length, width + length))
    for row in range(rows):
        for a in np.flatnonzero(present[row]):
            built[row, a, :width] = vectors[row, a]
            for b in np.flatnonzero(present[row]):
                built[row, a, width + b] = (vectors[row, a] @ vectors[row, b] - background[0]) / background[1]
    return {"embedding": built[..., :width], "gram": built[..., width:], "embedding+gram": built}[kind]


@given(
    kind=st.sampled_from(KINDS),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 5)),
    mean=st.floats(-0.5, 0.5),
    spread=st.floats(0.05, 2),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=60, deadline=None)
def test_tokens_are_the_vector_then_its_row_of_the_gram_matrix(kind, shape, mean, spread, seed):
    vectors = unit(*shape, seed=seed)
    present = torch.rand(shape[:2], generator=torch.Generator().manual_seed(seed)) < 0.7
    before = vectors.clone()
    built = tokens.build(kind, vectors, present, (mean, spread))
    np.testing.assert_allclose(
        built, oracle(kind, vectors.numpy(), present.numpy(), (mean, spread)), rtol=1e-9, atol=1e-9
    )
    assert built.shape[2] == tokens.token_width(kind, shape[2], shape[1])
    assert torch.equal(vectors, before)


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_absent_vector_holds_is_not_read(kind):
    vectors, present = unit(2, 5, 4, seed=0), torch.ones(2, 5, dtype=torch.bool)
    present[0, 3:] = False
    clean = tokens.build(kind, vectors, present, (0.1, 0.2))
    vectors[0, 3:] = torch.nan
    assert torch.equal(tokens.build(kind, vectors, present, (0.1, 0.2)), clean)


def test_every_row_may_have_its_own_background():
    vectors, present = unit(2, 5, 4, seed=3), torch.ones(2, 5, dtype=torch.bool)
    each = torch.tensor([0.1, -0.2])[:, None, None], torch.tensor([0.5, 2.0])[:, None, None]
    both = tokens.build("gram", vectors, present, each)
    for row, background in enumerate([(0.1, 0.5), (-0.2, 2.0)]):
        alone = tokens.build("gram", vectors[row : row + 1], present[:1], background)
        torch.testing.assert_close(both[row : row + 1], alone, rtol=1e-6, atol=1e-6)


def test_gram_is_symmetric_with_ones_on_the_diagonal():
    cosines = tokens.gram(unit(3, 7, 5, seed=1))
    torch.testing.assert_close(cosines, cosines.transpose(1, 2))
    torch.testing.assert_close(cosines.diagonal(dim1=1, dim2=2), torch.ones(3, 7, dtype=torch.float64))


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_autocast_comes_close(kind):
    vectors, present = unit(4, 8, 16, seed=2).float(), torch.ones(4, 8, dtype=torch.bool)
    exact = tokens.build(kind, vectors, present, (0.0, 1.0))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(tokens.build(kind, vectors, present, (0.0, 1.0)).float(), exact, rtol=0, atol=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_width_matters_where_tokens_hold_vectors(kind):
    tokens.check_width(kind, 512, 512)
    if kind == "gram":
        tokens.check_width(kind, 512, 384)
    else:
        with pytest.raises(InputError, match=r"^The model was trained on embeddings of width 512, these have 384\.$"):
            tokens.check_width(kind, 512, 384)
