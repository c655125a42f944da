"""The model that a configuration asks for: found, pinned, and refused where it cannot answer."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from raycluster.config.load import load_config
from raycluster.config.stages import Config, EdgesConfig, TopkConfig
from raycluster.errors import ConfigError, InputError
from raycluster.models.requirements import has_other_model, recipe_of, require_width, thresholds_of, with_model
from support import tiny

Model = Callable[..., str]


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """A function that writes a tiny model and returns its URL."""

    def write(*arguments: Any, **known: Any) -> str:
        tiny.model(tmp_path / "model", *arguments, **known)
        return str(tmp_path / "model")

    return write


def config(recipe: str, url: str | None = None, **keys: Any) -> Config:
    return load_config(recipe, {"model": url, **keys}, "test")


def refusal(asked: Config) -> str:
    with pytest.raises(ConfigError) as caught:
        with_model(asked)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_configuration_without_networks_forgets_a_model_that_it_would_not_ask() -> None:
    asked = replace(load_config("cosine"), model="nowhere", model_digest="1")
    assert with_model(asked) == load_config("cosine")


@pytest.mark.parametrize(
    ("recipe", "form", "mask"),
    [
        ("sdt-row", "row", "mixture"),
        ("diff-cluster", "pair", "mixture"),
        ("diff-cluster-vanilla", "pair", "none"),
        ("fc-eser", "pair", "none"),
        ("fc-es-topk", "none", "mixture"),
        ("fc-es-topk", "pair", "mixture"),
    ],
)
def test_the_digest_of_the_card_is_filled_in(model: Model, recipe: str, form: str, mask: str) -> None:
    url = model(form, mask, recipe=recipe)
    digest = sha256(Path(url, "card.json").read_bytes()).hexdigest()
    asked = config(recipe, url)
    assert with_model(asked) == replace(asked, model_digest=digest)
    pinned = replace(asked, model_digest=digest)
    assert with_model(pinned) == pinned


@pytest.mark.parametrize("recipe", ["sdt-row", "diff-cluster", "fc-eser", "fc-es-topk"])
def test_a_recipe_that_needs_a_model_asks_for_it(recipe: str) -> None:
    expected = f"The recipe {recipe} needs a trained model: give --model, a folder of jobs/train.py."
    assert refusal(config(recipe)) == expected


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        with_model(config("sdt-row", str(tmp_path)))
    assert str(caught.value) == f"{tmp_path} holds no trained model: there is no card.json."


def test_another_model_than_the_pinned_one_is_refused(model: Model) -> None:
    url = model()
    digest = sha256(Path(url, "card.json").read_bytes()).hexdigest()
    expected = (
        f"The model {url} is {digest[:12]}..., but the run needs {'0' * 64}; use the model that the run started with."
    )
    assert refusal(replace(config("sdt-row", url), model_digest="0" * 64)) == expected


def test_a_model_that_lacks_a_network_is_refused(model: Model) -> None:
    url = model("none", recipe="fc-es-topk")
    expected = f"The model {url}, of recipe fc-es-topk, has no predictor, but this recipe needs one."
    assert refusal(config("sdt-row", url)) == expected
    card = Path(url, "card.json")
    values = json.loads(card.read_text())
    values["networks"] = {}
    card.write_text(json.dumps(values))
    expected = f"The model {url}, of recipe fc-es-topk, has no filter, but this recipe needs one."
    assert refusal(config("fc-es-topk", url)) == expected


def test_a_predictor_of_the_other_form_is_refused(model: Model) -> None:
    url = model("relative")
    expected = f"needs a predictor of form pair or row, and that of the model {url} is of form relative."
    assert refusal(config("diff-cluster", url)) == f"relations.score recall {expected}"
    url = model("pair", recipe="diff-cluster")
    expected = f"needs a predictor of form row or relative or linkage or distance, and that of the model {url} is of form pair."
    assert refusal(config("sdt-row", url)) == f"relations.score all {expected}"


def test_a_predictor_reads_contexts_exactly_where_they_are_encoded(model: Model) -> None:
    for form, hop2, name in (("linkage", 3, ""), ("distance", 3, "-only-re"), ("linkage", 0, "-only-lp")):
        recipe = f"face-transformer{name}"
        url = model(form, hop2=hop2, recipe=recipe)
        assert with_model(config(recipe, url)).contexts.encode == (hop2 > 0)
        reads, other = ("contexts", "true") if hop2 else ("no contexts", "false")
        said = refusal(config(recipe, url, contexts={"encode": hop2 == 0}))
        assert said == f"The predictor of {url} reads {reads}; set contexts.encode to {other}."


@pytest.mark.parametrize("mask", ["topk", "mixture"])
def test_a_predictor_that_looks_at_top_k_needs_them(model: Model, mask: str) -> None:
    url = model("row", mask)
    said = refusal(config("sdt-row", url, topk={"predict": False}))
    assert said == f"The predictor of {url} reads Top-K neighbors; set topk.predict or topk.source."
    with_model(config("sdt-row", url))


def test_a_predictor_that_looks_at_top_k_takes_given_ones(model: Model) -> None:
    with_model(config("sdt-row", model("row", "topk"), topk={"predict": False, "source": "counts.parquet"}))


def test_thresholds_are_those_of_the_card(model: Model) -> None:
    url = model(thresholds={"theta": 0.3, "eta": 0.7})
    assert thresholds_of(config("sdt-row", url)) == {"theta": 0.3, "eta": 0.7}
    assert thresholds_of(Config()) == {}


def test_the_recipe_of_a_model_is_the_configuration_it_was_trained_for(model: Model) -> None:
    url = model("pair", recipe="diff-cluster")
    assert recipe_of(url) == load_config("diff-cluster", {"knn": {"k": tiny.K}}, "test")
    assert with_model(replace(recipe_of(url), model=url)).model_digest is not None


def test_a_card_with_a_key_of_another_version_is_refused_by_name(model: Model) -> None:
    url = model()
    card = Path(url, "card.json")
    values = json.loads(card.read_text())
    values["config"]["knn"]["kk"] = 3
    card.write_text(json.dumps(values))
    with pytest.raises(ConfigError) as caught:
        recipe_of(url)
    expected = f"{url}/card.json sets 'knn.kk', which is no key; did you mean 'knn.k'."
    assert str(caught.value) == expected


def test_given_counts_and_no_network_need_no_model() -> None:
    asked = Config(edges=EdgesConfig(rule="early-stop"), topk=TopkConfig(source="counts.parquet"))
    assert with_model(asked) == asked


def test_resolving_a_model_imports_neither_torch_nor_ray(model: Model) -> None:
    script = (
        "import sys; from raycluster.models.requirements import recipe_of, with_model; import dataclasses; "
        "with_model(dataclasses.replace(recipe_of(sys.argv[1]), model=sys.argv[1])); "
        "assert not {'torch', 'ray', 'safetensors'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, model()], check=True)


def test_a_model_fits_the_width_and_k_it_was_trained_with(tmp_path: Path) -> None:
    card = tiny.model(tmp_path, "pair", recipe="diff-cluster", embedding_width=512)
    require_width(card, 512, tiny.K, "m")
    require_width(replace(card, embedding_width=None), 384, tiny.K, "m")
    with pytest.raises(InputError) as error:
        require_width(card, 384, tiny.K, "m")
    assert str(error.value) == (
        "The model m was trained on embeddings of width 512, these have 384; "
        "train one with gram tokens to be free of the width."
    )
    with pytest.raises(InputError) as error:
        require_width(card, 512, 40, "m")
    assert str(error.value) == "The model m was trained on 12 neighbors per row, and knn.k is 40; make it 12."


def test_a_predictor_of_form_relative_fits_any_k(tmp_path: Path) -> None:
    require_width(tiny.model(tmp_path, "relative", recipe="auto"), 99, 40, "m")


def test_another_model_than_the_pinned_one_shows() -> None:
    config = with_model(load_config("auto"))
    assert not has_other_model(config)
    assert has_other_model(replace(config, model_digest="0" * 64))
    assert not has_other_model(load_config("cosine"))
