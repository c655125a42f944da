"""The pure functions of the ablation benchmark: noise, edge quality, what is laid over recipes, and how tables are told."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.measuring import scores, tables
from benchmarks.papers import ablation
from raycluster.config.load import load_config, load_training
from raycluster.config.stages import EdgesConfig
from raycluster.evaluation.truth import UNKNOWN
from raycluster.kernels import edge_rules
from raycluster.kernels.neighborhoods import nep as jaccard
from raycluster.models.networks import tokens
from raycluster.stages.nep import transform
from support.data import neighbor_table, unit_rows

ARGS = ablation.Args(train=("train.parquet",), test=("test.parquet",), folder="work", steps=7, filter_steps=5)
RECIPES = [*ablation.VARIANTS.values(), "fc-eser", ablation.FILTER]


def blocks(rows: int = 40, batch: int = 3) -> torch.Tensor:
    """Unit vectors (batch, rows, 16) of which every block holds some of the next one's."""
    vectors = torch.from_numpy(unit_rows(rows + batch, 16, 0))
    return torch.stack([vectors[first : first + rows] for first in range(batch)])


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 1), seed=st.integers(0, 2**31))
def test_a_share_of_cosines_is_raised_by_a_uniform_amount_and_cut_at_1(share: float, seed: int) -> None:
    cosine = torch.full((20_000,), -1.0)
    raised = ablation.raised(cosine, torch.arange(20_000), share, seed)
    rise = raised - cosine
    chosen = rise > 0
    assert abs(chosen.float().mean().item() - share) < 0.02
    assert ((rise >= 0) & (rise < 1)).all()
    if share > 0.2:
        assert abs(rise[chosen].mean().item() - 0.5) < 0.03
        assert abs(rise[chosen].std().item() - 12**-0.5) < 0.03
    high = ablation.raised(torch.full((1000,), 0.9), torch.arange(1000), share, seed)
    assert ((high == 0.9) | ((high >= 0.9) & (high <= 1))).all()


def test_more_noise_raises_the_same_cosines_and_others() -> None:
    cosine, key = torch.zeros(5000), torch.arange(5000)
    little, much = ablation.raised(cosine, key, 0.1), ablation.raised(cosine, key, 0.4)
    assert torch.equal(little[little > 0], much[little > 0])
    assert not torch.equal(little, ablation.raised(cosine, key, 0.1, seed=1))


def test_a_noisy_gram_matrix_is_symmetric_one_on_the_diagonal_and_the_same_in_every_batch() -> None:
    vectors = blocks()
    plain = tokens.gram(vectors)
    with ablation.noise(0.4):
        noisy = tokens.gram(vectors)
        alone = tokens.gram(vectors[1:2, 5:20])
    torch.testing.assert_close(noisy, noisy.transpose(1, 2))
    torch.testing.assert_close(noisy.diagonal(dim1=1, dim2=2), torch.ones(3, 40))
    torch.testing.assert_close(noisy[0, 1:, 1:], noisy[1, :-1, :-1])
    torch.testing.assert_close(alone[0], noisy[1, 5:20, 5:20])
    off = ~torch.eye(40, dtype=torch.bool).expand(3, -1, -1)
    assert abs(((noisy - plain)[off] > 0).float().mean().item() - 0.4) < 0.05
    assert (noisy >= plain - 1e-6).all()
    assert torch.equal(tokens.gram(vectors), plain), "the noise is gone afterwards"


@pytest.mark.parametrize("kind", ["exponential", "sigmoid"])
def test_noise_raises_what_nep_is_made_from_from_both_ends_alike_and_leaves_empty_ranks_empty(kind: Any) -> None:
    neighbor, similarity = neighbor_table(200, 12, 0, short=True)
    config = EdgesConfig(transform=kind)
    probability = getattr(jaccard, f"{kind}_probability")
    plain = probability(similarity)
    with ablation.noise(0.3):
        noisy = getattr(jaccard, f"{kind}_probability")(similarity)
        part = getattr(jaccard, f"{kind}_probability")(similarity[50:60])
        p_hat = transform(config)(similarity)
    np.testing.assert_array_equal(noisy[50:60], part)
    assert (noisy >= plain).all()
    assert 0.2 < (noisy > plain)[:, 1:][neighbor[:, 1:] >= 0].mean() < 0.4
    np.testing.assert_array_equal(noisy[:, 0], plain[:, 0])
    assert (p_hat[neighbor < 0] == 0).all()
    rank = {(i, int(j)): at for i, row in enumerate(neighbor) for at, j in enumerate(row) if j >= 0}
    both = [(i, j) for i, j in rank if (j, i) in rank]
    assert len(both) > 200
    assert all(noisy[i, rank[i, j]] == noisy[j, rank[j, i]] for i, j in both)
    assert getattr(jaccard, f"{kind}_probability") is probability


def brute_quality(neighbor: Any, source: Any, target: Any, identity: Any) -> dict[str, float]:
    """By sets of pairs."""
    known = identity != UNKNOWN

    def pairs(some: Any) -> set[tuple[int, int]]:
        return {(min(i, j), max(i, j)) for i, j in some if j >= 0 and i != j and known[i] and known[j]}

    edges = pairs(zip(source.tolist(), target.tolist(), strict=True))
    listed = pairs((i, int(j)) for i, row in enumerate(neighbor) for j in row)
    true = {(i, j) for i, j in listed if identity[i] == identity[j]}
    return {
        "edge precision": 100 * len(edges & true) / max(len(edges), 1),
        "edge recall": 100 * len(edges & true) / max(len(true), 1),
    }


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), people=st.integers(1, 20), floor=st.floats(0.2, 1.1), directed=st.booleans())
def test_edge_quality_equals_brute_force(seed: int, people: int, floor: float, directed: bool) -> None:
    neighbor, similarity = neighbor_table(60, 8, seed, short=seed % 2 == 0)
    identity = np.random.default_rng(seed).integers(UNKNOWN, people, 60)
    if directed:
        row, rank = np.nonzero((similarity >= floor) & (neighbor >= 0) & (np.arange(8) > 0))
        source, target = row.astype(np.int32), neighbor[row, rank]
    else:
        columns = edge_rules.threshold_edges(0, 60, neighbor, similarity, floor)
        source, target = columns["source"], columns["target"]
    found = ablation.edge_quality(neighbor, source, target, identity)
    assert found == pytest.approx(brute_quality(neighbor, source, target, identity))


@pytest.mark.parametrize("recipe", RECIPES)
def test_small_networks_differ_from_the_recipe_in_size_alone(recipe: str) -> None:
    values = ablation.Laboratory(ARGS).overrides(recipe, 20)
    small, published = load_training(recipe, values, "test"), load_training(recipe)
    assert load_config(recipe, values, "test").knn.k == 20
    encoder, fit = small.predictor.encoder, small.predictor.fit
    if recipe == ablation.FILTER:
        assert small.predictor == published.predictor, "the steps of predictors do not decide the filter"
    else:
        assert (encoder.layers, encoder.heads, encoder.width, encoder.hidden, encoder.dropout) == (2, 4, 64, 256, 0.1)
        assert (fit.optimizer, fit.learning_rate, fit.steps, fit.batch) == ("adamw", 0.001, 7, 64)
    for name in ("attention", "mask"):
        assert getattr(encoder, name) == getattr(published.predictor.encoder, name)
    assert (small.predictor.form, small.predictor.tokens) == (published.predictor.form, published.predictor.tokens)
    assert small.filter.network == published.filter.network
    if small.filter.network != "none":
        assert (small.filter.tokens, small.filter.encoder.width, small.filter.fit.steps) == ("gram", 64, 5)


@pytest.mark.parametrize("recipe", RECIPES)
def test_at_published_scale_only_k_is_laid_over_the_recipe(recipe: str) -> None:
    values = ablation.Laboratory(replace(ARGS, scale="published")).overrides(recipe, 80)
    assert load_training(recipe, values, "test") == load_training(recipe)
    assert load_config(recipe, values, "test") == load_config(recipe)


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_row_form_is_for_the_variants(recipe: str) -> None:
    values = ablation.Laboratory(replace(ARGS, rows_form=True)).overrides(recipe, 20)
    config, form = load_config(recipe, values, "test"), load_training(recipe, values, "test").predictor.form
    if recipe in ablation.VARIANTS.values():
        assert (config.relations.score, config.edges.rule, form) == ("all", "score", "row")
    else:
        assert (config, form) == (
            load_config(recipe, {"knn": {"k": 20}}, "test"),
            load_training(recipe).predictor.form,
        )


def test_the_best_point_has_the_highest_bcubed_f_and_of_equals_the_highest_threshold() -> None:
    sweep = [{"threshold": at, "bcubed": {"f": f}} for at, f in ((0.1, 0.5), (0.2, 0.9), (0.3, 0.9), (0.4, 0.1))]
    assert scores.best(sweep)["threshold"] == 0.3


def test_a_row_that_fails_says_why_and_the_others_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> Any:
        raise ValueError("no such\nthing")

    rows = ablation.measured(
        iter([("a", lambda: [{"F_P": 94.489, "K": 80}]), ("b", fails), ("c", lambda: [{"F_P": 1.0}] * 2)])
    )
    assert "Traceback" in capsys.readouterr().err
    assert tables.markdown(rows).splitlines() == [
        "| method | F_P | K | failed |",
        "| --- | --- | --- | --- |",
        "| a | 94.49 | 80 |  |",
        "| b |  |  | ValueError: no such thing |",
        "| c | 1 |  |  |",
        "| c | 1 |  |  |",
    ]
