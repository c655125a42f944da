"""Errors that raycluster raises on purpose.

A message is one sentence that a user can act on; a job prints it and exits. It holds no secret and no control character,
whatever the path, the URL or the client's error that it quotes.
"""

from raycluster.secrecy import printable


class RayclusterError(Exception):
    """Base of all errors of this package.

    `exit_code` is what a job returns to the shell.
    """

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class InputError(RayclusterError, ValueError):
    """The data, a path or an argument cannot be used.

    The message names file, column and row where there are any.
    """

    exit_code = 2


class ConfigError(InputError):
    """A recipe, a key or a value of the configuration cannot be used.

    It is unknown, out of range, or another than the run folder was made with.
    """


class StorageError(RayclusterError):
    """Storage refused or lost something: credentials, permissions, a full disk."""


class DamagedError(StorageError):
    """An object of a run folder is missing, or its bytes are others than written.

    What names it as done is removed before this is raised, so that the run computes it again. The sentence ends with the
    remedy; `damage` has none, for runs that mend themselves.
    """

    def __init__(self, damage: str, remedy: str = "the command that made the run makes it again") -> None:
        super().__init__(damage.rstrip("."))
        self.remedy = remedy

    @property
    def damage(self) -> str:
        """What is damaged, without a full stop."""
        return super().__str__()

    def __str__(self) -> str:
        return f"{self.damage}; {self.remedy}."


class ResourceError(InputError):
    """The run cannot fit this machine.

    The message names what is needed, what there is, and what to change.
    """
