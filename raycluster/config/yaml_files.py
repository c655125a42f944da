"""Reading of YAML files: numbers as YAML 1.2 writes them, and no key twice."""

import re
from pathlib import Path
from typing import Any

import yaml

from raycluster.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """The safe loader, but `5e-1` is a number and a repeated key is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping of a node; a YAMLError names the line of a repeated key."""
        keys = set()
        for key_node, _ in node.value:
            key = key_node.value.replace("-", "_") if isinstance(key_node, yaml.ScalarNode) else None
            if key in keys:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key_node.value}' occurs twice", key_node.start_mark
                )
            keys |= {key} - {None}
        return super().construct_mapping(node, deep)


# YAML 1.1, which pyyaml reads, needs a point and a sign in a float with an exponent: 5.0e-1 is one, 5e-1 is text.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def load_yaml(path: str) -> dict[str, Any]:
    """Return the mapping in a YAML file, empty for an empty file.

    Raises ConfigError where the file cannot be read or holds something else than a mapping.
    """
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"The configuration file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"The configuration file {path} is not UTF-8 text.") from error
    return parse_yaml(text, path)


def _problem(error: yaml.YAMLError) -> str:
    """Return what is wrong and where, on one line."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None or problem is None:
        return " ".join(str(error).split())
    return f"{' '.join(problem.split())} in line {mark.line + 1}, column {mark.column + 1}"


def parse_yaml(text: str, origin: str) -> dict[str, Any]:
    """Return the mapping in YAML `text`; ConfigErrors name it by `origin`."""
    try:
        values = yaml.load(text, _Loader)  # a subclass of the safe loader
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin} is not valid YAML: {_problem(error)}.") from error
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise ConfigError(f"{origin} must hold a mapping of stage names to keys.")
    return values
