"""Configuration keys on a command line.

They are `--edges.eta 0.6`, `--set edges.eta=0.6`, `--topk.predict` or `--edges.no-valley`.

Words are read as YAML reads them, and the configuration checks what they are: this module only finds them.
"""

import difflib
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from raycluster.config.yaml_files import parse_yaml
from raycluster.errors import ConfigError

ORIGIN = "the command line"
"""Where a wrong value came from, for messages."""


def split_keys(words: Sequence[str], sections: Mapping[str, type]) -> tuple[list[str], dict[str, Any]]:
    """Return the words that are no keys, and the keys as a nested mapping.

    Raises ConfigError for an unknown key of a section, and for a key without a value.
    """
    rest: list[str] = []
    values: dict[str, Any] = {}
    known = dict(_dotted(sections))
    position = 0
    while position < len(words):
        word = words[position]
        name, equals, value = word.partition("=")
        if word == "--set" or word.startswith("--set="):
            position += 1 if equals else 2
            pair = value if equals else (words[position - 1] if position <= len(words) else "")
            _assign(values, *_pair(pair), known)
            continue
        if not _is_key(name, sections):
            rest.append(word)
            position += 1
            continue
        dotted = name.removeprefix("--").replace("-", "_")
        kind = known.get(dotted)
        if kind is bool or (kind is None and known.get(_positive(dotted)) is bool):
            following = words[position + 1] if position + 1 < len(words) else ""
            if equals or (kind is bool and following.lower() in ("true", "false")):
                _assign(values, dotted, value if equals else following, known)
                position += 1 if equals else 2
            else:
                _put(values, dotted if kind is bool else _positive(dotted), kind is bool)
                position += 1
            continue
        taken = [value] if equals else _values(words[position + 1 :], _is_many(kind))
        if not taken:
            raise ConfigError(f"{name} needs a value.")
        _assign(values, dotted, taken if _is_many(kind) else taken[0], known)
        position += 1 if equals else 1 + len(taken)
    return rest, values


def _is_key(name: str, sections: Mapping[str, type]) -> bool:
    """Whether a word is an option with a section that the verb takes."""
    if not name.startswith("--") or "." not in name:
        return False
    return name.removeprefix("--").split(".")[0].replace("-", "_") in sections


def _positive(dotted: str) -> str:
    """Return the key that `section.no_key` denies."""
    section, _, key = dotted.rpartition(".")
    return f"{section}.{key.removeprefix('no_')}" if key.startswith("no_") else ""


def _pair(pair: str) -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    if not equals or not name:
        raise ConfigError(f"--set takes KEY=VALUE, such as edges.eta=0.6, but got {pair!r}.")
    return name.strip().replace("-", "_"), value


def _values(words: Sequence[str], many: bool) -> list[str]:
    """Return the value words that follow an option. A negative number is a value."""
    taken: list[str] = []
    for word in words:
        if word.startswith("-") and not word[1:2].isdigit() and word[1:2] != ".":
            break
        taken.append(word)
        if not many:
            break
    return taken


def _assign(values: dict[str, Any], dotted: str, word: str | list[str], types: Mapping[str, Any]) -> None:
    """Put the value of a word under a key.

    Raises ConfigError for a key that there is not.
    """
    if dotted not in types:
        near = difflib.get_close_matches(dotted, types, n=1)
        hint = f"did you mean --{near[0].replace('_', '-')}?" if near else "--help-all lists all keys."
        raise ConfigError(f"Unrecognized options: --{dotted.replace('_', '-')}; {hint}")
    read = [_read(one, types[dotted]) for one in word] if isinstance(word, list) else _read(word, types[dotted])
    _put(values, dotted, read)


def _put(values: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, key = dotted.split(".")
    for section in sections:
        values = values.setdefault(section, {})
    values[key] = value


def _read(word: str, kind: Any) -> Any:
    """Return a word as YAML reads it.

    A word for a text stays one, and None empties what may be empty.
    """
    kinds = set(typing.get_args(kind)) or {kind}
    if type(None) in kinds and word in ("None", "none", "null", ""):
        return None
    if str in kinds or kind is str or typing.get_origin(kind) is typing.Literal:
        return word
    if word.lower() in ("nan", "inf", "-inf", "+inf"):
        return float(word)
    value = parse_yaml(f"value: {word}", ORIGIN)["value"]
    return value if value is not None else word


def _is_many(kind: Any) -> bool:
    return typing.get_origin(kind) is tuple


def _dotted(sections: Mapping[str, type], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every key of sections with its type."""
    for name, section in sections.items():
        yield from _keys(section, f"{prefix}{name}.")


def _keys(section: type, prefix: str) -> Iterator[tuple[str, Any]]:
    hints = typing.get_type_hints(section)
    for field in fields(section):
        kind = hints[field.name]
        if is_dataclass(kind):
            yield from _keys(typing.cast(type, kind), f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", kind


def describe_keys(sections: Mapping[str, type]) -> str:
    """Return every key of sections with type and documentation."""
    from raycluster.commands.documentation import field_docs

    lines = []
    for name, section in sections.items():
        lines.append(f"\n{name}: {(section.__doc__ or '').strip().splitlines()[0]}")
        for dotted, kind in _keys(section, f"{name}."):
            lines.append(f"  --{dotted.replace('_', '-')}  {_named(kind)}")
            lines += [f"      {line}" for line in field_docs(section, dotted.removeprefix(f"{name}."))]
    return "\n".join(lines)


def _named(kind: Any) -> str:
    """Return a type as people name it."""
    if typing.get_origin(kind) is typing.Literal:
        return "|".join(map(str, typing.get_args(kind)))
    if typing.get_args(kind):
        return " or ".join(_named(one) for one in typing.get_args(kind) if one not in (type(None), Ellipsis))
    return getattr(kind, "__name__", str(kind))
