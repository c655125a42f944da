"""What a Vega-Lite specification draws."""

from typing import Any


def drawn(spec: Any) -> list[list[dict[str, Any]]]:
    """The rows of every data set of a specification, in its order."""
    if isinstance(spec, list):
        return [rows for one in spec for rows in drawn(one)]
    if not isinstance(spec, dict):
        return []
    own = [spec["data"]["values"]] if "values" in spec.get("data", {}) else []
    return own + [rows for key, one in spec.items() if key != "data" for rows in drawn(one)]
