"""numba's cache on disk, beside the kernels, kept between tests and shared by all processes.

numba compiles a kernel again when the kernel's own file changes, but not when a kernel that it calls from another file
does. `drop_stale` closes that gap.
"""

from pathlib import Path

from support.package import imports, modules


def drop_stale() -> list[Path]:
    """Delete what is cached of kernels older than a module they import; returns the deleted files."""
    dropped = []
    for name in modules():
        files = cached(name)
        if files and min(path.stat().st_mtime for path in files) < max(
            modules()[one].stat().st_mtime for one in needs(name)
        ):
            dropped += files
    for path in dropped:
        path.unlink(missing_ok=True)
    return dropped


def cached(module: str) -> list[Path]:
    """Files in numba's cache of a module's kernels."""
    path = modules()[module]
    return [file for kind in ("nbi", "nbc") for file in path.parent.glob(f"__pycache__/{path.stem}.*.{kind}")]


def needs(module: str) -> set[str]:
    """A module and all of the package that it imports, directly or through others."""
    reached, new = set(), {module}
    while new:
        reached |= new
        new = {name for one in new for name in imports(modules()[one]) if name in modules()} - reached
    return reached
