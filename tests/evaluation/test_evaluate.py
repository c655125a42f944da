"""A finished run against true identities: the shape of the JSON, whose ids count, and sweeps from stored edges."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.errors import InputError
from raycluster.evaluation import metrics
from raycluster.evaluation.evaluate import evaluate
from raycluster.pipeline import run as pipeline
from support.command_line import call
from support.data import identities, unit_rows

ROWS = 300
THRESHOLD = 0.5
SCORES = {"precision", "recall", "f"}


@dataclass(frozen=True)
class Finished:
    """A finished run with what is true of its rows."""

    folder: Path
    ids: list[Any]
    """Ids in the order of `labels`."""
    labels: np.ndarray
    found: dict[str, Any]
    """Cluster of each id."""

    @property
    def url(self) -> str:
        return str(self.folder / "run")

    def truth(self, **columns: Any) -> str:
        """A Parquet file with these columns, `id` and `label` unless given."""
        path = self.folder / "truth.parquet"
        values = {"id": pa.array(self.ids), "label": pa.array(self.labels), **columns}
        pq.write_table(pa.table({name: value for name, value in values.items() if value is not None}), path)
        return str(path)

    def evaluate(self, truth: str | None = None, **options: Any) -> dict[str, Any]:
        return evaluate(self.url, truth or self.truth(), **options)


def finish(folder: Path, ids: pa.Array, vectors: np.ndarray, labels: np.ndarray, **keys: Any) -> Finished:
    """Cluster these rows on this machine."""
    table = pa.table({"id": ids, "embedding": pa.array(list(vectors), pa.list_(pa.float32()))})
    pq.write_table(table, folder / "in.parquet")
    keys = {"knn": {"k": 20}, "edges": {"threshold": THRESHOLD}, **keys}
    config = load_config(keys.pop("recipe", "cosine"), keys, "test")
    pipeline.cluster(str(folder / "in.parquet"), str(folder / "run"), config, Execution("local", shards=2))
    written = pq.read_table(folder / "run" / "labels")
    found = dict(zip(written["id"].to_pylist(), written["cluster_id"].to_pylist(), strict=True))
    return Finished(folder, ids.to_pylist(), labels, found)


@pytest.fixture(scope="module", autouse=True)
def _scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path_factory.mktemp("scratch")))
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """300 rows of 50 identities, ids int64; imperfect, so that no score is 1 by chance."""
    vectors, labels = identities(50, 6, width=16, spread=0.9)
    return finish(tmp_path_factory.mktemp("integers"), pa.array(range(1000, 1000 + ROWS)), vectors, labels)


@pytest.fixture(scope="module")
def dropping(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """String ids, and three rows that the run leaves out."""
    vectors, labels = identities(20, 6, width=16, spread=0.9, seed=1)
    vectors[[3, 50, 90]] = [[np.nan], [0], [np.inf]]
    ids = pa.array([f"face-{number}" for number in range(len(labels))])
    folder = tmp_path_factory.mktemp("strings")
    return finish(folder, ids, vectors, labels, embeddings={"on-bad-row": "drop"})


def clusters_of(run: Finished, ids: list[Any]) -> np.ndarray:
    return np.array([run.found[one] for one in ids])


def scores_of(result: dict[str, Any]) -> dict[str, Any]:
    """The metrics of an evaluation alone."""
    return {name: value for name, value in result.items() if name not in ("strength", "sweep", "hard_clusters")}


def rounded(value: Any) -> Any:
    """Scores up to the order in which they were summed."""
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    return round(value, 10)


def refusal(run: Finished, truth: str, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        run.evaluate(truth, **options)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_json_has_exactly_the_documented_keys(run: Finished) -> None:
    result = run.evaluate()
    assert list(result) == [
        "rows", "identities", "clusters", "singletons", "pairwise", "bcubed", "nmi", "identity",
        "strength",
    ]  # fmt: skip
    assert set(result["pairwise"]) == set(result["bcubed"]) == SCORES
    assert set(result["nmi"]) == {"arithmetic", "geometric"}
    assert {"clusters_per_identity", "singletons_per_identity"} < set(result["identity"])
    assert all(isinstance(value, float) for value in result["identity"].values())
    assert json.loads(json.dumps(result)) == result
    assert (result["rows"], result["identities"]) == (ROWS, 50)


def test_the_scores_are_those_of_the_labels_the_run_published(run: Finished) -> None:
    result = run.evaluate()
    table = result["strength"]
    assert sum(line["rows"] for line in table) == result["rows"] - result["singletons"]
    assert rounded(scores_of(result)) == rounded(metrics.evaluate(run.labels, clusters_of(run, run.ids)))
    assert 0.1 < result["pairwise"]["f"] < 1


def test_strengths_stand_beside_the_share_of_rows_in_the_majority(run: Finished) -> None:
    written = pq.read_table(run.folder / "run" / "labels").sort_by("id").to_pydict()
    labels = [label if at % 4 else None for at, label in enumerate(run.labels.tolist())]
    members: dict[int, list[int]] = {}
    for at in np.flatnonzero([label is not None for label in labels]).tolist():
        members.setdefault(written["cluster_id"][at], []).append(at)
    judged: dict[int, list[tuple[float, float]]] = {}
    for rows in members.values():
        own = [labels[at] for at in rows]
        top = [label for label in set(own) if own.count(label) == max(own.count(other) for other in own)]
        for at in rows if len(rows) > 1 else []:
            value = written["strength"][at]
            judged.setdefault(min(int(value * 10), 9), []).append((value, (labels[at] in top) / len(top)))
    expected = [
        {
            "low": tenth / 10, "high": (tenth + 1) / 10, "rows": len(found),
            "mean_strength": pytest.approx(np.mean([value for value, _ in found])),
            "share_right": pytest.approx(np.mean([right for _, right in found])),
        }
        for tenth, found in sorted(judged.items())
    ]  # fmt: skip
    assert run.evaluate(run.truth(label=pa.array(labels)))["strength"] == expected
    assert len(expected) > 2


def test_the_order_of_the_truth_does_not_matter(run: Finished) -> None:
    order = np.random.default_rng(0).permutation(ROWS)
    expected = run.evaluate()
    truth = run.truth(id=pa.array(np.array(run.ids)[order]), label=pa.array(run.labels[order]))
    assert rounded(run.evaluate(truth)) == rounded(expected)


@pytest.mark.parametrize("kind", [pa.int32(), pa.uint16(), pa.string(), pa.large_string()])
def test_ids_of_another_type_that_mean_the_same_are_found(run: Finished, kind: pa.DataType) -> None:
    assert run.evaluate(run.truth(id=pa.array(run.ids).cast(kind))) == run.evaluate()


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.int8()])
def test_labels_may_be_text_or_numbers(run: Finished, kind: pa.DataType) -> None:
    assert run.evaluate(run.truth(label=pa.array(run.labels).cast(kind))) == run.evaluate()


def test_dictionary_encoded_truth_is_read(dropping: Finished) -> None:
    names = pa.array([f"person {label}" for label in dropping.labels]).dictionary_encode()
    truth = dropping.truth(id=pa.array(dropping.ids).dictionary_encode(), label=names)
    assert dropping.evaluate(truth) == dropping.evaluate()


def test_rows_without_a_label_are_left_out(run: Finished) -> None:
    unknown = np.arange(ROWS) % 3 == 0
    result = run.evaluate(run.truth(label=pa.array(run.labels, mask=unknown)))
    kept = [one for one, left_out in zip(run.ids, unknown, strict=True) if not left_out]
    assert rounded(scores_of(result)) == rounded(metrics.evaluate(run.labels[~unknown], clusters_of(run, kept)))
    assert result["rows"] == 200


def test_a_truth_of_some_rows_scores_those(run: Finished) -> None:
    result = run.evaluate(run.truth(id=pa.array(run.ids[:40]), label=pa.array(run.labels[:40])))
    assert rounded(scores_of(result)) == rounded(metrics.evaluate(run.labels[:40], clusters_of(run, run.ids[:40])))


def test_ids_that_the_run_dropped_are_skipped(dropping: Finished) -> None:
    kept = [place for place in range(120) if place not in (3, 50, 90)]
    result = dropping.evaluate()
    assert result["rows"] == 117
    expected = metrics.evaluate(dropping.labels[kept], clusters_of(dropping, [dropping.ids[place] for place in kept]))
    assert rounded(scores_of(result)) == rounded(expected)


def test_a_truth_in_several_files_is_one(run: Finished, tmp_path: Path) -> None:
    for name, part, kind in (("a", slice(0, 100), pa.int32()), ("b", slice(100, ROWS), pa.int64())):
        columns = {"id": pa.array(run.ids[part], kind), "label": pa.array(run.labels[part]).cast(pa.string())}
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    assert run.evaluate(str(tmp_path)) == run.evaluate()


def test_columns_of_the_truth_may_have_other_names(run: Finished) -> None:
    truth = run.truth(id=None, label=None, face=pa.array(run.ids), person=pa.array(run.labels))
    assert run.evaluate(truth, id_column="face", label_column="person") == run.evaluate()


def test_a_missing_label_column_is_named_with_those_there_are(run: Finished) -> None:
    truth = run.truth(label=None)
    assert refusal(run, truth) == f"{truth} has no column 'label'; it has id."


def test_ids_that_the_run_does_not_have_are_counted_and_the_first_is_named(run: Finished) -> None:
    truth = run.truth(id=pa.array([*run.ids[:-2], 77, 78]))
    assert (
        refusal(run, truth)
        == f"{truth}, column 'id': 2 ids are not in the run, the first is 77; --known-only leaves them out."
    )


def test_an_unknown_id_is_refused_among_dropped_ones(dropping: Finished) -> None:
    truth = dropping.truth(id=pa.array(["stranger", *dropping.ids[1:]]))
    assert "1 ids are not in the run, the first is 'stranger'; --known-only leaves them out." in refusal(
        dropping, truth
    )


def test_a_truth_of_dropped_rows_alone_is_refused(dropping: Finished) -> None:
    truth = dropping.truth(id=pa.array(["face-3"]), label=pa.array([1]))
    assert refusal(dropping, truth) == f"{truth} labels only rows that the run dropped or does not have."


def test_an_id_twice_in_the_truth_is_refused(run: Finished) -> None:
    truth = run.truth(id=pa.array([run.ids[5], *run.ids[1:]]))
    assert refusal(run, truth) == f"{truth}, column 'id' holds the id 1005 twice."


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            {"id": pa.array([f"x{row}" for row in range(ROWS)])},
            "is string and holds 'x0', but the run's ids are int64.",
        ),
        (
            {"id": pa.array([row + 0.5 for row in range(ROWS)])},
            "is double and holds 0.5, but the run's ids are int64.",
        ),
        ({"id": pa.array([[row] for row in range(ROWS)])}, "column 'id' is list<element: int64>, but the run's ids"),
        ({"label": pa.array([1.5] * ROWS)}, "column 'label' is double; labels are integers or strings."),
        ({"label": pa.array([[1]] * ROWS)}, "column 'label' is list<element: int64>; labels are integers or strings."),
        ({"label": pa.nulls(ROWS, pa.int64())}, "column 'label' holds no label."),
    ],
    ids=range(6),
)
def test_a_truth_of_unusable_types_is_refused_by_column(run: Finished, columns: dict[str, Any], expected: str) -> None:
    truth = run.truth(**columns)
    said = refusal(run, truth)
    assert said.startswith(f"{truth}, ")
    assert expected in said


def test_a_run_that_is_not_finished_is_refused(run: Finished, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        evaluate(str(tmp_path), run.truth())
    assert str(caught.value) == f"{tmp_path} holds no finished run: there is no MANIFEST.json."


def snapshot(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Everything that tells whether a file below a folder was written anew."""
    stats = {str(path): path.stat() for path in folder.rglob("*")}
    return {name: (stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


def test_a_sweep_at_the_runs_own_threshold_gives_the_runs_scores_and_writes_nothing(run: Finished) -> None:
    before = snapshot(Path(run.url))
    result = run.evaluate(sweep=(THRESHOLD,))
    [entry] = result["sweep"]
    assert {**entry, "threshold": None, "edges": None} == {**scores_of(result), "threshold": None, "edges": None}
    assert entry["threshold"] == THRESHOLD
    assert entry["edges"] == json.loads((Path(run.url) / "MANIFEST.json").read_text())["summary"]["edges"]
    assert snapshot(Path(run.url)) == before


@pytest.mark.parametrize("threshold", [0.4, 0.45, 0.6])
def test_a_sweep_gives_what_a_run_with_that_threshold_gives(run: Finished, tmp_path: Path, threshold: float) -> None:
    vectors = pq.read_table(run.folder / "in.parquet")["embedding"].to_pylist()
    other = finish(tmp_path, pa.array(run.ids), np.array(vectors), run.labels, edges={"threshold": threshold})
    [entry] = run.evaluate(sweep=(threshold,))["sweep"]
    assert scores_of(other.evaluate()).items() <= entry.items()
    assert entry["pairwise"] != run.evaluate()["pairwise"]


def test_raising_the_threshold_leaves_fewer_edges(run: Finished) -> None:
    entries = run.evaluate(sweep=(0.4, 0.5, 0.6, 0.9))["sweep"]
    assert [entry["threshold"] for entry in entries] == [0.4, 0.5, 0.6, 0.9]
    counts = [entry["edges"] for entry in entries]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_a_sweep_takes_the_best_of_the_trials_as_the_run_does(tmp_path: Path) -> None:
    vectors, labels = unit_rows(ROWS, 16, seed=0), np.arange(ROWS) // 5
    keys = {"edges": {"threshold": 0.4}, "communities": {"trials": 4}}
    run = finish(tmp_path, pa.array(range(ROWS)), vectors, labels, **keys)
    result = run.evaluate(sweep=(0.4,))
    assert scores_of(result).items() <= result["sweep"][0].items()


@pytest.mark.parametrize("threshold", [0.39, -1.0, float("nan")])
def test_a_sweep_below_what_is_stored_is_refused(run: Finished, threshold: float) -> None:
    said = refusal(run, run.truth(), sweep=(0.5, threshold))
    assert said == f"The run cannot be swept at {threshold}: edges are stored from 0.4000 up."


def test_a_sweep_at_the_very_floor_is_allowed_although_its_difference_is_no_round_number(tmp_path: Path) -> None:
    assert 0.8 - 0.1 > 0.7
    vectors, labels = identities(20, 5, width=16, spread=0.5)
    run = finish(tmp_path, pa.array(range(100)), vectors, labels, edges={"threshold": 0.8})
    assert run.evaluate(sweep=(0.7,))["sweep"][0]["threshold"] == 0.7


def test_an_early_stop_run_is_swept_by_theta(tmp_path: Path) -> None:
    vectors, labels = identities(20, 5, width=16, spread=0.5)
    run = finish(tmp_path, pa.array(range(100)), vectors, labels, recipe="fc-es", edges={})
    result = run.evaluate(sweep=(0.22, 0.5))
    assert scores_of(result).items() <= result["sweep"][0].items()
    assert result["sweep"][1]["edges"] < result["sweep"][0]["edges"]


def test_a_gap_run_cannot_be_swept_and_says_so(tmp_path: Path) -> None:
    vectors, labels = identities(20, 5, width=16, spread=0.5)
    run = finish(tmp_path, pa.array(range(100)), vectors, labels, recipe="facemap")
    assert refusal(run, run.truth(), sweep=(0.5,)) == "The run cannot be swept at 0.5: the gap rule has no threshold."
    assert run.evaluate()["rows"] == 100


def test_hard_clusters_adds_the_table_by_size_and_sparsity(run: Finished) -> None:
    result = run.evaluate(hard_clusters=True)
    groups = [f"{kind}-{number}" for kind in ("sz", "sp") for number in range(1, 6)]
    assert list(result["hard_clusters"]) == groups
    for group in result["hard_clusters"].values():
        assert set(group) == {"identities", "rows", "pairwise", "bcubed"}
        assert group["identities"] == 10
    sparsity = [result["hard_clusters"][f"sp-{number}"]["pairwise"]["recall"] for number in range(1, 6)]
    assert sparsity[0] > sparsity[-1]


def test_the_json_file_holds_what_is_returned(run: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--run", run.url, "--truth", run.truth()]
    assert call("evaluate", *words, "--json", f"{tmp_path}/deep/scores.json", "--sweep", "0.5").code == 0
    assert json.loads((tmp_path / "deep" / "scores.json").read_text()) == run.evaluate(sweep=(0.5,))
    monkeypatch.chdir(tmp_path)
    assert call("evaluate", *words, "--json", "here.json").code == 0
    assert json.loads((tmp_path / "here.json").read_text()) == run.evaluate()


def test_the_job_prints_the_json_and_exits_2_without_a_traceback_when_refused(run: Finished) -> None:
    words = ["--run", run.url, "--truth", run.truth()]
    done = call("evaluate", *words, "--sweep", "0.5", "0.6", "--hard-clusters")
    assert (done.code, done.stderr) == (0, "")
    assert json.loads(done.stdout) == run.evaluate(sweep=(0.5, 0.6), hard_clusters=True)
    refused = call("evaluate", *words, "--label-column", "person")
    assert (refused.code, refused.stdout) == (2, "")
    assert refused.stderr == f"error: {run.folder}/truth.parquet has no column 'person'; it has id, label.\n"
