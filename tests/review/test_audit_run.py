"""The audit of a run folder: its table, its sentence, its mistakes."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.config.load import load_config
from raycluster.errors import InputError
from raycluster.pipeline.run import LOCAL, cluster
from raycluster.review.audit_run import audit_run, labels_of
from support import tiny
from support.command_line import call


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of 25 identities of six rows, and its labels with row 10 under another identity's name."""
    path = tmp_path_factory.mktemp("audit")
    tiny.run(path, "cosine")
    names = [f"person {row // 6}" for row in range(tiny.ROWS)]
    names[10] = "person 20"
    pq.write_table(pa.table({"id": range(tiny.ROWS), "label": names}), path / "labels.parquet")
    return path


def test_the_planted_mistake_comes_first(folder):
    audited = audit_run(str(folder / "run"), str(folder / "labels.parquet"))
    first = pq.read_table(audited.url).to_pylist()[0]
    assert (first["id"], first["given_label"], first["suggested_label"]) == (10, "person 20", "person 1")
    assert first["kind"] == "mislabelled"
    assert audited.to_json()["kinds"]["mislabelled"] == audited.counts["mislabelled"] >= 1


def test_a_run_without_ids_is_audited_by_row_numbers(folder, tmp_path):
    truth = pq.read_table(folder / "labels.parquet")
    pq.write_table(pq.read_table(folder / "rows.parquet", columns=["embedding"]), tmp_path / "rows.parquet")
    pq.write_table(truth.select(["label"]), tmp_path / "labels.parquet")
    cluster(str(tmp_path / "rows.parquet"), str(tmp_path / "run"), load_config("cosine", {"knn": {"k": tiny.K}}), LOCAL)
    by_number = audit_run(str(tmp_path / "run"), str(tmp_path / "labels.parquet"))
    assert by_number.table.num_rows > 0
    assert by_number.table.equals(audit_run(str(folder / "run"), str(folder / "labels.parquet")).table)


def test_the_verb_prints_a_sentence(folder):
    outcome = call("audit", str(folder / "run"), "--truth", str(folder / "labels.parquet"), "--min-confidence", "0.6")
    assert outcome.code == 0
    assert "label_issues.parquet" in outcome.stdout


def test_the_order_of_the_truth_has_no_influence(folder):
    table = pq.read_table(folder / "labels.parquet")
    order = np.random.default_rng(0).permutation(table.num_rows)
    pq.write_table(table.take(order), folder / "shuffled.parquet")
    one, other = (
        audit_run(str(folder / "run"), str(folder / name), least=0.0) for name in ("labels.parquet", "shuffled.parquet")
    )
    assert one.table.equals(other.table)


def test_labels_are_numbered_by_name_and_missing_where_the_truth_has_none(tmp_path):
    pq.write_table(pa.table({"id": [5, 1, 9], "label": ["b", "a", "c"]}), tmp_path / "labels.parquet")
    label, names, unknown = labels_of(str(tmp_path / "labels.parquet"), pa.array([1, 2, 5]))
    assert label.tolist() == [0, -1, 1]
    assert names.to_pylist() == ["a", "b", "c"]
    assert unknown == ("9",)


def test_labelled_ids_that_the_run_does_not_have_are_counted_and_named(folder, tmp_path):
    truth = pq.read_table(folder / "labels.parquet")
    more = pa.table({"id": pa.array(range(900, 907), truth["id"].type), "label": ["x"] * 7})
    pq.write_table(pa.concat_tables([truth, more]), tmp_path / "labels.parquet")
    with_more = audit_run(str(folder / "run"), str(tmp_path / "labels.parquet"))
    assert (with_more.to_json()["unknown"], with_more.to_json()["unknown_ids"]) == (
        7,
        ["900", "901", "902", "903", "904"],
    )
    assert with_more.in_words().endswith(
        "\n7 labelled ids are not in the run and take no part: 900, 901, 902, 903, 904, ..."
    )
    alone = audit_run(str(folder / "run"), str(folder / "labels.parquet"))
    assert with_more.table.equals(alone.table)
    assert alone.to_json()["unknown"] == 0
    assert "not in the run" not in alone.in_words()


def test_mistakes_have_sentences(folder, tmp_path):
    with pytest.raises(InputError, match="probability from 0 to 1, not 2"):
        audit_run(str(folder / "run"), str(folder / "labels.parquet"), least=2)
    pq.write_table(pa.table({"id": [1000], "label": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(InputError, match="holds no id of the run"):
        audit_run(str(folder / "run"), str(tmp_path / "other.parquet"))
    with pytest.raises(InputError, match="no finished run"):
        audit_run(str(tmp_path), str(folder / "labels.parquet"))
    assert call("audit", str(folder / "run")).code == 2
