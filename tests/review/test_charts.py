"""Charts: valid specifications of bounded size that hold what they draw."""

import json
import sys

import altair
import pytest

from raycluster.errors import ConfigError
from raycluster.review import charts
from support.charts import drawn

SPECS = {
    "sizes": charts.sizes(
        [{"size": 1, "clusters": 2, "rows_up_to": 0.5}, {"size": 3, "clusters": 1, "rows_up_to": 1.0}]
    ),
    "histogram": charts.histogram([{"low": 0.0, "high": 0.5, "amount": 3}], "score", "pairs"),
    "marked": charts.histogram(
        [{"low": 0.0, "high": 0.5, "amount": 3}], "score", "pairs", [{"name": "limit", "value": 0.2}]
    ),
    "sweep": charts.sweep([{"limit": 0.5, "what": "clusters", "value": 3}], 0.5, "limit"),
    "reliability": charts.reliability([{"of": "the model", "mean": 0.5, "right": 0.6, "rows": 9}]),
    "bars": charts.bars([{"name": "a", "value": 3.0}], "seconds", is_logarithmic=True),
    "limited": charts.bars([{"name": "a", "value": 0.3, "limit": 0.2}], "share"),
}


@pytest.mark.parametrize("name", SPECS)
def test_specifications_are_valid_and_hold_their_rows(name):
    spec = SPECS[name]
    schema = {key: value for key, value in spec.items() if key != "config"}
    altair.Chart.from_dict(schema, validate=True)
    assert drawn(spec)
    assert (spec["width"], spec["autosize"]["type"]) == ("container", "fit-x")
    assert "http" not in json.dumps(spec)


def test_without_altair_one_sentence_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(ConfigError, match=r"pip install 'raycluster\[report\]'"):
        charts.altair()
