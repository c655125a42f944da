"""Places are compared, not their spellings."""

from pathlib import Path

import pytest

from raycluster.errors import InputError
from raycluster.storage.places import is_inside, plain_url


def test_every_spelling_of_a_place_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b").mkdir()
    spellings = ["a b", "./a b", "a b/", str(tmp_path / "a b"), (tmp_path / "a b").as_uri(), f"{tmp_path}/x/../a b"]
    assert {plain_url(spelling) for spelling in spellings} == {str(tmp_path / "a b")}
    assert plain_url("s3a://bucket/key/") == plain_url("s3://bucket/key") == "s3://bucket/key"
    assert plain_url("/data/a::b") == "/data/a::b"
    assert plain_url("S3://bucket/key") == "s3://bucket/key"
    assert plain_url("file:/data/a%20b") == plain_url("file:///data/a%20b") == "/data/a b"
    assert plain_url("s3n://bucket//key/") == "s3://bucket/key"
    assert plain_url("s3://bucket/") == "s3://bucket"
    with pytest.raises(InputError, match="write s3://bucket/key"):
        plain_url("s3:/bucket/key")
    assert plain_url("./s3:/bucket") == str(tmp_path / "s3:" / "bucket")
    with pytest.raises(InputError, match="a null character"):
        plain_url("a\0b")
    with pytest.raises(InputError, match="is empty"):
        plain_url("  ")


def test_a_place_inside_another_is_seen_through_links_and_spellings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    for inner in ("in/run", "./in", str(tmp_path / "link" / "run"), (tmp_path / "in" / "run").as_uri()):
        assert is_inside(inner, "in")
    assert not is_inside("input", "in")
    assert not is_inside("in", "in/run")
    assert is_inside("s3a://b/in/run", "s3://b/in")
    assert not is_inside("s3://b/in", str(tmp_path))
