"""Recipes, layers of configuration, and the sentences that a wrong key or value gets."""

from dataclasses import asdict, replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from raycluster.config.load import _recipe_files, apply, differences, load_config, load_training, recipe_names
from raycluster.config.networks import EncoderConfig, TrainingConfig
from raycluster.config.stages import Config, DensityConfig, KnnConfig
from raycluster.config.stored import RETIRED, stored_config
from raycluster.config.yaml_files import parse_yaml
from raycluster.errors import ConfigError

TRAINED = {
    "auto",
    "auto-tuned",
    "diff-cluster",
    "diff-cluster-vanilla",
    "diff-cluster-vanilla-topk",
    "diff-cluster-differential",
    "diff-cluster-sdt",
    "diff-cluster-checked",
    "diff-cluster-gram",
    "fc-eser",
    "fc-es-topk",
    "hard-clusters",
    "lcepce",
    "lcepce-differential",
    "sdt-row",
    "face-transformer",
    "face-transformer-only-re",
    "face-transformer-only-lp",
}
"""Recipes with networks."""


def complaint(recipe: Any = "cosine", overrides: dict[str, Any] | None = None, source: str = "my.yaml") -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(recipe, overrides, source)
    return str(caught.value)


def training_complaint(recipe: str = "sdt-row", overrides: dict[str, Any] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_training(recipe, overrides, "my.yaml")
    return str(caught.value)


@pytest.fixture
def recipe_file(tmp_path: Path) -> Any:
    """A function that writes a recipe of the user's and returns its path."""

    def write(text: str, name: str = "mine.yaml") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_the_package_brings_the_recipes_that_its_documentation_names() -> None:
    assert set(recipe_names()) == TRAINED | {"cosine", "components", "fc-es", "fc-es-sigmoid", "facemap"}


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads_and_carries_its_name(name: str) -> None:
    config = load_config(name)
    assert config.recipe == name
    assert config.needs_model == (name in TRAINED)


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_has_the_networks_that_its_stages_ask_for(name: str) -> None:
    if name not in TRAINED:
        assert training_complaint(name) == f"The recipe {name} has no network to train."
        return
    config, training = load_config(name), load_training(name)
    assert (training.filter.network != "none") == config.topk.predict
    forms = {"none": {"none"}, "recall": {"pair"}, "all": {"row", "relative", "linkage", "distance"}}
    assert training.predictor.form in forms[config.relations.score]
    assert training.predictor.encodes == config.contexts.encode


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_has_a_description_of_whole_sentences(name: str) -> None:
    text = parse_yaml(_recipe_files()[name].read_text("utf-8"), name)["description"]
    assert text[0].isupper()
    assert text.endswith(".")


def test_recipes_of_papers_lie_in_a_folder_of_their_own() -> None:
    folder = resources.files("raycluster.config") / "recipes"
    own = {entry.name for entry in folder.iterdir() if entry.name.endswith(".yaml")}
    assert own == {"auto.yaml", "auto-tuned.yaml", "components.yaml", "cosine.yaml", "sdt-row.yaml"}


def test_recipes_set_what_their_descriptions_promise() -> None:
    assert load_config("cosine").edges.rule == "threshold"
    assert load_config("components").communities.engine == "components"
    assert load_config("fc-es").edges.rule == "early-stop"
    assert load_config("fc-es").edges.theta == 0.22
    assert load_config("fc-es").edges.directed
    assert load_config("fc-es-sigmoid").edges.transform == "sigmoid"
    assert load_config("facemap").knn.k == 256
    assert not load_config("facemap").edges.directed
    assert not load_config("sdt-row").edges.directed


@pytest.mark.parametrize(
    ("name", "attention", "mask"),
    [
        ("diff-cluster", "differential", "mixture"),
        ("diff-cluster-sdt", "differential", "topk"),
        ("diff-cluster-differential", "differential", "none"),
        ("diff-cluster-vanilla-topk", "vanilla", "topk"),
        ("diff-cluster-vanilla", "vanilla", "none"),
    ],
)
def test_s1_and_its_ablations_differ_in_attention_and_mask_alone(name: str, attention: str, mask: str) -> None:
    config, training = load_config(name), load_training(name)
    assert replace(config, recipe="diff-cluster") == load_config("diff-cluster")
    assert (config.edges.transform, config.edges.theta, config.relations.score) == ("sigmoid", None, "recall")
    encoder = EncoderConfig(attention=attention, mask=mask)  # type: ignore[arg-type]
    assert training.predictor.encoder == encoder
    whole = load_training("diff-cluster")
    assert replace(training, predictor=whole.predictor) == whole


def test_diff_cluster_on_gram_tokens_is_diff_cluster_but_for_what_it_reads_and_learns_from() -> None:
    config, training = load_config("diff-cluster-gram"), load_training("diff-cluster-gram")
    whole = load_training("diff-cluster")
    assert replace(config, recipe="diff-cluster") == load_config("diff-cluster")
    assert training.generated == 40_000
    assert not training.reads_vectors
    told = {"filter": replace(whole.filter, tokens="gram"), "predictor": replace(whole.predictor, tokens="gram")}
    assert training == replace(whole, generated=40_000, **told)


def test_what_tunes_the_default_builds_its_network_and_trains_it_gently_beside_some_varied_sets() -> None:
    config, training = load_config("auto-tuned"), load_training("auto-tuned")
    whole = load_training("auto")
    assert config.model is None
    assert replace(config, recipe="auto", model="auto") == load_config("auto")
    assert 0 < training.varied < whole.varied
    fit, plain = training.predictor.fit, whole.predictor.fit
    assert fit.steps < plain.steps
    assert fit.learning_rate < plain.learning_rate
    assert replace(training, varied=whole.varied, predictor=replace(training.predictor, fit=plain)) == whole


def test_s3_and_its_ablations_differ_in_the_part_they_leave_out_alone() -> None:
    config, training = load_config("face-transformer"), load_training("face-transformer")
    assert (config.edges.rule, config.edges.combine, config.communities.engine) == ("score", "maximum", "components")
    assert (training.predictor.form, training.predictor.hop2, config.contexts.encode) == ("linkage", 5, True)
    for name, form, hop2 in (("only-re", "distance", 5), ("only-lp", "linkage", 0)):
        part, of_part = load_config(f"face-transformer-{name}"), load_training(f"face-transformer-{name}")
        assert replace(part, recipe=config.recipe, contexts=config.contexts) == config
        assert (of_part.predictor.form, of_part.predictor.hop2, part.contexts.encode) == (form, hop2, hop2 > 0)
        assert replace(of_part.predictor, form="linkage", hop2=5) == training.predictor


def test_the_other_ablations_of_s1() -> None:
    topk, eser = load_config("fc-es-topk"), load_config("fc-eser")
    assert (topk.topk.predict, topk.relations.score, topk.edges) == (True, "none", load_config("diff-cluster").edges)
    assert (eser.topk.predict, eser.relations.score, eser.edges.transform) == (False, "recall", "exponential")
    assert load_training("fc-eser").predictor.encoder == EncoderConfig()


def test_hard_clusters_is_s2_as_published() -> None:
    config, predictor = load_config("hard-clusters"), load_training("hard-clusters").predictor
    assert (config.edges.rule, config.edges.distance, config.edges.closeness) == ("density-peaks", "tpdi", 0.3)
    assert config.density == DensityConfig(kind="diffusion", sigma=0.5)
    assert config.edges.sigma == 0.05
    assert (config.knn.k, config.communities.engine) == (80, "components")
    assert predictor.encoder == EncoderConfig(layers=1, heads=8, width=256, hidden=2048, dropout=0.2)
    assert (predictor.form, predictor.tokens, predictor.head) == ("row", "embedding", (256, 128))


def test_density_peaks_lie_over_any_recipe_that_scores_all_neighbors_or_none() -> None:
    over = {"edges": {"rule": "density-peaks"}, "communities": {"engine": "components"}}
    for name in ("cosine", "components", "fc-es", "facemap", "sdt-row"):
        assert load_config(name, over).edges.rule == "density-peaks"


def test_a_list_of_widths_is_read_and_checked() -> None:
    for widths in ([64, 32], (64, 32)):
        assert load_training("sdt-row", {"training": {"predictor": {"head": widths}}}).predictor.head == (64, 32)
    said = training_complaint(overrides={"training": {"predictor": {"head": 64}}})
    assert (
        said == "my.yaml sets 'training.predictor.head' to 64; it takes a list, each item a whole number of at least 1."
    )
    said = training_complaint(overrides={"training": {"predictor": {"head": [64, "wide"]}}})
    assert (
        said
        == "my.yaml sets 'training.predictor.head' to [64, 'wide']; it takes a list, each item a whole number of at least 1."
    )
    said = training_complaint(overrides={"training": {"predictor": {"head": [0]}}})
    assert (
        said
        == "my.yaml sets 'training.predictor.head' to [0]; it takes a list, each item a whole number of at least 1."
    )
    said = training_complaint("face-transformer", {"training": {"predictor": {"head": [8]}}})
    assert said == "predictor.head is for the forms row, relative and pair, not linkage."
    small = {"training": {"predictor": {"adjust": None, "head": []}}}
    published, smaller = load_training("diff-cluster").predictor, load_training("diff-cluster", small).predictor
    assert (published.adjust, published.head) == (256, (2048, 2048))
    assert (smaller.adjust, smaller.head) == (None, ())


def test_overrides_lie_over_the_recipe_and_leave_the_rest_of_it() -> None:
    config = load_config("facemap", {"knn": {"probes": 7}, "edges": {"reserve": 2}}, "my.yaml")
    assert (config.knn.k, config.knn.probes) == (256, 7)
    assert (config.edges.rule, config.edges.reserve) == ("gap", 2.0)


def test_keys_may_be_written_with_hyphens_or_underscores() -> None:
    hyphens = load_config("cosine", {"labels": {"min-cluster-size": 3}}, "my.yaml")
    underscores = load_config("cosine", {"labels": {"min_cluster_size": 3}}, "my.yaml")
    assert hyphens == underscores
    assert hyphens.labels.min_cluster_size == 3


def test_a_yaml_file_of_the_user_is_a_recipe(recipe_file: Any) -> None:
    path = recipe_file("description: Mine.\nknn:\n  k: 33\n")
    config = load_config(path)
    assert (config.knn.k, config.recipe) == (33, path)


def test_a_recipe_lies_over_its_base_key_by_key(recipe_file: Any) -> None:
    path = recipe_file(
        "base: sdt-row\nknn:\n  k: 33\nlabels:\n  min-strength: 1\n"
        "training:\n  folds: 3\n  predictor:\n    encoder:\n      layers: 1\n"
    )
    config, base = load_config(path), load_config("sdt-row")
    assert config == replace(
        base, recipe=path, knn=replace(base.knn, k=33), labels=replace(base.labels, min_strength=1.0)
    )
    training, of_base = load_training(path), load_training("sdt-row")
    encoder = replace(of_base.predictor.encoder, layers=1)
    assert training == replace(of_base, folds=3, predictor=replace(of_base.predictor, encoder=encoder))


def test_a_key_beats_that_of_the_base_however_either_is_spelled(recipe_file: Any) -> None:
    under = recipe_file("labels:\n  min-cluster-size: 5\n  min_strength: 0.5\n", "under.yaml")
    over = recipe_file(f"base: {under}\nlabels:\n  min_cluster_size: 9\n  min-strength: 1\n", "over.yaml")
    config = load_config(over)
    assert (config.labels.min_cluster_size, config.labels.min_strength) == (9, 1.0)


def test_bases_have_bases(recipe_file: Any) -> None:
    first = recipe_file("base: facemap\nknn:\n  k: 33\n  probes: 5\n", "first.yaml")
    second = recipe_file(f"base: {first}\ndescription: Second.\nknn:\n  probes: 6\n", "second.yaml")
    config = load_config(second)
    assert (config.recipe, config.edges.rule, config.knn.k, config.knn.probes) == (second, "gap", 33, 6)


def test_a_recipe_that_is_its_own_base_is_refused(recipe_file: Any, tmp_path: Path) -> None:
    path = recipe_file(f"base: {tmp_path}/mine.yaml\n")
    assert complaint(path) == f"The recipe {path} names itself as its base."
    assert training_complaint(path) == f"The recipe {path} names itself as its base."


def test_a_base_that_does_not_exist_is_refused(recipe_file: Any, tmp_path: Path) -> None:
    assert complaint(recipe_file("base: cosin\n")) == "There is no recipe 'cosin'; did you mean 'cosine'."
    absent = recipe_file(f"base: {tmp_path}/absent.yaml\n")
    assert "absent.yaml cannot be read: No such file" in complaint(absent)


def test_recipes_that_are_each_others_base_are_refused(recipe_file: Any, tmp_path: Path) -> None:
    recipe_file(f"base: {tmp_path}/b.yaml\n", "a.yaml")
    assert "base" in complaint(recipe_file(f"base: {tmp_path}/a.yaml\n", "b.yaml"))


def test_a_base_that_is_no_name_is_called_a_base(recipe_file: Any) -> None:
    assert "'base' to 3" in complaint(recipe_file("base: 3\n"))


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
    ("overrides", "key", "meant"),
    [
        ({"threshold": 0.5}, "threshold", "edges.threshold"),
        ({"knn": {"threshold": 0.5}}, "knn.threshold", "edges.threshold"),
        ({"labels": {"fragments": True}}, "labels.fragments", "communities.fragments"),
        ({"edges": {"lstm-width": 3}}, "edges.lstm-width", "training.filter.lstm_width"),
    ],
)
def test_a_key_of_another_section_is_suggested_there(overrides: dict[str, Any], key: str, meant: str) -> None:
    assert complaint(overrides=overrides) == f"my.yaml sets '{key}', which is no key; did you mean '{meant}'."


def test_a_file_with_a_base_is_a_recipe_and_no_layer() -> None:
    said = complaint(overrides={"base": "cosine"})
    assert said == "my.yaml sets 'base', which is no key; a file with a base is a recipe: give it as --recipe."


def test_none_is_written_in_any_way(recipe_file: Any) -> None:
    for word in ("null", "~", "none", "None", ""):
        config = load_config(recipe_file(f"base: hard-clusters\ndensity:\n  sigma: {word}\nknn:\n  source: {word}\n"))
        assert (config.density.sigma, config.knn.source) == (None, None)


def test_a_key_of_several_sections_is_no_suggestion() -> None:
    assert complaint(overrides={"labels": {"seed": 3}}).startswith(
        "my.yaml sets 'labels.seed', which is no key; there are"
    )


@pytest.mark.parametrize("key", [*RETIRED, "model_digest"])
def test_constants_and_internal_fields_are_no_keys(key: str) -> None:
    section, _, name = key.rpartition(".")
    values = {name: 1} if not section else {section: {name: 1}}
    assert complaint(overrides=values).startswith(f"my.yaml sets '{key}', which is no key; ")


def test_an_unknown_key_of_a_recipe_names_the_recipe(recipe_file: Any) -> None:
    path = recipe_file("knn:\n  kk: 3\n")
    assert complaint(path) == f"recipe {path} sets 'knn.kk', which is no key; did you mean 'knn.k'."
    path = recipe_file("training:\n  fold: 3\n")
    assert training_complaint(path) == (
        f"recipe {path} sets 'training.fold', which is no key; did you mean 'training.folds'."
    )


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("knn", "k", "many", "my.yaml sets 'knn.k' to 'many'; it takes a whole number of at least 2."),
        ("knn", "k", 3.0, "my.yaml sets 'knn.k' to 3.0; it takes a whole number of at least 2."),
        ("knn", "k", True, "my.yaml sets 'knn.k' to True; it takes a whole number of at least 2."),
        ("knn", "k", None, "my.yaml sets 'knn.k' to None; it takes a whole number of at least 2."),
        ("knn", "lists", "a", "my.yaml sets 'knn.lists' to 'a'; it takes a whole number of at least 1, or None."),
        ("topk", "predict", "yes", "my.yaml sets 'topk.predict' to 'yes'; it takes true or false."),
        (
            "relations",
            "score",
            "some",
            "my.yaml sets 'relations.score' to 'some'; it takes one of none, recall, all; did you mean 'none'.",
        ),
        ("edges", "tau", "hot", "my.yaml sets 'edges.tau' to 'hot'; it takes a number above 0."),
        ("knn", "index", "hnsw", "my.yaml sets 'knn.index' to 'hnsw'; it takes one of auto, exact, ivf."),
        ("labels", "min-strength", [], "my.yaml sets 'labels.min-strength' to []; it takes a number from 0 to 1."),
        (
            "communities",
            "fragments",
            1,
            "my.yaml sets 'communities.fragments' to 1; it takes true or false.",
        ),
    ],
)
def test_a_value_of_the_wrong_type_names_key_value_and_type(section: str, key: str, value: Any, expected: str) -> None:
    assert complaint(overrides={section: {key: value}}) == expected


def test_a_section_that_is_no_mapping_is_refused() -> None:
    assert complaint(overrides={"knn": 20}) == "my.yaml sets 'knn' to 20; it takes a mapping of keys."


def test_a_value_out_of_range_is_refused_as_the_configuration_says() -> None:
    assert complaint(overrides={"knn": {"k": 1}}) == "my.yaml sets 'knn.k' to 1; it takes a whole number of at least 2."
    said = complaint("sdt-row", {"edges": {"rule": "threshold"}})
    assert said == "relations.score all needs edges.rule score or density-peaks."


def test_a_whole_number_is_accepted_for_a_float_and_stored_as_one() -> None:
    threshold = load_config("cosine", {"edges": {"threshold": 1}}, "my.yaml").edges.threshold
    assert isinstance(threshold, float)


def test_a_recipe_that_is_no_name_is_refused() -> None:
    assert complaint(3) == "my.yaml sets 'recipe' to 3; it takes the name of a recipe or a YAML file."


def test_overrides_of_training_lie_over_the_recipe_and_do_not_touch_the_stages() -> None:
    overrides = {"knn": {"k": 9}, "training": {"seed": 4, "filter": {"fit": {"learning-rate": 1, "steps": 7}}}}
    training, of_recipe = (load_training("sdt-row", each, "my.yaml") for each in (overrides, None))
    fit = replace(of_recipe.filter.fit, learning_rate=1.0, steps=7)
    assert training == replace(of_recipe, seed=4, filter=replace(of_recipe.filter, fit=fit))
    assert load_config("sdt-row", overrides, "my.yaml") == load_config("sdt-row", {"knn": {"k": 9}}, "my.yaml")


def test_a_training_key_that_does_not_exist_suggests_the_nearest() -> None:
    said = training_complaint(overrides={"training": {"sede": 3}})
    assert said == "my.yaml sets 'training.sede', which is no key; did you mean 'training.seed'."
    said = training_complaint(overrides={"training": {"predictr": {"form": "pair"}}})
    assert said == "my.yaml sets 'training.predictr', which is no key; did you mean 'training.predictor'."
    assert "did you mean" in training_complaint(overrides={"training": {"filter": {"fit": {"stepz": 3}}}})


def test_a_training_key_is_named_with_all_that_leads_to_it() -> None:
    said = training_complaint(overrides={"training": {"filter": {"fit": {"stepz": 3}}}})
    expected = "my.yaml sets 'training.filter.fit.stepz', which is no key; did you mean 'training.filter.fit.steps'."
    assert said == expected


def test_a_training_value_of_the_wrong_type_or_range_is_refused() -> None:
    said = training_complaint(overrides={"training": {"precision": "half"}})
    assert said == "my.yaml sets 'training.precision' to 'half'; it takes one of auto, float32, bfloat16."
    said = training_complaint(overrides={"training": {"predictor": 3}})
    assert said == "my.yaml sets 'training.predictor' to 3; it takes a mapping of keys."
    assert training_complaint(overrides={"training": {"folds": 1}}) == (
        "my.yaml sets 'training.folds' to 1; it takes a whole number of at least 2."
    )
    said = training_complaint("diff-cluster", {"training": {"filter": {"network": "none"}}})
    assert said == "training.predictor.encoder.mask mixture needs Top-K; set training.filter.network."


@pytest.mark.parametrize("value", [None, 3, [], "many"])
def test_a_training_section_that_is_no_mapping_is_refused(value: Any) -> None:
    assert "training" in training_complaint(overrides={"training": value})


def test_a_recipe_whose_training_section_is_no_mapping_is_refused(recipe_file: Any) -> None:
    assert "training" in training_complaint(recipe_file("training: 3\n"))


@pytest.mark.parametrize("name", recipe_names())
def test_a_stored_configuration_reads_back_equal(name: str) -> None:
    config = load_config(name, {"knn": {"k": 12, "lists": 5}, "edges": {"reserve": 0.25}}, "my.yaml")
    assert stored_config(asdict(config), "plan.json") == config
    if name in TRAINED:
        training = load_training(name)
        assert apply(TrainingConfig(), asdict(training), "card.json", "training.") == training


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
