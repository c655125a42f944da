"""A compiled pass: what a row gets does not depend on the rows beside it."""

import numpy as np
import pytest

from raycluster.models.card import load_card
from raycluster.models.compiled.encoder import Setting, columns_for, encode, packed, scratch_for
from raycluster.models.compiled.folded import folded
from raycluster.models.compiled.tiles import LANES, ROWS
from raycluster.models.relative_terms import BINS, STATISTICS
from raycluster.models.weights import load_arrays

CARD = load_card("auto")[0]
WEIGHTS = folded(CARD.training.predictor, load_arrays("auto", CARD.networks["predictor"]))
WIDTH, MAPS = len(WEIGHTS.anchor), CARD.training.predictor.encoder.heads


@pytest.mark.parametrize("k", [1, 10, 14, 80])
def test_a_row_alone_and_among_others_has_the_same_bits(k):
    rng = np.random.default_rng(k)
    tables = rng.standard_normal((len(WEIGHTS.out), MAPS, BINS)).astype(np.float32)
    setting = Setting(rng.standard_normal(WIDTH).astype(np.float32), tables)
    own, bins = (
        rng.standard_normal((STATISTICS, 3 * k)).astype(np.float32),
        rng.integers(0, BINS, (3, k, k)).astype(np.uint8),
    )
    count = np.array([k, max(1, k - 3), max(1, k // 2)])

    def encoded(rows):
        statistics = np.zeros((STATISTICS, columns_for(len(rows) * k)), np.float32)
        statistics[:, : len(rows) * k] = own[:, (np.array(rows)[:, None] * k + np.arange(k)).ravel()]
        scratch = scratch_for(WEIGHTS, statistics.shape[1])
        scratch[:] = 3  # what it holds has no meaning
        h = encode(statistics, bins[rows], count[rows], WEIGHTS, setting, scratch)
        return h[:WIDTH, : len(rows) * k].copy()

    together = encoded([0, 1, 2])
    assert np.isfinite(together).all()
    for row in range(3):
        np.testing.assert_array_equal(encoded([row]), together[:, row * k : (row + 1) * k])


@pytest.mark.parametrize("tokens", [1, LANES, LANES + 1, 320])
def test_activations_have_room_for_a_last_tile_and_an_odd_number_of_vectors(tokens):
    columns = columns_for(tokens)
    assert columns >= -(-tokens // LANES) * LANES + LANES
    assert columns // LANES % 2 == 1


def test_a_packed_matrix_ends_in_rows_of_zeros():
    matrix = np.arange(1, (ROWS + 1) * 3 + 1, dtype=np.float32).reshape(ROWS + 1, 3)
    found = packed(matrix).transpose(0, 2, 1).reshape(-1, 3)
    np.testing.assert_array_equal(found[: ROWS + 1], matrix)
    assert not found[ROWS + 1 :].any()
