"""Recipes, layers of configuration, and the sentences that a wrong key or value gets."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycluster.config import (
    Config,
    KnnConfig,
    apply,
    differences,
    fingerprint,
    load_config,
    load_yaml,
    recipe_names,
)
from raycluster.errors import ConfigError

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def complaint(recipe: Any = "cosine", overrides: dict[str, Any] | None = None, source: str = "my.yaml") -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(recipe, overrides, source)
    return str(caught.value)


def test_the_package_brings_the_recipes_that_its_documentation_names() -> None:
    assert set(recipe_names()) >= {"cosine", "components", "fc-es", "fc-es-sigmoid", "facemap"}


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads_and_carries_its_name(name: str) -> None:
    assert load_config(name).recipe == name


def test_recipes_set_what_their_descriptions_promise() -> None:
    assert load_config("cosine").edges.rule == "threshold"
    assert load_config("components").communities.engine == "components"
    assert load_config("fc-es").edges.rule == "early-stop"
    assert load_config("fc-es").edges.directed
    assert load_config("fc-es-sigmoid").edges.transform == "sigmoid"
    assert load_config("facemap").knn.k == 256
    assert not load_config("facemap").edges.directed


def test_overrides_lie_over_the_recipe_and_leave_the_rest_of_it() -> None:
    config = load_config("facemap", {"knn": {"probes": 7}, "edges": {"gap-z": 2}}, "my.yaml")
    assert (config.knn.k, config.knn.probes) == (256, 7)
    assert (config.edges.rule, config.edges.gap_z) == ("gap", 2.0)


def test_keys_may_be_written_with_hyphens_or_underscores() -> None:
    hyphens = load_config("cosine", {"labels": {"min-cluster-size": 3}}, "my.yaml")
    underscores = load_config("cosine", {"labels": {"min_cluster_size": 3}}, "my.yaml")
    assert hyphens == underscores
    assert hyphens.labels.min_cluster_size == 3


def test_a_yaml_file_of_the_user_is_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("description: Mine.\nknn:\n  k: 33\n")
    config = load_config(str(path))
    assert (config.knn.k, config.recipe) == (33, str(path))


@pytest.mark.parametrize(("wrong", "right"), [("cosin", "cosine"), ("fces", "fc-es"), ("component", "components")])
def test_an_unknown_recipe_suggests_the_nearest(wrong: str, right: str) -> None:
    assert complaint(wrong) == f"There is no recipe '{wrong}'; did you mean '{right}'."


def test_an_unknown_recipe_like_none_lists_them_all() -> None:
    said = complaint("0123456789")
    assert all(name in said for name in recipe_names())


def test_an_unknown_key_names_its_file_and_suggests_the_nearest() -> None:
    assert complaint(overrides={"knn": {"kk": 3}}) == "my.yaml sets 'knn.kk', which is no key; did you mean 'knn.k'."
    said = complaint(overrides={"edges": {"treshold": 0.5}})
    assert said == "my.yaml sets 'edges.treshold', which is no key; did you mean 'edges.threshold'."
    assert complaint(overrides={"edgs": {}}) == "my.yaml sets 'edgs', which is no key; did you mean 'edges'."


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("knn", "k", "many", "my.yaml sets 'knn.k' to 'many'; it takes a value of type int."),
        ("knn", "k", 3.0, "my.yaml sets 'knn.k' to 3.0; it takes a value of type int."),
        ("knn", "k", True, "my.yaml sets 'knn.k' to True; it takes a value of type int."),
        ("knn", "k", None, "my.yaml sets 'knn.k' to None; it takes a value of type int."),
        ("knn", "lists", "a", "my.yaml sets 'knn.lists' to 'a'; it takes a value of type int."),
        ("edges", "tau", "hot", "my.yaml sets 'edges.tau' to 'hot'; it takes a value of type float."),
        ("knn", "index", "hnsw", "my.yaml sets 'knn.index' to 'hnsw'; it takes one of exact, ivf."),
        ("labels", "min-strength", [], "my.yaml sets 'labels.min-strength' to []; it takes a value of type float."),
        (
            "communities",
            "isolate-without-out-edges",
            1,
            "my.yaml sets 'communities.isolate-without-out-edges' to 1; it takes a value of type bool.",
        ),
    ],
)
def test_a_value_of_the_wrong_type_names_key_value_and_type(section: str, key: str, value: Any, expected: str) -> None:
    assert complaint(overrides={section: {key: value}}) == expected


def test_a_section_that_is_no_mapping_is_refused() -> None:
    assert complaint(overrides={"knn": 20}) == "my.yaml sets 'knn' to 20, but it takes a mapping of keys."


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("knn", "k", 1),
        ("knn", "probes", 0),
        ("knn", "lists", 0),
        ("knn", "seed", -1),
        ("edges", "threshold", 1.01),
        ("edges", "threshold", float("nan")),
        ("edges", "theta", -0.1),
        ("edges", "tau", 0.0),
        ("edges", "tau", float("inf")),
        ("edges", "delta", float("nan")),
        ("edges", "epsilon", float("inf")),
        ("edges", "gap_window", 1),
        ("edges", "gap_z", float("nan")),
        ("edges", "reserve", -0.1),
        ("communities", "seed", 0),
        ("communities", "seed", 2**31),
        ("communities", "trials", 0),
        ("communities", "memory_gib", 0.0),
        ("labels", "min_cluster_size", 0),
        ("labels", "min_strength", 1.5),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(section: str, key: str, value: float) -> None:
    said = complaint(overrides={section: {key: value}})
    assert said.startswith(f"{section}.{key.replace('_', '-')} is {value}: ")
    assert said.endswith(".")


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("knn", "k", 2), ("edges", "threshold", -1), ("edges", "threshold", None), ("edges", "reserve", 0)],
)
def test_values_at_the_ends_of_their_ranges_are_accepted(section: str, key: str, value: float) -> None:
    assert getattr(getattr(load_config("cosine", {section: {key: value}}, "my.yaml"), section), key) == value


def test_a_whole_number_is_accepted_for_a_float_and_stored_as_one() -> None:
    threshold = load_config("cosine", {"edges": {"threshold": 1}}, "my.yaml").edges.threshold
    assert isinstance(threshold, float)


def test_a_recipe_that_is_no_name_is_refused() -> None:
    assert complaint(3) == "my.yaml sets 'recipe' to 3; it takes the name of a recipe or a YAML file."


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


def test_a_stored_configuration_reads_back_equal() -> None:
    config = load_config("fc-es", {"knn": {"k": 12, "lists": 5}, "edges": {"threshold": 0.25}}, "my.yaml")
    assert apply(Config(), asdict(config), "plan.json") == config


def test_applying_leaves_the_original_as_it_was() -> None:
    before = Config()
    after = apply(before, {"knn": {"k": 9}}, "my.yaml")
    assert (before.knn.k, after.knn.k) == (KnnConfig().k, 9)


def test_differences_name_every_changed_key_and_nothing_else() -> None:
    old = asdict(load_config("cosine"))
    new = asdict(load_config("cosine", {"knn": {"k": 9}, "labels": {"min-strength": 0.5}}, "my.yaml"))
    assert differences(old, new) == ["knn.k: 80 -> 9", "labels.min_strength: 0.0 -> 0.5"]
    assert differences(old, old) == []


def test_differences_name_keys_that_only_one_side_has() -> None:
    assert differences({"a": 1}, {"b": {"c": 2}}) == ["a: 1 -> None", "b: None -> {'c': 2}"]


@given(json_values, json_values)
def test_the_fingerprint_is_the_same_exactly_when_the_json_is(first: Any, second: Any) -> None:
    assert (fingerprint(first) == fingerprint(second)) == (sorted_repr(first) == sorted_repr(second))


def sorted_repr(value: Any) -> str:
    """Text of a value that tells 1 from 1.0 and True, but not the order of keys."""
    if isinstance(value, dict):
        return f"mapping {sorted((key, sorted_repr(inner)) for key, inner in value.items())}"
    if isinstance(value, list):
        return repr([sorted_repr(inner) for inner in value])
    return repr(value)


@given(st.dictionaries(st.text(max_size=3), st.integers(), min_size=2, max_size=6), st.randoms())
def test_the_fingerprint_does_not_see_the_order_of_keys(values: dict[str, int], random: Any) -> None:
    shuffled = list(values.items())
    random.shuffle(shuffled)
    assert fingerprint(dict(shuffled)) == fingerprint(values)


def test_the_fingerprint_changes_with_every_single_key_of_the_configuration() -> None:
    config = load_config("cosine")
    changed = {"recipe": "x", "id_column": "x", "embedding_column": "x"}
    prints = [fingerprint(config), *(fingerprint(replace(config, **{key: value})) for key, value in changed.items())]
    for section in ("embeddings", "knn", "edges", "communities", "labels"):
        values = asdict(config)[section]
        prints += [fingerprint({**asdict(config), section: {**values, key: "other"}}) for key in values]
    assert len(prints) > 25
    assert len(set(prints)) == len(prints)


def test_the_fingerprint_of_a_dataclass_is_that_of_its_mapping_and_parts_do_not_run_together() -> None:
    assert fingerprint(Config()) == fingerprint(asdict(Config()))
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
