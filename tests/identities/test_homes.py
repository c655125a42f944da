"""Pieces of large identities stay together."""

from dataclasses import replace

import numpy as np
import pytest

from raycluster.identities import homes as module
from raycluster.identities.homes import homes, with_rejoined
from support.living import base

PIECE = np.repeat([0, 1, 2, 3], 60).astype(np.int32)


@pytest.fixture
def state():
    """Four pieces; 0 and 2 are one identity."""
    return replace(base(), piece=PIECE, whole=np.array([0, 1, 0, 3], np.int32))


def test_nothing_changed(state):
    whole, is_changed = homes(state, PIECE)
    assert whole.tolist() == [0, 1, 0, 3]
    assert not is_changed.any()


def test_a_piece_goes_where_most_of_its_rows_came_from(state):
    piece = np.concatenate([PIECE, [2, 4]]).astype(np.int32)
    piece[:20] = 1
    piece[130:140] = 5
    numbers = np.unique(piece, return_inverse=True)[1].astype(np.int32)
    whole, is_changed = homes(state, numbers)
    assert whole.tolist() == [0, 1, 0, 3, 4, 0]
    assert is_changed.tolist() == [True, True, True, False, True, True]


def test_changed_pieces_are_joined_as_a_full_run_joins_them(state, monkeypatch):
    joined = np.where(PIECE == 3, 1, PIECE)
    monkeypatch.setattr(module, "rejoined", lambda *arguments: joined)
    config = replace(state.config, communities=replace(state.config.communities, fragments=True))
    state = replace(state, config=config)
    whole = np.array([0, 1, 0, 3], np.int32)
    assert with_rejoined(state, PIECE, whole, np.array([False, False, False, True]), 1).tolist() == [0, 1, 0, 1]
    assert with_rejoined(state, PIECE, whole, np.zeros(4, bool), 1).tolist() == [0, 1, 0, 3]
    full = replace(state, limits=replace(state.limits, is_full=True))
    assert with_rejoined(full, PIECE, whole, np.array([False, False, False, True]), 1).tolist() == [0, 1, 0, 3]
    plain = replace(config, communities=replace(config.communities, fragments=False))
    assert with_rejoined(replace(state, config=plain), PIECE, whole, np.ones(4, bool), 1).tolist() == [0, 1, 0, 3]
