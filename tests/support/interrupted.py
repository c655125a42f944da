"""Run a job that gets a signal at a mark of its own: python interrupted.py SIGNAL PATTERN COUNT JOB [OPTION...].

The job sends itself the signal right after it has stored the COUNT-th object whose path in its store matches PATTERN.
So a test names the moment, and the machine's speed does not move it.
"""

import fnmatch
import os
import runpy
import signal
import sys
from pathlib import Path
from typing import Any

from raycluster.storage.object_store import Store


def interrupt_at(pattern: str, count: int, number: signal.Signals) -> None:
    """Have this process send itself a signal once `count` objects that match are stored."""
    stored: set[str] = set()

    def watched(method: Any) -> Any:
        def store(self: Store, path: str, data: bytes) -> Any:
            result = method(self, path, data)
            if fnmatch.fnmatch(path, pattern):
                stored.add(path)
                if len(stored) == count:
                    os.kill(os.getpid(), number)
            return result

        return store

    Store.put, Store.create = watched(Store.put), watched(Store.create)  # type: ignore[method-assign]


if __name__ == "__main__":
    name, pattern, count, *sys.argv = sys.argv[1:]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    interrupt_at(pattern, int(count), signal.Signals[name])
    runpy.run_path(sys.argv[0], run_name="__main__")
