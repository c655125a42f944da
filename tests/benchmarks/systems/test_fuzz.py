"""The fuzz run finds what it is there for: lost rows, wrong partitions, changed files, errors that are no sentence."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.systems import fuzz
from benchmarks.systems._fuzz_folders import Folder
from benchmarks.systems.fuzz import Outcome, defect_of, digest, ended, one_case

FAR = [[1.0, 0.0], [1.0, 0.01], [0.0, 1.0], [0.01, 1.0]]


def finished(tmp_path: Path, identities: list[int]) -> str | None:
    """Return the defect of a run on four rows whose identities are asserted to be these."""
    source, run = tmp_path / "input", tmp_path / "run"
    source.mkdir()
    pq.write_table(pa.table({"id": [1, 2, 3, 4], "embedding": FAR}), source / "a.parquet")
    words = [str(source), "-o", str(run), "--recipe", "cosine", "--limit", "0.9"]
    folder = Folder(source, {"a.parquet": dict(zip((1, 2, 3, 4), identities, strict=False))})
    return defect_of(folder, run, ended(words), words[:1])


@pytest.mark.slow
def test_a_right_partition_is_no_defect_and_others_are(tmp_path: Path) -> None:
    for number, (identities, expected) in enumerate(
        [
            ([0, 0, 1, 1], None),
            ([0, 1, 2, 2], "a wrong partition of 4 rows"),
            ([0, 0, 0, 0], "a wrong partition of 4 rows"),
        ]
    ):
        place = tmp_path / str(number)
        place.mkdir()
        assert finished(place, identities) == expected


def test_rows_that_the_result_lacks_are_missed(tmp_path: Path) -> None:
    source, run = tmp_path / "input", tmp_path / "run"
    source.mkdir()
    pq.write_table(pa.table({"id": [1, 2, 3, 4], "embedding": FAR}), source / "a.parquet")
    outcome = ended([str(source), "-o", str(run), "--recipe", "cosine", "--limit", "0.9"])
    folder = Folder(source, {"a.parquet": {1: 0, 2: 0, 3: 1, 4: 1}, "b.parquet": {5: 1}})
    assert defect_of(folder, run, outcome, [str(source)]) == "1 rows of b.parquet are missing without a word"


@pytest.mark.parametrize(
    ("err", "defect"),
    [
        ("error: The input is empty.\n", None),
        ("error: unexpected KeyError: 'x'\n", "no single sentence"),
        ("error: One.\nerror: Two.\n", "no single sentence"),
        ("error: One.\nTraceback\n", "no single sentence"),
    ],
)
def test_an_error_is_one_sentence(tmp_path: Path, err: str, defect: str | None) -> None:
    found = defect_of(Folder(tmp_path), tmp_path, Outcome(2, "", err), [])
    assert (found is None) == (defect is None)
    assert defect is None or str(found).startswith(defect)


def test_a_digest_covers_all_but_the_run_folder(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "a").write_text("1")
    before = digest(tmp_path, tmp_path / "run")
    (tmp_path / "run" / "x").write_text("2")
    assert digest(tmp_path, tmp_path / "run") == before
    (tmp_path / "a").write_text("3")
    assert digest(tmp_path, tmp_path / "run") != before


@pytest.mark.slow
def test_a_run_that_does_not_end_is_a_defect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(*_: object) -> None:
        while True:
            pass

    monkeypatch.setattr(fuzz, "MOST_SECONDS", 1)
    monkeypatch.setattr(fuzz, "run", endless)
    assert defect_of(Folder(tmp_path), tmp_path, ended([]), []) == "it does not end"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2000, 2012))
def test_random_folders_have_no_defect(seed: int) -> None:
    kind, defect = one_case(seed)
    assert defect is None
    assert kind
