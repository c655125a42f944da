"""Kernels: arrays in, arrays out, compiled by numba on first use.

Compiled code is kept beside the package where that can be written, else in the user's cache, else in a temporary folder of
this user. Kernels of many threads run on numba's own pool: OpenMP's would kill a forked child that computes again.
"""

import getpass
import os
import tempfile
from pathlib import Path

import numba as numba


def _is_writable(folder: Path) -> bool:
    """Whether a file can be made in a folder, which is made if need be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _cache_folder() -> str | None:
    """Return the folder of compiled kernels; none where numba's own is writable."""
    is_set = bool(numba.config.CACHE_DIR) and _is_writable(Path(numba.config.CACHE_DIR))
    if is_set or _is_writable(Path(__file__).parent / "__pycache__"):
        return None
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid()) if hasattr(os, "getuid") else "user"
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    for folder in (Path(home) / "raycluster", Path(tempfile.gettempdir()) / f"raycluster-numba-{user}"):
        if _is_writable(folder):
            return str(folder)
    return tempfile.mkdtemp(prefix="raycluster-numba-")


if (_folder := _cache_folder()) is not None:
    numba.config.CACHE_DIR = _folder
if "NUMBA_THREADING_LAYER" not in os.environ:
    numba.config.THREADING_LAYER = "workqueue"
