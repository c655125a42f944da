"""How the processes of pytest-xdist share the tests out: which stay together.

Tests of one file stay together, since they share its fixtures. Tests on Ray stay together too: they share one cluster,
and two clusters on two cores would only wait for each other.
"""

from functools import cache

from xdist.scheduler import LoadScopeScheduling

from support.paths import ROOT
from support.processes import process_starters

RAY = "ray"
"""The group of the tests on Ray."""


@cache
def group_of(name: str) -> str:
    """The group of a test by its full name, such as tests/test_errors.py::test_one_sentence[path]."""
    file, _, test = name.partition("::")
    function = test.partition("[")[0].rpartition("::")[2]
    return RAY if function in process_starters(ROOT / file, RAY) else file


class Sharing(LoadScopeScheduling):  # type: ignore[misc]
    """Hand whole groups out, in the order in which their first tests were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
