"""The table of recipes and baselines: resumed, complete whatever fails, and told as it was made."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.measuring import runs
from benchmarks.measuring.isolation import Failed
from benchmarks.measuring.tables import publish
from benchmarks.papers import quoted
from benchmarks.systems import compare
from benchmarks.systems.comparison import baselines, prepared
from raycluster.errors import ConfigError
from raycluster.evaluation import metrics
from raycluster.evaluation.evaluate import evaluate
from raycluster.synthetic.generator import SyntheticConfig, write_parquet
from support import labelled, tiny
from support.data import identities


def args(source: str, folder: Path, **known: Any) -> Any:
    few = {"recipes": (), "baselines": ("CDP",), "k": 10, "minutes": 2.0, "memory_gib": 4.0}
    return compare.Args((source,), str(folder / "kept"), **{**few, **known})


def here(work: Any, *arguments: Any, limits: Any) -> Any:
    """`call` without the process."""
    del limits
    try:
        return work(*arguments)
    except Exception as error:
        raise Failed(f"{type(error).__name__}: {error}") from error


@pytest.mark.process
def test_a_row_is_made_in_a_process_and_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        compare.BASELINES, "CDP", baselines.Baseline(baselines.cdp, {"threshold": 0.5, "max_size": 300}, "us", ())
    )
    chosen = args(labelled.written(tmp_path), tmp_path)
    (_, rows), (_, sweep), _ = compare.tables(chosen)
    assert [row["at"] for row in rows] == ["published (us)", "best of 1"]
    assert rows[0]["F_B"] == sweep[0]["F_B"]
    assert 0 < rows[0]["seconds"] < 60
    assert 0.05 < rows[0]["peak GiB"] < 4

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("a finished row is not made again")

    monkeypatch.setattr(compare, "call", never)
    again = list(compare.tables(chosen))
    assert again[0][1] == rows


def test_scores_leave_out_rows_without_a_label_which_take_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "call", here)
    laboratory = compare.Laboratory(args(labelled.written(tmp_path), tmp_path), str(tmp_path / "rows.parquet"))
    laboratory.prepare()
    settings = {"threshold": 0.5, "max_size": 300}
    found = laboratory.baseline("CDP", settings)
    data, identity = prepared.load(str(laboratory.arrays), 10, 4.0)
    known = np.array([label is not None for label in labelled.labels()])
    np.testing.assert_array_equal(identity != prepared.UNKNOWN, known)
    assert data.identities == 24
    expected = metrics.evaluate(identity[known], baselines.cdp(data, **settings)[known])
    assert found["scores"] == expected
    assert found["scores"]["rows"] == known.sum() < data.rows


def test_rows_that_fail_say_why_and_the_best_of_the_others_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compare, "call", here)

    def labels(data: Any, score: int) -> Any:
        if score < 0:
            raise MemoryError("no room")
        return np.arange(data.rows) // score

    broken = baselines.Baseline(labels, {"score": -1}, "nobody", baselines.grid(score=(1, 5, -2)), oracle=True)
    monkeypatch.setitem(compare.BASELINES, "broken", broken)
    chosen = args(labelled.written(tmp_path), tmp_path, baselines=("broken", "CDP"))
    publish(compare.tables(chosen), tmp_path / "found.json", {})
    told = capsys.readouterr()
    found = json.loads((tmp_path / "found.json").read_text())["tables"]
    rows, sweep = found["rows"], found["rows: sweeps"]
    assert rows[0] == {
        "method": "broken", "at": "published (nobody, oracle)", "setting": "score -1", "failed": "MemoryError: no room",
    }  # fmt: skip
    assert (rows[1]["at"], rows[1]["setting"], rows[1]["F_B"]) == ("best of 4", "score 5", 100.0)
    assert [row["method"] for row in rows[2:]] == ["CDP", "CDP"]
    of_cdp = [row["F_B"] for row in sweep if row["method"] == "CDP"]
    assert len(of_cdp) == 1 + len(baselines.BASELINES["CDP"].sweep) - 1 == 11
    assert rows[3]["F_B"] == max(of_cdp)
    assert "MemoryError: no room |" in told.out
    assert "broken" in told.err
    kept = len(list((tmp_path / "kept" / "rows").iterdir()))
    publish(compare.tables(chosen), None, {})
    assert "MemoryError: no room" in capsys.readouterr().err, "what failed is tried again"
    assert len(list((tmp_path / "kept" / "rows").iterdir())) == kept


@pytest.mark.slow
def test_recipes_are_rows_with_and_without_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "call", here)
    source = str(tmp_path / "set")
    write_parquet(SyntheticConfig(rows=300, width=16, effective_dimension=16, mean_size=5, same_cosine=0.9), source)
    tiny.model(tmp_path / "model", thresholds={"eta": 0.5})
    chosen = args(
        source,
        tmp_path,
        recipes=("cosine", "facemap", "sdt-row"),
        model=(f"sdt-row={tmp_path / 'model'}",),
        baselines=(),
        k=20,
    )
    rows = next(compare.tables(chosen))[1]
    assert [(row["method"], row["at"].split()[0]) for row in rows] == [
        ("cosine", "label-free"), ("cosine", "best"), ("facemap", "label-free"), ("sdt-row", "-"),
        ("sdt-row", "limits"), ("sdt-row", "best"),
    ]  # fmt: skip
    assert rows[0]["setting"].startswith("threshold 0.")
    assert rows[3]["failed"] == "The recipe sdt-row needs a trained model: give --model, a folder of jobs/train.py."
    assert rows[1]["F_B"] >= rows[0]["F_B"] - 1
    assert rows[0]["seconds"] > 0
    assert "seconds" not in rows[1], "a sweep is read from stored edges"
    assert list((tmp_path / "kept" / "runs").iterdir()) == [], "no run is left, with a sweep or without"
    config = compare.recipes.configured("cosine", None, 20, {"id_column": "id", "embedding_column": "embedding"})
    runs.clustered(source, str(tmp_path / "run"), config)
    expected = evaluate(str(tmp_path / "run"), source)
    assert rows[0]["F_B"] == 100 * expected["bcubed"]["f"]
    assert rows[0]["R#I"] == expected["identity"]["clusters_per_identity"]


@pytest.mark.slow
def test_a_sweep_takes_over_the_run_of_its_recipe_and_goes_on_where_it_was_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "call", here)
    source, kept = labelled.written(tmp_path), tmp_path / "kept" / "runs"
    laboratory = compare.Laboratory(args(source, tmp_path), source)
    columns = {"id_column": "id", "embedding_column": "embedding"}
    tiny.model(tmp_path / "model", thresholds={"eta": 0.5})
    config = compare.recipes.configured("sdt-row", str(tmp_path / "model"), 10, columns)

    def made(stage: str) -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in kept.glob(f"*/stages/{stage}/*/*.parquet")}

    as_is = laboratory.recipe(config)
    before, edges = made("relations"), made("edges")
    assert before

    def ended(*_: Any, sweep: Any = (), **__: Any) -> Any:
        assert sweep
        raise MemoryError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(runs, "evaluate", ended)
        with pytest.raises(Failed, match="no room"):
            laboratory.recipe_sweep(config)
    assert made("relations") == before, "neighbors were judged again"
    assert made("edges") != edges
    found = laboratory.recipe_sweep(config)
    assert [at["threshold"] for at in found] == list(compare.recipes.swept(config))
    assert next(at for at in found if at["threshold"] == 0.5)["bcubed"] == as_is["scores"]["bcubed"]
    assert list(kept.iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"baselines": ("HAK",)}, "There is no baseline 'HAK'; there are k-means, .*"),
        ({"model": ("sdt-row",)}, "--model sdt-row names no folder; it takes RECIPE=FOLDER."),
    ],
)
def test_a_mistake_is_told_before_anything_is_made(tmp_path: Path, wrong: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        next(compare.tables(args(labelled.written(tmp_path), tmp_path, **wrong)))
    assert not (tmp_path / "kept").exists()


def test_other_settings_sets_and_versions_are_other_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    def counted(*arguments: Any, limits: Any) -> Any:
        made.append((arguments, limits))
        return len(made)

    monkeypatch.setattr(compare, "call", counted)
    source = labelled.written(tmp_path)
    laboratory = compare.Laboratory(args(source, tmp_path), source)
    assert laboratory.kept({"a": 1}, ("scipy",), 3, print) == 1
    assert made[0][1].seconds == 3 * 120
    assert laboratory.kept({"a": 1}, ("scipy",), 3, print) == 1
    assert laboratory.kept({"a": 2}, ("scipy",), 3, print) == 2
    monkeypatch.setattr(compare, "version", lambda _: "0.0")
    assert laboratory.kept({"a": 1}, ("scipy",), 3, print) == 3
    labelled.written(tmp_path, noise=0.6)
    assert compare.Laboratory(args(source, tmp_path), source).kept({"a": 1}, ("scipy",), 3, print) == 4


def test_the_head_of_a_set_is_a_set_of_its_own() -> None:
    vectors, _ = identities(20, 5)
    whole = prepared.Prepared(vectors, *prepared.self_top_k(vectors, 12), 20, 1.0)
    head = whole.head(30)
    assert (head.rows, head.identities, head.neighbor.shape) == (30, 6, (30, 12))
    assert head.neighbor.max() < 30


def test_quoted_rows_hold_two_scores_each_but_one() -> None:
    rows = quoted.ms1m()
    assert len({row["method"] for row in rows}) == len(rows) == 20
    assert [row["method"] for row in rows if "F_B" not in row] == ["CLIP-Cluster (Shen et al. 2023)"]
    assert all("F_P" in row for row in rows)
    assert {"method": "Ada-NETS (Wang et al. 2022b)", "F_P": 92.79, "F_B": 91.40} in rows
    assert "quoted" in quoted.MS1M


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["html", "svg"])
def test_the_chart_needs_no_network(tmp_path: Path, suffix: str) -> None:
    rows = [
        {"method": "cosine", "at": "label-free", "F_P": 90.0, "F_B": 80.0},
        {"method": "cosine", "at": "best of 3", "F_P": 95.0, "F_B": 85.0},
        {"method": "HAC", "at": "published", "failed": "took longer than 3 s"},
    ]
    found = [("set", rows), ("set: sweeps", [{"method": "cosine", "F_B": 1.0}]), (quoted.MS1M, quoted.ms1m())]
    path = tmp_path / f"chart.{suffix}"
    assert list(compare.with_chart(iter(found), str(path))) == found
    text = path.read_text()
    assert "cosine" in text
    assert "HAC" not in text
    assert '<script src="http' not in text
