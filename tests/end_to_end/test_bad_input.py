"""Every mistake a user can make with the input: one sentence that says where, exit code 2, nothing that looks finished.

A case spoils a good input or command line. It must be refused, and after mending, the same `--output` must work.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.command_line import Outcome, call
from support.paths import ROOT
from support.runs import looks_finished

ROWS, WIDTH, IDENTITIES = 32, 4, 8
OPTIONS = ("--recipe", "cosine", "--knn.k", "5", "--edges.threshold", "0.5", "--executor", "local", "--no-report")
Columns = dict[str, Any]


def good_columns() -> Columns:
    """Eight identities of four rows, around both ends of every axis."""
    labels = np.arange(ROWS) % IDENTITIES
    centers = np.concatenate([np.eye(WIDTH), -np.eye(WIDTH)])
    vectors = 3 * centers[labels] + 0.1 * np.random.default_rng(0).normal(size=(ROWS, WIDTH))
    return {"id": list(range(100, 100 + ROWS)), "embedding": vectors.tolist(), "label": labels.tolist()}


def write(folder: Path, columns: Columns, kind: pa.DataType | None = None) -> None:
    """The columns as two files, the second from row 20 of the whole on."""
    folder.mkdir(exist_ok=True)
    arrays = {name: values if isinstance(values, pa.Array) else pa.array(values) for name, values in columns.items()}
    if isinstance(columns.get("embedding"), list):
        arrays["embedding"] = pa.array(columns["embedding"], kind or pa.list_(pa.float32()))
    table = pa.table(arrays)
    pq.write_table(table.slice(0, 20), folder / "a.parquet")
    pq.write_table(table.slice(20), folder / "b.parquet")


def good(folder: Path) -> None:
    """An input without a flaw, whatever was there before."""
    if folder.exists():
        for path in folder.iterdir():
            path.unlink()
    write(folder, good_columns())


def with_vector(row: int, vector: Any, kind: pa.DataType | None = None) -> Callable[[Path], None]:
    """Spoil one vector; row 22 is row 2 of b.parquet."""

    def spoil(folder: Path) -> None:
        columns = good_columns()
        columns["embedding"][row] = vector
        write(folder, columns, kind)

    return spoil


def with_columns(change: Callable[[Columns], Columns]) -> Callable[[Path], None]:
    """Spoil the columns as a whole."""
    return lambda folder: write(folder, change(good_columns()))


def with_id(row: int, value: Any) -> Callable[[Path], None]:
    """Spoil one id."""

    def change(columns: Columns) -> Columns:
        columns["id"][row] = value
        return columns

    return with_columns(change)


def empty_folder(folder: Path) -> None:
    """A folder with nothing in it."""
    folder.mkdir()


def no_parquet(folder: Path) -> None:
    """A folder with other files only."""
    folder.mkdir()
    (folder / "a.csv").write_text("id,embedding\n")


def no_rows(folder: Path) -> None:
    """Files with columns and no rows."""
    write(folder, {name: values[:0] for name, values in good_columns().items()} | {"id": pa.array([], pa.int64())})


def truncated(folder: Path) -> None:
    """A file whose end is missing, as an upload that broke off leaves it."""
    good(folder)
    (folder / "b.parquet").write_bytes((folder / "b.parquet").read_bytes()[:-40])


def damaged(folder: Path) -> None:
    """A file with an intact footer and zeros in its data."""
    good(folder)
    file = folder / "b.parquet"
    meta = pq.ParquetFile(file).metadata.row_group(0)
    at = next(meta.column(n) for n in range(meta.num_columns) if meta.column(n).path_in_schema.startswith("embedding"))
    data = bytearray(file.read_bytes())
    begin = at.dictionary_page_offset or at.data_page_offset
    data[begin : begin + at.total_compressed_size] = bytes(at.total_compressed_size)
    file.write_bytes(bytes(data))


def not_parquet(folder: Path) -> None:
    """Something else under the name of Parquet."""
    good(folder)
    (folder / "b.parquet").write_text("id,embedding\n1,2\n")


def zero_width(folder: Path) -> None:
    """All vectors of zero length."""
    write(folder, good_columns() | {"embedding": [[] for _ in range(ROWS)]})


def tensors(columns: Columns) -> Columns:
    """Embeddings as Arrow's fixed-shape tensors."""
    array = np.asarray(columns["embedding"], np.float32)
    return columns | {"embedding": pa.FixedShapeTensorArray.from_numpy_ndarray(array)}


def unknown_extension(folder: Path) -> None:
    """A column nobody uses that names an extension type nobody has registered."""
    good(folder)
    for name in ("a.parquet", "b.parquet"):
        table = pq.read_table(folder / name)
        marked = pa.field("blob", pa.int64(), metadata={"ARROW:extension:name": "another.library.type"})
        pq.write_table(table.append_column(marked, table["label"]), folder / name)


def other_id_type(folder: Path) -> None:
    """Ids that are numbers in one file and text in the other."""
    good(folder)
    table = pq.read_table(folder / "b.parquet")
    text = pa.array([str(one) for one in table["id"].to_pylist()])
    pq.write_table(table.set_column(0, "id", text), folder / "b.parquet")


@dataclass(frozen=True)
class Case:
    """One mistake: how the input is spoilt or which words are added, and what the sentence must say."""

    name: str
    spoil: Callable[[Path], None]
    says: tuple[str, ...]
    words: tuple[str, ...] = ()
    keep: tuple[str, ...] = field(default=())
    """Words that stay when the mistake is mended."""


A, B = "{input}/a.parquet", "{input}/b.parquet"
DROP = ("--embeddings.on-bad-row", "drop")
CASES = [
    Case("missing path", lambda folder: None, ("The input {input} does not exist or is an empty folder.",)),
    Case("empty folder", empty_folder, ("The input {input} does not exist or is an empty folder.",)),
    Case("folder without Parquet", no_parquet, ("no Parquet file, but a.csv; pandas.read_csv(FILE)",)),
    Case("no rows", no_rows, ("The input {input} has no rows.",)),
    Case("no id column of the name asked for", good, (A, "has no column 'key'; it has id, embedding, label."),
         ("--id-column", "key")),
    Case("no embedding column", with_columns(lambda c: {k: v for k, v in c.items() if k != "embedding"}),
         (A, "has no column 'embedding'; it has id, label.")),
    Case("no such column asked for", good, (A, "has no column 'vector'; --embedding-column 'embedding' reads its vectors."),
         ("--embedding-column", "vector")),
    Case("ids of floats", with_columns(lambda c: c | {"id": [x / 2 for x in c["id"]]}),
         (A, "column 'id' is double; ids are integers, strings or binary.")),
    Case("embeddings of text", with_columns(lambda c: c | {"embedding": pa.array(["x"] * ROWS)}),
         (A, "column 'embedding', row 0: the text 'x' is no vector of numbers.")),
    Case("embeddings of lists of text", with_columns(lambda c: c | {"embedding": pa.array([["x"]] * ROWS)}),
         (A, "column 'embedding' is list<element: string>; embeddings are lists of floats,")),
    Case("ids of two types", other_id_type, (B, A, "column 'id' is string", "it is int64")),
    Case("null id", with_id(22, None), (B, "column 'id', row 2: the id is null.")),
    Case("duplicate ids", with_id(22, 104), ("Column 'id' holds the id 104 twice", f"{A} row 4", f"{B} row 2")),
    Case("ragged vectors", with_vector(22, [1.0] * 3),
         (B, "column 'embedding', row 2: the vector has length 3, the first one has 4.")),
    Case("ragged vectors are not dropped", with_vector(22, [1.0] * 5),
         (B, "column 'embedding', row 2: the vector has length 5, the first one has 4."), (), DROP),
    Case("zero-length vector", with_vector(22, []), (B, "column 'embedding', row 2: the vector has zero length")),
    Case("only zero-length vectors", zero_width, (A, "column 'embedding', row 0: the vector has zero length.")),
    Case("NaN", with_vector(22, [1.0, float("nan"), 0.0, 0.0]),
         (B, "column 'embedding', row 2: the vector holds NaN or infinity", "--embeddings.on-bad-row drop")),
    Case("NaN in a fixed-size list", with_vector(3, [float("nan")] * 4, pa.list_(pa.float64(), 4)),
         (A, "column 'embedding', row 3: the vector holds NaN or infinity")),
    Case("infinity", with_vector(5, [1.0, float("-inf"), 0.0, 0.0]),
         (A, "column 'embedding', row 5: the vector holds NaN or infinity")),
    Case("zero vector", with_vector(22, [0.0] * 4), (B, "column 'embedding', row 2: the vector holds only zeros")),
    Case("null vector", with_vector(22, None), (B, "column 'embedding', row 2: the vector holds a null")),
    Case("null in a vector", with_vector(22, [1.0, None, 2.0, 3.0]),
         (B, "column 'embedding', row 2: the vector holds a null")),
    Case("only bad vectors", with_columns(lambda c: c | {"embedding": [[0.0] * 4] * ROWS}),
         ("The input {input} has no row that can be used; all 32 were dropped.",), (), DROP),
    Case("only nulls", with_columns(lambda c: c | {"embedding": [None] * ROWS}),
         ("The input {input}, column 'embedding' holds only nulls.",)),
    Case("truncated Parquet", truncated, (B, "is no readable Parquet file")),
    Case("damaged Parquet", damaged, (B, "is no readable Parquet file")),
    Case("no Parquet", not_parquet, (B, "is no readable Parquet file")),
    Case("unknown recipe", good, ("There is no recipe 'cosinus'; did you mean 'cosine'.",), ("--recipe", "cosinus")),
    Case("unknown key", good, ("Unrecognized options: --knn.kk; did you mean --knn.k?",), ("--knn.kk", "3")),
    Case("unknown key in YAML", good, ("{yaml} sets 'knn.kk', which is no key; did you mean 'knn.k'.",),
         ("--config", "{yaml}")),
    Case("value of a wrong type", good,
         ("the command line sets 'knn.k' to 'many'; it takes a whole number of at least 2.",), ("--knn.k", "many")),
    Case("value out of range", good,
         ("the command line sets 'edges.threshold' to 2; it takes a number from -1 to 1",), ("--edges.threshold", "2")),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Copies of a run go to a folder of this test, and must be gone at its end."""
    monkeypatch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path / "scratch"))
    yield
    assert list(tmp_path.glob("scratch/*/*.npy")) == []


def run_cluster(source: Path, output: Path, *words: str) -> Outcome:
    """The main job in this process, exactly as jobs/cluster.py runs it."""
    arguments = ["--input", str(source), "--output", str(output), *OPTIONS, *words]
    return call("cluster", *arguments)


def assert_refused(outcome: Outcome, *says: str) -> None:
    """Exit code 2, nothing on stdout, and one line that names what it must."""
    assert outcome.code == 2, outcome.stderr
    assert outcome.stdout == ""
    assert "Traceback" not in outcome.stderr
    assert len(outcome.errors) == 1
    assert outcome.stderr.splitlines()[-1] == outcome.errors[0]
    for expected in says:
        assert expected in outcome.errors[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mistake_is_refused_in_one_sentence_and_the_same_output_works_once_it_is_mended(
    tmp_path: Path, case: Case
) -> None:
    source, output, yaml = tmp_path / "input", tmp_path / "run", tmp_path / "mine.yaml"
    yaml.write_text("knn:\n  kk: 3\n")
    names = {"input": str(source), "yaml": str(yaml)}
    case.spoil(source)
    refused = run_cluster(source, output, *case.keep, *(word.format(**names) for word in case.words))
    assert_refused(refused, *(part.format(**names) for part in case.says))
    assert looks_finished(output) == []
    good(source)
    mended = run_cluster(source, output, *case.keep)
    assert mended.code == 0, mended.stderr
    assert looks_finished(output) == ["MANIFEST.json", "clusters.parquet", "labels"]
    summary = json.loads(mended.stdout)
    assert (summary["rows"], summary["clusters"], summary["dropped"]) == (ROWS, IDENTITIES, 0)


def test_bad_rows_are_dropped_on_request_and_listed_with_file_row_and_reason(tmp_path: Path) -> None:
    columns = good_columns()
    for row, vector in ((1, [float("nan")] * 4), (4, [0.0] * 4), (7, None), (22, [float("inf")] * 4), (29, [None] * 4)):
        columns["embedding"][row] = vector
    write(tmp_path / "input", columns)
    done = run_cluster(tmp_path / "input", tmp_path / "run", *DROP)
    assert done.code == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["rows"], summary["dropped"]) == (27, 5)
    assert pq.read_table(tmp_path / "run" / "dropped.parquet").to_pylist() == [
        {"id": 101, "file": "a.parquet", "row": 1, "reason": "NaN or infinity"},
        {"id": 104, "file": "a.parquet", "row": 4, "reason": "only zeros"},
        {"id": 107, "file": "a.parquet", "row": 7, "reason": "a null"},
        {"id": 122, "file": "b.parquet", "row": 2, "reason": "NaN or infinity"},
        {"id": 129, "file": "b.parquet", "row": 9, "reason": "a null"},
    ]
    kept = pq.read_table(tmp_path / "run" / "labels")["id"].to_pylist()
    assert kept == [one for one in columns["id"] if one not in (101, 104, 107, 122, 129)]


def test_a_file_of_bad_rows_only_is_dropped_whole(tmp_path: Path) -> None:
    columns = good_columns()
    columns["embedding"][:20] = [None] * 20
    write(tmp_path / "input", columns)
    done = run_cluster(tmp_path / "input", tmp_path / "run", *DROP)
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout)["dropped"] == 20
    assert pq.read_table(tmp_path / "run" / "dropped.parquet")["row"].to_pylist() == list(range(20))


@pytest.mark.parametrize("kind", [pa.binary(), pa.binary(2), pa.large_binary(), pa.large_string(), pa.string()])
def test_dropped_ids_are_listed_in_their_own_type(tmp_path: Path, kind: pa.DataType) -> None:
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    ids: list[Any] = [chr(228) + chr(97 + row) if text else bytes([255, row]) for row in range(ROWS)]
    columns = good_columns() | {"id": pa.array(ids, kind)}
    columns["embedding"][7] = [0.0] * 4
    write(tmp_path / "input", columns)
    done = run_cluster(tmp_path / "input", tmp_path / "run", *DROP)
    assert done.code == 0, done.stderr
    assert pq.read_table(tmp_path / "run" / "dropped.parquet")["id"].to_pylist() == [ids[7]]
    assert pq.read_table(tmp_path / "run" / "labels")["id"].to_pylist() == ids[:7] + ids[8:]


def test_fewer_rows_than_k_after_dropping_are_clustered(tmp_path: Path) -> None:
    columns = good_columns()
    columns["embedding"][:27] = [[0.0] * 4] * 27
    write(tmp_path / "input", columns)
    done = run_cluster(tmp_path / "input", tmp_path / "run", *DROP)
    assert done.code == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["rows"], summary["dropped"]) == (5, 27)
    assert pq.read_table(tmp_path / "run" / "labels")["id"].to_pylist() == list(range(127, 132))


@pytest.mark.parametrize("kind", ["tensors", "an unknown extension beside", "no ids"])
def test_columns_of_unusual_kinds_give_the_labels_of_plain_ones(tmp_path: Path, kind: str) -> None:
    good(tmp_path / "plain")
    if kind == "tensors":
        with_columns(tensors)(tmp_path / "input")
    elif kind == "no ids":
        with_columns(lambda c: {k: v for k, v in c.items() if k != "id"})(tmp_path / "input")
    else:
        unknown_extension(tmp_path / "input")
    tables = []
    for name in ("plain", "input"):
        done = run_cluster(tmp_path / name, tmp_path / f"run {name}")
        assert done.code == 0, done.stderr
        tables.append(pq.read_table(tmp_path / f"run {name}" / "labels"))
    assert tables[0]["cluster_id"].to_pylist() == tables[1]["cluster_id"].to_pylist()


def test_a_run_folder_of_another_configuration_is_refused_and_stays_as_it_was(tmp_path: Path) -> None:
    source, output = tmp_path / "input", tmp_path / "run"
    good(source)
    first = run_cluster(source, output)
    before = {str(path): path.stat().st_mtime_ns for path in output.rglob("*")}
    refused = run_cluster(source, output, "--knn.k", "7", "--labels.min-cluster-size", "3")
    assert_refused(refused, str(output), "knn.k: 5 -> 7", "labels.min_cluster_size: 2 -> 3", "--replan")
    assert {str(path): path.stat().st_mtime_ns for path in output.rglob("*")} == before
    again = run_cluster(source, output)
    assert (again.code, again.stdout) == (0, first.stdout)


def test_a_finished_run_can_be_planned_again_to_drop_bad_rows(tmp_path: Path) -> None:
    source, output = tmp_path / "input", tmp_path / "run"
    good(source)
    assert run_cluster(source, output).code == 0
    again = run_cluster(source, output, *DROP, "--replan")
    assert again.code == 0, again.stderr
    assert json.loads(again.stdout)["rows"] == ROWS
    assert looks_finished(output) == ["MANIFEST.json", "clusters.parquet", "labels"]


def test_a_run_folder_of_another_input_is_refused_and_stays_as_it_was(tmp_path: Path) -> None:
    source, output = tmp_path / "input", tmp_path / "run"
    good(source)
    assert run_cluster(source, output).code == 0
    manifest = (output / "MANIFEST.json").read_bytes()
    columns = good_columns()
    columns["embedding"][0] = [9.0] * 4
    write(source, columns)
    assert_refused(run_cluster(source, output), str(output), "made from another input")
    assert (output / "MANIFEST.json").read_bytes() == manifest


def test_an_output_that_is_a_file_is_refused_and_kept(tmp_path: Path) -> None:
    good(tmp_path / "input")
    (tmp_path / "notes").write_text("precious")
    assert_refused(run_cluster(tmp_path / "input", tmp_path / "notes"), str(tmp_path / "notes"))
    assert (tmp_path / "notes").read_text() == "precious"


def test_an_input_in_an_empty_word_is_refused_instead_of_reading_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good(tmp_path / "input")
    monkeypatch.chdir(tmp_path / "input")
    words = ["--input", "", "--output", str(tmp_path / "run"), *OPTIONS]
    assert_refused(call("cluster", *words), "A path or URL is empty.")
    assert not (tmp_path / "run").exists()


def test_a_dry_run_refuses_what_the_plan_can_see_and_writes_nothing(tmp_path: Path) -> None:
    dry = ("--dry-run", "--estimate.probe-seconds", "0")
    other_id_type(tmp_path / "input")
    refused = run_cluster(tmp_path / "input", tmp_path / "run", *dry)
    assert_refused(refused, "column 'id' is string")
    good(tmp_path / "input")
    assert run_cluster(tmp_path / "input", tmp_path / "run", *dry).code == 0
    assert not (tmp_path / "run").exists()


TRUTHS: list[tuple[str, Callable[[Columns], Columns], str]] = [
    ("no label column", lambda c: {"id": c["id"]}, "{truth} has no column 'label'; it has id."),
    ("no id column", lambda c: {"label": c["label"]}, "{truth} has no column 'id'; it has label."),
    ("unknown ids", lambda c: c | {"id": [7, *c["id"][1:]]}, "'id': 1 ids are not in the run, the first is 7; --known-only"),
    ("duplicate ids", lambda c: c | {"id": [101, *c["id"][1:]]}, "{truth}, column 'id' holds the id 101 twice."),
    ("no labels", lambda c: c | {"label": pa.nulls(ROWS, pa.int64())}, "{truth}, column 'label' holds no label."),
    ("labels of floats", lambda c: c | {"label": [0.5] * ROWS}, "'label' is double; labels are integers or strings."),
    ("ids of text", lambda c: c | {"id": ["x"] * ROWS}, "is string and holds 'x', but the run's ids are int64."),
]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYCLUSTER_SCRATCH", str(folder / "scratch"))
        good(folder / "input")
        done = run_cluster(folder / "input", folder / "run")
    assert done.code == 0, done.stderr
    return folder / "run"


@pytest.mark.parametrize(("change", "says"), [case[1:] for case in TRUTHS], ids=[case[0] for case in TRUTHS])
def test_a_truth_that_cannot_be_used_is_refused_and_no_json_is_written(
    finished: Path, tmp_path: Path, change: Callable[[Columns], Columns], says: str
) -> None:
    truth, scores = tmp_path / "truth.parquet", tmp_path / "scores.json"
    pq.write_table(pa.table(change(good_columns())), truth)
    words = ["--run", str(finished), "--truth", str(truth), "--json", str(scores)]
    assert_refused(call("evaluate", *words), str(truth), says.format(truth=truth))
    assert not scores.exists()
    pq.write_table(pa.table(good_columns()), truth)
    assert json.loads(call("evaluate", *words).stdout)["pairwise"]["f"] == 1


def test_a_truth_or_run_that_is_not_there_or_broken_is_refused(finished: Path, tmp_path: Path) -> None:
    truth = tmp_path / "truth.parquet"
    words = ["--run", str(finished), "--truth", str(truth)]
    assert_refused(call("evaluate", *words), f"The input {truth} does not exist or is an empty folder.")
    truth.write_bytes(b"PAR1 and nothing else")
    assert_refused(call("evaluate", *words), f"{truth} is no readable Parquet file")
    words[1] = str(tmp_path / "absent")
    assert_refused(call("evaluate", *words), f"{tmp_path}/absent holds no finished run")


def start(job: str, *words: str) -> Outcome:
    """A job as a user starts it."""
    command = [sys.executable, str(ROOT / "jobs" / job), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=dict(os.environ))
    return Outcome(done.returncode, done.stdout, done.stderr)


def test_real_commands_refuse_like_the_cases_above(finished: Path, tmp_path: Path) -> None:
    source, output, truth = tmp_path / "input", tmp_path / "run", tmp_path / "truth.parquet"
    with_vector(22, [float("nan")] * 4)(source)
    refused = start("cluster.py", "--input", str(source), "--output", str(output), *OPTIONS)
    assert_refused(refused, f"{source}/b.parquet, column 'embedding', row 2")
    assert looks_finished(output) == []
    pq.write_table(pa.table({"id": good_columns()["id"]}), truth)
    refused = start("evaluate.py", "--run", str(finished), "--truth", str(truth))
    assert_refused(refused, f"{truth} has no column 'label'")
    assert refused.stderr == f"{refused.errors[0]}\n"
