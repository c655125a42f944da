import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.search.list_search import Probing, list_top_k
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.kernels.search.recall import Recall, choose_probing, found_neighbors, measure, sample_rows
from support.data import KINDS, awkward_rows, brute_force_top_k, identities, inverted_file, rows_of, unit_rows


def test_a_neighbor_as_similar_as_the_kth_counts_whichever_of_the_equals_it_is():
    exact = np.array([[1, 0.9, 0.5, 0.5]], np.float32)
    neighbor = np.array([[3, 7, 9, -1]], np.int32)
    assert found_neighbors(neighbor, np.array([[1, 0.9, 0.5, -1]], np.float32), exact).tolist() == [2]
    assert found_neighbors(neighbor, np.array([[1, 0.9, 0.4, -1]], np.float32), exact).tolist() == [1]
    assert found_neighbors(neighbor, np.array([[1, 0.5, 0.5, -1]], np.float32), exact).tolist() == [2]


def test_an_empty_rank_is_not_found_even_where_the_kth_is_opposite():
    exact = np.array([[1, -1, -1]], np.float32)
    neighbor = np.array([[0, 1, -1]], np.int32)
    assert found_neighbors(neighbor, np.array([[1, -1, -1]], np.float32), exact).tolist() == [1]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=2, max_size=40), st.data())
def test_estimates_of_parts_add_up_to_that_of_the_whole(found, data):
    whole = Recall.of(np.array(found), 10)
    cut = data.draw(st.integers(0, len(found)))
    assert Recall.of(np.array(found[cut:], np.int64), 10) + Recall.of(np.array(found[:cut], np.int64), 10) == whole
    assert whole.mean == pytest.approx(np.mean(found) / 9)
    assert whole.error == pytest.approx(np.std(found) / 9 / np.sqrt(len(found)))


def test_exact_lists_have_recall_one_and_lists_with_known_gaps_what_they_keep():
    vectors = unit_rows(200, 16, 0)
    neighbor, similarity = exact_top_k(vectors, rows_of(vectors), vectors, 11)
    rows = sample_rows(200, 50, (0,))
    assert measure(rows, neighbor[rows], similarity[rows], vectors).mean == 1
    neighbor[:, 8:], similarity[:, 8:] = -1, -1
    assert measure(rows, neighbor[rows], similarity[rows], vectors) == Recall(11, 50, 350, 2450)
    assert measure(rows[:0], neighbor[:0], similarity[:0], vectors) == Recall(11)


@pytest.mark.slow
def test_the_error_covers_the_recall_of_all_rows():
    vectors, _ = identities(150, 12, spread=0.9)
    index = inverted_file(vectors, 40)
    neighbor, similarity = list_top_k(vectors, rows_of(vectors), vectors, index, Probing(3), 12)
    whole = measure(rows_of(vectors), neighbor, similarity, vectors)
    inside = []
    for seed in range(60):
        rows = sample_rows(len(vectors), 100, (seed,))
        part = measure(rows, neighbor[rows], similarity[rows], vectors)
        inside.append(abs(part.mean - whole.mean) <= 2 * part.error)
    assert whole.mean < 0.97
    assert np.mean(inside) > 0.85


@pytest.mark.parametrize("target", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("name", ["no structure", "identities", "loose identities", "duplicates", "one-crowd", "few"])
def test_the_recall_asked_for_is_reached(name, target):
    vectors = {
        "no structure": lambda: unit_rows(1500, 24, 0),
        "identities": lambda: identities(120, 12)[0],
        "loose identities": lambda: identities(30, 50, spread=1.3)[0],
        "duplicates": lambda: awkward_rows("duplicates", 1500, 16, 1),
        "one-crowd": lambda: awkward_rows("one-crowd", 600, 16, 1),
        "few": lambda: unit_rows(22, 8, 2),
    }[name]()
    index = inverted_file(vectors, min(len(vectors), 150))
    rows = sample_rows(len(vectors), 400, (7,))
    choice = choose_probing(vectors, rows, index, 2, 20, target)
    found = list_top_k(vectors, rows_of(vectors), vectors, index, choice.probing, 20)
    whole = measure(rows_of(vectors), *found, vectors)
    assert whole.mean >= target - 0.005
    assert choice.expected.mean >= target
    assert 0 < choice.share <= 1


def test_a_higher_target_reads_more_and_no_more_than_it_needs():
    vectors = unit_rows(3000, 16, 0)
    index = inverted_file(vectors, 200)
    rows = sample_rows(3000, 600, (0,))
    choices = [choose_probing(vectors, rows, index, 2, 20, target) for target in (0.5, 0.7, 0.9, 0.99)]
    shares = [choice.share for choice in choices]
    assert shares == sorted(shares)
    assert shares[0] < 0.3
    for target, choice in zip((0.5, 0.7, 0.9, 0.99), choices, strict=True):
        assert target <= choice.expected.mean < target + 0.03


def test_where_the_nearest_lists_suffice_there_is_no_second_pass():
    vectors = np.concatenate([np.repeat(row[None], 30, axis=0) for row in np.eye(20, dtype=np.float32)])
    choice = choose_probing(vectors, rows_of(vectors), inverted_file(vectors, 20), 1, 20, 0.99)
    assert choice.probing == Probing(1, None)
    assert choice.expected.mean == 1


def test_the_expected_recall_and_the_share_are_those_of_the_search():
    vectors, _ = identities(200, 10, spread=1.0)
    index = inverted_file(vectors, 120)
    choice = choose_probing(vectors, rows_of(vectors), index, 2, 15, 0.9)
    found = list_top_k(vectors, rows_of(vectors), vectors, index, choice.probing, 15)
    assert measure(rows_of(vectors), *found, vectors) == choice.expected
    to_centroid = vectors @ index.centroids.T
    first = list_top_k(vectors, rows_of(vectors), vectors, index, Probing(2), 15)
    limits = np.minimum(first[1][:, -1] + choice.probing.margin, np.sort(to_centroid, axis=1)[:, -2])
    expected = (to_centroid >= limits[:, None]) @ index.sizes / len(vectors)
    assert choice.share == pytest.approx(expected.mean(), rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_choice_does_not_depend_on_threads(kind):
    vectors = awkward_rows(kind, 300, 12, 3)
    index = inverted_file(vectors, 40)
    rows = sample_rows(300, 100, (0,))
    assert choose_probing(vectors, rows, index, 2, 9, 0.9, 1) == choose_probing(vectors, rows, index, 2, 9, 0.9, 2)


def test_the_sample_is_seeded_ascending_and_without_repeats():
    rows = sample_rows(1000, 100, (3, 1))
    assert len(np.unique(rows)) == 100
    assert (np.diff(rows) > 0).all()
    assert (rows == sample_rows(1000, 100, (3, 1))).all()
    assert not np.array_equal(rows, sample_rows(1000, 100, (3, 2)))
    assert sample_rows(50, 100, (3, 1)).tolist() == list(range(50))


def test_brute_force_agrees_on_recall():
    vectors = awkward_rows("near-duplicates", 150, 8, 0)
    index = inverted_file(vectors, 12)
    neighbor, similarity = list_top_k(vectors, rows_of(vectors), vectors, index, Probing(1), 12)
    _, exact = brute_force_top_k(vectors, rows_of(vectors), vectors, 12)
    found = sum(
        sum(n >= 0 and s >= best[-1] for n, s in zip(line[1:], scores[1:], strict=True))
        for line, scores, best in zip(neighbor.tolist(), similarity.tolist(), exact.tolist(), strict=True)
    )
    assert measure(rows_of(vectors), neighbor, similarity, vectors).num_found == found
