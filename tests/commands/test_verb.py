"""Options that verbs share: inputs by place or by name, and how the job runs."""

import argparse

import pytest

from raycluster.commands.verb import add_execution, add_input, add_output, execution_of, inputs_of
from raycluster.config.execution import Execution
from raycluster.errors import ConfigError


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_input(parser, "inputs")
    add_output(parser, "output")
    add_execution(parser)
    return parser.parse_args([*words, "-o", "run"])


@pytest.mark.parametrize("words", [("a", "b"), ("--input", "a", "b"), ("a", "--input", "b")])
def test_inputs_come_by_place_or_by_name(words: tuple[str, ...]) -> None:
    options = parsed(*words)
    assert inputs_of(options) == ("a", "b")
    assert options.output == "run"


def test_execution_is_automatic_unless_options_say_how() -> None:
    assert execution_of(parsed("a")) == Execution()
    words = ("a", "--executor", "ray", "--shards", "4", "--workers", "2", "--accelerator", "cpu")
    assert execution_of(parsed(*words), replan=True) == Execution("ray", 4, 2, "cpu", True)
    with pytest.raises(ConfigError, match="--shards is 0"):
        execution_of(parsed("a", "--shards", "0"))


def test_a_number_that_is_none_is_a_mistake_of_the_command_line() -> None:
    with pytest.raises(SystemExit):
        parsed("a", "--shards", "many")
