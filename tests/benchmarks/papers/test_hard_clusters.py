"""The benchmark of hard clusters: every number is what `evaluate` says of the run it stands for."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.measuring.tables import Rows, publish
from benchmarks.papers import hard_clusters
from raycluster.config.execution import Execution
from raycluster.evaluation.evaluate import evaluate
from raycluster.pipeline import run as pipeline
from support import tiny
from support.data import unit_rows

GROUPS = [f"{name}-{number}" for name in ("sz", "sp") for number in range(1, 6)]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """200 rows of identities of 2 to 14 rows; every tenth has no label."""
    size = np.repeat(np.arange(2, 15), 2)
    person = np.repeat(np.arange(len(size)), size)[:200]
    spread = (0.4 + 0.02 * person)[:, None]
    vectors = unit_rows(len(size), tiny.WIDTH, 0)[person] + spread * unit_rows(200, tiny.WIDTH, 1)
    label = [None if row % 10 == 9 else int(one) for row, one in enumerate(person)]
    path = tmp_path_factory.mktemp("set") / "rows.parquet"
    columns = {"id": range(200), "embedding": pa.array(list(vectors), pa.list_(pa.float32())), "label": label}
    pq.write_table(pa.table(columns), path)
    return str(path)


def told(args: Any, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Rows], str]:
    return publish(hard_clusters.tables(args), None, {}), capsys.readouterr().out


@pytest.mark.slow
def test_the_tables_are_what_evaluate_says_of_each_run(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = hard_clusters.Args((source,), str(tmp_path / "runs"), knn_k=12)
    found, printed = told(args, capsys)
    ablation, at_tau, at_best = found.values()
    assert [row["method"] for row in ablation] == [*np.repeat(list(hard_clusters.METHODS), 2), "cosine"]
    for number, (method, (kind, distance)) in enumerate(hard_clusters.METHODS.items()):
        config = hard_clusters.config_of(args, kind, distance, 0.3)
        assert (config.density.kind, config.edges.distance, config.edges.closeness) == (kind, distance, 0.3)
        url = str(tmp_path / str(number))
        pipeline.cluster(source, url, config, Execution("local"))
        expected = evaluate(url, source, hard_clusters=True)
        assert expected["rows"] == 180
        plain, tuned = ablation[2 * number : 2 * number + 2]
        assert (plain["method"], plain["tau"], plain["clusters"]) == (method, 0.7, expected["clusters"])
        assert plain["F_B"] == pytest.approx(100 * expected["bcubed"]["f"])
        assert tuned["F_B"] >= plain["F_B"]
        rows = {row["score"]: row for row in at_tau if row["method"] == method}
        assert list(rows) == ["F_P", "R_P", "F_B", "R_B"]
        for group in GROUPS:
            assert rows["R_P"][group] == pytest.approx(100 * expected["hard_clusters"][group]["pairwise"]["recall"])
            assert rows["F_B"][group] == pytest.approx(100 * expected["hard_clusters"][group]["bcubed"]["f"])
        assert rows["R_B"]["all"] == pytest.approx(100 * expected["bcubed"]["recall"])
        best = next(row for row in at_best if (row["method"], row["score"]) == (method, "F_B"))
        assert best["all"] == pytest.approx(tuned["F_B"])
    assert sum(at_tau[-1][group] for group in GROUPS[:5]) == at_tau[-1]["all"]
    assert printed.count("| M4 NDDe + TPDi | F_P |") == 2


@pytest.mark.slow
def test_a_model_is_scored_beside_its_own_partition(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.model(tmp_path / "model", thresholds={"eta": 0.5})
    args = hard_clusters.Args(
        (source,), str(tmp_path / "runs"), str(tmp_path / "model"), density_sigma=0.3, tpdi_sigma=None,
    )  # fmt: skip
    config = hard_clusters.config_of(args, "diffusion", "tpdi", 0.3)
    assert (config.density.sigma, config.edges.sigma, config.relations.score) == (0.3, None, "all")
    found, _ = told(args, capsys)
    methods = [row["method"] for row in found["rows: M1 to M4"]]
    assert methods[-1] == "sdt-row"
    assert len(methods) == 2 * len(hard_clusters.METHODS) + 1


def test_several_sets_have_means_and_differences_paired_by_set() -> None:
    scores = {"M1 standard": 1.0, "M2 TPDi": 3.0, "M3 NDDe": 2.0, "M4 NDDe + TPDi": 5.0}
    scores |= {"M1 with the ball": 0.0, "M2 with the ball": 0.0}
    sets = [
        [
            {"method": method, "tau": tau, **dict.fromkeys(hard_clusters.MEANS, value + 10 * number)}
            for method, value in scores.items()
            for tau in (0.7, "0.55, best")
        ]
        for number in (0, 1)
    ]
    (_, means), (_, claims) = hard_clusters.over_sets(sets)
    assert {row["sets"] for row in means} == {2}
    assert len(means) == 12
    found = {row["claim"]: (row["F_B"], row["by F_B it"]) for row in claims}
    assert found["NDDe gains more than TPDi, at tau 0.7"] == ("-1.00 ± 0.00", "does not hold")
    assert found["both are above NDDe alone, at the best tau of either"] == ("+3.00 ± 0.00", "holds")
