"""A sample for people: what is written, what is read back, and mistakes in it."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from raycluster.errors import InputError, StorageError
from raycluster.evaluation import metrics
from raycluster.pipeline.results import Results
from raycluster.review.sample import read_sample, write_sample
from support.command_line import call


def filled(run: str, identities: str, path: Path, number: int | None = None) -> None:
    """Fill in a sample as a person who knows the identities would; `number` lines at most."""
    labels = Results.of(run).labels(["id", "cluster_id"])
    truth = pq.read_table(identities, columns=["id", "label"])
    person = dict(zip(truth["id"].to_pylist(), truth["label"].to_pylist(), strict=True))
    columns = (labels[name].to_pylist() for name in labels.column_names)
    rows = [(cluster, person[key]) for key, cluster in zip(*columns, strict=True)]
    lines = list(csv.DictReader(path.read_text().splitlines()))
    for line in lines[:number]:
        identity = person[int(line["id"])]
        line["right"] = sum(pair == (int(line["cluster_id"]), identity) for pair in rows)
        line["identity_size"] = sum(who == identity for _, who in rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)


def test_intervals_from_a_filled_sample_hold_the_scores(cosine_run: str, identities: str, tmp_path: Path) -> None:
    path = tmp_path / "sample.csv"
    written = call("evaluate", cosine_run, "--draw", str(path), "--draws", "60")
    assert written.code == 0, written.stderr
    assert len(path.read_text().splitlines()) == 61
    filled(cosine_run, identities, path, 50)
    read = call("evaluate", cosine_run, "--reviewed", str(path), "--json")
    assert read.code == 0, read.stderr
    answer = json.loads(read.stdout)
    assert (answer["reviewed"], answer["empty"]) == (50, 10)
    labels = Results.of(cosine_run).labels(["id", "cluster_id"]).sort_by("id")
    truth = pq.read_table(identities, columns=["id", "label"]).sort_by("id")
    scores = metrics.evaluate(truth["label"].to_numpy(), labels["cluster_id"].to_numpy())
    for kind in ("bcubed", "pairwise"):
        for name in ("precision", "recall"):
            estimate = answer["estimates"][f"{kind} {name}"]
            assert estimate["low"] <= scores[kind][name] <= estimate["high"], (kind, name)


def test_a_sample_is_the_same_twice_and_overwrites_nothing(cosine_run: str, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        assert write_sample(cosine_run, str(tmp_path / name), 30) == 30
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    with pytest.raises(InputError, match="exists"):
        write_sample(cosine_run, str(tmp_path / "a.csv"), 30)


def test_semicolons_and_decimal_points_of_spreadsheets_are_read(cosine_run: str, tmp_path: Path) -> None:
    first = Results.of(cosine_run).labels(["id", "cluster_size"]).slice(0, 2)
    lines = [f"{key};1.0;{size}.0" for key, size in zip(*(column.to_pylist() for column in first.columns), strict=True)]
    path = tmp_path / "sheet.csv"
    path.write_text("\n".join(["\ufeffid;right;identity_size", *lines]), encoding="utf-8")
    reviewed, num_empty = read_sample(cosine_run, str(path))
    assert num_empty == 0
    np.testing.assert_array_equal(reviewed.right, [1, 1])
    np.testing.assert_array_equal(reviewed.cluster_size, first["cluster_size"].to_numpy())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("id,right\n0,1\n", "has no column 'identity_size'"),
        ("id,right,identity_size\nnobody,1,1\n", "line 2: .* has no row 'nobody'"),
        ("id,right,identity_size\n0,1,\n", "line 2, column 'identity_size' is ''"),
        ("id,right,identity_size\n0,1.5,2\n", "line 2, column 'right' is '1.5', not a whole number"),
        ("id,right,identity_size\n0,0,2\n", "line 2, column 'right' is 0; it must be from 1 to"),
        ("id,right,identity_size\n0,3,2\n", "line 2, column 'right' is 3; it must be from 1 to"),
        ("id,right,identity_size\n", "need 2 reviewed clusters"),
    ],
)
def test_mistakes_name_file_line_and_column(cosine_run: str, tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "sample.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_sample(cosine_run, str(path))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_a_full_disk_is_a_sentence_and_leaves_nothing(
    cosine_run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Path.open

    def full(path: Path, *words: Any, **options: Any) -> Any:
        return plain(Path("/dev/full") if path.name.endswith(".part") else path, *words, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(StorageError, match=r"The disk is full at .*sample\.csv"):
        write_sample(cosine_run, str(tmp_path / "sample.csv"))
    assert list(tmp_path.iterdir()) == []
