"""Every error raycluster raises on purpose. A message is one sentence a user can act on; a job prints it and exits."""


class RayclusterError(Exception):
    """Base of all errors of this package. `exit_code` is what a job returns to the shell."""

    exit_code = 1


class InputError(RayclusterError, ValueError):
    """The data, a path or an argument is not usable; the message names the file, column and row where there is one."""

    exit_code = 2


class ConfigError(InputError):
    """A recipe, a key or a value of the configuration is unknown, out of range, or not the one this run folder was made with."""


class StorageError(RayclusterError):
    """Storage refused or lost something that the input does not explain: credentials, permissions, a full disk, a broken part."""


class ResourceError(InputError):
    """The run cannot fit this machine; the message says what is needed, what there is, and what to change."""
