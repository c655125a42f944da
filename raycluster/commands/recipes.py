"""raycluster recipes: list the recipes, or show what one sets."""

import argparse
from typing import Any

from raycluster.commands.verb import Answer, Verb
from raycluster.config.load import recipe_description, recipe_names, recipe_text


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", nargs="?", choices=("list", "show"), default="list", help="list, or show NAME")
    parser.add_argument("name", nargs="?", metavar="NAME", help="recipe to show")


def _run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer:  # noqa: ARG001
    from raycluster.errors import ConfigError

    if options.action == "show":
        if options.name is None:
            raise ConfigError("Missing: NAME, the recipe to show.")
        text = recipe_text(options.name)
        return Answer({"name": options.name, "text": text}, text.rstrip())
    described = {name: recipe_description(name) for name in recipe_names()}
    width = max(map(len, described))
    lines = [f"{name.ljust(width)}  {words.split('. ')[0].rstrip('.')}" for name, words in described.items()]
    return Answer(described, "\n".join(lines))


VERB = Verb(
    name="recipes",
    summary="List the recipes, or show what one sets.",
    arguments=_arguments,
    run=_run,
    examples=("raycluster recipes", "raycluster recipes show cosine", "raycluster recipes show diff-cluster"),
)
