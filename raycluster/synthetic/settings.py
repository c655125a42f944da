"""What to generate: the settings of a set, and presets of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from raycluster.config.checks import Count, Section, Share

HARD = {"same_cosine": 0.52, "family_share": 0.6, "family_cosine": 0.55, "low_quality_strength": 0.7}
"""Loose identities with lookalikes everywhere, as in MS1M."""
PRESETS: dict[str, dict[str, Any]] = {
    # A mixture of everything, in seconds.
    "demo": {"rows": 20_000, "width": 128, "max_size": 400},
    # Like Labeled Faces in the Wild: 70 % of the identities have one picture, the largest hundreds.
    "long-tail": {"rows": 50_000, "mean_size": 2.25, "tail_exponent": 2.4},
    # Like MS1M and hard: many pictures per identity, loose identities, lookalikes everywhere.
    "dense": {"rows": 50_000, "mean_size": 70.0, "min_size": 5, "max_size": 400, "tail_exponent": -1.0} | HARD,
    # Nobody twice: whatever is merged is wrong.
    "singletons": {"rows": 20_000, "mean_size": 1.0, "max_size": 1},
    # Identities far larger than any usual K.
    "large": {"rows": 50_000, "mean_size": 500.0, "min_size": 500},
}
"""Named sets as keyword arguments of `SyntheticConfig`, rows included."""


@dataclass(frozen=True)
class SyntheticConfig(Section):
    """Settings of a generated set.

    Cosines are expectations: that of a single pair departs from it by up to effective_dimension ** -0.5.
    """

    prefix: ClassVar[str] = "synthetic."

    rows: Count
    """Rows (pictures) of the set, from 1 up. Raising it at the same sizes gives more identities, so nearer strangers."""
    width: Annotated[int, Meta(ge=2)] = 256
    """Dimensions of an embedding, from 2 up. Raising it costs time; effective_dimension decides the difficulty."""
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    """Seed, 0 to 2**63 - 1. Another seed gives another set with the same statistics."""
    mean_size: float = 8.0
    """Mean rows per identity, min_size to max_size. Raising it gives fewer, larger identities."""
    min_size: Count = 1
    """Fewest rows of an identity, from 1 up; one may get fewer, so that the rows add up. Raising it to 2 removes
    singletons."""
    max_size: int = 500
    """Most rows of an identity. Raising it at the same mean lets a few identities grow at the cost of the others."""
    tail_exponent: float = 1.7
    """Sizes follow size ** -tail_exponent, tilted exponentially to meet mean_size. Raising it at the same mean gives more
    singletons and more giants. 0 is an exponential law; negative values gather the sizes around the mean."""
    effective_dimension: Annotated[float, Meta(ge=1)] = 105.0
    """Directions in use, from 1 up; more than width counts as width. The cosine of two strangers has a standard deviation
    of effective_dimension ** -0.5, so raising it makes the set easier."""
    same_cosine: Share = 0.7
    """Mean cosine of two good pictures of one identity and mode, 0 to 1. Raising it makes identities tight."""
    same_cosine_spread: Share = 0.1
    """Standard deviation of same_cosine over identities, uniform. Raising it mixes tight and loose ones."""
    modes: Count = 3
    """Most modes (age, pose) of an identity, from 1 up; their number is uniform. Raising it breaks identities into more
    pieces."""
    mode_cosine: Share = 0.88
    """Cosine of a mode's center and the identity's, 0 to 1. Lowering it drives the modes of an identity apart."""
    family_share: Share = 0.3
    """Share of the identities in families of lookalikes, 0 to 1. Raising it adds wrong near neighbors."""
    family_size: Count = 8
    """Identities per family, from 1 up. Raising it gives every lookalike more rivals."""
    family_cosine: Share = 0.45
    """Cosine of two centers in a family, 0 to 1. Raising it makes lookalikes hard to separate, at 1 impossible."""
    picture_spread: Share = 0.0
    """Standard deviation of same_cosine over the pictures of an identity, uniform. Raising it gives identities clear
    pictures that lie close and poor ones that lie far, without a common direction."""
    copy_share: Share = 0.0
    """Share of the rows that are near copies of others of their identity and mode, 0 to 1. Raising it adds pairs far above
    the identity's other cosines: frames of a video, an offer that is repeated."""
    copy_cosine: Share = 0.9
    """Cosine of what two copies do not owe to their identity, 0 to 1."""
    family_spread: Share = 0.0
    """Standard deviation of family_cosine over the identities of a family, uniform. Raising it makes some members nearly
    the same and others distant, so that similarity falls smoothly along a neighbor list."""
    clan_size: Count = 1
    """Families per clan (models of a brand, brands of a category), from 1 up."""
    clan_cosine: Share = 0.0
    """Cosine of the centers of two families of a clan, 0 to 1. Raising it fills neighbor lists with relatives."""
    styles: Count = 4
    """Styles per family, from 1 up: shops that describe alike products in their own words. Raising it makes rows of one
    style rarer."""
    style_share: Share = 0.0
    """Share of a family's rows that follow one of its styles, 0 to 1. Raising it adds pairs of different identities that
    lie nearer than pairs of one."""
    style_cosine: Share = 0.9
    """Cosine of what two rows of one style do not owe to their identity, 0 to 1."""
    low_quality_share: Share = 0.08
    """Share of the rows that are bad pictures, 0 to 1. Raising it adds outliers."""
    low_quality_strength: Share = 0.6
    """Highest cosine of a bad picture and a common direction, 0 to 1; the lowest is half of it. Raising it makes bad
    pictures of different persons resemble each other, about by its square, and their own person less."""
    low_quality_directions: Count = 8
    """Common directions (blur, darkness, profile), from 1 up. Raising it makes fewer bad pictures share one."""
    offset: Share = 0.0
    """Cosine of any two strangers, 0 to 1: the share of a direction common to all rows. Raising it makes a set that is not
    centered, as text embeddings are."""

    def conflicts(self) -> Iterator[str]:
        """Yield a sentence where the mean size is out of the bounds of sizes."""
        if not self.min_size <= self.mean_size <= self.max_size:
            yield (
                f"synthetic.mean-size is {self.mean_size}: it must lie between min-size, {self.min_size}, and max-size, "
                f"{self.max_size}."
            )
