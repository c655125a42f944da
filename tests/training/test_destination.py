"""A training writes into an empty folder, or goes on in its own."""

from pathlib import Path

import pytest

from raycluster.errors import ConfigError
from raycluster.training.destination import require_own


def put(path: Path, text: str = "mine") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("name", ["notes.txt", "work/notes.txt", "predictor.pt", "deep/er/x.parquet", "plan.json"])
def test_a_folder_of_others_is_refused_and_stays(tmp_path: Path, name: str) -> None:
    put(tmp_path / "model" / name)
    with pytest.raises(ConfigError, match=r"is not empty and holds no model \(it has "):
        require_own(str(tmp_path / "model"), ["s3://bucket/in"])
    assert (tmp_path / "model" / name).read_text() == "mine"


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["work/0123456789ab/set-0/plan.json", "filter.safetensors"],
        ["filter.safetensors.0123456789abcdef0123456789abcdef.tmp"],
        ["card.json", "README.md"],
    ],
)
def test_an_empty_folder_and_one_of_a_training_are_taken(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        put(tmp_path / "model" / name)
    require_own(str(tmp_path / "model"), ["s3://bucket/in"])


def test_a_model_lies_in_none_of_its_inputs(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a.parquet")
    (tmp_path / "way").symlink_to("in")
    for output in ("in", "in/model", "way/model"):
        with pytest.raises(ConfigError, match="lies in the input"):
            require_own(str(tmp_path / output), [str(tmp_path / "in")])


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    put(tmp_path / "model")
    with pytest.raises(ConfigError, match="is a file; choose a folder"):
        require_own(str(tmp_path / "model"), [])
