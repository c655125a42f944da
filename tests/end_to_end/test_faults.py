"""Faults that real inputs bring out, each kind by cases of its own: the right partition, or one sentence.

A: nothing is touched that is not ours, nothing is left out silently. C: other machines. D: types by what they hold. E: advice.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from raycluster import Clusterer, RayclusterError
from raycluster.pipeline import run
from support.command_line import Outcome, call
from support.paths import ROOT

ROWS, WIDTH = 24, 8
IDENTITY = np.arange(ROWS) // 4
VECTORS = (np.eye(WIDTH)[IDENTITY] + 0.02 * np.random.default_rng(0).standard_normal((ROWS, WIDTH))).astype(np.float32)


def table(rows: slice = slice(None), **columns: Any) -> pa.Table:
    """Rows with ids and vectors, and other columns in place of these; None leaves one out."""
    ids = np.arange(ROWS)[rows]
    values = {"id": pa.array(ids), "embedding": pa.array(list(VECTORS[rows]), pa.list_(pa.float32())), **columns}
    return pa.table({name: value for name, value in values.items() if value is not None})


def written(path: Path, made: pa.Table | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table() if made is None else made, path)
    return path


OPTIONS = ("--recipe", "cosine", "--limit", "0.8", "--executor", "local")
NO_REPORT = ("--no-report",)
"""A report takes four times as long as a run of so few rows."""


def clustered(output: Path, *inputs: str | Path, words: tuple[str, ...] = ()) -> Outcome:
    return call("cluster", *map(str, inputs), "-o", str(output), *OPTIONS, *NO_REPORT, *words)


def labels(output: Path) -> dict[Any, int]:
    found = pq.read_table(output / "labels")
    return dict(zip(found["id"].to_pylist(), found["cluster_id"].to_pylist(), strict=True))


def assert_right(outcome: Outcome, output: Path, keys: list[Any] | None = None) -> None:
    """The run is done, has every row, and its partition is that of the identities."""
    assert outcome.code == 0, outcome.stderr
    found = labels(output)
    keys = list(range(ROWS)) if keys is None else keys
    assert found.keys() == set(keys)
    pairs = {(found[key], int(identity)) for key, identity in zip(keys, IDENTITY, strict=True)}
    assert len(pairs) == IDENTITY.max() + 1


def assert_refused(outcome: Outcome, *parts: str) -> None:
    assert outcome.code == 2 or outcome.code == 1, outcome.stderr
    assert len(outcome.errors) == 1, outcome.stderr
    assert "unexpected" not in outcome.errors[0]
    for part in parts:
        assert part in outcome.errors[0]


# A. Nothing is touched, nothing is left out


def test_an_output_that_a_link_leads_into_the_input_is_refused(tmp_path: Path) -> None:
    source = written(tmp_path / "in" / "a.parquet").parent
    (tmp_path / "way").symlink_to("in")
    outputs = [tmp_path / "way" / "run", tmp_path / "x" / ".." / "in" / "run", source / "deep" / "run"]
    (tmp_path / "x").mkdir()
    for output in outputs:
        assert_refused(clustered(output, source), "lies in the input")
    assert sorted(path.name for path in source.iterdir()) == ["a.parquet"]


@pytest.mark.slow
def test_replan_leaves_a_run_whose_name_a_pattern_of_ours_would_match(tmp_path: Path) -> None:
    source = written(tmp_path / "in" / "a.parquet").parent
    neighbors = [tmp_path / "run1", tmp_path / "runs", tmp_path / "run[1]x"]
    for output in (*neighbors, tmp_path / "run[1]", tmp_path / "run*", tmp_path / "run?"):
        assert_right(clustered(output, source), output)
    before = {path: (path / "MANIFEST.json").read_bytes() for path in neighbors}
    for name in ("run[1]", "run*", "run?"):
        changed = call("cluster", str(source), "-o", str(tmp_path / name), "--recipe", "cosine", "--limit", "0.7",
                       "--executor", "local", "--replan", *NO_REPORT)  # fmt: skip
        assert changed.code == 0, changed.stderr
    assert {path: (path / "MANIFEST.json").read_bytes() for path in neighbors} == before
    for path in neighbors:
        assert_right(clustered(path, source), path)


@pytest.mark.parametrize("name", ["clusters.parquet", "labels/part-00000.parquet", "stages/mine.txt", "notes.txt"])
def test_a_folder_of_other_files_is_refused_and_stays(tmp_path: Path, name: str) -> None:
    source = written(tmp_path / "in" / "a.parquet").parent
    mine = tmp_path / "run" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    assert_refused(clustered(tmp_path / "run", source), "is not empty and holds no run")
    assert [path.read_text() for path in (tmp_path / "run").rglob("*") if path.is_file()] == ["mine"]


def test_a_bad_row_removes_nothing_that_lay_beside_the_run(tmp_path: Path) -> None:
    bad = VECTORS.copy()
    bad[3, 2] = np.nan
    source = written(tmp_path / "in" / "a.parquet", table(embedding=pa.array(list(bad)))).parent
    beside = tmp_path / "stages" / "keep.txt"
    beside.parent.mkdir()
    beside.write_text("mine")
    assert_refused(clustered(tmp_path / "run", source), "row 3", "NaN")
    assert beside.read_text() == "mine"
    assert not list((tmp_path / "run").rglob("*.parquet"))


@pytest.mark.parametrize("names", [("B.PARQUET",), ("b.parq", "c.pq"), ("no-ending",), ("deep/er/b.Parquet",)])
def test_every_file_of_rows_is_read_whatever_its_ending(tmp_path: Path, names: tuple[str, ...]) -> None:
    half = ROWS // 2
    written(tmp_path / "in" / "a.parquet", table(slice(0, half)))
    bounds = np.linspace(half, ROWS, len(names) + 1).astype(int)
    for name, start, stop in zip(names, bounds, bounds[1:], strict=False):
        written(tmp_path / "in" / name, table(slice(start, stop)))
    assert_right(clustered(tmp_path / "run", tmp_path / "in"), tmp_path / "run")


@pytest.mark.parametrize("name", ["rows.csv", "rows.arrow", "x.parquet.gz", "README.md"])
def test_what_is_no_parquet_is_named(tmp_path: Path, name: str) -> None:
    source = written(tmp_path / "in" / "a.parquet").parent
    (source / name).write_text("id,embedding\n")
    outcome = clustered(tmp_path / "run", source)
    assert_right(outcome, tmp_path / "run")
    assert f"{name} (no Parquet file)" in outcome.stderr
    assert name in (tmp_path / "run" / "plan.json").read_text()


@pytest.mark.parametrize("name", ["_SUCCESS", ".a.parquet.crc", "_temporary/0/a.parquet", ".part.parquet.swp"])
def test_markers_of_writers_are_skipped_by_rule(tmp_path: Path, name: str) -> None:
    source = written(tmp_path / "in" / "a.parquet").parent
    (source / name).parent.mkdir(parents=True, exist_ok=True)
    (source / name).write_bytes(b"")
    assert_right(clustered(tmp_path / "run", source), tmp_path / "run")


def _feather(path: Path) -> None:
    pyarrow.feather.write_feather(table(), str(path), compression="uncompressed")


BROKEN: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.with_name("a.parquet").read_bytes()[:-9]),
    "feather": _feather,
    "text": lambda path: path.write_text("id,embedding\n1,2\n"),
    "link to nothing": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "pipe": os.mkfifo,
    "folder of that name": lambda path: written(path / "b.txt", table(slice(0, 0))),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_named(tmp_path: Path, kind: str) -> None:
    source = written(tmp_path / "in" / "a.parquet").parent
    BROKEN[kind](source / "b.parquet")
    outcome = clustered(tmp_path / "run", source)
    if kind == "folder of that name":
        assert_right(outcome, tmp_path / "run")
    else:
        assert_refused(outcome, "b.parquet")
        assert not (tmp_path / "run" / "MANIFEST.json").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_and_a_folder_that_may_not_be_read_are_errors(tmp_path: Path) -> None:
    source = written(tmp_path / "in" / "a.parquet").parent
    written(source / "b.parquet").chmod(0)
    assert_refused(clustered(tmp_path / "run", source), "b.parquet")


def test_one_input_by_another_spelling_goes_on(tmp_path: Path) -> None:
    source = written(tmp_path / "in put" / "a.parquet").parent
    (tmp_path / "link").symlink_to("in put")
    shutil.copytree(source, tmp_path / "copy", copy_function=shutil.copy2)
    assert_right(clustered(tmp_path / "run", source), tmp_path / "run")
    (source / "a.parquet").touch()
    spellings = [
        f"{source}/",
        tmp_path / "link",
        f"file://{str(source).replace(' ', '%20')}",
        tmp_path / "x" / ".." / "in put",
    ]
    (tmp_path / "x").mkdir()
    for spelling in [*spellings, tmp_path / "copy"]:
        outcome = clustered(tmp_path / "run", spelling)
        assert outcome.code == 0, outcome.stderr
        assert "is complete" in outcome.stderr


def test_patterns_and_several_inputs_are_one_input(tmp_path: Path) -> None:
    for number in range(3):
        written(tmp_path / "in" / f"part-{number}.parquet", table(slice(8 * number, 8 * number + 8)))
    written(tmp_path / "in" / "other.parquet", table(id=pa.array(np.arange(100, 100 + ROWS))))
    assert_right(clustered(tmp_path / "one", tmp_path / "in" / "part-?.parquet"), tmp_path / "one")
    parts = [tmp_path / "in" / f"part-{number}.parquet" for number in range(3)]
    assert_right(clustered(tmp_path / "two", *parts), tmp_path / "two")
    assert_refused(clustered(tmp_path / "none", tmp_path / "in" / "no-*.parquet"), "does not exist")


def test_a_file_that_several_inputs_name_is_read_once(tmp_path: Path) -> None:
    source = written(tmp_path / "in" / "a.parquet")
    for number, inputs in enumerate([(source, source), (source.parent, source), (f"{tmp_path}/in/**",)]):
        assert_right(clustered(tmp_path / f"run{number}", *inputs), tmp_path / f"run{number}")


def test_an_output_that_the_input_would_read_the_next_time_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "in" / "a.parquet")
    (tmp_path / "beside").mkdir()
    (tmp_path / "in" / "link").symlink_to("../beside")
    for pattern, output in (("in/*", "in/run"), ("in/**/*.parquet", "in/sub/run"), ("in", "beside/run")):
        assert_refused(clustered(tmp_path / output, tmp_path / pattern), "lies in the input")
        assert not (tmp_path / output).exists()


def _grown(path: Path) -> None:
    more = table(slice(12, ROWS), id=pa.array(range(50, 62)))
    written(path, pa.concat_tables([table(slice(12, ROWS)), more]))


CHANGES: dict[str, Callable[[Path], Any]] = {
    "more rows": _grown,
    "fewer rows": lambda path: written(path, table(slice(12, 20))),
    "other columns": lambda path: written(path, table(slice(12, ROWS), embedding=None)),
    "as many bytes": lambda path: written(path, table(slice(12, ROWS), id=pa.array(range(112, 100 + ROWS)))),
    "empty": lambda path: path.write_bytes(b""),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_after_the_plan_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    written(tmp_path / "in" / "a.parquet", table(slice(0, 12)))
    written(tmp_path / "in" / "b.parquet", table(slice(12, ROWS)))

    def run_stages(*words: Any, **options: Any) -> None:
        CHANGES[change](tmp_path / "in" / "b.parquet")
        original(*words, **options)

    original = run.run_stages
    with monkeypatch.context() as patch:
        patch.setattr(run, "run_stages", run_stages)
        refused = clustered(tmp_path / "run", tmp_path / "in")
    assert_refused(refused, f"{tmp_path / 'in' / 'b.parquet'} changed after the run was planned")
    assert not (tmp_path / "run" / "MANIFEST.json").exists()


# C. Other machines


def in_a_process(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process with another environment."""
    own = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run([sys.executable, "-c", script], env=own, capture_output=True, text=True, check=False)


FIT = (
    "import numpy as np; from raycluster import Clusterer;"
    "x = np.repeat(np.eye(5), 4, axis=0) + 0.01 * np.random.default_rng(0).standard_normal((20, 5));"
    "print(len(set(Clusterer('cosine', limit=0.8).fit(x).labels_)))"
)


@pytest.mark.process
@pytest.mark.parametrize(
    "environment",
    [
        {"HOME": "/proc/none"},
        {"HOME": "/proc/none", "NUMBA_CACHE_DIR": "/proc/none", "XDG_CACHE_HOME": "/proc/none"},
        {"TMPDIR": "/proc/none", "HOME": "/proc/none"},
    ],
)
def test_places_that_cannot_be_written_are_done_without(environment: dict[str, str]) -> None:
    done = in_a_process(FIT, **environment)
    assert done.stdout.split()[-1:] == ["5"], done.stderr


@pytest.mark.process
def test_an_output_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    source = written(tmp_path / "in" / "a.parquet").parent
    assert_refused(clustered(Path("/proc/none/run"), source), "/proc/none/run")


# D. Types by what they hold

TEXT = pa.array([f"[{', '.join(map(str, row))}]" for row in VECTORS])
SPACED = pa.array([" ".join(map(str, row)) for row in VECTORS])
ZEROS = np.where(np.abs(VECTORS) < 0.05, -0.0, VECTORS)
FORMS: dict[str, Any] = {
    "text in brackets": TEXT,
    "text as a dictionary": TEXT.dictionary_encode(),
    "text with spaces": SPACED,
    "large text": TEXT.cast(pa.large_string()),
    "bytes": pa.array([row.tobytes() for row in VECTORS]),
    "bytes of fixed size": pa.array([row.tobytes() for row in VECTORS], pa.binary(4 * WIDTH)),
    "float16": pa.array(list(VECTORS.astype(np.float16)), pa.list_(pa.float16())),
    "float64": pa.array(list(VECTORS.astype(np.float64))),
    "whole numbers": pa.array(list((VECTORS * 1000).astype(np.int16))),
    "large lists": pa.array(list(VECTORS), pa.large_list(pa.float32())),
    "fixed lists": pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.ravel()), WIDTH),
    "tensors": pa.FixedShapeTensorArray.from_numpy_ndarray(VECTORS),
    "negative zeros": pa.array(list(ZEROS)),
}


@pytest.mark.parametrize("form", FORMS)
def test_vectors_are_read_however_they_are_stored(tmp_path: Path, form: str) -> None:
    source = written(tmp_path / "a.parquet", table(embedding=FORMS[form]))
    assert_right(clustered(tmp_path / "run", source), tmp_path / "run")


def test_many_columns_and_fields_of_structs_are_named_by_an_option(tmp_path: Path) -> None:
    many = {f"f{place}": pa.array(VECTORS[:, place]) for place in range(WIDTH)}
    source = written(tmp_path / "a.parquet", table(embedding=None, **many))
    assert_refused(clustered(tmp_path / "run", source), "--embedding-column 'f*'")
    assert_right(clustered(tmp_path / "run", source, words=("--embedding-column", "f*")), tmp_path / "run")
    inner = pa.array([{"vector": row} for row in VECTORS.tolist()])
    source = written(tmp_path / "b.parquet", table(embedding=None, face=inner))
    assert_right(clustered(tmp_path / "two", source, words=("--embedding-column", "face.vector")), tmp_path / "two")


UUIDS = [number.to_bytes(16, "big") for number in range(ROWS)]
IDS: dict[str, tuple[Any, list[Any]]] = {
    "uint64 beyond int64": (pa.array([2**63 + n for n in range(ROWS)], pa.uint64()), [2**63 + n for n in range(ROWS)]),
    "dictionary": (pa.array([f"r{n}" for n in range(ROWS)]).dictionary_encode(), [f"r{n}" for n in range(ROWS)]),
    "dictionary of integers": (pa.array(range(ROWS)).dictionary_encode(), list(range(ROWS))),
    "large text": (pa.array([f"r{n}" for n in range(ROWS)], pa.large_string()), [f"r{n}" for n in range(ROWS)]),
    "uuid": (pa.array(UUIDS, pa.uuid()), UUIDS),
    "bytes of fixed size": (pa.array(UUIDS, pa.binary(16)), UUIDS),
    "int8": (pa.array(range(ROWS), pa.int8()), list(range(ROWS))),
    "decimal": (pa.array(range(ROWS)).cast(pa.decimal128(20, 0)), list(range(ROWS))),
    "none": (None, list(range(ROWS))),
}


@pytest.mark.parametrize("kind", IDS)
def test_ids_are_read_by_what_they_hold(tmp_path: Path, kind: str) -> None:
    column, keys = IDS[kind]
    source = written(tmp_path / "a.parquet", table(id=column))
    outcome = call("cluster", str(source), "-o", str(tmp_path / "run"), *OPTIONS)
    assert_right(outcome, tmp_path / "run", keys)
    assert (tmp_path / "run" / "report.html").exists(), outcome.stderr


REFUSED_IDS = {
    "decimal": pa.array(np.arange(ROWS) / 2).cast(pa.decimal128(20, 1)),
    "double": pa.array(np.arange(ROWS) / 2),
    "timestamp": pa.array(range(ROWS), pa.timestamp("us")),
    "list": pa.array([[n] for n in range(ROWS)]),
    "bool": pa.array([n % 2 == 0 for n in range(ROWS)]),
}


@pytest.mark.parametrize("kind", REFUSED_IDS)
def test_ids_that_are_none_are_refused_by_column(tmp_path: Path, kind: str) -> None:
    source = written(tmp_path / "a.parquet", table(id=REFUSED_IDS[kind]))
    assert_refused(clustered(tmp_path / "run", source), "column 'id' is", "ids are integers, strings or binary")


def test_files_of_unlike_types_are_widened(tmp_path: Path) -> None:
    thirds = [slice(0, 8), slice(8, 16), slice(16, 24)]
    for number, (rows, kind) in enumerate(zip(thirds, (pa.int32(), pa.int64(), pa.int16()), strict=True)):
        ids = pa.array(np.arange(ROWS)[rows]).cast(kind)
        vectors = FORMS["float64"] if number else FORMS["fixed lists"]
        written(tmp_path / "in" / f"{number}.parquet", table(rows, id=ids, embedding=vectors.slice(rows.start, 8)))
    empty = pa.table({"id": pa.nulls(0), "embedding": pa.nulls(0)})
    written(tmp_path / "in" / "empty.parquet", empty)
    assert_right(clustered(tmp_path / "run", tmp_path / "in"), tmp_path / "run")


@pytest.mark.parametrize("last", [ROWS - 1, 2**63 + 7])
def test_unsigned_ids_beside_signed_ones_are_read_where_all_fit(tmp_path: Path, last: int) -> None:
    half = ROWS // 2
    first, second = slice(0, half), slice(half, ROWS)
    written(tmp_path / "in" / "a.parquet", table(first, id=pa.array(range(half), pa.int32())))
    wide = pa.array([*range(half, ROWS - 1), last], pa.uint64())
    written(tmp_path / "in" / "b.parquet", table(second, id=wide))
    outcome = clustered(tmp_path / "run", tmp_path / "in")
    if last < ROWS:
        return assert_right(outcome, tmp_path / "run")
    return assert_refused(outcome, f"b.parquet, column 'id' is uint64 and holds {last}, but the run's ids are int64.")


def test_the_null_partition_of_hive_holds_no_label(tmp_path: Path) -> None:
    written(tmp_path / "in" / "country=__HIVE_DEFAULT_PARTITION__" / "part.parquet")
    assert_right(clustered(tmp_path / "run", tmp_path / "in"), tmp_path / "run")
    scores = call("evaluate", str(tmp_path / "run"), str(tmp_path / "in"), "--label-column", "country")
    assert (scores.code, "column 'country' holds no label" in scores.stderr) == (2, True)


@pytest.mark.parametrize("folder", ["day=2024-01-31", "label=3", "a=1/b=x%2Fy"])
def test_partitions_of_hive_are_columns(tmp_path: Path, folder: str) -> None:
    source = written(tmp_path / "in" / folder / "part.parquet")
    assert_right(clustered(tmp_path / "run", tmp_path / "in"), tmp_path / "run")
    name = folder.rpartition("/")[2].partition("=")[0]
    scores = call("evaluate", str(tmp_path / "run"), str(tmp_path / "in"), "--label-column", name)
    assert scores.code == 0, scores.stderr
    assert source.exists()


def test_half_floats_are_labels_and_opaque_values_are_ids(tmp_path: Path) -> None:
    names = pa.array([f"r{row}" for row in range(ROWS)])
    opaque = pa.ExtensionArray.from_storage(pa.opaque(pa.string(), "geometry", "database"), names)
    label = pa.array(IDENTITY.astype(np.float16))
    source = written(tmp_path / "a.parquet", table(id=opaque, label=label))
    assert_right(clustered(tmp_path / "run", source), tmp_path / "run", names.to_pylist())
    scores = call("evaluate", str(tmp_path / "run"), str(source))
    assert scores.code == 0, scores.stderr
    half = written(tmp_path / "b.parquet", table(id=opaque, label=pa.array((IDENTITY / 2).astype(np.float16))))
    assert_refused(call("evaluate", str(tmp_path / "run"), str(half)), "column 'label' is float; labels are")


def test_columns_that_no_option_names_do_not_matter(tmp_path: Path) -> None:
    extra = {
        "json": pa.array(["{}"] * ROWS, pa.json_()),
        "nested": pa.array([{"a": [{"b": None}]}] * ROWS),
        "when": pa.array(range(ROWS), pa.timestamp("ns", "UTC")),
        "half": pa.array(np.zeros(ROWS, np.float16)),
        "nothing": pa.nulls(ROWS),
    }
    source = written(tmp_path / "a.parquet", table(**extra))
    assert_right(clustered(tmp_path / "run", source), tmp_path / "run")


def test_columns_of_one_name_and_of_other_case_are_refused(tmp_path: Path) -> None:
    made = table()
    twice = pa.Table.from_arrays([*made.columns, made["id"]], names=["id", "embedding", "id"])
    assert_refused(clustered(tmp_path / "run", written(tmp_path / "a.parquet", twice)), "2 columns named 'id'")
    upper = made.rename_columns(["ID", "EMBEDDING"])
    outcome = clustered(tmp_path / "run", written(tmp_path / "b.parquet", upper))
    assert_refused(outcome, "has no column 'embedding'; --embedding-column 'EMBEDDING' reads its vectors.")
    words = ("--id-column", "ID", "--embedding-column", "EMBEDDING")
    assert_right(clustered(tmp_path / "run", tmp_path / "b.parquet", words=words), tmp_path / "run")


BAD = {
    "NaN": [*[0.5] * (WIDTH - 1), float("nan")],
    "null": [*[0.5] * (WIDTH - 1), None],
    "only zeros": [0.0] * WIDTH,
    "length 3": [0.5] * 3,
    "zero length": [],
}


@pytest.mark.parametrize("what", BAD)
def test_a_row_without_a_vector_is_named_or_dropped_and_listed(tmp_path: Path, what: str) -> None:
    rows = VECTORS.tolist()
    rows[7] = BAD[what]
    source = written(tmp_path / "a.parquet", table(embedding=pa.array(rows, pa.list_(pa.float32()))))
    assert_refused(clustered(tmp_path / "run", source), "row 7", what)
    if "length" in what:
        return
    outcome = clustered(tmp_path / "run", source, words=("--embeddings.on-bad-row", "drop"))
    assert outcome.code == 0, outcome.stderr
    assert labels(tmp_path / "run").keys() == set(range(ROWS)) - {7}
    assert pq.read_table(tmp_path / "run" / "dropped.parquet")["id"].to_pylist() == [7]


# E. Advice early and useful


@pytest.mark.parametrize(
    "overrides",
    [
        {"knn": {"k": np.int64(10)}},
        {"edges": {"threshold": np.float32(0.75)}},
        {"edges": {"threshold": np.float64(0.8)}, "embeddings": {"duplicates": np.str_("keep")}},
    ],
)
def test_numpy_scalars_are_numbers(overrides: dict[str, Any]) -> None:
    found = Clusterer("cosine", overrides=overrides).fit(VECTORS).labels_
    assert len({(int(label), int(truth)) for label, truth in zip(found, IDENTITY, strict=True)}) == 6


@pytest.mark.parametrize("threads", [-1, 1, None])
def test_minus_one_thread_is_all_there_are(threads: int | None) -> None:
    found = Clusterer("cosine", limit=0.8, n_jobs=threads).fit(VECTORS).labels_
    assert len(set(found)) == 6


@pytest.mark.parametrize(
    "made",
    [
        np.ma.masked_array(VECTORS, mask=np.arange(ROWS * WIDTH).reshape(VECTORS.shape) == 5),
        np.array([["a"] * WIDTH] * ROWS),
        np.array([[None] * WIDTH] * ROWS),
        VECTORS[0],
        VECTORS[None],
        VECTORS.astype(complex),
        np.empty((0, WIDTH), np.float32),
    ],
)
def test_arrays_that_are_no_rows_are_one_sentence(made: Any) -> None:
    with pytest.raises((RayclusterError, ValueError, TypeError)) as caught:
        Clusterer("cosine", limit=0.8).fit(made)
    assert "\n" not in str(caught.value).strip()


@pytest.mark.parametrize("text", ["5e-1", "5E-1", ".5", "0.5e+0", "+5.0e-1"])
def test_numbers_of_yaml_are_numbers(tmp_path: Path, text: str) -> None:
    source = written(tmp_path / "a.parquet")
    (tmp_path / "keys.yaml").write_text(f"edges:\n  threshold: {text}\n")
    outcome = call("cluster", str(source), "-o", str(tmp_path / "run"), "--recipe", "cosine", "--config",
                   str(tmp_path / "keys.yaml"), "--executor", "local", *NO_REPORT)  # fmt: skip
    assert_right(outcome, tmp_path / "run")


@pytest.mark.parametrize("column", ["lable", "embedding"])
def test_a_mistyped_label_column_is_refused_before_anything_is_written(tmp_path: Path, column: str) -> None:
    source = written(tmp_path / "a.parquet", table(label=pa.array(IDENTITY)))
    outcome = call("train", str(source), "-o", str(tmp_path / "model"), "--label-column", column)
    assert_refused(outcome, f"'{column}'")
    assert not (tmp_path / "model").exists()
