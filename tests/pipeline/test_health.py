import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import networkx as nx
import numpy as np
import pytest

from benchmarks.systems.health import families
from benchmarks.systems.scale_of_sets import identities
from raycluster.config.load import load_config
from raycluster.executors.progress import Silence
from raycluster.limits import in_force
from raycluster.limits.cohesion import Lists
from raycluster.limits.random_pairs import sample_pairs
from raycluster.models import set_statistics
from raycluster.models.requirements import with_model
from raycluster.pipeline import health
from raycluster.pipeline.health import MOST_IN_GROUPS, MOST_LOOSE, Health, measure, reasons_of
from raycluster.pipeline.run import LOCAL, in_memory, run_stages
from raycluster.stages.edges import limits_of
from raycluster.stages.engines import numbered_by_first_row
from support import tiny

CLEAR = Health(0.001, 0.07, 0.2, 0.2, 0.9, shared=0.7, largest=0.05, weakest_cut=0.3, is_decided=True)


def test_a_clear_set_has_no_reason_for_doubt() -> None:
    assert reasons_of(CLEAR) == []
    assert reasons_of(Health(None, None, None, None, None, 1.0, 0.0, None, is_decided=True)) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"near_outside": 0.3}, "30% of the near neighbors"),
        ({"conflicts": 0.6}, "disagree on 60%"),
        ({"shared": 0.01}, "only 1.0% of the rows"),
        ({"loose": 0.5}, "50% of the pairs within clusters"),
        ({"loose": 0.1, "borderline": 0.9}, "90% as many pairs"),
        ({"loose": 0.1, "in_groups": 0.5}, "50% of the rows lie in tight groups"),
        ({"in_groups": 0.8}, "80% of the rows lie in tight groups"),
        ({"within": 0.1}, "only 10% of all score"),
        ({"is_decided": False}, "no clear limit of its own"),
        ({"is_decided": False, "doubtful": 0.01, "in_groups": 0.4}, "no clear limit of its own"),
        ({"largest": 0.9}, "90% of all rows"),
        ({"weakest_cut": 0.01}, "1.0% of a half's edges"),
    ],
)
def test_each_sign_is_a_reason_with_an_advice(changed: dict[str, float], words: str) -> None:
    ((reason, advice),) = reasons_of(Health(**{**vars(CLEAR), **changed}))
    assert words in reason
    assert advice


@pytest.mark.parametrize(
    "changed",
    [
        {"doubtful": 0.9},
        {"doubtful": 0.01, "in_groups": 0.01, "is_decided": False, "conflicts": 0.4, "near_outside": 0.2},
    ],
)
def test_pairs_and_dense_sets_raise_no_false_alarm(changed: dict[str, float]) -> None:
    assert reasons_of(Health(**{**vars(CLEAR), **changed})) == []


def test_doubtful_rows_are_a_reason_where_there_are_conflicts() -> None:
    reasons = [reason for reason, _ in reasons_of(Health(**{**vars(CLEAR), "doubtful": 0.8, "conflicts": 0.9}))]
    assert len(reasons) == 2
    assert "disagree on 90%" in reasons[0]
    assert "best score of 80%" in reasons[1]


def test_every_run_ends_with_a_verdict(tmp_path: Path) -> None:
    tiny.model(tmp_path / "model", "row", "none", thresholds={"eta": 0.6})
    tiny.run(tmp_path, "sdt-row", model=str(tmp_path / "model"), topk={"predict": False})
    summary = json.loads((tmp_path / "run" / "MANIFEST.json").read_text())["summary"]
    assert summary["confidence"]["level"] in ("high", "low")
    assert summary["confidence"]["why"]
    assert summary["largest"] >= 1


def test_families_of_near_copies_lie_in_groups() -> None:
    share = measure(finished(families(960, 2)[0])).in_groups
    assert share is not None
    assert share > MOST_IN_GROUPS


def test_chains_are_loose_and_clear_identities_are_not() -> None:
    clear = measure(finished(identities(100, 6, 32, 0.4, 0)[0]))
    assert clear.loose == pytest.approx(0, abs=0.02)
    assert clear.borderline == pytest.approx(0, abs=0.2)
    assert reasons_of(clear) == []
    angle = np.linspace(0, 2 * np.pi, 600, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    tables = in_memory(ring.astype(np.float32), load_config("cosine", {"edges": {"threshold": 0.999}}, "test"), 1)
    run_stages(tables, LOCAL, Silence())
    chain = measure(tables)
    assert chain.loose is not None
    assert chain.loose > MOST_LOOSE
    assert chain.borderline is None, "no random pairs are measured for a configured threshold"


def test_the_order_of_rows_changes_no_number() -> None:
    rows = families(480, 3)[0]
    order = np.random.default_rng(0).permutation(len(rows))
    one, other = (vars(measure(finished(each))) for each in (rows, rows[order]))
    assert one == pytest.approx(other, abs=1e-6)


def test_of_equally_large_clusters_the_weakest_is_cut_wherever_it_stands() -> None:
    """Two cliques of 20 rows, one of which hangs together by a bridge."""
    weak = nx.barbell_graph(10, 0)
    whole = nx.disjoint_union(nx.complete_graph(20), weak)
    expected = nx.conductance(weak, range(10))
    for order in (np.arange(40), np.roll(np.arange(40), 20), np.random.default_rng(1).permutation(40)):
        place = np.argsort(order)
        source, target = place[np.array(whole.edges).T]
        cluster = numbered_by_first_row((order >= 20).astype(np.int32))
        graph = {"source": source, "target": target, "weight": np.ones(len(source), np.float32)}
        tables = SimpleNamespace(shared=lambda key, make, graph=graph: graph)
        assert health._weakest_cut(cast("Any", tables), cluster) == pytest.approx(expected)


def test_a_run_picks_its_threshold_once(monkeypatch: pytest.MonkeyPatch) -> None:
    picks, plain = [], health.pick_threshold

    def counted(*arguments: Any) -> Any:
        picks.append(plain(*arguments))
        return picks[-1]

    for module in (health, in_force, set_statistics):
        monkeypatch.setattr(module, "pick_threshold", counted)
    rows = np.random.default_rng(0).normal(size=(60, 1, 64)) + 0.5 * np.random.default_rng(1).normal(size=(60, 8, 64))
    tables = finished(rows.reshape(480, 64) / np.linalg.norm(rows.reshape(480, 64), axis=1)[:, None], "auto")
    measure(tables)
    ((threshold, facts),) = picks
    assert limits_of(tables).suggested == threshold
    similarity, vectors = tables.column("knn", "similarity"), tables.column("ingest", "embedding")
    direct = plain(similarity, sample_pairs(vectors), Lists(tables.column("knn", "neighbor"), vectors))
    assert direct == (threshold, facts)


def finished(rows: Any, recipe: str = "cosine") -> Any:
    """Tables of a finished run."""
    tables = in_memory(np.asarray(rows, np.float32), with_model(load_config(recipe, {}, "test")), 1)
    run_stages(tables, LOCAL, Silence())
    return tables
