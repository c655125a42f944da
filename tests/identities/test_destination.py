"""Where an update may go, and where not."""

from pathlib import Path

import pytest

from raycluster.errors import ConfigError
from raycluster.identities.destination import CLAIM, claimed, give_back, require_apart
from raycluster.storage.object_store import Store
from raycluster.storage.records import encode


def refusal(store: Store, asked: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        claimed(store, asked)
    return str(caught.value)


def test_an_empty_folder_is_taken_by_one_update_and_given_back_empty(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    assert claimed(store, {"of": "a"}) is None
    assert claimed(store, {"of": "a"}) is None
    assert refusal(store, {"of": "b"}).endswith("is a run folder already, of another update; choose an empty --output.")
    give_back(store)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["clusters.parquet", "labels/part-00000.parquet", "state/rows.parquet", "notes.txt"])
def test_files_of_the_user_are_never_written_over(tmp_path: Path, name: str) -> None:
    store = Store(str(tmp_path))
    store.put(name, b"mine")
    assert f"is not empty and holds no run (it has {name})" in refusal(store, {"of": "a"})
    assert store.files() == [name]
    assert store.get(name) == b"mine"


@pytest.mark.parametrize("name", ["plan.json", "state.json", "MANIFEST.json"])
def test_a_run_is_never_written_over(tmp_path: Path, name: str) -> None:
    store = Store(str(tmp_path))
    store.put(name, b"{}")
    assert "is a run folder already; choose an empty --output." in refusal(store, {"of": "a"})


def test_the_same_update_goes_on_or_is_complete(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.put(f"{CLAIM}.{'0' * 32}.tmp", b"left by a process that was killed")
    assert claimed(store, {"of": "a"}) is None
    store.put("state/rows.parquet", b"half")
    assert claimed(store, {"of": "a"}) is None
    store.put("MANIFEST.json", encode({"summary": {"rows": 3}}))
    assert claimed(store, {"of": "a"}) == {"rows": 3}


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "is a file; choose a folder" in refusal(Store(str(tmp_path / "file")), {"of": "a"})


def test_an_update_lies_in_nothing_that_it_reads(tmp_path: Path) -> None:
    run, data = str(tmp_path / "run"), str(tmp_path / "data")
    (tmp_path / "run").mkdir()
    (tmp_path / "way").symlink_to("run")
    require_apart(str(tmp_path / "run2"), run, [data])
    for output, sentence in (
        (str(tmp_path / "way"), "is a run folder already"),
        (f"file://{run}", "is a run folder already"),
        (f"{run}/sub", "lies in the run"),
        (f"{tmp_path}/way/sub", "lies in the run"),
        (f"{data}/out", "lies in the input"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            require_apart(output, run, [data])
