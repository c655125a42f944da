"""The plan: every id's place in the order, how the input is cut, and what a change of the configuration moves."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.config.load import load_config
from raycluster.config.stages import Config
from raycluster.errors import ConfigError
from raycluster.pipeline.plan import begin, stage_folders
from raycluster.stages import STAGES
from raycluster.storage.object_store import Store
from raycluster.storage.parquet_input import describe_input
from raycluster.storage.records import LAYOUT, InputFile, Plan, PlannedInput
from support.inputs import plan_of, refusal, rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "input"
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ([30, -1], [7, 2], pa.int64()),
        ([2**64 - 1, 5], [0, 2**63], pa.uint64()),
        (["b", "a10"], ["ä", "a2"], pa.string()),
        (["b", "a10"], ["ä", "a2"], pa.large_string()),
        ([b"\xff", b""], [b"\x00", b"a"], pa.binary()),
        ([b"\xff\x00", b"ab"], [b"\x00\x00", b"b\x01"], pa.binary(2)),
    ],
)
def test_ranks_follow_the_order_of_the_ids_over_all_files(
    folder: Path, first: list[Any], second: list[Any], kind: pa.DataType
) -> None:
    pq.write_table(rows(first, kind), folder / "a.parquet")
    pq.write_table(rows(second, kind), folder / "b.parquet")
    key = (lambda text: text.encode()) if isinstance(first[0], str) else (lambda value: value)
    order = sorted([*first, *second], key=key)
    _, ranks = plan_of(folder)
    assert [rank.tolist() for rank in ranks] == [[order.index(one) for one in ids] for ids in (first, second)]
    assert all(rank.dtype == np.int64 for rank in ranks)


def test_dictionary_ids_rank_by_value_and_not_by_code(folder: Path) -> None:
    pq.write_table(rows(pa.array(["z", "a", "m"]).dictionary_encode()), folder / "a.parquet")
    plan, ranks = plan_of(folder)
    assert ranks[0].tolist() == [2, 0, 1]
    assert plan.input.id_type == "string"


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=30, unique=True), st.integers(1, 4), st.data())
def test_the_rank_of_an_id_does_not_depend_on_how_files_and_row_groups_cut_the_rows(
    tmp_path_factory: pytest.TempPathFactory, ids: list[int], files: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(ids)), min_size=files - 1, max_size=files - 1)))
    parts = [ids[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(ids)], strict=True)]
    for number, part in enumerate(parts):
        pq.write_table(
            rows(part, pa.int64()), folder / f"{number}.parquet", row_group_size=data.draw(st.integers(1, 9))
        )
    plan, ranks = plan_of(folder)
    found = {}
    for piece, rank in zip(plan.pieces, ranks, strict=True):
        part = parts[piece.file][piece.first_row : piece.first_row + piece.rows]
        found.update(zip(part, rank.tolist(), strict=True))
    assert found == {one: place for place, one in enumerate(sorted(ids))}


def test_pieces_cover_every_row_once_in_runs_of_row_groups(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raycluster.pipeline.plan.SHARD_BYTES", 4 * 2 * 10)
    pq.write_table(rows(range(47)), folder / "a.parquet", row_group_size=4)
    pq.write_table(rows(range(100, 125)), folder / "b.parquet", row_group_size=25)
    plan, ranks = plan_of(folder)
    assert plan.shards == 8
    assert [piece.rows for piece in plan.pieces] == [8, 8, 8, 8, 8, 7, 25]
    groups = [(piece.file, group) for piece in plan.pieces for group in piece.groups]
    assert groups == [(0, group) for group in range(12)] + [(1, 0)]
    for piece, rank in zip(plan.pieces, ranks, strict=True):
        assert len(rank) == piece.rows
        first = 47 * piece.file + piece.first_row
        assert rank.tolist() == list(range(first, first + piece.rows))


def test_empty_files_and_row_groups_yield_no_piece_and_hurt_nothing(folder: Path) -> None:
    pq.write_table(rows([], pa.int64()), folder / "a.parquet")
    with pq.ParquetWriter(folder / "b.parquet", rows([1]).schema) as writer:
        for ids in ([], [5, 3], [], [4]):
            writer.write_table(rows(ids, pa.int64()))
    plan, ranks = plan_of(folder)
    assert plan.input.rows == 3
    assert np.concatenate(ranks).tolist() == [2, 0, 1]
    assert {piece.file for piece in plan.pieces} == {1}


def test_there_are_never_more_shards_than_rows_and_else_as_many_as_asked_for(folder: Path) -> None:
    pq.write_table(rows([1, 2, 3]), folder / "a.parquet")
    assert plan_of(folder)[0].shards == 1
    assert plan_of(folder, 2)[0].shards == 2
    assert plan_of(folder, 9)[0].shards == 3


def test_an_id_twice_names_both_files_and_rows(folder: Path) -> None:
    pq.write_table(rows([5, 6, 7]), folder / "a.parquet", row_group_size=1)
    pq.write_table(rows([8, 6]), folder / "b.parquet")
    assert refusal(folder) == (
        f"Column 'id' holds the id 6 twice: in {folder}/a.parquet row 1 and in {folder}/b.parquet row 1."
    )


def test_an_id_twice_in_one_file_names_both_rows_in_order(folder: Path) -> None:
    pq.write_table(rows(["x", "p", "q", "p"]), folder / "a.parquet")
    assert refusal(folder / "a.parquet") == (
        f"Column 'id' holds the id 'p' twice: in {folder}/a.parquet row 1 and in {folder}/a.parquet row 3."
    )


def test_ids_of_two_types_are_refused_with_both_files(folder: Path) -> None:
    pq.write_table(rows([1, 2]), folder / "a.parquet")
    pq.write_table(rows(["1", "2"]), folder / "b.parquet")
    assert refusal(folder) == (f"{folder}/b.parquet, column 'id' is string, but in {folder}/a.parquet it is int64.")


@pytest.mark.parametrize(
    ("first", "second", "widened"),
    [
        (pa.int32(), pa.int64(), "int64"), (pa.uint8(), pa.int32(), "int64"), (pa.string(), pa.large_string(), "large_string"),
        (pa.string_view(), pa.string(), "large_string"), (pa.binary(2), pa.large_binary(), "large_binary"),
    ],
)  # fmt: skip
def test_ids_of_two_spellings_are_widened_to_the_type_that_holds_both(
    folder: Path, first: Any, second: Any, widened: str
) -> None:
    values: Any = [[2, 4], [1, 3]] if pa.types.is_integer(first) else [["bb", "dd"], ["aa", "cc"]]
    if "binary" in str(first):
        values = [[word.encode() for word in part] for part in values]
    for name, part, kind in zip("ab", values, (first, second), strict=True):
        pq.write_table(rows(part, kind), folder / f"{name}.parquet")
    plan, ranks = plan_of(folder)
    assert plan.input.id_type == widened
    assert [rank.tolist() for rank in ranks] == [[1, 3], [0, 2]]


def planned(config: Config, **changes: Any) -> Plan:
    """A plan of a configuration on an input of one file."""
    values: dict[str, Any] = {"url": "in", "files": [FILE], "shards": 2, **changes}
    return Plan(
        LAYOUT, "0", asdict(config), PlannedInput(values["url"], values["files"], "int64", 2, 9), [], values["shards"]
    )


def folders(config: Config, **changes: Any) -> dict[str, str]:
    """The folder of every stage of a configuration."""
    return stage_folders(planned(config, **changes), config)


FILE = InputFile("a.parquet", 1, "1")
ORDER = [
    "ids",
    "order",
    "ranks",
    "ingest",
    "embeddings",
    "duplicates",
    "coarse_lists",
    "knn",
    "edges",
    "communities",
    "labels",
]


@pytest.mark.parametrize(
    ("section", "key", "value", "first"),
    [
        ("embeddings", "on_bad_row", "drop", "ingest"),
        ("knn", "storage", "float16", "duplicates"),
        ("knn", "lists", 5, "coarse_lists"),
        ("knn", "k", 9, "knn"),
        ("knn", "probes", 3, "knn"),
        ("knn", "recall", 0.9, "knn"),
        ("edges", "threshold", 0.7, "edges"),
        ("edges", "reserve", 0.2, "edges"),
        ("communities", "seed", 2, "communities"),
        ("communities", "trials", 2, "communities"),
        ("labels", "min_cluster_size", 3, "labels"),
    ],
)
def test_a_setting_moves_its_stage_and_all_downstream_and_none_upstream(
    section: str, key: str, value: Any, first: str
) -> None:
    base: dict[str, dict[str, Any]] = {"knn": {"index": "ivf"}}
    before = folders(load_config("cosine", base, "my.yaml"))
    changed = {**base, section: {**base.get(section, {}), key: value}}
    after = folders(load_config("cosine", changed, "my.yaml"))
    assert list(before) == ORDER
    assert [name for name in ORDER if before[name] != after[name]] == ORDER[ORDER.index(first) :]


@pytest.mark.parametrize(
    ("recipe", "section", "key", "value", "first"),
    [
        ("diff-cluster", "edges", "delta", 5.0, "relations"),
        ("diff-cluster", "edges", "eta", 0.7, "edges"),
        ("sdt-row", "edges", "eta", 0.7, "edges"),
        ("sdt-row", "edges", "combine", "minimum", "edges"),
        ("fc-es-topk", "edges", "theta", 0.7, "edges"),
    ],
)
def test_a_setting_of_a_learned_recipe_moves_the_stages_from_its_own_on(
    recipe: str, section: str, key: str, value: Any, first: str
) -> None:
    before, after = folders(load_config(recipe)), folders(load_config(recipe, {section: {key: value}}, "my.yaml"))
    order = list(before)
    assert [name for name in order if before[name] != after[name]] == order[order.index(first) :]


@pytest.mark.parametrize(
    ("recipe", "first"),
    [
        ("sdt-row", "topk"),
        ("fc-es-topk", "topk"),
        ("fc-eser", "relations"),
        ("face-transformer", "contexts"),
        ("face-transformer-only-lp", "relations"),
    ],
)
def test_another_model_moves_the_stages_that_ask_it_and_a_copy_of_it_elsewhere_none(recipe: str, first: str) -> None:
    one, other, copy = (
        folders(replace(load_config(recipe), model=model, model_digest=digest))
        for model, digest in (("a", "1"), ("b", "2"), ("b", "1"))
    )
    order = list(one)
    assert [name for name in order if one[name] != other[name]] == order[order.index(first) :]
    assert copy == one


def test_memory_and_the_name_of_the_recipe_move_no_stage() -> None:
    config = load_config("cosine")
    assert folders(load_config("cosine", {"communities": {"memory_gib": 3.0}}, "my.yaml")) == folders(config)
    assert folders(load_config("cosine", {"recipe": "other"}, "my.yaml")) == folders(config)


@pytest.mark.parametrize(("column", "first"), [("id_column", "ids"), ("embedding_column", "ingest")])
def test_another_column_moves_the_stages_from_the_one_that_reads_it_on(column: str, first: str) -> None:
    before, after = folders(load_config("cosine")), folders(load_config("cosine", {column: "other"}, "my.yaml"))
    order = list(before)
    assert [name for name in order if before[name] != after[name]] == order[order.index(first) :]


@pytest.mark.parametrize(
    "changes",
    [{"shards": 3}, {"files": [replace(FILE, version="2")]}],
)
def test_another_input_or_number_of_shards_moves_every_stage(changes: dict[str, Any]) -> None:
    before, after = folders(Config()), folders(Config(), **changes)
    assert all(before[name] != after[name] for name in before)


def test_the_same_files_elsewhere_move_no_stage() -> None:
    assert folders(Config(), url="else") == folders(Config())


def test_another_version_of_the_package_moves_no_stage_and_a_revision_moves_its_own_and_those_that_read_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = folders(Config())
    monkeypatch.setattr("raycluster.pipeline.plan.__version__", "9.9.9")
    assert folders(Config()) == before
    revised = tuple(replace(stage, revision=stage.revision + 1) if stage.name == "edges" else stage for stage in STAGES)
    monkeypatch.setattr("raycluster.pipeline.plan.STAGES", revised)
    after = folders(Config())
    assert [name for name in before if before[name] != after[name]] == ["edges", "communities", "labels"]


def test_stages_that_are_not_wanted_have_no_folder() -> None:
    assert "coarse_lists" not in folders(Config())
    assert "coarse_lists" in folders(load_config("cosine", {"knn": {"index": "ivf"}}, "my.yaml"))
    assert {"topk", "relations"} & set(folders(Config())) == set()
    assert {"topk", "relations"} <= set(folders(load_config("sdt-row")))
    assert {"topk", "relations"} & set(folders(load_config("fc-eser"))) == {"relations"}


def test_a_run_folder_of_another_layout_is_refused_in_one_sentence(tmp_path: Path) -> None:
    pq.write_table(rows([1, 2, 3]), tmp_path / "rows.parquet")
    store = Store(str(tmp_path / "run"))
    store.put("plan.json", json.dumps({"version": "0.1.0", "config": {}, "shards": 1}).encode())
    described = describe_input(str(tmp_path / "rows.parquet"))
    with pytest.raises(
        ConfigError,
        match=r"has layout none, made by raycluster 0\.1\.0; this version \(.*\) reads layout \d\. Choose another --output\.$",
    ):
        begin(str(tmp_path / "run"), described, load_config("cosine"), None, False, lambda line: None)
