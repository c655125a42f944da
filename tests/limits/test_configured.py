"""A configured limit comes before the model's."""

import pytest

from raycluster.errors import ConfigError
from raycluster.limits.configured import configured_or_calibrated


@pytest.mark.parametrize(("value", "expected"), [(0.0, 0.0), (0.7, 0.7), (None, 0.4)])
def test_a_configured_limit_comes_before_the_models(value, expected):
    assert configured_or_calibrated("edges.eta", value, {"eta": 0.4, "theta": 0.1}) == expected


def test_a_limit_that_nothing_has_is_named():
    with pytest.raises(ConfigError, match=r"^edges.eta is not set and no model was given that was calibrated for it"):
        configured_or_calibrated("edges.eta", None, {"theta": 0.1})
