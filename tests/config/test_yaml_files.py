"""YAML files of configurations: numbers, repeated keys, and files that cannot be read."""

from pathlib import Path
from typing import Any

import pytest

from raycluster.config.load import load_config
from raycluster.config.yaml_files import load_yaml, parse_yaml
from raycluster.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5e-1", 0.5),
        ("5E-1", 0.5),
        ("-5e-1", -0.5),
        ("+1e3", 1000.0),
        ("1.5e2", 150.0),
        ("1.e2", 100.0),
        (".5e1", 5.0),
        ("5.0e-1", 0.5),
        ("0.5", 0.5),
        ("5", 5),
        ("null", None),
        ("none", "none"),
        ("1e", "1e"),
        ("e5", "e5"),
        ("'5e-1'", "5e-1"),
        ("v1e5", "v1e5"),
    ],
)
def test_a_number_with_an_exponent_is_a_number(text: str, value: Any) -> None:
    found = parse_yaml(f"key: {text}\n", "my.yaml")["key"]
    assert found == value
    assert type(found) is type(value)


def test_an_exponent_reaches_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base: cosine\nedges:\n  threshold: 5e-1\n")
    assert load_config(str(path)).edges.threshold == 0.5


@pytest.mark.parametrize(
    ("text", "key"),
    [("knn: {k: 3}\nknn: {k: 4}\n", "knn"), ("knn:\n  k: 3\n  k: 4\n", "k"), ("a:\n  b_c: 1\n  b-c: 2\n", "b-c")],
)
def test_a_key_that_occurs_twice_is_refused_with_its_line(text: str, key: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"^my\.yaml is not valid YAML: the key '{key}' occurs twice in line [23], column \d+\.$"
    ):
        parse_yaml(text, "my.yaml")


def test_the_same_key_in_two_sections_is_none_twice() -> None:
    assert parse_yaml("a: {seed: 1}\nb: {seed: 2}\n", "my.yaml") == {"a": {"seed": 1}, "b": {"seed": 2}}


def test_tags_run_no_code() -> None:
    with pytest.raises(ConfigError, match="is not valid YAML"):
        parse_yaml("a: !!python/object/apply:os.getcwd []\n", "my.yaml")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"knn: [1", "is not valid YAML"),
        (b"- 1\n- 2\n", "must hold a mapping"),
        (b"knn:\n  k: \xff\xfe", "is not UTF-8 text"),
    ],
)
def test_a_file_that_is_no_mapping_in_yaml_is_named(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_yaml(str(path))
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml cannot be read: No such file"):
        load_yaml(str(tmp_path / "absent.yaml"))
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_yaml(str(tmp_path))


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("")
    assert load_yaml(str(path)) == {}
