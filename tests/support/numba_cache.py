"""numba's cache on disk, beside the kernels, kept between tests and shared by all processes.

numba compiles a kernel again when the kernel's own file changes, but not when a kernel that it calls from another file
does. `drop_stale` closes that gap.
"""

from pathlib import Path

from support.package import imports, modules

CONSTANTS = ("raycluster.kernels.", "raycluster.limits.")
"""Where modules lie whose constants kernels use; they are compiled in."""


def drop_stale() -> list[Path]:
    """Delete the cached files of kernels that are older than what is compiled into them; returns these files."""
    dropped = []
    for name in modules():
        if files := cached(name):
            changed = max(modules()[one].stat().st_mtime for one in compiled_in(name))
            if min(path.stat().st_mtime for path in files) < changed:
                dropped += files
    for path in dropped:
        path.unlink(missing_ok=True)
    return dropped


def cached(module: str) -> list[Path]:
    """Files in numba's cache of a module's kernels."""
    path = modules()[module]
    return [file for kind in ("nbi", "nbc") for file in path.parent.glob(f"__pycache__/{path.stem}.*.{kind}")]


def compiled_in(module: str) -> set[str]:
    """A module and those of kernels and of their constants that it imports, directly or through others."""
    reached, new = set(), {module}
    while new:
        reached |= new
        new = {name for one in new for name in imports(modules()[one]) if _compiles(name)} - reached
    return reached


def _compiles(name: str) -> bool:
    return name in modules() and (name.startswith(CONSTANTS) or "numba" in imports(modules()[name]))
