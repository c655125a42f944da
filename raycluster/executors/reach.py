"""Whether the head of the cluster is gone.

Every call to Ray would then block until Ray ends the process, without a word. So what runs on the way out makes none.
"""

_is_lost = False


def give_up() -> None:
    """Let go of a cluster whose head is gone."""
    global _is_lost
    _is_lost = True


def is_lost() -> bool:
    """Whether this process has let go of its cluster."""
    return _is_lost
