"""What the compiled form reads of a set, and from where."""

import numpy as np
from threadpoolctl import threadpool_limits

from raycluster.models.card import load_card
from raycluster.models.compiled.form import CompiledForm, open_compiled
from raycluster.models.ranked_columns import RankedColumns
from raycluster.models.set_statistics import lengths, ranks_read
from support.scored import Rows


def test_half_precision_vectors_and_memory_maps_score_alike(tmp_path):
    rows, (card, _) = Rows(20), load_card("auto")
    half = rows.vectors.astype(np.float16)
    expected = open_compiled("auto", card, rows.scored_set(vectors=half.astype(np.float32))).logits(np.arange(9))
    for name, table in (("vectors", half), ("neighbor", rows.neighbor), ("similarity", rows.similarity)):
        np.save(tmp_path / f"{name}.npy", table)
    maps = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("neighbor", "similarity", "vectors")}
    found = open_compiled("auto", card, rows.scored_set(**maps)).logits(np.arange(9))
    np.testing.assert_array_equal(found, expected)


def test_no_more_of_a_list_is_scored_than_is_worth_it(monkeypatch):
    rows, (card, _) = Rows(60), load_card("auto")
    form = open_compiled("auto", card, rows.scored_set())
    length = lengths(rows.similarity, form.statistics)
    assert len(set(length.tolist())) > 1
    found = form.logits(np.arange(360))
    np.testing.assert_array_equal(np.isnan(found), np.arange(60) >= length[:, None])
    monkeypatch.setattr("raycluster.models.compiled.form.MOST", 12)
    short = CompiledForm(form.network, rows.scored_set())
    assert short.logits(np.arange(9)).shape == (9, 12)


def test_columns_at_the_ranks_that_are_read_serve_as_the_whole_table():
    rows, (card, _) = Rows(60), load_card("auto")
    ranks = ranks_read(60)
    columns = RankedColumns(np.ascontiguousarray(rows.similarity[:, ranks]), ranks, 60)
    expected = open_compiled("auto", card, rows.scored_set()).logits(np.arange(40))
    found = open_compiled("auto", card, rows.scored_set(similarity=columns)).logits(np.arange(40))
    np.testing.assert_array_equal(found, expected)


def test_folded_weights_do_not_depend_on_the_threads_of_the_blas():
    rows, (card, _) = Rows(60), load_card("auto")
    logits = []
    for threads in (1, 2, 4):
        with threadpool_limits(threads, user_api="blas"):
            form = open_compiled("auto", card, rows.scored_set())
        with threadpool_limits(1, user_api="blas"):
            logits.append(form.logits(np.arange(40)))
    np.testing.assert_array_equal(logits[1], logits[0])
    np.testing.assert_array_equal(logits[2], logits[0])
