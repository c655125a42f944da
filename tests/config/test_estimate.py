"""Options of a dry run that mean nothing are refused."""

from typing import Any

import pytest

from raycluster.config.estimate import EstimateOptions
from raycluster.errors import ConfigError


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"nodes": 2}, "--estimate.nodes needs --estimate.machine"),
        ({"nodes": 0, "machine": "g6.4xlarge"}, "--estimate.nodes is 0: it must be at least 1."),
        ({"rows": 0}, "--estimate.rows is 0: it must be at least 1."),
        ({"probe_seconds": -1.0}, "--estimate.probe-seconds is -1.0"),
        ({"edges_per_row": 0.0}, "--estimate.edges-per-row is 0.0"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        EstimateOptions(**options)
    assert sentence in str(refused.value)
