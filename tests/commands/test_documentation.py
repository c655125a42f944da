"""The sentences under the fields of a dataclass are found, also of nested sections."""

from dataclasses import dataclass, field

from raycluster.commands.documentation import field_docs


@dataclass(frozen=True)
class Inner:
    """A section inside another."""

    steps: int = 3
    """Steps of the
    optimizer."""


@dataclass(frozen=True)
class Outer:
    """A section."""

    k: int = 80
    """Neighbors per row."""
    bare: int = 1
    fit: Inner = field(default_factory=Inner)
    long: str = ""
    """A sentence of more than ninety-six characters is folded, so that a terminal of a hundred columns shows all of it."""


def test_a_field_has_the_text_that_follows_it() -> None:
    assert field_docs(Outer, "fit.steps") == ["Steps of the optimizer."]
    assert field_docs(Outer, "k") == ["Neighbors per row."]
    assert field_docs(Outer, "bare") == []
    assert field_docs(Outer, "fit") == []


def test_long_texts_are_folded_to_the_width_of_a_terminal() -> None:
    lines = field_docs(Outer, "long")
    assert len(lines) == 2
    assert max(map(len, lines)) <= 96
    assert " ".join(lines).startswith("A sentence of more than ninety-six")
