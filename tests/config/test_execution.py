"""How a run is carried out: ranges, and that no label depends on it."""

from dataclasses import fields
from typing import Any

import pytest

from raycluster.config.execution import Execution
from raycluster.config.stages import Config
from raycluster.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"shards": 0}, "--shards is 0: it takes a whole number of at least 1, or None."),
        ({"workers": -1}, "--workers is -1: it takes a whole number of at least 1, or None."),
        ({"workers": 1.5}, "--workers is 1.5: it takes a whole number of at least 1, or None."),
        ({"executor": "rya"}, "--executor is rya: it takes one of auto, local, ray; did you mean 'ray'."),
        ({"accelerator": "tpu"}, "--accelerator is tpu: it takes one of auto, gpu, cpu; did you mean 'gpu'."),
        ({"replan": "yes"}, "--replan is yes: it takes true or false."),
    ],
)
def test_a_value_that_does_not_fit_is_refused_as_the_option_it_is(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Execution(**values)
    assert str(caught.value) == sentence


def test_nothing_of_the_execution_is_in_the_configuration_that_decides_labels() -> None:
    assert {field.name for field in fields(Execution)}.isdisjoint(field.name for field in fields(Config))
    assert Execution() == Execution("auto", shards=None, workers=None)
