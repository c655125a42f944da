"""Whether a run would be written where its input is read.

Then the next run would read what this one writes.
"""

import itertools
import os
import re
from collections.abc import Callable, Iterator

from fsspec.utils import glob_translate

from raycluster.storage.object_store import Store
from raycluster.storage.places import is_inside, is_pattern, plain_url

WRITTEN = (
    "plan.json",
    "clusters.parquet",
    "labels",
    "labels/part-00000.parquet",
    "stages",
    "stages/ingest",
    "stages/ingest/0123456789ab",
    "stages/ingest/0123456789ab/part-00000-01234567.parquet",
)
"""Files and folders of each depth that a run writes: a pattern that matches one of them reads the run."""


def is_read(output: str, url: str) -> bool:
    """Whether the folder `output` lies where the input `url` is read.

    It does by its place, because a pattern matches it or what it will hold, or because a link leads to it.
    """
    if is_inside(output, url):
        return True
    places = [url]
    if is_pattern(url) and not ((store := Store(url)).is_file() or store.files()):
        if _is_matched(output, url):
            return True
        places = store.matching()
    folders = [plain_url(place) for place in places]
    linked = (real for folder in folders if "://" not in folder for real in _linked_folders(folder))
    return any(is_inside(output, place) for place in itertools.chain(folders, linked))


def _is_matched(output: str, pattern: str) -> bool:
    """Whether a pattern matches a folder, one above it, or what a run writes below it."""
    matcher = _matcher(pattern)
    place = _real(output)
    parts = place.split("/")
    above = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    return any(matcher(path) for path in (*above, *(f"{place}/{name}" for name in WRITTEN)))


def _matcher(pattern: str) -> Callable[[str], object]:
    """Return the test of a pattern on places.

    Links before its first mark are followed.
    """
    parts = plain_url(pattern).split("/")
    plain = next(number for number, part in enumerate(parts) if is_pattern(part))
    return re.compile(
        glob_translate("/".join([_real("/".join(parts[:plain]) or "/").rstrip("/"), *parts[plain:]]))
    ).match


def _real(url: str) -> str:
    """Return a place with its links followed."""
    place = plain_url(url)
    return place if "://" in place else os.path.realpath(place)


def _linked_folders(root: str) -> Iterator[str]:
    """Yield the real places of folders outside of `root` that links below it lead to."""
    seen, waiting = set[str](), [os.path.realpath(root)]
    while waiting:
        for folder, names, _ in os.walk(waiting.pop()):
            links = (os.path.join(folder, name) for name in names if os.path.islink(os.path.join(folder, name)))
            for real in {os.path.realpath(link) for link in links} - seen:
                seen.add(real)
                waiting.append(real)
                yield real
