"""Vega, Vega-Lite and Vega-Embed as one script, bundled without a network.

Bundling takes seconds, so the script is kept in the user's cache folder, under the version of vl-convert.
"""

import contextlib
import os
import uuid
from importlib import metadata

from raycluster.errors import ConfigError
from raycluster.review.thumbnails import INSTALL


def vega_script() -> str:
    """Return the script, which sets `vegaEmbed`.

    Raises ConfigError with the line that installs vl-convert.
    """
    try:
        version = metadata.version("vl-convert-python")
    except metadata.PackageNotFoundError as error:
        raise ConfigError(f"Charts need vl-convert. {INSTALL}") from error
    path = os.path.join(_cache(), f"vega-{version}.js")
    with contextlib.suppress(OSError), open(path, encoding="utf-8") as file:
        return file.read()
    script = _bundled()
    with contextlib.suppress(OSError):
        os.makedirs(_cache(), mode=0o700, exist_ok=True)
        temporary = f"{path}.{uuid.uuid4().hex}"
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(script)
        os.replace(temporary, path)
    return script


def _cache() -> str:
    """Return the folder of this user's cache, where no other user writes."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "raycluster")


def _bundled() -> str:
    """Bundle the script, in a form that may stand inside an HTML page."""
    import vl_convert

    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    for mark in ("<!--", "</script", "<script"):  # inside a script element these would end it or hide its end
        script = script.replace(mark, f"\\x3c{mark[1:]}")
    return script.replace("\r\n", "\n").replace("\r", "\n")
