"""Verbs end to end in this process: what each leaves behind."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from raycluster.pipeline.diff import compare
from support.command_line import call


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished demo of 400 rows."""
    folder = tmp_path_factory.mktemp("demo")
    outcome = call("demo", "--rows", "400", "--effort", "fast", "-o", str(folder))
    assert outcome.code == 0, outcome.stderr
    assert json.loads(outcome.stdout)["scores"]["bcubed"]["f"] > 0.8
    return folder


def run_of(demo: Path) -> str:
    return str(demo / "run-400-fast")


def input_of(demo: Path) -> str:
    return str(demo / "faces-400")


def test_evaluate_takes_places_and_options(demo: Path) -> None:
    by_place = call("evaluate", run_of(demo), input_of(demo))
    by_option = call("evaluate", "--run", run_of(demo), "--truth", input_of(demo))
    assert (by_place.code, by_place.stdout) == (0, by_option.stdout)
    assert call("evaluate", run_of(demo)).errors == [
        "error: Missing: RUN and TRUTH, a run folder and a table with labels."
    ]


def test_truth_with_more_ids_is_refused_or_left_out(demo: Path, tmp_path: Path) -> None:
    table = pa.table({"id": [0, 1, 10**6], "label": [1, 1, 2]})
    pq.write_table(table, tmp_path / "truth.parquet")
    words = (run_of(demo), str(tmp_path / "truth.parquet"))
    assert "--known-only leaves them out" in call("evaluate", *words).errors[0]
    assert json.loads(call("evaluate", *words, "--known-only").stdout)["rows"] == 2


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_export_keeps_the_users_columns_and_adds_ours(demo: Path, tmp_path: Path, kind: str) -> None:
    target = tmp_path / f"out.{kind}"
    words = (run_of(demo), "--input", input_of(demo), "-o", str(target))
    outcome = call("export", *words)
    assert (outcome.code, json.loads(outcome.stdout)["rows"]) == (0, 400)
    if kind == "parquet":
        table = pq.read_table(target)
        assert "embedding" in table.column_names
    elif kind == "csv":
        table = pyarrow.csv.read_csv(target)
    else:
        table = pa.Table.from_pylist([json.loads(line) for line in target.read_text().splitlines()])
    labels = pq.read_table(f"{run_of(demo)}/labels")
    expected = dict(zip(labels["id"].to_pylist(), labels["cluster_id"].to_pylist(), strict=True))
    assert {"id", "label", "cluster_id", "strength"} <= set(table.column_names)
    assert dict(zip(table["id"].to_pylist(), table["cluster_id"].to_pylist(), strict=True)) == expected
    assert f"{target} exists" in call("export", *words).errors[0]


def test_export_makes_a_folder_of_links_per_identity(demo: Path, tmp_path: Path) -> None:
    table = pq.read_table(input_of(demo))
    for number in range(400):
        (tmp_path / f"{number}.jpg").write_text(str(number))
    paths = [str(tmp_path / f"{key}.jpg") for key in table["id"].to_pylist()]
    pq.write_table(table.select(["id"]).append_column("file", pa.array(paths)), tmp_path / "photos.parquet")
    words = ("--input", str(tmp_path / "photos.parquet"), "--path-column", "file", "--format", "folders")
    assert call("export", run_of(demo), *words, "-o", str(tmp_path / "people")).code == 0
    labels = pq.read_table(f"{run_of(demo)}/labels")
    size = dict(zip(labels["id"].to_pylist(), labels["cluster_size"].to_pylist(), strict=True))
    cluster = dict(zip(labels["id"].to_pylist(), labels["cluster_id"].to_pylist(), strict=True))
    links = [link for link in (tmp_path / "people").rglob("*") if link.is_symlink()]
    assert len(links) == sum(count > 1 for count in size.values())
    assert all(cluster[int(link.read_text())] == int(link.parent.name) for link in links)


def test_diff_of_a_run_with_itself_is_all_the_same(demo: Path) -> None:
    found = json.loads(call("diff", run_of(demo), run_of(demo)).stdout)
    assert found["rows_moved"] == 0
    assert sum(found["clusters"].values()) == found["clusters"]["same"] > 10


@pytest.mark.parametrize(
    ("was", "now", "kinds", "moved"),
    [
        ([0, 0, 1, 1], [5, 5, 7, 7], {"same": 2}, 0),
        ([0, 0, 1, 1], [3, 3, 3, 3], {"merged": 2}, 2),
        ([0, 0, 0, 1], [1, 1, 2, 3], {"split": 1, "same": 1}, 1),
        ([0, 0, 1, 1], [0, 1, 1, 1], {"regrouped": 1, "merged": 1}, 1),
    ],
)
def test_clusters_are_named_by_what_became_of_them(was: Any, now: Any, kinds: dict[str, int], moved: int) -> None:
    rows = np.arange(4)
    found = compare(np.array(was), np.array(now), rows, rows)
    assert {kind: count for kind, count in found.clusters.items() if count} == kinds
    assert found.rows_moved == moved


def test_new_and_gone_rows_grow_and_shrink_clusters() -> None:
    found = compare(np.array([0, 0, 1, 2, 2]), np.array([0, 0, 0, 1, 2]), np.array([0, 1, 3]), np.array([0, 1, 3]))
    assert {kind: count for kind, count in found.clusters.items() if count} == {
        "grown": 1, "shrunk": 1, "new": 1, "gone": 1,
    }  # fmt: skip
    assert (found.rows_new, found.rows_gone) == (2, 2)


@pytest.mark.parametrize(("keep", "expected"), [("results", 0), ("resume", 1), ("all", 2)])
def test_a_run_keeps_of_its_stages_what_it_is_asked_to(demo: Path, tmp_path: Path, keep: str, expected: int) -> None:
    words = (input_of(demo), "-o", str(tmp_path / "run"), "--recipe", "cosine", "--knn.k", "20", "--no-report")
    assert call("cluster", *words, "--keep", "all").code == 0
    again = call("cluster", *words, "--limit", "0.9", "--replan", "--keep", keep)
    assert again.code == 0
    assert len(list((tmp_path / "run" / "stages").glob("edges/*"))) == expected
    assert call("evaluate", str(tmp_path / "run"), input_of(demo)).code == 0


def test_clean_keeps_what_a_resumed_run_reads_and_results_alone_when_asked(demo: Path, tmp_path: Path) -> None:
    words = (input_of(demo), "-o", str(tmp_path / "run"), "--recipe", "cosine", "--knn.k", "20", "--no-report")
    assert call("cluster", *words).code == 0
    assert call("cluster", *words, "--limit", "0.9", "--replan", "--keep", "all").code == 0
    (tmp_path / "run" / "stages" / "mine.txt").write_text("keep")
    before = json.loads(call("clean", str(tmp_path / "run"), "--dry-run").stdout)
    assert before["objects"] > 0
    assert json.loads(call("clean", str(tmp_path / "run")).stdout)["objects"] == before["objects"]
    assert json.loads(call("clean", str(tmp_path / "run")).stdout)["objects"] == 0
    (tmp_path / "run" / "MANIFEST.json").unlink()
    assert call("cluster", *words, "--limit", "0.9").code == 0
    assert json.loads(call("clean", str(tmp_path / "run"), "--keep", "results").stdout)["objects"] > 0
    left = [path.name for path in (tmp_path / "run" / "stages").rglob("*") if path.is_file()]
    assert left == ["mine.txt"]
    assert call("cluster", *words, "--limit", "0.9", "--keep", "results").code == 0, "a finished run stays finished"
    assert call("export", str(tmp_path / "run"), "-o", str(tmp_path / "labels.parquet")).code == 0


def test_generate_recipes_and_completion(tmp_path: Path) -> None:
    made = json.loads(
        call("generate", "-o", str(tmp_path / "set"), "--preset", "long-tail", "--rows", "300", "--width", "8").stdout
    )
    assert (made["rows"], made["width"]) == (300, 8)
    assert pq.read_table(tmp_path / "set").num_rows == 300
    listed = json.loads(call("recipes").stdout)
    assert {"auto", "cosine", "diff-cluster"} <= set(listed)
    assert "threshold" in json.loads(call("recipes", "show", "cosine").stdout)["text"]
    assert "did you mean 'cosine'" in call("recipes", "show", "cosin").errors[0]
    assert call("completion", "bash").code == 0


def test_several_inputs_and_patterns_are_one_input(demo: Path, tmp_path: Path) -> None:
    table = pq.read_table(input_of(demo))
    for number in range(4):
        pq.write_table(table.slice(100 * number, 100), tmp_path / f"part-{number}.parquet")
    files = [str(tmp_path / f"part-{number}.parquet") for number in range(4)]
    fast = ("--recipe", "cosine", "--knn.k", "20", "--no-report")
    assert call("cluster", *files, "-o", str(tmp_path / "a"), *fast).code == 0
    assert call("cluster", str(tmp_path / "part-*.parquet"), "-o", str(tmp_path / "b"), *fast).code == 0
    labels = [pq.read_table(tmp_path / name / "labels") for name in "ab"]
    assert labels[0].equals(labels[1])
    assert labels[0].num_rows == 400


def test_an_export_to_stdout_is_refused() -> None:
    outcome = call("export", "run", "-o", "-")
    assert (outcome.code, outcome.stdout) == (2, "")
    assert outcome.errors[0].startswith("error: An export goes to a file, not to stdout")
