"""Checks of values against the annotated types of configuration fields.

msgspec converts; this module adds what its errors lack: the value, and in words what the key takes instead.
"""

import difflib
import math
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import numpy as np

from raycluster.errors import ConfigError

NEAR = 0.4
"""Least similarity, 0..1, of a name that is suggested in place of an unknown one. Raising it suggests less often."""

Count = Annotated[int, msgspec.Meta(ge=1)]
"""A whole number from 1 up."""
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
"""A number from 0 to 1."""


class UnfitValueError(ValueError):
    """A value that is not of the type it should be.

    Its text names in words what fits.
    """


def converted(value: Any, kind: Any) -> Any:
    """Return a value as the annotated type `kind`.

    A whole number fits a float, a list fits a tuple, and numbers of numpy are numbers. NaN and infinity fit nothing.
    Where None fits, the word does as well: YAML writes it as null, people as none.
    Raises UnfitValueError for what does not fit.
    """
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, str) and plain in ("none", "None") and types.NoneType in _alternatives(kind):
        return None
    try:
        result = msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        raise UnfitValueError(f"it takes {expected(kind)}{_nearest_choice(plain, kind)}.") from error
    if isinstance(result, float) and not math.isfinite(result):
        raise UnfitValueError(f"it takes {expected(kind)}.")
    return result


def expected(kind: Any) -> str:
    """Return in words what fits an annotated type: "a number from 0 to 1, or None"."""
    choices = [_expected(choice) for choice in _alternatives(kind) if choice is not types.NoneType]
    return " or ".join(choices) + (", or None" if types.NoneType in _alternatives(kind) else "")


def _expected(kind: Any) -> str:
    notes = getattr(kind, "__metadata__", ())
    plain = kind.__origin__ if notes else kind
    if typing.get_origin(plain) is Literal:
        return f"one of {', '.join(map(str, typing.get_args(plain)))}"
    if typing.get_origin(plain) is tuple:
        return f"a list, each item {_expected(typing.get_args(plain)[0])}"
    noun = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}[plain]
    bounds = next((_bounds(note) for note in notes if isinstance(note, msgspec.Meta)), "")
    return f"{noun} {bounds}" if bounds else noun.replace("a number", "a finite number")


def _bounds(meta: msgspec.Meta) -> str:
    """Return the range of a number in words."""
    if meta.ge is not None and meta.le is not None:
        return f"from {meta.ge} to {meta.le}"
    limits = {"of at least": meta.ge, "above": meta.gt, "of at most": meta.le, "below": meta.lt}
    return " and ".join(f"{word} {limit}" for word, limit in limits.items() if limit is not None)


def _alternatives(kind: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the type itself."""
    union = kind.__origin__ if hasattr(kind, "__metadata__") else kind
    is_union = typing.get_origin(union) in (types.UnionType, typing.Union)
    return typing.get_args(union) if is_union else (kind,)


def _nearest_choice(value: Any, kind: Any) -> str:
    """Return a suggestion where `value` is a misspelled choice of a Literal."""
    choices = [str(choice) for alternative in _alternatives(kind) for choice in typing.get_args(alternative)]
    is_choice = any(typing.get_origin(alternative) is Literal for alternative in _alternatives(kind))
    near = difflib.get_close_matches(str(value), choices, n=1, cutoff=NEAR) if is_choice else []
    return f"; did you mean '{near[0]}'" if near else ""


def nearest(name: str, names: list[str], prefix: str = "") -> str:
    """Return the end of a sentence about an unknown name.

    Parameters
    ----------
    name
        The unknown name.
    names
        The names there are. The nearest is suggested; where none is near, all are listed.
    prefix
        What is written before the suggested name.

    Returns
    -------
    str
        Begins with a semicolon and has no full stop.
    """
    near = difflib.get_close_matches(name, names, n=1, cutoff=NEAR)
    return f"; did you mean '{prefix}{near[0]}'" if near else f"; there are {', '.join(names)}"


_KINDS: dict[type, dict[str, Any]] = {}


def kinds(section: type) -> dict[str, Any]:
    """Return the annotated type of every field of a dataclass, by name."""
    if section not in _KINDS:
        hints = typing.get_type_hints(section, include_extras=True)
        _KINDS[section] = {field.name: hints[field.name] for field in fields(section)}
    return _KINDS[section]


@dataclass(frozen=True)
class Section:
    """Base of the configuration's dataclasses, which hold only values that fit.

    Raises ConfigError with one sentence that names the key, the value and what the key takes.
    """

    prefix: ClassVar[str] = ""
    """What leads to the keys of the section, as in "knn."."""

    def __post_init__(self) -> None:
        for name, kind in kinds(type(self)).items():
            if not is_dataclass(kind):
                object.__setattr__(self, name, self._fitting(name, kind))
        for sentence in self.conflicts():
            raise ConfigError(sentence)

    def _fitting(self, name: str, kind: Any) -> Any:
        value = getattr(self, name)
        try:
            return converted(value, kind)
        except UnfitValueError as error:
            raise ConfigError(f"{self.prefix}{name.replace('_', '-')} is {value}: {error}") from error

    def conflicts(self) -> Iterator[str]:
        """Yield a sentence per pair of settings that contradict each other."""
        yield from ()
